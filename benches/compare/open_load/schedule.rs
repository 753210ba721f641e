//! When each request is due.

use std::time::Duration;

const NANOS: u64 = 1_000_000_000;

/// Arrivals at a constant rate, numbered from 0. Those of the warm-up come first and are not counted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Schedule {
    /// Arrivals per second; not 0.
    rate: u32,
    /// How many arrivals the warm-up has.
    warmup: u64,
    /// How many arrivals there are, the warm-up's among them.
    pub(crate) total: u64,
}

impl Schedule {
    /// `rate` arrivals per second for so long. A rate of 0 counts as 1.
    pub(crate) fn new(rate: u32, warmup: Duration, counted: Duration) -> Self {
        let rate = rate.max(1);
        let warmup = arrivals(rate, warmup);
        Self {
            rate,
            warmup,
            total: warmup.saturating_add(arrivals(rate, counted)),
        }
    }

    /// When the arrival of this number is due, from the start of the warm-up.
    pub(crate) fn due(&self, arrival: u64) -> Duration {
        let rate = u64::from(self.rate);
        // Counted out from the start every time, so that no rounding adds up.
        let rest = Duration::from_nanos((arrival % rate).saturating_mul(NANOS) / rate);
        Duration::from_secs(arrival / rate).saturating_add(rest)
    }

    /// Is this one measured? Those of the warm-up are not.
    pub(crate) fn is_counted(&self, arrival: u64) -> bool {
        arrival >= self.warmup
    }

    /// How many arrivals are measured.
    pub(crate) fn counted(&self) -> u64 {
        self.total.saturating_sub(self.warmup)
    }

    /// From when until when is measured, from the start of the warm-up.
    pub(crate) fn window(&self) -> (Duration, Duration) {
        (self.due(self.warmup), self.due(self.total))
    }
}

/// How many arrivals so long a time has.
fn arrivals(rate: u32, time: Duration) -> u64 {
    let nanos = u128::from(rate).saturating_mul(time.as_nanos());
    u64::try_from(nanos / u128::from(NANOS)).unwrap_or(u64::MAX)
}
