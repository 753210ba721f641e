use std::convert::Infallible;

use http::{HeaderMap, HeaderName, HeaderValue};
use http_body_util::{BodyExt, StreamBody};
use tokio::sync::mpsc;

use super::*;

const IDLE: Duration = Duration::from_secs(5);

type Sent = Result<Frame<Bytes>, Box<dyn Error + Send + Sync>>;

/// A body and the hand that feeds it.
fn fed() -> (mpsc::Sender<Sent>, Body) {
    let (hand, mut frames) = mpsc::channel::<Sent>(16);
    let stream = futures_util::stream::poll_fn(move |cx| frames.poll_recv(cx));
    (hand, Body::boxed(StreamBody::new(stream).boxed_unsync()))
}

fn data(text: &'static str) -> Sent {
    Ok(Frame::data(Bytes::from_static(text.as_bytes())))
}

async fn read(body: Body) -> Result<Bytes, BodyError> {
    body.collect().await.map(http_body_util::Collected::to_bytes)
}

#[tokio::test]
async fn an_empty_body_needs_no_guard() {
    for body in [
        Body::empty(),
        Body::default(),
        Body::full(Bytes::new()),
        Body::held(vec![], Body::empty()),
    ] {
        assert!(body.is_empty_now() && body.is_replayable());
        assert_eq!(body.declared(), Some(0));
        let (body, fate) = body.guarded(0, IDLE, None);
        assert!(fate.is_none() && body.is_replayable());
        assert_eq!(read(body).await, Ok(Bytes::new()));
    }
}

#[tokio::test]
async fn a_whole_body_can_be_sent_again() {
    let body = Body::full("abc");
    let again = body.replay().unwrap();
    assert_eq!(read(body).await, Ok(Bytes::from_static(b"abc")));
    assert_eq!(read(again).await, Ok(Bytes::from_static(b"abc")));
    let (_hand, streaming) = fed();
    assert!(!streaming.is_replayable() && streaming.replay().is_none());
}

#[tokio::test]
async fn what_was_read_already_comes_first() {
    let (hand, rest) = fed();
    hand.send(data("c")).await.unwrap();
    drop(hand);
    let body = Body::held(
        vec![Bytes::from_static(b"a"), Bytes::new(), Bytes::from_static(b"b")],
        rest,
    );
    assert_eq!(body.size_hint().lower(), 2);
    assert_eq!(read(body).await, Ok(Bytes::from_static(b"abc")));
    let whole = Body::held(vec![Bytes::from_static(b"ab")], Body::empty());
    assert!(whole.is_replayable());
    let parts = Body::held(
        vec![Bytes::from_static(b"a"), Bytes::from_static(b"b")],
        Body::empty(),
    );
    assert_eq!(parts.declared(), Some(2));
    assert_eq!(read(parts).await, Ok(Bytes::from_static(b"ab")));
}

#[tokio::test]
async fn a_body_beyond_its_limit_fails_and_says_so_to_whoever_asks() {
    let (hand, body) = fed();
    let (mut body, fate) = body.guarded(5, IDLE, None);
    let fate = fate.unwrap();
    hand.send(data("12345")).await.unwrap();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "12345");
    assert_eq!(fate.failure(), None);
    hand.send(data("6")).await.unwrap();
    assert_eq!(
        body.frame().await.unwrap().unwrap_err(),
        BodyError::TooLarge { limit: 5 }
    );
    assert_eq!(fate.failure(), Some(BodyError::TooLarge { limit: 5 }));
    assert!(body.frame().await.is_none(), "it is not polled again");
    assert!(hand.is_closed(), "and what is left is let go");
}

#[tokio::test]
async fn a_declared_length_beyond_the_limit_fails_before_a_byte_is_read() {
    let (body, fate) = Body::full("123456").guarded(5, IDLE, None);
    assert!(!body.is_empty_now());
    assert_eq!(read(body).await, Err(BodyError::TooLarge { limit: 5 }));
    assert_eq!(fate.unwrap().failure(), Some(BodyError::TooLarge { limit: 5 }));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_stops_sending_is_not_waited_for() {
    let (hand, body) = fed();
    let (mut body, fate) = body.guarded(100, IDLE, None);
    hand.send(data("1")).await.unwrap();
    body.frame().await.unwrap().unwrap();
    let begin = tokio::time::Instant::now();
    assert_eq!(body.frame().await.unwrap().unwrap_err(), BodyError::Idle);
    assert_eq!(begin.elapsed(), IDLE);
    assert_eq!(fate.unwrap().failure(), Some(BodyError::Idle));
}

#[tokio::test(start_paused = true)]
async fn each_wait_has_its_own_deadline_and_time_without_a_reader_does_not_count() {
    let (hand, body) = fed();
    let (mut body, fate) = body.guarded(100, IDLE, None);
    for _ in 0..4 {
        let (frame, ()) = tokio::join!(body.frame(), async {
            tokio::time::advance(IDLE - Duration::from_millis(1)).await;
            hand.send(data("1")).await.unwrap();
        });
        assert!(frame.unwrap().is_ok());
        // Nobody reads: a slow backend is not the client's fault.
        tokio::time::advance(IDLE * 3).await;
    }
    drop(hand);
    assert!(body.frame().await.is_none());
    assert_eq!(fate.unwrap().failure(), None);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_due_must_be_there_in_time_however_steadily_it_drips() {
    const DUE: Duration = Duration::from_secs(12);
    let (hand, body) = fed();
    let (body, fate) = body.guarded(100, IDLE, None);
    let begin = tokio::time::Instant::now();
    let dripping = async {
        // Never idle for long, and never done.
        while hand.send(data("1")).await.is_ok() {
            tokio::time::sleep(IDLE - Duration::from_secs(1)).await;
        }
    };
    let (read, ()) = tokio::join!(read(body.due_within(DUE)), dripping);
    assert_eq!(read, Err(BodyError::Late));
    assert_eq!(fate.unwrap().failure(), Some(BodyError::Late));
    assert!(begin.elapsed() >= DUE && begin.elapsed() < DUE + IDLE);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_due_is_late_at_that_very_moment_and_idle_before_it() {
    for (due, after, error) in [
        (IDLE * 2, IDLE, BodyError::Idle),
        (IDLE / 2, IDLE / 2, BodyError::Late),
    ] {
        let (_hand, body) = fed();
        let (body, _) = body.guarded(100, IDLE, None);
        let begin = tokio::time::Instant::now();
        assert_eq!(read(body.due_within(due)).await, Err(error));
        assert_eq!(begin.elapsed(), after);
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_nobody_guards_can_be_due_too() {
    let (_hand, body) = fed();
    assert_eq!(read(body.due_within(IDLE)).await, Err(BodyError::Late));
    let (hand, body) = fed();
    hand.send(data("1")).await.unwrap();
    drop(hand);
    assert_eq!(read(body.due_within(IDLE)).await, Ok(Bytes::from_static(b"1")));
    let whole = Body::full("abc").due_within(IDLE);
    assert!(whole.is_replayable(), "what is there needs no deadline");
}

#[tokio::test]
async fn a_body_that_breaks_off_is_an_error_and_not_an_end() {
    let (hand, body) = fed();
    let (body, fate) = body.guarded(100, IDLE, None);
    hand.send(data("1")).await.unwrap();
    hand.send(Err("connection reset".into())).await.unwrap();
    assert_eq!(read(body).await, Err(BodyError::Broken));
    assert_eq!(fate.unwrap().failure(), Some(BodyError::Broken));
}

#[tokio::test]
async fn trailers_are_filtered_and_vanish_when_nothing_is_left() {
    let managed = Arc::new(ManagedNames::new([HeaderName::from_static("x-tenant-id")]));
    let mut forged = HeaderMap::new();
    forged.insert("x_tenant_id", HeaderValue::from_static("evil"));
    forged.insert("content-length", HeaderValue::from_static("5"));
    let mut mixed = forged.clone();
    mixed.insert("digest", HeaderValue::from_static("x"));
    for (sent, left) in [(forged, 0), (mixed, 1)] {
        let (hand, body) = fed();
        let (body, _) = body.guarded(100, IDLE, Some(managed.clone()));
        hand.send(data("1")).await.unwrap();
        hand.send(Ok(Frame::trailers(sent))).await.unwrap();
        drop(hand);
        let collected = body.collect().await.unwrap();
        assert_eq!(collected.trailers().map_or(0, HeaderMap::len), left);
    }
}

#[tokio::test]
async fn guards_can_be_nested() {
    let (hand, body) = fed();
    hand.send(data("123")).await.unwrap();
    drop(hand);
    let (inner, _) = body.guarded(100, IDLE, None);
    let (outer, fate) = inner.guarded(2, IDLE, None);
    assert_eq!(read(outer).await, Err(BodyError::TooLarge { limit: 2 }));
    assert_eq!(fate.unwrap().failure(), Some(BodyError::TooLarge { limit: 2 }));
}

/// What hyper's own parser leaves to the guard and what it does not: if one of these changes with a new version, the
/// rules of `guard.rs` must be looked at again.
mod hyper_facts {
    use hyper::server::conn::http1;
    use hyper::service::service_fn;
    use hyper::{Request, Response};
    use hyper_util::rt::TokioIo;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// Sends `bytes`, gives back all answers as one text, and every request as hyper made it.
    async fn through_hyper(bytes: &[u8]) -> (String, Vec<String>) {
        let (mut client, server) = tokio::io::duplex(64 * 1024);
        let (note, mut noted) = mpsc::channel(64);
        let service = service_fn(move |request: Request<Incoming>| {
            let note = note.clone();
            async move {
                let (parts, body) = request.into_parts();
                let body = read(Body::incoming(body)).await;
                let all = |name| parts.headers.get_all(name).iter().count();
                let line = format!(
                    "{} {} host={} cl={} te={} body={:?}",
                    parts.method,
                    parts.uri,
                    all(http::header::HOST),
                    all(http::header::CONTENT_LENGTH),
                    all(http::header::TRANSFER_ENCODING),
                    body.map_err(|error| error.to_string())
                );
                note.send(line).await.unwrap();
                Ok::<_, Infallible>(Response::new(Body::full("ok")))
            }
        });
        client.write_all(bytes).await.unwrap();
        client.shutdown().await.unwrap();
        let _ = http1::Builder::new()
            .half_close(true)
            .serve_connection(TokioIo::new(server), service)
            .await;
        let mut answers = String::new();
        client.read_to_string(&mut answers).await.unwrap();
        let mut requests = Vec::new();
        while let Ok(line) = noted.try_recv() {
            requests.push(line);
        }
        (answers, requests)
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_comes_is_waited_for_so_long_and_the_connection_ends() {
        let (mut client, server) = tokio::io::duplex(64 * 1024);
        let service = service_fn(|request: Request<Incoming>| async {
            let (request, leftover) = Body::received(request);
            drop(request);
            let begun = Instant::now();
            leftover.expect("a small body over HTTP/1.1").read().await;
            assert_eq!(begun.elapsed(), LEFT_FOR);
            Ok::<_, Infallible>(Response::new(Body::full("ok")))
        });
        client
            .write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n")
            .await
            .unwrap();
        let connection = http1::Builder::new().serve_connection(TokioIo::new(server), service);
        let mut answer = String::new();
        let (_, read) = tokio::join!(connection, client.read_to_string(&mut answer));
        read.unwrap();
        assert!(
            answer.starts_with("HTTP/1.1 200") && answer.ends_with("ok"),
            "{answer}"
        );
    }

    #[tokio::test]
    async fn a_length_beside_chunked_is_dropped_and_the_connection_ends() {
        for fields in [
            "Content-Length: 5\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: chunked\r\nContent-Length: 5",
        ] {
            let request = format!(
                "POST /a HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
            );
            let (answers, requests) = through_hyper(request.as_bytes()).await;
            assert_eq!(requests, ["POST /a host=1 cl=0 te=1 body=Ok(b\"\")"], "{fields}");
            assert_eq!(answers.matches("HTTP/1.1 200").count(), 1);
            assert!(answers.contains("connection: close"));
        }
    }

    #[tokio::test]
    async fn what_hyper_refuses_itself() {
        for (name, request) in [
            (
                "te on 1.0",
                "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            ),
            (
                "te not ending in chunked",
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n",
            ),
            (
                "xchunked",
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n",
            ),
            (
                "two lengths",
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
            ),
            (
                "signed length",
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello",
            ),
            (
                "empty length",
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n",
            ),
            (
                "list of lengths",
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\nhello",
            ),
            (
                "overflow",
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551621\r\n\r\nhello",
            ),
            ("obs-fold", "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n"),
            ("first line folded", "GET / HTTP/1.1\r\n X: a\r\nHost: a\r\n\r\n"),
            ("space before colon", "GET / HTTP/1.1\r\nHost : a\r\n\r\n"),
            ("no colon", "GET / HTTP/1.1\r\nHost: a\r\nnonsense\r\n\r\n"),
            ("empty name", "GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n"),
            ("NUL in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n"),
            (
                "control in a value",
                "GET / HTTP/1.1\r\nHost: a\r\nX: a\u{1}b\r\n\r\n",
            ),
            (
                "bare CR in a value",
                "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n",
            ),
            (
                "8 bit in a name",
                "GET / HTTP/1.1\r\nHost: a\r\nX\u{e4}: a\r\n\r\n",
            ),
            ("version 1.10", "GET / HTTP/1.10\r\nHost: a\r\n\r\n"),
            ("version 2.0", "GET / HTTP/2.0\r\nHost: a\r\n\r\n"),
            ("version 0.9", "GET /\r\n\r\n"),
            ("space in the target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n"),
            ("control in the target", "GET /a\u{1} HTTP/1.1\r\nHost: a\r\n\r\n"),
            ("method that is no token", "G(T / HTTP/1.1\r\nHost: a\r\n\r\n"),
        ] {
            let (answers, requests) = through_hyper(request.as_bytes()).await;
            assert!(requests.is_empty(), "{name}: {requests:?}");
            assert!(
                answers.is_empty() || answers.starts_with("HTTP/1.1 400"),
                "{name}: {answers}"
            );
        }
    }

    #[tokio::test]
    async fn what_hyper_leaves_to_the_guard() {
        for (name, request, seen) in [
            ("no host", "GET / HTTP/1.1\r\n\r\n", "GET / host=0 cl=0 te=0"),
            (
                "two hosts",
                "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
                "GET / host=2 cl=0 te=0",
            ),
            (
                "absolute target",
                "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n",
                "GET http://b/ host=1 cl=0 te=0",
            ),
            (
                "identity, chunked",
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n",
                "POST / host=1 cl=0 te=1",
            ),
            (
                "two codings",
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                "POST / host=1 cl=0 te=2",
            ),
            (
                "identical lengths are one",
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nhi",
                "POST / host=1 cl=1 te=0 body=Ok(b\"hi\")",
            ),
            (
                "a fragment is cut off",
                "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n",
                "GET /a host=1 cl=0 te=0",
            ),
        ] {
            let (_, requests) = through_hyper(request.as_bytes()).await;
            assert!(
                requests.first().is_some_and(|line| line.starts_with(seen)),
                "{name}: {requests:?}"
            );
        }
    }

    #[tokio::test]
    async fn a_malformed_chunk_is_a_broken_body() {
        for (name, chunks) in [
            ("bare line feed", "5\nhello\r\n0\r\n\r\n"),
            ("no line end after data", "5\r\nhello0\r\n\r\n"),
            ("two bytes too many", "5\r\nhelloXX\r\n0\r\n\r\n"),
            ("size overflow", "10000000000000005\r\nhello\r\n0\r\n\r\n"),
            ("prefix", "0x5\r\nhello\r\n0\r\n\r\n"),
            ("sign", "+5\r\nhello\r\n0\r\n\r\n"),
            ("no size", "\r\nhello\r\n0\r\n\r\n"),
            ("cut off", "5\r\nhel"),
        ] {
            let request = format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}");
            let (_, requests) = through_hyper(request.as_bytes()).await;
            assert_eq!(requests.len(), 1, "{name}");
            assert!(
                requests[0].contains("body=Err(\"the body is malformed"),
                "{name}: {requests:?}"
            );
        }
    }
}
