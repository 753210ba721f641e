//! The request as it goes to the endpoint: form of the target, framing, and what is kept of it for a second try.

use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::uri::{Authority, Scheme};
use http::{HeaderMap, HeaderValue, Method, Request, Uri, Version};
use http_body::Body as _;
use tokio::time::Instant;

use super::endpoint::Connector;
use super::outbound::Outbound;
use crate::config::plan::UpstreamProtocol;
use crate::http::body::Body;
use crate::rejection::{BadRequest, Rejection};

/// Makes the gateway's request one for an endpoint that is spoken to by `protocol`.
///
/// What is expected of it: the target in origin form, `Host` as the client named it, hop-by-hop fields and `Expect` gone
/// (the gateway's own server answers `100-continue` itself when the body is first asked for, RFC 9110 section 10.1.1).
///
/// # Errors
/// [`BadRequest::Host`] when HTTP/2 is spoken and `Host` is missing or no authority.
pub(super) fn prepare(request: &mut Request<Outbound>, protocol: UpstreamProtocol) -> Result<(), Rejection> {
    // Nothing that the server left there means anything on the next hop.
    request.extensions_mut().clear();
    frame(request, protocol);
    match protocol {
        UpstreamProtocol::Http1 => *request.version_mut() = Version::HTTP_11,
        UpstreamProtocol::Http2 => {
            *request.version_mut() = Version::HTTP_2;
            // RFC 9113 section 8.3.1: `:authority` takes the place of Host, and there is only one of the two.
            let host = request.headers_mut().remove(HOST);
            *request.uri_mut() = host
                .and_then(|host| absolute(std::mem::take(request.uri_mut()), &host))
                .ok_or(Rejection::BadRequest(BadRequest::Host))?;
        }
    }
    Ok(())
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
fn frame(request: &mut Request<Outbound>, protocol: UpstreamProtocol) {
    let (over, exact) = (request.body().is_end_stream(), request.body().size_hint().exact());
    let headers = request.headers_mut();
    headers.remove(TRANSFER_ENCODING);
    if over {
        // A length without a body would let the endpoint take the next request for the body of this one.
        if headers.get(CONTENT_LENGTH).is_some_and(|length| length != "0") {
            headers.remove(CONTENT_LENGTH);
        }
        return;
    }
    match exact {
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
        None if protocol == UpstreamProtocol::Http1 => {
            // A length of the field alone is nobody's word: the body will be what it is.
            headers.remove(CONTENT_LENGTH);
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

/// What is kept of an HTTP/2 request for a second try; the library keeps the rest. An HTTP/1.1 connection leaves the head
/// where it is.
pub(super) struct Copy {
    method: Method,
    uri: Uri,
    version: Version,
    headers: HeaderMap,
    body: Body,
}

impl Copy {
    /// A copy, if the request may be sent twice.
    pub(super) fn of(request: &Request<Outbound>) -> Option<Copy> {
        Some(Copy {
            body: again(request)?,
            method: request.method().clone(),
            uri: request.uri().clone(),
            version: request.version(),
            headers: request.headers().clone(),
        })
    }

    /// The request.
    pub(super) fn into_request(self, now: Instant) -> Request<Outbound> {
        let mut request = Request::new(Outbound::new(self.body, now));
        *request.method_mut() = self.method;
        *request.uri_mut() = self.uri;
        *request.version_mut() = self.version;
        *request.headers_mut() = self.headers;
        request
    }
}

/// The body for a second try, if the request may be sent twice: an idempotent method (RFC 9110 section 9.2.2) and a body
/// that can be had again. "A proxy MUST NOT automatically retry non-idempotent requests."
pub(super) fn again(request: &Request<Outbound>) -> Option<Body> {
    if request.method().is_idempotent() {
        request.body().replay()
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prepared(host: Option<&str>, protocol: UpstreamProtocol) -> Result<Request<Outbound>, Rejection> {
        let mut request = Request::new(Outbound::default());
        *request.uri_mut() = Uri::from_static("/a?b=c|d");
        *request.version_mut() = Version::HTTP_10;
        if let Some(host) = host {
            request
                .headers_mut()
                .insert(HOST, HeaderValue::from_str(host).unwrap());
        }
        prepare(&mut request, protocol)?;
        Ok(request)
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
