//! Names and identifiers, each its own type with its own grammar: mixing two up does not compile.

use std::sync::Arc;

/// Why a text is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadId {
    /// The text is empty.
    #[error("is empty")]
    Empty,
    /// The text is longer than the grammar allows.
    #[error("is longer than {0} bytes")]
    TooLong(usize),
    /// A character outside the grammar.
    #[error("has the character {0:?}, which is not allowed here")]
    Character(char),
}

/// Visible ASCII without the characters that would need quoting in a header, a log line or a metric.
fn identifier_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':' | '@' | '/' | '|' | '+' | '=' | '~')
}

/// The scope-token of RFC 6749 section 3.3: `%x21 / %x23-5B / %x5D-7E`.
fn scope_character(c: char) -> bool {
    matches!(c, '\u{21}' | '\u{23}'..='\u{5b}' | '\u{5d}'..='\u{7e}')
}

fn checked(text: &str, longest: usize, allowed: fn(char) -> bool) -> Result<Arc<str>, BadId> {
    if text.is_empty() {
        return Err(BadId::Empty);
    }
    if text.len() > longest {
        return Err(BadId::TooLong(longest));
    }
    match text.chars().find(|c| !allowed(*c)) {
        Some(c) => Err(BadId::Character(c)),
        None => Ok(Arc::from(text)),
    }
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $longest:expr, $allowed:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<&str> for $name {
            type Error = BadId;
            fn try_from(text: &str) -> Result<$name, BadId> {
                checked(text, $longest, $allowed).map($name)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Debug::fmt(&*self.0, f)
            }
        }
    };
}

identifier!(
    /// A customer: who owns quota. 1 to 128 visible ASCII characters of the identifier grammar.
    CustomerId, 128, identifier_character
);
identifier!(
    /// A tenant: whose data a call touches. 1 to 128 visible ASCII characters of the identifier grammar.
    TenantId, 128, identifier_character
);
identifier!(
    /// A subject: the user, application or node that a credential names. 1 to 255 characters (`sub`, RFC 7519 4.1.2).
    SubjectId, 255, identifier_character
);
identifier!(
    /// A role, as a token or the configuration names it.
    Role, 128, identifier_character
);
identifier!(
    /// A scope-token of RFC 6749 section 3.3.
    Scope, 128, scope_character
);
identifier!(
    /// The name of a region in the configuration.
    RegionName, 64, identifier_character
);
identifier!(
    /// The name of an api in the configuration.
    ApiName, 64, identifier_character
);
identifier!(
    /// The name of a route: given, or made of its method and path.
    RouteName, 256, scope_character
);
identifier!(
    /// The name of a limit in the configuration.
    LimitName, 64, identifier_character
);
identifier!(
    /// The name of an issuer in the configuration.
    IssuerName, 64, identifier_character
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_refuse_what_could_be_read_in_two_ways() {
        for text in [
            "",
            "a b",
            "a\r\nb",
            "a\0",
            "ä",
            "a,b",
            "a;b",
            "\"a\"",
            &"x".repeat(129),
        ] {
            assert!(CustomerId::try_from(text).is_err(), "{text:?}");
        }
        assert_eq!(
            TenantId::try_from("267958b55d5a463e94a302c20f4a6b68").map(|id| id.as_str().len()),
            Ok(32)
        );
    }
}
