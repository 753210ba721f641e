//! Deadlines towards the endpoint, and whose fault their passing is.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::Method;
use http_body::Body as _;
use http_body_util::BodyExt;
use tokio::time::Instant;

use super::script::{Server, Step, say};
use super::{LONG, SHORT, Seen, data, get, patient, plan, request, send, service, streamed};
use crate::config::plan::UpstreamTimeouts;
use crate::http::body::Body;
use crate::rejection::{Code, Rejection};
use crate::upstream::UpstreamBodyError;
use crate::upstream::alarm::Alarm;
use crate::upstream::deadlines::{Deadlines, Expired};
use crate::upstream::outbound::Outbound;

#[tokio::test]
async fn silence_is_a_timeout_and_closes_the_connection() {
    let server = Server::start(vec![vec![Step::Head, Step::Hold]]).await;
    let mut plan = plan(&[server.address]);
    plan.timeouts.first_byte = SHORT;
    let service = service(&plan);
    let (answer, _) = send(&service, request(Method::GET, Body::empty())).await;
    assert!(
        matches!(answer, Err(Rejection::UpstreamTimeout { after: SHORT })),
        "{answer:?}"
    );
    server.script_ended().await;
    assert_eq!(get(&patient(&service, &plan)).await, Seen::whole(200, "good"));
}

#[tokio::test]
async fn interim_answers_do_not_prolong_the_wait_for_the_head() {
    let script = vec![Step::Head, say("HTTP/1.1 100 Continue\r\n\r\n"), Step::Hold];
    let server = Server::start(vec![script]).await;
    let mut plan = plan(&[server.address]);
    plan.timeouts.first_byte = SHORT;
    assert_eq!(get(&service(&plan)).await, Seen::Refused(Code::UpstreamTimeout));
}

#[tokio::test]
async fn the_whole_exchange_has_a_deadline_of_its_own() {
    let server = Server::start(vec![vec![Step::Head, Step::Hold]]).await;
    let mut plan = plan(&[server.address]);
    plan.timeouts.whole = SHORT;
    let (answer, _) = send(&service(&plan), request(Method::GET, Body::empty())).await;
    assert!(
        matches!(answer, Err(Rejection::UpstreamTimeout { after: SHORT })),
        "{answer:?}"
    );
}

/// Long enough for the head of an answer to arrive on any machine.
const WHOLE: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_body_that_stops_is_cut_at_the_idle_deadline_or_at_the_whole_one() {
    let part = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello";
    for idle in [true, false] {
        let server = Server::start(vec![vec![Step::Head, say(part), Step::Hold]]).await;
        let mut plan = plan(&[server.address]);
        if idle {
            plan.timeouts.idle = SHORT;
        } else {
            plan.timeouts.whole = WHOLE;
        }
        let service = service(&plan);
        let mut body = send(&service, request(Method::GET, Body::empty()))
            .await
            .0
            .unwrap()
            .into_body();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "hello");
        let error = body.frame().await.unwrap().unwrap_err();
        match error {
            UpstreamBodyError::Idle { after } if idle => assert_eq!(after, SHORT),
            UpstreamBodyError::Whole { after } if !idle => assert_eq!(after, WHOLE),
            other => panic!("{other}"),
        }
        assert!(body.frame().await.unwrap().is_err(), "it stays broken");
        assert!(!body.is_end_stream());
        server.script_ended().await;
        assert_eq!(get(&patient(&service, &plan)).await, Seen::whole(200, "good"));
    }
}

#[tokio::test]
async fn a_handshake_that_hangs_ends_at_the_connect_deadline() {
    let server = Server::start(vec![vec![Step::Hold]]).await;
    let mut plan = plan(&[server.address]);
    plan.endpoints[0].tls = true;
    let directory = tempfile::tempdir().unwrap();
    let ca = directory.path().join("ca.pem");
    let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(&ca, key.cert.pem()).unwrap();
    plan.tls.ca = Some(ca);
    plan.timeouts.connect = SHORT;
    let service = service(&plan);
    assert_eq!(get(&service).await, Seen::Refused(Code::UpstreamUnreachable));
    assert!(service.facts()[0].is_aside);
    server.script_ended().await;
}

fn deadlines(first_byte: u64, whole: u64) -> Deadlines {
    let timeouts = UpstreamTimeouts {
        connect: Duration::from_secs(1),
        first_byte: Duration::from_secs(first_byte),
        idle: LONG,
        whole: Duration::from_secs(whole),
    };
    Deadlines::new(Instant::now(), &timeouts)
}

fn poll(body: &mut Outbound) -> Poll<bool> {
    let mut cx = Context::from_waker(Waker::noop());
    Pin::new(body).poll_frame(&mut cx).map(|frame| frame.is_some())
}

/// The task that waits for the head, without an answer ever.
async fn waited(deadlines: &Deadlines, body: &Outbound) -> (Expired, Duration) {
    let began = Instant::now();
    let progress = body.progress();
    let expired = deadlines
        .head(
            std::future::pending::<()>(),
            began,
            &mut Alarm::default(),
            progress.as_deref(),
        )
        .await
        .unwrap_err();
    (expired, began.elapsed())
}

#[tokio::test(start_paused = true)]
async fn the_first_byte_deadline_counts_from_the_last_movement_of_the_clients_body() {
    let deadlines = deadlines(10, 60);
    let mut body = Outbound::new(streamed(vec![data("a"), data("b")], true), Instant::now());
    let slow = async {
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_secs(8)).await;
            assert!(poll(&mut body).is_ready());
        }
        body
    };
    let progress = {
        let began = Instant::now();
        let mut alarm = Alarm::default();
        let (body, ()) = tokio::join!(slow, async {});
        let progress = body.progress();
        let head = deadlines.head(
            std::future::pending::<()>(),
            began,
            &mut alarm,
            progress.as_deref(),
        );
        let expired = head.await.unwrap_err();
        (expired, began.elapsed())
    };
    assert_eq!(
        progress,
        (
            Expired::FirstByte(Duration::from_secs(10)),
            Duration::from_secs(3 * 8 + 10)
        )
    );
}

#[tokio::test(start_paused = true)]
async fn while_the_client_has_nothing_to_send_only_the_whole_deadline_counts() {
    let deadlines = deadlines(10, 60);
    let mut body = Outbound::new(streamed(vec![], false), Instant::now());
    assert!(poll(&mut body).is_pending());
    assert_eq!(
        waited(&deadlines, &body).await,
        (Expired::Client, Duration::from_secs(60))
    );
    assert!(matches!(
        Rejection::from(Expired::Client),
        Rejection::RequestTimeout
    ));
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_takes_the_body_no_further_has_the_first_byte_deadline() {
    let deadlines = deadlines(10, 60);
    let mut body = Outbound::new(streamed(vec![data("a"), data("b")], false), Instant::now());
    assert!(poll(&mut body).is_ready());
    let (expired, after) = waited(&deadlines, &body).await;
    assert_eq!(
        (expired, after.as_secs()),
        (Expired::FirstByte(Duration::from_secs(10)), 10)
    );
}

#[tokio::test(start_paused = true)]
async fn connects_have_their_own_deadline_within_that_of_the_first_byte() {
    let deadlines = deadlines(10, 60);
    let now = deadlines.began;
    assert_eq!(deadlines.connect_by(now), now + Duration::from_secs(1));
    let late = now + Duration::from_millis(9_500);
    assert_eq!(deadlines.connect_by(late), now + Duration::from_secs(10));
}
