//! The table of buckets: bounded, forgets only what is full, and knows what a reload may change.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::num::NonZeroU32;
use std::time::Duration;

use proptest::prelude::*;
use tollgate::base::clock::Tick;
use tollgate::base::units::Quota;
use tollgate::limits::bucket::{Bucket, Spend};
use tollgate::limits::key::Key;
use tollgate::limits::table::{Cell, Full, Table};

const SECOND: u64 = 1_000_000_000;

fn n(count: u32) -> NonZeroU32 {
    NonZeroU32::new(count).unwrap()
}

fn bucket(tokens: u32, burst: u32) -> Bucket {
    Bucket::new(Quota {
        tokens: n(tokens),
        per: Duration::from_secs(1),
        burst: n(burst),
    })
}

fn key(table: &Table, number: u64) -> Key {
    let mut key = table.key();
    key.add(b'c', &number.to_le_bytes());
    key.finish()
}

fn spend(table: &Table, number: u64, bucket: &Bucket, generation: u64, now: Tick) -> Result<Spend, Full> {
    let cell = table.acquire(key(table, number), bucket, generation, now)?;
    Ok(bucket.spend(cell.word(), n(1), now))
}

#[test]
fn idle_customers_cost_nothing_in_the_long_run() {
    let (table, bucket) = (Table::new(1 << 20), bucket(7, 7));
    let generation = table.renew();
    // 200,000 customers, each calling once, 10,000 of them in a second. A bucket is full again after a
    // seventh of a second.
    for number in 0..200_000 {
        let now = Tick(SECOND + number * SECOND / 10_000);
        assert!(spend(&table, number, &bucket, generation, now).is_ok());
    }
    // So about 1,429 are live at any time; the rest waits for the sweep.
    assert!(table.slots() < 20_000, "{} slots", table.slots());
    assert!(table.len() < 10_000, "{} buckets", table.len());
}

#[test]
fn a_full_table_refuses_newcomers_and_keeps_every_live_bucket() {
    let (table, slow) = (Table::new(640), bucket(1, 3));
    let generation = table.renew();
    let now = Tick(SECOND);
    let (inside, outside): (Vec<u64>, Vec<u64>) =
        (0..5_000).partition(|number| spend(&table, *number, &slow, generation, now).is_ok());
    assert_eq!((inside.len(), outside.len()), (640, 5_000 - 640));
    // Nobody inside was forgotten: each had two tokens left, not three.
    for number in &inside {
        let again = spend(&table, *number, &slow, generation, now);
        assert_eq!(again, Ok(Spend::Ok { remaining: 1 }));
    }
    // When they are full again there is room, for as many.
    let later = Tick(10 * SECOND);
    let admitted = (10_000..20_000)
        .filter(|number| spend(&table, *number, &slow, generation, later).is_ok())
        .count();
    assert_eq!(admitted, 640);
}

#[test]
fn a_bucket_that_is_held_keeps_its_place_also_when_it_is_full() {
    let (table, fast) = (Table::new(64), bucket(7, 7));
    let generation = table.renew();
    let held: Vec<(u64, Cell)> = (0..2_000)
        .filter_map(|number| {
            let cell = table
                .acquire(key(&table, number), &fast, generation, Tick(1))
                .ok()?;
            Some((number, cell))
        })
        .collect();
    assert_eq!(held.len(), 64);
    let later = Tick(100 * SECOND);
    for number in 10_000..13_000 {
        assert_eq!(spend(&table, number, &fast, generation, later), Err(Full));
    }
    // What is spent through the old hold is seen by a new one: it is the same bucket.
    for (number, cell) in &held {
        assert_eq!(fast.spend(cell.word(), n(5), later), Spend::Ok { remaining: 2 });
        let again = spend(&table, *number, &fast, generation, later);
        assert_eq!(again, Ok(Spend::Ok { remaining: 1 }));
    }
    let copies: Vec<Cell> = held.iter().map(|(_, cell)| cell.clone()).collect();
    drop(held);
    let full = Tick(200 * SECOND);
    assert_eq!(spend(&table, 50_000, &fast, generation, full), Err(Full));
    drop(copies);
    assert!(spend(&table, 50_000, &fast, generation, full).is_ok());
}

#[test]
fn a_reload_keeps_every_bucket_as_it_is() {
    let (table, rule) = (Table::new(1024), bucket(7, 7));
    let before = table.renew();
    let now = Tick(SECOND);
    for _ in 0..7 {
        assert!(spend(&table, 1, &rule, before, now).is_ok());
    }
    let after = table.renew();
    assert!(matches!(spend(&table, 1, &rule, after, now), Ok(Spend::Wait(_))));
    assert_eq!(
        spend(&table, 2, &rule, after, now),
        Ok(Spend::Ok { remaining: 6 })
    );
}

#[test]
fn a_changed_quota_rescales_and_never_refills() {
    let now = Tick(SECOND);
    for (old, new, spent, left) in [
        // Half full stays half full; what is left is rounded down.
        ((8, 8), (80, 80), 4, 40),
        ((80, 80), (8, 8), 40, 4),
        ((8, 8), (1, 8), 4, 4),
        ((8, 8), (8, 3), 4, 1),
        // Empty stays empty, however large the new bucket.
        ((7, 7), (1_000, 1_000_000), 7, 0),
        ((1_000, 1_000_000), (7, 7), 1_000_000, 0),
        // Full stays full.
        ((7, 7), (1_000, 1_000), 0, 1_000),
    ] {
        let table = Table::new(1024);
        let (old, new) = (bucket(old.0, old.1), bucket(new.0, new.1));
        let before = table.renew();
        let cell = table.acquire(key(&table, 1), &old, before, now).unwrap();
        if let Some(spent) = NonZeroU32::new(spent) {
            assert!(matches!(old.spend(cell.word(), spent, now), Spend::Ok { .. }));
        }
        let after = table.renew();
        // Calls in flight on the old configuration do not scale anything, neither before nor after the new
        // one did.
        drop(table.acquire(key(&table, 1), &old, before, now).unwrap());
        let cell = table.acquire(key(&table, 1), &new, after, now).unwrap();
        assert_eq!(new.peek(cell.word(), now).remaining, left, "{old:?} {new:?}");
        drop(table.acquire(key(&table, 1), &old, before, now).unwrap());
        let cell = table.acquire(key(&table, 1), &new, after, now).unwrap();
        assert_eq!(new.peek(cell.word(), now).remaining, left, "{old:?} {new:?}");
    }
}

#[test]
fn a_set_that_is_never_used_does_not_keep_the_one_in_force_from_scaling() {
    let (table, now) = (Table::new(64), Tick(SECOND));
    let (old, slower) = (bucket(1_000, 1_000), bucket(1, 1_000));
    let before = table.renew();
    let cell = table.acquire(key(&table, 1), &old, before, now).unwrap();
    assert!(matches!(old.spend(cell.word(), n(1_000), now), Spend::Ok { .. }));
    let in_force = table.renew();
    let _refused_at_the_reload = table.renew();
    let cell = table.acquire(key(&table, 1), &slower, in_force, now).unwrap();
    assert_eq!(slower.peek(cell.word(), now).remaining, 0, "empty stays empty");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_chain_of_reloads_never_adds_a_fraction(
        quotas in prop::collection::vec((1u32..5_000, 1u32..5_000), 2..6),
        spent in 0.0f64..1.0,
        start in 1u64..1 << 60,
    ) {
        let table = Table::new(64);
        let now = Tick(start);
        let mut fraction = None::<f64>;
        for (tokens, burst) in quotas {
            let rule = bucket(tokens, burst);
            let generation = table.renew();
            let cell = table.acquire(key(&table, 1), &rule, generation, now).unwrap();
            if fraction.is_none()
                && let Some(count) = NonZeroU32::new((f64::from(burst) * spent) as u32)
            {
                let _ = rule.spend(cell.word(), count, now);
            }
            let owed = rule.peek(cell.word(), now).full.as_nanos() as f64 / rule.span().as_nanos() as f64;
            if let Some(before) = fraction {
                prop_assert!(owed >= before - 1e-12, "{} after {}", owed, before);
                prop_assert!(owed <= before + 1e-4, "{} after {}", owed, before);
            }
            fraction = Some(owed);
        }
    }
}
