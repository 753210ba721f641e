//! The compact form of a signed token (RFC 7515 section 7.1), taken apart strictly: there is one spelling of a token, and
//! any other is refused before a key is looked at.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::fault::TokenFault;
use super::{algorithm, strict_json};
use crate::config::plan::Algorithm;
use crate::identity::Jti;

/// Longest token that is looked at, in bytes. Longer ones are refused unseen, so that parsing costs are bounded.
pub const LONGEST: usize = 8 * 1024;

/// A token taken apart; nothing of it is verified.
#[derive(Debug)]
pub struct Compact<'t> {
    /// The protected header.
    pub header: Header,
    /// What is signed: the first two parts and the dot between them.
    pub signed: &'t str,
    /// The claims, still encoded.
    pub payload: &'t str,
    /// The signature, decoded.
    pub signature: Vec<u8>,
}

/// What of the protected header matters. `jku`, `x5u`, `jwk`, `x5c` and whatever else is there are never looked at: a
/// token does not say by which key it is to be believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The algorithm that the token claims.
    pub algorithm: Algorithm,
    /// Which key: a name to look up and nothing else.
    pub key: Option<String>,
    /// The media type.
    pub kind: Option<String>,
}

/// Takes `token` apart and reads its header.
///
/// # Errors
/// [`TokenFault::TooLong`], [`TokenFault::Parts`], [`TokenFault::Encoding`], [`TokenFault::Header`],
/// [`TokenFault::Critical`], [`TokenFault::Algorithm`].
pub fn split(token: &str) -> Result<Compact<'_>, TokenFault> {
    let parts = parts(token)?;
    Ok(Compact {
        header: header(parts.header)?,
        signed: parts.signed,
        payload: parts.payload,
        signature: decode(parts.signature)?,
    })
}

/// The three parts of a token as they stand there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts<'t> {
    /// The protected header, encoded.
    pub header: &'t str,
    /// The claims, encoded.
    pub payload: &'t str,
    /// The signature, encoded.
    pub signature: &'t str,
    /// The first two with the dot between them.
    pub signed: &'t str,
}

/// Cuts `token` at its dots, without decoding anything.
///
/// # Errors
/// [`TokenFault::TooLong`], [`TokenFault::Parts`].
pub fn parts(token: &str) -> Result<Parts<'_>, TokenFault> {
    if token.len() > LONGEST {
        return Err(TokenFault::TooLong);
    }
    let (signed, signature) = token.rsplit_once('.').ok_or(TokenFault::Parts)?;
    let (header, payload) = signed.split_once('.').ok_or(TokenFault::Parts)?;
    if header.is_empty() || payload.is_empty() || signature.is_empty() || payload.contains('.') {
        return Err(TokenFault::Parts);
    }
    Ok(Parts {
        header,
        payload,
        signature,
        signed,
    })
}

/// Decodes one part: the URL-safe alphabet, no padding, no line breaks, no bits left over in the last character.
///
/// # Errors
/// [`TokenFault::Encoding`].
pub fn decode(part: &str) -> Result<Vec<u8>, TokenFault> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenFault::Encoding)
}

fn header(part: &str) -> Result<Header, TokenFault> {
    let members = strict_json::object(&decode(part)?).map_err(|_| TokenFault::Header)?;
    // "If any of the listed extension Header Parameters are not understood and supported by the recipient, then the JWS
    // is invalid." None is, and an empty or mistyped list is invalid as well (RFC 7515 section 4.1.11).
    if members.contains_key("crit") {
        return Err(TokenFault::Critical);
    }
    let text = |name: &str| match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            Err(TokenFault::Header)
        }
    };
    let name = text("alg")?.ok_or(TokenFault::Header)?;
    Ok(Header {
        algorithm: algorithm::from_name(&name).ok_or(TokenFault::Algorithm)?,
        key: text("kid")?,
        kind: text("typ")?,
    })
}

/// The `iss` of a token that is not verified: tells which of several issuers is asked to verify it, and nothing else.
/// `None` when there is none that could be read.
pub fn unverified_issuer(token: &str) -> Option<String> {
    unverified(token, "iss")
}

/// The `jti` of a token that is not verified: good to end it by, and for nothing else. `None` when there is none.
pub fn unverified_id(token: &str) -> Option<Jti> {
    Jti::try_from(unverified(token, "jti")?.as_str()).ok()
}

fn unverified(token: &str, claim: &str) -> Option<String> {
    let payload = decode(parts(token).ok()?.payload).ok()?;
    match strict_json::object(&payload).ok()?.remove(claim) {
        Some(Value::String(text)) => Some(text),
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) | None => {
            None
        }
    }
}
