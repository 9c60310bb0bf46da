//! Whom a client takes a gateway's certificate from.

use std::{path::Path, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};

use crate::cli::Failure;

/// TLS that trusts the CAs in this file and no others; without one, those that browsers trust.
pub(in crate::cli) fn trusting(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, Failure> {
    let roots = match ca_file {
        Some(path) => authorities(path)?,
        None => webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect(),
    };
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Failure::internal(format!("TLS cannot be set up: {error}")))?;
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}

fn authorities(path: &Path) -> Result<RootCertStore, Failure> {
    let bad = |why: String| {
        let path = path.display();
        Failure::usage(format!(
            "cannot read CA certificates from {path}: {why}; give a PEM file with --ca-file"
        ))
    };
    let pem = std::fs::read(path).map_err(|error| bad(error.to_string()))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| bad(error.to_string()))?;
        roots.add(certificate).map_err(|error| bad(error.to_string()))?;
    }
    if roots.is_empty() { Err(bad("there are none in it".into())) } else { Ok(roots) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::certificate::fixture::authority;

    #[test]
    fn the_authorities_of_a_file_are_taken_and_what_is_none_is_bad_usage_and_named() {
        let home = tempfile::TempDir::new().unwrap();
        authority(home.path());
        assert_eq!(authorities(&home.path().join("ca.crt")).unwrap().len(), 1);
        for name in ["ca.key", "no-such"] {
            let failure = trusting(Some(&home.path().join(name))).unwrap_err();
            assert_eq!(failure.code, 64);
            assert!(failure.message.contains(name) && failure.message.contains("--ca-file"), "{failure}");
        }
    }
}
