//! The access log as the rest of the program sees it.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use super::line::{Field, Line};
use super::queue::{Output, Queue};
use super::redaction::Redaction;
use crate::config::plan::AccessLogPlan;
use crate::telemetry::metrics::{Counter, Metrics};

/// The access log: one JSON object a line, written by a thread of its own. Cheap to clone; the thread writes what is
/// left and ends when the last clone is gone.
#[derive(Clone)]
pub struct AccessLog(Arc<Open>);

struct Open {
    queue: Arc<Queue>,
    lines: Arc<Counter>,
    query: bool,
    redaction: Redaction,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.queue.close();
    }
}

impl std::fmt::Debug for AccessLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessLog").finish_non_exhaustive()
    }
}

impl AccessLog {
    /// Opens the log of `plan`.
    ///
    /// # Errors
    /// The file cannot be opened to append, or the system gives no thread.
    pub fn open(plan: &AccessLogPlan, metrics: &Metrics) -> io::Result<AccessLog> {
        let output = match &plan.file {
            Some(path) => Output::file(path)
                .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?,
            None => Output::Stdout(io::stdout()),
        };
        AccessLog::start(plan, output, metrics)
    }

    /// A log that goes to `writer` instead of the plan's file: for tests, and for programs that embed the gateway.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn to_writer(
        plan: &AccessLogPlan,
        writer: Box<dyn Write + Send>,
        metrics: &Metrics,
    ) -> io::Result<AccessLog> {
        AccessLog::start(plan, Output::Other(writer), metrics)
    }

    fn start(plan: &AccessLogPlan, output: Output, metrics: &Metrics) -> io::Result<AccessLog> {
        let queue = Arc::new(Queue::new(plan.queue, Arc::clone(&metrics.access_log_dropped)));
        let writer = Arc::clone(&queue);
        std::thread::Builder::new()
            .name("access-log".to_owned())
            .spawn(move || writer.write_to(output))?;
        Ok(AccessLog(Arc::new(Open {
            queue,
            lines: Arc::clone(&metrics.access_log_lines),
            query: plan.query,
            redaction: Redaction::new(&plan.redact),
        })))
    }

    /// Begins a line.
    pub(in crate::telemetry) fn line(&self) -> Line {
        Line::new()
    }

    /// Sets the query, if the configuration wants it, without what must not be seen.
    pub(in crate::telemetry) fn query(&self, line: &mut Line, query: &str) {
        if self.0.query {
            line.text(Field::Query, &self.0.redaction.apply(query));
        }
    }

    /// Hands a line to the writer. Never waits: if too many are waiting it is dropped and counted.
    pub(in crate::telemetry) fn write(&self, line: Line) {
        self.0.lines.inc();
        self.0.queue.push(line.finish().as_bytes());
    }

    /// Opens the file again, after it was moved away by a rotation. Lines from before go to the old file.
    pub fn reopen(&self) {
        self.0.queue.reopen();
    }

    /// Waits until all lines are written, `longest` at most. False if some are not, as with a pipe that nobody reads.
    pub fn flush(&self, longest: Duration) -> bool {
        self.0.queue.flush(longest)
    }
}
