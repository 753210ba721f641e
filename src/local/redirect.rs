//! Plain HTTP to HTTPS, keeping method, path and query.
//!
//! The one thing that a redirect listener does. It forwards nothing and reads no body, so of a request's ambiguities
//! only one matters here: a host that would send the client to somebody else.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST, HeaderValue, LOCATION};
use http::{HeaderMap, Request, Response, StatusCode, Uri};

/// 308 (RFC 9110 section 15.4.9: the method and the body stay) to the same host, path and query under `https`, with
/// `port` named if there is one; 400 when the request does not name exactly one valid host, or is not for a path.
pub fn answer<B>(request: &Request<B>, port: Option<u16>) -> Response<Bytes> {
    let location = destination(request.uri(), request.headers(), port);
    let mut answer = Response::new(Bytes::new());
    answer
        .headers_mut()
        .insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    match location {
        Some(location) => {
            *answer.status_mut() = StatusCode::PERMANENT_REDIRECT;
            answer.headers_mut().insert(LOCATION, location);
        }
        None => *answer.status_mut() = StatusCode::BAD_REQUEST,
    }
    answer
}

fn destination(uri: &Uri, headers: &HeaderMap, port: Option<u16>) -> Option<HeaderValue> {
    // The authority form of CONNECT and the `*` of OPTIONS have no path to keep.
    let target = uri.path_and_query()?.as_str();
    if !target.starts_with('/') || !target.bytes().all(|byte| byte.is_ascii_graphic()) {
        return None;
    }
    let host = host(uri, headers)?;
    let location = match port {
        Some(port) => format!("https://{host}:{port}{target}"),
        None => format!("https://{host}{target}"),
    };
    HeaderValue::try_from(location).ok()
}

/// The host without its port. Host must be there at most once and be valid even where the target's authority decides
/// (RFC 9112 section 3.2: a server must refuse a request with an invalid or repeated Host; 3.2.2: the target wins).
fn host<'r>(uri: &'r Uri, headers: &'r HeaderMap) -> Option<&'r str> {
    let mut lines = headers.get_all(HOST).iter();
    let field = match lines.next() {
        Some(line) => Some(without_port(line.to_str().ok()?)?),
        None => None,
    };
    if lines.next().is_some() {
        return None;
    }
    match uri.authority() {
        Some(authority) => without_port(authority.as_str()),
        None => field,
    }
}

/// `host [":" port]` (RFC 3986 section 3.2), where host is a name of letters, digits, `-`, `_` and `.`, an IPv4
/// address, or an IPv6 address in brackets. No userinfo.
fn without_port(authority: &str) -> Option<&str> {
    let (host, port) = if authority.starts_with('[') {
        let end = authority.find(']')?;
        let (host, rest) = authority.split_at(end + 1);
        let inside = host.get(1..end)?;
        inside.parse::<std::net::Ipv6Addr>().ok()?;
        (host, rest)
    } else {
        let end = authority.find(':').unwrap_or(authority.len());
        let (host, rest) = authority.split_at(end);
        let valid = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if host.is_empty() || host.len() > 253 || host.starts_with('.') || !host.bytes().all(valid) {
            return None;
        }
        (host, rest)
    };
    match port.strip_prefix(':') {
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) && digits.len() <= 5 => Some(host),
        Some(_) => None,
        None if port.is_empty() => Some(host),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redirected(request: &Request<()>, port: Option<u16>) -> (StatusCode, Option<String>) {
        let answer = answer(request, port);
        let location = answer.headers().get(LOCATION);
        (
            answer.status(),
            location.map(|value| value.to_str().unwrap().to_owned()),
        )
    }

    fn request(method: &str, target: &str, hosts: &[&str]) -> Request<()> {
        let mut request = Request::builder().method(method).uri(target);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        request.body(()).unwrap()
    }

    #[test]
    fn method_path_and_query_are_kept_byte_for_byte() {
        let request = request("PUT", "/a%2Fb/..;/c?x=1|2&y&z=(3,4)", &["api.example.com:8080"]);
        assert_eq!(
            redirected(&request, None),
            (
                StatusCode::PERMANENT_REDIRECT,
                Some("https://api.example.com/a%2Fb/..;/c?x=1|2&y&z=(3,4)".to_owned())
            )
        );
    }

    #[test]
    fn the_port_of_the_client_is_replaced_by_the_configured_one() {
        let v6 = request("GET", "/", &["[2001:db8::1]:80"]);
        assert_eq!(
            redirected(&v6, Some(8443)).1.unwrap(),
            "https://[2001:db8::1]:8443/"
        );
        let v4 = request("GET", "/", &["192.0.2.1"]);
        assert_eq!(redirected(&v4, Some(8443)).1.unwrap(), "https://192.0.2.1:8443/");
    }

    #[test]
    fn the_authority_of_an_absolute_target_wins_over_host() {
        let request = request("GET", "http://one.example/x", &["two.example"]);
        assert_eq!(redirected(&request, None).1.unwrap(), "https://one.example/x");
    }

    #[test]
    fn a_host_that_is_not_exactly_one_valid_name_is_refused() {
        let wrong: [&[&str]; 14] = [
            &[],
            &["a", "a"],
            &["a,b"],
            &["a b"],
            &["user@a"],
            &["a/b"],
            &["a\\b"],
            &["a:b"],
            &["a:80:80"],
            &["[::1"],
            &["[evil.example]"],
            &["[::1]x"],
            &[""],
            &["a%00"],
        ];
        for hosts in wrong {
            assert_eq!(
                redirected(&request("GET", "/", hosts), None),
                (StatusCode::BAD_REQUEST, None),
                "{hosts:?}"
            );
        }
        let two = request("GET", "http://one.example/x", &["a", "b"]);
        assert_eq!(redirected(&two, None).0, StatusCode::BAD_REQUEST);
        let userinfo = request("GET", "http://u@one.example/x", &["one.example"]);
        assert_eq!(redirected(&userinfo, None).0, StatusCode::BAD_REQUEST);
    }

    #[test]
    fn a_target_without_a_path_is_refused() {
        assert_eq!(
            redirected(&request("OPTIONS", "*", &["a"]), None).0,
            StatusCode::BAD_REQUEST
        );
        assert_eq!(
            redirected(&request("CONNECT", "a:443", &["a"]), None).0,
            StatusCode::BAD_REQUEST
        );
    }
}
