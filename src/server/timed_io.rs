//! The deadlines of a client's connection: the I/O notes what happens, one lazily made timer enforces it.
//!
//! hyper's own header timeout is off: it is the idle timeout of a kept connection as well, so that ten seconds against
//! slow heads would close every idle connection after ten seconds. Here each wait has its own deadline.
//!
//! A request in the steady state costs one look at the clock and no work on the timer wheel: the timer is only set
//! again when a deadline comes *before* the one it stands at, or when it rings too early.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::progress::{Progress, Stage};
use crate::config::plan::ServerTimeouts;

/// A connection that is being closed may take so long to read what was sent last.
pub const GOODBYE: Duration = Duration::from_secs(5);

/// Bytes of an unwanted body that are read and thrown away after the answer, so that the answer is not lost to the
/// reset that closing with unread bytes would send (RFC 9112 section 9.6).
const LINGER_BYTES: usize = 256 * 1024;

/// Which deadline passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expired {
    /// The TLS handshake took too long.
    Handshake,
    /// Nothing came on a plain connection.
    FirstByte,
    /// A request's head was not whole in time.
    Head,
    /// No further request.
    Idle,
    /// The other side did not take what was written.
    Write,
    /// The other side did not close after a goodbye.
    Goodbye,
}

/// The deadlines of one connection, and its one timer.
#[derive(Debug)]
pub struct Deadlines {
    stage: u32,
    write: u32,
    calls: u32,
    stage_ends: Option<(Instant, Expired)>,
    write_ends: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Deadlines {
    /// No deadline runs before the first poll.
    pub fn new() -> Deadlines {
        Deadlines {
            // No word of a connection begins with these, so that the first poll sees a change.
            stage: u32::MAX,
            write: u32::MAX - 1,
            calls: u32::MAX,
            stage_ends: None,
            write_ends: None,
            timer: None,
        }
    }

    /// Looks at what the connection is doing; ready when a deadline has passed. To be polled after the connection.
    pub fn poll(
        &mut self,
        cx: &mut Context<'_>,
        progress: &Progress,
        limits: &ServerTimeouts,
    ) -> Poll<Expired> {
        self.follow(progress, limits);
        let due = match (self.stage_ends, self.write_ends) {
            (Some((stage, _)), Some(write)) if write < stage => (write, Expired::Write),
            (Some(stage), _) => stage,
            (None, Some(write)) => (write, Expired::Write),
            (None, None) => return Poll::Pending,
        };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due.0)));
        if due.0 < timer.deadline() {
            timer.as_mut().reset(due.0);
        }
        while timer.as_mut().poll(cx).is_ready() {
            if Instant::now() >= due.0 {
                return Poll::Ready(due.1);
            }
            timer.as_mut().reset(due.0);
        }
        Poll::Pending
    }

    fn follow(&mut self, progress: &Progress, limits: &ServerTimeouts) {
        let stage = progress.stage_word();
        let calls = progress.calls();
        let overlapping = matches!(progress.stage(), Stage::Streams | Stage::Closing);
        if overlapping && progress.in_flight() > 0 {
            self.stage_ends = None;
            // Whatever comes next is a new wait.
            self.stage = u32::MAX;
        } else if stage != self.stage || (overlapping && calls != self.calls) {
            self.stage = stage;
            self.calls = calls;
            self.stage_ends = wait(progress.stage(), limits).map(|(span, why)| (Instant::now() + span, why));
        }
        let write = progress.write_word();
        if write != self.write {
            self.write = write;
            self.write_ends = (write & 1 == 1).then(|| Instant::now() + limits.write);
        }
    }
}

impl Default for Deadlines {
    fn default() -> Deadlines {
        Deadlines::new()
    }
}

fn wait(stage: Stage, limits: &ServerTimeouts) -> Option<(Duration, Expired)> {
    match stage {
        Stage::Handshake => Some((limits.handshake, Expired::Handshake)),
        Stage::FirstByte => Some((limits.first_byte, Expired::FirstByte)),
        Stage::Head => Some((limits.headers, Expired::Head)),
        Stage::Idle | Stage::Streams => Some((limits.idle, Expired::Idle)),
        Stage::Closing => Some((GOODBYE, Expired::Goodbye)),
        Stage::Busy | Stage::Answered => None,
    }
}

/// Bytes that were read to find out what is spoken, and that the protocol has to read again. At most the length of
/// the HTTP/2 preface.
#[derive(Debug, Clone, Copy, Default)]
pub struct Front {
    bytes: [u8; Front::CAPACITY],
    len: u8,
    given: u8,
}

impl Front {
    /// The length of the client's preface of HTTP/2 (RFC 9113 section 3.4).
    pub const CAPACITY: usize = 24;

    /// What has been read and not given on.
    pub fn rest(&self) -> &[u8] {
        self.bytes
            .get(usize::from(self.given)..usize::from(self.len))
            .unwrap_or_default()
    }

    /// Reads more, up to the capacity.
    ///
    /// # Errors
    /// Those of the I/O.
    pub async fn fill<T: AsyncRead + Unpin>(&mut self, io: &mut T) -> io::Result<usize> {
        let free = self.bytes.get_mut(usize::from(self.len)..).unwrap_or_default();
        let read = tokio::io::AsyncReadExt::read(io, free).await?;
        self.len = self.len.saturating_add(u8::try_from(read).unwrap_or(u8::MAX));
        Ok(read)
    }

    fn give(&mut self, buffer: &mut ReadBuf<'_>) -> usize {
        let rest = self.rest();
        let count = rest.len().min(buffer.remaining());
        buffer.put_slice(rest.get(..count).unwrap_or_default());
        self.given = self.given.saturating_add(u8::try_from(count).unwrap_or(u8::MAX));
        count
    }
}

/// Looks at how a client of HTTP/2 begins, since the protocol's library does not.
///
/// > This sequence MUST be followed by a SETTINGS frame [...]. Clients and servers MUST treat an invalid connection
/// > preface as a connection error of type PROTOCOL_ERROR. A GOAWAY frame MAY be omitted in this case
/// > (RFC 9113 section 3.4)
#[derive(Debug, Clone, Copy)]
pub struct Opening {
    /// Bytes that went by, up to `WHOLE`.
    seen: u8,
}

impl Opening {
    /// The preface and what is looked at of the first frame's head: three bytes of length, the type, the flags.
    const WHOLE: u8 = 24 + 5;
    const KIND: u8 = 24 + 3;
    const FLAGS: u8 = 24 + 4;
    const SETTINGS: u8 = 4;
    const ACK: u8 = 1;

    /// The client's preface of HTTP/2 comes first: reading fails when it is not followed by SETTINGS.
    pub const EXPECTED: Opening = Opening { seen: 0 };

    /// Nothing to look at: HTTP/1.
    pub const OVER: Opening = Opening { seen: Opening::WHOLE };

    fn is_over(self) -> bool {
        self.seen == Opening::WHOLE
    }

    /// Looks at the next bytes.
    fn look(&mut self, bytes: &[u8]) -> io::Result<()> {
        let seen = self.seen;
        let at = |place: u8| bytes.get(usize::from(place.checked_sub(seen)?));
        if at(Opening::KIND).is_some_and(|kind| *kind != Opening::SETTINGS)
            || at(Opening::FLAGS).is_some_and(|flags| flags & Opening::ACK != 0)
        {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the preface is not followed by SETTINGS",
            ));
        }
        let now = u8::try_from(bytes.len()).unwrap_or(u8::MAX);
        self.seen = seen.saturating_add(now).min(Opening::WHOLE);
        Ok(())
    }
}

/// An I/O that notes what happens on it, and closes so that the last answer arrives.
#[derive(Debug)]
pub struct TimedIo<T> {
    io: T,
    progress: Arc<Progress>,
    front: Front,
    opening: Opening,
    closing: Option<Linger>,
}

#[derive(Debug, Clone, Copy)]
struct Linger {
    left: usize,
}

impl<T> TimedIo<T> {
    /// `front` is given on before what `io` has.
    pub fn new(io: T, front: Front, opening: Opening, progress: Arc<Progress>) -> TimedIo<T> {
        TimedIo {
            io,
            progress,
            front,
            opening,
            closing: None,
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for TimedIo<T> {
    #[inline]
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let start = buffer.filled().len();
        let given = this.front.give(buffer);
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut this.io).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            this.progress.note_read();
        }
        if !this.opening.is_over() {
            this.opening
                .look(buffer.filled().get(start..).unwrap_or_default())?;
        }
        match outcome {
            Poll::Pending if given > 0 => Poll::Ready(Ok(())),
            Poll::Pending | Poll::Ready(_) => outcome,
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TimedIo<T> {
    #[inline]
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.io).poll_write(cx, bytes);
        match outcome {
            Poll::Pending => this.progress.note_stuck(),
            Poll::Ready(_) => this.progress.note_written(),
        }
        outcome
    }

    #[inline]
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.io).poll_flush(cx);
        match outcome {
            Poll::Pending => this.progress.note_stuck(),
            Poll::Ready(_) => this.progress.note_flushed(),
        }
        outcome
    }

    /// Says goodbye; then, if the client may still be sending, throws a bounded amount of that away.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let linger = match &mut this.closing {
            Some(linger) => linger,
            None => {
                let Poll::Ready(said) = Pin::new(&mut this.io).poll_shutdown(cx) else {
                    this.progress.note_stuck();
                    return Poll::Pending;
                };
                said?;
                if !this.progress.may_be_sending() {
                    return Poll::Ready(Ok(()));
                }
                this.progress.enter(Stage::Closing);
                this.closing.insert(Linger { left: LINGER_BYTES })
            }
        };
        let mut scratch = [0; 4096];
        while linger.left > 0 {
            let mut buffer = ReadBuf::new(&mut scratch);
            ready!(Pin::new(&mut this.io).poll_read(cx, &mut buffer))?;
            match buffer.filled().len() {
                0 => break,
                count => linger.left = linger.left.saturating_sub(count),
            }
        }
        Poll::Ready(Ok(()))
    }

    #[inline]
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.io).poll_write_vectored(cx, pieces);
        match outcome {
            Poll::Pending => this.progress.note_stuck(),
            Poll::Ready(_) => this.progress.note_written(),
        }
        outcome
    }

    #[inline]
    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}
