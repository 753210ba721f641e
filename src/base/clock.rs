//! Time, as the edges ask for it: one monotonic reading for intervals, one wall reading for token lifetimes.
//!
//! Pure code takes a [`Tick`] or a [`UnixTime`] as an argument; only the edges of a request ask a [`Clock`]. A test
//! turns a manual clock instead of sleeping.

#![expect(
    clippy::disallowed_methods,
    reason = "this is the one place that reads the machine's clocks"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A point on the monotonic scale: nanoseconds since the clock was made. Never goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Tick(pub u64);

impl Tick {
    /// Time from `earlier` to `self`; zero if `earlier` is later.
    pub fn since(self, earlier: Tick) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// This tick, `span` later (saturating).
    pub fn plus(self, span: Duration) -> Tick {
        Tick(
            self.0
                .saturating_add(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)),
        )
    }
}

/// Seconds since 1970-01-01T00:00:00Z, as in a JWT's NumericDate (RFC 7519 section 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct UnixTime(pub i64);

impl UnixTime {
    /// This time, `span` later in whole seconds (saturating).
    pub fn plus(self, span: Duration) -> UnixTime {
        UnixTime(
            self.0
                .saturating_add(i64::try_from(span.as_secs()).unwrap_or(i64::MAX)),
        )
    }

    /// In UTC, as RFC 3339 section 5.6 writes it: `2023-11-14T22:13:20Z`. Years 1 to 9999; beyond them the nearest.
    pub fn rfc3339(self) -> String {
        const FIRST: i64 = -62_135_596_800;
        const LAST: i64 = 253_402_207_200;
        jiff::Timestamp::from_second(self.0.clamp(FIRST, LAST))
            .map_or_else(|_| String::new(), |time| time.to_string())
    }

    /// Time from `earlier` to `self`; zero if `earlier` is later, as it is after the wall clock was set back.
    pub fn since(self, earlier: UnixTime) -> Duration {
        Duration::from_secs(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// Where time comes from. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    System { origin: Instant },
    Manual(Arc<Manual>),
}

#[derive(Debug)]
struct Manual {
    nanos: AtomicU64,
    unix: AtomicI64,
}

impl Clock {
    /// The machine's clocks; the monotonic scale starts now.
    pub fn system() -> Clock {
        Clock(Source::System {
            origin: Instant::now(),
        })
    }

    /// A clock that stands still until [`Clock::advance`] moves it.
    pub fn manual(unix: UnixTime) -> Clock {
        Clock(Source::Manual(Arc::new(Manual {
            nanos: AtomicU64::new(1),
            unix: AtomicI64::new(unix.0),
        })))
    }

    /// The monotonic reading.
    pub fn tick(&self) -> Tick {
        match &self.0 {
            Source::System { origin } => Tick(u64::try_from(origin.elapsed().as_nanos()).unwrap_or(u64::MAX)),
            Source::Manual(manual) => Tick(manual.nanos.load(Ordering::Acquire)),
        }
    }

    /// The wall reading, whole seconds.
    pub fn unix(&self) -> UnixTime {
        match &self.0 {
            Source::System { .. } => UnixTime(
                SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX)),
            ),
            Source::Manual(manual) => UnixTime(manual.unix.load(Ordering::Acquire)),
        }
    }

    /// The wall reading in milliseconds since 1970, for log lines.
    pub fn unix_millis(&self) -> i64 {
        match &self.0 {
            Source::System { .. } => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX)),
            Source::Manual(manual) => manual.unix.load(Ordering::Acquire).saturating_mul(1_000),
        }
    }

    /// Moves a manual clock forward on both scales (wall time by whole seconds). No effect on the system clock.
    pub fn advance(&self, span: Duration) {
        if let Source::Manual(manual) = &self.0 {
            let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
            manual.nanos.fetch_add(nanos, Ordering::AcqRel);
            manual.unix.fetch_add(
                i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
                Ordering::AcqRel,
            );
        }
    }

    /// Sets a manual clock's wall reading, to test what a stepped wall clock does. No effect on the system clock.
    pub fn set_unix(&self, unix: UnixTime) {
        if let Source::Manual(manual) = &self.0 {
            manual.unix.store(unix.0, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_in_utc() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (1_700_000_000, "2023-11-14T22:13:20Z"),
            (i64::MIN, "0001-01-01T00:00:00Z"),
            (i64::MAX, "9999-12-30T22:00:00Z"),
        ] {
            assert_eq!(UnixTime(seconds).rfc3339(), text);
        }
    }
}
