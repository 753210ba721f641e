//! Tokens about which somebody else is asked (RFC 7662): what is sent, what is believed and for how long, and what happens when
//! there is no answer.
//!
//! Time is a manual clock; nothing sleeps. The endpoint is a real one on a port that the system chose.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may stop at the first surprise"
)]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use tollgate::auth::introspection::Introspection;
use tollgate::auth::{Accepted, Authority, Caller, Credentials, Presented};
use tollgate::base::clock::{Clock, UnixTime};
use tollgate::base::secret::Secret;
use tollgate::config::plan::{ClaimsPlan, IntrospectionPlan};
use tollgate::identity::{CredentialKind, IssuerName};
use tollgate::rejection::{Code, Rejection};
use tollgate::telemetry::metrics::Metrics;

const START: UnixTime = UnixTime(1_800_000_000);
const REMEMBER: i64 = 30;
/// Longest time that a refusal is remembered.
const REMEMBER_INACTIVE: i64 = 5;

/// What the endpoint was asked.
#[derive(Debug, Clone)]
struct Asked {
    method: Method,
    target: String,
    headers: HeaderMap,
    body: String,
}

/// An introspection endpoint that answers as it is told.
struct Endpoint {
    address: SocketAddr,
    answer: Arc<Mutex<(u16, String)>>,
    asked: Arc<Mutex<Vec<Asked>>>,
    /// Each answer takes one of these.
    gate: Arc<Semaphore>,
}

impl Endpoint {
    async fn start(answer: Value) -> Endpoint {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = Endpoint {
            address: listener.local_addr().unwrap(),
            answer: Arc::new(Mutex::new((200, answer.to_string()))),
            asked: Arc::default(),
            gate: Arc::new(Semaphore::new(10_000)),
        };
        let told = (
            Arc::clone(&endpoint.answer),
            Arc::clone(&endpoint.asked),
            Arc::clone(&endpoint.gate),
        );
        tollgate::base::tasks::spawn("introspection endpoint", async move {
            while let Ok((stream, _)) = listener.accept().await {
                let told = told.clone();
                tollgate::base::tasks::spawn("introspection connection", async move {
                    let service = service_fn(move |request| answer_one(told.clone(), request));
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        endpoint
    }

    fn tell(&self, status: u16, body: &str) {
        *self.answer.lock().unwrap() = (status, body.to_owned());
    }

    fn tell_json(&self, answer: Value) {
        self.tell(200, &answer.to_string());
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    fn plan(&self) -> IntrospectionPlan {
        IntrospectionPlan {
            name: IssuerName::try_from("legacy").unwrap(),
            url: format!("http://{}/introspect?x=1", self.address).parse().unwrap(),
            ca: None,
            client_id: "gate:way".to_owned(),
            client_secret: Secret::new(b"p\xc3\xa4ss+word".to_vec()),
            audience: Vec::new(),
            claims: ClaimsPlan {
                subject: "sub".to_owned(),
                customer: Some("customer_id".to_owned()),
                tenant: None,
                tenants: None,
                region: None,
                scope: Some("scope".to_owned()),
                roles: Some("/realm/roles".to_owned()),
            },
            cache: 100,
            remember: Duration::from_secs(REMEMBER.unsigned_abs()),
            deadline: Duration::from_secs(2),
        }
    }
}

type Told = (Arc<Mutex<(u16, String)>>, Arc<Mutex<Vec<Asked>>>, Arc<Semaphore>);

async fn answer_one(
    (answer, asked, gate): Told,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes);
    asked.lock().unwrap().push(Asked {
        method: head.method,
        target: head.uri.to_string(),
        headers: head.headers,
        body: String::from_utf8(body.unwrap_or_default().to_vec()).unwrap(),
    });
    gate.acquire().await.unwrap().forget();
    let (status, text) = answer.lock().unwrap().clone();
    let answer = Response::builder().status(status);
    Ok(answer.body(Full::new(Bytes::from(text))).unwrap())
}

struct Door {
    clock: Clock,
    metrics: Arc<Metrics>,
    introspection: Arc<Introspection>,
    credentials: Credentials,
}

impl Door {
    fn of(plan: &IntrospectionPlan) -> Door {
        let metrics = Metrics::new();
        let kind = CredentialKind::Introspected.as_str();
        let introspection = Introspection::new(
            plan,
            metrics.introspection("legacy"),
            metrics.credential("legacy", kind),
        )
        .unwrap();
        let authority = Authority::Introspection(Arc::clone(&introspection));
        Door {
            clock: Clock::manual(START),
            metrics,
            introspection,
            credentials: Credentials::of(vec![Accepted::Bearer(authority)]),
        }
    }

    async fn ask(&self, token: &str) -> Result<Caller, Rejection> {
        let mut headers = HeaderMap::new();
        let value = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
        headers.insert(AUTHORIZATION, value);
        let presented = Presented::get(&headers);
        self.credentials.identify(&presented, &self.clock).await
    }

    async fn code(&self, token: &str) -> Option<Code> {
        self.ask(token).await.err().map(|rejection| rejection.code())
    }

    fn turn(&self, seconds: i64) {
        self.clock.advance(Duration::from_secs(seconds.unsigned_abs()));
    }
}

fn active(more: Value) -> Value {
    let mut answer = json!({
        "active": true, "sub": "alice", "client_id": "app", "customer_id": "acme", "scope": "read write",
        "realm": {"roles": ["admin"]}, "exp": START.0 + 3_600,
    });
    for (name, value) in more.as_object().unwrap() {
        answer[name] = value.clone();
    }
    answer
}

#[tokio::test]
async fn the_question_is_a_form_with_the_gateways_own_credentials() {
    let endpoint = Endpoint::start(active(json!({}))).await;
    let door = Door::of(&endpoint.plan());
    door.ask("a.b/c+d==").await.unwrap();
    let asked = endpoint.asked.lock().unwrap()[0].clone();
    assert_eq!(asked.method, Method::POST);
    assert_eq!(asked.target, "/introspect?x=1");
    assert_eq!(asked.body, "token=a.b%2Fc%2Bd%3D%3D&token_type_hint=access_token");
    assert_eq!(asked.headers[CONTENT_TYPE], "application/x-www-form-urlencoded");
    assert_eq!(asked.headers[ACCEPT], "application/json");
    // `gate%3Away:p%C3%A4ss%2Bword`: each part is form-encoded before they are joined (RFC 6749 section 2.3.1).
    assert_eq!(
        asked.headers[AUTHORIZATION],
        "Basic Z2F0ZSUzQXdheTpwJUMzJUE0c3MlMkJ3b3Jk"
    );
}

#[tokio::test]
async fn an_active_token_stands_for_what_the_answer_says() {
    let endpoint = Endpoint::start(active(json!({}))).await;
    let door = Door::of(&endpoint.plan());
    for _ in 0..3 {
        let caller = door.ask("token").await.unwrap();
        let known = caller.known().unwrap();
        let identity = &known.identity;
        assert_eq!(identity.kind, CredentialKind::Introspected);
        assert_eq!(identity.issuer.as_str(), "legacy");
        assert_eq!(identity.subject.as_str(), "alice");
        assert_eq!(identity.client.as_ref().unwrap().as_str(), "app");
        assert_eq!(known.values.customer.as_ref().unwrap(), "acme");
        assert_eq!(known.values.tenant.as_ref().unwrap(), "acme");
        assert_eq!(known.values.scopes.as_ref().unwrap(), "read write");
        assert_eq!(known.values.roles.as_ref().unwrap(), "admin");
    }
    assert_eq!(endpoint.asked(), 1);
    let text = door.metrics.render();
    assert!(text.contains("tollgate_introspections_total{issuer=\"legacy\",result=\"active\"} 1"));
    assert!(
        text.contains("tollgate_credential_cache_hits_total{authority=\"legacy\",kind=\"introspected\"} 2"),
        "{text}"
    );
}

#[tokio::test]
async fn an_answer_is_remembered_for_a_while_and_never_beyond_the_end_of_the_token() {
    let endpoint = Endpoint::start(active(json!({}))).await;
    let door = Door::of(&endpoint.plan());
    assert_eq!(door.code("token").await, None);
    door.turn(REMEMBER - 1);
    assert_eq!(door.code("token").await, None);
    assert_eq!(endpoint.asked(), 1);
    endpoint.tell_json(json!({"active": false}));
    door.turn(1);
    assert_eq!(
        door.code("token").await,
        Some(Code::CredentialsInvalid),
        "a revocation there is noticed so late"
    );
    assert_eq!(endpoint.asked(), 2);

    let now = door.clock.unix().0;
    endpoint.tell_json(active(json!({"exp": now + 10})));
    assert_eq!(door.code("short").await, None);
    door.turn(9);
    assert_eq!(door.code("short").await, None);
    assert_eq!(endpoint.asked(), 3);
    door.turn(1);
    assert_eq!(
        door.code("short").await,
        Some(Code::CredentialsInvalid),
        "the endpoint's clock may be late, ours says that it is over"
    );
    assert_eq!(endpoint.asked(), 4);
}

#[tokio::test]
async fn a_refusal_is_remembered_for_a_moment() {
    let endpoint = Endpoint::start(json!({"active": false})).await;
    let door = Door::of(&endpoint.plan());
    for _ in 0..5 {
        assert_eq!(door.code("token").await, Some(Code::CredentialsInvalid));
    }
    assert_eq!(endpoint.asked(), 1);
    endpoint.tell_json(active(json!({})));
    door.turn(REMEMBER_INACTIVE - 1);
    assert_eq!(door.code("token").await, Some(Code::CredentialsInvalid));
    door.turn(1);
    assert_eq!(door.code("token").await, None);
    assert_eq!(endpoint.asked(), 2);
}

#[tokio::test]
async fn what_the_answer_says_of_the_token_is_looked_at() {
    let endpoint = Endpoint::start(active(json!({}))).await;
    let mut plan = endpoint.plan();
    plan.audience = vec!["central".to_owned()];
    let door = Door::of(&plan);
    for (number, (more, wanted)) in [
        (json!({"aud": "central"}), None),
        (json!({"aud": ["else", "central"]}), None),
        (json!({"aud": "else"}), Some(Code::CredentialsInvalid)),
        (json!({}), Some(Code::CredentialsInvalid)),
        (
            json!({"aud": "central", "exp": START.0}),
            Some(Code::CredentialsInvalid),
        ),
        (
            json!({"aud": "central", "nbf": START.0 + 1}),
            Some(Code::CredentialsInvalid),
        ),
        (json!({"aud": "central", "nbf": START.0}), None),
        (
            json!({"aud": "central", "sub": null}),
            Some(Code::CredentialsInvalid),
        ),
        (
            json!({"aud": "central", "customer_id": "a b"}),
            Some(Code::CredentialsInvalid),
        ),
        (
            json!({"aud": "central", "exp": null}),
            Some(Code::AuthorityUnavailable),
        ),
        (
            json!({"aud": "central", "exp": "later"}),
            Some(Code::AuthorityUnavailable),
        ),
    ]
    .into_iter()
    .enumerate()
    {
        endpoint.tell_json(active(more.clone()));
        let code = door.code(&format!("token-{number}")).await;
        assert_eq!(code, wanted, "{more}");
    }
}

#[tokio::test]
async fn what_is_no_answer_lets_nobody_in_and_is_not_remembered() {
    let endpoint = Endpoint::start(json!({})).await;
    let door = Door::of(&endpoint.plan());
    for (status, body) in [
        (500, r#"{"active":true,"sub":"alice"}"#),
        (401, r#"{"error":"invalid_client"}"#),
        (302, r#"{"active":true,"sub":"alice"}"#),
        (200, ""),
        (200, "true"),
        (200, "{}"),
        (200, r#"{"active":"true","sub":"alice"}"#),
        (200, r#"{"active":1,"sub":"alice"}"#),
        (200, r#"{"active":true,"active":false}"#),
        (200, "<html>"),
    ] {
        endpoint.tell(status, body);
        assert_eq!(
            door.code("token").await,
            Some(Code::AuthorityUnavailable),
            "{status} {body}"
        );
    }
    endpoint.tell_json(active(json!({})));
    assert_eq!(door.code("token").await, None);
}

#[tokio::test]
async fn requests_at_once_with_one_token_share_one_question() {
    let endpoint = Endpoint::start(active(json!({}))).await;
    let door = Door::of(&endpoint.plan());
    let codes = futures_util::future::join_all((0..50).map(|_| door.code("token"))).await;
    assert!(codes.iter().all(Option::is_none), "{codes:?}");
    assert_eq!(endpoint.asked(), 1);
}

#[tokio::test]
async fn a_request_that_goes_away_leaves_the_question_to_the_next() {
    let endpoint = Endpoint::start(active(json!({}))).await;
    endpoint.gate.forget_permits(10_000);
    let door = Door::of(&endpoint.plan());
    {
        let gone = door.code("token");
        tokio::pin!(gone);
        while endpoint.asked() == 0 {
            let waits = std::future::poll_fn(|cx| Poll::Ready(gone.as_mut().poll(cx).is_pending()));
            assert!(waits.await);
            tokio::task::yield_now().await;
        }
    }
    endpoint.gate.add_permits(10_000);
    assert_eq!(door.code("token").await, None);
    assert_eq!(endpoint.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_says_nothing_is_given_up_at_the_deadline_by_all_who_wait() {
    let endpoint = Endpoint::start(active(json!({}))).await;
    endpoint.gate.forget_permits(10_000);
    let door = Door::of(&endpoint.plan());
    let before = tokio::time::Instant::now();
    let codes = futures_util::future::join_all((0..20).map(|_| door.code("token"))).await;
    assert!(
        codes.iter().all(|code| *code == Some(Code::AuthorityUnavailable)),
        "{codes:?}"
    );
    let waited = before.elapsed();
    assert!(
        waited >= Duration::from_secs(2) && waited < Duration::from_secs(3),
        "{waited:?}"
    );
}

#[tokio::test]
async fn an_endpoint_that_is_not_there_lets_nobody_in_but_those_who_are_remembered() {
    let endpoint = Endpoint::start(active(json!({}))).await;
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut plan = endpoint.plan();
    let door = Door::of(&plan);
    assert_eq!(door.code("token").await, None);
    plan.url = format!("http://{}/", nobody.local_addr().unwrap())
        .parse()
        .unwrap();
    drop(nobody);
    let elsewhere = Door::of(&plan);
    assert_eq!(elsewhere.code("token").await, Some(Code::AuthorityUnavailable));
    endpoint.tell(503, "");
    assert_eq!(door.code("token").await, None, "it is remembered");
    assert_eq!(door.code("other").await, Some(Code::AuthorityUnavailable));
}

#[tokio::test]
async fn without_a_cache_each_request_asks() {
    let endpoint = Endpoint::start(active(json!({}))).await;
    let mut plan = endpoint.plan();
    plan.cache = 0;
    let door = Door::of(&plan);
    for _ in 0..3 {
        assert_eq!(door.code("token").await, None);
    }
    assert_eq!(endpoint.asked(), 3);
    plan = endpoint.plan();
    plan.remember = Duration::ZERO;
    let door = Door::of(&plan);
    for _ in 0..3 {
        assert_eq!(door.code("token").await, None);
    }
    assert_eq!(endpoint.asked(), 6);
}

#[tokio::test]
async fn a_reload_keeps_what_is_remembered_if_nothing_of_it_has_changed() {
    let endpoint = Endpoint::start(active(json!({}))).await;
    let plan = endpoint.plan();
    let door = Door::of(&plan);
    let carry = |plan: &IntrospectionPlan| {
        let kind = CredentialKind::Introspected.as_str();
        let (metrics, known) = (&door.metrics, Some(&door.introspection));
        let introspection = metrics.introspection("legacy");
        let credential = metrics.credential("legacy", kind);
        Introspection::carried(plan, introspection, credential, known).unwrap()
    };
    assert!(Arc::ptr_eq(&carry(&plan), &door.introspection));
    let mut other = plan.clone();
    other.client_secret = Secret::new(b"new".to_vec());
    assert!(!Arc::ptr_eq(&carry(&other), &door.introspection));
    let mut other = plan.clone();
    other.audience = vec!["central".to_owned()];
    assert!(!Arc::ptr_eq(&carry(&other), &door.introspection));
    let mut other = plan;
    other.url = "http://127.0.0.1:1/".parse().unwrap();
    assert!(!Arc::ptr_eq(&carry(&other), &door.introspection));
}
