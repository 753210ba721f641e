//! Random identifiers. One source for the whole program: aws-lc-rs.

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
