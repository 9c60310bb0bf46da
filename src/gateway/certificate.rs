//! Certificates and private keys in PEM (RFC 7468), as the Secrets of type `kubernetes.io/tls` hold them.

mod expiry;
#[cfg(test)]
pub(crate) mod fixture;

use std::sync::Arc;

use rustls::{
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::CertifiedKey,
};

use expiry::ends_at;

use crate::api::{SecretError, SecretKeyRef, SecretRef, Secrets};

/// Key of the certificate, and of those between it and the CA, in a Secret of type `kubernetes.io/tls`.
const CERTIFICATE: &str = "tls.crt";
/// Key of the private key there.
const PRIVATE_KEY: &str = "tls.key";

/// What a server shows its clients, and proves to be its own.
#[derive(Debug)]
pub struct Certificate {
    /// The certificate, those between it and the CA, and the private key.
    pub key: Arc<CertifiedKey>,
    /// Seconds from 1970 to its end; `None` where it tells none that can be read.
    pub ends_at: Option<u64>,
}

impl Certificate {
    /// The pair in a Secret of type `kubernetes.io/tls`. It may have expired: see [`Certificate::has_expired`].
    pub fn read(secrets: &Secrets, reference: &SecretRef) -> Result<Self, CertificateError> {
        let key = pair(secrets, reference)?;
        let ends_at = key.end_entity_cert().ok().and_then(|certificate| ends_at(certificate));
        Ok(Self { key, ends_at })
    }

    /// Whether it may take the place of another, at this time in seconds since 1970: one that has expired may not
    /// replace one that has not.
    pub fn succeeds(&self, other: &Self, now: u64) -> Result<(), CertificateError> {
        if self.has_expired(now) && !other.has_expired(now) { Err(CertificateError::Expired) } else { Ok(()) }
    }

    /// Whether clients no longer take it, at this time in seconds since 1970.
    pub fn has_expired(&self, now: u64) -> bool {
        self.ends_at.is_some_and(|end| end < now)
    }
}

/// Why there is no certificate, or no use of it. Never shows a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// A reference that leads nowhere.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// A value that is not what it should be.
    #[error("Secret {secret:?}, key {key:?}: {problem}")]
    Value {
        /// Name of the Secret.
        secret: String,
        /// Key within the Secret.
        key: String,
        /// What is wrong with the value.
        problem: String,
    },
    /// Nobody would take it.
    #[error("the new certificate has expired: renew it, the one before is still in use")]
    Expired,
    /// Each may be good, but not with the other.
    #[error(
        "certificate and key in Secret {secret:?} do not go together: {problem}; put in both of one pair"
    )]
    Pair {
        /// Name of the Secret.
        secret: String,
        /// What does not fit.
        problem: String,
    },
}

/// The cryptography of every TLS connection.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Certificate and private key from a Secret of type `kubernetes.io/tls`.
pub(crate) fn pair(secrets: &Secrets, reference: &SecretRef) -> Result<Arc<CertifiedKey>, CertificateError> {
    let key = |key: &str| SecretKeyRef { name: reference.name.clone(), key: key.into() };
    let chain = chain(secrets, &key(CERTIFICATE))?;
    let at = key(PRIVATE_KEY);
    let private = PrivateKeyDer::from_pem_slice(secrets.key(&at)?)
        .map_err(|_| unfit(&at, "holds no private key in PEM".into()))?;
    let certified = CertifiedKey::from_der(chain, private, &provider()).map_err(|error| {
        CertificateError::Pair { secret: reference.name.clone(), problem: error.to_string() }
    })?;
    Ok(Arc::new(certified))
}

/// The certificates that a value holds, at least one.
pub(crate) fn chain(
    secrets: &Secrets,
    reference: &SecretKeyRef,
) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let found = CertificateDer::pem_slice_iter(secrets.key(reference)?).collect::<Result<Vec<_>, _>>();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(unfit(reference, "holds no certificates in PEM".into())),
    }
}

/// A value that is not what it should be, for this reason.
pub(crate) fn unfit(reference: &SecretKeyRef, problem: String) -> CertificateError {
    CertificateError::Value { secret: reference.name.clone(), key: reference.key.clone(), problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference() -> SecretRef {
        SecretRef { name: "t".into() }
    }

    fn refused(secrets: &Secrets) -> String {
        pair(secrets, &reference()).unwrap_err().to_string()
    }

    #[test]
    fn a_pair_is_taken_and_its_end_is_known() {
        let made = fixture::Authority::new().pair(7);
        let pair = Certificate::read(&fixture::secret("t", &made), &reference()).unwrap();
        let end = pair.ends_at.unwrap();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        assert!((7 * 86_400 - 60..=7 * 86_400).contains(&(end - now)), "{end} {now}");
        assert!(!pair.has_expired(end) && pair.has_expired(end + 1));
    }

    #[test]
    fn one_that_has_expired_takes_the_place_of_none_that_has_not() {
        let made = fixture::Authority::new().pair(7);
        let key = pair(&fixture::secret("t", &made), &reference()).unwrap();
        let until = |ends_at| Certificate { key: key.clone(), ends_at };
        let (past, future, unknown) = (until(Some(9)), until(Some(11)), until(None));
        for (new, old, taken) in [
            (&past, &future, false),
            (&past, &unknown, false),
            (&past, &past, true),
            (&future, &past, true),
            (&unknown, &future, true),
        ] {
            assert_eq!(new.succeeds(old, 10).is_ok(), taken, "{:?} {:?}", new.ends_at, old.ends_at);
        }
    }

    #[test]
    fn what_cannot_be_used_is_told_with_secret_and_key_and_never_shown() {
        let authority = fixture::Authority::new();
        let (one, other) = (authority.pair(7), authority.pair(7));
        for (pair, expected) in [
            ((one.0.clone(), "no key".into()), "Secret \"t\", key \"tls.key\": holds no private key in PEM"),
            (("none".into(), one.1.clone()), "Secret \"t\", key \"tls.crt\": holds no certificates in PEM"),
            ((one.1.clone(), one.1.clone()), "Secret \"t\", key \"tls.crt\": holds no certificates in PEM"),
            ((one.0.clone(), other.1), "certificate and key in Secret \"t\" do not go together"),
        ] {
            let told = refused(&fixture::secret("t", &pair));
            assert!(told.starts_with(expected), "{told}");
        }
        assert!(refused(&Secrets::default()).contains("there is no Secret"));
    }
}
