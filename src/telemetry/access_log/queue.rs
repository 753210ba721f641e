//! The way of lines from the workers to the writer: bounded, and a worker never waits for a disk or a pipe.
//!
//! Lines are copied into one buffer; the writer takes the whole buffer. It gathers for a moment first, so that under
//! load there is one wake-up for many lines, and none at all while nothing happens.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::telemetry::metrics::Counter;

/// For so long the writer gathers lines after the first one, unless somebody waits for it or the buffer fills up.
const GATHER: Duration = Duration::from_millis(50);
/// With so many bytes waiting the writer starts at once.
const PLENTY: usize = 256 << 10;
/// Bytes that may wait for each line that may wait. Longer lines on average count as more than one.
const BYTES_PER_LINE: usize = 1 << 10;
/// A buffer that grew beyond this in a burst is given back after it.
const KEEP: usize = 1 << 20;

/// Where lines go.
pub(super) enum Output {
    /// Standard output.
    Stdout(io::Stdout),
    /// A file, opened to append.
    File { path: PathBuf, file: std::fs::File },
    /// Anything else.
    Other(Box<dyn Write + Send>),
}

impl Output {
    /// Opens a file to append, making it if it is missing, readable by owner and group only.
    pub(super) fn file(path: &Path) -> io::Result<Output> {
        use std::os::unix::fs::OpenOptionsExt as _;
        let file = std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o640)
            .open(path)?;
        Ok(Output::File {
            path: path.to_owned(),
            file,
        })
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Output::Stdout(stdout) => {
                let mut stdout = stdout.lock();
                stdout.write_all(bytes)?;
                stdout.flush()
            }
            Output::File { file, .. } => file.write_all(bytes),
            Output::Other(writer) => {
                writer.write_all(bytes)?;
                writer.flush()
            }
        }
    }

    /// Opens the file again, as after a rotation. If that fails the old one goes on being written.
    fn reopen(&mut self) {
        if let Output::File { path, .. } = self {
            match Output::file(path) {
                Ok(new) => *self = new,
                Err(error) => tracing::error!(
                    file = %path.display(), %error,
                    "the access log could not be opened again; lines go on to the old file"
                ),
            }
        }
    }
}

/// What the workers and the writer share.
pub(super) struct Queue {
    pending: Mutex<Pending>,
    /// The writer waits here.
    work: Condvar,
    /// Who wants everything written waits here.
    done: Condvar,
    most_lines: usize,
    most_bytes: usize,
    dropped: Arc<Counter>,
}

#[derive(Default)]
struct Pending {
    bytes: Vec<u8>,
    lines: usize,
    /// Write now, without gathering.
    urgent: bool,
    /// The writer is between taking a buffer and having written it.
    writing: bool,
    reopen: bool,
    closed: bool,
}

impl Queue {
    /// A queue of so many lines. What comes on top is counted in `dropped`.
    pub(super) fn new(most_lines: usize, dropped: Arc<Counter>) -> Queue {
        Queue {
            pending: Mutex::default(),
            work: Condvar::new(),
            done: Condvar::new(),
            most_lines: most_lines.max(1),
            most_bytes: most_lines.max(64).saturating_mul(BYTES_PER_LINE),
            dropped,
        }
    }

    /// Puts a line in, or drops and counts it. Waits for nothing but another worker's copy.
    pub(super) fn push(&self, line: &[u8]) {
        let mut pending = self.lock();
        if pending.lines >= self.most_lines
            || pending.bytes.len().saturating_add(line.len()) > self.most_bytes
            || pending.closed
        {
            drop(pending);
            self.dropped.inc();
            return;
        }
        let first = pending.lines == 0;
        pending.bytes.extend_from_slice(line);
        pending.lines += 1;
        let plenty = pending.bytes.len() >= PLENTY && !pending.urgent;
        pending.urgent |= plenty;
        drop(pending);
        if first || plenty {
            self.work.notify_one();
        }
    }

    /// Asks the writer to open its file again.
    pub(super) fn reopen(&self) {
        let mut pending = self.lock();
        pending.reopen = true;
        pending.urgent = true;
        drop(pending);
        self.work.notify_one();
    }

    /// No more lines; the writer writes what is there and ends.
    pub(super) fn close(&self) {
        let mut pending = self.lock();
        pending.closed = true;
        pending.urgent = true;
        drop(pending);
        self.work.notify_one();
    }

    /// Waits until all lines are written, `longest` at most. False if some are not: what they go to is stuck.
    pub(super) fn flush(&self, longest: Duration) -> bool {
        let mut pending = self.lock();
        pending.urgent = true;
        self.work.notify_one();
        let until = Instant::now() + longest;
        while pending.lines > 0 || pending.writing || pending.reopen {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            pending = self
                .done
                .wait_timeout(pending, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        true
    }

    /// The writer's life: until the queue is closed and empty.
    pub(super) fn write_to(&self, mut output: Output) {
        let mut taken = Vec::new();
        let mut failing = false;
        loop {
            let mut pending = self.lock();
            while pending.lines == 0 && !pending.reopen && !pending.closed {
                pending.urgent = false;
                pending = self.work.wait(pending).unwrap_or_else(PoisonError::into_inner);
            }
            let until = Instant::now() + GATHER;
            while !pending.urgent {
                let left = until.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    break;
                }
                pending = self
                    .work
                    .wait_timeout(pending, left)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0;
            }
            std::mem::swap(&mut pending.bytes, &mut taken);
            let lines = std::mem::take(&mut pending.lines);
            let reopen = std::mem::take(&mut pending.reopen);
            let closed = pending.closed;
            pending.urgent = false;
            pending.writing = true;
            drop(pending);

            // Lines from before the rotation still belong to the old file.
            let written = if lines > 0 { output.write(&taken) } else { Ok(()) };
            if let Err(error) = &written {
                self.dropped.add(lines as u64);
                if !failing {
                    tracing::error!(%error, "the access log could not be written; lines are lost until it can");
                }
            }
            failing = written.is_err();
            if reopen {
                output.reopen();
            }
            taken.clear();
            if taken.capacity() > KEEP {
                taken = Vec::new();
            }

            self.lock().writing = false;
            self.done.notify_all();
            if closed {
                return;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Pending> {
        // A panic while it is held would leave at worst a cut line.
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
