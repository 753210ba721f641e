//! A token bucket does what the manual says of one: ARUBA-06, 7 calls per second per customer.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use proptest::prelude::*;
use tollgate::base::clock::{Clock, Tick, UnixTime};
use tollgate::base::units::Quota;
use tollgate::limits::bucket::{Bucket, Spend};
use tollgate::limits::table::Table;

const ONE: NonZeroU32 = NonZeroU32::MIN;
const SECOND: u64 = 1_000_000_000;

fn n(count: u32) -> NonZeroU32 {
    NonZeroU32::new(count).unwrap()
}

fn quota(tokens: u32, per: Duration, burst: u32) -> Quota {
    Quota {
        tokens: n(tokens),
        per,
        burst: n(burst),
    }
}

fn seven() -> Bucket {
    Bucket::new(quota(7, Duration::from_secs(1), 7))
}

fn passes(spend: Spend) -> bool {
    matches!(spend, Spend::Ok { .. })
}

#[test]
fn aruba_06_seven_pass_at_once_and_the_eighth_waits_for_a_seventh_of_a_second() {
    let (bucket, word, now) = (seven(), AtomicU64::new(0), Tick(5 * SECOND));
    for left in (0..7).rev() {
        assert_eq!(bucket.spend(&word, ONE, now), Spend::Ok { remaining: left });
    }
    let Spend::Wait(wait) = bucket.spend(&word, ONE, now) else {
        panic!("the eighth call passed");
    };
    assert_eq!(wait, Duration::from_nanos(SECOND / 7));
    assert!(!passes(bucket.spend(
        &word,
        ONE,
        now.plus(wait - Duration::from_nanos(1))
    )));
    assert!(passes(bucket.spend(&word, ONE, now.plus(wait))));
}

#[test]
fn aruba_06_a_client_that_calls_seven_times_in_every_second_is_never_refused() {
    let (bucket, word) = (seven(), AtomicU64::new(0));
    for second in 1..3_000 {
        for _ in 0..7 {
            assert!(
                passes(bucket.spend(&word, ONE, Tick(second * SECOND))),
                "second {second}"
            );
        }
    }
}

/// The sentence of the manual: burst 7 lets up to 14 calls into one second, once.
#[test]
fn aruba_06_a_full_bucket_lets_fourteen_calls_into_one_second_once() {
    let (bucket, word) = (seven(), AtomicU64::new(0));
    let accepted = |from: u64| {
        (0..=1_000)
            .filter(|milli| passes(bucket.spend(&word, ONE, Tick(from + milli * 1_000_000))))
            .count()
    };
    assert_eq!(accepted(10 * SECOND), 14);
    assert!(accepted(11 * SECOND + 1_000_000) <= 8);
}

#[test]
fn a_batch_is_spent_whole_or_not_at_all_and_one_above_the_burst_is_never() {
    let (bucket, word, now) = (seven(), AtomicU64::new(0), Tick(SECOND));
    assert_eq!(bucket.spend(&word, n(5), now), Spend::Ok { remaining: 2 });
    assert!(matches!(bucket.spend(&word, n(3), now), Spend::Wait(_)));
    assert_eq!(bucket.peek(&word, now).remaining, 2);
    assert_eq!(bucket.spend(&word, n(8), now), Spend::Never);
    assert_eq!(bucket.spend(&word, n(u32::MAX), now), Spend::Never);
    assert_eq!(bucket.spend(&word, n(2), now), Spend::Ok { remaining: 0 });
}

#[test]
fn no_quota_overflows() {
    let day = Duration::from_secs(86_400);
    for (tokens, per, burst) in [
        (1, day, u32::MAX),
        (1, Duration::MAX, u32::MAX),
        (u32::MAX, Duration::from_nanos(1), u32::MAX),
        (u32::MAX, Duration::MAX, 1),
    ] {
        let bucket = Bucket::new(quota(tokens, per, burst));
        let word = AtomicU64::new(0);
        for now in [Tick(0), Tick(1), Tick(u64::MAX / 2), Tick(u64::MAX)] {
            assert!(bucket.burst() >= 1);
            let _ = bucket.spend(&word, n(bucket.burst()), now);
            let _ = bucket.peek(&word, now);
            bucket.refund(&word, n(u32::MAX));
        }
    }
}

#[test]
fn what_is_given_back_leaves_the_bucket_as_if_it_had_not_been_spent() {
    let (bucket, word) = (seven(), AtomicU64::new(0));
    let now = Tick(9 * SECOND);
    assert!(passes(bucket.spend(&word, n(4), now)));
    let before = word.load(Ordering::Relaxed);
    assert!(passes(bucket.spend(&word, n(2), now)));
    bucket.refund(&word, n(2));
    assert_eq!(word.load(Ordering::Relaxed), before);
    // From full and back: full, and not more.
    bucket.refund(&word, n(4));
    assert_eq!(bucket.peek(&word, now).remaining, 7);
    bucket.refund(&word, n(4));
    assert_eq!(bucket.peek(&word, now).remaining, 7);
    assert!(passes(bucket.spend(&word, n(7), now)));
    assert!(!passes(bucket.spend(&word, ONE, now)));
}

#[test]
fn looking_does_not_spend_and_agrees_with_spending() {
    let (bucket, word) = (seven(), AtomicU64::new(0));
    let now = Tick(SECOND);
    assert_eq!(bucket.peek(&word, now).next_token, Duration::ZERO);
    for left in (0..7).rev() {
        assert_eq!(bucket.spend(&word, ONE, now), Spend::Ok { remaining: left });
        assert_eq!(bucket.peek(&word, now).remaining, left);
    }
    let level = bucket.peek(&word, now);
    assert_eq!(Spend::Wait(level.next_token), bucket.spend(&word, ONE, now));
    assert_eq!(level.full, bucket.span());
    assert_eq!(bucket.peek(&word, now.plus(level.full)).remaining, 7);
}

#[test]
fn stepping_the_wall_clock_changes_nothing() {
    let clock = Clock::manual(UnixTime(1_700_000_000));
    let (bucket, word) = (seven(), AtomicU64::new(0));
    assert!(passes(bucket.spend(&word, n(7), clock.tick())));
    for step in [3_600, -7_200, 1_000_000, -1_700_000_000] {
        clock.set_unix(UnixTime(1_700_000_000 + step));
        assert!(!passes(bucket.spend(&word, ONE, clock.tick())));
    }
    clock.advance(Duration::from_millis(143));
    assert!(passes(bucket.spend(&word, ONE, clock.tick())));
    assert!(!passes(bucket.spend(&word, ONE, clock.tick())));
}

#[test]
fn of_a_hundred_calls_at_once_through_eight_threads_exactly_the_burst_passes() {
    let table = Table::new(1024);
    let bucket = seven();
    let generation = table.renew();
    for round in 0..200u64 {
        let now = Tick(round * 10 * SECOND + 1);
        let accepted = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let (table, accepted) = (&table, &accepted);
                scope.spawn(move || {
                    for _ in 0..if thread < 4 { 13 } else { 12 } {
                        let mut key = table.key();
                        key.add(b'c', b"customer");
                        let cell = table.acquire(key.finish(), &bucket, generation, now).unwrap();
                        if passes(bucket.spend(cell.word(), ONE, now)) {
                            accepted.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        assert_eq!(accepted.into_inner(), 7, "round {round}");
    }
}

#[test]
fn tokens_given_back_by_many_threads_are_all_there() {
    let bucket = Bucket::new(quota(1, Duration::from_secs(3_600), 64));
    let (word, now) = (AtomicU64::new(0), Tick(SECOND));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..10_000 {
                    assert!(passes(bucket.spend(&word, n(8), now)));
                    bucket.refund(&word, n(8));
                }
            });
        }
    });
    assert_eq!(bucket.peek(&word, now).remaining, 64);
}

/// A bucket with exact contents, into which time pours.
struct Model {
    /// In nanoseconds of pouring.
    level: u128,
    token: u128,
    burst: u128,
    at: u64,
}

impl Model {
    fn new(quota: Quota) -> Model {
        let token = quota.per.as_nanos() / u128::from(quota.tokens.get());
        let burst = u128::from(quota.burst.get());
        Model {
            level: burst * token,
            token,
            burst,
            at: 0,
        }
    }

    fn spend(&mut self, count: u32, now: u64) -> bool {
        self.level = (self.level + u128::from(now - self.at)).min(self.burst * self.token);
        self.at = now;
        let cost = u128::from(count) * self.token;
        let there = cost <= self.level;
        if there {
            self.level -= cost;
        }
        there
    }
}

fn quotas() -> impl Strategy<Value = Quota> {
    (
        1u32..2_000,
        prop::sample::select(vec![1u64, 60, 3_600, 86_400]),
        1u32..500,
    )
        .prop_map(|(tokens, seconds, burst)| quota(tokens, Duration::from_secs(seconds), burst))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_answer_is_the_models_answer(
        quota in quotas(),
        start in 0u64..1 << 50,
        calls in prop::collection::vec((0u64..3_000_000_000, 1u32..8, any::<bool>()), 1..200),
    ) {
        let (bucket, word, mut model) = (Bucket::new(quota), AtomicU64::new(0), Model::new(quota));
        let mut now = start;
        for (gap, count, give_back) in calls {
            now += gap;
            let ours = bucket.spend(&word, n(count), Tick(now));
            prop_assert_eq!(passes(ours), model.spend(count, now));
            match ours {
                Spend::Ok { remaining } => {
                    prop_assert_eq!(u128::from(remaining), model.level / model.token);
                    if give_back {
                        bucket.refund(&word, n(count));
                        model.level += u128::from(count) * model.token;
                    }
                }
                Spend::Wait(wait) => {
                    let missing = u128::from(count) * model.token - model.level;
                    prop_assert_eq!(wait.as_nanos(), missing);
                }
                Spend::Never => prop_assert!(count > quota.burst.get()),
            }
            let level = bucket.peek(&word, Tick(now));
            prop_assert_eq!(u128::from(level.remaining), model.level / model.token);
        }
    }

    #[test]
    fn accepted_in_any_time_is_never_above_rate_and_burst_and_under_saturation_never_far_below(
        quota in quotas(),
        gap in 1u64..20_000_000,
        calls in 1_000u64..5_000,
    ) {
        let (bucket, word) = (Bucket::new(quota), AtomicU64::new(0));
        let rate = f64::from(quota.tokens.get()) / quota.per.as_secs_f64();
        let accepted = (0..calls)
            .filter(|call| passes(bucket.spend(&word, ONE, Tick(SECOND + call * gap))))
            .count() as f64;
        let time = ((calls - 1) * gap) as f64 / 1e9;
        // A token's time is cut to whole nanoseconds.
        prop_assert!(accepted <= rate * time * 1.000_002 + f64::from(quota.burst.get()));
        // Whoever waits for the first call after a token is there gets at least this many.
        prop_assert!(accepted >= due_at_calls(quota, gap, calls), "{} at calls {} ns apart", accepted, gap);
        // A bucket of one forgets what came between that moment and the call; a larger one keeps it.
        if quota.burst.get() > 1 {
            let due = (rate * time).min(calls as f64);
            prop_assert!(accepted >= (0.95 * due).floor(), "{} of {}", accepted, due);
        }
    }
}

/// How many of `calls`, `gap` nanoseconds apart, pass a bucket of one token that begins full: the first, and then each time
/// the first call at which a whole token has come.
fn due_at_calls(quota: Quota, gap: u64, calls: u64) -> f64 {
    let token = quota.per.as_nanos() as u64 / u64::from(quota.tokens.get());
    let between = token.div_ceil(gap).max(1) * gap;
    ((calls - 1) * gap / between + 1) as f64
}

#[test]
fn a_bucket_of_one_passes_the_first_call_after_each_token_and_no_other() {
    // Found by the property above: 120 a second with calls 0.554 ms apart is one pass in every 16 calls, 113 a second.
    let (quota, gap, calls) = (quota(120, Duration::from_secs(1), 1), 553_591, 1_935);
    let (bucket, word) = (Bucket::new(quota), AtomicU64::new(0));
    let passed: Vec<u64> = (0..calls)
        .filter(|call| passes(bucket.spend(&word, ONE, Tick(SECOND + call * gap))))
        .collect();
    assert_eq!(passed.len() as f64, due_at_calls(quota, gap, calls));
    assert!(passed.windows(2).all(|pair| pair[1] - pair[0] == 16));
}
