//! What a metric counts in: cells that several workers write without waiting for one another.
//!
//! The counters of the `prometheus` crate are one atomic each; two workers that count the same route then hand one
//! cache line back and forth on every request. Here each thread adds to a stripe of its own and a scrape, which is rare,
//! sums the stripes. Registry, process figures and the text form stay with the crate.

use std::cell::Cell as ThreadCell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use prometheus::proto;

/// What kind of metric a row of the table is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only goes up; starts again at 0 with the process.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts observations by upper bound.
    Histogram,
}

impl Kind {
    /// The word of the text exposition format.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }
}

/// A cell that a family holds one of for each combination of label values.
pub(super) trait Cell: Default + Send + Sync + 'static {
    /// What kind of metric it is.
    const KIND: Kind;
    /// Puts the present value into `metric`.
    fn sample(&self, metric: &mut proto::Metric);
}

/// Upper bounds of the buckets in seconds: those that OpenTelemetry's semantic conventions give for
/// `http.server.request.duration`, so that other people's dashboards fit.
pub const BOUNDS_SECONDS: [f64; 14] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];

/// The same bounds in nanoseconds: whole numbers compare faster, and exactly.
const BOUNDS_NANOS: [u64; 14] = [
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    75_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    750_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    7_500_000_000,
    10_000_000_000,
];

/// So many stripes at most; a machine with more cores shares some.
const MOST_STRIPES: usize = 16;

thread_local! {
    /// Which stripe this thread writes; not yet known at first.
    static STRIPE: ThreadCell<usize> = const { ThreadCell::new(usize::MAX) };
}

/// How many stripes a cell has: a power of two, twice the cores, since a process has more threads than workers.
fn stripes() -> usize {
    static COUNT: OnceLock<usize> = OnceLock::new();
    *COUNT.get_or_init(|| {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
        (2 * cores).next_power_of_two().min(MOST_STRIPES)
    })
}

/// This thread's number, given at its first count.
fn stripe() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    STRIPE.with(|own| {
        let known = own.get();
        if known != usize::MAX {
            return known;
        }
        let new = NEXT.fetch_add(1, Ordering::Relaxed);
        own.set(new);
        new
    })
}

/// One part of a cell, alone on its cache lines (two, as adjacent-line prefetch pairs them).
#[derive(Default)]
#[repr(align(128))]
struct Apart<T>(T);

/// Parts that are written by one thread each and read together.
struct Striped<T>(Box<[Apart<T>]>);

impl<T: Default> Default for Striped<T> {
    fn default() -> Striped<T> {
        Striped((0..stripes()).map(|_| Apart::default()).collect())
    }
}

impl<T> Striped<T> {
    /// This thread's part. The length is a power of two, so the mask always finds one.
    fn own(&self) -> Option<&T> {
        let mask = self.0.len().wrapping_sub(1);
        self.0.get(stripe() & mask).map(|apart| &apart.0)
    }

    fn all(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|apart| &apart.0)
    }
}

/// A number that only grows.
#[derive(Default)]
pub struct Counter(Striped<AtomicU64>);

impl Counter {
    /// One more.
    pub fn inc(&self) {
        self.add(1);
    }

    /// `more` more.
    pub fn add(&self, more: u64) {
        if let Some(own) = self.0.own() {
            own.fetch_add(more, Ordering::Relaxed);
        }
    }

    /// The sum over all threads.
    pub fn value(&self) -> u64 {
        self.0
            .all()
            .fold(0, |sum, part| sum.wrapping_add(part.load(Ordering::Relaxed)))
    }
}

impl Cell for Counter {
    const KIND: Kind = Kind::Counter;

    fn sample(&self, metric: &mut proto::Metric) {
        let mut counter = proto::Counter::default();
        counter.set_value(self.value() as f64);
        metric.set_counter(counter);
    }
}

/// A number of things that are there now, counted in and out by any thread.
#[derive(Default)]
pub struct Level(Striped<AtomicI64>);

impl Level {
    /// One came.
    pub fn inc(&self) {
        self.add(1);
    }

    /// One went. It may have come on another thread.
    pub fn dec(&self) {
        self.add(-1);
    }

    fn add(&self, more: i64) {
        if let Some(own) = self.0.own() {
            own.fetch_add(more, Ordering::Relaxed);
        }
    }

    /// How many are there.
    pub fn value(&self) -> i64 {
        self.0
            .all()
            .fold(0, |sum, part| sum.wrapping_add(part.load(Ordering::Relaxed)))
    }
}

impl Cell for Level {
    const KIND: Kind = Kind::Gauge;

    fn sample(&self, metric: &mut proto::Metric) {
        let mut gauge = proto::Gauge::default();
        gauge.set_value(self.value() as f64);
        metric.set_gauge(gauge);
    }
}

/// A value that is set now and then: a time stamp, a generation, yes or no.
#[derive(Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// Sets it.
    pub fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }

    /// Its value; 0 before the first [`Gauge::set`].
    pub fn value(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }
}

impl Cell for Gauge {
    const KIND: Kind = Kind::Gauge;

    fn sample(&self, metric: &mut proto::Metric) {
        let mut gauge = proto::Gauge::default();
        gauge.set_value(self.value());
        metric.set_gauge(gauge);
    }
}

/// A number that only grows and that something else counts; it is asked for at the scrape.
#[derive(Default)]
pub(super) struct Counted(AtomicU64);

impl Counted {
    pub(super) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }
}

impl Cell for Counted {
    const KIND: Kind = Kind::Counter;

    fn sample(&self, metric: &mut proto::Metric) {
        let mut counter = proto::Counter::default();
        counter.set_value(self.0.load(Ordering::Relaxed) as f64);
        metric.set_counter(counter);
    }
}

/// How long things took, by [`BOUNDS_SECONDS`].
#[derive(Default)]
pub struct Histogram(Striped<Buckets>);

#[derive(Default)]
struct Buckets {
    /// One for each bound.
    counts: [AtomicU64; BOUNDS_NANOS.len()],
    /// What took longer than the last bound.
    longer: AtomicU64,
    /// All spans together; wraps after 584 years.
    sum_nanos: AtomicU64,
}

impl Histogram {
    /// Counts one thing that took `span`.
    pub fn observe(&self, span: Duration) {
        let Some(own) = self.0.own() else { return };
        let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        // From the front, as nearly everything a gateway does is in the first bucket.
        let bucket = BOUNDS_NANOS
            .iter()
            .position(|bound| nanos <= *bound)
            .and_then(|index| own.counts.get(index))
            .unwrap_or(&own.longer);
        bucket.fetch_add(1, Ordering::Relaxed);
        own.sum_nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        let (counts, longer, _) = self.read();
        counts.iter().sum::<u64>() + longer
    }

    fn read(&self) -> ([u64; BOUNDS_NANOS.len()], u64, u64) {
        let mut counts = [0; BOUNDS_NANOS.len()];
        let (mut longer, mut sum) = (0u64, 0u64);
        for part in self.0.all() {
            for (total, count) in counts.iter_mut().zip(&part.counts) {
                *total += count.load(Ordering::Relaxed);
            }
            longer += part.longer.load(Ordering::Relaxed);
            sum = sum.wrapping_add(part.sum_nanos.load(Ordering::Relaxed));
        }
        (counts, longer, sum)
    }
}

impl Cell for Histogram {
    const KIND: Kind = Kind::Histogram;

    fn sample(&self, metric: &mut proto::Metric) {
        let (counts, longer, sum) = self.read();
        let mut cumulative = 0;
        let buckets = BOUNDS_SECONDS
            .iter()
            .zip(counts)
            .map(|(bound, count)| {
                cumulative += count;
                let mut bucket = proto::Bucket::default();
                bucket.set_upper_bound(*bound);
                bucket.set_cumulative_count(cumulative);
                bucket
            })
            .collect();
        let mut histogram = proto::Histogram::default();
        histogram.set_bucket(buckets);
        // The count is what the buckets hold, never a number of its own: so a scrape between two adds is consistent.
        histogram.set_sample_count(cumulative + longer);
        histogram.set_sample_sum(Duration::from_nanos(sum).as_secs_f64());
        metric.set_histogram(histogram);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_several_threads_count_is_summed_at_the_scrape() {
        let counter = Counter::default();
        let level = Level::default();
        let histogram = Histogram::default();
        std::thread::scope(|scope| {
            for _ in 0..40 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        counter.inc();
                        level.inc();
                        histogram.observe(Duration::from_millis(1));
                    }
                });
            }
        });
        for _ in 0..4_000 {
            level.dec();
        }
        assert_eq!(
            (counter.value(), level.value(), histogram.count()),
            (4_000, 0, 4_000)
        );
    }

    #[test]
    fn the_bounds_in_seconds_and_in_nanoseconds_are_the_same() {
        for (seconds, nanos) in BOUNDS_SECONDS.iter().zip(BOUNDS_NANOS) {
            assert_eq!(Duration::from_secs_f64(*seconds), Duration::from_nanos(nanos));
        }
    }

    #[test]
    fn a_span_equal_to_a_bound_belongs_to_that_bucket_and_a_longer_one_only_to_infinity() {
        let histogram = Histogram::default();
        histogram.observe(Duration::from_millis(5));
        histogram.observe(Duration::from_nanos(5_000_001));
        histogram.observe(Duration::from_secs(11));
        let mut metric = proto::Metric::default();
        histogram.sample(&mut metric);
        let read = metric.get_histogram();
        let cumulative: Vec<u64> = read
            .get_bucket()
            .iter()
            .map(proto::Bucket::cumulative_count)
            .collect();
        assert_eq!(&cumulative[..3], &[1, 2, 2]);
        assert_eq!(cumulative.last(), Some(&2));
        assert_eq!(read.get_sample_count(), 3);
        assert!((read.get_sample_sum() - 11.010_000_001).abs() < 1e-9);
    }
}
