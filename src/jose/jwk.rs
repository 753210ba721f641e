//! One verification key: parsed once, bound to the algorithms of its kind.
//!
//! A token names an algorithm; whether it may be used is the key's to say (RFC 8725 section 3.1). A key holds one
//! verifier for each algorithm of its kind, narrowed by the JWK's own `alg`, `use` and `key_ops`, and nothing else can
//! be asked of it.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters, RsaPublicKeyComponents,
};
use aws_lc_rs::{digest, hmac};
use serde_json::{Map, Value};

use super::algorithm::{self, KeyKind};
use super::compact;
use crate::base::secret::Secret;
use crate::config::plan::Algorithm;

/// Shortest shared secret, in bytes: the size of the hash (RFC 7518 section 3.2).
pub const SHORTEST_SECRET: usize = 32;

/// Why something is not a key that tokens can be verified by.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    File {
        /// Which.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The text is no PEM, no JWK and no JWK set.
    #[error("{0}")]
    Format(&'static str),
    /// A JWK whose `kty`, `crv`, `use`, `key_ops` or `alg` is not for verifying tokens here.
    #[error("the key is not one that tokens are verified by here: {0}")]
    Unsupported(&'static str),
    /// An RSA key with a modulus that is too short or too long.
    #[error("an RSA key of {bits} bits; 2048 to 8192 are accepted")]
    RsaSize {
        /// Its length.
        bits: usize,
    },
    /// The numbers do not make a key.
    #[error("the key is malformed: {0}")]
    Malformed(&'static str),
    /// A shared secret that can be guessed.
    #[error("a secret of {length} bytes; at least {SHORTEST_SECRET} are needed for HS256")]
    SecretSize {
        /// Its length.
        length: usize,
    },
    /// There is a set, and nothing in it is usable.
    #[error("no key that tokens can be verified by")]
    NoneUsable,
    /// The TLS client for a key URL cannot be set up.
    #[error("keys cannot be fetched: {0}")]
    Fetch(#[from] crate::net::fetch::FetchError),
}

/// A verification key.
pub struct Key {
    id: Option<Box<str>>,
    kind: KeyKind,
    verifiers: Vec<(Algorithm, Verifier)>,
    fingerprint: [u8; 32],
}

enum Verifier {
    Public(ParsedPublicKey),
    /// Boxed: it holds the hash's inner states, twenty times the size of a public key.
    Secret(Box<hmac::Key>),
}

impl Key {
    /// An RSA key from its big-endian numbers; leading zeros are ignored.
    ///
    /// # Errors
    /// [`KeyError::RsaSize`], [`KeyError::Malformed`].
    pub fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<Key, KeyError> {
        let (n, e) = (without_leading_zeros(modulus), without_leading_zeros(exponent));
        let bits = n.len() * 8 - n.first().map_or(0, |first| first.leading_zeros() as usize);
        if !(2048..=8192).contains(&bits) {
            return Err(KeyError::RsaSize { bits });
        }
        // An exponent of 1 would make every message its own signature; a large one is a denial of service.
        let small = e.len() <= 5
            && (3..1 << 33).contains(&e.iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte)));
        if !small || e.last().is_none_or(|last| last % 2 == 0) {
            return Err(KeyError::Malformed("the RSA exponent is out of range"));
        }
        let mut verifiers = Vec::with_capacity(6);
        for algorithm in KeyKind::Rsa.algorithms() {
            if let Some(parameters) = rsa_parameters(*algorithm) {
                let parsed = RsaPublicKeyComponents { n, e }
                    .to_parsed_public_key(parameters)
                    .map_err(|_| KeyError::Malformed("the RSA numbers do not make a key"))?;
                verifiers.push((*algorithm, Verifier::Public(parsed)));
            }
        }
        Ok(Key::new(KeyKind::Rsa, verifiers, &[n, e]))
    }

    /// A key on P-256 or P-384 from its uncompressed point: the byte 4, x, y (SEC 1 section 2.3.3).
    ///
    /// # Errors
    /// [`KeyError::Malformed`] when the point is not on the curve or not of this form.
    pub fn elliptic(kind: KeyKind, point: &[u8]) -> Result<Key, KeyError> {
        let (verification, length, algorithm) = match kind {
            KeyKind::P256 => (&ECDSA_P256_SHA256_FIXED, 65, Algorithm::ES256),
            KeyKind::P384 => (&ECDSA_P384_SHA384_FIXED, 97, Algorithm::ES384),
            KeyKind::Rsa | KeyKind::Ed25519 | KeyKind::Secret => {
                return Err(KeyError::Unsupported("not an elliptic curve"));
            }
        };
        if point.len() != length || point.first() != Some(&4) {
            return Err(KeyError::Malformed("the point has not the form 4, x, y"));
        }
        let parsed = ParsedPublicKey::new(verification, point)
            .map_err(|_| KeyError::Malformed("the point is not on the curve"))?;
        Ok(Key::new(
            kind,
            vec![(algorithm, Verifier::Public(parsed))],
            &[point],
        ))
    }

    /// An Ed25519 key from its 32 bytes (RFC 8032 section 5.1.5).
    ///
    /// # Errors
    /// [`KeyError::Malformed`].
    pub fn ed25519(public: &[u8]) -> Result<Key, KeyError> {
        if public.len() != 32 {
            return Err(KeyError::Malformed("an Ed25519 key has 32 bytes"));
        }
        let parsed = ParsedPublicKey::new(&ED25519, public)
            .map_err(|_| KeyError::Malformed("not a point of Ed25519"))?;
        Ok(Key::new(
            KeyKind::Ed25519,
            vec![(Algorithm::EdDSA, Verifier::Public(parsed))],
            &[public],
        ))
    }

    /// A shared secret, for HS256 and nothing else. Never made from a JWK: a set that is public by nature must not be
    /// able to hold one.
    ///
    /// # Errors
    /// [`KeyError::SecretSize`].
    pub fn secret(secret: &Secret) -> Result<Key, KeyError> {
        let length = secret.reveal().len();
        if length < SHORTEST_SECRET {
            return Err(KeyError::SecretSize { length });
        }
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.reveal());
        Ok(Key::new(
            KeyKind::Secret,
            vec![(Algorithm::HS256, Verifier::Secret(Box::new(key)))],
            &[secret.reveal()],
        ))
    }

    /// The key that a JWK describes (RFC 7517 section 4, RFC 7518 section 6, RFC 8037 section 2). Members that are not
    /// known are ignored (RFC 7517 section 4), certificates in it too.
    ///
    /// # Errors
    /// [`KeyError`]; a set ignores such a key and keeps the others.
    pub fn from_jwk(jwk: &Map<String, Value>) -> Result<Key, KeyError> {
        let key = match text(jwk, "kty")?.ok_or(KeyError::Malformed("`kty` is missing"))? {
            "RSA" => Key::rsa(&number(jwk, "n")?, &number(jwk, "e")?)?,
            "EC" => {
                let (kind, length) = match text(jwk, "crv")? {
                    Some("P-256") => (KeyKind::P256, 32),
                    Some("P-384") => (KeyKind::P384, 48),
                    Some(_) | None => return Err(KeyError::Unsupported("its curve")),
                };
                let (x, y) = (number(jwk, "x")?, number(jwk, "y")?);
                // "The length of this octet string MUST be the full size of a coordinate" (RFC 7518 section 6.2.1.2).
                if x.len() != length || y.len() != length {
                    return Err(KeyError::Malformed("a coordinate has not the full size"));
                }
                Key::elliptic(kind, &[&[4][..], &x, &y].concat())?
            }
            "OKP" => match text(jwk, "crv")? {
                Some("Ed25519") => Key::ed25519(&number(jwk, "x")?)?,
                Some(_) | None => return Err(KeyError::Unsupported("its curve")),
            },
            "oct" => return Err(KeyError::Unsupported("a shared secret in a key set")),
            _ => return Err(KeyError::Unsupported("its kty")),
        };
        key.narrowed(jwk)
    }

    /// Applies `use`, `key_ops`, `alg` and `kid`.
    fn narrowed(mut self, jwk: &Map<String, Value>) -> Result<Key, KeyError> {
        if text(jwk, "use")?.is_some_and(|purpose| purpose != "sig") {
            return Err(KeyError::Unsupported("its use is not `sig`"));
        }
        match jwk.get("key_ops") {
            None => {}
            Some(Value::Array(operations)) => {
                if !operations.iter().any(|operation| operation == "verify") {
                    return Err(KeyError::Unsupported("its key_ops lack `verify`"));
                }
            }
            Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) => {
                return Err(KeyError::Malformed("`key_ops` is not an array"));
            }
        }
        if let Some(name) = text(jwk, "alg")? {
            // RFC 9864 names the curve; RFC 8037 section 3.1 called the same algorithm `EdDSA`.
            let name = if name == "Ed25519" { "EdDSA" } else { name };
            let only = algorithm::from_name(name).ok_or(KeyError::Unsupported("its alg"))?;
            self.verifiers.retain(|(algorithm, _)| *algorithm == only);
            if self.verifiers.is_empty() {
                return Err(KeyError::Unsupported("its alg does not go with its kty"));
            }
        }
        self.id = text(jwk, "kid")?.map(Box::from);
        self.seal();
        Ok(self)
    }

    fn new(kind: KeyKind, verifiers: Vec<(Algorithm, Verifier)>, material: &[&[u8]]) -> Key {
        let mut hash = digest::Context::new(&digest::SHA256);
        for part in material {
            hash.update(&(part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let mut key = Key {
            id: None,
            kind,
            verifiers,
            fingerprint: sha256(hash),
        };
        key.seal();
        key
    }

    /// Mixes what may be done with the key into its fingerprint.
    fn seal(&mut self) {
        let mut hash = digest::Context::new(&digest::SHA256);
        hash.update(&self.fingerprint);
        for (algorithm, _) in &self.verifiers {
            hash.update(algorithm::name(*algorithm).as_bytes());
            hash.update(b" ");
        }
        hash.update(self.id.as_deref().unwrap_or("\0").as_bytes());
        self.fingerprint = sha256(hash);
    }

    /// Its `kid`.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// What it is.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The algorithms that it can be used with.
    pub fn algorithms(&self) -> impl Iterator<Item = Algorithm> + '_ {
        self.verifiers.iter().map(|(algorithm, _)| *algorithm)
    }

    /// Equal for equal keys with equal names and uses; tells whether a key set has changed.
    pub fn fingerprint(&self) -> &[u8; 32] {
        &self.fingerprint
    }

    /// Does `signature` sign `message` by `algorithm` and this key? `None` if the key is not for that algorithm.
    ///
    /// Signatures have the fixed forms of RFC 7518 sections 3.3 to 3.5 and RFC 8037; the library refuses other lengths,
    /// DER in place of the raw form, zeros, and numbers out of range.
    pub fn verifies(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> Option<bool> {
        let (_, verifier) = self.verifiers.iter().find(|(own, _)| *own == algorithm)?;
        Some(match verifier {
            Verifier::Public(key) => key.verify_sig(message, signature).is_ok(),
            Verifier::Secret(key) => hmac::verify(key, message, signature).is_ok(),
        })
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key")
            .field("id", &self.id)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

fn rsa_parameters(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    match algorithm {
        Algorithm::RS256 => Some(&RSA_PKCS1_2048_8192_SHA256),
        Algorithm::RS384 => Some(&RSA_PKCS1_2048_8192_SHA384),
        Algorithm::RS512 => Some(&RSA_PKCS1_2048_8192_SHA512),
        Algorithm::PS256 => Some(&RSA_PSS_2048_8192_SHA256),
        Algorithm::PS384 => Some(&RSA_PSS_2048_8192_SHA384),
        Algorithm::PS512 => Some(&RSA_PSS_2048_8192_SHA512),
        Algorithm::ES256 | Algorithm::ES384 | Algorithm::EdDSA | Algorithm::HS256 => None,
    }
}

fn without_leading_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

fn sha256(hash: digest::Context) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (to, from) in bytes.iter_mut().zip(hash.finish().as_ref()) {
        *to = *from;
    }
    bytes
}

fn text<'j>(jwk: &'j Map<String, Value>, name: &'static str) -> Result<Option<&'j str>, KeyError> {
    match jwk.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            Err(KeyError::Malformed("a member that must be text is none"))
        }
    }
}

fn number(jwk: &Map<String, Value>, name: &'static str) -> Result<Vec<u8>, KeyError> {
    let text = text(jwk, name)?.ok_or(KeyError::Malformed("a number of the key is missing"))?;
    compact::decode(text).map_err(|_| KeyError::Malformed("a number of the key is not base64url"))
}
