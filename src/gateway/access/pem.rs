//! Public keys in PEM: SPKI (RFC 5280 §4.1), PKCS#1 (RFC 8017 A.1.1) and the key in an X.509 certificate.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{error::KeyError, key::Material};
use crate::{
    api::JwtAlgorithm,
    gateway::der::{BIT_STRING, Der, INTEGER, Malformed, OBJECT_ID, SEQUENCE, VERSION},
};

const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];

/// The key of the first PEM block; text before it is passed over, as openssl writes some.
pub(super) fn public_key(pem: &[u8]) -> Result<Material, KeyError> {
    let text = std::str::from_utf8(pem).map_err(|_| KeyError::NotPem)?;
    let (label, rest) = text
        .split_once("-----BEGIN ")
        .and_then(|(_, rest)| rest.split_once("-----"))
        .ok_or(KeyError::NotPem)?;
    if label.ends_with("PRIVATE KEY") {
        return Err(KeyError::Private);
    }
    let (body, _) = rest.split_once("-----END ").ok_or(KeyError::NotPem)?;
    let body: String = body.split_ascii_whitespace().collect();
    let der = STANDARD.decode(body).map_err(|_| KeyError::NotPem)?;
    let mut der = Der::new(&der);
    match label {
        "PUBLIC KEY" => spki(&mut der),
        "RSA PUBLIC KEY" => rsa(&mut der),
        "CERTIFICATE" => certificate(&mut der),
        _ => Err(KeyError::NotPem),
    }
}

fn certificate(der: &mut Der<'_>) -> Result<Material, KeyError> {
    let mut signed = Der::new(Der::new(der.take(SEQUENCE)?).take(SEQUENCE)?);
    signed.skip(VERSION)?;
    // Serial number, algorithm, issuer, validity and subject stand before the key. Only the key is taken: that it is
    // trusted is what the Secret says, so neither the dates nor the signature of the certificate are looked at.
    for tag in [INTEGER, SEQUENCE, SEQUENCE, SEQUENCE, SEQUENCE] {
        signed.take(tag)?;
    }
    spki(&mut signed)
}

impl From<Malformed> for KeyError {
    fn from(Malformed: Malformed) -> Self {
        Self::NotPem
    }
}

fn spki(der: &mut Der<'_>) -> Result<Material, KeyError> {
    let mut spki = Der::new(der.take(SEQUENCE)?);
    let mut kind = Der::new(spki.take(SEQUENCE)?);
    let (key, mut parameters) = (kind.take(OBJECT_ID)?, kind);
    let bits = spki.take(BIT_STRING)?.strip_prefix(&[0]).ok_or(KeyError::NotPem)?;
    match key {
        RSA => rsa(&mut Der::new(bits)),
        ED25519 => Material::curve(JwtAlgorithm::EdDSA, bits),
        EC => match parameters.take(OBJECT_ID)? {
            P256 => Material::curve(JwtAlgorithm::ES256, bits),
            P384 => Material::curve(JwtAlgorithm::ES384, bits),
            _ => Err(KeyError::Unsupported),
        },
        _ => Err(KeyError::Unsupported),
    }
}

fn rsa(der: &mut Der<'_>) -> Result<Material, KeyError> {
    let mut numbers = Der::new(der.take(SEQUENCE)?);
    let (n, e) = (numbers.take(INTEGER)?, numbers.take(INTEGER)?);
    Material::rsa(n, e)
}
