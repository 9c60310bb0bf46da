//! Public keys in PEM: SPKI (RFC 5280 §4.1), PKCS#1 (RFC 8017 A.1.1) and the key in an X.509 certificate.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{error::KeyError, key::Material};
use crate::api::JwtAlgorithm;

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OBJECT_ID: u8 = 0x06;
const VERSION: u8 = 0xa0;

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
    let mut der = Der(&der);
    match label {
        "PUBLIC KEY" => spki(&mut der),
        "RSA PUBLIC KEY" => rsa(&mut der),
        "CERTIFICATE" => certificate(&mut der),
        _ => Err(KeyError::NotPem),
    }
}

fn certificate(der: &mut Der<'_>) -> Result<Material, KeyError> {
    let mut signed = Der(Der(der.take(SEQUENCE)?).take(SEQUENCE)?);
    if signed.0.first() == Some(&VERSION) {
        signed.take(VERSION)?;
    }
    // Serial number, algorithm, issuer, validity and subject stand before the key. Only the key is taken: that it is
    // trusted is what the Secret says, so neither the dates nor the signature of the certificate are looked at.
    for tag in [INTEGER, SEQUENCE, SEQUENCE, SEQUENCE, SEQUENCE] {
        signed.take(tag)?;
    }
    spki(&mut signed)
}

fn spki(der: &mut Der<'_>) -> Result<Material, KeyError> {
    let mut spki = Der(der.take(SEQUENCE)?);
    let mut kind = Der(spki.take(SEQUENCE)?);
    let (key, mut parameters) = (kind.take(OBJECT_ID)?, kind);
    let bits = spki.take(BIT_STRING)?.strip_prefix(&[0]).ok_or(KeyError::NotPem)?;
    match key {
        RSA => rsa(&mut Der(bits)),
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
    let mut numbers = Der(der.take(SEQUENCE)?);
    let (n, e) = (numbers.take(INTEGER)?, numbers.take(INTEGER)?);
    Material::rsa(n, e)
}

/// Reads DER (X.690 §8.1) one element after another.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The content of the next element, which must have this tag.
    fn take(&mut self, tag: u8) -> Result<&'a [u8], KeyError> {
        let (&[found, first], rest) = self.0.split_first_chunk::<2>().ok_or(KeyError::NotPem)?;
        let long = usize::from(first & 0x7f);
        let (length, rest) = match first {
            0..=0x7f => (long, rest),
            // Up to 65 535 bytes, more than any key or certificate takes here.
            0x81 | 0x82 if rest.len() >= long => {
                let (bytes, rest) = rest.split_at(long);
                (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
            }
            _ => return Err(KeyError::NotPem),
        };
        if found != tag || length > rest.len() {
            return Err(KeyError::NotPem);
        }
        let (content, rest) = rest.split_at(length);
        self.0 = rest;
        Ok(content)
    }
}
