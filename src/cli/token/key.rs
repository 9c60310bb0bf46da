//! The issuer that a token is to be from, out of a resource's file or as options: either way it is the resource a
//! gateway is given, so that both judge alike.

use std::{fs, path::PathBuf};

use clap::Args;
use serde::{
    Deserialize,
    de::{IntoDeserializer, value::Error},
};
use serde_json::json;

use crate::{
    api::{JwtAlgorithm, JwtIssuer, Secrets, TopicGatewaySpec},
    cli::{Failure, manifest},
};

/// Issuer, key and what else an entry of `authentication.jwt` says.
#[derive(Debug, Args)]
pub(super) struct IssuerArgs {
    #[command(flatten)]
    key: KeyArgs,
    /// The `iss` claim; with -f, which of the file's issuers is meant.
    #[arg(long, required_unless_present = "files")]
    issuer: Option<String>,
    /// The `aud` claim; may be given several times.
    #[arg(long, conflicts_with = "files")]
    audience: Vec<String>,
    /// Signature algorithm, such as HS256 [default: HS256 to make a token, any that fits the key to check one].
    #[arg(long, value_parser = algorithm, conflicts_with = "files")]
    algorithm: Option<JwtAlgorithm>,
    /// The claim that names the user.
    #[arg(long, value_name = "CLAIM", default_value = "sub", conflicts_with = "files")]
    user_claim: String,
}

/// Never the secret itself on the command line: other users of the machine can read that.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct KeyArgs {
    /// File with the `TopicGateway` and its Secrets, which say all there is to say of an issuer; `-` for standard
    /// input. May be given several times.
    #[arg(short, long = "file", value_name = "FILE")]
    files: Vec<String>,
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
    /// The file's resource, with its issuers or the one that is named; without a file, a resource that knows the
    /// issuer of the options and nothing else. With the keys it refers to.
    pub(super) fn resource(&self) -> Result<(TopicGatewaySpec, Secrets), Failure> {
        if self.key.files.is_empty() { self.options() } else { self.file() }
    }

    /// Whether the resource is read from standard input.
    pub(super) fn takes_stdin(&self) -> bool {
        self.key.files.iter().any(|file| file == "-")
    }

    fn file(&self) -> Result<(TopicGatewaySpec, Secrets), Failure> {
        let manifests = manifest::load(&self.key.files)?;
        let mut spec = manifests.gateway.spec;
        let issuers = &mut spec.authentication.jwt;
        if issuers.is_empty() {
            return Err(Failure::usage("the resource has no issuer: add one to authentication.jwt"));
        }
        if let Some(name) = &self.issuer {
            let known = names(issuers);
            issuers.retain(|entry| entry.issuer == *name);
            if issuers.is_empty() {
                return Err(Failure::usage(format!(
                    "the resource has no issuer {name:?}: give --issuer one of {known}"
                )));
            }
        }
        Ok((spec, manifests.secrets))
    }

    fn options(&self) -> Result<(TopicGatewaySpec, Secrets), Failure> {
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

/// The one issuer, where there is no choice.
pub(super) fn only(issuers: &[JwtIssuer]) -> Result<&JwtIssuer, Failure> {
    match issuers {
        [one] => Ok(one),
        several => Err(Failure::usage(format!(
            "the resource has several issuers: give --issuer one of {}",
            names(several)
        ))),
    }
}

fn names(issuers: &[JwtIssuer]) -> String {
    issuers.iter().map(|entry| format!("{:?}", entry.issuer)).collect::<Vec<_>>().join(", ")
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
            given.ok_or_else(|| Failure::usage("no key is given: use -f, --secret-file or --secret-env"))?;
        let bytes = fs::read(path)
            .map_err(|error| Failure::usage(format!("cannot read {} ({option}): {error}", path.display())))?;
        Ok((field, option, path.display().to_string(), bytes))
    }
}

fn algorithm(name: &str) -> Result<JwtAlgorithm, Error> {
    JwtAlgorithm::deserialize(name.into_deserializer())
}
