//! The errors that OAuth gives names to, with the status and a sentence for each.
//!
//! Names of RFC 6749 sections 4.1.2.1 and 5.2, RFC 7009 section 2.2.1, RFC 8693 section 2.2.2 (which takes `invalid_target`
//! from RFC 8707) and RFC 6750 section 3.1. RFC 7636 has no names of its own: its errors are `invalid_request` (section
//! 4.4.1) and `invalid_grant` (section 4.6).

use http::StatusCode;

/// The name of an error. Where an error is sent to, in a redirect or as an answer, is the endpoint's business.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OAuthError {
    /// A parameter is missing, repeated, unknown or malformed.
    InvalidRequest,
    /// The client is unknown, or did not prove who it is.
    InvalidClient,
    /// The code, the refresh token or what else was handed in is no good, or belongs to another client.
    InvalidGrant,
    /// The client may not use this grant or response type.
    UnauthorizedClient,
    /// The token endpoint does not know the grant type.
    UnsupportedGrantType,
    /// A scope is unknown, malformed or more than was granted.
    InvalidScope,
    /// The owner or the gateway said no.
    AccessDenied,
    /// The authorization endpoint does not know the response type.
    UnsupportedResponseType,
    /// A bug.
    ServerError,
    /// The store or another part is out of order, and that will pass.
    TemporarilyUnavailable,
    /// The revocation endpoint does not revoke tokens of this type.
    UnsupportedTokenType,
    /// No token is made for this audience or resource.
    InvalidTarget,
    /// The access token is expired, revoked or malformed.
    InvalidToken,
    /// The access token has not the scope that is needed.
    InsufficientScope,
}

impl OAuthError {
    /// All of them.
    pub const ALL: [OAuthError; 14] = [
        OAuthError::InvalidRequest,
        OAuthError::InvalidClient,
        OAuthError::InvalidGrant,
        OAuthError::UnauthorizedClient,
        OAuthError::UnsupportedGrantType,
        OAuthError::InvalidScope,
        OAuthError::AccessDenied,
        OAuthError::UnsupportedResponseType,
        OAuthError::ServerError,
        OAuthError::TemporarilyUnavailable,
        OAuthError::UnsupportedTokenType,
        OAuthError::InvalidTarget,
        OAuthError::InvalidToken,
        OAuthError::InsufficientScope,
    ];

    /// The value of the `error` parameter or member.
    pub fn as_str(self) -> &'static str {
        match self {
            OAuthError::InvalidRequest => "invalid_request",
            OAuthError::InvalidClient => "invalid_client",
            OAuthError::InvalidGrant => "invalid_grant",
            OAuthError::UnauthorizedClient => "unauthorized_client",
            OAuthError::UnsupportedGrantType => "unsupported_grant_type",
            OAuthError::InvalidScope => "invalid_scope",
            OAuthError::AccessDenied => "access_denied",
            OAuthError::UnsupportedResponseType => "unsupported_response_type",
            OAuthError::ServerError => "server_error",
            OAuthError::TemporarilyUnavailable => "temporarily_unavailable",
            OAuthError::UnsupportedTokenType => "unsupported_token_type",
            OAuthError::InvalidTarget => "invalid_target",
            OAuthError::InvalidToken => "invalid_token",
            OAuthError::InsufficientScope => "insufficient_scope",
        }
    }

    /// The status where the error is an answer of its own:
    ///
    /// > The authorization server responds with an HTTP 400 (Bad Request) status code (unless specified otherwise)
    ///
    /// `invalid_client` is 401, with a challenge of the scheme that the client used (RFC 6749 section 5.2).
    pub fn status(self) -> StatusCode {
        match self {
            OAuthError::InvalidRequest
            | OAuthError::InvalidGrant
            | OAuthError::UnauthorizedClient
            | OAuthError::UnsupportedGrantType
            | OAuthError::InvalidScope
            | OAuthError::UnsupportedResponseType
            | OAuthError::UnsupportedTokenType
            | OAuthError::InvalidTarget => StatusCode::BAD_REQUEST,
            OAuthError::InvalidClient | OAuthError::InvalidToken => StatusCode::UNAUTHORIZED,
            OAuthError::AccessDenied | OAuthError::InsufficientScope => StatusCode::FORBIDDEN,
            OAuthError::ServerError => StatusCode::INTERNAL_SERVER_ERROR,
            OAuthError::TemporarilyUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The usual `error_description`: what the client can change, and nothing of how it was found out.
    pub fn description(self) -> &'static str {
        match self {
            OAuthError::InvalidRequest => "A parameter is missing, repeated or malformed",
            OAuthError::InvalidClient => "The client is unknown or did not authenticate",
            OAuthError::InvalidGrant => "The grant is invalid, expired, revoked or of another client",
            OAuthError::UnauthorizedClient => "The client may not use this grant type",
            OAuthError::UnsupportedGrantType => "The grant type is not supported",
            OAuthError::InvalidScope => "The scope is unknown, malformed or more than may be granted",
            OAuthError::AccessDenied => "Access was denied",
            OAuthError::UnsupportedResponseType => "The response type is not supported",
            OAuthError::ServerError => "Something went wrong here",
            OAuthError::TemporarilyUnavailable => "Try again later",
            OAuthError::UnsupportedTokenType => "Tokens of this type cannot be revoked",
            OAuthError::InvalidTarget => "No token is issued for this audience",
            OAuthError::InvalidToken => "The access token is invalid or has expired",
            OAuthError::InsufficientScope => "The access token has not the scope that is needed",
        }
    }

    /// The error with a sentence that says more. It goes to the client as it is, so it holds nothing that came from a
    /// request, and only characters of RFC 6749 section 5.2 (`%x20-21 / %x23-5B / %x5D-7E`).
    pub fn because(self, description: &'static str) -> Refused {
        Refused {
            error: self,
            description,
        }
    }
}

impl std::fmt::Display for OAuthError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An error and its sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{error}: {description}")]
pub struct Refused {
    /// Which one.
    pub error: OAuthError,
    /// What the client can change.
    pub description: &'static str,
}

impl From<OAuthError> for Refused {
    fn from(error: OAuthError) -> Refused {
        error.because(error.description())
    }
}

impl Refused {
    /// The body of RFC 6749 section 5.2.
    pub fn json(&self) -> String {
        // Neither has a character that JSON would escape; a test says so.
        format!(
            "{{\"error\":\"{}\",\"error_description\":\"{}\"}}",
            self.error, self.description
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct_and_sentences_have_the_characters_of_the_rfc() {
        let names: std::collections::HashSet<_> =
            OAuthError::ALL.iter().map(|error| error.as_str()).collect();
        assert_eq!(names.len(), OAuthError::ALL.len());
        for error in OAuthError::ALL {
            let allowed = |byte: u8| matches!(byte, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e);
            assert!(error.description().bytes().all(allowed), "{error}");
            let body: serde_json::Value = serde_json::from_str(&Refused::from(error).json()).unwrap();
            assert_eq!(body["error"], error.as_str());
            assert_eq!(body["error_description"], error.description());
        }
    }

    #[test]
    fn an_error_is_400_unless_its_rfc_says_otherwise() {
        let others: Vec<(&str, u16)> = OAuthError::ALL
            .iter()
            .map(|error| (error.as_str(), error.status().as_u16()))
            .filter(|(_, status)| *status != 400)
            .collect();
        assert_eq!(
            others,
            [
                ("invalid_client", 401),
                ("access_denied", 403),
                ("server_error", 500),
                ("temporarily_unavailable", 503),
                ("invalid_token", 401),
                ("insufficient_scope", 403),
            ]
        );
    }
}
