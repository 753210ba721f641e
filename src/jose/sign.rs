//! Signing tokens: those of a token service ([`super::key_store`]), of `tollgate token mint`, of the demo and of tests.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    Ed25519KeyPair, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::jwk::{Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Map, Value};
use x509_parser::pem::Pem;

use super::algorithm::KeyKind;
use super::jwk::SHORTEST_SECRET;
use super::{compact, strict_json};
use crate::base::secret::Secret;
use crate::config::plan::Algorithm;

/// Why nothing was signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The text holds no private key that tokens can be signed by.
    #[error("no private key that tokens can be signed by: {0}")]
    Key(&'static str),
    /// The key cannot be used with that algorithm.
    #[error("{algorithm} needs another kind of key")]
    Algorithm {
        /// The algorithm's name.
        algorithm: &'static str,
    },
    /// The library refused.
    #[error("signing failed: {0}")]
    Library(#[from] jsonwebtoken::errors::Error),
}

/// A private key, or a secret. Has no text form except on purpose ([`SigningKey::to_pem`]).
pub struct SigningKey {
    kind: KeyKind,
    id: Option<String>,
    key: EncodingKey,
    /// PKCS #8 in DER; empty for a secret.
    pkcs8: Secret,
}

impl SigningKey {
    /// A new key for `algorithm`. RSA keys have 2048 bits; a secret has 32 bytes.
    ///
    /// # Errors
    /// [`SignError::Key`] when the library cannot make one.
    pub fn generate(algorithm: Algorithm) -> Result<SigningKey, SignError> {
        let failed = |_| SignError::Key("it cannot be made");
        match kind_for(algorithm) {
            KeyKind::Rsa => SigningKey::from_rsa(&RsaKeyPair::generate(KeySize::Rsa2048).map_err(failed)?),
            KeyKind::P256 => SigningKey::from_elliptic(
                KeyKind::P256,
                &EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(failed)?,
            ),
            KeyKind::P384 => SigningKey::from_elliptic(
                KeyKind::P384,
                &EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).map_err(failed)?,
            ),
            KeyKind::Ed25519 => SigningKey::from_ed25519(&Ed25519KeyPair::generate().map_err(failed)?),
            KeyKind::Secret => {
                let mut bytes = vec![0; SHORTEST_SECRET];
                crate::base::random::fill(&mut bytes);
                SigningKey::from_secret(&Secret::new(bytes))
            }
        }
    }

    /// A private key from PEM: `PRIVATE KEY` (PKCS #8), `RSA PRIVATE KEY` (PKCS #1) or `EC PRIVATE KEY` (SEC 1). Other
    /// blocks, such as `EC PARAMETERS`, are skipped.
    ///
    /// # Errors
    /// [`SignError::Key`].
    pub fn from_pem(text: &[u8]) -> Result<SigningKey, SignError> {
        for block in Pem::iter_from_buffer(text) {
            let block = block.map_err(|_| SignError::Key("not PEM"))?;
            let contents = Secret::new(block.contents);
            match block.label.as_str() {
                "PRIVATE KEY" | "RSA PRIVATE KEY" | "EC PRIVATE KEY" => {
                    return SigningKey::from_der(contents.reveal());
                }
                "ENCRYPTED PRIVATE KEY" => return Err(SignError::Key("it is encrypted")),
                _ => {}
            }
        }
        Err(SignError::Key("no PEM block with a private key"))
    }

    /// Tries the forms one after the other: each says of itself what it is, so at most one fits.
    fn from_der(der: &[u8]) -> Result<SigningKey, SignError> {
        if let Ok(pair) = RsaKeyPair::from_pkcs8(der).or_else(|_| RsaKeyPair::from_der(der)) {
            return SigningKey::from_rsa(&pair);
        }
        for (kind, algorithm) in elliptic_curves() {
            if let Ok(pair) = EcdsaKeyPair::from_private_key_der(algorithm, der) {
                return SigningKey::from_elliptic(kind, &pair);
            }
        }
        match Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
            Ok(pair) => SigningKey::from_ed25519(&pair),
            Err(_) => Err(SignError::Key(
                "neither RSA of 2048 to 8192 bits, P-256, P-384 nor Ed25519",
            )),
        }
    }

    /// A private key, or a secret, from a JWK (RFC 7518 section 6, RFC 8037 section 2). Its `kid` is kept.
    ///
    /// # Errors
    /// [`SignError::Key`].
    pub fn from_jwk(text: &[u8]) -> Result<SigningKey, SignError> {
        let jwk = strict_json::object(text).map_err(|_| SignError::Key("not a JWK"))?;
        let kind = jwk.get("kty").and_then(Value::as_str).unwrap_or_default();
        let curve = jwk.get("crv").and_then(Value::as_str).unwrap_or_default();
        let mut key = match (kind, curve) {
            ("RSA", _) => SigningKey::from_rsa(&rsa_pair(&jwk)?)?,
            ("EC", "P-256") => elliptic_pair(&jwk, KeyKind::P256, &ECDSA_P256_SHA256_FIXED_SIGNING)?,
            ("EC", "P-384") => elliptic_pair(&jwk, KeyKind::P384, &ECDSA_P384_SHA384_FIXED_SIGNING)?,
            ("OKP", "Ed25519") => {
                let (seed, public) = (number(&jwk, "d")?, number(&jwk, "x")?);
                let pair = Ed25519KeyPair::from_seed_and_public_key(seed.reveal(), public.reveal())
                    .map_err(|_| SignError::Key("`d` and `x` do not belong together"))?;
                SigningKey::from_ed25519(&pair)?
            }
            ("oct", _) => SigningKey::from_secret(&number(&jwk, "k")?)?,
            _ => {
                return Err(SignError::Key(
                    "its `kty` or `crv` is not one that is signed by here",
                ));
            }
        };
        key.id = jwk.get("kid").and_then(Value::as_str).map(ToOwned::to_owned);
        Ok(key)
    }

    /// A shared secret, for HS256; at least 32 bytes.
    ///
    /// # Errors
    /// [`SignError::Key`].
    pub fn from_secret(secret: &Secret) -> Result<SigningKey, SignError> {
        if secret.reveal().len() < SHORTEST_SECRET {
            return Err(SignError::Key("a secret needs at least 32 bytes"));
        }
        Ok(SigningKey {
            kind: KeyKind::Secret,
            id: None,
            key: EncodingKey::from_secret(secret.reveal()),
            pkcs8: Secret::new(Vec::new()),
        })
    }

    fn from_rsa(pair: &RsaKeyPair) -> Result<SigningKey, SignError> {
        if pair.public_modulus_len() < 256 {
            return Err(SignError::Key("an RSA key of less than 2048 bits"));
        }
        let der: Pkcs8V1Der<'static> = pair
            .as_der()
            .map_err(|_| SignError::Key("it cannot be written"))?;
        let pkcs8 = Secret::new(der.as_ref().to_vec());
        // The library reads RSA keys from PEM of either form, but takes DER only as PKCS #1.
        let key = EncodingKey::from_rsa_pem(pem(pkcs8.reveal()).as_bytes())?;
        Ok(SigningKey {
            kind: KeyKind::Rsa,
            id: None,
            key,
            pkcs8,
        })
    }

    fn from_elliptic(kind: KeyKind, pair: &EcdsaKeyPair) -> Result<SigningKey, SignError> {
        let der = pair
            .to_pkcs8v1()
            .map_err(|_| SignError::Key("it cannot be written"))?;
        let pkcs8 = Secret::new(der.as_ref().to_vec());
        Ok(SigningKey {
            kind,
            id: None,
            key: EncodingKey::from_ec_der(pkcs8.reveal()),
            pkcs8,
        })
    }

    fn from_ed25519(pair: &Ed25519KeyPair) -> Result<SigningKey, SignError> {
        let der = pair
            .to_pkcs8v1()
            .map_err(|_| SignError::Key("it cannot be written"))?;
        let pkcs8 = Secret::new(der.as_ref().to_vec());
        Ok(SigningKey {
            kind: KeyKind::Ed25519,
            id: None,
            key: EncodingKey::from_ed_der(pkcs8.reveal()),
            pkcs8,
        })
    }

    /// The same key under the name `id`, which goes into the header of what it signs.
    #[must_use]
    pub fn named(mut self, id: impl Into<String>) -> SigningKey {
        self.id = Some(id.into());
        self
    }

    /// Its name.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// What it is.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The algorithm to sign by when none is asked for: the first of its kind.
    pub fn usual_algorithm(&self) -> Algorithm {
        match self.kind {
            KeyKind::Rsa => Algorithm::RS256,
            KeyKind::P256 => Algorithm::ES256,
            KeyKind::P384 => Algorithm::ES384,
            KeyKind::Ed25519 => Algorithm::EdDSA,
            KeyKind::Secret => Algorithm::HS256,
        }
    }

    /// A token with these claims in the compact form (RFC 7515 section 7.1). Its header has `typ`, `alg` and, if the key
    /// has a name, `kid`.
    ///
    /// # Errors
    /// [`SignError::Algorithm`] when the key is of another kind; [`SignError::Library`].
    pub fn sign(&self, algorithm: Algorithm, claims: &Map<String, Value>) -> Result<String, SignError> {
        self.sign_as("JWT", algorithm, claims)
    }

    /// The same with another `typ`: who verifies can tell an access token from an identity token of the same issuer
    /// (RFC 8725 section 3.11).
    ///
    /// # Errors
    /// Those of [`SigningKey::sign`].
    pub fn sign_as(
        &self,
        kind: &str,
        algorithm: Algorithm,
        claims: &Map<String, Value>,
    ) -> Result<String, SignError> {
        if kind_for(algorithm) != self.kind {
            return Err(SignError::Algorithm {
                algorithm: super::algorithm::name(algorithm),
            });
        }
        let mut header = Header::new(library_algorithm(algorithm));
        header.typ = Some(kind.to_owned());
        header.kid.clone_from(&self.id);
        Ok(jsonwebtoken::encode(&header, claims, &self.key)?)
    }

    /// The public half as a JWK with `use`, `kid` and, but for RSA (which goes with six), `alg`. A secret has none.
    ///
    /// # Errors
    /// [`SignError::Key`] for a secret; [`SignError::Library`].
    pub fn public_jwk(&self) -> Result<Value, SignError> {
        if self.kind == KeyKind::Secret {
            return Err(SignError::Key("a secret has no public half"));
        }
        let algorithm = library_algorithm(self.usual_algorithm());
        let mut jwk = Jwk::from_encoding_key(&self.key, algorithm)?;
        jwk.common.key_id.clone_from(&self.id);
        jwk.common.public_key_use = Some(PublicKeyUse::Signature);
        jwk.common.key_algorithm = if self.kind == KeyKind::Rsa {
            None
        } else {
            Some(KeyAlgorithm::from(algorithm))
        };
        serde_json::to_value(&jwk).map_err(|_| SignError::Key("it cannot be written"))
    }

    /// The private key as PEM (PKCS #8). For files that only their owner can read.
    ///
    /// # Errors
    /// [`SignError::Key`] for a secret.
    pub fn to_pem(&self) -> Result<String, SignError> {
        if self.kind == KeyKind::Secret {
            return Err(SignError::Key("a secret has no PEM form"));
        }
        Ok(pem(self.pkcs8.reveal()))
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey")
            .field("kind", &self.kind)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

fn kind_for(algorithm: Algorithm) -> KeyKind {
    match algorithm {
        Algorithm::RS256
        | Algorithm::RS384
        | Algorithm::RS512
        | Algorithm::PS256
        | Algorithm::PS384
        | Algorithm::PS512 => KeyKind::Rsa,
        Algorithm::ES256 => KeyKind::P256,
        Algorithm::ES384 => KeyKind::P384,
        Algorithm::EdDSA => KeyKind::Ed25519,
        Algorithm::HS256 => KeyKind::Secret,
    }
}

fn library_algorithm(algorithm: Algorithm) -> jsonwebtoken::Algorithm {
    match algorithm {
        Algorithm::RS256 => jsonwebtoken::Algorithm::RS256,
        Algorithm::RS384 => jsonwebtoken::Algorithm::RS384,
        Algorithm::RS512 => jsonwebtoken::Algorithm::RS512,
        Algorithm::PS256 => jsonwebtoken::Algorithm::PS256,
        Algorithm::PS384 => jsonwebtoken::Algorithm::PS384,
        Algorithm::PS512 => jsonwebtoken::Algorithm::PS512,
        Algorithm::ES256 => jsonwebtoken::Algorithm::ES256,
        Algorithm::ES384 => jsonwebtoken::Algorithm::ES384,
        Algorithm::EdDSA => jsonwebtoken::Algorithm::EdDSA,
        Algorithm::HS256 => jsonwebtoken::Algorithm::HS256,
    }
}

fn elliptic_curves() -> [(KeyKind, &'static EcdsaSigningAlgorithm); 2] {
    [
        (KeyKind::P256, &ECDSA_P256_SHA256_FIXED_SIGNING),
        (KeyKind::P384, &ECDSA_P384_SHA384_FIXED_SIGNING),
    ]
}

fn elliptic_pair(
    jwk: &Map<String, Value>,
    kind: KeyKind,
    algorithm: &'static EcdsaSigningAlgorithm,
) -> Result<SigningKey, SignError> {
    let (d, x, y) = (number(jwk, "d")?, number(jwk, "x")?, number(jwk, "y")?);
    let point = [&[4][..], x.reveal(), y.reveal()].concat();
    let pair = EcdsaKeyPair::from_private_key_and_public_key(algorithm, d.reveal(), &point)
        .map_err(|_| SignError::Key("`d`, `x` and `y` do not belong together"))?;
    SigningKey::from_elliptic(kind, &pair)
}

fn rsa_pair(jwk: &Map<String, Value>) -> Result<RsaKeyPair, SignError> {
    // PKCS #1 (RFC 8017 appendix A.1.2): version 0, then these numbers in this order.
    let mut body = vec![2, 1, 0];
    for name in ["n", "e", "d", "p", "q", "dp", "dq", "qi"] {
        let value = number(jwk, name)?;
        let bytes = value.reveal();
        let sign = usize::from(bytes.first().is_none_or(|first| first & 0x80 != 0));
        body.push(2);
        body.extend(der_length(bytes.len() + sign));
        body.extend(std::iter::repeat_n(0, sign));
        body.extend_from_slice(bytes);
    }
    let mut der = vec![0x30];
    der.extend(der_length(body.len()));
    der.extend(body);
    let der = Secret::new(der);
    RsaKeyPair::from_der(der.reveal()).map_err(|_| SignError::Key("its numbers do not make an RSA key"))
}

/// A length in DER (X.690 section 8.1.3).
fn der_length(length: usize) -> Vec<u8> {
    let bytes: Vec<u8> = length
        .to_be_bytes()
        .into_iter()
        .skip_while(|byte| *byte == 0)
        .collect();
    match bytes.as_slice() {
        [] => vec![0],
        [short] if *short < 0x80 => bytes,
        _ => {
            let count = u8::try_from(bytes.len()).unwrap_or(u8::MAX);
            std::iter::once(0x80 | count).chain(bytes).collect()
        }
    }
}

fn number(jwk: &Map<String, Value>, name: &'static str) -> Result<Secret, SignError> {
    jwk.get(name)
        .and_then(Value::as_str)
        .and_then(|text| compact::decode(text).ok())
        .map(Secret::new)
        .ok_or(SignError::Key("a number of the key is missing or not base64url"))
}

fn pem(pkcs8: &[u8]) -> String {
    let mut text = String::from("-----BEGIN PRIVATE KEY-----\n");
    let encoded = STANDARD.encode(pkcs8);
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text.push_str("-----END PRIVATE KEY-----\n");
    text
}

#[cfg(test)]
pub(crate) mod raw;
