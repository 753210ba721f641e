//! The gateway as a `tower::Service`: called with `oneshot`, with a layer around it, and the example that shows it.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

#[path = "../benches/scene/mod.rs"]
mod scene;

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use scene::{HIT, HOST, LIMITED, NOW, config, request};
use tokio::time::Instant;
use tollgate::base::clock::Clock;
use tollgate::gateway::{Gateway, Options};
use tollgate::reply::Reply;
use tower::util::MapResponseLayer;
use tower::{ServiceBuilder, ServiceExt};

async fn start() -> Gateway {
    let options = Options {
        clock: Clock::manual(NOW),
        ..Options::default()
    };
    Gateway::start(config("http://127.0.0.1:9"), options)
        .await
        .unwrap()
}

async fn json(answer: Response<Reply>) -> serde_json::Value {
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    serde_json::from_slice(&body).unwrap()
}

#[tokio::test]
async fn the_service_answers_admits_and_refuses_like_a_listener() {
    let gateway = start().await;
    let answer = gateway.service().oneshot(request(HIT)).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(json(answer).await, serde_json::json!({"items": []}));

    let mut stranger = request(HIT);
    stranger.headers_mut().remove(header::AUTHORIZATION);
    let answer = gateway.service().oneshot(stranger).await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert!(answer.headers().contains_key(header::WWW_AUTHENTICATE));
    assert_eq!(json(answer).await["code"], "credentials_missing");

    let answer = gateway.service().oneshot(request(LIMITED)).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let answer = gateway.service().oneshot(request(LIMITED)).await.unwrap();
    assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(answer.headers().contains_key(header::RETRY_AFTER));
    assert_eq!(json(answer).await["code"], "rate_limited");
    gateway.stop();
}

#[tokio::test]
async fn a_layer_sees_answers_and_refusals_and_may_change_them() {
    let gateway = start().await;
    let service = ServiceBuilder::new()
        .layer(MapResponseLayer::new(|mut answer: Response<Reply>| {
            let value = http::HeaderValue::from_static("around");
            answer.headers_mut().insert("x-layer", value);
            answer
        }))
        .service(gateway.service());
    for (path, status) in [(HIT, StatusCode::OK), ("/nowhere", StatusCode::NOT_FOUND)] {
        let answer = service.clone().oneshot(request(path)).await.unwrap();
        assert_eq!(answer.status(), status);
        assert_eq!(answer.headers()["x-layer"], "around");
    }
    gateway.stop();
}

#[tokio::test]
async fn any_body_type_is_taken_and_its_bytes_are_subject_to_the_same_guard() {
    let gateway = start().await;
    let (mut parts, _) = request(HIT).into_parts();
    parts.method = http::Method::POST;
    let call = Request::from_parts(parts, Full::new(bytes::Bytes::from_static(b"{}")));
    let answer = gateway.service().oneshot(call).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);

    let mut two_hosts = request(HIT);
    let other = http::HeaderValue::from_static("other.test");
    two_hosts.headers_mut().append(header::HOST, other);
    let answer = gateway.service().oneshot(two_hosts).await.unwrap();
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    gateway.stop();
}

#[tokio::test]
async fn a_counted_body_has_the_time_of_the_backend_that_it_is_for() {
    const TEXT: &str = r#"
listeners: [{ address: 127.0.0.1:0 }]
server: { timeouts: { body: 10s } }
backends:
  quick: { endpoints: ["http://127.0.0.1:9"], timeouts: { first-byte: 30s, whole: 42s } }
  patient: { endpoints: ["http://127.0.0.1:9"], timeouts: { whole: 90s } }
  fixed: { respond: { body: ok }, timeouts: { whole: 50s } }
apis:
  api:
    hosts: [api.test]
    routes:
      - { path: /quick, public: true, items: { body: /devices }, to: { backend: quick } }
      - { path: /patient, public: true, items: { body: /devices }, to: { backend: patient } }
      - { path: /fixed, public: true, items: { body: /devices }, to: { backend: fixed } }
      - { path: /here, public: true, items: { body: /devices }, to: { respond: { body: ok } } }
"#;
    let plan = tollgate::config::load_text(TEXT, "test.yaml", &|_| None).unwrap();
    let gateway = Gateway::start(plan, Options::default()).await.unwrap();
    tokio::time::pause();
    for (path, seconds) in [("/quick", 42), ("/patient", 90), ("/fixed", 50), ("/here", 300)] {
        // A blank every five seconds: never idle, and never done.
        let mut clock = tokio::time::interval(Duration::from_secs(5));
        let drip = futures_util::stream::poll_fn(move |task| {
            clock
                .poll_tick(task)
                .map(|_| Some(Ok::<_, Infallible>(Frame::data(Bytes::from_static(b" ")))))
        });
        let mut call = Request::post(path)
            .header(header::HOST, HOST)
            .body(StreamBody::new(drip))
            .unwrap();
        call.headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let begin = Instant::now();
        let answer = gateway.service().oneshot(call).await.unwrap();
        assert_eq!(answer.status(), StatusCode::REQUEST_TIMEOUT, "{path}");
        assert_eq!(json(answer).await["code"], "request_timeout");
        assert_eq!(begin.elapsed().as_secs(), seconds, "{path}");
    }
    gateway.stop();
}

#[test]
fn the_example_lets_two_calls_through_and_refuses_the_third_within_its_own_layer() {
    let output = std::process::Command::new(env!("CARGO"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["run", "--quiet", "--locked", "--example", "embed"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    // Each answer's head, and its body set in.
    let heads: Vec<&str> = said.lines().filter(|line| line.contains("Some(")).collect();
    assert_eq!(heads.len(), 3, "{said}");
    for (head, status) in heads.iter().zip(["200 OK", "200 OK", "429 Too Many Requests"]) {
        assert!(
            head.starts_with(status) && head.contains("gateway;dur="),
            "{head}"
        );
    }
}
