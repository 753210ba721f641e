//! Raw signatures over raw parts, for tests that forge.

use aws_lc_rs::rand::SystemRandom;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::*;

/// Signs `header` and `payload` as they are, whatever they say, and encodes all three parts.
pub(crate) fn token(key: &SigningKey, algorithm: Algorithm, header: &[u8], payload: &[u8]) -> String {
    let signed = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(payload)
    );
    format!(
        "{signed}.{}",
        URL_SAFE_NO_PAD.encode(signature(key, algorithm, signed.as_bytes()))
    )
}

/// The signature alone.
pub(crate) fn signature(key: &SigningKey, algorithm: Algorithm, message: &[u8]) -> Vec<u8> {
    let random = SystemRandom::new();
    let der = key.pkcs8.reveal();
    let rsa = |padding: &'static dyn aws_lc_rs::signature::RsaEncoding| {
        let pair = RsaKeyPair::from_pkcs8(der).unwrap();
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(padding, &random, message, &mut signature).unwrap();
        signature
    };
    let elliptic = |curve| {
        let pair = EcdsaKeyPair::from_pkcs8(curve, der).unwrap();
        pair.sign(&random, message).unwrap().as_ref().to_vec()
    };
    match algorithm {
        Algorithm::RS256 => rsa(&aws_lc_rs::signature::RSA_PKCS1_SHA256),
        Algorithm::RS384 => rsa(&aws_lc_rs::signature::RSA_PKCS1_SHA384),
        Algorithm::RS512 => rsa(&aws_lc_rs::signature::RSA_PKCS1_SHA512),
        Algorithm::PS256 => rsa(&aws_lc_rs::signature::RSA_PSS_SHA256),
        Algorithm::PS384 => rsa(&aws_lc_rs::signature::RSA_PSS_SHA384),
        Algorithm::PS512 => rsa(&aws_lc_rs::signature::RSA_PSS_SHA512),
        Algorithm::ES256 => elliptic(&ECDSA_P256_SHA256_FIXED_SIGNING),
        Algorithm::ES384 => elliptic(&ECDSA_P384_SHA384_FIXED_SIGNING),
        Algorithm::EdDSA => Ed25519KeyPair::from_pkcs8(der)
            .unwrap()
            .sign(message)
            .as_ref()
            .to_vec(),
        Algorithm::HS256 => {
            let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, key.key.as_bytes());
            aws_lc_rs::hmac::sign(&key, message).as_ref().to_vec()
        }
    }
}
