//! Redirection URIs: what may be registered, and what then is the same (RFC 6749 section 3.1.2, RFC 9700 section 2.1, RFC 8252
//! section 7).
//!
//! The comparison is of texts, byte by byte. One thing may differ, the port of a loopback address, because a native app
//! takes the port that it gets; what is behind the port is compared like the rest, so there is nothing to be parsed in two
//! ways.

use http::Uri;

use super::{form, host};

/// Most bytes of a redirection URI.
pub const LONGEST: usize = 2048;

/// Whether an app may be sent a code by a scheme that it registered with its operating system (RFC 8252 section 7.1), as
/// `com.example.app:/callback`. Any other app may register the same one, so it takes an explicit setting, and PKCE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PrivateUseSchemes {
    /// They are refused.
    Refused,
    /// Those with a dot in them, as the RFC has it, are taken.
    Allowed,
}

/// Why a URI is not registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadRedirectUri {
    /// Empty, longer than [`LONGEST`], or with a character that no URI has.
    #[error("is no URI of at most {LONGEST} visible ASCII characters")]
    Characters,
    /// > The endpoint URI MUST NOT include a fragment component.
    #[error("has a fragment")]
    Fragment,
    /// `user@`: it hides the host from people.
    #[error("has user information before its host")]
    UserInformation,
    /// No absolute URI with a host.
    #[error("is not absolute: write `https://`, the host and the path")]
    Form,
    /// `http` to another machine than the user's own.
    #[error("is not HTTPS; `http` is for 127.0.0.1, [::1] and localhost")]
    Plain,
    /// A scheme that is neither.
    #[error(
        "has a scheme that is not allowed; a scheme of one's own has a dot in it, as `com.example.app:/callback`, and needs a setting"
    )]
    Scheme,
}

/// Checks a URI before it is registered.
///
/// `http` is taken for loopback addresses and `localhost`. Only the addresses get the exception of the port: what
/// `localhost` is, the machine's own files say (RFC 8252 section 8.3).
///
/// # Errors
/// What is wrong with it.
pub fn check(uri: &str, schemes: PrivateUseSchemes) -> Result<(), BadRedirectUri> {
    let belongs = |byte: u8| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte);
    if uri.is_empty()
        || uri.len() > LONGEST
        || !uri.bytes().all(belongs)
        || form::decoded(uri.as_bytes()).is_err()
    {
        return Err(BadRedirectUri::Characters);
    }
    if uri.contains('#') {
        return Err(BadRedirectUri::Fragment);
    }
    let (scheme, rest) = uri.split_once(':').ok_or(BadRedirectUri::Form)?;
    let scheme = scheme.to_ascii_lowercase();
    if !matches!(scheme.as_str(), "https" | "http") {
        return check_private_use(&scheme, rest, schemes);
    }
    let authority = rest.strip_prefix("//").ok_or(BadRedirectUri::Form)?;
    let end = authority.find(['/', '?']).unwrap_or(authority.len());
    let authority = authority.split_at(end).0;
    if authority.contains('@') {
        return Err(BadRedirectUri::UserInformation);
    }
    // The host by our own rules, the whole by those of the crate that will send it.
    if !host::is_authority(authority) || uri.parse::<Uri>().is_err() {
        return Err(BadRedirectUri::Form);
    }
    let is_localhost = authority
        .split(':')
        .next()
        .is_some_and(|name| name.eq_ignore_ascii_case("localhost"));
    if scheme == "http" && !is_localhost && without_port(uri).is_none() {
        return Err(BadRedirectUri::Plain);
    }
    Ok(())
}

/// `scheme ":" path` with a scheme in the manner of a domain name turned round.
fn check_private_use(scheme: &str, rest: &str, schemes: PrivateUseSchemes) -> Result<(), BadRedirectUri> {
    let is_label = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+'))
    };
    let has_form = scheme.contains('.')
        && scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.split('.').all(is_label);
    if schemes == PrivateUseSchemes::Refused || !has_form {
        return Err(BadRedirectUri::Scheme);
    }
    // > there is no naming authority, [...] only a single slash ("/") appears after the scheme component
    if rest.starts_with("//") || !rest.starts_with('/') {
        return Err(BadRedirectUri::Form);
    }
    Ok(())
}

/// Is `presented` the registered URI? Byte by byte, but for the port of `http://127.0.0.1` and `http://[::1]` (RFC 8252
/// section 7.3).
pub fn matches(registered: &str, presented: &str) -> bool {
    if registered == presented {
        return true;
    }
    match (without_port(registered), without_port(presented)) {
        (Some(registered), Some(presented)) => registered == presented,
        (Some(_) | None, _) => false,
    }
}

/// A loopback address and what follows its port; `None` for every other URI. Spelled as it must be: in lower case, a port
/// without leading zeros.
fn without_port(uri: &str) -> Option<(&'static str, &str)> {
    let (address, rest) = ["http://127.0.0.1", "http://[::1]"]
        .into_iter()
        .find_map(|address| Some((address, uri.strip_prefix(address)?)))?;
    let rest = match rest.strip_prefix(':') {
        None => rest,
        Some(rest) => {
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            let (port, rest) = rest.split_at(end);
            let is_port = !port.starts_with('0') && port.parse::<u16>().is_ok();
            is_port.then_some(rest)?
        }
    };
    (rest.is_empty() || rest.starts_with(['/', '?'])).then_some((address, rest))
}

#[cfg(test)]
#[path = "redirect_uri_tests.rs"]
mod tests;
