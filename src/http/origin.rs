//! Where a request comes from, as the browser says it: `Origin` (RFC 6454 section 7) and `Referer` (RFC 9110 section
//! 10.1.3), for the rule that a page of another host may not send it.

use http::HeaderMap;
use http::header::{ORIGIN, REFERER};

use super::host;

/// The scheme by which the client reached us, also through a proxy that ends TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `http`
    Http,
    /// `https`
    Https,
}

impl Scheme {
    /// The word of a URL.
    pub fn as_str(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }
}

/// Who made the client send a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// A page of this very scheme, host and port.
    Same,
    /// Somebody else, or somebody who cannot be told: another host, `null`, two of a field, no absolute URL.
    Foreign,
    /// Neither field is there: a program, or a browser that was told to keep it back. The caller decides.
    Unsaid,
}

/// Compares `Origin` and `Referer` with the authority of the request (host, and port if it is not the scheme's own). Where
/// both are there, both have to be of this host.
///
/// The path of a `Referer` does not matter, and a final dot or letter case of the host neither. A `Referer` that is relative
/// or has user information is [`Source::Foreign`]: browsers send none such.
pub fn source(headers: &HeaderMap, scheme: Scheme, authority: &str) -> Source {
    let Some(own) = Place::new(scheme, authority) else {
        return Source::Foreign;
    };
    let mut said = Source::Unsaid;
    for (name, read) in [(ORIGIN, origin as fn(&str) -> Option<Place>), (REFERER, referer)] {
        let mut lines = headers.get_all(&name).iter();
        let Some(line) = lines.next() else { continue };
        let named = line.to_str().ok().and_then(read);
        if lines.next().is_some() || named.as_ref() != Some(&own) {
            return Source::Foreign;
        }
        said = Source::Same;
    }
    said
}

/// Scheme, host and port in the form in which they are compared.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    scheme: Scheme,
    host: String,
    port: u16,
}

impl Place {
    fn new(scheme: Scheme, authority: &str) -> Option<Place> {
        let (host, port) = host::name_and_port(authority)?;
        Some(Place {
            scheme,
            host,
            port: port.unwrap_or(match scheme {
                Scheme::Http => 80,
                Scheme::Https => 443,
            }),
        })
    }
}

/// `scheme "://" host [ ":" port ]`, and nothing else.
fn origin(text: &str) -> Option<Place> {
    let (scheme, authority) = text.split_once("://")?;
    Place::new(scheme_named(scheme)?, authority)
}

/// An absolute URL: what is before its path.
fn referer(text: &str) -> Option<Place> {
    let (scheme, rest) = text.split_once("://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    Place::new(scheme_named(scheme)?, rest.split_at(end).0)
}

fn scheme_named(name: &str) -> Option<Scheme> {
    if name.eq_ignore_ascii_case("https") {
        Some(Scheme::Https)
    } else if name.eq_ignore_ascii_case("http") {
        Some(Scheme::Http)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn of(fields: &[(HeaderName, &str)], scheme: Scheme, authority: &str) -> Source {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        source(&headers, scheme, authority)
    }

    #[test]
    fn a_page_of_this_host_is_known_by_either_field() {
        for value in [
            "https://api.example.com",
            "HTTPS://API.example.com:443",
            "https://api.example.com.",
        ] {
            for name in [ORIGIN, REFERER] {
                let found = of(&[(name, value)], Scheme::Https, "api.example.com");
                assert_eq!(found, Source::Same, "{value}");
            }
        }
        for value in [
            "https://api.example.com/",
            "https://api.example.com/login?next=https://evil.test/",
            "https://api.example.com?x",
        ] {
            let found = of(&[(REFERER, value)], Scheme::Https, "api.example.com:443");
            assert_eq!(found, Source::Same, "{value}");
        }
        assert_eq!(
            of(&[(REFERER, "http://[0:0::1]:8080/x")], Scheme::Http, "[::1]:8080"),
            Source::Same
        );
        assert_eq!(
            of(
                &[(ORIGIN, "https://a.test"), (REFERER, "https://a.test/x")],
                Scheme::Https,
                "a.test"
            ),
            Source::Same
        );
    }

    #[test]
    fn neither_field_is_for_the_caller_to_judge() {
        assert_eq!(of(&[], Scheme::Https, "a.test"), Source::Unsaid);
    }

    #[test]
    fn everybody_else_is_foreign() {
        for value in [
            "http://a.test",
            "https://a.test:8443",
            "https://b.a.test",
            "https://a.test.evil.test",
            "https://evil.test/https://a.test",
            "https://a.test@evil.test/",
            "https://evil.test#@a.test/",
            "https://evil.test\\@a.test/",
            "https://user@a.test/",
            "https:/a.test",
            "https:a.test",
            "//a.test/",
            "/login",
            "a.test",
            "null",
            "",
            "ftp://a.test",
            "https://",
            "https:// a.test",
            "https://a.test:",
            "https://a.test, https://a.test",
            "https://a.test https://b.test",
            "https://\u{e4}.test",
        ] {
            for name in [ORIGIN, REFERER] {
                let found = of(&[(name, value)], Scheme::Https, "a.test");
                assert_eq!(found, Source::Foreign, "{value}");
            }
        }
        let twice = [(ORIGIN, "https://a.test"), (ORIGIN, "https://a.test")];
        assert_eq!(of(&twice, Scheme::Https, "a.test"), Source::Foreign);
        let one_of_two = [(ORIGIN, "https://a.test"), (REFERER, "https://b.test/")];
        assert_eq!(of(&one_of_two, Scheme::Https, "a.test"), Source::Foreign);
        // An origin has no path.
        assert_eq!(
            of(&[(ORIGIN, "https://a.test/")], Scheme::Https, "a.test"),
            Source::Foreign
        );
        // A request that names no host has no host to be of.
        assert_eq!(of(&[(ORIGIN, "https://")], Scheme::Https, ""), Source::Foreign);
        assert_eq!(of(&[], Scheme::Https, ""), Source::Foreign);
    }
}
