//! One connection and the exchange on it.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Request, Response};
use http_body::Frame;
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};
use tokio::time::Instant;

use super::BadAnswer;
use super::decoder::{Decoder, Part};
use super::head::{self, Search};
use super::upload::{Stopped, Upload};
use crate::net::dial::Line;
use crate::upstream::alarm::Alarm;
use crate::upstream::outbound::Outbound;

/// Room for one read where nothing says how much will come.
const READ: usize = 8 * 1024;
/// Room for one read of a large answer: 64 KiB and a head. It lets the answer come in few reads, each of which may also
/// send an acknowledgement; a stuck client cannot make a connection hold more.
const READ_LARGE: usize = 68 * 1024;
/// Memory that an idle connection may keep for reading.
const KEPT: usize = READ;

/// An HTTP/1.1 connection: one exchange at a time.
pub(in crate::upstream) struct Http1 {
    line: Line,
    input: BytesMut,
    /// Bytes that have come of this exchange's answer.
    came: usize,
    /// Room for the first read of the next answer: who sent a large one last time probably does again.
    room: usize,
    search: Search,
    upload: Upload,
    decoder: Decoder,
    /// After this exchange there may be another.
    keep: bool,
    /// Something of an answer has come.
    heard: bool,
    /// Kept here while the connection is idle.
    pub(in crate::upstream) alarm: Alarm,
    pub(in crate::upstream) born: Instant,
    pub(in crate::upstream) idle_since: Instant,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(in crate::upstream) enum Failure {
    /// The connection ended, and nothing of the request was sent.
    #[error("the connection ended before the request was sent")]
    Unsent,
    /// The connection ended, and nothing of an answer came.
    #[error("the connection ended before an answer: {0}")]
    Silent(io::Error),
    /// The answer broke off within its head.
    #[error("the answer broke off: {0}")]
    BrokenOff(io::Error),
    /// What came is no answer.
    #[error(transparent)]
    Bad(#[from] BadAnswer),
    /// The client's body failed.
    #[error("the body of the request failed")]
    Body,
}

/// Why a body does not go on.
#[derive(Debug)]
pub(in crate::upstream) enum BodyFailure {
    /// The connection ended within it.
    Short,
    /// The connection failed within it.
    Broken(io::Error),
    /// Its framing.
    Bad(BadAnswer),
}

impl Http1 {
    pub(in crate::upstream) fn new(line: Line) -> Box<Http1> {
        let now = Instant::now();
        Box::new(Http1 {
            line,
            input: BytesMut::new(),
            came: 0,
            room: READ,
            search: Search::default(),
            upload: Upload::default(),
            decoder: Decoder::over(),
            keep: true,
            heard: false,
            alarm: Alarm::default(),
            born: now,
            idle_since: now,
        })
    }

    /// Is an idle connection still good? Asks the runtime, not the system: what it has not been told yet is found out
    /// when the connection is used.
    pub(in crate::upstream) fn is_open(&mut self) -> bool {
        let mut byte = [0];
        let mut buffer = ReadBuf::new(&mut byte);
        let mut cx = Context::from_waker(Waker::noop());
        // Whatever comes, an end, an error or bytes that nobody asked for: the next answer would not be the next thing.
        self.input.is_empty()
            && Pin::new(&mut self.line)
                .poll_read(&mut cx, &mut buffer)
                .is_pending()
    }

    /// Sends `request`, whose body is taken out of it, and waits for the head of the answer. The request's head stays as
    /// it is unless there is an answer; then the memory of its fields is used for the answer's.
    ///
    /// Interim answers (RFC 9110 section 15.2) are passed over, all but 101, which nobody asks for.
    pub(in crate::upstream) async fn exchange(
        &mut self,
        request: &mut Request<Outbound>,
    ) -> Result<Response<()>, Failure> {
        self.upload.begin(request);
        self.heard = false;
        loop {
            let head = poll_fn(|cx| self.poll_head(cx)).await?;
            // Not before now: a request without an answer may be sent again.
            let fields = std::mem::take(request.headers_mut());
            let (answer, is_interim) = self.read(&head, request.method(), fields)?;
            if !is_interim {
                return Ok(answer);
            }
            // A head that is followed by another is rare; the fields of the request are gone, and so is a second try.
        }
    }

    fn read(
        &mut self,
        head: &Bytes,
        method: &Method,
        fields: HeaderMap,
    ) -> Result<(Response<()>, bool), Failure> {
        let head::Read {
            answer,
            decoder,
            keep,
        } = head::read(head, method, fields)?;
        let status = answer.status();
        if status == http::StatusCode::SWITCHING_PROTOCOLS {
            return Err(Failure::Bad(BadAnswer::Head));
        }
        self.decoder = decoder;
        self.keep = keep;
        Ok((answer, status.is_informational()))
    }

    /// The bytes of the next head.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, Failure>> {
        if !self.upload.is_over()
            && !self.upload.has_failed()
            && let Poll::Ready(Err(stopped)) = self.upload.poll(&mut self.line, cx)
        {
            match stopped {
                Stopped::Body => return Poll::Ready(Err(Failure::Body)),
                // An endpoint that refuses an upload may have said why before it closed.
                Stopped::Connection => {}
            }
        }
        loop {
            if let Some(head) = self.search.take(&mut self.input)? {
                return Poll::Ready(Ok(head));
            }
            match ready!(self.poll_fill(cx, self.room)) {
                Ok(1..) => self.heard = true,
                Ok(0) => return Poll::Ready(Err(self.ended(io::ErrorKind::UnexpectedEof.into()))),
                Err(error) => return Poll::Ready(Err(self.ended(error))),
            }
        }
    }

    fn ended(&self, error: io::Error) -> Failure {
        if self.heard {
            Failure::BrokenOff(error)
        } else if self.upload.began {
            Failure::Silent(error)
        } else {
            Failure::Unsent
        }
    }

    /// Reads once, at most `room` bytes.
    fn poll_fill(&mut self, cx: &mut Context<'_>, room: usize) -> Poll<io::Result<usize>> {
        self.input.reserve(room);
        let mut buffer = bytes::buf::BufMut::limit(&mut self.input, room);
        let read = ready!(pin!(self.line.read_buf(&mut buffer)).poll(cx));
        self.came = self.came.saturating_add(*read.as_ref().unwrap_or(&0));
        Poll::Ready(read)
    }

    /// The next part of the answer's body; `None` at its end. The rest of the request goes on meanwhile.
    pub(in crate::upstream) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFailure>>> {
        if !self.upload.is_over() && !self.upload.has_failed() {
            // How that ends is seen in `is_reusable`; the answer is what counts now.
            let _ = self.upload.poll(&mut self.line, cx);
        }
        loop {
            match self.decoder.next(&mut self.input) {
                Ok(Part::Data(data)) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Ok(Part::Trailers(fields)) => return Poll::Ready(Some(Ok(Frame::trailers(fields)))),
                Ok(Part::End) => return Poll::Ready(None),
                Ok(Part::More) => {}
                Err(bad) => return Poll::Ready(Some(Err(BodyFailure::Bad(bad)))),
            }
            // A byte more than is expected: a read that fills its room says nothing of whether more has come, and whether
            // the connection is still good would then have to be asked of the system (see `is_open`).
            let room = usize::try_from(self.decoder.expected().saturating_add(1))
                .unwrap_or(READ_LARGE)
                .clamp(READ, READ_LARGE);
            match ready!(self.poll_fill(cx, room)) {
                Ok(1..) => {}
                Ok(0) if self.decoder.ends_here() => return Poll::Ready(None),
                Ok(0) => return Poll::Ready(Some(Err(BodyFailure::Short))),
                Err(error) => return Poll::Ready(Some(Err(BodyFailure::Broken(error)))),
            }
        }
    }

    /// The rest of the body, if it is there already and of a known length.
    pub(in crate::upstream) fn whole_body(&mut self) -> Option<Bytes> {
        let length = usize::try_from(self.decoder.exact()?).ok()?;
        if length > self.input.len() {
            return None;
        }
        match self.decoder.next(&mut self.input) {
            Ok(Part::Data(data)) => Some(data),
            Ok(Part::End) => Some(Bytes::new()),
            Ok(Part::Trailers(_) | Part::More) | Err(_) => None,
        }
    }

    /// Has the answer's body ended?
    pub(in crate::upstream) fn is_over(&self) -> bool {
        self.decoder.is_over()
    }

    /// Bytes of the body that are still to come, if that is known.
    pub(in crate::upstream) fn left(&self) -> Option<u64> {
        self.decoder.exact()
    }

    /// Is the rest of the request still to be sent, or will it never be?
    pub(in crate::upstream) fn is_sending(&self) -> bool {
        !self.upload.is_over()
    }

    /// May another exchange follow? Bytes behind the answer, a request that did not go out whole, and an endpoint that says
    /// so forbid it.
    pub(in crate::upstream) fn is_reusable(&self) -> bool {
        self.keep && self.decoder.is_over() && self.input.is_empty() && self.upload.is_over()
    }

    /// Gives up what an idle connection should not hold.
    pub(in crate::upstream) fn rest(&mut self) {
        self.room = if self.came > READ { READ_LARGE } else { READ };
        self.came = 0;
        self.upload.rest();
        if self.input.capacity() > KEPT {
            self.input = BytesMut::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;
    use crate::http::body::Body;
    use crate::net::dial;

    /// Answers each request on one connection with a body of the next of these lengths.
    fn answers(lengths: &'static [usize]) -> std::net::SocketAddr {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            for length in lengths {
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    stream.read_exact(&mut byte).unwrap();
                    request.extend(byte);
                }
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
                stream
                    .write_all(&[head.as_bytes(), &vec![b'x'; *length]].concat())
                    .unwrap();
            }
            // Open until the other side closes.
            let _end = stream.read(&mut [0]);
        });
        address
    }

    #[tokio::test]
    async fn room_for_the_first_read_follows_the_size_of_the_last_answer() {
        let address = answers(&[100, 64 * 1024, 100]);
        let line = dial::dial(address, None, Instant::now() + std::time::Duration::from_secs(5))
            .await
            .unwrap();
        let mut connection = Http1::new(line);
        for (length, room) in [(100, READ), (64 * 1024, READ_LARGE), (100, READ)] {
            let mut request = Request::new(Outbound::new(Body::empty(), Instant::now()));
            connection.exchange(&mut request).await.unwrap();
            let mut came = 0;
            while let Some(frame) = poll_fn(|cx| connection.poll_frame(cx)).await {
                came += frame.unwrap().data_ref().map_or(0, Bytes::len);
            }
            assert_eq!(came, length);
            assert!(connection.is_reusable() && connection.is_open());
            connection.rest();
            assert_eq!(connection.room, room);
            assert!(connection.input.capacity() <= KEPT);
        }
    }
}
