//! Makes a token.

use std::path::PathBuf;

use clap::{ArgGroup, Args};
use serde_json::{Map, Value, json};

use super::key::{self, IssuerArgs, Key};
use crate::{
    api::{JwtAlgorithm, JwtIssuer, Pattern, Secrets},
    cli::Failure,
    gateway::access::{AuthError, SigningKey},
};

/// What the token shall say, and what signs it.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new(key::GROUP).required(true).multiple(true))]
#[command(after_help = "\
Examples:
  topic-gateway token mint -f gateway.yaml --user ann
  topic-gateway token mint -f gateway.yaml --user ann --private-key-file key.pem --kid first
  topic-gateway token mint --secret-file jwt.key --issuer home --audience market --user ann --subscribe 'prices.>'
  topic-gateway token mint --secret-env JWT_SECRET --issuer home --user bob --ttl 10m --claim 'roles=[\"trader\"]'
  topic-gateway token mint --private-key-file key.pem --issuer https://id.example.com --user ann

With -f the resource says what its issuers are; where it has several, --issuer chooses the one to make a token of. With
--private-key-file beside it the issuer is one of whom the resource has the public key alone.
A shared secret is taken byte for byte: a line break at the end of the file belongs to it.

Exit codes: 0 the token is made, 64 it is not: bad usage, an unfit key, or a token that no gateway would accept")]
pub(super) struct Mint {
    #[command(flatten)]
    issuer: IssuerArgs,
    /// File that holds the private key in PEM (RSA, EC P-256, EC P-384 or Ed25519), as openssl genpkey writes it
    #[arg(long, value_name = "PATH", group = key::GROUP, conflicts_with_all = ["secret_file", "secret_env"])]
    private_key_file: Option<PathBuf>,
    /// What the key is called in the issuer's JWKS: the token says so (`kid`)
    #[arg(long, value_name = "NAME")]
    kid: Option<String>,
    /// Who shall hold the token
    #[arg(long)]
    user: String,
    /// How long the token shall hold: seconds, or a number with s, m, h or d
    #[arg(long, default_value = "1h", value_parser = seconds)]
    ttl: u64,
    /// Another claim, such as tier=gold; the value may be JSON. May be given several times
    #[arg(long = "claim", value_name = "NAME=VALUE", value_parser = claim)]
    claims: Vec<(String, Value)>,
    /// Topics the token allows to subscribe to. May be given several times
    #[arg(long, value_name = "PATTERN")]
    subscribe: Vec<Pattern>,
    /// Topics the token allows to publish to. May be given several times
    #[arg(long, value_name = "PATTERN")]
    publish: Vec<Pattern>,
}

impl Mint {
    /// The token.
    pub(super) fn token(self, now: u64) -> Result<String, Failure> {
        let private = self.private_key_file.as_deref().map(key::signing).transpose()?;
        let (spec, secrets) = self.issuer.resource(self.public_half(private.as_ref()))?;
        let access = self.issuer.access(&spec, &secrets)?;
        let entry = key::only(&spec.authentication.jwt)?;
        let is_private = private.is_some();
        let signing = private.map_or_else(|| shared(entry, &secrets), Ok)?;
        let algorithm = algorithm(entry, &signing)?;
        let claims = self.claims(entry, now)?;
        let token = signing.sign(algorithm, self.kid.as_deref(), &claims);
        let token =
            token.ok_or_else(|| Failure::internal(format!("the key does not sign with {algorithm:?}")))?;
        match access.authenticate(&token, now) {
            // That a token is not valid yet may be just what is to be tried.
            Ok(_) | Err(AuthError::NotYetValid) => Ok(token),
            Err(error) => {
                let hint = if is_private && error == AuthError::Signature {
                    ": its key is not the private half of one that the resource has, or --kid names another"
                } else {
                    ""
                };
                Err(Failure::usage(format!("no gateway would accept such a token: {error}{hint}")))
            }
        }
    }

    /// What a gateway would be given to verify what the private key signs.
    fn public_half(&self, private: Option<&SigningKey>) -> Option<Key> {
        let (option, field) = ("--private-key-file", "jwksSecretRef");
        let source = self.private_key_file.as_ref()?.display().to_string();
        let bytes = private?.jwks(self.kid.as_deref())?.to_string().into_bytes();
        Some(Key { field, option, source, bytes })
    }

    fn claims(&self, entry: &JwtIssuer, now: u64) -> Result<Map<String, Value>, Failure> {
        let mut claims = Map::new();
        claims.insert("iss".into(), json!(entry.issuer));
        match entry.audiences.as_slice() {
            [] => {}
            [one] => drop(claims.insert("aud".into(), json!(one))),
            several => drop(claims.insert("aud".into(), json!(several))),
        }
        claims.insert(entry.user_claim.clone(), json!(self.user));
        claims.insert("iat".into(), json!(now));
        claims.insert("exp".into(), json!(now.saturating_add(self.ttl)));
        if !(self.subscribe.is_empty() && self.publish.is_empty()) {
            claims.insert("topics".into(), json!({"subscribe": self.subscribe, "publish": self.publish}));
        }
        for (name, value) in &self.claims {
            if claims.insert(name.clone(), value.clone()).is_some() {
                return Err(Failure::usage(format!(
                    "--claim {name} would stand twice in the token: it has an option of its own, or is given twice"
                )));
            }
        }
        Ok(claims)
    }
}

/// The shared secret of an issuer.
fn shared(entry: &JwtIssuer, secrets: &Secrets) -> Result<SigningKey, Failure> {
    let secret = entry.secret_ref.as_ref().and_then(|reference| secrets.key(reference).ok());
    secret.map(SigningKey::secret).ok_or_else(|| {
        Failure::usage(format!(
            "of issuer {:?} the resource has a public key, which signs nothing: give the private one with \
             --private-key-file",
            entry.issuer
        ))
    })
}

/// The first that the issuer uses and the key can sign with.
fn algorithm(entry: &JwtIssuer, key: &SigningKey) -> Result<JwtAlgorithm, Failure> {
    let (wanted, able) = (&entry.algorithms, key.algorithms());
    let either = if wanted.is_empty() { able } else { wanted };
    either.iter().copied().find(|algorithm| able.contains(algorithm)).ok_or_else(|| {
        Failure::usage(format!(
            "the key signs with {able:?}, and the issuer uses {wanted:?}: give another key"
        ))
    })
}

pub(super) fn seconds(text: &str) -> Result<u64, String> {
    let (number, unit) = match text.as_bytes().last() {
        Some(b's') => (&text[..text.len() - 1], 1),
        Some(b'm') => (&text[..text.len() - 1], 60),
        Some(b'h') => (&text[..text.len() - 1], 3600),
        Some(b'd') => (&text[..text.len() - 1], 86_400),
        _ => (text, 1),
    };
    let number = number.parse::<u64>().ok().filter(|number| *number > 0);
    number.and_then(|number| number.checked_mul(unit)).ok_or_else(|| {
        "a number above 0 is expected, with s, m, h or d behind it where it is not seconds".into()
    })
}

fn claim(text: &str) -> Result<(String, Value), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => {
            let value = serde_json::from_str(value).unwrap_or_else(|_| value.into());
            Ok((name.into(), value))
        }
        _ => Err("NAME=VALUE is expected".into()),
    }
}
