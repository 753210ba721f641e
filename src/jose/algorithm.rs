//! Names of signature algorithms (RFC 7518 section 3.1, RFC 8037 section 3.1), and which kinds of key go with which.

use crate::config::plan::Algorithm;

/// All algorithms the gateway verifies.
pub const ALL: [Algorithm; 10] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
    Algorithm::HS256,
];

/// The algorithm's registered name.
pub fn name(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::RS256 => "RS256",
        Algorithm::RS384 => "RS384",
        Algorithm::RS512 => "RS512",
        Algorithm::PS256 => "PS256",
        Algorithm::PS384 => "PS384",
        Algorithm::PS512 => "PS512",
        Algorithm::ES256 => "ES256",
        Algorithm::ES384 => "ES384",
        Algorithm::EdDSA => "EdDSA",
        Algorithm::HS256 => "HS256",
    }
}

/// The algorithm of that name; names are compared with their case (RFC 7515 section 4.1.1). `none` is no algorithm.
pub fn from_name(text: &str) -> Option<Algorithm> {
    ALL.into_iter().find(|algorithm| name(*algorithm) == text)
}

/// What a key is. The algorithms that it can be used with follow from this, never from a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// RSA, 2048 to 8192 bits.
    Rsa,
    /// The curve P-256.
    P256,
    /// The curve P-384.
    P384,
    /// The curve Ed25519.
    Ed25519,
    /// A shared secret.
    Secret,
}

impl KeyKind {
    /// The algorithms that a key of this kind can be used with.
    pub fn algorithms(self) -> &'static [Algorithm] {
        match self {
            KeyKind::Rsa => &[
                Algorithm::RS256,
                Algorithm::RS384,
                Algorithm::RS512,
                Algorithm::PS256,
                Algorithm::PS384,
                Algorithm::PS512,
            ],
            KeyKind::P256 => &[Algorithm::ES256],
            KeyKind::P384 => &[Algorithm::ES384],
            KeyKind::Ed25519 => &[Algorithm::EdDSA],
            KeyKind::Secret => &[Algorithm::HS256],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_an_algorithm_only_letter_for_letter() {
        for algorithm in ALL {
            assert_eq!(from_name(name(algorithm)), Some(algorithm));
        }
        for text in [
            "none", "None", "NONE", "nOnE", "", "rs256", "HS512", "ES256 ", "ES256K", "ES512",
        ] {
            assert_eq!(from_name(text), None, "{text:?}");
        }
    }

    #[test]
    fn every_algorithm_belongs_to_exactly_one_kind_of_key() {
        let kinds = [
            KeyKind::Rsa,
            KeyKind::P256,
            KeyKind::P384,
            KeyKind::Ed25519,
            KeyKind::Secret,
        ];
        for algorithm in ALL {
            let owners = kinds
                .iter()
                .filter(|kind| kind.algorithms().contains(&algorithm))
                .count();
            assert_eq!(owners, 1, "{algorithm:?}");
        }
    }
}
