//! Parameters of `application/x-www-form-urlencoded`, from a body or from a query, for endpoints of our own.
//!
//! Stricter than [`super::query`], which looks into what others will read: here nobody else does, so what is no form is
//! refused. Parameters may stand for secrets, so `Debug` shows their number only.

use std::borrow::Cow;

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::query::unescaped;

/// The media type of forms (RFC 6749 appendix B).
pub const MEDIA_TYPE: &str = "application/x-www-form-urlencoded";

/// How much of a form is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Most parameters.
    pub parameters: usize,
    /// Most bytes of the encoded text.
    pub bytes: usize,
}

impl Bounds {
    /// 64 parameters in 64 KiB: an RFC 6749 request has a dozen, and the longest value is a token of some KiB.
    pub const USUAL: Bounds = Bounds {
        parameters: 64,
        bytes: 64 << 10,
    };
}

/// Why a text is not read as a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadForm {
    /// More bytes than the bound.
    #[error("the form is too large")]
    TooLarge,
    /// More parameters than the bound.
    #[error("the form has too many parameters")]
    TooMany,
    /// A `%` without two hexadecimal digits.
    #[error("the form has a `%` that begins no escape")]
    Escape,
    /// Bytes that are not UTF-8, escaped or not.
    #[error("the form is not UTF-8")]
    Encoding,
}

/// A parameter that may be given once and was given more than once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a parameter is repeated")]
pub struct Repeated;

/// The parameters of one form, decoded, in order.
pub struct Parameters<'t> {
    pairs: Vec<(Cow<'t, str>, Cow<'t, str>)>,
}

impl<'t> Parameters<'t> {
    /// Reads a body, or a query without its `?`. Nothing is copied that needs no decoding.
    ///
    /// Pairs are separated by `&` alone; a name without `=` has an empty value; nothing between two `&` is nothing. `+` is
    /// a space.
    ///
    /// # Errors
    /// What makes it no form, or too large a one. The bounds are looked at before anything is kept.
    pub fn read(text: &'t [u8], bounds: Bounds) -> Result<Parameters<'t>, BadForm> {
        if text.len() > bounds.bytes {
            return Err(BadForm::TooLarge);
        }
        let pieces = || text.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty());
        if pieces().nth(bounds.parameters).is_some() {
            return Err(BadForm::TooMany);
        }
        let pair = |pair: &'t [u8]| {
            let (name, value) = match pair.iter().position(|byte| *byte == b'=') {
                Some(sign) => {
                    let (name, rest) = pair.split_at(sign);
                    (name, rest.strip_prefix(b"=").unwrap_or_default())
                }
                None => (pair, &[][..]),
            };
            Ok((decoded(name)?, decoded(value)?))
        };
        Ok(Parameters {
            pairs: pieces().map(pair).collect::<Result<_, _>>()?,
        })
    }

    /// The value of a parameter that may be given once. One without a value counts as left out (RFC 6749 section 3.2), and
    /// as given when it is there twice.
    ///
    /// # Errors
    /// [`Repeated`], be the values alike or not.
    pub fn single(&self, name: &str) -> Result<Option<&str>, Repeated> {
        let mut values = self
            .iter()
            .filter(|(own, _)| *own == name)
            .map(|(_, value)| value);
        let first = values.next();
        match values.next() {
            Some(_) => Err(Repeated),
            None => Ok(first.filter(|value| !value.is_empty())),
        }
    }

    /// Every value of a parameter that may be given more than once, such as `resource` (RFC 8693 section 2.1), in order.
    pub fn all<'p>(&'p self, name: &'p str) -> impl Iterator<Item = &'p str> {
        self.iter()
            .filter(move |(own, _)| *own == name)
            .map(|(_, value)| value)
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, value)| (&**name, &**value))
    }

    /// The first name that is there more than once, whatever it is:
    ///
    /// > Request and response parameters MUST NOT be included more than once. (RFC 6749 section 3.2)
    pub fn repeated(&self) -> Option<&str> {
        let mut names: Vec<&str> = self.iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        names.windows(2).find_map(|two| match two {
            [one, other] if one == other => Some(*one),
            _ => None,
        })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }
}

impl std::fmt::Debug for Parameters<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} parameters", self.len())
    }
}

/// Does the request say that its body is a form? In any letter case, with or without media type parameters; one line only.
pub fn is_form(headers: &HeaderMap) -> bool {
    let mut lines = headers.get_all(CONTENT_TYPE).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else {
        return false;
    };
    line.as_bytes()
        .split(|byte| *byte == b';')
        .next()
        .is_some_and(|media| media.trim_ascii().eq_ignore_ascii_case(MEDIA_TYPE.as_bytes()))
}

/// One name or value, decoded.
///
/// # Errors
/// [`BadForm::Escape`] and [`BadForm::Encoding`].
pub fn decoded(text: &[u8]) -> Result<Cow<'_, str>, BadForm> {
    let mut rest = text;
    while let Some(sign) = rest.iter().position(|byte| *byte == b'%') {
        match rest.get(sign + 1..sign + 3) {
            Some(digits) if digits.iter().all(u8::is_ascii_hexdigit) => {
                rest = rest.get(sign + 3..).unwrap_or_default();
            }
            _ => return Err(BadForm::Escape),
        }
    }
    match unescaped(text) {
        Cow::Borrowed(bytes) => std::str::from_utf8(bytes).map(Cow::Borrowed).ok(),
        Cow::Owned(bytes) => String::from_utf8(bytes).map(Cow::Owned).ok(),
    }
    .ok_or(BadForm::Encoding)
}

/// What stays as it is in an encoded name or value; a space becomes `+`.
const KEPT: &AsciiSet = &CONTROLS
    .add(b'!')
    .add(b'"')
    .add(b'#')
    .add(b'$')
    .add(b'%')
    .add(b'&')
    .add(b'\'')
    .add(b'(')
    .add(b')')
    .add(b'+')
    .add(b',')
    .add(b'/')
    .add(b':')
    .add(b';')
    .add(b'<')
    .add(b'=')
    .add(b'>')
    .add(b'?')
    .add(b'@')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}')
    .add(b'~');

/// One name or value as it stands in a form or in a query.
pub fn encoded(text: &str) -> String {
    utf8_percent_encode(text, KEPT).to_string().replace(' ', "+")
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Parameters<'_> {
        Parameters::read(text.as_bytes(), Bounds::USUAL).unwrap()
    }

    fn pairs(text: &str) -> Vec<(String, String)> {
        read(text)
            .iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    fn refused(text: &[u8]) -> BadForm {
        Parameters::read(text, Bounds::USUAL).unwrap_err()
    }

    #[test]
    fn names_and_values_are_decoded_in_order() {
        let of = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect()
        };
        assert_eq!(
            pairs("username=j%C3%B6rg&password=a+b%2Bc%26%3d=d"),
            of(&[("username", "jörg"), ("password", "a b+c&==d")])
        );
        assert_eq!(pairs("&&a&=b&c=&"), of(&[("a", ""), ("", "b"), ("c", "")]));
        assert_eq!(pairs("a%20b=;x=1"), of(&[("a b", ";x=1")]));
        assert_eq!(pairs(""), []);
        assert_eq!(pairs("näme=wört"), of(&[("näme", "wört")]));
    }

    #[test]
    fn what_needs_no_decoding_is_borrowed() {
        let text = "code=abc&state=x%20y";
        let form = read(text);
        assert!(matches!(form.pairs[0].1, Cow::Borrowed("abc")));
        assert!(matches!(form.pairs[1].1, Cow::Owned(_)));
    }

    #[test]
    fn what_is_no_form_is_refused() {
        for text in ["a=%", "a=%4", "a=%zz", "%=1", "a=%+1", "a=%%41"] {
            assert_eq!(refused(text.as_bytes()), BadForm::Escape, "{text}");
        }
        for text in [&b"a=\xff"[..], b"a=%ff", b"%c3=1", b"a=%c3%28", b"a=%ed%a0%80"] {
            assert_eq!(refused(text), BadForm::Encoding, "{text:?}");
        }
    }

    #[test]
    fn size_and_count_are_bounded() {
        let bounds = Bounds {
            parameters: 2,
            bytes: 10,
        };
        let of = |text: &str| Parameters::read(text.as_bytes(), bounds).map(|form| form.len());
        assert_eq!(of("a=1&&&b=2"), Ok(2));
        assert_eq!(of("a&b&c"), Err(BadForm::TooMany));
        assert_eq!(of("a=123456789"), Err(BadForm::TooLarge));
    }

    #[test]
    fn a_repeated_name_is_found_however_it_is_spelled() {
        let form = read("code=a&c%6Fde=a&scope=x&resource=1&resource=2");
        assert_eq!(form.single("code"), Err(Repeated));
        assert_eq!(form.single("scope"), Ok(Some("x")));
        assert_eq!(form.single("state"), Ok(None));
        assert_eq!(form.all("resource").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(form.repeated(), Some("code"));
        assert_eq!(read("a=1&b=1").repeated(), None);
    }

    #[test]
    fn a_parameter_without_a_value_counts_as_left_out_but_not_twice() {
        assert_eq!(read("scope=&x").single("scope"), Ok(None));
        assert_eq!(read("scope=&scope=all").single("scope"), Err(Repeated));
    }

    #[test]
    fn the_content_type_is_read_without_its_parameters() {
        let of = |lines: &[&str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(CONTENT_TYPE, HeaderValue::from_str(line).unwrap());
            }
            is_form(&headers)
        };
        assert!(of(&["application/x-www-form-urlencoded"]));
        assert!(of(&["Application/X-WWW-Form-Urlencoded ; charset=UTF-8"]));
        assert!(!of(&[]) && !of(&["application/json"]) && !of(&["application/x-www-form-urlencodedx"]));
        assert!(!of(&[MEDIA_TYPE, "application/json"]));
    }

    #[test]
    fn values_are_not_shown() {
        assert_eq!(format!("{:?}", read("client_secret=hidden")), "1 parameters");
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded_again(name in any::<String>(), value in any::<String>()) {
            let text = format!("{}={}", encoded(&name), encoded(&value));
            prop_assert!(text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'&'));
            prop_assert_eq!(pairs(&text), [(name, value)]);
        }
    }
}
