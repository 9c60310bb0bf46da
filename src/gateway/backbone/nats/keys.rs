//! How gateway and NATS prove themselves to each other: looked up anew for every connection, so that it can be changed
//! while one is open.

use std::{fmt, sync::Arc};

use arc_swap::ArcSwap;
use async_nats::{Auth, AuthError};
use nkeys::KeyPair;
use rustls::{
    ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        ResolvesClientCert, Resumption, WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    pki_types::{CertificateDer, ServerName, UnixTime},
    sign::CertifiedKey,
};

use super::BackboneError;
use crate::{
    api::{NatsBackbone, NatsTls, SecretKeyRef, SecretRef, Secrets},
    gateway::certificate,
};

/// What the next connection proves itself with. Clones are one and the same.
#[derive(Clone)]
pub(crate) struct Keys(Arc<ArcSwap<Held>>);

struct Held {
    login: Login,
    verifier: Arc<WebPkiServerVerifier>,
    /// Shown to a server that asks for one.
    certificate: Option<Arc<CertifiedKey>>,
}

enum Login {
    Nobody,
    /// A user's JWT and the key that its bearer must have.
    Credentials(String, KeyPair),
    Nkey(KeyPair),
    Token(String),
    Password(String, String),
}

impl Keys {
    /// Reads what the spec refers to.
    pub(crate) fn new(spec: &NatsBackbone, secrets: &Secrets) -> Result<Self, BackboneError> {
        let tls = spec.tls.clone().unwrap_or_default();
        let held = Held {
            login: login(spec, secrets)?,
            verifier: verifier(&tls, secrets)?,
            certificate: certificate(&tls, secrets)?,
        };
        Ok(Self(Arc::new(ArcSwap::from_pointee(held))))
    }

    /// From now on these are used.
    pub(crate) fn replace(&self, new: &Self) {
        self.0.store(new.0.load_full());
    }

    /// What a connection shows a server that has sent this challenge.
    pub(super) fn login(&self, nonce: &[u8]) -> Result<Auth, AuthError> {
        let mut auth = Auth::new();
        match &self.0.load().login {
            Login::Nobody => {}
            Login::Credentials(jwt, key) => {
                auth.jwt = Some(jwt.clone());
                auth.signature = Some(key.sign(nonce).map_err(AuthError::new)?);
            }
            Login::Nkey(key) => {
                auth.nkey = Some(key.public_key());
                auth.signature = Some(key.sign(nonce).map_err(AuthError::new)?);
            }
            Login::Token(token) => auth.token = Some(token.clone()),
            Login::Password(user, password) => {
                auth.username = Some(user.clone());
                auth.password = Some(password.clone());
            }
        }
        Ok(auth)
    }

    /// TLS by these keys. Sessions are not resumed: that would pass over what has changed since.
    pub(super) fn tls(&self) -> Result<ClientConfig, BackboneError> {
        let own = Arc::new(self.clone());
        let mut config = ClientConfig::builder_with_provider(certificate::provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| BackboneError::Tls(error.to_string()))?
            // Its name notwithstanding: what verifies is rustls' own verifier, with the CAs of the moment.
            .dangerous()
            .with_custom_certificate_verifier(own.clone())
            .with_client_cert_resolver(own);
        config.resumption = Resumption::disabled();
        Ok(config)
    }
}

impl ServerCertVerifier for Keys {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.0.load().verifier.verify_server_cert(end_entity, intermediates, name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.load().verifier.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.load().verifier.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.load().verifier.supported_verify_schemes()
    }
}

impl ResolvesClientCert for Keys {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.load().certificate.clone()
    }

    fn has_certs(&self) -> bool {
        self.0.load().certificate.is_some()
    }
}

/// They stay out of sight.
impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys")
    }
}

fn login(spec: &NatsBackbone, secrets: &Secrets) -> Result<Login, BackboneError> {
    if let Some(reference) = &spec.credentials_secret_ref {
        let file = text(secrets, reference)?;
        let key = below(file, "USER NKEY SEED").and_then(|seed| KeyPair::from_seed(seed).ok());
        return match below(file, "NATS USER JWT").zip(key) {
            Some((jwt, key)) => Ok(Login::Credentials(jwt.into(), key)),
            None => Err(value(reference, "is not a NATS credentials file (user JWT and seed)")),
        };
    }
    if let Some(reference) = &spec.nkey_secret_ref {
        let seed = text(secrets, reference)?;
        return match KeyPair::from_seed(seed) {
            Ok(key) if seed.starts_with("SU") => Ok(Login::Nkey(key)),
            _ => Err(value(reference, "is not the nkey seed of a user (SU and 56 characters more)")),
        };
    }
    if let Some(reference) = &spec.token_secret_ref {
        return Ok(Login::Token(text(secrets, reference)?.into()));
    }
    if let Some(reference) = &spec.user_password_secret_ref {
        let [user, password] =
            ["username", "password"].map(|name| text(secrets, &key(reference, name)).map(String::from));
        return Ok(Login::Password(user?, password?));
    }
    Ok(Login::Nobody)
}

/// The line behind the one that begins a block of this kind in a credentials file.
fn below<'a>(file: &'a str, kind: &str) -> Option<&'a str> {
    let mut lines = file.lines().map(str::trim);
    lines.find(|line| line.starts_with("---") && line.contains("BEGIN") && line.contains(kind))?;
    lines.find(|line| !line.is_empty()).filter(|line| !line.starts_with("---"))
}

fn verifier(spec: &NatsTls, secrets: &Secrets) -> Result<Arc<WebPkiServerVerifier>, BackboneError> {
    let mut roots = RootCertStore::empty();
    match &spec.ca_secret_ref {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(reference) => {
            for certificate in certificate::chain(secrets, reference)? {
                roots.add(certificate).map_err(|error| {
                    certificate::unfit(reference, format!("is no CA certificate: {error}"))
                })?;
            }
        }
    }
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), certificate::provider())
        .build()
        .map_err(|error| BackboneError::Tls(error.to_string()))
}

fn certificate(spec: &NatsTls, secrets: &Secrets) -> Result<Option<Arc<CertifiedKey>>, BackboneError> {
    let reference = spec.client_certificate_secret_ref.as_ref();
    Ok(reference.map(|reference| certificate::pair(secrets, reference)).transpose()?)
}

/// The text of a value; a line end behind it is left by many tools and never meant.
fn text<'a>(secrets: &'a Secrets, reference: &SecretKeyRef) -> Result<&'a str, BackboneError> {
    let bytes = secrets.key(reference)?;
    let text = std::str::from_utf8(bytes).map_err(|_| value(reference, "is not UTF-8 text"))?;
    Ok(text.trim_end_matches(['\r', '\n']))
}

fn key(reference: &SecretRef, key: &str) -> SecretKeyRef {
    SecretKeyRef { name: reference.name.clone(), key: key.into() }
}

fn value(reference: &SecretKeyRef, problem: &str) -> BackboneError {
    BackboneError::Value {
        secret: reference.name.clone(),
        key: reference.key.clone(),
        problem: problem.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BY_TOKEN: &str = r#"{"servers":["nats://n"],"tokenSecretRef":{"name":"n","key":"k"}}"#;
    const BY_NKEY: &str = r#"{"servers":["nats://n"],"nkeySecretRef":{"name":"n","key":"k"}}"#;
    const BY_FILE: &str = r#"{"servers":["nats://n"],"credentialsSecretRef":{"name":"n","key":"k"}}"#;

    fn keys(spec: &str, value: &str) -> Result<Keys, BackboneError> {
        let mut secrets = Secrets::default();
        secrets.insert("n", "k", value.into());
        Keys::new(&serde_json::from_str(spec).unwrap(), &secrets)
    }

    #[test]
    fn the_next_connection_uses_what_is_held_then() {
        let own = keys(BY_TOKEN, "one").unwrap();
        let used_by_the_client = own.clone();
        assert_eq!(used_by_the_client.login(b"").unwrap().token.unwrap(), "one");
        own.replace(&keys(BY_TOKEN, "two\n").unwrap());
        assert_eq!(used_by_the_client.login(b"").unwrap().token.unwrap(), "two");
        let pair = KeyPair::new_user();
        own.replace(&keys(BY_NKEY, &pair.seed().unwrap()).unwrap());
        let shown = used_by_the_client.login(b"nonce").unwrap();
        assert_eq!((shown.token, shown.nkey), (None, Some(pair.public_key())));
        pair.verify(b"nonce", &shown.signature.unwrap()).unwrap();
    }

    #[test]
    fn a_credentials_file_is_read_whatever_stands_around_its_blocks() {
        let pair = KeyPair::new_user();
        let seed = pair.seed().unwrap();
        let jwt = "-----BEGIN NATS USER JWT-----\na.b.c\n------END NATS USER JWT------\n";
        let whole = format!(
            "{jwt}\n*** keep it ***\n\n-----BEGIN USER NKEY SEED-----\r\n{seed}\r\n------END USER NKEY SEED------"
        );
        let shown = keys(BY_FILE, &whole).unwrap().login(b"nonce").unwrap();
        assert_eq!((shown.jwt.as_deref(), shown.nkey), (Some("a.b.c"), None));
        pair.verify(b"nonce", &shown.signature.unwrap()).unwrap();
        for wrong in
            ["", jwt, &whole.replace(&seed, ""), &whole.replace(&seed, "SUA"), &whole.replace("a.b.c\n", "")]
        {
            let error = keys(BY_FILE, wrong).unwrap_err().to_string();
            assert!(error.contains("not a NATS credentials file"), "{error}");
        }
    }

    #[test]
    fn the_seed_of_something_else_than_a_user_is_refused() {
        let account = KeyPair::new_account().seed().unwrap();
        let error = keys(BY_NKEY, &account).unwrap_err().to_string();
        assert!(error.contains("nkey seed of a user") && !error.contains(&account), "{error}");
    }
}
