//! A million live customers cost at most 64 MiB. Its own program, so that nothing else grows meanwhile.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::num::NonZeroU32;
use std::time::Duration;

use tollgate::base::clock::Tick;
use tollgate::base::units::Quota;
use tollgate::limits::bucket::{Bucket, Spend};
use tollgate::limits::table::Table;

/// Resident memory in bytes: the second number of `/proc/self/statm`, in pages.
fn resident() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages * 4096)
}

#[test]
fn a_million_live_customers_take_at_most_64_mib_and_none_is_forgotten() {
    let Some(idle) = resident() else {
        eprintln!("skipped: there is no /proc/self/statm here");
        return;
    };
    let rule = Bucket::new(Quota {
        tokens: NonZeroU32::MIN,
        per: Duration::from_secs(3_600),
        burst: NonZeroU32::MIN,
    });
    let table = Table::default();
    let generation = table.renew();
    let now = Tick(1_000_000_000);
    let spend = |number: u32| {
        let mut key = table.key();
        key.add(b'c', format!("customer-{number}").as_bytes());
        let cell = table.acquire(key.finish(), &rule, generation, now).unwrap();
        rule.spend(cell.word(), NonZeroU32::MIN, now)
    };
    for number in 0..1_000_000 {
        assert_eq!(spend(number), Spend::Ok { remaining: 0 });
    }
    let grown = resident().unwrap_or(u64::MAX).saturating_sub(idle);
    println!(
        "1,000,000 live customers: {:.1} MiB",
        grown as f64 / f64::from(1 << 20)
    );
    assert_eq!(table.len(), 1_000_000);
    assert!(grown <= 64 << 20, "{grown} bytes");
    for number in (0..1_000_000).step_by(997) {
        assert!(matches!(spend(number), Spend::Wait(_)));
    }
}
