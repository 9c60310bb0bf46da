//! Certificates for tests, made with `openssl`, which shares no code with what is tested.

use std::{fs, path::Path, process::Command};

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use tempfile::TempDir;

use crate::api::Secrets;

const NEW: &str = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";

/// A CA of its own.
pub(crate) struct Authority(TempDir);

impl Authority {
    /// Another one each time.
    pub(crate) fn new() -> Self {
        let dir = TempDir::new().unwrap();
        authority(dir.path());
        Self(dir)
    }

    /// Certificate and key, in PEM, of a server on this machine.
    pub(crate) fn pair(&self, days: u32) -> (String, String) {
        server(self.0.path(), "server", days);
        let read = |name: &str| fs::read_to_string(self.0.path().join(name)).unwrap();
        (read("server.crt"), read("server.key"))
    }

    /// What a client trusts.
    pub(crate) fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.0.path().join("ca.crt")).unwrap()).unwrap();
        roots
    }
}

/// This pair in a Secret of this name.
pub(crate) fn secret(name: &str, (certificate, key): &(String, String)) -> Secrets {
    let mut secrets = Secrets::default();
    secrets.insert(name, "tls.crt", certificate.as_bytes().to_vec());
    secrets.insert(name, "tls.key", key.as_bytes().to_vec());
    secrets
}

/// A CA as files.
pub(crate) fn authority(dir: &Path) {
    openssl(dir, &format!("req -x509 {NEW} -days 30 -subj /CN=ca -keyout ca.key -out ca.crt"));
}

/// A certificate by the CA in this folder, for 127.0.0.1, as files of this name.
pub(crate) fn server(dir: &Path, name: &str, days: u32) {
    let what = "-addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE";
    let by = format!("-CA ca.crt -CAkey ca.key -keyout {name}.key -out {name}.crt");
    openssl(dir, &format!("req -x509 {NEW} -days {days} -subj /CN={name} {what} {by}"));
}

fn openssl(dir: &Path, command: &str) {
    let output = Command::new("openssl").args(command.split(' ')).current_dir(dir).output().unwrap();
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
}
