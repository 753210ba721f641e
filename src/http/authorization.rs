//! The `Authorization` field, as far as bearer tokens go (RFC 9110 section 11.6.2, RFC 6750 section 2.1).

use http::HeaderMap;
use http::header::AUTHORIZATION;

/// Why there is no bearer token although there is an `Authorization` field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadAuthorization {
    /// More than one field line. Two recipients could choose different ones (RFC 9110 section 5.3: the field is no
    /// list).
    #[error("more than one Authorization field")]
    Repeated,
    /// Another scheme than `Bearer`.
    #[error("an Authorization scheme other than Bearer")]
    Scheme,
    /// `Bearer` without a token, or with something that is no b64token.
    #[error("a Bearer credential that is no token")]
    Malformed,
}

/// The bearer token of a request: `None` when there is no `Authorization` field.
///
/// Grammar: `"Bearer" 1*SP b64token`, the scheme in any letter case (RFC 9110 section 11.1), b64token as in RFC 6750
/// section 2.1. Lists (`Bearer a, Bearer b`), tabs, quotes and a second word are refused. The token is not judged.
///
/// # Errors
/// [`BadAuthorization`] when there is a field that is not exactly one bearer credential.
pub fn bearer(headers: &HeaderMap) -> Result<Option<&str>, BadAuthorization> {
    let mut lines = headers.get_all(AUTHORIZATION).iter();
    let Some(line) = lines.next() else {
        return Ok(None);
    };
    if lines.next().is_some() {
        return Err(BadAuthorization::Repeated);
    }
    let value = line.as_bytes();
    let (scheme, rest) = match value.iter().position(|byte| *byte == b' ') {
        Some(space) => value.split_at(space),
        None => (value, &[][..]),
    };
    if !scheme.eq_ignore_ascii_case(b"bearer") {
        return Err(BadAuthorization::Scheme);
    }
    let token = rest.trim_ascii_start();
    let padding = token.iter().rev().take_while(|byte| **byte == b'=').count();
    let body = token.split_at(token.len() - padding).0;
    if body.is_empty() || !is_b64token(body) {
        return Err(BadAuthorization::Malformed);
    }
    // A b64token is ASCII, so this cannot fail; if it did, the token would be refused.
    std::str::from_utf8(token)
        .map(Some)
        .map_err(|_| BadAuthorization::Malformed)
}

/// Are these the characters of a b64token, its padding apart? Every byte is looked at, and without a branch: so the
/// compiler takes many at once, which for a token of some hundred bytes is ten times as fast as stopping at the first bad
/// one. A token is read on every request, also one that is known.
fn is_b64token(text: &[u8]) -> bool {
    let bad = text.iter().fold(0_u8, |bad, byte| {
        let letter = (byte | 0x20).wrapping_sub(b'a') < 26;
        // `-`, `.`, `/` and the digits stand side by side.
        let number = byte.wrapping_sub(b'-') <= b'9' - b'-';
        let sign = (*byte == b'_') | (*byte == b'~') | (*byte == b'+');
        bad | u8::from(!(letter | number | sign))
    });
    bad == 0
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn of(values: &[&str]) -> Result<Option<String>, BadAuthorization> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        bearer(&headers).map(|token| token.map(ToOwned::to_owned))
    }

    #[test]
    fn a_bearer_token_is_found_in_any_case_of_the_scheme() {
        for value in [
            "Bearer a.b-c_d~e+f/g==",
            "bearer a.b-c_d~e+f/g==",
            "BEARER   a.b-c_d~e+f/g==",
        ] {
            assert_eq!(of(&[value]), Ok(Some("a.b-c_d~e+f/g==".to_owned())), "{value}");
        }
        assert_eq!(of(&[]), Ok(None));
    }

    #[test]
    fn a_token_has_the_characters_of_the_grammar_and_no_others() {
        for byte in 0..=u8::MAX {
            let named = byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
            for place in [0, 20, 40] {
                let mut text = [b'a'; 41];
                text[place] = byte;
                assert_eq!(is_b64token(&text), named, "{byte:#x} at {place}");
            }
        }
    }

    #[test]
    fn two_fields_are_refused_even_when_they_are_alike() {
        assert_eq!(of(&["Bearer a", "Bearer a"]), Err(BadAuthorization::Repeated));
        assert_eq!(of(&["Bearer a", "Basic eA=="]), Err(BadAuthorization::Repeated));
    }

    #[test]
    fn another_scheme_is_refused() {
        for value in ["Basic eA==", "", "Bearerx a", "DPoP a", "Token a", "Bearer\ta"] {
            assert_eq!(of(&[value]), Err(BadAuthorization::Scheme), "{value:?}");
        }
    }

    #[test]
    fn what_is_no_single_token_is_refused() {
        for value in [
            "Bearer",
            "Bearer ",
            "Bearer =",
            "Bearer a, Bearer b",
            "Bearer a b",
            "Bearer \"a\"",
            "Bearer a=b",
            "Bearer a,",
            "Bearer a;b",
            "Bearer ä",
            "Bearer a\tb",
        ] {
            assert_eq!(of(&[value]), Err(BadAuthorization::Malformed), "{value:?}");
        }
    }
}
