//! What a bearer token costs: remembered (digest, look-up, times, key set), and verified (every algorithm).
//!
//! `cargo bench --bench tokens`

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use serde_json::{Map, Value, json};
use tollgate::auth::Credentials;
use tollgate::auth::Presented;
use tollgate::auth::jwt::Issuer;
use tollgate::base::clock::{Clock, UnixTime};
use tollgate::base::digest::Digest;
use tollgate::config::plan::{Algorithm, ClaimsPlan, IssuerPlan};
use tollgate::identity::IssuerName;
use tollgate::jose::algorithm;
use tollgate::jose::key_ring::KeyRing;
use tollgate::jose::key_set;
use tollgate::jose::sign::SigningKey;
use tollgate::telemetry::metrics::Metrics;

const TOKENS: usize = 1_000;

fn claims(number: usize, ends: i64) -> Map<String, Value> {
    let claims = json!({
        "iss": "https://idp.example/", "aud": "central", "sub": format!("user-{number}"), "exp": ends, "nbf": 0,
        "iat": 0, "jti": format!("{number:032x}"), "customer_id": format!("customer-{}", number % 100),
        "tenant_id": format!("tenant-{}", number % 100), "region": "us-1", "scope": "read write monitoring",
        "roles": ["viewer", "operator"],
    });
    claims.as_object().cloned().unwrap_or_default()
}

fn plan(cache: usize) -> Option<IssuerPlan> {
    let claim = |name: &str| Some(name.to_owned());
    Some(IssuerPlan {
        name: IssuerName::try_from("idp").ok()?,
        issuer: "https://idp.example/".to_owned(),
        audience: vec!["central".to_owned()],
        algorithms: algorithm::ALL.to_vec(),
        keys: Vec::new(),
        claims: ClaimsPlan {
            subject: "sub".to_owned(),
            customer: claim("customer_id"),
            tenant: claim("tenant_id"),
            tenants: None,
            region: claim("region"),
            scope: claim("scope"),
            roles: claim("roles"),
        },
        leeway: Duration::from_secs(30),
        types: Vec::new(),
        cache,
    })
}

/// One issuer and header fields that carry its tokens.
struct House {
    clock: Clock,
    issuer: Arc<Issuer>,
    credentials: Credentials,
    requests: Vec<HeaderMap>,
}

fn house(algorithm: Algorithm, cache: usize, tokens: usize) -> Option<House> {
    let clock = Clock::system();
    let UnixTime(now) = clock.unix();
    let key = SigningKey::generate(algorithm).ok()?.named("k");
    let keys = key_set::from_jwks(key.public_jwk().ok()?.to_string().as_bytes()).ok()?;
    let metrics = Metrics::new().issuer("idp");
    let ring = KeyRing::fixed(keys, Arc::clone(&metrics));
    let issuer = Issuer::new(&plan(cache)?, ring, metrics);
    let requests = (0..tokens).filter_map(|number| {
        let token = key.sign(algorithm, &claims(number, now + 3_600)).ok()?;
        let mut headers = HeaderMap::new();
        headers.insert(
            AUTHORIZATION,
            HeaderValue::try_from(format!("Bearer {token}")).ok()?,
        );
        Some(headers)
    });
    let requests = requests.collect();
    let credentials = Credentials::bearer(vec![Arc::clone(&issuer)]);
    Some(House {
        clock,
        issuer,
        credentials,
        requests,
    })
}

fn tokens(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("token");
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().build() else {
        return;
    };
    if let Some(house) = house(Algorithm::RS256, 100_000, TOKENS) {
        for headers in &house.requests {
            let known = runtime.block_on(house.credentials.identify(&Presented::get(headers), &house.clock));
            assert!(known.is_ok(), "the tokens are good");
        }
        let mut next = house.requests.iter().cycle();
        group.bench_function("remembered", |bencher| {
            bencher.iter_batched(
                || next.next(),
                |headers| {
                    headers.map(|headers| {
                        let presented = Presented::get(headers);
                        let identify = house.credentials.identify(&presented, &house.clock);
                        black_box(futures_util::FutureExt::now_or_never(identify))
                    })
                },
                BatchSize::SmallInput,
            );
        });
        let text = house
            .requests
            .first()
            .and_then(|headers| headers.get(AUTHORIZATION)?.to_str().ok());
        let text = text.unwrap_or_default();
        group.bench_function("remembered/digest alone", |bencher| {
            bencher.iter(|| Digest::of(black_box(text)))
        });
        let digest = Digest::of(text.trim_start_matches("Bearer "));
        let now = house.clock.unix();
        group.bench_function("remembered/look-up alone", |bencher| {
            bencher.iter(|| black_box(house.issuer.recall(black_box(digest), now)));
        });
    }
    for algorithm in [
        Algorithm::RS256,
        Algorithm::PS256,
        Algorithm::ES256,
        Algorithm::ES384,
        Algorithm::EdDSA,
    ] {
        let Some(house) = house(algorithm, 0, 16) else {
            continue;
        };
        let mut next = house.requests.iter().cycle();
        group.bench_function(format!("verified/{}", algorithm::name(algorithm)), |bencher| {
            bencher.iter_batched(
                || next.next(),
                |headers| {
                    headers.map(|headers| {
                        let presented = Presented::get(headers);
                        let identify = house.credentials.identify(&presented, &house.clock);
                        black_box(futures_util::FutureExt::now_or_never(identify))
                    })
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, tokens);
criterion_main!(benches);
