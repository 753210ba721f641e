//! SHA-256 of a secret that the gateway itself drew or was handed: what is kept, compared and indexed in the secret's place.

use std::hash::{Hash, Hasher};

use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::random;
use super::secret::Secret;

/// SHA-256 of a token, code, session id or client secret. All of them carry 128 random bits or more (or a signature), so
/// nobody finds the text behind a digest by trying; passwords have too few and are hashed with Argon2 instead.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of `text`. A token has one spelling only (strict base64url), so the text's digest is the token's.
    pub fn of(text: &str) -> Digest {
        Digest::of_bytes(text.as_bytes())
    }

    /// The digest of `bytes`.
    pub fn of_bytes(bytes: &[u8]) -> Digest {
        let mut out = [0; 32];
        for (to, from) in out
            .iter_mut()
            .zip(digest::digest(&digest::SHA256, bytes).as_ref())
        {
            *to = *from;
        }
        Digest(out)
    }

    /// A digest that was stored.
    pub fn from_bytes(bytes: [u8; 32]) -> Digest {
        Digest(bytes)
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// As base64url without padding (RFC 4648 section 5): 43 characters.
    pub fn base64url(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// Equal in constant time: for a presented secret beside a stored one, where the place of the first difference would
    /// tell something.
    pub fn matches(&self, other: &Digest) -> bool {
        bool::from(subtle::ConstantTimeEq::ct_eq(
            self.0.as_slice(),
            other.0.as_slice(),
        ))
    }
}

impl Hash for Digest {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(&self.0);
    }
}

/// Digests that only who has the key can make: HMAC-SHA-256 (RFC 2104), usually with a key that this process drew at start. For what has too
/// few bits for a plain digest, such as a password: whoever reads the digests alone cannot try out texts.
#[derive(Debug)]
pub struct KeyedDigest(hmac::Key);

impl KeyedDigest {
    /// With a new key.
    pub fn new() -> KeyedDigest {
        let mut key = zeroize::Zeroizing::new([0; 32]);
        random::fill(key.as_mut_slice());
        KeyedDigest(hmac::Key::new(hmac::HMAC_SHA256, key.as_slice()))
    }

    /// With a key that others have too.
    pub fn of_secret(secret: &Secret) -> KeyedDigest {
        KeyedDigest(hmac::Key::new(hmac::HMAC_SHA256, secret.reveal()))
    }

    /// The digest of `parts`, one after the other: each with its length, so that they cannot run into one another.
    pub fn of(&self, parts: &[&[u8]]) -> Digest {
        let mut signing = hmac::Context::with_key(&self.0);
        for part in parts {
            let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
            signing.update(&length.to_be_bytes());
            signing.update(part);
        }
        let mut out = [0; 32];
        for (to, from) in out.iter_mut().zip(signing.sign().as_ref()) {
            *to = *from;
        }
        Digest(out)
    }
}

impl Default for KeyedDigest {
    fn default() -> KeyedDigest {
        KeyedDigest::new()
    }
}

/// The first six hexadecimal digits: enough to tell two apart in a log, no use to anybody else.
impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for byte in self.0.iter().take(3) {
            write!(f, "{byte:02x}")?;
        }
        f.write_str("…")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_sha_256_and_shows_little_of_itself() {
        let digest = Digest::of("abc");
        assert_eq!(digest.as_bytes().first_chunk(), Some(&[0xba, 0x78, 0x16, 0xbf]));
        assert_eq!(format!("{digest:?}"), "ba7816…");
        assert!(digest.matches(&Digest::of_bytes(b"abc")) && !digest.matches(&Digest::of("abd")));
        assert_eq!(Digest::from_bytes(*digest.as_bytes()), digest);
    }

    #[test]
    fn a_keyed_digest_is_its_makers_own_and_keeps_its_parts_apart() {
        let (one, other) = (KeyedDigest::new(), KeyedDigest::new());
        assert_eq!(one.of(&[b"ab", b"c"]), one.of(&[b"ab", b"c"]));
        assert_ne!(one.of(&[b"ab", b"c"]), one.of(&[b"a", b"bc"]));
        assert_ne!(one.of(&[b"ab", b"c"]), other.of(&[b"ab", b"c"]));
    }
}
