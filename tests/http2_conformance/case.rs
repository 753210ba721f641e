//! The table of cases: each is a test, and a row of the manual's page.

use crate::scene::Expected;

/// A requirement, and what the gateway does about it.
#[derive(Debug)]
pub struct Row {
    /// The test's name, which begins with the section.
    pub name: &'static str,
    /// The requirement, in our words.
    pub requirement: &'static str,
    pub expected: Expectation,
}

/// What is expected, and in what that falls short of the RFC.
#[derive(Debug, Clone, Copy)]
pub struct Expectation {
    pub outcome: Expected,
    /// What the RFC asks for instead.
    pub deviation: Option<&'static str>,
}

/// As the RFC asks.
pub const fn asks(outcome: Expected) -> Expectation {
    Expectation {
        outcome,
        deviation: None,
    }
}

/// Not as the RFC asks, which would be `instead`.
pub const fn deviates(outcome: Expected, instead: &'static str) -> Expectation {
    Expectation {
        outcome,
        deviation: Some(instead),
    }
}

impl Row {
    /// The section's number, from the name.
    pub fn section(&self) -> String {
        let numbers: Vec<&str> = self
            .name
            .trim_start_matches("section_")
            .split('_')
            .take_while(|part| part.bytes().all(|byte| byte.is_ascii_digit()))
            .collect();
        numbers.join(".")
    }
}

/// Cases as `(name, requirement, expectation, what is done)`.
macro_rules! cases {
    ($(($name:ident, $requirement:expr, $expected:expr, $case:expr)),* $(,)?) => {
        /// The cases of this file.
        pub const TABLE: &[$crate::case::Row] = &[$(
            $crate::case::Row { name: stringify!($name), requirement: $requirement, expected: $expected },
        )*];
        $(
            #[test]
            fn $name() {
                let row = $crate::case::Row {
                    name: stringify!($name),
                    requirement: $requirement,
                    expected: $expected,
                };
                $crate::scene::run(&row, $case);
            }
        )*
    };
}
pub(crate) use cases;
