//! The request as it goes to the endpoint: form of the target, framing, and what is kept of it for a second try.

use bytes::{Buf, Bytes};
use http::header::{CONTENT_LENGTH, HOST, HeaderName, TRANSFER_ENCODING};
use http::uri::{Authority, Scheme};
use http::{HeaderMap, HeaderValue, Method, Request, Uri, Version};
use http_body::Body as _;
use tokio::time::Instant;

use super::endpoint::Connector;
use super::outbound::Outbound;
use crate::config::plan::UpstreamProtocol;
use crate::http::body::Body;
use crate::rejection::{BadRequest, Rejection};

/// Turns the gateway's request into one for an endpoint that is spoken to by `protocol`.
///
/// What is expected of it: the target in origin form, `Host` as the client named it, hop-by-hop fields and `Expect` gone (the gateway's own
/// server answers `100-continue` itself when the body is first asked for, RFC 9110 section 10.1.1).
///
/// # Errors
/// [`BadRequest::Host`] when HTTP/2 is spoken and `Host` is missing or no authority.
pub(super) fn prepare(
    request: Request<Body>,
    protocol: UpstreamProtocol,
    now: Instant,
) -> Result<Request<Outbound>, Rejection> {
    let (mut parts, body) = request.into_parts();
    // Nothing that the server left there means anything on the next hop.
    parts.extensions.clear();
    frame(&mut parts.headers, &body, protocol);
    match protocol {
        UpstreamProtocol::Http1 => parts.version = Version::HTTP_11,
        UpstreamProtocol::Http2 => {
            parts.version = Version::HTTP_2;
            // RFC 9113 section 8.3.1: `:authority` takes the place of Host, and there is only one of the two.
            parts.uri = parts
                .headers
                .remove(HOST)
                .and_then(|host| absolute(parts.uri, &host))
                .ok_or(Rejection::BadRequest(BadRequest::Host))?;
        }
    }
    Ok(Request::from_parts(parts, Outbound::new(body, now)))
}

/// Puts right what depends on the endpoint that was chosen: the scheme of an HTTP/2 request; over HTTP/1.1 a `Host` where
/// the client named none, as HTTP/1.0 allows ("A client MUST send a Host header field in all HTTP/1.1 request messages",
/// RFC 9112 section 3.2).
pub(super) fn address(request: &mut Request<Outbound>, connector: &Connector) {
    if connector.protocol == UpstreamProtocol::Http1 {
        if !request.headers().contains_key(HOST)
            && let Ok(host) = HeaderValue::try_from(connector.label())
        {
            request.headers_mut().insert(HOST, host);
        }
    } else if connector.tls.is_some() && request.uri().scheme() != Some(&Scheme::HTTPS) {
        swap_scheme(request, Scheme::HTTPS);
    } else if connector.tls.is_none() && request.uri().scheme() != Some(&Scheme::HTTP) {
        swap_scheme(request, Scheme::HTTP);
    }
}

fn swap_scheme(request: &mut Request<Outbound>, scheme: Scheme) {
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    parts.scheme = Some(scheme);
    // The parts were a URI with a scheme before, so they are one again.
    *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
}

/// Makes the framing fields agree with the body, so that the connection's own framing and the fields say the same.
fn frame(headers: &mut HeaderMap, body: &Body, protocol: UpstreamProtocol) {
    headers.remove(TRANSFER_ENCODING);
    if body.is_end_stream() {
        // A length without a body would let the endpoint take the next request for the body of this one.
        if headers.get(CONTENT_LENGTH).is_some_and(|length| length != "0") {
            headers.remove(CONTENT_LENGTH);
        }
        return;
    }
    match body.size_hint().exact() {
        // The body's own length wins over the field: they can differ only if a stage replaced the body. Where there is
        // no field, the connection adds it.
        Some(length)
            if headers
                .get(CONTENT_LENGTH)
                .is_some_and(|field| announced(field) != Some(length)) =>
        {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        Some(_) => {}
        None if protocol == UpstreamProtocol::Http1 && !headers.contains_key(CONTENT_LENGTH) => {
            // Said explicitly, since the library would drop the body of a GET otherwise.
            headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        None => {}
    }
}

fn announced(field: &HeaderValue) -> Option<u64> {
    field.to_str().ok()?.parse().ok()
}

fn absolute(uri: Uri, host: &HeaderValue) -> Option<Uri> {
    let mut parts = uri.into_parts();
    parts.authority = Some(Authority::try_from(host.as_bytes()).ok()?);
    parts.scheme = Some(Scheme::HTTP);
    Uri::from_parts(parts).ok()
}

/// A request's head and body once more.
pub(super) struct Copy {
    method: Method,
    uri: Uri,
    version: Version,
    fields: Fields,
    body: Outbound,
}

/// Header fields in one piece of memory, as `length of name, length of value, name, value`. It is hardly ever read, so it
/// is made for being written: one allocation, no reference counts, where a cloned map counts every name and value up and
/// down again.
struct Fields(Vec<u8>);

impl Fields {
    fn of(headers: &HeaderMap) -> Fields {
        const LENGTHS: usize = 2 * size_of::<u32>();
        let size = headers
            .iter()
            .map(|(name, value)| LENGTHS + name.as_str().len() + value.len())
            .sum();
        let mut written = Vec::with_capacity(size);
        for (name, value) in headers {
            // A head is bounded far below 4 GiB; what were longer would not be found again, and not be sent.
            for length in [name.as_str().len(), value.len()] {
                written.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_ne_bytes());
            }
            written.extend_from_slice(name.as_str().as_bytes());
            written.extend_from_slice(value.as_bytes());
        }
        Fields(written)
    }

    fn into_map(self) -> Option<HeaderMap> {
        let mut rest = Bytes::from(self.0);
        let mut headers = HeaderMap::new();
        while !rest.is_empty() {
            let (name, value) = (length(&mut rest)?, length(&mut rest)?);
            if rest.len() < name.checked_add(value)? {
                return None;
            }
            let name = HeaderName::from_bytes(&rest.split_to(name)).ok()?;
            headers.append(name, HeaderValue::from_maybe_shared(rest.split_to(value)).ok()?);
        }
        Some(headers)
    }
}

fn length(rest: &mut Bytes) -> Option<usize> {
    let bytes = *rest.first_chunk::<{ size_of::<u32>() }>()?;
    rest.advance(bytes.len());
    usize::try_from(u32::from_ne_bytes(bytes)).ok()
}

impl Copy {
    /// A copy, if the request may be sent twice: an idempotent method (RFC 9110 section 9.2.2) and a body that can be
    /// had again. "A proxy MUST NOT automatically retry non-idempotent requests."
    ///
    /// It costs one allocation. It is made only for connections that were idle, which the endpoint may have closed
    /// without our knowing yet.
    pub(super) fn of(request: &Request<Outbound>, now: Instant) -> Option<Copy> {
        if !request.method().is_idempotent() || !request.body().is_replayable() {
            return None;
        }
        Some(Copy {
            method: request.method().clone(),
            uri: request.uri().clone(),
            version: request.version(),
            fields: Fields::of(request.headers()),
            body: request.body().replay(now)?,
        })
    }

    /// The request. `None` never happens: what was written can be read.
    pub(super) fn into_request(self) -> Option<Request<Outbound>> {
        let headers = self.fields.into_map()?;
        let mut request = Request::new(self.body);
        *request.method_mut() = self.method;
        *request.uri_mut() = self.uri;
        *request.version_mut() = self.version;
        *request.headers_mut() = headers;
        Some(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_of_the_fields_has_every_line_in_order() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("host", "a"),
            ("x-a", ""),
            ("cookie", "1"),
            ("x-b", "\u{e9}"),
            ("cookie", "2"),
        ] {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        assert_eq!(Fields::of(&headers).into_map(), Some(headers));
        assert_eq!(Fields::of(&HeaderMap::new()).into_map(), Some(HeaderMap::new()));
    }

    fn prepared(host: Option<&str>, protocol: UpstreamProtocol) -> Result<Request<Outbound>, Rejection> {
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = Uri::from_static("/a?b=c|d");
        *request.version_mut() = Version::HTTP_10;
        if let Some(host) = host {
            request
                .headers_mut()
                .insert(HOST, HeaderValue::from_str(host).unwrap());
        }
        prepare(request, protocol, Instant::now())
    }

    #[tokio::test]
    async fn over_http1_the_target_stays_in_origin_form_and_the_version_is_ours() {
        let request = prepared(Some("api.example.com"), UpstreamProtocol::Http1).unwrap();
        assert_eq!(request.uri(), "/a?b=c|d");
        assert_eq!(request.version(), Version::HTTP_11);
        assert_eq!(request.headers()[HOST], "api.example.com");
    }

    #[tokio::test]
    async fn over_http2_the_authority_comes_from_host_and_the_scheme_from_the_endpoint() {
        let mut request = prepared(Some("api.example.com:8443"), UpstreamProtocol::Http2).unwrap();
        assert_eq!(request.uri(), "http://api.example.com:8443/a?b=c|d");
        swap_scheme(&mut request, Scheme::HTTPS);
        assert_eq!(request.uri(), "https://api.example.com:8443/a?b=c|d");
    }

    #[tokio::test]
    async fn over_http2_a_request_needs_a_host_that_is_an_authority() {
        for host in [None, Some("a b"), Some("")] {
            let refused = prepared(host, UpstreamProtocol::Http2).err();
            assert!(
                matches!(refused, Some(Rejection::BadRequest(BadRequest::Host))),
                "{host:?}"
            );
        }
    }
}
