//! Proof key for code exchange (RFC 7636), with S256 alone: `plain` would show the verifier to whoever sees the request.
//!
//! What is compared are digests: that of the authorization request with that of the verifier. The store does it, in the same
//! step in which it uses up the code ([`crate::store::rules::judge_code`]).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::errors::{OAuthError, Refused};
use crate::base::digest::Digest;

/// Reads `code_challenge` and `code_challenge_method` of an authorization request: the digest of the verifier (section 4.2).
/// `None` without either: whether a client may do without is the endpoint's to say.
///
/// # Errors
/// `invalid_request` for one without the other, for another method (leaving it out means `plain`, section 4.3), and for what
/// is not base64url of 32 bytes.
pub fn challenge(challenge: Option<&str>, method: Option<&str>) -> Result<Option<Digest>, Refused> {
    match (challenge, method) {
        (None, None) => Ok(None),
        (Some(challenge), Some("S256")) => URL_SAFE_NO_PAD
            .decode(challenge)
            .ok()
            .and_then(|bytes| Some(Digest::from_bytes(bytes.try_into().ok()?)))
            .map(Some)
            .ok_or(OAuthError::InvalidRequest.because("The code challenge is malformed")),
        (Some(_), Some(_) | None) => {
            Err(OAuthError::InvalidRequest
                .because("The code challenge method is not supported; it must be S256"))
        }
        (None, Some(_)) => {
            Err(OAuthError::InvalidRequest.because("There is a code challenge method and no code challenge"))
        }
    }
}

/// The digest of the `code_verifier` of a token request.
///
/// # Errors
/// `invalid_request` for one that is none.
pub fn verifier(verifier: Option<&str>) -> Result<Option<Digest>, Refused> {
    match verifier {
        None => Ok(None),
        Some(verifier) if is_verifier(verifier) => Ok(Some(Digest::of(verifier))),
        Some(_) => Err(OAuthError::InvalidRequest.because("The code verifier is malformed")),
    }
}

/// > code-verifier = 43*128unreserved (section 4.1)
fn is_verifier(text: &str) -> bool {
    (43..=128).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7636 appendix B.
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    #[test]
    fn rfc_7636_b_the_example_fits_and_another_verifier_does_not() {
        let challenge = challenge(Some(CHALLENGE), Some("S256")).unwrap().unwrap();
        assert!(challenge.matches(&verifier(Some(VERIFIER)).unwrap().unwrap()));
        for other in [VERIFIER.replace('d', "e").as_str(), CHALLENGE] {
            assert!(!challenge.matches(&verifier(Some(other)).unwrap().unwrap()));
        }
    }

    #[test]
    fn rfc_7636_4_3_neither_is_there_or_both() {
        assert_eq!(super::challenge(None, None), Ok(None));
        assert_eq!(verifier(None), Ok(None));
    }

    #[test]
    fn rfc_7636_4_2_a_challenge_is_s256_of_32_bytes() {
        for (challenge, method) in [
            (Some(CHALLENGE), None),
            (Some(CHALLENGE), Some("plain")),
            (Some(CHALLENGE), Some("s256")),
            (Some(CHALLENGE), Some("")),
            (None, Some("S256")),
            (Some(""), Some("S256")),
            (Some("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM="), Some("S256")),
            (Some("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cN"), Some("S256")),
            (Some("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw+cM"), Some("S256")),
            (Some("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw"), Some("S256")),
            (
                Some("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cMAA"),
                Some("S256"),
            ),
        ] {
            let refused = super::challenge(challenge, method).unwrap_err();
            assert_eq!(
                refused.error,
                OAuthError::InvalidRequest,
                "{challenge:?} {method:?}"
            );
        }
    }

    #[test]
    fn rfc_7636_4_1_a_verifier_has_43_to_128_unreserved_characters() {
        for good in ["a".repeat(43), "-._~0Z".repeat(10), "a".repeat(128)] {
            assert!(verifier(Some(&good)).is_ok(), "{good}");
        }
        for bad in [
            "a".repeat(42),
            "a".repeat(129),
            format!("{}+", "a".repeat(43)),
            format!("{} ", "a".repeat(43)),
            format!("{}=", "a".repeat(43)),
            format!("{}%41", "a".repeat(43)),
            "ä".repeat(43),
            String::new(),
        ] {
            let refused = verifier(Some(&bad)).unwrap_err();
            assert_eq!(refused.error, OAuthError::InvalidRequest, "{bad}");
        }
    }
}
