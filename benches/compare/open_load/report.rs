//! What came of a run, and the line that is printed of it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

/// Everything that was seen of the requests that were due after the warm-up.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// From due to answered, in whole microseconds, one for each answer. A request that was still waiting when the run
    /// was given up is in here with its time until then: leaving it out would leave out the slowest.
    pub(crate) latencies: Vec<u32>,
    /// How many answers of each status came.
    pub(crate) statuses: BTreeMap<u16, u64>,
    /// Requests without an answer: lost with their connection, answered by what is no HTTP, or given up.
    pub(crate) errors: u64,
    /// What the first of those met.
    pub(crate) first_error: Option<String>,
    /// The largest delay between due and written.
    pub(crate) latest_start: Duration,
    /// How long requests that count were due.
    pub(crate) window: Duration,
    /// Answers that came in that time, to whichever requests.
    pub(crate) in_window: u64,
}

/// The line that is printed.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// Requests that were answered, whatever the status.
    pub(crate) requests: u64,
    /// How long requests that count were due.
    pub(crate) seconds: f64,
    /// Answers per second in that time. Below the rate that was asked for, the server could not keep up.
    pub(crate) achieved_rate: f64,
    pub(crate) p50_us: u32,
    pub(crate) p90_us: u32,
    pub(crate) p99_us: u32,
    pub(crate) p999_us: u32,
    pub(crate) max_us: u32,
    pub(crate) statuses: BTreeMap<u16, u64>,
    pub(crate) errors: u64,
    /// The largest delay between due and written, in microseconds. Large without large latencies is impossible; large
    /// with them, either every connection was busy or this tool got no CPU.
    pub(crate) latest_start_us: u64,
}

impl Outcome {
    /// The figures; an error if nothing was answered, since there are none then.
    pub(crate) fn report(mut self) -> Result<Report, String> {
        let requests = self.statuses.values().sum();
        if requests == 0 {
            return Err(
                "no request was answered, so there is nothing to report. Does the URL lead to a server \
                        that is ready?"
                    .to_owned(),
            );
        }
        self.latencies.sort_unstable();
        let at = |per_mille| percentile(&self.latencies, per_mille);
        let seconds = self.window.as_secs_f64();
        Ok(Report {
            requests,
            seconds,
            achieved_rate: rounded(per_second(self.in_window, seconds)),
            p50_us: at(500),
            p90_us: at(900),
            p99_us: at(990),
            p999_us: at(999),
            max_us: at(1000),
            statuses: self.statuses,
            errors: self.errors,
            latest_start_us: u64::try_from(self.latest_start.as_micros()).unwrap_or(u64::MAX),
        })
    }
}

impl Report {
    /// One line of JSON.
    pub(crate) fn to_json(&self) -> Result<String, String> {
        serde_json::to_string(self).map_err(|error| format!("the result cannot be written as JSON: {error}"))
    }
}

/// The smallest of these values that at least so many of a thousand do not exceed (nearest rank); 0 of none.
pub(crate) fn percentile(sorted: &[u32], per_mille: usize) -> u32 {
    let rank = sorted.len().saturating_mul(per_mille).div_ceil(1000);
    sorted
        .get(rank.saturating_sub(1))
        .or(sorted.last())
        .copied()
        .unwrap_or(0)
}

fn per_second(count: u64, seconds: f64) -> f64 {
    // Exact: counts stay far below 2^53.
    count as f64 / seconds
}

/// To a tenth.
fn rounded(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}
