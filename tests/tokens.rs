//! Bearer tokens from the header field to the verdict, and key sets that rotate, fail and lie.
//!
//! Time is a manual clock; nothing sleeps. The key server is a real one on a port that the system chose.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may stop at the first surprise"
)]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Response};
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;

use tollgate::auth::jwt::Issuer;
use tollgate::auth::{Caller, Credentials, Presented};
use tollgate::base::clock::{Clock, UnixTime};
use tollgate::base::secret::Secret;
use tollgate::config::plan::{Algorithm, ClaimsPlan, IssuerPlan, KeySource, KeyUrl};
use tollgate::identity::IssuerName;
use tollgate::jose::KeyRing;
use tollgate::jose::sign::SigningKey;
use tollgate::rejection::{BadRequest, Code, Rejection};
use tollgate::telemetry::metrics::{IssuerMetrics, Metrics};

const START: UnixTime = UnixTime(1_800_000_000);
const SECOND: Duration = Duration::from_secs(1);

/// A server of key sets that does as it is told.
struct KeyServer {
    address: SocketAddr,
    told: Arc<Mutex<Told>>,
    asked: Arc<AtomicUsize>,
}

#[derive(Clone)]
enum Told {
    /// Status, fields, body.
    Answer(u16, Vec<(&'static str, String)>, String),
    /// Says nothing.
    Hang,
    /// Closes the connection.
    Close,
}

fn serving(keys: &[&SigningKey]) -> Told {
    let jwks: Vec<Value> = keys.iter().map(|key| key.public_jwk().unwrap()).collect();
    answering(200, &json!({ "keys": jwks }).to_string())
}

fn answering(status: u16, body: &str) -> Told {
    Told::Answer(status, Vec::new(), body.to_owned())
}

fn with_field(told: Told, name: &'static str, value: &str) -> Told {
    match told {
        Told::Answer(status, mut fields, body) => {
            fields.push((name, value.to_owned()));
            Told::Answer(status, fields, body)
        }
        other => other,
    }
}

impl KeyServer {
    async fn start(told: Told) -> KeyServer {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let told = Arc::new(Mutex::new(told));
        let asked = Arc::new(AtomicUsize::new(0));
        let (behaviour, count) = (Arc::clone(&told), Arc::clone(&asked));
        tollgate::base::tasks::spawn("key server", async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (behaviour, count) = (Arc::clone(&behaviour), Arc::clone(&count));
                tollgate::base::tasks::spawn("key server connection", async move {
                    let service = service_fn(move |_| {
                        count.fetch_add(1, Ordering::AcqRel);
                        let told = behaviour.lock().unwrap().clone();
                        async move {
                            match told {
                                Told::Answer(status, fields, body) => {
                                    let mut answer = Response::builder().status(status);
                                    for (name, value) in fields {
                                        answer = answer.header(name, value);
                                    }
                                    Ok::<_, Infallible>(answer.body(Full::new(Bytes::from(body))).unwrap())
                                }
                                Told::Hang => std::future::pending().await,
                                // Dropping the exchange in a panic-free way: an answer that cannot be written whole.
                                Told::Close => Ok(Response::builder()
                                    .header("content-length", "100")
                                    .body(Full::new(Bytes::new()))
                                    .unwrap()),
                            }
                        }
                    });
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        KeyServer { address, told, asked }
    }

    fn tell(&self, told: Told) {
        *self.told.lock().unwrap() = told;
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Acquire)
    }

    fn source(&self) -> KeySource {
        KeySource::Url(KeyUrl {
            url: format!("http://{}/jwks", self.address).parse().unwrap(),
            ca: None,
            refresh: 300 * SECOND,
            floor: 30 * SECOND,
            stale: 3600 * SECOND,
        })
    }
}

fn plan(keys: Vec<KeySource>) -> IssuerPlan {
    IssuerPlan {
        name: IssuerName::try_from("idp").unwrap(),
        issuer: "https://idp.example/".to_owned(),
        audience: vec!["central".to_owned()],
        algorithms: vec![Algorithm::ES256, Algorithm::EdDSA, Algorithm::HS256],
        keys,
        claims: ClaimsPlan {
            subject: "sub".to_owned(),
            customer: Some("customer_id".to_owned()),
            tenant: Some("tenant_id".to_owned()),
            tenants: Some("tenants".to_owned()),
            region: Some("region".to_owned()),
            scope: Some("scope".to_owned()),
            roles: Some("/realm/roles".to_owned()),
        },
        leeway: 30 * SECOND,
        types: Vec::new(),
        cache: 1000,
    }
}

/// One issuer with its clock, ring and counters.
struct House {
    clock: Clock,
    ring: Arc<KeyRing>,
    issuer: Arc<Issuer>,
    metrics: Arc<IssuerMetrics>,
    credentials: Credentials,
}

fn house(plan: &IssuerPlan) -> House {
    let clock = Clock::manual(START);
    let metrics = Metrics::new().issuer("idp");
    let ring = KeyRing::open(plan, &clock, Arc::clone(&metrics), None).unwrap();
    let issuer = Issuer::new(plan, Arc::clone(&ring), Arc::clone(&metrics));
    let credentials = Credentials::bearer(vec![Arc::clone(&issuer)]);
    House {
        clock,
        ring,
        issuer,
        metrics,
        credentials,
    }
}

impl House {
    async fn ask(&self, token: &str) -> Result<Caller, Rejection> {
        self.credentials
            .identify(
                &Presented::get(&bearing(&[&format!("Bearer {token}")])),
                &self.clock,
            )
            .await
    }

    async fn code(&self, token: &str) -> Option<Code> {
        self.ask(token).await.err().map(|rejection| rejection.code())
    }
}

fn bearing(values: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
    }
    headers
}

fn key(name: &str) -> SigningKey {
    SigningKey::generate(Algorithm::ES256).unwrap().named(name)
}

fn claims(more: Value) -> Map<String, Value> {
    let mut claims = json!({
        "iss": "https://idp.example/", "aud": "central", "sub": "alice", "exp": START.0 + 100_000, "customer_id": "acme",
    });
    for (name, value) in more.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims.as_object().unwrap().clone()
}

fn token(key: &SigningKey, more: Value) -> String {
    key.sign(key.usual_algorithm(), &claims(more)).unwrap()
}

fn secret() -> (SigningKey, KeySource) {
    let secret = Secret::new(b"0123456789abcdef0123456789abcdef".to_vec());
    (
        SigningKey::from_secret(&secret).unwrap(),
        KeySource::Secret(secret),
    )
}

// --- The way of a token

#[tokio::test]
async fn claims_become_an_identity() {
    let (key, source) = secret();
    let house = house(&plan(vec![source]));
    let caller = house
        .ask(&token(
            &key,
            json!({
                "tenant_id": "t1", "tenants": ["t2", "t3"], "region": "eu-1", "scope": "read write",
                "realm": {"roles": ["admin", "not a role", "viewer"]}, "client_id": "app", "azp": "other",
            }),
        ))
        .await
        .unwrap();
    let identity = caller.identity().unwrap();
    let texts = |all: &[&dyn std::fmt::Display]| all.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(identity.subject.as_str(), "alice");
    assert_eq!(identity.client.as_ref().unwrap().as_str(), "app");
    assert_eq!(identity.customer.as_ref().unwrap().as_str(), "acme");
    assert_eq!(identity.tenant.as_ref().unwrap().as_str(), "t1");
    assert_eq!(identity.region.as_ref().unwrap().as_str(), "eu-1");
    assert_eq!(texts(&[&identity.tenants[0], &identity.tenants[1]]), ["t2", "t3"]);
    assert_eq!(
        texts(&[&identity.scopes[0], &identity.scopes[1]]),
        ["read", "write"]
    );
    assert_eq!(
        texts(&[&identity.roles[0], &identity.roles[1]]),
        ["admin", "viewer"]
    );
    let values = &caller.known().unwrap().values;
    assert_eq!(values.tenant.as_ref().unwrap(), "t1");
    assert_eq!(values.customer.as_ref().unwrap(), "acme");
    assert_eq!(values.scopes.as_ref().unwrap(), "read write");
    assert_eq!(values.roles.as_ref().unwrap(), "admin viewer");
}

#[tokio::test]
async fn a_mapped_claim_of_the_wrong_type_or_outside_its_grammar_is_an_invalid_token() {
    let (key, source) = secret();
    let house = house(&plan(vec![source]));
    for (name, value) in [
        ("customer_id", json!(7)),
        ("customer_id", json!("")),
        ("customer_id", json!("a b")),
        ("customer_id", json!("a\r\nX-Tenant-ID: b")),
        ("customer_id", json!("ä")),
        ("customer_id", json!(["acme"])),
        ("customer_id", json!({"id": "acme"})),
        ("customer_id", json!("x".repeat(129))),
        ("tenant_id", json!(true)),
        ("tenant_id", json!("a,b")),
        ("region", json!(1)),
        ("sub", json!("a b")),
        ("tenants", json!({"t": 1})),
        ("tenants", json!(["t", 7])),
        ("scope", json!(7)),
        ("realm", json!({"roles": 7})),
        ("realm", json!({"roles": [["admin"]]})),
    ] {
        let token = token(&key, json!({ name: value.clone() }));
        assert_eq!(
            house.code(&token).await,
            Some(Code::CredentialsInvalid),
            "{name}: {value}"
        );
    }
    for (name, value) in [
        ("customer_id", json!(null)),
        ("realm", json!({})),
        ("realm", json!(7)),
        ("scope", json!("")),
        ("scope", json!(["read", "wr ite", ""])),
        ("client_id", json!(7)),
    ] {
        assert_eq!(
            house.code(&token(&key, json!({ name: value.clone() }))).await,
            None,
            "{name}: {value}"
        );
    }
}

#[tokio::test]
async fn what_the_authorization_field_says_is_answered_as_rfc_6750_section_3_has_it() {
    let (key, source) = secret();
    let house = house(&plan(vec![source]));
    let good = format!("Bearer {}", token(&key, json!({})));
    let long = format!("Bearer {}", "a".repeat(9000));
    for (values, wanted) in [
        (&[][..], Some(Code::CredentialsMissing)),
        (&["Basic YTpi"][..], Some(Code::CredentialsMissing)),
        (&[""][..], Some(Code::CredentialsMissing)),
        (&["Bearer"][..], Some(Code::CredentialsInvalid)),
        (&["Bearer a, Bearer b"][..], Some(Code::CredentialsInvalid)),
        (&["Bearer abc"][..], Some(Code::CredentialsInvalid)),
        (&[long.as_str()][..], Some(Code::CredentialsInvalid)),
        (&[good.as_str(), &good][..], Some(Code::BadRequest)),
        (&[good.as_str(), "Basic YTpi"][..], Some(Code::BadRequest)),
        (&[good.as_str()][..], None),
        (&[good.replace("Bearer", "bearer").as_str()][..], None),
    ] {
        let answer = house
            .credentials
            .identify(&Presented::get(&bearing(values)), &house.clock)
            .await;
        let code = answer.as_ref().err().map(Rejection::code);
        assert_eq!(code, wanted, "{values:?}");
        if let Err(Rejection::BadRequest(reason)) = answer {
            assert_eq!(reason, BadRequest::Field);
        }
    }
    let mut elsewhere = HeaderMap::new();
    for name in [
        "cookie",
        "x-authorization",
        "proxy-authorization",
        "x-access-token",
    ] {
        elsewhere.insert(name, HeaderValue::from_str(&good).unwrap());
    }
    let answer = house
        .credentials
        .identify(&Presented::get(&elsewhere), &house.clock)
        .await;
    assert!(matches!(answer, Err(Rejection::CredentialsMissing)));
}

#[tokio::test]
async fn a_public_route_looks_at_no_credential() {
    let public = Credentials::public();
    let clock = Clock::manual(START);
    for values in [&[][..], &["Bearer nonsense"][..], &["Bearer a", "Bearer b"][..]] {
        let caller = public
            .identify(&Presented::get(&bearing(values)), &clock)
            .await
            .unwrap();
        assert!(caller.identity().is_none());
    }
}

#[tokio::test]
async fn the_iss_claim_chooses_among_issuers_and_the_chosen_one_must_agree() {
    let (one, one_source) = secret();
    let other_secret = Secret::new(b"another secret of thirty-two by.".to_vec());
    let other = SigningKey::from_secret(&other_secret).unwrap();
    let one_house = house(&plan(vec![one_source]));
    let mut other_plan = plan(vec![KeySource::Secret(other_secret)]);
    other_plan.issuer = "https://other.example/".to_owned();
    other_plan.claims.customer = Some("account".to_owned());
    let other_house = house(&other_plan);
    let both = Credentials::bearer(vec![
        Arc::clone(&one_house.issuer),
        Arc::clone(&other_house.issuer),
    ]);
    let ask = async |token: String| {
        let headers = bearing(&[&format!("Bearer {token}")]);
        both.identify(&Presented::get(&headers), &one_house.clock)
            .await
            .map(|caller| {
                caller
                    .identity()
                    .unwrap()
                    .customer
                    .as_ref()
                    .unwrap()
                    .as_str()
                    .to_owned()
            })
    };
    let elsewhere = json!({"iss": "https://other.example/", "account": "zenith"});
    for round in ["verified", "remembered"] {
        assert_eq!(ask(token(&one, json!({}))).await.unwrap(), "acme", "{round}");
        assert_eq!(
            ask(token(&other, elsewhere.clone())).await.unwrap(),
            "zenith",
            "{round}"
        );
    }
    for forged in [
        token(&one, elsewhere),
        token(&other, json!({})),
        token(&one, json!({"iss": "https://third.example/"})),
    ] {
        assert!(matches!(ask(forged).await, Err(Rejection::CredentialsInvalid(_))));
    }
}

// --- What is remembered

#[tokio::test]
async fn a_token_is_verified_once_and_its_times_are_looked_at_each_time() {
    let (key, source) = secret();
    let house = house(&plan(vec![source]));
    let token = token(&key, json!({"exp": START.0 + 100, "nbf": START.0}));
    for _ in 0..3 {
        house.ask(&token).await.unwrap();
    }
    assert_eq!(
        (house.metrics.verified.value(), house.metrics.cache_hits.value()),
        (1, 2)
    );
    house.clock.set_unix(UnixTime(START.0 - 31));
    assert_eq!(
        house.code(&token).await,
        Some(Code::CredentialsInvalid),
        "before nbf, by a clock that was set back"
    );
    house.clock.set_unix(UnixTime(START.0 + 129));
    assert_eq!(house.code(&token).await, None, "within the leeway");
    house.clock.set_unix(UnixTime(START.0 + 130));
    assert_eq!(house.code(&token).await, Some(Code::TokenExpired));
    assert_eq!(house.issuer.remembered(), 0, "what has expired is forgotten");
    assert_eq!(
        house.code(&token).await,
        Some(Code::TokenExpired),
        "and still refused as expired"
    );
}

#[tokio::test]
async fn refused_tokens_are_not_remembered_and_good_ones_up_to_a_bound() {
    let (key, source) = secret();
    let mut plan = plan(vec![source]);
    plan.cache = 64;
    let house = house(&plan);
    for round in 0..500 {
        let good = token(&key, json!({ "jti": round.to_string() }));
        let forged = format!("{}A", &good[..good.len() - 1]);
        if forged != good {
            assert!(house.ask(&forged).await.is_err());
        }
    }
    assert_eq!(house.issuer.remembered(), 0);
    for round in 0..500 {
        house
            .ask(&token(&key, json!({ "jti": round.to_string() })))
            .await
            .unwrap();
    }
    assert!(
        (1..=64).contains(&house.issuer.remembered()),
        "{}",
        house.issuer.remembered()
    );
}

#[tokio::test]
async fn without_a_cache_every_token_is_verified() {
    let (key, source) = secret();
    let mut plan = plan(vec![source]);
    plan.cache = 0;
    let house = house(&plan);
    let token = token(&key, json!({}));
    for _ in 0..3 {
        house.ask(&token).await.unwrap();
    }
    assert_eq!(
        (house.metrics.verified.value(), house.metrics.cache_hits.value()),
        (3, 0)
    );
}

// --- Keys through time

#[tokio::test]
async fn a_start_without_keys_is_not_ready_and_answers_503_until_they_come() {
    let key = key("one");
    let server = KeyServer::start(answering(500, "")).await;
    let house = house(&plan(vec![server.source()]));
    assert!(!house.ring.ready());
    assert!(!house.ring.warm().await);
    let token = token(&key, json!({}));
    assert_eq!(house.code(&token).await, Some(Code::AuthorityUnavailable));
    assert_eq!(
        house.code("a.b.c").await,
        Some(Code::AuthorityUnavailable),
        "nobody can say that it is bad"
    );
    server.tell(serving(&[&key]));
    assert!(house.ring.refresh_now().await);
    assert!(house.ring.ready());
    assert_eq!(house.code(&token).await, None);
    assert_eq!(house.code("a.b.c").await, Some(Code::CredentialsInvalid));
}

#[tokio::test]
async fn a_rotated_key_is_found_when_it_is_first_used_and_both_are_good_meanwhile() {
    let (old, new) = (key("old"), key("new"));
    let server = KeyServer::start(serving(&[&old])).await;
    let house = house(&plan(vec![server.source()]));
    assert!(house.ring.warm().await);
    let (old_token, new_token) = (token(&old, json!({})), token(&new, json!({})));
    assert_eq!(house.code(&old_token).await, None);
    server.tell(serving(&[&old, &new]));
    assert_eq!(house.code(&new_token).await, None);
    assert_eq!(house.code(&old_token).await, None);
    assert_eq!(server.asked(), 2);
}

#[tokio::test]
async fn a_removed_key_stops_working_at_the_next_request_also_for_tokens_that_are_remembered() {
    let (old, new) = (key("old"), key("new"));
    let server = KeyServer::start(serving(&[&old, &new])).await;
    let house = house(&plan(vec![server.source()]));
    assert!(house.ring.warm().await);
    let (old_token, new_token) = (token(&old, json!({})), token(&new, json!({})));
    for _ in 0..2 {
        assert_eq!(house.code(&old_token).await, None);
        assert_eq!(house.code(&new_token).await, None);
    }
    server.tell(serving(&[&new]));
    assert!(house.ring.refresh_now().await);
    assert_eq!(house.code(&old_token).await, Some(Code::CredentialsInvalid));
    assert_eq!(house.code(&new_token).await, None);
}

#[tokio::test]
async fn a_key_of_the_same_name_with_other_numbers_is_another_key() {
    let (one, other) = (key("k"), key("k"));
    let server = KeyServer::start(serving(&[&one])).await;
    let house = house(&plan(vec![server.source()]));
    assert!(house.ring.warm().await);
    let token = token(&one, json!({}));
    assert_eq!(house.code(&token).await, None);
    server.tell(serving(&[&other]));
    assert!(house.ring.refresh_now().await);
    assert_eq!(house.code(&token).await, Some(Code::CredentialsInvalid));
}

#[tokio::test]
async fn a_refresh_that_brings_the_same_keys_keeps_what_is_remembered() {
    let key = key("k");
    let server = KeyServer::start(serving(&[&key])).await;
    let house = house(&plan(vec![server.source()]));
    assert!(house.ring.warm().await);
    let token = token(&key, json!({}));
    assert_eq!(house.code(&token).await, None);
    assert!(house.ring.refresh_now().await);
    assert_eq!(house.code(&token).await, None);
    assert_eq!(house.metrics.verified.value(), 1);
}

#[tokio::test]
async fn made_up_key_names_fetch_once_in_a_floor_however_many_come() {
    let (known, stranger) = (key("known"), SigningKey::generate(Algorithm::ES256).unwrap());
    let server = KeyServer::start(serving(&[&known])).await;
    let house = house(&plan(vec![server.source()]));
    assert!(house.ring.warm().await);
    let mut forged = Vec::new();
    let mut stranger = Some(stranger);
    for round in 0..100 {
        let named = stranger.take().unwrap().named(format!("made-up-{round}"));
        forged.push(token(&named, json!({})));
        stranger = Some(named);
    }
    let codes = futures_util::future::join_all(forged.iter().map(|token| house.code(token))).await;
    assert!(codes.iter().all(|code| *code == Some(Code::CredentialsInvalid)));
    assert_eq!(server.asked(), 2, "the first fetch, and one for all hundred");
    house.clock.advance(29 * SECOND);
    assert_eq!(house.code(&forged[0]).await, Some(Code::CredentialsInvalid));
    assert_eq!(server.asked(), 2);
    house.clock.advance(SECOND);
    assert_eq!(house.code(&forged[0]).await, Some(Code::CredentialsInvalid));
    assert_eq!(server.asked(), 3);
}

#[tokio::test]
async fn requests_that_meet_a_new_key_at_once_share_one_fetch() {
    let (old, new) = (key("old"), key("new"));
    let server = KeyServer::start(serving(&[&old])).await;
    let house = house(&plan(vec![server.source()]));
    assert!(house.ring.warm().await);
    server.tell(serving(&[&new]));
    let tokens: Vec<String> = (0..50)
        .map(|round| token(&new, json!({ "jti": round.to_string() })))
        .collect();
    let codes = futures_util::future::join_all(tokens.iter().map(|token| house.code(token))).await;
    assert!(codes.iter().all(Option::is_none), "{codes:?}");
    assert_eq!(server.asked(), 2);
}

#[tokio::test]
async fn max_age_says_when_the_next_fetch_is_due() {
    let key = key("k");
    let server = KeyServer::start(with_field(
        serving(&[&key]),
        "cache-control",
        "public, max-age=120",
    ))
    .await;
    let house = house(&plan(vec![server.source()]));
    assert!(house.ring.refresh_due().await);
    assert!(!house.ring.refresh_due().await);
    house.clock.advance(119 * SECOND);
    assert!(!house.ring.refresh_due().await);
    house.clock.advance(SECOND);
    assert!(house.ring.refresh_due().await);
    assert_eq!(server.asked(), 2);
}

#[tokio::test]
async fn during_an_outage_keys_are_used_on_for_a_bounded_time() {
    let key = key("k");
    let server = KeyServer::start(serving(&[&key])).await;
    let house = house(&plan(vec![server.source()]));
    assert!(house.ring.warm().await);
    let (remembered, fresh) = (token(&key, json!({})), token(&key, json!({"jti": "2"})));
    assert_eq!(house.code(&remembered).await, None);
    server.tell(answering(503, ""));
    for _ in 0..4 {
        house.clock.advance(899 * SECOND);
        assert!(!house.ring.refresh_now().await);
    }
    assert_eq!(house.code(&remembered).await, None);
    assert_eq!(house.code(&fresh).await, None);
    house.clock.advance(4 * SECOND);
    assert!(!house.ring.ready());
    assert_eq!(house.code(&remembered).await, Some(Code::AuthorityUnavailable));
    assert_eq!(house.code(&fresh).await, Some(Code::AuthorityUnavailable));
    server.tell(serving(&[&key]));
    assert!(house.ring.refresh_now().await);
    assert_eq!(house.code(&remembered).await, None);
}

#[tokio::test]
async fn a_server_that_lies_changes_no_keys() {
    let (key, stranger) = (key("k"), key("k"));
    let server = KeyServer::start(serving(&[&key])).await;
    let house = house(&plan(vec![server.source()]));
    assert!(house.ring.warm().await);
    let generation = house.ring.generation();
    let forged = token(&stranger, json!({}));
    let hidden = serving(&[&stranger]);
    for (name, told) in [
        (
            "a page for people",
            answering(200, "<!doctype html><h1>Sign in</h1>"),
        ),
        ("nothing", answering(200, "")),
        ("no keys", answering(200, r#"{"keys":[]}"#)),
        (
            "only keys of unknown kinds",
            answering(200, r#"{"keys":[{"kty":"AKP","pub":"AAAA"}]}"#),
        ),
        (
            "a shared secret",
            answering(200, r#"{"keys":[{"kty":"oct","k":"AAAA","kid":"k"}]}"#),
        ),
        (
            "a redirect",
            with_field(answering(302, ""), "location", "/elsewhere"),
        ),
        (
            "a key set with an error status",
            match hidden.clone() {
                Told::Answer(_, fields, body) => Told::Answer(404, fields, body),
                other => other,
            },
        ),
        ("a coded answer", with_field(hidden, "content-encoding", "gzip")),
        (
            "two mebibytes",
            answering(200, &format!("{{\"keys\":[],\"x\":\"{}\"}}", "x".repeat(2 << 20))),
        ),
        ("a mebibyte of brackets", answering(200, &"[".repeat(1 << 20))),
        ("a broken answer", Told::Close),
    ] {
        server.tell(told);
        assert!(!house.ring.refresh_now().await, "{name}");
        assert_eq!(house.ring.generation(), generation, "{name}");
        assert_eq!(
            house.code(&token(&key, json!({"jti": name}))).await,
            None,
            "{name}"
        );
        assert_eq!(
            house.code(&forged).await,
            Some(Code::CredentialsInvalid),
            "{name}"
        );
    }
    assert_eq!(house.metrics.refreshes_failed.value(), 11);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_is_given_up_at_the_deadline() {
    let key = key("k");
    let server = KeyServer::start(Told::Hang).await;
    let house = house(&plan(vec![server.source()]));
    let before = tokio::time::Instant::now();
    assert!(!house.ring.warm().await);
    assert!(before.elapsed() >= tollgate::jose::key_ring::FETCH_WITHIN);
    assert_eq!(
        house.code(&token(&key, json!({}))).await,
        Some(Code::AuthorityUnavailable)
    );
}

#[tokio::test(start_paused = true)]
async fn a_request_does_not_wait_longer_than_it_may_for_a_slow_server() {
    let (known, unknown) = (key("known"), key("unknown"));
    let server = KeyServer::start(Told::Hang).await;
    let (shared, source) = secret();
    let house = house(&plan(vec![source, server.source()]));
    assert!(house.ring.ready(), "the secret is there");
    let before = tokio::time::Instant::now();
    let code = house.code(&token(&unknown, json!({}))).await;
    assert_eq!(
        code,
        Some(Code::AuthorityUnavailable),
        "it may be good by the keys that are missing"
    );
    assert!(before.elapsed() < tollgate::jose::key_ring::FETCH_WITHIN);
    assert_eq!(
        house.code(&token(&shared, json!({}))).await,
        None,
        "tokens of known keys do not wait"
    );
    drop(known);
}

#[tokio::test]
async fn a_request_that_is_given_up_does_not_break_off_the_fetch_for_the_others() {
    let (old, new) = (key("old"), key("new"));
    let server = KeyServer::start(serving(&[&old])).await;
    let house = house(&plan(vec![server.source()]));
    assert!(house.ring.warm().await);
    server.tell(serving(&[&new]));
    let new_token = token(&new, json!({}));
    {
        let given_up = house.code(&new_token);
        tokio::pin!(given_up);
        let waits = std::future::poll_fn(|cx| Poll::Ready(given_up.as_mut().poll(cx).is_pending()));
        assert!(waits.await);
    }
    assert_eq!(house.code(&new_token).await, None);
    assert_eq!(server.asked(), 2);
}

#[tokio::test]
async fn the_background_task_fetches_and_ends_with_the_ring() {
    let key = key("k");
    let server = KeyServer::start(serving(&[&key])).await;
    let house = house(&plan(vec![server.source()]));
    house.ring.start();
    house.ring.start();
    // The first request waits for the fetch that is under way or asks for one itself; there are two at most.
    assert_eq!(house.code(&token(&key, json!({}))).await, None);
    assert!(server.asked() <= 2);
    let weak = Arc::downgrade(&house.ring);
    drop(house);
    tokio::task::yield_now().await;
    assert!(weak.upgrade().is_none());
}

#[tokio::test]
async fn a_reload_hands_over_rings_whose_sources_are_unchanged() {
    let key = key("k");
    let server = KeyServer::start(serving(&[&key])).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    let other = SigningKey::generate(Algorithm::EdDSA).unwrap().named("file");
    std::fs::write(file.path(), other.public_jwk().unwrap().to_string()).unwrap();
    let sources = vec![KeySource::JwkFile(file.path().to_owned()), server.source()];
    let plan_one = plan(sources.clone());
    let house = house(&plan_one);
    assert!(house.ring.warm().await);
    let remembered = token(&key, json!({}));
    assert_eq!(house.code(&remembered).await, None);

    let reopen = |plan: &IssuerPlan| {
        KeyRing::open(plan, &house.clock, Arc::clone(&house.metrics), Some(&house.ring)).unwrap()
    };
    let carry = |plan: &IssuerPlan, ring: &Arc<KeyRing>| {
        Issuer::carried(
            plan,
            Arc::clone(ring),
            Arc::clone(&house.metrics),
            Some(&house.issuer),
        )
    };
    let same = reopen(&plan_one);
    assert!(Arc::ptr_eq(&same, &house.ring));
    assert!(
        Arc::ptr_eq(&carry(&plan_one, &same), &house.issuer),
        "with all it remembers"
    );

    let mut stricter = plan_one.clone();
    stricter.audience = vec!["elsewhere".to_owned()];
    assert!(Arc::ptr_eq(&reopen(&stricter), &house.ring));
    let issuer = carry(&stricter, &same);
    let credentials = Credentials::bearer(vec![issuer]);
    let headers = bearing(&[&format!("Bearer {remembered}")]);
    assert!(
        credentials
            .identify(&Presented::get(&headers), &house.clock)
            .await
            .is_err(),
        "what was verified under other rules is not"
    );

    let newer = SigningKey::generate(Algorithm::EdDSA).unwrap().named("file");
    std::fs::write(file.path(), newer.public_jwk().unwrap().to_string()).unwrap();
    let changed = reopen(&plan_one);
    assert!(
        !Arc::ptr_eq(&changed, &house.ring),
        "a file with other content is another source"
    );
    assert!(
        changed.ready() && !changed.lacks_keys(),
        "what was fetched from the same URL is kept"
    );
    assert_ne!(changed.generation(), house.ring.generation());
    assert_eq!(server.asked(), 1);
}

#[tokio::test]
async fn files_that_hold_no_keys_are_refused_at_load() {
    let clock = Clock::manual(START);
    for content in ["", "hello", "{}", "<html>", r#"{"keys":[]}"#] {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        let path = file.path().to_owned();
        for source in [KeySource::Pem(path.clone()), KeySource::JwkFile(path.clone())] {
            let opened = KeyRing::open(&plan(vec![source]), &clock, Metrics::new().issuer("idp"), None);
            assert!(opened.is_err(), "{content}");
        }
    }
    let missing = KeySource::Pem("/nonexistent/key.pem".into());
    let error = KeyRing::open(&plan(vec![missing]), &clock, Metrics::new().issuer("idp"), None).unwrap_err();
    assert!(error.to_string().contains("/nonexistent/key.pem"), "{error}");
    let short = KeySource::Secret(Secret::new(b"hunter2".to_vec()));
    let error = KeyRing::open(&plan(vec![short]), &clock, Metrics::new().issuer("idp"), None).unwrap_err();
    assert!(!error.to_string().contains("hunter2"), "{error}");
}
