//! Texts with a form: each a type that is parsed once, with the name of its form for the schema.

use std::net::SocketAddr;
use std::time::Duration;

use http::{HeaderName, Method};
use ipnet::IpNet;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

use super::plan::{Algorithm, HostPattern};
use crate::base::units;
use crate::base::version::Version;
use crate::http::pattern;
use crate::identity::{CustomerId, Role, RouteName, Scope, TenantId, TenantUuid};

macro_rules! forms {
    ($($name:ident($value:ty) = $format:literal, $pattern:expr, $parse:expr;)+) => {
        $(
            #[doc = concat!("Text of the form `", $format, "`.")]
            #[derive(Debug, Clone, PartialEq)]
            pub(super) struct $name(pub $value);

            impl<'de> Deserialize<'de> for $name {
                fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<$name, D::Error> {
                    let text = String::deserialize(deserializer)?;
                    let parse: fn(&str) -> Result<$value, String> = $parse;
                    parse(&text).map($name).map_err(de::Error::custom)
                }
            }

            impl JsonSchema for $name {
                fn inline_schema() -> bool {
                    true
                }
                fn schema_name() -> std::borrow::Cow<'static, str> {
                    stringify!($name).into()
                }
                fn json_schema(_: &mut SchemaGenerator) -> Schema {
                    let pattern: Option<&str> = $pattern;
                    match pattern {
                        Some(pattern) => json_schema!({
                            "type": "string", "format": $format, "pattern": format!(r"^({pattern})$|\$\{{")
                        }),
                        None => json_schema!({"type": "string", "format": $format}),
                    }
                }
            }
        )+

        /// Is `text` of the form that a schema names? `None` for a form that is not ours.
        pub(super) fn check(format: &str, text: &str) -> Option<Result<(), String>> {
            match format {
                $($format => {
                    let parse: fn(&str) -> Result<$value, String> = $parse;
                    Some(parse(text).map(drop))
                })+
                _ => None,
            }
        }
    };
}

forms! {
    Length(Duration) = "duration", Some(r"\s*([0-9]+(ms|s|m|h|d)\s*)+"), units::duration;
    Size(u64) = "size", Some(r"\s*[0-9]+\s*(B|KiB|MiB|GiB)\s*"), units::size;
    Rate((std::num::NonZeroU32, Duration)) = "rate", Some(r"\s*[0-9]+\s*/\s*(s|m|h|d)\s*"), units::rate;
    Address(SocketAddr) = "address", None, address;
    Network(IpNet) = "network", None, network;
    HostName(String) = "host-name", None, host_name;
    Field(HeaderName) = "header", None, header;
    Verb(Method) = "method", None, method;
    VerbOrEvery(Option<Method>) = "method-or-every", None, method_or_every;
    Signature(Algorithm) = "algorithm", Some("RS256|RS384|RS512|PS256|PS384|PS512|ES256|ES384|EdDSA|HS256"), algorithm;
    Endpoint((bool, String, u16)) = "endpoint", None, endpoint;
    FetchUrl(http::Uri) = "url", None, url;
    Day(i64) = "date", Some("[0-9]{4}-[0-9]{2}-[0-9]{2}"), day;
    FilePath(std::path::PathBuf) = "path", None, path;
    Claim(String) = "claim", None, claim;
    PathPattern(String) = "path-pattern", None, path_pattern;
    Prefix(String) = "path-prefix", None, prefix;
    PathTemplate(String) = "path-template", None, template;
    Pointer(Vec<String>) = "json-pointer", None, pointer;
    RoleName(Role) = "role", None, identifier;
    ScopeName(Scope) = "scope", None, identifier;
    RouteTitle(RouteName) = "route", None, identifier;
    RequestPath(String) = "request-path", Some(r"/.*"), request_path;
    MediaType(String) = "media-type", None, media_type;
    Numbers(Version) = "version", Some(r"[0-9]+(\.[0-9]+){0,5}"), version;
    UuidName(TenantUuid) = "tenant-uuid", None, identifier;
    CustomerName(CustomerId) = "customer", None, identifier;
    TenantName(TenantId) = "tenant", None, identifier;
    NonEmpty(String) = "text", None, non_empty;
    Variable(String) = "variable", None, variable;
    LogFilter(String) = "log-filter", None, log_filter;
}

fn identifier<T: for<'t> TryFrom<&'t str, Error = crate::identity::ids::BadId>>(
    text: &str,
) -> Result<T, String> {
    T::try_from(text).map_err(|bad| format!("`{text}` {bad}"))
}

/// RFC 9112 section 3.2.1, origin form.
fn request_path(text: &str) -> Result<String, String> {
    let good = text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
    match text.parse::<http::uri::PathAndQuery>() {
        Ok(_) if good => Ok(text.to_owned()),
        Ok(_) | Err(_) => Err(format!("`{text}` is not a path; write for example `/health`")),
    }
}

fn version(text: &str) -> Result<Version, String> {
    Version::parse(text)
        .ok_or_else(|| format!("`{text}` is not a version; write numbers with dots, `30.2.1`"))
}

/// RFC 9110 section 8.3.1, without parameters.
fn media_type(text: &str) -> Result<String, String> {
    let token = |part: &str| {
        !part.is_empty() && (part.bytes()).all(|b| b.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&b))
    };
    match text.split_once('/') {
        Some((kind, sub)) if token(kind) && token(sub) => Ok(text.to_ascii_lowercase()),
        Some(_) | None => Err(format!(
            "`{text}` is not a media type; write for example `application/json`"
        )),
    }
}

fn non_empty(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        Err("the text is empty".to_owned())
    } else {
        Ok(text.to_owned())
    }
}

/// Levels, alone or for a target: `info,tollgate::upstream=debug`. A word that is no level would be a target of its own to
/// the log's own reader, and `inof` would switch off everything else.
fn log_filter(text: &str) -> Result<String, String> {
    let is_level = |word: &str| ["off", "error", "warn", "info", "debug", "trace"].contains(&word);
    let is_target = |word: &str| {
        !word.is_empty()
            && word
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | ':'))
    };
    let is_directive = |part: &str| match part.split_once('=') {
        Some((target, level)) => is_target(target) && is_level(level),
        None => is_level(part),
    };
    match text.split(',').find(|part| !is_directive(part)) {
        Some(part) => Err(format!(
            "`{part}` is no level; write `error`, `warn`, `info`, `debug` or `trace`, or a filter such as \
             `info,tollgate=debug`"
        )),
        None => Ok(text.to_owned()),
    }
}

fn variable(text: &str) -> Result<String, String> {
    let good = !text.is_empty()
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    // Whoever writes the secret itself here must not find it in a message.
    if good {
        Ok(text.to_owned())
    } else {
        Err("this is not the name of an environment variable".to_owned())
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let example = "write for example `127.0.0.1:8080` or `[::]:8443`";
    text.parse().map_err(|_| {
        if text.starts_with(':') {
            format!("`{text}` has no address; write `0.0.0.0{text}` for all of IPv4")
        } else if text.parse::<std::net::IpAddr>().is_ok() {
            format!("`{text}` has no port; {example}")
        } else {
            format!("`{text}` is not an address with a port; {example}")
        }
    })
}

fn network(text: &str) -> Result<IpNet, String> {
    text.parse::<IpNet>()
        .or_else(|_| text.parse::<std::net::IpAddr>().map(IpNet::from))
        .map_err(|_| format!("`{text}` is not a network; write for example `10.0.0.0/8` or `192.0.2.7`"))
}

/// A name of RFC 1123 section 2.1 (with `_`, which internal names have), or an address.
fn host_name(text: &str) -> Result<String, String> {
    let bare = text
        .strip_prefix('[')
        .and_then(|t| t.strip_suffix(']'))
        .unwrap_or(text);
    if bare.parse::<std::net::IpAddr>().is_ok() {
        return Ok(bare.to_ascii_lowercase());
    }
    if let Some((_, port)) = text.rsplit_once(':')
        && port.chars().all(|c| c.is_ascii_digit())
    {
        return Err(format!(
            "`{text}` has a port; write the name alone, ports are ignored"
        ));
    }
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if text.len() <= 253 && text.split('.').all(label) {
        Ok(text.to_ascii_lowercase())
    } else {
        Err(format!("`{text}` is not a host name"))
    }
}

pub(super) fn host(text: &str) -> Result<HostPattern, String> {
    if text == "*" {
        return Ok(HostPattern::Any);
    }
    if let Some(rest) = text.strip_prefix("*.") {
        return host_name(rest).map(|name| HostPattern::Suffix(format!(".{name}")));
    }
    if text.contains('*') {
        return Err(format!(
            "`{text}`: `*` stands alone or for the first labels, `*.example.com`"
        ));
    }
    host_name(text).map(HostPattern::Exact)
}

/// Fields that carry framing or routing of one connection, or that mean something else already.
const RESERVED_FIELDS: [&str; 17] = [
    "host",
    "connection",
    "content-length",
    "transfer-encoding",
    "te",
    "trailer",
    "upgrade",
    "keep-alive",
    "proxy-connection",
    "proxy-authorization",
    "proxy-authenticate",
    "http2-settings",
    "authorization",
    "cookie",
    "set-cookie",
    "content-type",
    "expect",
];

fn header(text: &str) -> Result<HeaderName, String> {
    let name = HeaderName::from_bytes(text.as_bytes())
        .map_err(|_| format!("`{text}` is not the name of a header field"))?;
    if RESERVED_FIELDS.contains(&name.as_str()) {
        return Err(format!(
            "`{text}` has a meaning of its own and cannot be used here"
        ));
    }
    Ok(name)
}

fn method(text: &str) -> Result<Method, String> {
    let method = Method::from_bytes(text.as_bytes()).map_err(|_| format!("`{text}` is not a method"))?;
    if method == Method::CONNECT {
        return Err("`CONNECT` asks for a tunnel, which is never given".to_owned());
    }
    if text.chars().any(|c| c.is_ascii_lowercase()) {
        // RFC 9110 section 9.1: the method token is case-sensitive.
        return Err(format!(
            "methods are case-sensitive; write `{}`",
            text.to_ascii_uppercase()
        ));
    }
    Ok(method)
}

/// `None` is `every`.
fn method_or_every(text: &str) -> Result<Option<Method>, String> {
    match text {
        "every" => Ok(None),
        text => method(text).map(Some),
    }
}

fn algorithm(text: &str) -> Result<Algorithm, String> {
    Ok(match text {
        "RS256" => Algorithm::RS256,
        "RS384" => Algorithm::RS384,
        "RS512" => Algorithm::RS512,
        "PS256" => Algorithm::PS256,
        "PS384" => Algorithm::PS384,
        "PS512" => Algorithm::PS512,
        "ES256" => Algorithm::ES256,
        "ES384" => Algorithm::ES384,
        "EdDSA" => Algorithm::EdDSA,
        "HS256" => Algorithm::HS256,
        "none" => return Err("`none` means an unsigned token, which is never accepted".to_owned()),
        other => {
            return Err(format!(
                "`{other}` is not an accepted algorithm; there are RS256, RS384, RS512, PS256, PS384, PS512, ES256, \
                 ES384, EdDSA and HS256"
            ));
        }
    })
}

fn endpoint(text: &str) -> Result<(bool, String, u16), String> {
    let uri: http::Uri = text
        .parse()
        .map_err(|_| format!("`{text}` is not a URL; write for example `http://10.0.1.10:8080`"))?;
    let tls = match uri.scheme_str() {
        Some("http") => false,
        Some("https") => true,
        _ => return Err(format!("`{text}` needs `http://` or `https://` in front")),
    };
    let (Some(host), Some(authority)) = (uri.host(), uri.authority()) else {
        return Err(format!("`{text}` names no host"));
    };
    if authority.as_str().contains('@') {
        // The text is not repeated: what stands before the `@` is a credential.
        return Err("an endpoint takes no user or password".to_owned());
    }
    if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
        return Err(format!(
            "`{text}` has a path; an endpoint is scheme, host and port (a route can `rewrite`)"
        ));
    }
    let port = match authority.port() {
        Some(port) => port.as_u16(),
        // The URL type takes a port that is none for no port at all.
        None if authority.as_str().len() > host.len() => return Err(format!("`{text}` has no good port")),
        None if tls => 443,
        None => 80,
    };
    if port == 0 {
        return Err(format!("`{text}`: port 0 cannot be called"));
    }
    Ok((tls, host_name(host)?, port))
}

fn url(text: &str) -> Result<http::Uri, String> {
    let uri: http::Uri = text
        .parse()
        .map_err(|_| "this is not a URL; write for example `https://idp.example/jwks.json`".to_owned())?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err("the URL needs `https://` in front".to_owned());
    }
    if uri
        .authority()
        .is_some_and(|authority| authority.as_str().contains('@'))
    {
        return Err("the URL takes no user or password".to_owned());
    }
    host_name(uri.host().unwrap_or_default())?;
    Ok(uri)
}

/// Seconds since 1970 of the day's beginning in UTC.
fn day(text: &str) -> Result<i64, String> {
    let bad = || format!("`{text}` is not a day; write for example `2026-12-31`");
    let date: jiff::civil::Date = text.parse().map_err(|_| bad())?;
    let zoned = date.to_zoned(jiff::tz::TimeZone::UTC).map_err(|_| bad())?;
    Ok(zoned.timestamp().as_second())
}

fn path(text: &str) -> Result<std::path::PathBuf, String> {
    if text.is_empty() || text.contains('\0') {
        return Err("the name of the file is empty".to_owned());
    }
    Ok(text.into())
}

fn claim(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err("the claim has no name".to_owned());
    }
    if text.starts_with('/') {
        pointer(text)?;
    }
    Ok(text.to_owned())
}

/// RFC 6901 section 3.
fn pointer(text: &str) -> Result<Vec<String>, String> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let Some(rest) = text.strip_prefix('/') else {
        return Err(format!("`{text}` is not a JSON Pointer; write `/{text}`"));
    };
    rest.split('/')
        .map(|segment| {
            let mut decoded = String::with_capacity(segment.len());
            let mut characters = segment.chars();
            while let Some(character) = characters.next() {
                match (character, character == '~') {
                    (_, true) => match characters.next() {
                        Some('0') => decoded.push('~'),
                        Some('1') => decoded.push('/'),
                        _ => return Err(format!("`{text}`: `~` is written `~0` in a JSON Pointer")),
                    },
                    (character, false) => decoded.push(character),
                }
            }
            Ok(decoded)
        })
        .collect()
}

fn segments(text: &str) -> Result<std::str::Split<'_, char>, String> {
    let Some(rest) = text.strip_prefix('/') else {
        return Err(format!("`{text}` must begin with `/`"));
    };
    if let Some(bad) = text
        .chars()
        .find(|c| !c.is_ascii_graphic() || matches!(c, '?' | '#' | '\\'))
    {
        return Err(format!("`{text}` has the character {bad:?}, which no path has"));
    }
    Ok(rest.split('/'))
}

fn capture_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 64
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !name.starts_with(|c: char| c.is_ascii_digit())
}

fn path_pattern(text: &str) -> Result<String, String> {
    pattern::check(text).map_err(|why| format!("the path `{text}`: {why}"))?;
    Ok(text.to_owned())
}

fn prefix(text: &str) -> Result<String, String> {
    segments(text)?;
    if text.contains(['{', '}', '*']) {
        return Err(format!("`{text}`: a prefix is made of literals"));
    }
    if text.len() > 1 && text.ends_with('/') {
        return Err(format!("`{text}`: write it without the `/` at its end"));
    }
    Ok(text.to_owned())
}

fn template(text: &str) -> Result<String, String> {
    for segment in segments(text)? {
        match segment.strip_prefix('{').and_then(|s| s.strip_suffix('}')) {
            Some(name) if capture_name(name) => {}
            Some(name) => return Err(format!("`{text}`: `{{{name}}}` is not the name of a capture")),
            None if segment.contains(['{', '}', '*']) => {
                return Err(format!("`{text}`: a capture is a whole segment, `/{{name}}`"));
            }
            None => {}
        }
    }
    Ok(text.to_owned())
}

/// The captures that a pattern or template names.
pub(super) fn captures(text: &str) -> impl Iterator<Item = &str> {
    text.split('/').filter_map(|segment| {
        let inside = segment.strip_prefix('{')?.strip_suffix('}')?;
        Some(inside.strip_prefix('*').unwrap_or(inside))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good(format: &str, text: &str) -> bool {
        check(format, text)
            .unwrap_or_else(|| panic!("no form {format}"))
            .is_ok()
    }

    #[test]
    fn forms_take_what_is_right_and_refuse_what_is_nearly_right() {
        let table: &[(&str, &[&str], &[&str])] = &[
            (
                "address",
                &["127.0.0.1:0", "[::]:8443"],
                &["127.0.0.1", ":8080", "localhost:80", "::1:80"],
            ),
            (
                "network",
                &["10.0.0.0/8", "::1", "fd00::/8"],
                &["10.0.0.0/33", "here"],
            ),
            (
                "host-name",
                &["api.test", "10.0.0.1", "[::1]"],
                &["a:80", "a..b", "*.x", "-a", ""],
            ),
            (
                "header",
                &["X-Tenant-ID", "TenantID"],
                &["Host", "content-length", "a b", "", "Authorization"],
            ),
            ("method", &["GET", "REPORT"], &["get", "CONNECT", "", "A B"]),
            (
                "endpoint",
                &["http://a", "https://a:1", "http://[::1]:80/"],
                &[
                    "a:80",
                    "ftp://a",
                    "http://a/b",
                    "http://a?x",
                    "http://u:p@a",
                    "http://a:0",
                    "http://a:99999",
                    "http://",
                ],
            ),
            ("url", &["https://a/b?c"], &["a", "file:///x", "https://u@a/"]),
            ("date", &["2026-12-31"], &["2026-13-01", "31.12.2026"]),
            ("json-pointer", &["", "/a/0", "/a~1b"], &["a", "/~2", "/~"]),
            (
                "path-pattern",
                &["/", "/a/{b}/{*c}", "/a/"],
                &[
                    "a", "/a//b", "/{a}/{a}", "/{*r}/x", "/x{a}", "/../a", "/a%2f", "/a?b", "/{}", "/{1a}",
                    "/a b",
                ],
            ),
            ("path-prefix", &["/a", "/"], &["a", "/a/", "/{a}"]),
            ("path-template", &["/a/{b}"], &["/a{b}", "/{*b}", "b"]),
            ("claim", &["sub", "/a/b", "urn:x"], &["", "/~"]),
        ];
        for (format, right, wrong) in table {
            for text in *right {
                assert!(good(format, text), "{format} {text:?}: {:?}", check(format, text));
            }
            for text in *wrong {
                assert!(!good(format, text), "{format} {text:?}");
            }
        }
    }

    #[test]
    fn a_host_pattern_has_its_star_in_front_or_alone() {
        assert_eq!(host("*"), Ok(HostPattern::Any));
        assert_eq!(
            host("*.API.test"),
            Ok(HostPattern::Suffix(".api.test".to_owned()))
        );
        for text in ["a*b", "*.*.x", "*x", "a.*", ""] {
            assert!(host(text).is_err(), "{text}");
        }
    }

    #[test]
    fn messages_about_credentials_do_not_repeat_them() {
        for (format, text) in [
            ("endpoint", "http://u:canary@a"),
            ("url", "https://u:canary@a"),
            ("variable", "canary!"),
        ] {
            let message = check(format, text).unwrap().unwrap_err();
            assert!(!message.contains("canary"), "{message}");
        }
    }
}
