//! Texts that are kept for somebody else, sealed: AES-256-GCM (NIST SP 800-38D) with a random nonce. Whoever has the file and not
//! the key has nothing.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use zeroize::Zeroizing;

use super::digest::KeyedDigest;
use super::secret::Secret;

/// A key that seals and opens.
pub struct SealingKey(RandomizedNonceKey);

impl SealingKey {
    /// The key for `purpose` that follows from a secret: HMAC-SHA-256 of the one by the other. `None` only if the library cannot
    /// make keys at all.
    pub fn derived(secret: &[u8], purpose: &str) -> Option<SealingKey> {
        let secret = Secret::new(secret.to_vec());
        let bytes = KeyedDigest::of_secret(&secret).of(&[purpose.as_bytes()]);
        RandomizedNonceKey::new(&AES_256_GCM, bytes.as_bytes())
            .ok()
            .map(SealingKey)
    }

    /// Seals `text`. What `about` says is not in it, and has to be said again to open it.
    pub fn seal(&self, text: &[u8], about: &str) -> Option<Vec<u8>> {
        let mut sealed = text.to_vec();
        let about = Aad::from(about.as_bytes());
        let nonce = self.0.seal_in_place_append_tag(about, &mut sealed).ok()?;
        sealed.extend_from_slice(nonce.as_ref());
        Some(sealed)
    }

    /// Opens what was sealed with this key and these words; `None` for anything else.
    pub fn open(&self, sealed: &[u8], about: &str) -> Option<Zeroizing<Vec<u8>>> {
        let at = sealed.len().checked_sub(NONCE_LEN)?;
        let (text, nonce) = sealed.split_at_checked(at)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut text = Zeroizing::new(text.to_vec());
        let length = self
            .0
            .open_in_place(nonce, Aad::from(about.as_bytes()), &mut text)
            .ok()?
            .len();
        text.truncate(length);
        Some(text)
    }
}

impl std::fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SealingKey").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_with_the_same_key_and_words_alone() {
        let key = SealingKey::derived(b"secret", "test").unwrap();
        let sealed = key.seal(b"text", "about").unwrap();
        assert_eq!(key.open(&sealed, "about").unwrap().as_slice(), b"text");
        assert!(!sealed.windows(4).any(|part| part == b"text"));
        assert_ne!(
            sealed,
            key.seal(b"text", "about").unwrap(),
            "another nonce each time"
        );
        assert!(key.open(&sealed, "else").is_none());
        for (secret, purpose) in [(&b"secreT"[..], "test"), (b"secret", "tesT")] {
            let other = SealingKey::derived(secret, purpose).unwrap();
            assert!(other.open(&sealed, "about").is_none());
        }
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(key.open(&changed, "about").is_none(), "{at}");
            assert!(key.open(&sealed[..at], "about").is_none(), "{at}");
        }
    }
}
