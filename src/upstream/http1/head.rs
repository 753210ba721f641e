//! The head of a message: written for the endpoint, read from it.

use std::mem::MaybeUninit;

use bytes::{Buf, Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, HeaderName, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, Version};
use httparse::{ParserConfig, Status};

use super::BadAnswer;
use super::decoder::Decoder;
use crate::http::names::KEEP_ALIVE;

/// The longest head of an answer. Any sane head fits.
pub(super) const LONGEST: usize = 64 * 1024;
/// Field lines of an answer at most, also of its trailers.
pub(super) const FIELDS: usize = 100;

/// Writes the request's head behind what is in `output`. `length` is said where the fields do not say it.
pub(super) fn write<B>(output: &mut Vec<u8>, request: &Request<B>, length: Option<u64>) {
    output.extend_from_slice(request.method().as_str().as_bytes());
    output.push(b' ');
    output.extend_from_slice(target(request.uri()).as_bytes());
    output.extend_from_slice(b" HTTP/1.1\r\n");
    for (name, value) in request.headers() {
        field(output, name, value);
    }
    if let Some(length) = length
        && !request.headers().contains_key(CONTENT_LENGTH)
    {
        field(output, &CONTENT_LENGTH, &HeaderValue::from(length));
    }
    output.extend_from_slice(b"\r\n");
}

/// Writes one field line.
pub(super) fn field(output: &mut Vec<u8>, name: &HeaderName, value: &HeaderValue) {
    let (name, value) = (name.as_str().as_bytes(), value.as_bytes());
    output.reserve(name.len() + value.len() + 4);
    output.extend_from_slice(name);
    output.extend_from_slice(b": ");
    output.extend_from_slice(value);
    output.extend_from_slice(b"\r\n");
}

/// The request target in origin form (RFC 9112 section 3.2.1).
fn target(uri: &Uri) -> &str {
    uri.path_and_query().map_or("/", |target| target.as_str())
}

/// Where the head ends that `input` begins with: behind its empty line. Looks from `from` on, which must not be behind
/// the beginning of the line that was cut off last time. `None` when the empty line has not come yet.
///
/// > a recipient MAY recognize a single LF as a line terminator and ignore any preceding CR (RFC 9112 section 2.2)
pub(super) fn end(input: &[u8], from: usize) -> Option<usize> {
    let mut line = from;
    loop {
        let rest = input.get(line..)?;
        match rest {
            [b'\n', ..] => return Some(line + 1),
            [b'\r', b'\n', ..] => return Some(line + 2),
            _ => line += memchr::memchr(b'\n', rest)? + 1,
        }
    }
}

/// Looks for the end of a head in what is read bit by bit.
#[derive(Debug, Default)]
pub(super) struct Search {
    /// The beginning of the line that was cut off last time.
    from: usize,
}

impl Search {
    /// Takes the head off `input`; `None` when its end has not come.
    ///
    /// # Errors
    /// [`BadAnswer`] as soon as it cannot become a head of HTTP/1 any more, or is too long.
    pub(super) fn take(&mut self, input: &mut BytesMut) -> Result<Option<Bytes>, BadAnswer> {
        const BEGINNING: &[u8] = b"HTTP/1.";
        if !input.iter().zip(BEGINNING).all(|(is, ought)| is == ought) {
            return Err(BadAnswer::Head);
        }
        let Some(end) = end(input, self.from) else {
            if input.len() >= LONGEST {
                return Err(BadAnswer::TooLarge);
            }
            self.from = memchr::memrchr(b'\n', input).map_or(0, |at| at + 1);
            return Ok(None);
        };
        self.from = 0;
        if end > LONGEST {
            return Err(BadAnswer::TooLarge);
        }
        // Copied out: the fields share it for as long as the answer lives, and the buffer is the connection's own again.
        let head = Bytes::copy_from_slice(input.get(..end).unwrap_or_default());
        input.advance(end);
        Ok(Some(head))
    }
}

/// What an answer's head says beside its fields.
#[derive(Debug)]
pub(super) struct Read {
    /// The answer, with the fields that travel on.
    pub(super) answer: Response<()>,
    /// How its body is framed.
    pub(super) decoder: Decoder,
    /// The connection can serve another exchange afterwards.
    pub(super) keep: bool,
}

/// Reads a whole head, the answer to a request with `method`. `fields` is a map whose memory is used again.
///
/// Fields of the connection alone (`Connection` that names nothing else, `Keep-Alive`, `Transfer-Encoding`) are used here
/// and left out.
///
/// # Errors
/// [`BadAnswer`] for what is no head, or one whose framing can be read in two ways:
///
/// - `Transfer-Encoding` beside `Content-Length` "ought to be handled as an error" (RFC 9112 section 6.3);
/// - any transfer coding but `chunked` alone: we never say that we accept another (RFC 9112 section 6.1), and the client
///   would get coded bytes without the field that says so; and any at all in HTTP/1.0;
/// - more than one `Content-Length`, even if they agree, and one that is no number.
pub(super) fn read(head: &Bytes, method: &Method, mut fields: HeaderMap) -> Result<Read, BadAnswer> {
    let mut lines = [const { MaybeUninit::<httparse::Header<'_>>::uninit() }; FIELDS];
    let mut parsed = httparse::Response::new(&mut []);
    match ParserConfig::default().parse_response_with_uninit_headers(&mut parsed, head, &mut lines) {
        Ok(Status::Complete(length)) if length == head.len() => {}
        Ok(_) => return Err(BadAnswer::Head),
        Err(httparse::Error::TooManyHeaders) => return Err(BadAnswer::TooLarge),
        Err(_) => return Err(BadAnswer::Head),
    }
    let (Some(status), Some(minor)) = (parsed.code, parsed.version) else {
        return Err(BadAnswer::Head);
    };
    let status = StatusCode::from_u16(status).map_err(|_| BadAnswer::Head)?;
    let (mut length, mut chunked, mut keep) = (None, false, minor == 1);
    fields.clear();
    for line in parsed.headers.iter() {
        let name = HeaderName::from_bytes(line.name.as_bytes()).map_err(|_| BadAnswer::Head)?;
        if name == CONTENT_LENGTH {
            if length.replace(number(line.value)?).is_some() {
                return Err(BadAnswer::Head);
            }
        } else if name == TRANSFER_ENCODING {
            if chunked || minor == 0 || !line.value.eq_ignore_ascii_case(b"chunked") {
                return Err(BadAnswer::Head);
            }
            chunked = true;
            continue;
        } else if name == CONNECTION {
            let options = Options::of(line.value);
            keep = (keep || options.keep_alive) && !options.close;
            if !options.others {
                continue;
            }
        } else if name == KEEP_ALIVE {
            continue;
        }
        let value =
            HeaderValue::from_maybe_shared(head.slice_ref(line.value)).map_err(|_| BadAnswer::Head)?;
        fields.append(name, value);
    }
    if chunked && length.is_some() {
        return Err(BadAnswer::Head);
    }
    let bodiless = status.is_informational()
        || status == StatusCode::NO_CONTENT
        || status == StatusCode::NOT_MODIFIED
        || *method == Method::HEAD;
    if status == StatusCode::NO_CONTENT {
        // "A server MUST NOT send a Content-Length header field in any response with a status code of 1xx or 204"
        // (RFC 9110 section 8.6).
        fields.remove(CONTENT_LENGTH);
    }
    let decoder = match (bodiless, chunked, length) {
        (true, ..) => Decoder::over(),
        (false, true, _) => Decoder::chunked(),
        (false, false, Some(length)) => Decoder::length(length),
        (false, false, None) => Decoder::to_the_end(),
    };
    let mut answer = Response::new(());
    *answer.status_mut() = status;
    *answer.headers_mut() = fields;
    // The version belongs to the hop (RFC 9110 section 2.5): a client must not be spoken to in the endpoint's HTTP/1.0.
    *answer.version_mut() = Version::HTTP_11;
    Ok(Read {
        answer,
        keep: keep && !decoder.is_to_the_end(),
        decoder,
    })
}

/// `1*DIGIT` (RFC 9110 section 8.6) that fits.
fn number(value: &[u8]) -> Result<u64, BadAnswer> {
    if value.is_empty() {
        return Err(BadAnswer::Head);
    }
    value
        .iter()
        .try_fold(0_u64, |number, byte| match byte {
            b'0'..=b'9' => number.checked_mul(10)?.checked_add(u64::from(byte - b'0')),
            _ => None,
        })
        .ok_or(BadAnswer::Head)
}

/// What a `Connection` line lists.
#[derive(Default)]
struct Options {
    close: bool,
    keep_alive: bool,
    /// Something else: fields that must not travel on.
    others: bool,
}

impl Options {
    fn of(value: &[u8]) -> Options {
        let mut options = Options::default();
        for option in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            if option.eq_ignore_ascii_case(b"close") {
                options.close = true;
            } else if option.eq_ignore_ascii_case(b"keep-alive") {
                options.keep_alive = true;
            } else if !option.is_empty() {
                options.others = true;
            }
        }
        options
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &str) -> Result<Read, BadAnswer> {
        read(
            &Bytes::copy_from_slice(text.as_bytes()),
            &Method::GET,
            HeaderMap::new(),
        )
    }

    #[test]
    fn a_head_ends_behind_its_empty_line_and_is_found_wherever_the_reading_stopped() {
        let text = b"HTTP/1.1 200 OK\r\nx-a: 1\r\nx-b: 2\n\r\nrest";
        let whole = text.len() - b"rest".len();
        assert_eq!(end(text, 0), Some(whole));
        for cut in 0..whole {
            assert_eq!(end(&text[..cut], 0), None, "{cut}");
        }
        for line in [17, 25, 32] {
            assert_eq!(end(text, line), Some(whole), "{line}");
        }
        assert_eq!(end(b"a\n\nb", 0), Some(3));
        assert_eq!(end(b"\r\n", 0), Some(2));
    }

    #[test]
    fn fields_of_the_connection_alone_are_used_and_left_out() {
        let read = answer(
            "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\nX-A: 1\r\ncontent-length: 3\r\n\r\n",
        )
        .unwrap();
        assert!(read.keep);
        let names: Vec<_> = read.answer.headers().keys().collect();
        assert_eq!(names, ["x-a", "content-length"]);
        let read = answer("HTTP/1.1 200 OK\r\nConnection: close, x-a\r\nX-A: 1\r\n\r\n").unwrap();
        assert!(!read.keep && read.answer.headers().contains_key(CONNECTION));
    }

    #[test]
    fn a_connection_is_kept_by_the_rules_of_its_version_and_never_when_its_end_ends_the_body() {
        let kept = |text: &str| answer(text).unwrap().keep;
        assert!(kept("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
        assert!(!kept(
            "HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 0\r\n\r\n"
        ));
        assert!(!kept("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"));
        assert!(kept(
            "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 0\r\n\r\n"
        ));
        assert!(!kept("HTTP/1.1 200 OK\r\n\r\n"));
        assert!(kept("HTTP/1.1 204 No Content\r\n\r\n"));
    }

    #[test]
    fn framing_that_can_be_read_in_two_ways_is_refused() {
        for fields in [
            "content-length: 5\r\ntransfer-encoding: chunked\r\n",
            "content-length: 5\r\ncontent-length: 5\r\n",
            "content-length: 5\r\ncontent-length: 6\r\n",
            "content-length: 5, 5\r\n",
            "content-length: +5\r\n",
            "content-length: \r\n",
            "content-length: 18446744073709551616\r\n",
            "transfer-encoding: gzip, chunked\r\n",
            "transfer-encoding: gzip\r\n",
            "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
        ] {
            let read = answer(&format!("HTTP/1.1 200 OK\r\n{fields}\r\n"));
            assert_eq!(read.err(), Some(BadAnswer::Head), "{fields}");
        }
        assert!(answer("HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").is_err());
        assert!(answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n").is_ok());
    }

    #[test]
    fn no_content_has_no_length_and_the_version_is_ours() {
        let read = answer("HTTP/1.0 204 No Content\r\nContent-Length: 5\r\n\r\n").unwrap();
        assert!(read.answer.headers().is_empty());
        assert_eq!(read.answer.version(), Version::HTTP_11);
        assert!(read.decoder.is_over());
    }

    #[test]
    fn a_request_is_written_with_its_length_once() {
        let mut request = Request::new(());
        *request.uri_mut() = Uri::from_static("http://a.example/b?c=|d");
        request.headers_mut().insert("x-a", HeaderValue::from_static("1"));
        let mut output = Vec::new();
        write(&mut output, &request, Some(3));
        assert_eq!(
            String::from_utf8_lossy(&output),
            "GET /b?c=|d HTTP/1.1\r\nx-a: 1\r\ncontent-length: 3\r\n\r\n"
        );
        request
            .headers_mut()
            .insert(CONTENT_LENGTH, HeaderValue::from_static("3"));
        let mut again = Vec::new();
        write(&mut again, &request, Some(3));
        assert_eq!(String::from_utf8_lossy(&again), String::from_utf8_lossy(&output));
    }
}
