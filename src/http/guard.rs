//! May this request be interpreted at all? Whatever two recipients could read in two ways is refused here, before
//! anything is decided (RFC 9112 sections 3.2, 6.1 and 6.3; RFC 9110 section 7.6.1; RFC 9113 section 8.2).
//!
//! hyper's parsers stand before this guard and already refuse: control characters, folded lines, white space before
//! the colon, bare line feeds in chunk framing, `Transfer-Encoding` on HTTP/1.0 or not ending in `chunked`, signs and
//! lists in `Content-Length`, two different lengths; over HTTP/2 malformed pseudo-header fields, connection-specific
//! fields and lengths that differ from the data. A length beside `Transfer-Encoding` it drops, and closes the
//! connection after the answer, as RFC 9112 section 6.1 permits:
//!
//! > A server MAY reject a request that contains both Content-Length and Transfer-Encoding or process such a request in
//! > accordance with the Transfer-Encoding alone. Regardless, the server MUST close the connection after responding to
//! > such a request
//!
//! The rules here do not rely on that: they hold for any `Request`, also one given to the library.

use http::header;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, Request, Uri, Version};

pub use super::head::Head;
use super::head::{self, Authority};
use super::names::{KEEP_ALIVE, PROXY_CONNECTION};
use super::path::{self, PathError};

/// Why a request is not interpreted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadHead {
    /// No, several or an invalid `Host`; or one that differs from the target's authority.
    #[error("the Host field is missing, repeated or invalid")]
    Host,
    /// A request target of a form that the method does not allow, or in a scheme that is not HTTP.
    #[error("the request target has a form that is not accepted")]
    Target,
    /// Ambiguous framing.
    #[error("the message framing is ambiguous")]
    Framing,
    /// A connection-specific field in HTTP/2.
    #[error("a header field is invalid")]
    Field,
    /// A path without a normal form.
    #[error("the path is ambiguous: {0}")]
    Path(#[from] PathError),
    /// `CONNECT` or `TRACE`.
    #[error("the method is not implemented")]
    Method,
    /// An expectation other than `100-continue`.
    #[error("unknown expectation")]
    Expectation,
    /// A version of HTTP other than 1.0, 1.1 and 2.
    #[error("the version of HTTP is not implemented")]
    Version,
    /// A request to change the protocol of the connection, such as to WebSocket.
    #[error("the protocol cannot be changed")]
    Upgrade,
    /// A request target that is too long.
    #[error("the request target is too long")]
    TargetTooLong,
    /// Too many fields, or too many bytes in them.
    #[error("the header section is too large")]
    TooLarge,
}

/// The guard of all listeners. Cheap to copy.
#[derive(Debug, Clone, Copy)]
pub struct Guard {
    max_fields: usize,
    max_bytes: usize,
    max_target: usize,
    off: bool,
}

impl Guard {
    /// A guard with these bounds: field lines, bytes of the whole head (names, values and four bytes a line), bytes of
    /// the request target. With `off` nothing is refused and the path is taken as it came: only for tests which prove
    /// that the guard bites.
    pub fn new(max_fields: usize, max_bytes: usize, max_target: usize, off: bool) -> Guard {
        Guard {
            max_fields,
            max_bytes,
            max_target,
            off,
        }
    }

    /// Looks at a request's head. `tls`: it came over TLS that this gateway ended.
    ///
    /// Does not allocate when the host is in lower case and the path in normal form.
    ///
    /// # Errors
    /// [`BadHead`].
    pub fn check<B>(&self, req: &Request<B>, tls: bool) -> Result<Head, BadHead> {
        if self.off {
            return Ok(head::unguarded(req.uri(), req.headers()));
        }
        let uri = req.uri();
        check_method(req.method())?;
        let host = self.check_fields(uri, req.version(), req.headers())?;
        let target = target(req.method(), req.version(), uri, tls)?;
        let authority = authority(req.version(), uri, host)?;
        let target = match path::normalise(target.path())? {
            std::borrow::Cow::Borrowed(_) if target.as_str().starts_with('/') => target.clone(),
            normal => head::with_path(&normal, target.query()).ok_or(BadHead::Target)?,
        };
        let Some(authority) = authority else {
            return Ok(Head::without_host(target));
        };
        Head::new(target, authority).ok_or(BadHead::Host)
    }

    /// Counts, and looks at the fields that decide about framing. Gives back the one `Host`.
    fn check_fields<'r>(
        &self,
        uri: &Uri,
        version: Version,
        headers: &'r HeaderMap,
    ) -> Result<Option<&'r HeaderValue>, BadHead> {
        let target = uri.path_and_query().map_or(0, |target| target.as_str().len())
            + uri.authority().map_or(0, |authority| authority.as_str().len());
        if target > self.max_target {
            return Err(BadHead::TargetTooLong);
        }
        if headers.len() > self.max_fields {
            return Err(BadHead::TooLarge);
        }
        let http2 = match version {
            Version::HTTP_10 | Version::HTTP_11 => false,
            Version::HTTP_2 => true,
            _ => return Err(BadHead::Version),
        };
        let mut bytes = target;
        let mut host = None;
        let mut hosts = 0_usize;
        let mut lengths = 0_u8;
        let mut codings = 0_u8;
        for (name, value) in headers {
            bytes += name.as_str().len() + value.len() + 4;
            // > A field value MUST NOT start or end with an ASCII whitespace character (RFC 9113 section 8.2.1)
            //
            // In HTTP/1.1 the same bytes are no part of the value; behind a gateway that forwards in it they would vanish.
            if http2 && is_padded(value.as_bytes()) {
                return Err(BadHead::Field);
            }
            match *name {
                header::HOST => {
                    // > A server MUST respond with a 400 (Bad Request) status code to any HTTP/1.1 request message
                    // > that lacks a Host header field and to any request message that contains more than one Host
                    // > header field line (RFC 9112 section 3.2)
                    hosts += 1;
                    host = Some(value);
                }
                header::CONTENT_LENGTH => {
                    lengths += 1;
                    if lengths > 1 || !is_length(value.as_bytes()) {
                        return Err(BadHead::Framing);
                    }
                }
                header::TRANSFER_ENCODING => {
                    codings += 1;
                    // One token, once. Other codings are legal and nobody uses them; two lines or a list are read
                    // differently by different servers.
                    let is_chunked = value.as_bytes().eq_ignore_ascii_case(b"chunked");
                    if codings > 1 || !is_chunked || version != Version::HTTP_11 {
                        return Err(BadHead::Framing);
                    }
                }
                // > An endpoint MUST NOT generate an HTTP/2 message containing connection-specific header fields. [...]
                // > Any message containing connection-specific header fields MUST be treated as malformed
                // > (RFC 9113 section 8.2.2)
                header::CONNECTION | header::UPGRADE if http2 => return Err(BadHead::Field),
                // A client that asks for WebSocket waits for 101 and can do nothing with another protocol's answer, so it
                // is told. `h2c` is only an offer: clients send it with ordinary requests, and a server may ignore it
                // (RFC 9110 section 7.8).
                header::UPGRADE if !value.as_bytes().eq_ignore_ascii_case(b"h2c") => {
                    return Err(BadHead::Upgrade);
                }
                _ if http2 && (*name == KEEP_ALIVE || *name == PROXY_CONNECTION) => {
                    return Err(BadHead::Field);
                }
                header::TE if http2 && !value.as_bytes().eq_ignore_ascii_case(b"trailers") => {
                    return Err(BadHead::Field);
                }
                // > A server that receives an Expect field value containing a member other than 100-continue MAY respond
                // > with a 417 (Expectation Failed) status code (RFC 9110 section 10.1.1)
                header::EXPECT if !value.as_bytes().eq_ignore_ascii_case(b"100-continue") => {
                    return Err(BadHead::Expectation);
                }
                _ => {}
            }
            if bytes > self.max_bytes {
                return Err(BadHead::TooLarge);
            }
        }
        if lengths > 0 && codings > 0 {
            return Err(BadHead::Framing);
        }
        if hosts > 1 {
            return Err(BadHead::Host);
        }
        Ok(host)
    }
}

fn is_padded(value: &[u8]) -> bool {
    let is_blank = |byte: Option<&u8>| byte.is_some_and(|byte| matches!(byte, b' ' | b'\t'));
    is_blank(value.first()) || is_blank(value.last())
}

/// `1*DIGIT` that fits into 64 bits (RFC 9110 section 8.6).
fn is_length(value: &[u8]) -> bool {
    !value.is_empty()
        && value.iter().all(u8::is_ascii_digit)
        && std::str::from_utf8(value).is_ok_and(|text| text.parse::<u64>().is_ok())
}

/// `CONNECT` asks for a tunnel and `TRACE` shows to scripts what they must not read; no backend is reached by either.
fn check_method(method: &Method) -> Result<(), BadHead> {
    if method == Method::CONNECT || method == Method::TRACE {
        Err(BadHead::Method)
    } else {
        Ok(())
    }
}

/// The path and query of an origin-form or absolute-form target (RFC 9112 section 3.2). The other two forms belong to
/// `CONNECT` and to a server-wide `OPTIONS *`, which a gateway with many backends has no answer to.
fn target<'r>(
    method: &Method,
    version: Version,
    uri: &'r Uri,
    tls: bool,
) -> Result<&'r PathAndQuery, BadHead> {
    let target = uri.path_and_query().ok_or(BadHead::Target)?;
    match uri.scheme_str() {
        Some("http") => {}
        // Over HTTP/2 a balancer that ended TLS may well say `https` on a plain connection.
        Some("https") if tls || version == Version::HTTP_2 => {}
        Some(_) => return Err(BadHead::Target),
        // Authority-form has no path; asterisk-form has `*`.
        None if uri.authority().is_some() && version != Version::HTTP_2 => return Err(BadHead::Target),
        None => {}
    }
    if target.as_str() == "*" || *method == Method::CONNECT {
        return Err(BadHead::Target);
    }
    Ok(target)
}

/// Which authority the request names. `None` only where HTTP/1.0 names none.
fn authority(version: Version, uri: &Uri, host: Option<&HeaderValue>) -> Result<Option<Authority>, BadHead> {
    match (uri.authority(), host) {
        // > When an origin server receives a request with an absolute-form of request-target, the origin server MUST
        // > ignore the received Host header field (if any) and instead use the host information of the request-target
        // > (RFC 9112 section 3.2.2)
        //
        // A backend that does otherwise would see another host than we did, so the two must agree. The same holds for
        // `:authority` (RFC 9113 section 8.3.1).
        (Some(named), Some(host)) => {
            if named.as_str().as_bytes().eq_ignore_ascii_case(host.as_bytes()) {
                Ok(Some(Authority::Field(host.clone())))
            } else {
                Err(BadHead::Host)
            }
        }
        (Some(named), None) if version != Version::HTTP_11 => Ok(Some(Authority::Target(named.clone()))),
        (None, Some(host)) => Ok(Some(Authority::Field(host.clone()))),
        (None, None) if version == Version::HTTP_10 => Ok(None),
        (_, None) => Err(BadHead::Host),
    }
}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;
