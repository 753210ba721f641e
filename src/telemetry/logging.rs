//! The program log: what the gateway says about itself, on standard error.
//!
//! Written by a thread of its own through a bounded queue, since standard error may be a pipe that nobody reads, and a
//! worker must not wait for it.

use std::io;
use std::sync::Mutex;

use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Registry, fmt, reload};

use super::metrics::Metrics;

/// Lines that may wait; more are lost. The crate's own default would let 128,000 lines pile up in memory.
const QUEUE: usize = 4_096;

/// How the program log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Why the program log could not be set up or changed.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// The filter is not one.
    #[error(
        "`{filter}` is not a log filter (write for example `info` or `info,tollgate::upstream=debug`): {reason}"
    )]
    Filter {
        /// As it was given.
        filter: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The process has a program log already.
    #[error("the program log is set up already")]
    Twice,
}

/// The program log. Keep it until the very end of `main`: dropping it writes what still waits.
pub struct Logging {
    filter: reload::Handle<EnvFilter, Registry>,
    current: Mutex<String>,
    dropped: ErrorCounter,
    _writer: WorkerGuard,
}

/// Checks a filter such as `info` or `info,tollgate::upstream=debug`.
///
/// # Errors
/// [`LoggingError::Filter`].
pub fn filter(text: &str) -> Result<EnvFilter, LoggingError> {
    EnvFilter::builder()
        .parse(text)
        .map_err(|error| LoggingError::Filter {
            filter: text.to_owned(),
            reason: error.to_string(),
        })
}

/// Sets up the program log of the process.
///
/// # Errors
/// The filter is not one, or there is a program log already.
pub fn init(level: &str, format: Format) -> Result<Logging, LoggingError> {
    let (writer, guard) = NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(QUEUE)
        .thread_name("program-log")
        .finish(io::stderr());
    let dropped = writer.error_counter();
    let (filter, handle) = reload::Layer::new(filter(level)?);
    let registry = tracing_subscriber::registry().with(filter);
    match format {
        Format::Text => registry.with(text(writer)).try_init(),
        Format::Json => registry
            .with(fmt::layer().json().flatten_event(true).with_writer(writer))
            .try_init(),
    }
    .map_err(|_| LoggingError::Twice)?;
    Ok(Logging {
        filter: handle,
        current: Mutex::new(level.to_owned()),
        dropped,
        _writer: guard,
    })
}

fn text<S>(
    writer: NonBlocking,
) -> fmt::Layer<S, fmt::format::DefaultFields, fmt::format::Format, NonBlocking> {
    use io::IsTerminal as _;
    fmt::layer()
        .with_writer(writer)
        .with_ansi(io::stderr().is_terminal())
}

impl Logging {
    /// Lets `metrics` show how many lines were lost.
    pub fn count_in(&self, metrics: &Metrics) {
        let dropped = self.dropped.clone();
        metrics.program_log(move || dropped.dropped_lines() as u64);
    }

    /// Changes what is logged, from now on. The same filter as before changes nothing and says nothing.
    ///
    /// # Errors
    /// [`LoggingError::Filter`]; the old one stays.
    pub fn set_level(&self, level: &str) -> Result<(), LoggingError> {
        let new = filter(level)?;
        let mut current = self
            .current
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if *current == level {
            return Ok(());
        }
        self.filter.reload(new).map_err(|error| LoggingError::Filter {
            filter: level.to_owned(),
            reason: error.to_string(),
        })?;
        tracing::info!(from = %current, to = level, "log filter changed");
        level.clone_into(&mut current);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_is_none_is_refused_with_an_example() {
        for text in [
            "info",
            "debug",
            "info,tollgate::upstream=debug",
            "off",
            "tollgate=trace",
        ] {
            assert!(filter(text).is_ok(), "{text}");
        }
        for text in ["tollgate=loud", "=,=", "info,tollgate::a=b=c"] {
            let error = filter(text).unwrap_err().to_string();
            assert!(error.contains(text) && error.contains("for example"), "{error}");
        }
    }

    #[test]
    fn the_level_changes_while_the_program_runs_and_a_bad_one_changes_nothing() {
        let logging = init("warn", Format::Text).unwrap();
        assert!(!tracing::enabled!(tracing::Level::DEBUG));
        logging.set_level("debug").unwrap();
        assert!(tracing::enabled!(tracing::Level::DEBUG));
        assert!(logging.set_level("tollgate=loud").is_err());
        assert!(tracing::enabled!(tracing::Level::DEBUG));
        assert!(matches!(init("info", Format::Json), Err(LoggingError::Twice)));
        logging.set_level("off").unwrap();
    }
}
