//! Verification keys from PEM (RFC 7468): public keys and certificates.

use x509_parser::der_parser::asn1_rs::{FromDer, Oid};
use x509_parser::oid_registry::{
    OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_PKCS1_RSAENCRYPTION, OID_SIG_ED25519,
};
use x509_parser::pem::Pem;
use x509_parser::public_key::RSAPublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::algorithm::KeyKind;
use super::jwk::{Key, KeyError};

/// The keys in `text`: any number of `PUBLIC KEY` or `RSA PUBLIC KEY` blocks, or one `CERTIFICATE`, whose key is pinned:
/// neither its dates nor its issuer are looked at.
///
/// # Errors
/// [`KeyError::Format`] when there is none, when there is a private key (it does not belong on a gateway that only
/// verifies), or when there is more than one certificate: the second would be an authority's, and its key must not
/// verify tokens.
pub fn keys(text: &[u8]) -> Result<Vec<Key>, KeyError> {
    let mut keys = Vec::new();
    let mut certificates = 0_usize;
    for block in Pem::iter_from_buffer(text) {
        let block = block.map_err(|_| KeyError::Format("not PEM"))?;
        match block.label.as_str() {
            "PUBLIC KEY" => keys.push(public_key(&block.contents)?),
            "RSA PUBLIC KEY" => keys.push(rsa(&block.contents)?),
            "CERTIFICATE" => {
                certificates += 1;
                let certificate = block
                    .parse_x509()
                    .map_err(|_| KeyError::Malformed("the certificate cannot be read"))?;
                keys.push(from_info(&certificate.tbs_certificate.subject_pki)?);
            }
            label if label.ends_with("PRIVATE KEY") => {
                return Err(KeyError::Format("a private key where a public key is wanted"));
            }
            _ => {
                return Err(KeyError::Format(
                    "a PEM block that is neither a public key nor a certificate",
                ));
            }
        }
    }
    if certificates > 1 {
        return Err(KeyError::Format(
            "more than one certificate; give only the one that signs tokens",
        ));
    }
    if keys.is_empty() {
        return Err(KeyError::Format(
            "no PEM block with a public key or a certificate",
        ));
    }
    Ok(keys)
}

/// The key in a DER SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7).
///
/// # Errors
/// [`KeyError`].
pub fn public_key(der: &[u8]) -> Result<Key, KeyError> {
    match SubjectPublicKeyInfo::from_der(der) {
        Ok(([], info)) => from_info(&info),
        Ok(_) | Err(_) => Err(KeyError::Malformed("the public key cannot be read")),
    }
}

fn from_info(info: &SubjectPublicKeyInfo<'_>) -> Result<Key, KeyError> {
    let kind = &info.algorithm.algorithm;
    let bits = info.subject_public_key.data.as_ref();
    if *kind == OID_PKCS1_RSAENCRYPTION {
        rsa(bits)
    } else if *kind == OID_KEY_TYPE_EC_PUBLIC_KEY {
        let curve: Option<Oid<'_>> = info
            .algorithm
            .parameters
            .as_ref()
            .and_then(|parameters| parameters.as_oid().ok());
        match curve {
            Some(curve) if curve == OID_EC_P256 => Key::elliptic(KeyKind::P256, bits),
            Some(curve) if curve == OID_NIST_EC_P384 => Key::elliptic(KeyKind::P384, bits),
            Some(_) | None => Err(KeyError::Unsupported("its curve")),
        }
    } else if *kind == OID_SIG_ED25519 {
        Key::ed25519(bits)
    } else {
        Err(KeyError::Unsupported("its algorithm"))
    }
}

fn rsa(der: &[u8]) -> Result<Key, KeyError> {
    match RSAPublicKey::from_der(der) {
        Ok(([], key)) => Key::rsa(key.modulus, key.exponent),
        Ok(_) | Err(_) => Err(KeyError::Malformed("the RSA key cannot be read")),
    }
}
