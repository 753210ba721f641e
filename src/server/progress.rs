//! What one client connection is doing: shared by its I/O, its service, its driver and the drain.
//!
//! Plain atomics without ordering: for HTTP/1 all writers run in the connection's own task; for HTTP/2 the streams'
//! tasks touch only the two counters, and wake the driver when the last one ends.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use std::task::Waker;

use futures_util::task::AtomicWaker;

use super::drain::{Life, Phase};

/// What a connection waits for. Each has its own deadline, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Stage {
    /// The TLS handshake.
    Handshake = 0,
    /// The first byte of a plain connection.
    FirstByte = 1,
    /// The next request (HTTP/1): nothing of it has come.
    Idle = 2,
    /// The rest of a request's head (HTTP/1), or of the bytes that tell the protocol.
    Head = 3,
    /// The gateway's own answer (HTTP/1). The deadlines of the request's stages hold, none of the connection's.
    Busy = 4,
    /// The last bytes of an answer, on their way out (HTTP/1).
    Answered = 5,
    /// HTTP/2, where requests overlap: idle while none is in flight.
    Streams = 6,
    /// The end: a goodbye was sent, and the other side may read it.
    Closing = 7,
}

impl Stage {
    fn of(word: u32) -> Stage {
        match word & 7 {
            0 => Stage::Handshake,
            1 => Stage::FirstByte,
            2 => Stage::Idle,
            3 => Stage::Head,
            4 => Stage::Busy,
            5 => Stage::Answered,
            6 => Stage::Streams,
            _ => Stage::Closing,
        }
    }
}

/// The state of one connection.
#[derive(Debug)]
pub struct Progress {
    life: Life,
    address: SocketAddr,
    listener: usize,
    /// Three bits of [`Stage`], the rest counts changes: two visits to one stage are two deadlines.
    stage: AtomicU32,
    /// Counts changes between "writes go through" (even) and "the other side does not take bytes" (odd).
    write: AtomicU32,
    calls: AtomicU32,
    in_flight: AtomicU32,
    /// The request in work came with a body.
    body: AtomicBool,
    /// Bytes of the next request came before this one was answered.
    ahead: AtomicBool,
    /// This connection is to end as soon as nothing is in flight.
    finish: AtomicBool,
    waker: AtomicWaker,
}

impl Progress {
    /// A connection from `address` that begins in `stage`, in the life of a process.
    pub fn new(life: Life, address: SocketAddr, listener: usize, stage: Stage) -> Arc<Progress> {
        Arc::new(Progress {
            life,
            address,
            listener,
            stage: AtomicU32::new(stage as u32),
            write: AtomicU32::new(0),
            calls: AtomicU32::new(0),
            in_flight: AtomicU32::new(0),
            body: AtomicBool::new(false),
            ahead: AtomicBool::new(false),
            finish: AtomicBool::new(false),
            waker: AtomicWaker::new(),
        })
    }

    /// The other end.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Index of the listener it came through.
    pub fn listener(&self) -> usize {
        self.listener
    }

    /// Where the process is in its life.
    pub fn phase(&self) -> Phase {
        self.life.phase()
    }

    /// Requests whose answer has not gone out whole.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Acquire)
    }

    /// Requests so far (wraps).
    pub fn calls(&self) -> u32 {
        self.calls.load(Relaxed)
    }

    /// What it waits for.
    pub fn stage(&self) -> Stage {
        Stage::of(self.stage.load(Relaxed))
    }

    /// A number that differs whenever [`Progress::stage`] was entered anew.
    pub(super) fn stage_word(&self) -> u32 {
        self.stage.load(Relaxed)
    }

    /// Enters `stage`, and with it a new deadline.
    pub(super) fn enter(&self, stage: Stage) {
        let visits = (self.stage.load(Relaxed) & !7).wrapping_add(8);
        self.stage.store(visits | stage as u32, Relaxed);
    }

    /// Odd while writes are stuck; differs after each bit of progress.
    pub(super) fn write_word(&self) -> u32 {
        self.write.load(Relaxed)
    }

    /// The other side took bytes.
    #[inline]
    pub(super) fn note_written(&self) {
        let word = self.write.load(Relaxed);
        if word & 1 == 1 {
            self.write.store(word.wrapping_add(1), Relaxed);
        }
    }

    /// The other side does not take bytes now.
    pub(super) fn note_stuck(&self) {
        let word = self.write.load(Relaxed);
        if word & 1 == 0 {
            self.write.store(word.wrapping_add(1), Relaxed);
        }
    }

    /// Bytes came in.
    #[inline]
    pub(super) fn note_read(&self) {
        match self.stage() {
            Stage::FirstByte | Stage::Idle => self.enter(Stage::Head),
            // Without a body these can only belong to the next request.
            Stage::Busy | Stage::Answered if !self.body.load(Relaxed) => self.ahead.store(true, Relaxed),
            Stage::Busy
            | Stage::Answered
            | Stage::Handshake
            | Stage::Head
            | Stage::Streams
            | Stage::Closing => {}
        }
    }

    /// Everything written so far went out.
    #[inline]
    pub(super) fn note_flushed(&self) {
        self.note_written();
        if self.stage() == Stage::Answered {
            let begun = self.ahead.load(Relaxed);
            self.enter(if begun { Stage::Head } else { Stage::Idle });
        }
    }

    /// A request was read and goes to the handler; it lasts until the guard is dropped with the answer's last byte.
    pub(super) fn begin(self: &Arc<Progress>, body: bool) -> InFlight {
        self.calls.fetch_add(1, Relaxed);
        self.in_flight.fetch_add(1, AcqRel);
        if self.stage() != Stage::Streams {
            self.body.store(body, Relaxed);
            self.ahead.store(false, Relaxed);
            self.enter(Stage::Busy);
        }
        InFlight {
            progress: Arc::clone(self),
        }
    }

    /// More bytes of a request may be on their way though it will not be read to its end.
    pub(super) fn may_be_sending(&self) -> bool {
        match self.stage() {
            Stage::Head => true,
            Stage::Idle | Stage::Busy | Stage::Answered => self.body.load(Relaxed),
            Stage::Handshake | Stage::FirstByte | Stage::Streams | Stage::Closing => false,
        }
    }

    /// Asks this connection to end as soon as nothing is in flight.
    pub(super) fn finish(&self) {
        self.finish.store(true, Relaxed);
    }

    pub(super) fn is_finishing(&self) -> bool {
        self.finish.load(Relaxed)
    }

    /// Lets the driver look around.
    pub(super) fn wake(&self) {
        self.waker.wake();
    }

    pub(super) fn register(&self, waker: &Waker) {
        self.waker.register(waker);
    }
}

/// A request in flight. Dropped when the answer's last byte was handed over, or when nobody waits for it any more.
#[derive(Debug)]
pub(super) struct InFlight {
    progress: Arc<Progress>,
}

impl InFlight {
    /// Where the process is in its life.
    pub(super) fn phase(&self) -> Phase {
        self.progress.phase()
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let before = self.progress.in_flight.fetch_sub(1, AcqRel);
        match self.progress.stage() {
            Stage::Busy => self.progress.enter(Stage::Answered),
            // The streams' tasks are not the driver's: it has an idle deadline to begin.
            Stage::Streams | Stage::Closing if before == 1 => self.progress.wake(),
            Stage::Streams
            | Stage::Closing
            | Stage::Handshake
            | Stage::FirstByte
            | Stage::Idle
            | Stage::Head
            | Stage::Answered => {}
        }
    }
}
