//! Why a token is not accepted.

/// Why a token is not accepted. The order of the variants is the order of the checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum TokenFault {
    /// There is no key at all to verify anything by.
    #[error("no verification keys")]
    NoKeys,
    /// Longer than [`super::compact::LONGEST`].
    #[error("the token is too long")]
    TooLong,
    /// Not exactly three parts, or an empty one (RFC 7515 section 7.1).
    #[error("the token does not have three parts")]
    Parts,
    /// Not canonical base64url without padding (RFC 7515 section 2).
    #[error("the token is not canonical base64url")]
    Encoding,
    /// The header is not a JSON object with members of the right types, or names a member twice (RFC 7515 section 4).
    #[error("the token header is malformed")]
    Header,
    /// `crit` is there; no extension is understood here, so the token must be refused (RFC 7515 section 4.1.11).
    #[error("the token header lists critical extensions")]
    Critical,
    /// `typ` is none of the accepted ones (RFC 8725 section 3.11).
    #[error("the token is of another type")]
    Type,
    /// `alg` is unknown, `none`, or not one that the issuer may use (RFC 8725 section 3.1).
    #[error("the token algorithm is not accepted")]
    Algorithm,
    /// No key has the `kid` that the token names.
    #[error("the token key is unknown")]
    UnknownKey,
    /// The key that the token names cannot be used with the token's algorithm.
    #[error("the token algorithm does not belong to its key")]
    KeyAlgorithm,
    /// The signature does not verify.
    #[error("the token signature is wrong")]
    Signature,
    /// The claims are not a JSON object, name a member twice, or nest too deeply (RFC 7519 section 4).
    #[error("the token claims are malformed")]
    Claims,
    /// A registered claim is missing, or has the wrong type (RFC 7519 section 4.1).
    #[error("a required claim is missing or has the wrong type")]
    Claim(&'static str),
    /// `iss` names another issuer.
    #[error("the token is of another issuer")]
    Issuer,
    /// `aud` does not name this gateway.
    #[error("the token is for another audience")]
    Audience,
    /// `nbf` or `iat` lie in the future.
    #[error("the token is not valid yet")]
    NotYet,
    /// `exp` has passed.
    #[error("the token has expired")]
    Expired,
}

impl TokenFault {
    /// A word for metrics and logs; the set is closed.
    pub fn word(self) -> &'static str {
        match self {
            TokenFault::NoKeys => "no_keys",
            TokenFault::TooLong => "too_long",
            TokenFault::Parts => "parts",
            TokenFault::Encoding => "encoding",
            TokenFault::Header => "header",
            TokenFault::Critical => "critical",
            TokenFault::Type => "type",
            TokenFault::Algorithm => "algorithm",
            TokenFault::UnknownKey => "unknown_key",
            TokenFault::KeyAlgorithm => "key_algorithm",
            TokenFault::Signature => "signature",
            TokenFault::Claims => "claims",
            TokenFault::Claim(_) => "claim",
            TokenFault::Issuer => "issuer",
            TokenFault::Audience => "audience",
            TokenFault::NotYet => "not_yet",
            TokenFault::Expired => "expired",
        }
    }

    /// The sentence for the client's `error_description`: what is wrong, nothing of how it was found out.
    pub fn sentence(self) -> &'static str {
        match self {
            TokenFault::NoKeys => "no verification keys",
            TokenFault::TooLong => "the token is too long",
            TokenFault::Parts => "the token does not have three parts",
            TokenFault::Encoding => "the token is not canonical base64url",
            TokenFault::Header => "the token header is malformed",
            TokenFault::Critical => "the token header lists critical extensions",
            TokenFault::Type => "the token is of another type",
            TokenFault::Algorithm => "the token algorithm is not accepted",
            TokenFault::UnknownKey => "the token key is unknown",
            TokenFault::KeyAlgorithm => "the token algorithm does not belong to its key",
            TokenFault::Signature => "the token signature is wrong",
            TokenFault::Claims => "the token claims are malformed",
            TokenFault::Claim("exp") => "the exp claim is missing or has the wrong type",
            TokenFault::Claim("nbf") => "the nbf claim has the wrong type",
            TokenFault::Claim("iat") => "the iat claim has the wrong type",
            TokenFault::Claim("jti") => "the jti claim has the wrong type",
            TokenFault::Claim("iss") => "the iss claim is missing or has the wrong type",
            TokenFault::Claim("aud") => "the aud claim is missing or has the wrong type",
            TokenFault::Claim("sub") => "the sub claim is missing or has the wrong type",
            TokenFault::Claim(_) => "a required claim is missing or has the wrong type",
            TokenFault::Issuer => "the token is of another issuer",
            TokenFault::Audience => "the token is for another audience",
            TokenFault::NotYet => "the token is not valid yet",
            TokenFault::Expired => "the token has expired",
        }
    }
}
