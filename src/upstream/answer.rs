//! Whether the head of an answer may be passed on.

use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, Response, StatusCode, Version};

/// Checks an answer's head and makes it fit to be passed on. `false` for one that must not be.
///
/// The library already refuses what it cannot read. What it reads but two recipients could read differently is refused
/// here, because what is behind such an answer on the connection may not be what it seems:
///
/// - `Transfer-Encoding` beside `Content-Length` "ought to be handled as an error" (RFC 9112 section 6.3);
/// - any transfer coding but `chunked` alone: we never say that we accept another (RFC 9112 section 6.1), and the client
///   would get coded bytes without the field that says so;
/// - more than one `Content-Length`, even if they agree: passed on they would be two lines again;
/// - 101, since no upgrade is ever asked for (RFC 9110 section 15.2.2). Other 1xx answers do not come here.
pub(super) fn fit<B>(response: &mut Response<B>) -> bool {
    let status = response.status();
    if status.is_informational() || !framing_is_clear(response.headers()) {
        return false;
    }
    if status == StatusCode::NO_CONTENT {
        // "A server MUST NOT send a Content-Length header field in any response with a status code of 1xx or 204"
        // (RFC 9110 section 8.6), nor Transfer-Encoding (RFC 9112 section 6.1). There is no body either way.
        response.headers_mut().remove(CONTENT_LENGTH);
        response.headers_mut().remove(TRANSFER_ENCODING);
    }
    // The version belongs to the hop (RFC 9110 section 2.5): a client must not be spoken to in the endpoint's HTTP/1.0.
    *response.version_mut() = Version::HTTP_11;
    true
}

fn framing_is_clear(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    match (codings.next(), lengths.next()) {
        (None, None) => true,
        (None, Some(length)) => {
            lengths.next().is_none() && !length.is_empty() && length.as_bytes().iter().all(u8::is_ascii_digit)
        }
        (Some(coding), None) => {
            codings.next().is_none() && coding.as_bytes().eq_ignore_ascii_case(b"chunked")
        }
        (Some(_), Some(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, fields: &[(&str, &str)]) -> Response<()> {
        let mut builder = Response::builder().status(status).version(Version::HTTP_10);
        for (name, value) in fields {
            builder = builder.header(*name, *value);
        }
        builder.body(()).unwrap()
    }

    #[test]
    fn framing_that_can_be_read_in_two_ways_is_refused() {
        let refused: [&[(&str, &str)]; 8] = [
            &[("content-length", "5"), ("transfer-encoding", "chunked")],
            &[("content-length", "5"), ("content-length", "5")],
            &[("content-length", "5"), ("content-length", "6")],
            &[("content-length", "5, 5")],
            &[("content-length", "+5")],
            &[("content-length", "")],
            &[("transfer-encoding", "gzip, chunked")],
            &[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")],
        ];
        for fields in refused {
            assert!(!fit(&mut answer(200, fields)), "{fields:?}");
        }
        for fields in [&[("content-length", "5")], &[("transfer-encoding", "Chunked")]] {
            assert!(fit(&mut answer(200, fields)), "{fields:?}");
        }
    }

    #[test]
    fn an_upgrade_that_nobody_asked_for_is_refused() {
        assert!(!fit(&mut answer(101, &[("upgrade", "h2c")])));
    }

    #[test]
    fn no_content_has_no_length_and_the_version_is_ours() {
        let mut response = answer(204, &[("content-length", "0")]);
        assert!(fit(&mut response));
        assert!(response.headers().is_empty());
        assert_eq!(response.version(), Version::HTTP_11);
    }
}
