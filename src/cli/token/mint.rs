//! Makes a token.

use clap::Args;
use serde_json::{Map, Value, json};

use super::key::{self, IssuerArgs};
use crate::{
    api::{JwtAlgorithm, JwtIssuer, Pattern},
    cli::Failure,
    gateway::access::{self, Access, AuthError},
};

/// What the token shall say.
#[derive(Debug, Args)]
pub(super) struct Mint {
    #[command(flatten)]
    issuer: IssuerArgs,
    /// Who shall hold the token.
    #[arg(long)]
    user: String,
    /// How long the token shall hold: seconds, or a number with s, m, h or d.
    #[arg(long, default_value = "1h", value_parser = seconds)]
    ttl: u64,
    /// Another claim, such as tier=gold; the value may be JSON. May be given several times.
    #[arg(long = "claim", value_name = "NAME=VALUE", value_parser = claim)]
    claims: Vec<(String, Value)>,
    /// Topics the token allows to subscribe to. May be given several times.
    #[arg(long, value_name = "PATTERN")]
    subscribe: Vec<Pattern>,
    /// Topics the token allows to publish to. May be given several times.
    #[arg(long, value_name = "PATTERN")]
    publish: Vec<Pattern>,
}

impl Mint {
    /// The token.
    pub(super) fn token(self, now: u64) -> Result<String, Failure> {
        let (spec, secrets) = self.issuer.resource()?;
        let access = Access::new(&spec, &secrets).map_err(|error| Failure::usage(error.to_string()))?;
        let entry = key::only(&spec.authentication.jwt)?;
        let secret = entry.secret_ref.as_ref().and_then(|reference| secrets.key(reference).ok()).ok_or_else(|| {
            Failure::usage(
                "only a shared secret can sign a token here: give --secret-file or --secret-env, or a file whose \
                 issuer has a secretRef",
            )
        })?;
        let algorithm = entry.algorithms.first().copied().unwrap_or(JwtAlgorithm::HS256);
        let claims = self.claims(entry, now)?;
        let token = access::sign(algorithm, secret, &claims)
            .ok_or_else(|| Failure::usage("a shared secret signs with HS256, HS384 or HS512 only"))?;
        match access.authenticate(&token, now) {
            // That a token is not valid yet may be just what is to be tried.
            Ok(_) | Err(AuthError::NotYetValid) => {}
            Err(error) => {
                return Err(Failure::usage(format!("no gateway would accept such a token: {error}")));
            }
        }
        Ok(token)
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
