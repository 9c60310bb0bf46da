//! The issuer that a token is to be from, as options: read into the same resource a gateway is given, so that both
//! judge alike.

use std::{fs, path::PathBuf};

use clap::Args;
use serde::{
    Deserialize,
    de::{IntoDeserializer, value::Error},
};
use serde_json::json;

use crate::{
    api::{JwtAlgorithm, Secrets, TopicGatewaySpec},
    cli::Failure,
};

/// Issuer, key and what else an entry of `authentication.jwt` says.
#[derive(Debug, Args)]
pub(super) struct IssuerArgs {
    #[command(flatten)]
    key: KeyArgs,
    /// The `iss` claim.
    #[arg(long)]
    issuer: String,
    /// The `aud` claim; may be given several times.
    #[arg(long)]
    audience: Vec<String>,
    /// Signature algorithm, such as HS256 [default: HS256 to make a token, any that fits the key to check one].
    #[arg(long, value_parser = algorithm)]
    algorithm: Option<JwtAlgorithm>,
    /// The claim that names the user.
    #[arg(long, value_name = "CLAIM", default_value = "sub")]
    user_claim: String,
}

/// Never the secret itself on the command line: other users of the machine can read that.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct KeyArgs {
    /// File that holds the shared secret.
    #[arg(long, value_name = "PATH")]
    secret_file: Option<PathBuf>,
    /// Environment variable that holds the shared secret.
    #[arg(long, value_name = "NAME")]
    secret_env: Option<String>,
    /// File that holds the issuer's public key in PEM; only checks.
    #[arg(long, value_name = "PATH")]
    public_key_file: Option<PathBuf>,
    /// File that holds the issuer's keys as JWKS; only checks.
    #[arg(long, value_name = "PATH")]
    jwks_file: Option<PathBuf>,
}

impl IssuerArgs {
    /// A resource that knows this issuer and nothing else, and the key it refers to.
    pub(super) fn resource(&self) -> Result<(TopicGatewaySpec, Secrets), Failure> {
        let (reference, option, source, bytes) = self.key.read()?;
        let issuer = json!({
            "issuer": self.issuer,
            "audiences": self.audience,
            "algorithms": self.algorithm.as_slice(),
            "userClaim": self.user_claim,
            reference: {"name": source, "key": option},
        });
        let spec = json!({"backbone": {"memory": {}}, "authentication": {"jwt": [issuer]}});
        let spec = serde_json::from_value(spec).map_err(|error| Failure::internal(error.to_string()))?;
        let mut secrets = Secrets::default();
        secrets.insert(&source, option, bytes);
        Ok((spec, secrets))
    }
}

impl KeyArgs {
    /// The field of the resource, the option, where the key is and the key.
    fn read(&self) -> Result<(&'static str, &'static str, String, Vec<u8>), Failure> {
        if let Some(name) = &self.secret_env {
            let value = std::env::var_os(name).ok_or_else(|| {
                Failure::usage(format!(
                    "the environment variable {name} is not set: put the shared secret there"
                ))
            })?;
            return Ok(("secretRef", "--secret-env", name.clone(), value.into_encoded_bytes()));
        }
        let files = [
            ("secretRef", "--secret-file", &self.secret_file),
            ("publicKeySecretRef", "--public-key-file", &self.public_key_file),
            ("jwksSecretRef", "--jwks-file", &self.jwks_file),
        ];
        let given = files.into_iter().find_map(|(field, option, path)| Some((field, option, path.as_ref()?)));
        let (field, option, path) =
            given.ok_or_else(|| Failure::usage("no key is given: use --secret-file or --secret-env"))?;
        let bytes = fs::read(path)
            .map_err(|error| Failure::usage(format!("cannot read {} ({option}): {error}", path.display())))?;
        Ok((field, option, path.display().to_string(), bytes))
    }
}

fn algorithm(name: &str) -> Result<JwtAlgorithm, Error> {
    JwtAlgorithm::deserialize(name.into_deserializer())
}
