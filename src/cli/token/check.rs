//! Says what a gateway would say to a token.

use std::{io::Read, path::PathBuf};

use clap::{ArgGroup, Args};

use super::key::{self, IssuerArgs, Key};
use crate::{
    cli::Failure,
    gateway::access::{self, MAX_TOKEN_BYTES},
};

/// The token and who it should be from.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new(key::GROUP).required(true).multiple(true))]
#[command(after_help = "\
Examples:
  topic-gateway token check -f gateway.yaml \"$TOKEN\"
  topic-gateway token check -f gateway.yaml < token
  topic-gateway token check --jwks-file keys.json --issuer https://id.example.com --audience market < token
  topic-gateway token mint --secret-file jwt.key --issuer home --user ann |
    topic-gateway token check --secret-file jwt.key --issuer home

Exit codes: 0 the token is valid, 64 bad usage or an unfit key, 77 a gateway would refuse the token")]
pub(super) struct Check {
    #[command(flatten)]
    issuer: IssuerArgs,
    /// File that holds the issuer's public key in PEM
    #[arg(long, value_name = "PATH", group = key::GROUP, conflicts_with_all = ["files", "secret_file", "secret_env"])]
    public_key_file: Option<PathBuf>,
    /// File that holds the issuer's keys as JWKS
    #[arg(long, value_name = "PATH", group = key::GROUP, conflicts_with_all = ["files", "secret_file", "secret_env", "public_key_file"])]
    jwks_file: Option<PathBuf>,
    /// The token; read from standard input where it is not given
    token: Option<String>,
}

impl Check {
    /// The token, without white space around it. At most one byte more is read than a token may have, and some
    /// white space.
    pub(super) fn token(&self, stdin: impl Read) -> Result<String, Failure> {
        let mut token = self.token.clone().unwrap_or_default();
        if self.token.is_none() {
            if self.issuer.takes_stdin() {
                return Err(Failure::usage(
                    "standard input cannot be both the resource and the token: give one of them otherwise",
                ));
            }
            stdin.take(MAX_TOKEN_BYTES as u64 + 64).read_to_string(&mut token).map_err(|error| {
                Failure::usage(format!("cannot read a token from standard input: {error}"))
            })?;
        }
        Ok(token.trim().into())
    }

    /// Who holds the token and how long, or why it is refused.
    pub(super) fn verdict(&self, token: &str, now: u64) -> Result<String, Failure> {
        let (spec, secrets) = self.issuer.resource(self.public_key()?)?;
        let identity = self
            .issuer
            .access(&spec, &secrets)?
            .authenticate(token, now)
            .map_err(|error| Failure::refused(format!("a gateway refuses this token: {error}")))?;
        let left = identity.expires_at.unwrap_or(now).saturating_sub(now);
        Ok(format!("valid: user {:?}, for another {left} s", identity.user))
    }

    fn public_key(&self) -> Result<Option<Key>, Failure> {
        let files = [
            ("publicKeySecretRef", "--public-key-file", &self.public_key_file),
            ("jwksSecretRef", "--jwks-file", &self.jwks_file),
        ];
        let given = files.into_iter().find_map(|(field, option, path)| Some((field, option, path.as_ref()?)));
        given.map(|(field, option, path)| Key::of_file(field, option, path)).transpose()
    }
}

/// The claims as JSON, whether they are genuine or not; `None` where there are none to be read.
pub(super) fn claims(token: &str) -> Option<String> {
    serde_json::to_string_pretty(&access::unverified_claims(token).ok()?).ok()
}
