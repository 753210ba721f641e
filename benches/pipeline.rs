//! What a request costs from its head to the head of its answer, in this process, without sockets.
//!
//! `cargo bench --bench pipeline`. The answer is from the configuration, so that what is measured is the gateway and
//! not a backend: guard, route, token, access, limits, answer, metrics. Compare ratios within one run.

#![allow(missing_docs, reason = "criterion's macros make public items without a word")]
#![allow(clippy::unwrap_used, reason = "a bench may stop at the first surprise")]

mod scene;

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use futures_util::FutureExt;
use http::StatusCode;
use scene::{HIT, LIMITED, MISS, NOWHERE, config, request};
use tollgate::gateway::{Gateway, Options};
use tower::ServiceExt;

fn whole(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let _inside = runtime.enter();
    let gateway = runtime
        .block_on(Gateway::start(config("http://127.0.0.1:9"), Options::default()))
        .unwrap();
    let service = gateway.service();
    let mut group = criterion.benchmark_group("pipeline");
    for (name, path, status) in [
        ("token remembered", HIT, StatusCode::OK),
        ("token verified", MISS, StatusCode::OK),
        ("429", LIMITED, StatusCode::TOO_MANY_REQUESTS),
        ("404", NOWHERE, StatusCode::NOT_FOUND),
    ] {
        // The first call spends the one token of the limited route.
        let _ = service.clone().oneshot(request(path)).now_or_never();
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                || (service.clone(), request(path)),
                |(service, request)| {
                    let answer = service.oneshot(black_box(request)).now_or_never().unwrap();
                    assert_eq!(answer.unwrap().status(), status);
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
    gateway.stop();
}

criterion_group!(benches, whole);
criterion_main!(benches);
