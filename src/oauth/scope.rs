//! What of the scopes that a client asks for it gets: all, or an error. The reading of lists is
//! [`crate::identity::scopes`].

use super::errors::{OAuthError, Refused};
use crate::identity::{Scope, scopes};

/// The scopes that are granted: those asked for, in their order, if all of them are in `allowed`; `otherwise` if none are
/// asked for. Nothing is left out silently: clients take an answer with other scopes than they asked for as an error.
///
/// `allowed` is what the client is registered for, or on refreshing what was granted before (RFC 6749 section 6); `otherwise`
/// has to be part of it.
///
/// # Errors
/// `invalid_scope` for a list that is none or too long, for a scope that is not allowed, and for none at all where there is
/// nothing to grant otherwise (section 3.3).
pub fn granted(
    requested: Option<&str>,
    allowed: &[Scope],
    otherwise: &[Scope],
) -> Result<Vec<Scope>, Refused> {
    let requested = scopes::parse(requested.unwrap_or_default())
        .map_err(|_| OAuthError::InvalidScope.because("The scope is malformed"))?;
    if requested.iter().any(|scope| !allowed.contains(scope)) {
        return Err(OAuthError::InvalidScope.because("The scope is more than may be granted"));
    }
    if !requested.is_empty() {
        return Ok(requested);
    }
    if otherwise.is_empty() {
        return Err(OAuthError::InvalidScope.because("A scope is needed"));
    }
    Ok(otherwise.to_vec())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn list(text: &str) -> Vec<Scope> {
        scopes::parse(text).unwrap()
    }

    #[test]
    fn what_is_asked_for_is_granted_in_its_order_or_refused_as_a_whole() {
        let allowed = list("read write all");
        assert_eq!(granted(Some("write read"), &allowed, &[]), Ok(list("write read")));
        for requested in [
            "write admin",
            "Read",
            "read\twrite",
            "rea",
            "\"read\"",
            &"read ".repeat(10_000),
        ] {
            let refused = granted(Some(requested), &allowed, &allowed).unwrap_err();
            assert_eq!(refused.error, OAuthError::InvalidScope, "{requested}");
        }
        assert!(granted(Some("read"), &[], &[]).is_err());
    }

    #[test]
    fn nothing_asked_for_is_what_is_granted_otherwise() {
        let (allowed, otherwise) = (list("read all"), list("read"));
        for requested in [None, Some(""), Some(" ")] {
            assert_eq!(granted(requested, &allowed, &otherwise), Ok(list("read")));
            assert_eq!(
                granted(requested, &allowed, &[]).unwrap_err().error,
                OAuthError::InvalidScope
            );
        }
    }

    proptest! {
        #[test]
        fn nothing_is_granted_that_is_not_allowed(
            requested in "[a-e ]{0,12}",
            allowed in "[a-e ]{0,8}",
        ) {
            let allowed = list(&allowed);
            if let Ok(granted) = granted(Some(&requested), &allowed, &allowed) {
                prop_assert!(granted.iter().all(|scope| allowed.contains(scope)));
                prop_assert!(granted == list(&requested) || list(&requested).is_empty());
            }
        }
    }
}
