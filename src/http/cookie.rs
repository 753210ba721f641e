//! Cookies: what a request brings, and the `Set-Cookie` fields of our own (RFC 6265).
//!
//! A cookie is opaque bytes here; whether it opens a session is for others to say.

use std::time::Duration;

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

use super::host;

/// Every cookie of a request, in the order of the field lines and within them: name and value as they came, borrowed.
///
/// Clients repeat names (the more specific path first, section 5.4), send several lines (RFC 9113 section 8.2.3), and write
/// more or less white space than section 4.2.1 asks for: all of that is read. Quotes belong to the value. What has no `=`,
/// or no name, is no cookie and is passed over; nothing is refused.
pub fn cookies(headers: &HeaderMap) -> impl Iterator<Item = (&[u8], &[u8])> {
    headers
        .get_all(COOKIE)
        .iter()
        .flat_map(|line| pairs(line.as_bytes()))
        .filter_map(|pair| {
            let sign = memchr::memchr(b'=', pair)?;
            let (name, rest) = pair.split_at(sign);
            let value = rest.strip_prefix(b"=").unwrap_or_default();
            let name = name.trim_ascii();
            (!name.is_empty()).then_some((name, value.trim_ascii()))
        })
}

/// What stands between the semicolons of a line, looked for many bytes at once: a session is looked up on every request, and
/// browsers send kilobytes of cookies.
fn pairs(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let ends = memchr::memchr_iter(b';', line).chain(std::iter::once(line.len()));
    let mut begin = 0;
    ends.map(move |end| {
        let pair = line.get(begin..end).unwrap_or_default();
        begin = end + 1;
        pair
    })
}

/// The values of every cookie called `name` (letter case counts), in order. None of them is "the" value: whoever looks them
/// up takes a few at most, since a header section has room for thousands.
///
/// The same as choosing among [`cookies`]. A pair that does not begin with the name is passed over at its first bytes.
pub fn values<'h>(headers: &'h HeaderMap, name: &'h str) -> impl Iterator<Item = &'h [u8]> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter(|_| !name.is_empty())
        .flat_map(|line| pairs(line.as_bytes()))
        .filter_map(|pair| {
            let behind = pair.trim_ascii_start().strip_prefix(name.as_bytes())?;
            let value = behind.trim_ascii_start().strip_prefix(b"=")?;
            Some(value.trim_ascii())
        })
}

/// Removes every cookie with one of these names. Lines without one stay byte for byte; a line with nothing else goes.
pub fn remove(headers: &mut HeaderMap, names: &[String]) {
    let is_named = |pair: &[u8]| {
        let name = pair
            .split(|byte| *byte == b'=')
            .next()
            .unwrap_or(pair)
            .trim_ascii();
        names.iter().any(|own| match own.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning.as_bytes()),
            None => own.as_bytes() == name,
        })
    };
    let pairs = |line: &HeaderValue| -> bool { line.as_bytes().split(|byte| *byte == b';').any(is_named) };
    if !headers.get_all(COOKIE).iter().any(pairs) {
        return;
    }
    let lines: Vec<HeaderValue> = headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|line| {
            if !pairs(line) {
                return Some(line.clone());
            }
            let kept: Vec<&[u8]> = line
                .as_bytes()
                .split(|byte| *byte == b';')
                .filter(|pair| !is_named(pair))
                .map(<[u8]>::trim_ascii)
                .filter(|pair| !pair.is_empty())
                .collect();
            // Pieces of a value, joined by a semicolon, are a value.
            HeaderValue::from_bytes(&kept.join(&b"; "[..]))
                .ok()
                .filter(|line| !line.is_empty())
        })
        .collect();
    headers.remove(COOKIE);
    for line in lines {
        headers.append(COOKIE, line);
    }
}

/// When a cookie goes along with requests from elsewhere (RFC 6265bis section 4.1.2.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SameSite {
    /// Never.
    Strict,
    /// When a link is followed.
    Lax,
    /// Always. Only with `Secure`.
    None,
}

/// The attributes of a cookie, by their names in RFC 6265 section 4.1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attributes {
    /// `Path`: begins with `/`.
    pub path: String,
    /// `Domain`: the host and everything below it; without it the host alone, which is safer.
    pub domain: Option<String>,
    /// `Max-Age`: whole seconds, 1 s to 400 days; without it until the browser ends its session.
    pub max_age: Option<Duration>,
    /// `HttpOnly`: scripts cannot read it.
    pub http_only: bool,
    /// `Secure`: over HTTPS only.
    pub secure: bool,
    /// `SameSite`; without it browsers take their own default.
    pub same_site: Option<SameSite>,
}

impl Attributes {
    /// Those of a session cookie: `Path=/; HttpOnly; Secure; SameSite=Lax`.
    pub fn session() -> Attributes {
        Attributes {
            path: "/".to_owned(),
            domain: None,
            max_age: None,
            http_only: true,
            secure: true,
            same_site: Some(SameSite::Lax),
        }
    }
}

/// Why a cookie cannot be set as it is configured. Browsers would drop it without a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadCookie {
    /// The name is no token (RFC 9110 section 5.6.2) of 1 to 64 bytes.
    #[error(
        "the name of a cookie has 1 to 64 letters, digits and signs, and no spaces, quotes, `;`, `,` or `=`"
    )]
    Name,
    /// The path.
    #[error("the path of a cookie begins with `/`, and has no spaces and no `;`")]
    Path,
    /// The domain is no host name, or an address.
    #[error("the domain of a cookie is the name of a host, without port and without a dot before it")]
    Domain,
    /// The lifetime.
    #[error("a cookie lives for whole seconds, from 1s to 400d")]
    MaxAge,
    /// `SameSite=None` without `Secure` (RFC 6265bis section 5.7).
    #[error("a cookie with `SameSite=None` needs `Secure`")]
    NoneWithoutSecure,
    /// A `__Secure-` name without `Secure` (RFC 6265bis section 4.1.3.1).
    #[error("a cookie whose name begins with `__Secure-` needs `Secure`")]
    SecurePrefix,
    /// A `__Host-` name without `Secure`, with a domain, or with another path than `/` (RFC 6265bis section 4.1.3.2).
    #[error("a cookie whose name begins with `__Host-` needs `Secure` and the path `/`, and has no domain")]
    HostPrefix,
}

/// A text that is no cookie-value (RFC 6265 section 4.1.1), or too long for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is no value of a cookie")]
pub struct BadCookieValue;

/// Most bytes of name and value together that browsers have to keep (RFC 6265 section 6.1).
const LONGEST: usize = 4096;

/// 400 days: what browsers shorten longer ones to (RFC 6265bis section 5.5).
const LONGEST_LIFE: u64 = 400 * 86_400;

/// A cookie of ours, checked at load: each use makes one `Set-Cookie` field, and a field holds one cookie (RFC 6265
/// section 3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CookieTemplate {
    name: String,
    /// What follows the value.
    attributes: String,
    cleared: HeaderValue,
}

impl CookieTemplate {
    /// The cookie `name` with `attributes`.
    ///
    /// # Errors
    /// What a browser would drop the cookie for.
    pub fn new(name: &str, attributes: &Attributes) -> Result<CookieTemplate, BadCookie> {
        check(name, attributes)?;
        let mut kept = format!("; Path={}", attributes.path);
        if let Some(domain) = &attributes.domain {
            kept.push_str("; Domain=");
            kept.push_str(domain);
        }
        if attributes.http_only {
            kept.push_str("; HttpOnly");
        }
        if attributes.secure {
            kept.push_str("; Secure");
        }
        kept.push_str(match attributes.same_site {
            Some(SameSite::Strict) => "; SameSite=Strict",
            Some(SameSite::Lax) => "; SameSite=Lax",
            Some(SameSite::None) => "; SameSite=None",
            None => "",
        });
        // Deleting takes the same name, path and domain (section 3.1), and for a prefix the same attributes. `Expires` is
        // for those who do not know `Max-Age`.
        let cleared = format!("{name}={kept}; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT");
        if let Some(age) = attributes.max_age {
            kept.push_str(&format!("; Max-Age={}", age.as_secs()));
        }
        Ok(CookieTemplate {
            name: name.to_owned(),
            attributes: kept,
            // All of it was checked to be visible ASCII.
            cleared: HeaderValue::try_from(cleared).map_err(|_| BadCookie::Path)?,
        })
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The field that sets the cookie. It is marked as sensitive, so HPACK does not index it.
    ///
    /// # Errors
    /// [`BadCookieValue`] for a character that no cookie-value has, or more than 4096 bytes with the name.
    pub fn set(&self, value: &str) -> Result<HeaderValue, BadCookieValue> {
        if !value.bytes().all(is_cookie_octet) || self.name.len() + value.len() > LONGEST {
            return Err(BadCookieValue);
        }
        let mut field = HeaderValue::try_from(format!("{}={value}{}", self.name, self.attributes))
            .map_err(|_| BadCookieValue)?;
        field.set_sensitive(true);
        Ok(field)
    }

    /// The field that makes a browser forget the cookie.
    pub fn clear(&self) -> HeaderValue {
        self.cleared.clone()
    }
}

fn check(name: &str, attributes: &Attributes) -> Result<(), BadCookie> {
    if name.is_empty() || name.len() > 64 || !name.bytes().all(is_token_character) {
        return Err(BadCookie::Name);
    }
    let path = &attributes.path;
    if !path.starts_with('/') || !path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b';') {
        return Err(BadCookie::Path);
    }
    if let Some(domain) = &attributes.domain {
        let is_address = domain.parse::<std::net::IpAddr>().is_ok() || domain.starts_with('[');
        let is_name = host::canonical(domain).is_some_and(|name| name.eq_ignore_ascii_case(domain));
        if is_address || !is_name {
            return Err(BadCookie::Domain);
        }
    }
    let has_life = attributes
        .max_age
        .is_none_or(|age| age.subsec_nanos() == 0 && (1..=LONGEST_LIFE).contains(&age.as_secs()));
    if !has_life {
        return Err(BadCookie::MaxAge);
    }
    if attributes.same_site == Some(SameSite::None) && !attributes.secure {
        return Err(BadCookie::NoneWithoutSecure);
    }
    // Browsers compare the prefixes without regard to letter case.
    let has_prefix = |prefix: &str| {
        name.get(..prefix.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    };
    if has_prefix("__Secure-") && !attributes.secure {
        return Err(BadCookie::SecurePrefix);
    }
    if has_prefix("__Host-") && !(attributes.secure && path == "/" && attributes.domain.is_none()) {
        return Err(BadCookie::HostPrefix);
    }
    Ok(())
}

/// RFC 9110 section 5.6.2, `tchar`.
fn is_token_character(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// RFC 6265 section 4.1.1: visible ASCII without quotes, comma, semicolon and backslash.
fn is_cookie_octet(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"\",;\\".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(COOKIE, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        headers
    }

    fn of(lines: &[&str], name: &str) -> Vec<String> {
        values(&request(lines), name)
            .map(|value| String::from_utf8_lossy(value).into_owned())
            .collect()
    }

    #[test]
    fn every_value_of_a_name_is_found_in_order_over_all_lines() {
        let lines = [
            "csrftoken=C; sessionid=S; csrftoken=D; old-sessionid=S",
            "sessionid=T",
        ];
        assert_eq!(of(&lines, "csrftoken"), ["C", "D"]);
        assert_eq!(of(&lines, "sessionid"), ["S", "T"]);
        assert_eq!(of(&lines, "SessionId"), [""; 0]);
        assert_eq!(of(&[], "sessionid"), [""; 0]);
    }

    proptest::proptest! {
        #[test]
        fn values_of_a_name_are_those_of_the_cookies_with_that_name(line in r"[a=; \t\x22b]{0,30}", name in "[ab]{0,3}") {
            let headers = request(&[&line]);
            let chosen: Vec<&[u8]> = cookies(&headers)
                .filter(|(own, _)| *own == name.as_bytes())
                .map(|(_, value)| value)
                .collect();
            proptest::prop_assert_eq!(values(&headers, &name).collect::<Vec<_>>(), chosen);
        }
    }

    #[test]
    fn what_clients_write_beside_the_grammar_is_read() {
        for line in [
            "session=a",
            "session=a;x=1",
            ";session=a;",
            " ;;\tsession = a ;x",
            "x=1;session=a;y",
            "x; session=a",
            "=b; session=a",
            "x=\"1; session=a",
            "\u{e4}=1; session=a",
        ] {
            assert_eq!(of(&[line], "session"), ["a"], "{line:?}");
        }
    }

    #[test]
    fn a_value_is_what_stands_behind_the_first_sign_with_its_quotes() {
        assert_eq!(of(&["a=b=c=="], "a"), ["b=c=="]);
        assert_eq!(of(&["a=\"b\"; a=; a"], "a"), ["\"b\"", ""]);
        assert_eq!(of(&["a=\u{ff}"], "a"), ["\u{ff}"]);
    }

    fn template(name: &str, change: impl FnOnce(&mut Attributes)) -> Result<CookieTemplate, BadCookie> {
        let mut attributes = Attributes::session();
        change(&mut attributes);
        CookieTemplate::new(name, &attributes)
    }

    fn written(template: &CookieTemplate, value: &str) -> String {
        template.set(value).unwrap().to_str().unwrap().to_owned()
    }

    #[test]
    fn a_cookie_is_one_field_with_its_attributes() {
        let session = template("session", |_| {}).unwrap();
        assert_eq!(
            written(&session, "abc"),
            "session=abc; Path=/; HttpOnly; Secure; SameSite=Lax"
        );
        assert!(session.set("abc").unwrap().is_sensitive());
        let csrf = template("csrftoken", |attributes| {
            attributes.path = "/api".to_owned();
            attributes.domain = Some("example.com".to_owned());
            attributes.max_age = Some(Duration::from_secs(3600));
            attributes.http_only = false;
            attributes.secure = false;
            attributes.same_site = Some(SameSite::Strict);
        })
        .unwrap();
        assert_eq!(
            written(&csrf, "x"),
            "csrftoken=x; Path=/api; Domain=example.com; SameSite=Strict; Max-Age=3600"
        );
        assert_eq!(
            csrf.clear(),
            "csrftoken=; Path=/api; Domain=example.com; SameSite=Strict; Max-Age=0; \
             Expires=Thu, 01 Jan 1970 00:00:00 GMT"
        );
    }

    #[test]
    fn what_we_set_is_what_a_request_brings_back() {
        let session = template("__Host-session", |_| {}).unwrap();
        let field = written(&session, "a.b_c-d~1==");
        let sent = field.split(';').next().unwrap();
        assert_eq!(of(&[sent], "__Host-session"), ["a.b_c-d~1=="]);
    }

    #[test]
    fn a_value_that_would_end_the_cookie_is_refused() {
        let session = template("session", |_| {}).unwrap();
        for value in [
            "a;b", "a b", "a,b", "\"a\"", "a\\b", "a\r\nb", "ä", "a\0", "a\u{7f}",
        ] {
            assert_eq!(session.set(value), Err(BadCookieValue), "{value:?}");
        }
        assert!(session.set(&"x".repeat(4089)).is_ok());
        assert!(session.set(&"x".repeat(4090)).is_err());
        assert!(session.set("").is_ok());
    }

    #[test]
    fn what_a_browser_would_drop_is_refused_at_load() {
        for name in [
            "",
            "a b",
            "a=b",
            "a;b",
            "a,b",
            "\"a\"",
            "ä",
            "a\n",
            &"a".repeat(65),
        ] {
            assert_eq!(template(name, |_| {}).unwrap_err(), BadCookie::Name, "{name:?}");
        }
        for path in ["", "api", "/a;b", "/a b", "/a\n", "/ä"] {
            let refused = template("a", |attributes| attributes.path = path.to_owned());
            assert_eq!(refused.unwrap_err(), BadCookie::Path, "{path:?}");
        }
        for domain in [
            "",
            ".example.com",
            "example.com.",
            "example.com:80",
            "10.0.0.1",
            "::1",
            "[::1]",
            "a b",
            "a;b",
            "https://a",
        ] {
            let refused = template("a", |attributes| attributes.domain = Some(domain.to_owned()));
            assert_eq!(refused.unwrap_err(), BadCookie::Domain, "{domain:?}");
        }
        for age in [
            Duration::ZERO,
            Duration::from_millis(1500),
            Duration::from_secs(LONGEST_LIFE + 1),
        ] {
            let refused = template("a", |attributes| attributes.max_age = Some(age));
            assert_eq!(refused.unwrap_err(), BadCookie::MaxAge, "{age:?}");
        }
        let refused = template("a", |attributes| {
            attributes.secure = false;
            attributes.same_site = Some(SameSite::None);
        });
        assert_eq!(refused.unwrap_err(), BadCookie::NoneWithoutSecure);
    }

    #[test]
    fn the_prefixes_of_a_name_ask_for_their_attributes_in_any_letter_case() {
        for name in ["__Secure-a", "__secure-a"] {
            assert!(template(name, |_| {}).is_ok());
            assert_eq!(
                template(name, |attributes| attributes.secure = false).unwrap_err(),
                BadCookie::SecurePrefix
            );
        }
        for name in ["__Host-a", "__HOST-a"] {
            assert!(template(name, |_| {}).is_ok());
            let changes: [fn(&mut Attributes); 3] = [
                |attributes| attributes.secure = false,
                |attributes| attributes.path = "/api".to_owned(),
                |attributes| attributes.domain = Some("example.com".to_owned()),
            ];
            for change in changes {
                assert_eq!(template(name, change).unwrap_err(), BadCookie::HostPrefix);
            }
        }
    }
}
