//! What a request costs before and after its limits: guard, path, route, header, and a refusal's answer.
//!
//! `cargo bench --bench router`. Compare ratios within one run; the machine and its load decide about the rest.

#![allow(missing_docs, reason = "criterion's macros make public items without a word")]
#![allow(clippy::unwrap_used, reason = "a bench may stop at the first surprise")]

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use tollgate::config::plan::{IdentityHeaders, TenantSelector};
use tollgate::headers::{Call, Client, Injected, Outgoing, Scheme};
use tollgate::http::forwarded::Trust;
use tollgate::http::guard::Guard;
use tollgate::http::path;
use tollgate::http::trace_context::TraceParent;
use tollgate::identity::LimitName;
use tollgate::rejection::rendering::Looks;
use tollgate::rejection::{RateLimited, Rejection};
use tollgate::routing::router::{Builder, HostMatch, Router};

const HOST: &str = "app1-apigw.central.example.com";

fn router(routes: usize) -> Router<usize> {
    let mut builder = Builder::new();
    builder.host(HostMatch::Exact(HOST.to_owned()), 0);
    for n in 0..routes {
        let path = match n % 3 {
            0 => format!("/monitoring/v{}/things{n}", n % 7),
            1 => format!("/msp_api/v1/customers{n}/{{customer_id}}/devices"),
            _ => format!("/configuration/v{}/{{group}}/sub{n}/{{*rest}}", n % 7),
        };
        builder.route(0, &path, &[Method::GET, Method::PUT], n).unwrap();
    }
    builder.build()
}

fn request() -> Request<()> {
    Request::builder()
        .uri("/msp_api/v1/customers1/267958b55d5a463e/devices?limit=50&offset=0")
        .header("host", HOST)
        .header("user-agent", "python-requests/2.32.3")
        .header("accept-encoding", "gzip, deflate")
        .header("accept", "*/*")
        .header("connection", "keep-alive")
        .header(
            "authorization",
            "Bearer eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
        )
        .header("content-type", "application/json")
        .header("cookie", "session=0af7651916cd43dd8448eb211c80319c")
        .header("x-own", "1")
        .header("cache-control", "no-cache")
        .body(())
        .unwrap()
}

fn door(criterion: &mut Criterion) {
    let guard = Guard::new(100, 65_536, 8_192, false);
    let request = request();
    criterion.bench_function("guard, 10 fields", |bench| {
        bench.iter(|| guard.check(black_box(&request), false).unwrap());
    });
    for (name, text) in [
        (
            "path in normal form",
            "/msp_api/v1/customers/267958b55d5a463e/devices",
        ),
        (
            "path with an escape",
            "/msp_api/v1/customers/267958b55d5a463e/a%20b",
        ),
        ("path to normalise", "/msp_api/./v1//customers/%32%36/devices"),
    ] {
        criterion.bench_function(name, |bench| {
            bench.iter(|| path::normalise(black_box(text)).unwrap())
        });
    }
}

fn routes(criterion: &mut Criterion) {
    for count in [10, 10_000] {
        let router = router(count);
        for (name, path, found) in [
            ("literal", "/monitoring/v3/things3", true),
            ("capture", "/msp_api/v1/customers1/267958b55d5a463e/devices", true),
            ("tail", "/configuration/v2/group-1/sub2/a/b/c", true),
            ("miss", "/configuration/v2/group-1/nothing/a/b/c", false),
        ] {
            criterion.bench_function(&format!("{count} routes, {name}"), |bench| {
                bench.iter(|| {
                    let route = router.find(black_box(HOST), black_box(path), &Method::GET);
                    assert_eq!(route.is_ok(), found);
                });
            });
        }
    }
}

fn outgoing(criterion: &mut Criterion) {
    let names = IdentityHeaders {
        tenant: Some(HeaderName::from_static("x-tenant-id")),
        customer: Some(HeaderName::from_static("x-customer-id")),
        ..IdentityHeaders::default()
    };
    let outgoing = Outgoing::new(
        &names,
        &TenantSelector::by_name(HeaderName::from_static("x-select-tenant")),
    );
    let request = request();
    let head = Guard::new(100, 65_536, 8_192, false)
        .check(&request, false)
        .unwrap();
    let value = HeaderValue::from_static("267958b55d5a463e94a302c20f4a6b68");
    let peer = HeaderValue::from_static("192.0.2.1");
    let call = Call {
        head: &head,
        injected: Injected {
            tenant: Some(&value),
            customer: Some(&value),
            ..Injected::default()
        },
        client: Client {
            peer: &peer,
            trust: Trust::Stranger,
            scheme: Scheme::Https,
        },
        request_id: &value,
        trace: TraceParent::continue_or_begin(&HeaderMap::new(), [7; 24]),
    };
    criterion.bench_function("header towards the backend, 10 fields", |bench| {
        bench.iter_batched_ref(
            || request.headers().clone(),
            |headers| outgoing.apply(headers, &call),
            BatchSize::SmallInput,
        );
    });
}

fn refusals(criterion: &mut Criterion) {
    let looks = Looks::standard();
    let limited = Rejection::RateLimited(Box::new(RateLimited {
        limit: LimitName::try_from("per-customer").unwrap(),
        tokens: 7,
        period_seconds: 1,
        retry_after_seconds: 1,
        fields: Vec::new(),
    }));
    criterion.bench_function("429, standard look", |bench| {
        bench.iter(|| looks.render(black_box(&limited), "0af7651916cd43dd8448eb211c80319c"));
    });
}

criterion_group!(benches, door, routes, outgoing, refusals);
criterion_main!(benches);
