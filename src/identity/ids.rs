//! Names and identifiers, each its own type with its own grammar: mixing two up does not compile.

use std::sync::Arc;

use crate::base::random;

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

/// What a person may type as a name: anything that shows, in any script.
fn name_character(c: char) -> bool {
    !c.is_control()
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

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<$name, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                $name::try_from(&*text).map_err(serde::de::Error::custom)
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
    /// Another identifier of a tenant, by which clients may select it instead of by its name. Mostly a UUID (RFC 9562), with or
    /// without a word before it; 1 to 128 characters of the identifier grammar.
    TenantUuid, 128, identifier_character
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

identifier!(
    /// A realm: one world of accounts. Users, applications, sessions and tokens of one realm mean nothing in another; one
    /// or more apis share it.
    RealmName, 64, identifier_character
);
identifier!(
    /// An OAuth client (RFC 6749 section 2.2). Those that the gateway makes are 32 hexadecimal digits
    /// ([`ClientId::random`]); a configuration may name others.
    ClientId, 128, identifier_character
);
identifier!(
    /// The name of an account as its owner writes it, often an e-mail address. 1 to 320 bytes without control characters.
    AccountName, 320, name_character
);
identifier!(
    /// An [`AccountName`] in its one normal form, by which it is looked up and its failed attempts are counted. Who makes one
    /// has normalised it; two spellings of one name must not become two keys. 1 to 640 bytes without control characters.
    AccountKey, 640, name_character
);
identifier!(
    /// A token's own identifier (`jti`, RFC 7519 section 4.1.7).
    Jti, 255, scope_character
);

identifier!(
    /// A node's own identifier, mostly a UUID (RFC 9562): 1 to 120 characters of the identifier grammar.
    NodeUuid, 120, identifier_character
);

impl ClientId {
    /// What the names of nodes begin with, and no other client's.
    pub const NODE: &str = "node:";

    /// The client that a node is.
    pub fn of_node(uuid: &NodeUuid) -> ClientId {
        ClientId(Arc::from(format!("{}{uuid}", ClientId::NODE).as_str()))
    }

    /// The node that it is, if it is one.
    pub fn node(&self) -> Option<NodeUuid> {
        NodeUuid::try_from(self.as_str().strip_prefix(ClientId::NODE)?).ok()
    }

    /// A new one: 128 random bits.
    pub fn random() -> ClientId {
        ClientId(Arc::from(hex(&random::bytes16()).as_str()))
    }
}

impl Jti {
    /// A new one: 128 random bits.
    pub fn random() -> Jti {
        Jti(Arc::from(hex(&random::bytes16()).as_str()))
    }
}

fn hex(bytes: &[u8; 16]) -> String {
    format!("{:032x}", u128::from_be_bytes(*bytes))
}

/// Why a text is not 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not 32 lower-case hexadecimal digits")]
pub struct NotHex;

macro_rules! random_identifier {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name([u8; 16]);

        impl $name {
            /// A new one.
            pub fn random() -> $name {
                $name(random::bytes16())
            }

            /// One that was stored, or that is derived from something else.
            pub fn from_bytes(bytes: [u8; 16]) -> $name {
                $name(bytes)
            }

            /// Its bytes.
            pub fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl TryFrom<&str> for $name {
            type Error = NotHex;
            fn try_from(text: &str) -> Result<$name, NotHex> {
                let spelled = text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
                match u128::from_str_radix(text, 16) {
                    Ok(number) if spelled => Ok($name(number.to_be_bytes())),
                    Ok(_) | Err(_) => Err(NotHex),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&hex(&self.0))
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&hex(&self.0))
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&hex(&self.0))
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<$name, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                $name::try_from(&*text).map_err(serde::de::Error::custom)
            }
        }
    };
}

random_identifier!(
    /// A user: 128 random bits, written as 32 hexadecimal digits. It never changes, the name may.
    UserId
);
random_identifier!(
    /// An enrolment token's name: 128 random bits. The token itself is another.
    EnrolmentId
);
random_identifier!(
    /// What a node is called after it has joined: 128 random bits, the same as long as it is not removed.
    NodeId
);
random_identifier!(
    /// A family of tokens: what one grant gave to one client. The token list shows it as the token's id.
    FamilyId
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
    #[test]
    fn random_identifiers_are_32_digits_and_read_back() {
        let user = UserId::random();
        assert_eq!(UserId::try_from(user.to_string().as_str()), Ok(user));
        assert_eq!(ClientId::random().as_str().len(), 32);
        for text in [
            "",
            "267958B55D5A463E94A302C20F4A6B68",
            "+67958b55d5a463e94a302c20f4a6b68",
            "26",
        ] {
            assert_eq!(UserId::try_from(text), Err(NotHex), "{text:?}");
        }
        let json = serde_json::to_string(&user).unwrap();
        assert_eq!(serde_json::from_str::<UserId>(&json).unwrap(), user);
        assert!(serde_json::from_str::<CustomerId>("\"a b\"").is_err());
    }
}
