//! What a token costs: spent from a warm bucket, refused by an empty one, looked up first; beside plain
//! arithmetic on a word and governor as it comes, with a clock of its own.
//!
//! `cargo bench --bench bucket`

use std::hint::black_box;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use governor::RateLimiter;
use governor::clock::MonotonicClock;
use tollgate::base::clock::Tick;
use tollgate::base::units::Quota;
use tollgate::limits::bucket::Bucket;
use tollgate::limits::table::Table;

const ONE: NonZeroU32 = NonZeroU32::MIN;
/// So far apart that a bucket of a million a second never empties.
const STEP: u64 = 2_000;

fn quota(tokens: u32) -> Quota {
    let tokens = NonZeroU32::new(tokens).unwrap_or(ONE);
    Quota {
        tokens,
        per: Duration::from_secs(1),
        burst: tokens,
    }
}

/// The arithmetic without governor: what "own GCRA" would cost.
fn plain(word: &AtomicU64, token: u64, span: u64, now: u64) -> Option<u64> {
    word.fetch_update(Ordering::AcqRel, Ordering::Acquire, |held| {
        let owed = held.max(now) + token;
        (owed - now <= span).then_some(owed)
    })
    .ok()
}

fn spending(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("bucket");
    let fast = Bucket::new(quota(1_000_000));
    let slow = Bucket::new(quota(7));

    let (word, mut now) = (AtomicU64::new(0), 0);
    group.bench_function("spend", |bencher| {
        bencher.iter(|| {
            now += STEP;
            black_box(fast.spend(&word, ONE, Tick(black_box(now))))
        });
    });
    let (word, mut now) = (AtomicU64::new(0), 0);
    group.bench_function("spend, plain arithmetic", |bencher| {
        bencher.iter(|| {
            now += STEP;
            black_box(plain(&word, 1_000, 1_000_000_000, black_box(now)))
        });
    });
    let pace = governor::Quota::per_second(quota(1_000_000).tokens);
    let limiter = RateLimiter::direct_with_clock(pace, MonotonicClock);
    group.bench_function("spend, governor with its own clock", |bencher| {
        bencher.iter(|| black_box(limiter.check().is_ok()));
    });

    let word = AtomicU64::new(u64::MAX / 4);
    group.bench_function("refuse", |bencher| {
        bencher.iter(|| black_box(slow.spend(&word, ONE, Tick(black_box(1)))));
    });
    let (word, mut now) = (AtomicU64::new(0), 0);
    group.bench_function("spend and give back", |bencher| {
        bencher.iter(|| {
            now += STEP;
            black_box(fast.spend(&word, ONE, Tick(black_box(now))));
            fast.refund(&word, ONE);
        });
    });
    group.finish();
}

fn looking_up(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("table");
    let table = Table::default();
    let rule = Bucket::new(quota(7));
    let generation = table.renew();
    let key = |number: u64| {
        let mut key = table.key();
        key.add(b'c', &number.to_le_bytes());
        key.finish()
    };
    for number in 0..100_000 {
        let Ok(cell) = table.acquire(key(number), &rule, generation, Tick(1)) else {
            return;
        };
        black_box(rule.spend(cell.word(), ONE, Tick(1)));
    }
    let mut number = 0;
    group.bench_function("find one of 100,000", |bencher| {
        bencher.iter(|| {
            number = (number + 7_919) % 100_000;
            black_box(table.acquire(key(number), &rule, generation, Tick(1)).is_ok())
        });
    });
    let (mut number, mut now) = (1 << 32, 1);
    group.bench_function("a newcomer, 7,000 live", |bencher| {
        bencher.iter(|| {
            number += 1;
            now += 20_000;
            let cell = table.acquire(key(number), &rule, generation, Tick(now));
            black_box(cell.is_ok_and(|cell| {
                rule.spend(cell.word(), ONE, Tick(now)) != rule.spend(cell.word(), ONE, Tick(0))
            }))
        });
    });
    group.finish();
}

criterion_group!(benches, spending, looking_up);
criterion_main!(benches);
