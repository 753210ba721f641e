//! Someone who signs tokens, independent of the gateway's own code: ES256 by hand (RFC 7515, RFC 7518 section 3.4).

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// An issuer `https://idp.example/` with one ES256 key, `kid` `k1`, for audience `api`.
pub struct Signer {
    pair: EcdsaKeyPair,
    /// The public key as a JWK set.
    pub public_file: PathBuf,
}

impl Signer {
    pub fn new(folder: &Path) -> Signer {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
        let signer = Signer {
            pair,
            public_file: folder.join("jwks.json"),
        };
        std::fs::write(&signer.public_file, signer.jwks("k1").to_string()).expect("to write");
        signer
    }

    /// The public key as a JWK set under this `kid`.
    pub fn jwks(&self, kid: &str) -> serde_json::Value {
        let point = self.pair.public_key().as_ref();
        serde_json::json!({"keys": [{
            "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": kid,
            "x": URL_SAFE_NO_PAD.encode(&point[1..33]), "y": URL_SAFE_NO_PAD.encode(&point[33..65]),
        }]})
    }

    /// A token with these claims over `iss`, `aud`, `iat`, `exp` (one hour).
    pub fn sign(&self, claims: serde_json::Value) -> String {
        self.sign_with(
            serde_json::json!({"alg": "ES256", "typ": "JWT", "kid": "k1"}),
            claims,
        )
    }

    /// A token with this header; a claim of `null` is left out.
    pub fn sign_with(&self, header: serde_json::Value, claims: serde_json::Value) -> String {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("time")
            .as_secs();
        let mut all =
            serde_json::json!({"iss": "https://idp.example/", "aud": "api", "iat": now, "exp": now + 3600});
        for (name, value) in claims.as_object().expect("an object") {
            if value.is_null() {
                all.as_object_mut().expect("an object").remove(name);
            } else {
                all[name] = value.clone();
            }
        }
        let message = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header.to_string()),
            URL_SAFE_NO_PAD.encode(all.to_string())
        );
        let signature = self
            .pair
            .sign(&SystemRandom::new(), message.as_bytes())
            .expect("a signature");
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }
}
