//! A million live customers cost at most 64 MiB. Its own program, so that nothing else grows meanwhile.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::num::NonZeroU32;
use std::time::Duration;

use tollgate::base::clock::Tick;
use tollgate::base::units::Quota;
use tollgate::limits::bucket::{Bucket, Spend};
use tollgate::limits::table::{Full, Table};

/// Resident memory in bytes: the second number of `/proc/self/statm`, in pages.
fn resident() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages * 4096)
}

struct Customers {
    table: Table,
    rule: Bucket,
    generation: u64,
}

impl Customers {
    fn spend(&self, number: u32) -> Result<Spend, Full> {
        let now = Tick(1_000_000_000);
        let mut key = self.table.key();
        key.add(b'c', format!("customer-{number}").as_bytes());
        let cell = self
            .table
            .acquire(key.finish(), &self.rule, self.generation, now)?;
        Ok(self.rule.spend(cell.word(), NonZeroU32::MIN, now))
    }
}

#[test]
fn a_million_live_customers_take_at_most_64_mib_and_however_many_come_it_is_not_more() {
    let Some(idle) = resident() else {
        eprintln!("skipped: there is no /proc/self/statm here");
        return;
    };
    let grown = || resident().unwrap_or(u64::MAX).saturating_sub(idle);
    let table = Table::default();
    let customers = Customers {
        generation: table.renew(),
        table,
        rule: Bucket::new(Quota {
            tokens: NonZeroU32::MIN,
            per: Duration::from_secs(3_600),
            burst: NonZeroU32::MIN,
        }),
    };
    for number in 0..1_000_000 {
        assert_eq!(customers.spend(number), Ok(Spend::Ok { remaining: 0 }));
    }
    let million = grown();
    println!(
        "1,000,000 live customers: {:.1} MiB",
        million as f64 / f64::from(1 << 20)
    );
    assert_eq!(customers.table.len(), 1_000_000);
    assert!(million <= 64 << 20, "{million} bytes");

    let refused = (1_000_000..2_000_000)
        .filter(|number| customers.spend(*number) == Err(Full))
        .count();
    println!("at the cap: {:.1} MiB", grown() as f64 / f64::from(1 << 20));
    assert!(refused >= 2_000_000 - Table::MOST, "{refused} refused");
    assert!(grown() <= 64 << 20, "{} bytes", grown());
    // And nobody who came earlier was forgotten.
    for number in (0..1_000_000).step_by(997) {
        assert!(matches!(customers.spend(number), Ok(Spend::Wait(_))));
    }
}
