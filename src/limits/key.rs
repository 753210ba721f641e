//! What a bucket is for, as 128 bits that an outsider cannot steer.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::net::IpAddr;

use crate::base::random;

/// The name of a bucket within one limit: a keyed hash of the parts of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key(pub(super) [u64; 2]);

/// What makes a [`Key`] of its parts: SipHash with random keys, twice. Two callers share a bucket by chance
/// once in 2^128, and nobody can search for such a pair, or for keys that crowd one shard, without knowing
/// the secret.
#[derive(Debug)]
pub struct KeyMaker {
    halves: [RandomState; 2],
    salt: [u8; 16],
}

impl KeyMaker {
    /// A maker with secrets of its own.
    pub fn new() -> KeyMaker {
        KeyMaker {
            halves: [RandomState::new(), RandomState::new()],
            salt: random::bytes16(),
        }
    }

    /// Starts a key. Only what is added, in that order, makes it.
    pub fn start(&self) -> KeyParts {
        let [first, second] = &self.halves;
        let (first, mut second) = (first.build_hasher(), second.build_hasher());
        // The standard library derives the second state's secret from the first; the salt makes the halves
        // unrelated.
        second.write(&self.salt);
        KeyParts { first, second }
    }
}

impl Default for KeyMaker {
    fn default() -> KeyMaker {
        KeyMaker::new()
    }
}

/// A key in the making.
#[derive(Debug)]
pub struct KeyParts {
    first: std::hash::DefaultHasher,
    second: std::hash::DefaultHasher,
}

impl KeyParts {
    /// Adds a part: what kind it is, and its bytes. Kind and length are hashed too, so that no two lists of
    /// parts read the same: a customer called `10.0.0.1` is not that address.
    pub fn add(&mut self, kind: u8, bytes: &[u8]) {
        for half in [&mut self.first, &mut self.second] {
            half.write_u8(kind);
            half.write_usize(bytes.len());
            half.write(bytes);
        }
    }

    /// Adds an address part: an IPv4 address whole (also one that is mapped into IPv6), of an IPv6 address
    /// the first 64 bits, since one client has at least a /64 to choose from (RFC 6177 section 2).
    pub fn add_address(&mut self, kind: u8, address: IpAddr) {
        match address.to_canonical() {
            IpAddr::V4(v4) => self.add(kind, &v4.octets()),
            IpAddr::V6(v6) => {
                let [a, b, c, d, e, f, g, h, ..] = v6.octets();
                self.add(kind, &[a, b, c, d, e, f, g, h]);
            }
        }
    }

    /// The key.
    pub fn finish(self) -> Key {
        Key([self.first.finish(), self.second.finish()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(maker: &KeyMaker, address: &str) -> Key {
        let mut parts = maker.start();
        parts.add_address(b'a', address.parse().unwrap());
        parts.finish()
    }

    #[test]
    fn an_ipv6_client_is_its_first_64_bits_and_an_ipv4_client_all_32() {
        let maker = KeyMaker::new();
        assert_eq!(of(&maker, "2001:db8:1:2::1"), of(&maker, "2001:db8:1:2:ffff::9"));
        assert_ne!(of(&maker, "2001:db8:1:2::1"), of(&maker, "2001:db8:1:3::1"));
        assert_ne!(of(&maker, "192.0.2.1"), of(&maker, "192.0.2.2"));
        assert_eq!(of(&maker, "192.0.2.1"), of(&maker, "::ffff:192.0.2.1"));
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        let maker = KeyMaker::new();
        let key = |parts: &[(u8, &str)]| {
            let mut key = maker.start();
            for (kind, text) in parts {
                key.add(*kind, text.as_bytes());
            }
            key.finish()
        };
        assert_ne!(
            key(&[(b'c', "ab"), (b'c', "c")]),
            key(&[(b'c', "a"), (b'c', "bc")])
        );
        assert_ne!(key(&[(b'c', "a")]), key(&[(b't', "a")]));
        assert_ne!(key(&[(b'c', "a")]), key(&[]));
        assert_eq!(key(&[(b'c', "a")]), key(&[(b'c', "a")]));
    }

    #[test]
    fn two_makers_give_different_keys() {
        let (one, other) = (KeyMaker::new(), KeyMaker::new());
        assert_ne!(of(&one, "192.0.2.1"), of(&other, "192.0.2.1"));
        let Key([first, second]) = of(&one, "192.0.2.1");
        assert_ne!(first, second);
    }
}
