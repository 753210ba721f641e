//! What is sent a second time, and what never is.

use bytes::Bytes;
use http::Method;
use http_body_util::BodyExt;

use super::script::{GOOD, Server, Step, say};
use super::{Seen, data, facts, get, plan, request, see, send, service, streamed};
use crate::http::body::Body;
use crate::rejection::Code;

/// Serves once, reads a second request and closes without an answer.
fn dies_at_the_second() -> Vec<Step> {
    vec![Step::Head, say(GOOD), Step::Head]
}

#[tokio::test]
async fn a_get_is_sent_again_when_its_reused_connection_closes_before_the_answer() {
    let server = Server::start(vec![dies_at_the_second()]).await;
    let service = service(&plan(&[server.address]));
    assert_eq!(get(&service).await, Seen::whole(200, "good"));
    let (answer, note) = send(&service, request(Method::GET, Body::empty())).await;
    assert_eq!(see(answer).await, Seen::whole(200, "good"));
    assert_eq!(note.attempts, 2);
    assert_eq!(facts(&service).retries, 1);
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn a_put_with_a_body_at_hand_is_sent_again_whole() {
    let server = Server::start(vec![dies_at_the_second()]).await;
    let service = service(&plan(&[server.address]));
    assert_eq!(get(&service).await, Seen::whole(200, "good"));
    let (answer, _) = send(&service, request(Method::PUT, Body::full("{\"a\":1}"))).await;
    assert_eq!(see(answer).await, Seen::whole(200, "good"));
    for connection in [0, 1] {
        assert!(
            server.received(connection).ends_with("\r\n\r\n{\"a\":1}"),
            "{}",
            server.received(connection)
        );
    }
}

#[tokio::test]
async fn what_is_not_idempotent_or_cannot_be_had_again_is_sent_once() {
    let cases = [
        (Method::POST, Body::empty()),
        (Method::POST, Body::full("x")),
        (Method::PATCH, Body::full("x")),
        (Method::from_bytes(b"MOVE").unwrap(), Body::empty()),
        (Method::PUT, streamed(vec![data("x")], true)),
    ];
    for (method, body) in cases {
        let server = Server::start(vec![dies_at_the_second()]).await;
        let service = service(&plan(&[server.address]));
        assert_eq!(get(&service).await, Seen::whole(200, "good"));
        let (answer, note) = send(&service, request(method.clone(), body)).await;
        assert_eq!(
            see(answer).await,
            Seen::Refused(Code::UpstreamInvalid),
            "{method}"
        );
        assert_eq!(note.attempts, 1, "{method}");
        assert_eq!(server.requests().len(), 2, "{method}");
    }
}

#[tokio::test]
async fn a_new_connection_that_breaks_off_is_no_reason_to_try_again() {
    let server = Server::start(vec![vec![Step::Head]]).await;
    let service = service(&plan(&[server.address]));
    assert_eq!(get(&service).await, Seen::Refused(Code::UpstreamInvalid));
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn after_a_byte_of_the_answer_nothing_is_sent_again() {
    let server = Server::start(vec![vec![Step::Head, say(GOOD), Step::Head, say("H")]]).await;
    let service = service(&plan(&[server.address]));
    assert_eq!(get(&service).await, Seen::whole(200, "good"));
    assert_eq!(get(&service).await, Seen::Refused(Code::UpstreamInvalid));
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn the_second_try_is_made_on_a_new_connection_and_is_the_last() {
    let server = Server::start(vec![
        dies_at_the_second(),
        dies_at_the_second(),
        dies_at_the_second(),
        vec![Step::Head],
    ])
    .await;
    let service = service(&plan(&[server.address]));
    let calls = (0..3).map(|_| send(&service, request(Method::GET, Body::empty())));
    for (answer, _) in futures_util::future::join_all(calls).await {
        answer.unwrap().into_body().collect().await.unwrap();
    }
    assert_eq!(facts(&service).pooled, 3);
    assert_eq!(get(&service).await, Seen::Refused(Code::UpstreamInvalid));
    assert_eq!(server.connections(), 4);
    assert_eq!(server.requests().len(), 3 + 2);
}

#[tokio::test]
async fn a_post_survives_that_its_idle_connection_was_closed_meanwhile() {
    for _ in 0..20 {
        let server = Server::start(vec![vec![Step::Head, say(GOOD)]]).await;
        let service = service(&plan(&[server.address]));
        assert_eq!(get(&service).await, Seen::whole(200, "good"));
        // Closed by the server; whether we know it yet is left open, and must not matter.
        server.script_ended().await;
        let (answer, _) = send(&service, request(Method::POST, Body::full("x"))).await;
        assert_eq!(see(answer).await, Seen::Whole(200, Bytes::from_static(b"good")));
        assert_eq!(
            server
                .requests()
                .iter()
                .filter(|line| line.starts_with("POST"))
                .count(),
            1
        );
    }
}
