//! What arrives at the endpoint, and what becomes of a client's body that fails.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method};
use http_body::Frame;
use http_body_util::BodyExt;

use super::script::{GOOD, Server, Step, say, until};
use super::{SHORT, Seen, data, facts, get, plan, request, see, send, service, streamed};
use crate::http::body::Body;
use crate::rejection::Code;
use crate::upstream::UpstreamNote;

#[tokio::test]
async fn target_and_fields_arrive_as_they_were_given() {
    let server = Server::start(vec![]).await;
    let service = service(&plan(&[server.address]));
    get(&service).await;
    assert_eq!(
        server.received(0),
        "GET /v1/items?limit=5&flag HTTP/1.1\r\nhost: api.example.com\r\n\r\n"
    );
}

#[tokio::test]
async fn the_note_names_the_endpoint_and_the_attempts() {
    let server = Server::start(vec![]).await;
    let service = service(&plan(&[server.address]));
    let (_, note) = send(&service, request(Method::GET, Body::empty())).await;
    assert_eq!(note.endpoint.as_deref(), Some(&*server.address.to_string()));
    assert_eq!((note.attempts, note.failed_connects), (1, 0));
    assert!(note.connect > Duration::ZERO && note.first_byte > Duration::ZERO);
}

#[tokio::test]
async fn a_body_of_known_length_is_sent_with_that_length_whatever_the_field_says() {
    for field in [None, Some("4"), Some("40")] {
        let server = Server::start(vec![vec![Step::Head, Step::Body(4), say(GOOD), Step::Hold]]).await;
        let service = service(&plan(&[server.address]));
        let mut call = request(Method::POST, Body::full("abcd"));
        if let Some(field) = field {
            call.headers_mut()
                .insert("content-length", field.parse().unwrap());
        }
        assert_eq!(see(send(&service, call).await.0).await, Seen::whole(200, "good"));
        let received = server.received(0);
        assert!(
            received.contains("content-length: 4\r\n") && received.ends_with("\r\n\r\nabcd"),
            "{received}"
        );
    }
}

#[tokio::test]
async fn a_length_without_a_body_is_not_passed_on() {
    let server = Server::start(vec![]).await;
    let service = service(&plan(&[server.address]));
    let mut call = request(Method::GET, Body::empty());
    call.headers_mut().insert("content-length", "5".parse().unwrap());
    assert_eq!(see(send(&service, call).await.0).await, Seen::whole(200, "good"));
    assert_eq!(get(&service).await, Seen::whole(200, "good"));
    assert!(
        !server.received(0).contains("content-length"),
        "{}",
        server.received(0)
    );
}

#[tokio::test]
async fn a_body_of_unknown_length_goes_in_chunks_also_with_get_and_with_trailers() {
    for method in [Method::POST, Method::GET] {
        let server = Server::start(vec![vec![
            Step::Head,
            Step::Body(38),
            say(GOOD),
            Step::Head,
            say(GOOD),
            Step::Hold,
        ]])
        .await;
        let service = service(&plan(&[server.address]));
        let mut trailers = HeaderMap::new();
        trailers.insert("x-checksum", "abc".parse().unwrap());
        let body = streamed(
            vec![data("hello"), data("world"), Ok(Frame::trailers(trailers))],
            true,
        );
        let mut call = request(method.clone(), body);
        call.headers_mut()
            .insert("trailer", "x-checksum".parse().unwrap());
        assert_eq!(see(send(&service, call).await.0).await, Seen::whole(200, "good"));
        let received = server.received(0);
        assert!(
            received.contains("transfer-encoding: chunked\r\n"),
            "{method}: {received}"
        );
        assert!(
            received.ends_with("5\r\nhello\r\n5\r\nworld\r\n0\r\nx-checksum: abc\r\n\r\n"),
            "{method}: {received}"
        );
        assert_eq!(
            get(&service).await,
            Seen::whole(200, "good"),
            "the connection is used again"
        );
        assert_eq!(server.connections(), 1);
    }
}

#[tokio::test]
async fn trailers_of_the_answer_pass_through() {
    let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-checksum\r\n\r\n\
                  4\r\ngood\r\n0\r\nx-checksum: abc\r\n\r\n";
    let server = Server::start(vec![vec![Step::Serve(answer.into())]]).await;
    let service = service(&plan(&[server.address]));
    for _ in 0..2 {
        let answer = send(&service, request(Method::GET, Body::empty()))
            .await
            .0
            .unwrap();
        let body = answer.into_body().collect().await.unwrap();
        assert_eq!(body.trailers().unwrap()["x-checksum"], "abc");
        assert_eq!(body.to_bytes(), Bytes::from_static(b"good"));
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn an_answer_that_comes_before_the_request_ended_is_passed_on_and_the_connection_closed() {
    let early = b"HTTP/1.1 413 Payload Too Large\r\nContent-Length: 4\r\n\r\nnope";
    let server = Server::start(vec![vec![Step::Head, say(early), Step::Hold]]).await;
    let service = service(&plan(&[server.address]));
    let body = streamed(vec![data("the beginning")], false);
    assert_eq!(
        see(send(&service, request(Method::POST, body)).await.0).await,
        Seen::whole(413, "nope")
    );
    // Ends when our side closes, although the client has not finished its body.
    server.script_ended().await;
    assert_eq!(facts(&service).pooled, 0);
    assert_eq!(get(&service).await, Seen::whole(200, "good"));
}

#[tokio::test]
async fn an_early_answer_to_an_upload_that_nobody_reads_is_passed_on() {
    let early = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 4\r\n\r\nnope";
    let server = Server::start(vec![vec![Step::Head, say(early), Step::Bell]]).await;
    let service = service(&plan(&[server.address]));
    let large = Body::full(vec![b'x'; 32 << 20]);
    let answer = send(&service, request(Method::POST, large)).await.0;
    assert_eq!(see(answer).await, Seen::whole(401, "nope"));
    assert_eq!(facts(&service).pooled, 0);
    assert_eq!(
        get(&service).await,
        Seen::whole(200, "good"),
        "on another connection"
    );
}

#[tokio::test]
async fn a_failure_of_the_clients_body_is_not_the_endpoints_fault() {
    let cases = [
        (streamed(vec![data("0123456789a")], true), Code::BodyTooLarge),
        (streamed(vec![data("0123456789")], false), Code::RequestTimeout),
        (
            streamed(
                vec![data("0123"), Err(std::io::ErrorKind::ConnectionReset.into())],
                true,
            ),
            Code::BadRequest,
        ),
    ];
    for (body, code) in cases {
        let server = Server::start(vec![vec![Step::Head, Step::Hold]]).await;
        let service = service(&plan(&[server.address]));
        let (body, fate) = body.guarded(10, SHORT, None);
        let mut note = UpstreamNote::default();
        let answer = service
            .forward(0, None, request(Method::POST, body), fate, &mut note)
            .await;
        assert_eq!(see(answer).await, Seen::Refused(code));
        server.script_ended().await;
        assert!(
            !server.received(0).ends_with("0\r\n\r\n"),
            "the endpoint must not take it for whole"
        );
        assert_eq!(facts(&service).pooled, 0);
        assert_eq!(get(&service).await, Seen::whole(200, "good"));
    }
}

#[tokio::test]
async fn bodies_are_not_read_ahead_of_a_slow_reader() {
    let endless = Step::Storm(vec![b'x'; 64 * 1024]);
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n";
    let server = Server::start(vec![vec![Step::Head, say(head), endless]]).await;
    let mut plan = plan(&[server.address]);
    plan.timeouts.idle = 4 * SHORT;
    let service = service(&plan);
    let answer = send(&service, request(Method::GET, Body::empty()))
        .await
        .0
        .unwrap();
    let mut body = answer.into_body();
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert!(first.len() <= 64 * 1024, "{}", first.len());
    // The client reads nothing for longer than the idle deadline: that is the client's affair.
    let moment = std::time::Instant::now();
    until(|| moment.elapsed() > 8 * SHORT).await;
    for _ in 0..100 {
        assert!(body.frame().await.unwrap().is_ok());
    }
}
