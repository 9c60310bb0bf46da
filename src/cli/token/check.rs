//! Says what a gateway would say to a token.

use std::io::Read;

use clap::Args;

use super::key::IssuerArgs;
use crate::{
    cli::Failure,
    gateway::access::{self, Access, MAX_TOKEN_BYTES},
};

/// The token and who it should be from.
#[derive(Debug, Args)]
pub(super) struct Check {
    #[command(flatten)]
    issuer: IssuerArgs,
    /// The token; read from standard input where it is not given.
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
        let (spec, secrets) = self.issuer.resource()?;
        let access = Access::new(&spec, &secrets).map_err(|error| Failure::usage(error.to_string()))?;
        let identity = access
            .authenticate(token, now)
            .map_err(|error| Failure::usage(format!("a gateway refuses this token: {error}")))?;
        let left = identity.expires_at.unwrap_or(now).saturating_sub(now);
        Ok(format!("valid: user {:?}, for another {left} s", identity.user))
    }
}

/// The claims as JSON, whether they are genuine or not; `None` where there are none to be read.
pub(super) fn claims(token: &str) -> Option<String> {
    serde_json::to_string_pretty(&access::unverified_claims(token).ok()?).ok()
}
