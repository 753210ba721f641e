//! The `Authorization` field (RFC 9110 section 11.6.2): bearer tokens (RFC 6750 section 2.1) and user names with passwords
//! (RFC 7617).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use zeroize::Zeroizing;

use super::form;
use crate::base::secret::Secret;

/// Why there is no credential of a scheme although there is an `Authorization` field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadAuthorization {
    /// More than one field line. Two recipients could choose different ones (RFC 9110 section 5.3: the field is no
    /// list).
    #[error("more than one Authorization field")]
    Repeated,
    /// Another scheme than the one that was asked for.
    #[error("another Authorization scheme")]
    Scheme,
    /// The scheme without a credential, or with something that is none of its kind.
    #[error("a malformed credential")]
    Malformed,
}

/// What an `Authorization` field says: a scheme, and what follows it from the first space on.
struct Credential<'h> {
    scheme: &'h [u8],
    rest: &'h [u8],
}

/// The one `Authorization` field; `None` when there is none.
fn credential(headers: &HeaderMap) -> Result<Option<Credential<'_>>, BadAuthorization> {
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
    Ok(Some(Credential { scheme, rest }))
}

/// The bearer token of a request: `None` when there is no `Authorization` field.
///
/// Grammar: `"Bearer" 1*SP b64token`, the scheme in any letter case (RFC 9110 section 11.1), b64token as in RFC 6750
/// section 2.1. Lists (`Bearer a, Bearer b`), tabs, quotes and a second word are refused. The token is not judged. It is
/// ASCII; it is given as bytes, since a token that is known is never read as text.
///
/// # Errors
/// [`BadAuthorization`] when there is a field that is not exactly one bearer credential.
pub fn bearer(headers: &HeaderMap) -> Result<Option<&[u8]>, BadAuthorization> {
    let Some(Credential { scheme, rest }) = credential(headers)? else {
        return Ok(None);
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
    Ok(Some(token))
}

/// Are these the characters of a b64token, its padding apart? Every byte is looked at, and without a branch: so the
/// compiler takes many at once, which for a token of some hundred bytes is ten times as fast as one after another. A token is
/// read on every request, also one that is known.
///
/// In pieces of a fixed length and a function of its own: as one loop over any length, inlined into its caller, it was taken
/// byte by byte in a release that is optimised by a profile.
#[inline(never)]
fn is_b64token(text: &[u8]) -> bool {
    let (pieces, rest) = text.as_chunks::<32>();
    let mut bad = [0_u8; 32];
    for piece in pieces {
        for (bad, byte) in bad.iter_mut().zip(piece) {
            *bad |= is_foreign(*byte);
        }
    }
    let bad = bad.iter().fold(0, |all, bad| all | bad);
    rest.iter().fold(bad, |bad, byte| bad | is_foreign(*byte)) == 0
}

/// 1 for a byte that no b64token has, else 0.
#[inline(always)]
fn is_foreign(byte: u8) -> u8 {
    let letter = (byte | 0x20).wrapping_sub(b'a') < 26;
    // `-`, `.`, `/` and the digits stand side by side.
    let number = byte.wrapping_sub(b'-') <= b'9' - b'-';
    let sign = (byte == b'_') | (byte == b'~') | (byte == b'+');
    u8::from(!(letter | number | sign))
}

/// A user name and a password. `Debug` shows neither: people paste tokens into either field.
#[derive(Clone)]
pub struct Basic {
    user: Zeroizing<String>,
    password: Secret,
}

impl Basic {
    /// The user-id: no colon, no control characters; may be empty, which is then the name of nobody.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The password: UTF-8 without control characters; may be empty.
    pub fn password(&self) -> &Secret {
        &self.password
    }

    /// The second reading of client credentials: RFC 6749 section 2.3.1 has identifier and secret form-encoded before they
    /// are joined. Many clients do not do that, so the first reading is tried too. `None` when this reading says nothing
    /// else, or cannot be read so.
    pub fn form_decoded(&self) -> Option<Basic> {
        let user = form::decoded(self.user.as_bytes()).ok()?;
        let password = form::decoded(self.password.reveal()).ok()?;
        if *user == *self.user && password.as_bytes() == self.password.reveal() {
            return None;
        }
        if has_control(&user) || has_control(&password) {
            return None;
        }
        Some(Basic {
            user: Zeroizing::new(user.into_owned()),
            password: Secret::new(password.into_owned().into_bytes()),
        })
    }
}

impl std::fmt::Debug for Basic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// The user name and password of a request: `None` when there is no `Authorization` field.
///
/// Grammar: `"Basic" 1*SP token68`, the scheme in any letter case, token68 in padded base64 of `user-id ":" password` in
/// UTF-8 (RFC 7617 section 2; the older Latin-1 is refused unless it is ASCII). The first colon ends the user-id.
///
/// # Errors
/// [`BadAuthorization`] when there is a field that is not exactly one such credential.
pub fn basic(headers: &HeaderMap) -> Result<Option<Basic>, BadAuthorization> {
    let Some(Credential { scheme, rest }) = credential(headers)? else {
        return Ok(None);
    };
    if !scheme.eq_ignore_ascii_case(b"basic") {
        return Err(BadAuthorization::Scheme);
    }
    let decoded = STANDARD
        .decode(rest.trim_ascii_start())
        .map(Zeroizing::new)
        .map_err(|_| BadAuthorization::Malformed)?;
    let text = std::str::from_utf8(&decoded).map_err(|_| BadAuthorization::Malformed)?;
    let (user, password) = text.split_once(':').ok_or(BadAuthorization::Malformed)?;
    // > The user-id and password MUST NOT contain any control characters
    if has_control(text) {
        return Err(BadAuthorization::Malformed);
    }
    Ok(Some(Basic {
        user: Zeroizing::new(user.to_owned()),
        password: Secret::new(password.as_bytes().to_vec()),
    }))
}

/// CTL of RFC 5234 appendix B.1: those of ASCII.
fn has_control(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_control())
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
        bearer(&headers).map(|token| token.map(|token| String::from_utf8(token.to_vec()).unwrap()))
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

    fn basic_of(values: &[&str]) -> Result<Option<(String, String)>, BadAuthorization> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        basic(&headers).map(|found| found.as_ref().map(shown))
    }

    fn shown(basic: &Basic) -> (String, String) {
        let password = String::from_utf8(basic.password().reveal().to_vec()).unwrap();
        (basic.user().to_owned(), password)
    }

    fn joined(text: &str) -> String {
        format!("Basic {}", STANDARD.encode(text))
    }

    fn pair(user: &str, password: &str) -> Option<(String, String)> {
        Some((user.to_owned(), password.to_owned()))
    }

    #[test]
    fn name_and_password_are_parted_at_the_first_colon() {
        // The examples of RFC 7617, sections 2 and 2.1.
        let aladdin = "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==";
        assert_eq!(basic_of(&[aladdin]), Ok(pair("Aladdin", "open sesame")));
        assert_eq!(basic_of(&["Basic dGVzdDoxMjPCow=="]), Ok(pair("test", "123£")));
        assert_eq!(basic_of(&["bASIC   YTpiOmM="]), Ok(pair("a", "b:c")));
        assert_eq!(basic_of(&[&joined(":")]), Ok(pair("", "")));
        assert_eq!(basic_of(&[&joined(":token")]), Ok(pair("", "token")));
        assert_eq!(basic_of(&[]), Ok(None));
    }

    #[test]
    fn what_is_no_name_with_a_password_is_refused() {
        assert_eq!(
            basic_of(&["Basic YTpi", "Basic YTpi"]),
            Err(BadAuthorization::Repeated)
        );
        assert_eq!(basic_of(&["Bearer a"]), Err(BadAuthorization::Scheme));
        for value in [
            "Basic",
            "Basic ",
            "Basic YTpi, Basic YTpi",
            "Basic YTpi YTpi",
            "Basic \"YTpi\"",
            "Basic YTpiOg",
            "Basic YTpiOh==",
            "Basic YTp=",
            "Basic YTpiOg===",
            "Basic _-__",
            "Basic YTpi\t",
            "Basic a:b",
            &joined("a"),
            &joined("a:b\n"),
            &joined("a\0:b"),
            &joined("a:\u{7f}"),
            // Latin-1.
            "Basic dGVzdDoxMjOj",
        ] {
            assert_eq!(basic_of(&[value]), Err(BadAuthorization::Malformed), "{value:?}");
        }
    }

    #[test]
    fn client_credentials_have_a_second_reading_where_it_differs() {
        let second = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.append(AUTHORIZATION, HeaderValue::from_str(&joined(text)).unwrap());
            let basic = basic(&headers).unwrap().unwrap();
            basic.form_decoded().as_ref().map(shown)
        };
        assert_eq!(second("id:secret"), None);
        assert_eq!(second("my+client:se%3Acr%2Bet"), pair("my client", "se:cr+et"));
        assert_eq!(second("a%3Ab:c"), pair("a:b", "c"));
        for text in ["id:100%", "id:%ff", "id:%0a", "id:50%25%"] {
            assert_eq!(second(text), None, "{text}");
        }
    }

    #[test]
    fn neither_name_nor_password_is_shown() {
        let mut headers = HeaderMap::new();
        headers.append(
            AUTHORIZATION,
            HeaderValue::from_str(&joined("hidden:hidden")).unwrap(),
        );
        assert_eq!(format!("{:?}", basic(&headers)), "Ok(Some(***))");
    }
}
