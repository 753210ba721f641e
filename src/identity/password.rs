//! Password hashes as text: Argon2id (RFC 9106) in PHC strings, each with the cost it was made at. Making and comparing them
//! is [`crate::accounts::password`].

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// Most memory of one hash: 256 MiB, in KiB.
const MOST_MEMORY: u32 = 256 << 10;
/// Most passes over the memory.
const MOST_PASSES: u32 = 10;
/// Most lanes. They are computed one after the other, so they cost nothing more.
const MOST_LANES: u32 = 16;

/// Bytes of a new salt (RFC 9106 section 3.1).
pub(crate) const SALT: usize = 16;
/// Bytes of a new tag.
pub(crate) const TAG: usize = 32;

/// What one hash costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cost {
    memory: u32,
    passes: u32,
    lanes: u32,
}

impl Cost {
    /// 19 MiB, 2 passes, 1 lane: the least that OWASP advises.
    pub const USUAL: Cost = Cost {
        memory: 19 << 10,
        passes: 2,
        lanes: 1,
    };

    /// `memory` KiB (8 for each lane to 262144, which are 256 MiB), 1 to 10 `passes`, 1 to 16 `lanes`.
    ///
    /// # Errors
    /// [`BadHash::Cost`] for anything else: one login must not take the machine.
    pub fn new(memory: u32, passes: u32, lanes: u32) -> Result<Cost, BadHash> {
        let known = (1..=MOST_PASSES).contains(&passes)
            && (1..=MOST_LANES).contains(&lanes)
            && (8 * lanes..=MOST_MEMORY).contains(&memory);
        let cost = Cost {
            memory,
            passes,
            lanes,
        };
        known.then_some(cost).ok_or(BadHash::Cost(cost))
    }

    /// Memory in KiB.
    pub fn memory(self) -> u32 {
        self.memory
    }

    /// Passes over the memory.
    pub fn passes(self) -> u32 {
        self.passes
    }

    /// Lanes.
    pub fn lanes(self) -> u32 {
        self.lanes
    }
}

impl std::fmt::Display for Cost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "m={},t={},p={}", self.memory, self.passes, self.lanes)
    }
}

/// Why a text is no password hash that can be used. The text itself is not in the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadHash {
    /// Another function, or another version of it.
    #[error("is no Argon2id hash of version 19; make one with `tollgate hash-password`")]
    Function,
    /// Not `$argon2id$v=19$m=…,t=…,p=…$salt$hash` in unpadded base64, with a salt of 8 to 64 bytes and a hash of 16 to 64.
    #[error("is no PHC string such as `$argon2id$v=19$m=19456,t=2,p=1$<salt>$<hash>`")]
    Form,
    /// A cost out of bounds.
    #[error(
        "asks for the cost {0}; memory may be 8 (for each lane) to 262144 KiB, with 1 to 10 passes and 1 to 16 lanes"
    )]
    Cost(Cost),
}

/// A password as it is kept. `Debug` shows what it cost and no more.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredPassword {
    cost: Cost,
    salt: Box<[u8]>,
    tag: Box<[u8]>,
}

impl StoredPassword {
    /// Reads a PHC string. Its cost is its own, so stronger hashes work beside weaker ones.
    ///
    /// # Errors
    /// What it is instead, or a cost that is out of bounds.
    pub fn parse(text: &str) -> Result<StoredPassword, BadHash> {
        let rest = text.strip_prefix("$argon2id$v=19$").ok_or_else(|| {
            if text.starts_with('$') {
                BadHash::Function
            } else {
                BadHash::Form
            }
        })?;
        let mut parts = rest.split('$');
        let (Some(cost), Some(salt), Some(tag), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(BadHash::Form);
        };
        let mut numbers = cost.split(',');
        let mut number = |name: &str| -> Option<u32> {
            let digits = numbers.next()?.strip_prefix(name)?.strip_prefix('=')?;
            let plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
            digits.parse().ok().filter(|_| plain)
        };
        let (Some(memory), Some(passes), Some(lanes)) = (number("m"), number("t"), number("p")) else {
            return Err(BadHash::Form);
        };
        if numbers.next().is_some() {
            return Err(BadHash::Form);
        }
        let bytes = |text: &str, least: usize| {
            STANDARD_NO_PAD
                .decode(text)
                .ok()
                .filter(|bytes| (least..=64).contains(&bytes.len()))
                .map(Vec::into_boxed_slice)
                .ok_or(BadHash::Form)
        };
        Ok(StoredPassword {
            salt: bytes(salt, 8)?,
            tag: bytes(tag, 16)?,
            cost: Cost::new(memory, passes, lanes)?,
        })
    }

    /// The PHC string.
    pub fn to_phc(&self) -> String {
        format!(
            "$argon2id$v=19${}${}${}",
            self.cost,
            STANDARD_NO_PAD.encode(&self.salt),
            STANDARD_NO_PAD.encode(&self.tag)
        )
    }

    /// One that was just computed, in the ranges of [`StoredPassword::parse`].
    pub(crate) fn computed(cost: Cost, salt: &[u8], tag: &[u8]) -> StoredPassword {
        StoredPassword {
            cost,
            salt: salt.into(),
            tag: tag.into(),
        }
    }

    /// What the hash cost.
    pub fn cost(&self) -> Cost {
        self.cost
    }

    /// Was it made at less than `cost`? Then it is made anew when the password is known, at a login.
    pub fn needs_rehash(&self, cost: Cost) -> bool {
        self.cost.memory < cost.memory
            || self.cost.passes < cost.passes
            || self.salt.len() < SALT
            || self.tag.len() < TAG
    }

    /// The salt, 8 to 64 bytes.
    pub fn salt(&self) -> &[u8] {
        &self.salt
    }

    /// The hash, 16 to 64 bytes. To be compared in constant time.
    pub fn tag(&self) -> &[u8] {
        &self.tag
    }
}

impl std::fmt::Debug for StoredPassword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "argon2id {} ***", self.cost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cost_above_the_bound_is_refused_at_load() {
        let of = |cost: &str| {
            let text =
                format!("$argon2id$v=19${cost}$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4");
            StoredPassword::parse(&text).map(|stored| stored.cost())
        };
        assert_eq!(of("m=262144,t=10,p=16"), Cost::new(262_144, 10, 16));
        for cost in [
            "m=262145,t=2,p=1",
            "m=4294967295,t=2,p=1",
            "m=19456,t=11,p=1",
            "m=19456,t=2,p=17",
            "m=7,t=2,p=1",
            "m=15,t=2,p=2",
        ] {
            assert!(matches!(of(cost), Err(BadHash::Cost(_))), "{cost}");
        }
    }

    #[test]
    fn what_is_no_phc_string_is_refused() {
        let good = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
        for (from, to) in [
            ("m=256", "m=0256"),
            ("m=256", "m=+256"),
            ("m=256", "m="),
            ("m=256", "m=99999999999"),
            ("m=256,", ""),
            ("t=2,p=1", "p=1,t=2"),
            ("p=1", "p=1,keyid=QQ"),
            ("p=1", "p=0"),
            ("c29tZXNhbHQ", "c29tZXNhbHQ="),
            ("c29tZXNhbHQ", "c29tZXNhbHR"),
            ("c29tZXNhbHQ", "c29tZXM"),
            ("c29tZXNhbHQ", ""),
            ("HGi/4", "HGi/4$"),
            ("HGi/4", "HGi/4 "),
            ("HGi/4", "HGi_4"),
            ("$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4", ""),
            ("nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4", "nf65EOgLrQMR"),
        ] {
            let text = good.replace(from, to);
            assert_eq!(StoredPassword::parse(&text), Err(BadHash::Form), "{text}");
        }
        for text in [
            "",
            "secret",
            " $argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR",
        ] {
            assert_eq!(StoredPassword::parse(text), Err(BadHash::Form), "{text}");
        }
        for text in [
            "$2b$12$abcdefghijklmnopqrstuv",
            &good.replace("argon2id", "argon2i"),
            &good.replace("v=19", "v=16"),
            &good.replace("v=19$", ""),
        ] {
            assert_eq!(StoredPassword::parse(text), Err(BadHash::Function), "{text}");
        }
    }

    #[test]
    fn a_weaker_hash_is_to_be_made_anew_and_a_stronger_one_is_not() {
        let stored = StoredPassword::parse(
            "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        )
        .unwrap();
        assert!(!stored.needs_rehash(Cost::USUAL));
        assert!(!stored.needs_rehash(Cost::new(32, 1, 1).unwrap()));
        assert!(stored.needs_rehash(Cost::new(19_457, 2, 1).unwrap()));
        assert!(stored.needs_rehash(Cost::new(19_456, 3, 1).unwrap()));
    }
}
