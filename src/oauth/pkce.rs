//! Proof key for code exchange (RFC 7636), with S256 alone: `plain` would show the verifier to whoever sees the request.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq as _;

use super::errors::{OAuthError, Refused};
use crate::base::digest::Digest;

/// The `code_challenge` of an authorization request: SHA-256 of the verifier (section 4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Challenge([u8; 32]);

impl Challenge {
    /// Reads `code_challenge` and `code_challenge_method`. `None` without either: whether a client may do without is the
    /// endpoint's to say.
    ///
    /// # Errors
    /// `invalid_request` for one without the other, for another method (leaving it out means `plain`, section 4.3), and for
    /// what is not base64url of 32 bytes.
    pub fn read(challenge: Option<&str>, method: Option<&str>) -> Result<Option<Challenge>, Refused> {
        match (challenge, method) {
            (None, None) => Ok(None),
            (Some(challenge), Some("S256")) => URL_SAFE_NO_PAD
                .decode(challenge)
                .ok()
                .and_then(|bytes| {
                    Some(Challenge(
                        *bytes.first_chunk::<32>().filter(|_| bytes.len() == 32)?,
                    ))
                })
                .map(Some)
                .ok_or(OAuthError::InvalidRequest.because("The code challenge is malformed")),
            (Some(_), Some(_) | None) => Err(OAuthError::InvalidRequest
                .because("The code challenge method is not supported; it must be S256")),
            (None, Some(_)) => {
                Err(OAuthError::InvalidRequest
                    .because("There is a code challenge method and no code challenge"))
            }
        }
    }

    /// One that was stored.
    pub fn from_bytes(bytes: [u8; 32]) -> Challenge {
        Challenge(bytes)
    }

    /// To store it.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Compares the `code_verifier` of a token request with the challenge that its code came of. Neither comes without the
/// other: a verifier without a challenge means that somebody took the challenge out (RFC 9700 section 4.8).
///
/// # Errors
/// `invalid_request` for a verifier that is none, `invalid_grant` for everything else.
pub fn check(challenge: Option<&Challenge>, verifier: Option<&str>) -> Result<(), Refused> {
    match (challenge, verifier) {
        (None, None) => Ok(()),
        (Some(_), None) => Err(OAuthError::InvalidGrant.because("The code verifier is missing")),
        (None, Some(_)) => {
            Err(OAuthError::InvalidGrant.because("There is a code verifier, and there was no code challenge"))
        }
        (Some(challenge), Some(verifier)) => {
            if !is_verifier(verifier) {
                return Err(OAuthError::InvalidRequest.because("The code verifier is malformed"));
            }
            let digest = digest(&SHA256, verifier.as_bytes());
            if bool::from(digest.as_ref().ct_eq(challenge.0.as_slice())) {
                Ok(())
            } else {
                Err(OAuthError::InvalidGrant.because("The code verifier does not fit the code challenge"))
            }
        }
    }
}

/// The digest of the `code_verifier` of a token request, for a store that compares it with the challenge itself.
///
/// # Errors
/// `invalid_request` for one that is none.
pub fn presented(verifier: Option<&str>) -> Result<Option<Digest>, Refused> {
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

    fn challenge(text: &str) -> Challenge {
        Challenge::read(Some(text), Some("S256")).unwrap().unwrap()
    }

    fn of(verifier: &str) -> Challenge {
        challenge(&URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes())))
    }

    #[test]
    fn the_example_of_the_rfc_fits() {
        let challenge = challenge(CHALLENGE);
        assert_eq!(check(Some(&challenge), Some(VERIFIER)), Ok(()));
        let stored = Challenge::from_bytes(*challenge.as_bytes());
        assert_eq!(check(Some(&stored), Some(VERIFIER)), Ok(()));
    }

    #[test]
    fn another_verifier_is_no_grant() {
        let challenge = challenge(CHALLENGE);
        let other = VERIFIER.replace('d', "e");
        assert_eq!(
            check(Some(&challenge), Some(&other)).unwrap_err().error,
            OAuthError::InvalidGrant
        );
        // `plain`, tried.
        assert_eq!(
            check(Some(&challenge), Some(CHALLENGE)).unwrap_err().error,
            OAuthError::InvalidGrant
        );
    }

    #[test]
    fn neither_comes_without_the_other() {
        assert_eq!(check(None, None), Ok(()));
        assert_eq!(
            check(Some(&challenge(CHALLENGE)), None).unwrap_err().error,
            OAuthError::InvalidGrant
        );
        assert_eq!(
            check(None, Some(VERIFIER)).unwrap_err().error,
            OAuthError::InvalidGrant
        );
        assert_eq!(Challenge::read(None, None), Ok(None));
    }

    #[test]
    fn a_challenge_is_s256_of_32_bytes() {
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
            let refused = Challenge::read(challenge, method).unwrap_err();
            assert_eq!(
                refused.error,
                OAuthError::InvalidRequest,
                "{challenge:?} {method:?}"
            );
        }
    }

    #[test]
    fn a_verifier_has_43_to_128_unreserved_characters() {
        for good in ["a".repeat(43), "-._~0Z".repeat(10), "a".repeat(128)] {
            assert_eq!(check(Some(&of(&good)), Some(&good)), Ok(()), "{good}");
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
            let refused = check(Some(&of(&bad)), Some(&bad)).unwrap_err();
            assert_eq!(refused.error, OAuthError::InvalidRequest, "{bad}");
        }
    }
}
