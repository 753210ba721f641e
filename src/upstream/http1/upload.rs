//! A request on its way out: the head, and the body behind it as it comes.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::header::TRAILER;
use http::{HeaderMap, HeaderName, Request};
use http_body::{Body as _, Frame};
use tokio::io::AsyncWrite;

use super::head;
use crate::net::dial::Line;
use crate::upstream::outbound::Outbound;

/// Data up to this size is copied behind what waits to be written, so that head and body of a small request are one piece;
/// larger data is written where it lies.
const COPIED: usize = 4 * 1024;
/// When so many bytes wait to be written, the body is not asked for more.
const ENOUGH: usize = 16 * 1024;
/// Memory that an idle connection may keep for the next head.
const KEPT: usize = 4 * 1024;

/// What is being sent.
#[derive(Default)]
pub(super) struct Upload {
    /// Framed bytes; those before `written` are out.
    output: Vec<u8>,
    written: usize,
    /// Data that goes out behind `output`.
    piece: Bytes,
    body: Option<Sending>,
    /// Bytes of this request went out.
    pub(super) began: bool,
    failed: bool,
}

/// The body of the request.
struct Sending {
    body: Outbound,
    framing: Framing,
    /// The trailer fields that the head announces; others are not sent.
    announced: Vec<HeaderName>,
}

/// How the body is framed (RFC 9112 section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    /// `Content-Length`: so many bytes are left.
    Length(u64),
    Chunked,
}

/// Why a request cannot be sent on.
#[derive(Debug)]
pub(super) enum Stopped {
    /// The connection.
    Connection,
    /// The client's body failed, or is not as long as it said.
    Body,
}

impl Upload {
    /// Begins with a request whose framing fields agree with its body. The body is taken out of it.
    pub(super) fn begin(&mut self, request: &mut Request<Outbound>) {
        self.output.clear();
        self.written = 0;
        self.piece = Bytes::new();
        self.began = false;
        self.failed = false;
        self.body = None;
        let body = request.body();
        if body.is_end_stream() {
            head::write(&mut self.output, request, None);
            return;
        }
        let length = body.size_hint().exact();
        head::write(&mut self.output, request, length);
        let announced = announced(request.headers());
        let framing = length.map_or(Framing::Chunked, Framing::Length);
        self.body = Some(Sending {
            body: std::mem::take(request.body_mut()),
            framing,
            announced,
        });
    }

    /// Has everything gone out?
    pub(super) fn is_over(&self) -> bool {
        !self.failed && self.body.is_none() && self.is_written()
    }

    fn is_written(&self) -> bool {
        self.written == self.output.len() && self.piece.is_empty()
    }

    /// Gives up what an idle connection should not hold.
    pub(super) fn rest(&mut self) {
        if self.output.capacity() > KEPT {
            self.output = Vec::new();
        }
    }

    /// Sends on. Ready when everything is out, or when it cannot go on; then it is not to be asked again.
    pub(super) fn poll(&mut self, line: &mut Line, cx: &mut Context<'_>) -> Poll<Result<(), Stopped>> {
        let polled = self.poll_all(line, cx);
        if let Poll::Ready(Err(_)) = &polled {
            self.failed = true;
            self.body = None;
        }
        polled
    }

    /// Has sending failed?
    pub(super) fn has_failed(&self) -> bool {
        self.failed
    }

    fn poll_all(&mut self, line: &mut Line, cx: &mut Context<'_>) -> Poll<Result<(), Stopped>> {
        loop {
            self.fill(cx)?;
            if self.is_written() {
                ready!(Pin::new(&mut *line).poll_flush(cx)).map_err(|_| Stopped::Connection)?;
                return if self.body.is_some() {
                    Poll::Pending
                } else {
                    Poll::Ready(Ok(()))
                };
            }
            let count = ready!(self.poll_write(line, cx)).map_err(|_| Stopped::Connection)?;
            if count == 0 {
                return Poll::Ready(Err(Stopped::Connection));
            }
            self.began = true;
            self.note_written(count);
        }
    }

    fn poll_write(&self, line: &mut Line, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let output = self.output.get(self.written..).unwrap_or_default();
        if self.piece.is_empty() {
            Pin::new(line).poll_write(cx, output)
        } else if output.is_empty() {
            Pin::new(line).poll_write(cx, &self.piece)
        } else {
            Pin::new(line).poll_write_vectored(cx, &[IoSlice::new(output), IoSlice::new(&self.piece)])
        }
    }

    fn note_written(&mut self, count: usize) {
        let of_output = count.min(self.output.len() - self.written);
        self.written += of_output;
        if self.written == self.output.len() {
            self.output.clear();
            self.written = 0;
        }
        if count > of_output {
            self.piece.advance(count - of_output);
            if self.piece.is_empty() && self.is_chunked() {
                self.output.extend_from_slice(b"\r\n");
            }
        }
    }

    fn is_chunked(&self) -> bool {
        self.body
            .as_ref()
            .is_some_and(|sending| sending.framing == Framing::Chunked)
    }

    /// Takes what the body has, as far as it is worth it.
    fn fill(&mut self, cx: &mut Context<'_>) -> Result<(), Stopped> {
        while self.piece.is_empty() && self.output.len() < ENOUGH {
            let Some(sending) = &mut self.body else {
                return Ok(());
            };
            match Pin::new(&mut sending.body).poll_frame(cx) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Some(Ok(frame))) => self.take(frame)?,
                Poll::Ready(Some(Err(_))) => return Err(Stopped::Body),
                Poll::Ready(None) => self.end(None)?,
            }
            // A body of a known length is over with its last byte, whether or not it says so.
            if self
                .body
                .as_ref()
                .is_some_and(|sending| sending.framing == Framing::Length(0))
            {
                self.body = None;
            }
        }
        Ok(())
    }

    fn take(&mut self, frame: Frame<Bytes>) -> Result<(), Stopped> {
        let data = match frame.into_data() {
            Ok(data) => data,
            Err(frame) => return self.end(frame.into_trailers().ok()),
        };
        let Some(sending) = &mut self.body else {
            return Ok(());
        };
        match &mut sending.framing {
            _ if data.is_empty() => return Ok(()),
            Framing::Length(left) => {
                *left = left.checked_sub(data.len() as u64).ok_or(Stopped::Body)?;
                if data.len() <= COPIED {
                    self.output.extend_from_slice(&data);
                } else {
                    self.piece = data;
                }
            }
            Framing::Chunked => {
                self.output
                    .extend_from_slice(format!("{:x}\r\n", data.len()).as_bytes());
                if data.len() <= COPIED {
                    self.output.extend_from_slice(&data);
                    self.output.extend_from_slice(b"\r\n");
                } else {
                    self.piece = data;
                }
            }
        }
        Ok(())
    }

    /// The body has ended.
    fn end(&mut self, trailers: Option<HeaderMap>) -> Result<(), Stopped> {
        let Some(sending) = self.body.take() else {
            return Ok(());
        };
        match sending.framing {
            Framing::Length(0) => {}
            Framing::Length(_) => return Err(Stopped::Body),
            Framing::Chunked => {
                self.output.extend_from_slice(b"0\r\n");
                for (name, value) in trailers.iter().flatten() {
                    if sending.announced.contains(name) {
                        head::field(&mut self.output, name, value);
                    }
                }
                self.output.extend_from_slice(b"\r\n");
            }
        }
        Ok(())
    }
}

/// > a sender SHOULD generate a Trailer header field before the content to indicate which fields might be present in the
/// > trailers (RFC 9110 section 6.6.2)
fn announced(headers: &HeaderMap) -> Vec<HeaderName> {
    headers
        .get_all(TRAILER)
        .iter()
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .collect()
}
