//! What a bearer token costs: remembered, verified, forged.
//!
//! `cargo bench --bench tokens`. Compare ratios within one run.

#![allow(missing_docs, reason = "criterion's macros make public items without a word")]
#![allow(clippy::unwrap_used, reason = "a bench may stop at the first surprise")]

mod scene;

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use futures_util::FutureExt;
use http::{HeaderValue, Method, header};
use scene::{BEARER, Door, HIT, HOST, MISS, NOW, config, request};
use tollgate::auth::jwt::Digest;
use tollgate::base::clock::Clock;

fn tokens(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let _inside = runtime.enter();
    let door = Door::open(&config("http://127.0.0.1:9"), Clock::manual(NOW));
    let good = request(HIT);
    let mut forged = request(HIT);
    // Another last character but one: still base64url, another signature.
    let text = format!("{}A{}", &BEARER[..BEARER.len() - 2], &BEARER[BEARER.len() - 1..]);
    forged
        .headers_mut()
        .insert(header::AUTHORIZATION, HeaderValue::from_str(&text).unwrap());

    let mut group = criterion.benchmark_group("tokens");
    group.bench_function("digest", |bencher| {
        bencher.iter(|| black_box(Digest::of(black_box(BEARER)) == Digest::of("")));
    });
    for (name, path, call, accepted) in [
        ("remembered", HIT, &good, true),
        ("verified", MISS, &good, true),
        ("forged", MISS, &forged, false),
    ] {
        let route = door.view.router.find(HOST, path, &Method::GET).unwrap().payload;
        let identify = || {
            let caller = route.credentials.identify(call.headers(), door.shard.clock());
            caller.now_or_never().unwrap()
        };
        group.bench_function(name, |bencher| {
            bencher.iter(|| assert_eq!(black_box(identify()).is_ok(), accepted));
        });
    }
    group.finish();
}

criterion_group!(benches, tokens);
criterion_main!(benches);
