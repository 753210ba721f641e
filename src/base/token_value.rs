//! New tokens, codes, session ids, client ids and client secrets: random text, in the shapes that clients know.
//!
//! The text exists in the answer that carries it and nowhere else; what is kept is a digest.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use crate::base::random;

/// A new value that opens something. `Debug` says `***`; it is zeroed when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenValue(Zeroizing<String>);

/// What a value looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shape {
    /// 43 characters of base64url, without padding: 256 random bits. The usual one.
    Base64Url,
    /// So many letters and digits, at least [`Shape::FEWEST_LETTERS`] (190 bits).
    Alphanumeric(u8),
    /// 32 hexadecimal digits in lower case: 128 random bits. For client ids and secrets.
    Hex,
}

impl Shape {
    /// The fewest characters of [`Shape::Alphanumeric`].
    pub const FEWEST_LETTERS: u8 = 32;
}

const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

impl TokenValue {
    /// A new value.
    ///
    /// # Panics
    /// When the operating system has no randomness to give.
    pub fn random(shape: Shape) -> TokenValue {
        TokenValue(Zeroizing::new(match shape {
            Shape::Base64Url => {
                let mut bytes = Zeroizing::new([0; 32]);
                random::fill(bytes.as_mut_slice());
                URL_SAFE_NO_PAD.encode(bytes.as_slice())
            }
            Shape::Alphanumeric(length) => letters(length.max(Shape::FEWEST_LETTERS)),
            Shape::Hex => format!("{:032x}", u128::from_be_bytes(random::bytes16())),
        }))
    }

    /// The text itself. Named so that a reviewer finds every use.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for TokenValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// Letters and digits, each as likely as the other: a byte of 248 and more is drawn again, since 256 is no multiple of 62.
fn letters(length: u8) -> String {
    let length = usize::from(length);
    let mut text = String::with_capacity(length);
    let mut bytes = Zeroizing::new([0; 64]);
    while text.len() < length {
        random::fill(bytes.as_mut_slice());
        let drawn = bytes
            .iter()
            .filter(|byte| **byte < 248)
            .filter_map(|byte| LETTERS.get(usize::from(byte % 62)));
        text.extend(drawn.take(length - text.len()).map(|letter| char::from(*letter)));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn values_have_their_shape_and_never_come_twice() {
        for (shape, length) in [
            (Shape::Base64Url, 43),
            (Shape::Alphanumeric(32), 32),
            (Shape::Alphanumeric(100), 100),
            (Shape::Alphanumeric(8), 32),
            (Shape::Hex, 32),
        ] {
            let drawn: HashSet<String> = (0..1000)
                .map(|_| TokenValue::random(shape).reveal().to_owned())
                .collect();
            assert_eq!(drawn.len(), 1000, "{shape:?}");
            for value in &drawn {
                assert_eq!(value.len(), length, "{shape:?}");
                let belongs = |byte: u8| match shape {
                    Shape::Base64Url => byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'),
                    Shape::Alphanumeric(_) => byte.is_ascii_alphanumeric(),
                    Shape::Hex => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
                };
                assert!(value.bytes().all(belongs), "{value}");
            }
        }
        assert_eq!(format!("{:?}", TokenValue::random(Shape::Hex)), "***");
    }

    #[test]
    fn every_letter_is_as_likely_as_the_others() {
        let mut counts = [0_u32; 62];
        for _ in 0..2_000 {
            for byte in TokenValue::random(Shape::Alphanumeric(62)).reveal().bytes() {
                counts[LETTERS.iter().position(|letter| *letter == byte).unwrap()] += 1;
            }
        }
        // 2000 are expected of each, with a deviation of 45; seven of them, of 62 letters, are met once in 10^10 runs.
        for (letter, count) in LETTERS.iter().zip(counts) {
            assert!(count.abs_diff(2_000) < 315, "{}: {count}", char::from(*letter));
        }
    }
}
