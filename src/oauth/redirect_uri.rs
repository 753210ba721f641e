//! Which redirection URI an answer goes to, and with what (RFC 6749 section 3.1.2). What may be registered, and what then is
//! the same, is [`crate::http::redirect_uri`].

use super::errors::{OAuthError, Refused};
use crate::http::form;
pub use crate::http::redirect_uri::{BadRedirectUri, LONGEST, PrivateUseSchemes, check, matches};

/// Where an answer goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target<'u> {
    /// The request named it: then the token request has to name the same (RFC 6749 section 4.1.3).
    Named(&'u str),
    /// The request left it out, and there is only one.
    Registered(&'u str),
}

impl<'u> Target<'u> {
    /// The URI.
    pub fn uri(self) -> &'u str {
        match self {
            Target::Named(uri) | Target::Registered(uri) => uri,
        }
    }
}

/// Chooses where the answer to an authorization request goes. With several registered, or none, the request has to name one
/// (RFC 6749 section 3.1.2.3).
///
/// # Errors
/// `invalid_request`, to be shown to the user and **not** sent anywhere (section 4.1.2.1).
pub fn choose<'u>(registered: &'u [impl AsRef<str>], named: Option<&'u str>) -> Result<Target<'u>, Refused> {
    match (named, registered) {
        (Some(named), _) if registered.iter().any(|one| matches(one.as_ref(), named)) => {
            Ok(Target::Named(named))
        }
        (Some(_), _) => Err(OAuthError::InvalidRequest.because("The redirect URI is not registered")),
        (None, [only]) => Ok(Target::Registered(only.as_ref())),
        (None, _) => Err(OAuthError::InvalidRequest.because("The redirect URI is missing")),
    }
}

/// The URI with parameters of an answer added to its query, which is kept (RFC 6749 section 3.1.2).
pub fn with_parameters(uri: &str, parameters: &[(&str, &str)]) -> String {
    let mut text = uri.to_owned();
    for (name, value) in parameters {
        match text.split_once('?') {
            None => text.push('?'),
            Some((_, "")) => {}
            Some(_) => text.push('&'),
        }
        text.push_str(&form::encoded(name));
        text.push('=');
        text.push_str(&form::encoded(value));
    }
    text
}

#[cfg(test)]
#[path = "redirect_uri_tests.rs"]
mod tests;
