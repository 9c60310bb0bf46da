//! The issuer that a token is to be from, out of a resource's file or as options: either way it is the resource a
//! gateway is given, so that both judge alike.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Args;
use serde::{
    Deserialize,
    de::{IntoDeserializer, value::Error},
};
use serde_json::json;

use crate::{
    api::{JwtAlgorithm, JwtIssuer, Secrets, TopicGatewaySpec},
    cli::{Failure, manifest},
    gateway::access::{Access, AccessError, SigningKey},
};

/// The group of options one of which gives the key.
pub(super) const GROUP: &str = "key";

/// Issuer, and what else an entry of `authentication.jwt` says. Never the secret itself on the command line: other users
/// of the machine can read that.
#[derive(Debug, Args)]
pub(super) struct IssuerArgs {
    /// File with the `TopicGateway` and its Secrets, which say all there is to say of an issuer; `-` for standard
    /// input. May be given several times
    #[arg(short, long = "file", value_name = "FILE", group = GROUP)]
    files: Vec<String>,
    /// File that holds the shared secret
    #[arg(long, value_name = "PATH", group = GROUP, conflicts_with = "files")]
    secret_file: Option<PathBuf>,
    /// Environment variable that holds the shared secret
    #[arg(long, value_name = "NAME", group = GROUP, conflicts_with_all = ["files", "secret_file"])]
    secret_env: Option<String>,
    /// The `iss` claim; with -f, which of the file's issuers is meant
    #[arg(long, required_unless_present = "files")]
    issuer: Option<String>,
    /// The `aud` claim; may be given several times
    #[arg(long, conflicts_with = "files")]
    audience: Vec<String>,
    /// Signature algorithm, such as HS256 or ES256 [default: any that fits the key]
    #[arg(long, value_parser = algorithm, conflicts_with = "files")]
    algorithm: Option<JwtAlgorithm>,
    /// The claim that names the user
    #[arg(long, value_name = "CLAIM", default_value = "sub", conflicts_with = "files")]
    user_claim: String,
}

/// A key that an option gives.
pub(super) struct Key {
    /// The field of the resource that would refer to it.
    pub(super) field: &'static str,
    pub(super) option: &'static str,
    /// Where it is.
    pub(super) source: String,
    pub(super) bytes: Vec<u8>,
}

impl Key {
    /// What this file holds.
    pub(super) fn of_file(field: &'static str, option: &'static str, path: &Path) -> Result<Self, Failure> {
        let source = path.display().to_string();
        let bytes = fs::read(path)
            .map_err(|error| Failure::usage(format!("cannot read {source} ({option}): {error}")))?;
        Ok(Self { field, option, source, bytes })
    }
}

/// The private key in this file.
pub(super) fn signing(path: &Path) -> Result<SigningKey, Failure> {
    let key = Key::of_file("", "--private-key-file", path)?;
    SigningKey::pem(&key.bytes)
        .map_err(|error| Failure::usage(format!("{} ({}) {error}", key.source, key.option)))
}

impl IssuerArgs {
    /// The file's resource, with its issuers or the one that is named; without a file, a resource that knows the
    /// issuer of the options and nothing else. With the keys it refers to: `other` is the key where neither a file nor
    /// a shared secret is given.
    pub(super) fn resource(&self, other: Option<Key>) -> Result<(TopicGatewaySpec, Secrets), Failure> {
        if self.files.is_empty() { self.options(other) } else { self.file() }
    }

    /// Judges tokens as a gateway of this resource does.
    pub(super) fn access(&self, spec: &TopicGatewaySpec, secrets: &Secrets) -> Result<Access, Failure> {
        Access::new(spec, secrets).map_err(|error| match error {
            // There is no Secret: its name is that of a file, its key that of an option.
            AccessError::Key { at, source, .. } if self.files.is_empty() => {
                Failure::usage(format!("{} ({}) {source}", at.name, at.key))
            }
            other => Failure::usage(other.to_string()),
        })
    }

    /// Whether the resource is read from standard input.
    pub(super) fn takes_stdin(&self) -> bool {
        self.files.iter().any(|file| file == "-")
    }

    fn file(&self) -> Result<(TopicGatewaySpec, Secrets), Failure> {
        let manifests = manifest::load(&self.files)?;
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

    fn options(&self, other: Option<Key>) -> Result<(TopicGatewaySpec, Secrets), Failure> {
        let key = self.secret()?.or(other);
        let Key { field, option, source, bytes } =
            key.ok_or_else(|| Failure::usage("no key is given: use -f, --secret-file or --secret-env"))?;
        let issuer = json!({
            "issuer": self.issuer,
            "audiences": self.audience,
            "algorithms": self.algorithm.as_slice(),
            "userClaim": self.user_claim,
            field: {"name": source, "key": option},
        });
        let spec = json!({"backbone": {"memory": {}}, "authentication": {"jwt": [issuer]}});
        let spec = serde_json::from_value(spec).map_err(|error| Failure::internal(error.to_string()))?;
        let mut secrets = Secrets::default();
        secrets.insert(&source, option, bytes);
        Ok((spec, secrets))
    }

    fn secret(&self) -> Result<Option<Key>, Failure> {
        const FIELD: &str = "secretRef";
        if let Some(name) = &self.secret_env {
            let value = std::env::var_os(name).ok_or_else(|| {
                Failure::usage(format!(
                    "the environment variable {name} is not set: put the shared secret there"
                ))
            })?;
            let (option, bytes) = ("--secret-env", value.into_encoded_bytes());
            return Ok(Some(Key { field: FIELD, option, source: name.clone(), bytes }));
        }
        self.secret_file.as_ref().map(|path| Key::of_file(FIELD, "--secret-file", path)).transpose()
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

fn algorithm(name: &str) -> Result<JwtAlgorithm, Error> {
    JwtAlgorithm::deserialize(name.into_deserializer())
}
