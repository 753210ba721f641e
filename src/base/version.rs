//! Versions in numbers: `30.2.1`. They are compared number by number, never as text: `9.9.9` is before `30.2.1`.

use std::cmp::Ordering;

/// Most numbers of a version.
const MOST: usize = 6;

/// A version: one to six whole numbers with dots between them, each below 2^32. What is not there counts as 0, so `30.2` and
/// `30.2.0` are the same.
#[derive(Debug, Clone)]
pub struct Version {
    text: Box<str>,
    numbers: [u32; MOST],
}

impl Version {
    /// Reads a version; `None` for anything else: no sign, no blank, nothing empty, no letters. `const`-sized, so that reading
    /// one to compare it does not allocate.
    fn numbers(text: &str) -> Option<[u32; MOST]> {
        let mut numbers = [0; MOST];
        let mut places = numbers.iter_mut();
        for part in text.split('.') {
            if part.is_empty() || part.len() > 10 || !part.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            *places.next()? = part.parse().ok()?;
        }
        Some(numbers)
    }

    /// Reads a version.
    pub fn parse(text: &str) -> Option<Version> {
        Some(Version {
            numbers: Version::numbers(text)?,
            text: text.into(),
        })
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// How `text` stands to this version; `None` when it is none. Does not allocate.
    pub fn compared(&self, text: &str) -> Option<Ordering> {
        Some(Version::numbers(text)?.cmp(&self.numbers))
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Version) -> bool {
        self.numbers == other.numbers
    }
}

impl Eq for Version {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number_and_not_as_text() {
        let own = Version::parse("30.2.1").unwrap();
        for (text, expected) in [
            ("30.2.1", Ordering::Equal),
            ("30.2.1.0", Ordering::Equal),
            ("030.02.1", Ordering::Equal),
            ("9.9.9", Ordering::Less),
            ("30.2", Ordering::Less),
            ("30.1.99", Ordering::Less),
            ("30.2.10", Ordering::Greater),
            ("30.10", Ordering::Greater),
            ("31", Ordering::Greater),
            ("100.0.0", Ordering::Greater),
        ] {
            assert_eq!(own.compared(text), Some(expected), "{text}");
        }
        assert_eq!(own, Version::parse("30.2.1.0").unwrap());
    }

    #[test]
    fn what_is_not_numbers_with_dots_is_no_version() {
        let own = Version::parse("1").unwrap();
        for text in [
            "",
            ".",
            "1.",
            ".1",
            "1..2",
            "v1",
            "1.x",
            "-1",
            "+1",
            " 1",
            "1 ",
            "1.2-3p1",
            "4294967296",
            "1.2.3.4.5.6.7",
            "٣",
        ] {
            assert_eq!(own.compared(text), None, "{text:?}");
            assert!(Version::parse(text).is_none(), "{text:?}");
        }
        assert!(Version::parse("4294967295.0.0.0.0.1").is_some());
    }
}
