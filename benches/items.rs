//! What counting costs: a query, and a body of 50 devices, plain and as a JSON string; serde_json beside it.
//!
//! `cargo bench --bench items`

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tollgate::config::plan::{ItemCapPlan, ItemCount};
use tollgate::limits::items::ItemCap;
use tollgate::limits::json::Counter;

fn bodies(criterion: &mut Criterion) {
    let one = r#"{"serial":"CNABCDEFGH","mac":"00:11:22:33:44:55"}"#;
    let text = format!(r#"{{"devices":[{}],"group":"floor-3"}}"#, [one; 50].join(","));
    let encoded = serde_json::to_string(&text).unwrap_or_default();
    let pointer = ["devices".to_owned()];
    let count = |text: &str| {
        let mut counter = Counter::new(&pointer, 50);
        counter.feed(text.as_bytes()).and_then(|()| counter.finish())
    };
    let mut group = criterion.benchmark_group("items");
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("50 devices", |bencher| {
        bencher.iter(|| black_box(count(black_box(&text))))
    });
    group.bench_function("50 devices as a JSON string", |bencher| {
        bencher.iter(|| black_box(count(black_box(&encoded))));
    });
    group.bench_function("50 devices, built by serde_json", |bencher| {
        bencher.iter(|| black_box(serde_json::from_str::<serde_json::Value>(black_box(&text)).is_ok()));
    });
    group.finish();
}

fn queries(criterion: &mut Criterion) {
    let plan = ItemCapPlan {
        max: 50,
        count: ItemCount::Query("limit".to_owned()),
    };
    let cap = ItemCap::new(&plan, ItemCap::HOLD, Duration::from_secs(60));
    criterion.bench_function("items/query", |bencher| {
        bencher.iter(|| {
            black_box(
                cap.check_query(black_box(Some("offset=100&limit=50&customer_name=acme")))
                    .is_ok(),
            )
        });
    });
}

criterion_group!(benches, bodies, queries);
criterion_main!(benches);
