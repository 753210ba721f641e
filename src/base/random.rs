//! Random identifiers. One source for the whole program: aws-lc-rs.

use std::sync::atomic::{AtomicU64, Ordering};

/// Fills `buffer` from the system's random generator.
///
/// # Panics
/// When the operating system has no randomness to give; nothing safe could go on then.
pub fn fill(buffer: &mut [u8]) {
    #[expect(clippy::expect_used, reason = "without randomness nothing safe can go on")]
    aws_lc_rs::rand::fill(buffer).expect("the operating system gives randomness");
}

/// 16 random bytes (128 bits).
pub fn bytes16() -> [u8; 16] {
    let mut bytes = [0; 16];
    fill(&mut bytes);
    bytes
}

/// Numbers for request and trace ids: distinct within the process, hard to collide across processes, cheap, and no
/// secret. (SplitMix64 over a random start; the step is odd, so no number comes twice in 2^64.)
#[derive(Debug)]
pub struct Ids {
    state: AtomicU64,
}

impl Ids {
    /// Starts at a random place.
    pub fn new() -> Ids {
        let mut seed = [0; 8];
        fill(&mut seed);
        Ids {
            state: AtomicU64::new(u64::from_ne_bytes(seed)),
        }
    }

    /// The next number.
    pub fn draw(&self) -> u64 {
        let mut z = self.state.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// The next 16 bytes.
    pub fn draw16(&self) -> [u8; 16] {
        (u128::from(self.draw()) << 64 | u128::from(self.draw())).to_be_bytes()
    }
}

impl Default for Ids {
    fn default() -> Ids {
        Ids::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_do_not_repeat() {
        let ids = Ids::new();
        let drawn: std::collections::HashSet<_> = (0..10_000).map(|_| ids.draw16()).collect();
        assert_eq!(drawn.len(), 10_000);
    }
}
