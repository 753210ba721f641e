//! The verification keys of one issuer at one moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;

use super::jwk::{Key, KeyError};
use super::strict_json;

/// Keys that one document may hold. More is no key set but an attempt to keep the gateway busy.
pub const MOST_KEYS: usize = 256;

/// Keys that are tried for one token: those of its `kid`, or all that have none. Bounds what a forged token costs.
pub const MOST_TRIALS: usize = 8;

/// Numbers key sets through the life of the process, so that no two have the same number, whoever made them.
static GENERATIONS: AtomicU64 = AtomicU64::new(1);

/// Verification keys; never changed, only replaced.
#[derive(Debug, Clone)]
pub struct KeySet {
    generation: u64,
    keys: Vec<Arc<Key>>,
}

impl KeySet {
    /// A set with a number that no set had before.
    pub fn new(keys: Vec<Arc<Key>>) -> KeySet {
        KeySet {
            generation: GENERATIONS.fetch_add(1, Ordering::Relaxed),
            keys,
        }
    }

    /// The set's number. What was verified by a set of another number has to be verified again.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// All keys.
    pub fn keys(&self) -> &[Arc<Key>] {
        &self.keys
    }

    /// Are these the same keys, with the same names and uses, in the same order?
    pub fn holds_exactly(&self, keys: &[Arc<Key>]) -> bool {
        self.keys.len() == keys.len()
            && self
                .keys
                .iter()
                .zip(keys)
                .all(|(own, other)| own.fingerprint() == other.fingerprint())
    }

    /// Is there a key of that name?
    pub fn names(&self, id: &str) -> bool {
        self.keys.iter().any(|key| key.id() == Some(id))
    }

    /// The keys that may have signed a token with that `kid`: those of that name; if there is none of that name, those
    /// without a name (a PEM file has none); for a token without `kid`, all.
    pub fn candidates<'s>(&'s self, id: Option<&'s str>) -> impl Iterator<Item = &'s Key> {
        let named = id.is_some_and(|id| self.names(id));
        self.keys
            .iter()
            .map(Arc::as_ref)
            .filter(move |key| match (id, named) {
                (Some(_), true) => key.id() == id,
                (Some(_), false) => key.id().is_none(),
                (None, _) => true,
            })
    }
}

/// Reads a JWK set, or a single JWK (RFC 7517 sections 4 and 5). A key that is not for verifying tokens, or is
/// malformed, is skipped and does not spoil the others ("Implementations SHOULD ignore JWKs within a JWK Set that use
/// `kty` values that are not understood", section 5).
///
/// # Errors
/// [`KeyError::Format`] when it is neither, or holds more than [`MOST_KEYS`]; the key's own error when it is a single
/// JWK; [`KeyError::NoneUsable`] when nothing is left.
pub fn from_jwks(text: &[u8]) -> Result<Vec<Arc<Key>>, KeyError> {
    let document = strict_json::object(text).map_err(|_| KeyError::Format("neither a JWK nor a JWK set"))?;
    let Some(keys) = document.get("keys") else {
        return Ok(vec![Arc::new(Key::from_jwk(&document)?)]);
    };
    let Value::Array(keys) = keys else {
        return Err(KeyError::Format("`keys` is not an array"));
    };
    if keys.len() > MOST_KEYS {
        return Err(KeyError::Format("more keys than a key set may have"));
    }
    let mut usable = Vec::with_capacity(keys.len());
    for jwk in keys {
        let key = jwk
            .as_object()
            .ok_or(KeyError::Malformed("not an object"))
            .and_then(Key::from_jwk);
        match key {
            Ok(key) => usable.push(Arc::new(key)),
            Err(error) => {
                let id = jwk.get("kid").and_then(Value::as_str);
                tracing::info!(key = id, %error, "a key of a key set is ignored");
            }
        }
    }
    if usable.is_empty() {
        return Err(KeyError::NoneUsable);
    }
    Ok(usable)
}
