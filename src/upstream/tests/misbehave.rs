//! Answers that are broken in every way known: none is passed on as whole, none leaves anything behind in the pool.

use bytes::Bytes;
use http::Method;

use tokio::time::Instant;

use super::script::{GOOD, Server, Step, say, until};
use super::{SHORT, Seen, facts, get, patient, plan, request, see, send, service};
use crate::http::body::Body;
use crate::rejection::Code;

/// What a client must see of a bad answer.
#[derive(Debug, Clone, Copy)]
enum Expected {
    /// 502.
    Invalid,
    /// A head, then a body that is visibly cut.
    Cut,
    /// Either: a reset may overtake the bytes before it.
    InvalidOrCut,
    /// The first answer whole, and nothing else ever.
    Whole(u16, &'static str),
}

struct Case {
    name: &'static str,
    bytes: Vec<u8>,
    after: Step,
    expected: Expected,
}

fn case(name: &'static str, bytes: impl AsRef<[u8]>, after: Step, expected: Expected) -> Case {
    Case {
        name,
        bytes: bytes.as_ref().to_vec(),
        after,
        expected,
    }
}

fn cases() -> Vec<Case> {
    use Expected::{Cut, Invalid, InvalidOrCut, Whole};
    let hold = || Step::Hold;
    let close = || Step::Say(Vec::new());
    let ok = "HTTP/1.1 200 OK\r\n";
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let many = (0..200).map(|n| format!("x-{n}: 1\r\n")).collect::<String>();
    vec![
        case(
            "length cut",
            format!("{ok}Content-Length: 10\r\n\r\nhello"),
            close(),
            Cut,
        ),
        case(
            "length cut before the body",
            format!("{ok}Content-Length: 10\r\n\r\n"),
            close(),
            Cut,
        ),
        case(
            "length cut by a reset",
            format!("{ok}Content-Length: 10\r\n\r\nhello"),
            Step::Reset,
            InvalidOrCut,
        ),
        case(
            "chunks cut between two",
            format!("{chunked}5\r\nhello\r\n"),
            close(),
            Cut,
        ),
        case(
            "chunks cut within one",
            format!("{chunked}a\r\nhello"),
            close(),
            Cut,
        ),
        case(
            "chunks cut before the last line",
            format!("{chunked}5\r\nhello\r\n0\r\n"),
            close(),
            Cut,
        ),
        case(
            "chunks cut within trailers",
            format!("{chunked}5\r\nhello\r\n0\r\nx-a: 1\r\n"),
            close(),
            Cut,
        ),
        case(
            "chunks cut by a reset",
            format!("{chunked}5\r\nhello\r\n"),
            Step::Reset,
            InvalidOrCut,
        ),
        case(
            "chunk size is no number",
            format!("{chunked}zz\r\nhello\r\n0\r\n\r\n"),
            hold(),
            Cut,
        ),
        case(
            "chunk size overflows",
            format!("{chunked}fffffffffffffffff\r\nhello\r\n"),
            hold(),
            Cut,
        ),
        case(
            "chunk size negative",
            format!("{chunked}-5\r\nhello\r\n0\r\n\r\n"),
            hold(),
            Cut,
        ),
        case(
            "chunk longer than it says",
            format!("{chunked}5\r\nhelloXX\r\n0\r\n\r\n"),
            hold(),
            Cut,
        ),
        case(
            "chunk lines end in LF",
            format!("{chunked}5\nhello\n0\n\n"),
            hold(),
            Cut,
        ),
        case("reset before the answer", "", Step::Reset, Invalid),
        case("closed before the answer", "", close(), Invalid),
        case("closed within the status line", "HTTP/1.1 20", close(), Invalid),
        case(
            "closed within the head",
            format!("{ok}Content-Le"),
            close(),
            Invalid,
        ),
        case(
            "not HTTP",
            b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03",
            hold(),
            Invalid,
        ),
        case(
            "another protocol's greeting",
            "220 mail.example.com ESMTP\r\n",
            hold(),
            Invalid,
        ),
        case("HTTP/0.9", "<html>hello</html>\r\n\r\n", close(), Invalid),
        case(
            "HTTP/2 frames",
            b"\x00\x00\x00\x04\x00\x00\x00\x00\x00\r\n\r\n",
            hold(),
            Invalid,
        ),
        case(
            "an odd version",
            "HTTP/1.7 200 OK\r\nContent-Length: 0\r\n\r\n",
            hold(),
            Invalid,
        ),
        case(
            "an empty line first",
            format!("\r\n{ok}Content-Length: 0\r\n\r\n"),
            hold(),
            Invalid,
        ),
        case(
            "status with two digits",
            "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
            hold(),
            Invalid,
        ),
        case(
            "status below 100",
            "HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n",
            hold(),
            Invalid,
        ),
        case(
            "status with four digits",
            "HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
            hold(),
            Invalid,
        ),
        case(
            "length and chunked",
            format!("{ok}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
            hold(),
            Invalid,
        ),
        case(
            "chunked and length",
            format!("{ok}Transfer-Encoding: chunked\r\nContent-Length: 30\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
            hold(),
            Invalid,
        ),
        case(
            "two lengths",
            format!("{ok}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"),
            hold(),
            Invalid,
        ),
        case(
            "one length twice",
            format!("{ok}Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"),
            hold(),
            Invalid,
        ),
        case(
            "a list of lengths",
            format!("{ok}Content-Length: 5, 5\r\n\r\nhello"),
            hold(),
            Invalid,
        ),
        case(
            "length with a sign",
            format!("{ok}Content-Length: +5\r\n\r\nhello"),
            hold(),
            Invalid,
        ),
        case(
            "negative length",
            format!("{ok}Content-Length: -5\r\n\r\nhello"),
            hold(),
            Invalid,
        ),
        case(
            "length overflows",
            format!("{ok}Content-Length: 18446744073709551621\r\n\r\nhello"),
            hold(),
            Invalid,
        ),
        case(
            "empty length",
            format!("{ok}Content-Length: \r\n\r\nhello"),
            hold(),
            Invalid,
        ),
        case(
            "coding twice",
            format!("{ok}Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"),
            hold(),
            Invalid,
        ),
        case(
            "unknown coding",
            format!("{ok}Transfer-Encoding: gzip\r\n\r\nhello"),
            close(),
            Invalid,
        ),
        case(
            "coded and chunked",
            format!("{ok}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
            hold(),
            Invalid,
        ),
        case(
            "coding in HTTP/1.0",
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            hold(),
            Invalid,
        ),
        case(
            "folded field",
            format!("{ok}x-a: 1\r\n 2\r\nContent-Length: 0\r\n\r\n"),
            hold(),
            Invalid,
        ),
        case(
            "blank before the colon",
            format!("{ok}x-a : 1\r\nContent-Length: 0\r\n\r\n"),
            hold(),
            Invalid,
        ),
        case(
            "NUL in a field",
            format!("{ok}x-a: \0\r\nContent-Length: 0\r\n\r\n"),
            hold(),
            Invalid,
        ),
        case(
            "field without a colon",
            format!("{ok}x-a\r\nContent-Length: 0\r\n\r\n"),
            hold(),
            Invalid,
        ),
        case(
            "200 fields",
            format!("{ok}{many}Content-Length: 0\r\n\r\n"),
            hold(),
            Invalid,
        ),
        case(
            "a head of 1 MiB",
            format!("{ok}x-a: {}\r\n\r\n", "a".repeat(1 << 20)),
            hold(),
            Invalid,
        ),
        case(
            "switching protocols unasked",
            "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
            hold(),
            Invalid,
        ),
        case(
            "left-over bytes",
            format!("{ok}Content-Length: 5\r\n\r\nhelloEXTRA"),
            hold(),
            Whole(200, "hello"),
        ),
        case(
            "left-over bytes behind chunks",
            format!("{chunked}5\r\nhello\r\n0\r\n\r\nEXTRA"),
            hold(),
            Whole(200, "hello"),
        ),
        case(
            "a second answer",
            format!("{ok}Content-Length: 5\r\n\r\nhello{ok}Content-Length: 5\r\n\r\nPWNED"),
            hold(),
            Whole(200, "hello"),
        ),
        case(
            "a body behind 204",
            format!("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n{ok}"),
            hold(),
            Whole(204, ""),
        ),
        case(
            "a body behind 304",
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello",
            hold(),
            Whole(304, ""),
        ),
        case(
            "to the end of the connection",
            "HTTP/1.0 200 OK\r\n\r\nhello",
            close(),
            Whole(200, "hello"),
        ),
        case(
            "to the end, by a reset",
            format!("{ok}\r\nhello"),
            Step::Reset,
            InvalidOrCut,
        ),
        case(
            "a thousand interim answers",
            [b"HTTP/1.1 100 Continue\r\n\r\n".repeat(1000), GOOD.to_vec()].concat(),
            Step::Serve(GOOD.to_vec()),
            Whole(200, "good"),
        ),
        case(
            "early hints with fields",
            [
                b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".to_vec(),
                GOOD.to_vec(),
            ]
            .concat(),
            Step::Serve(GOOD.to_vec()),
            Whole(200, "good"),
        ),
    ]
}

fn judge(expected: Expected, seen: &Seen) -> bool {
    match (expected, seen) {
        (Expected::Invalid | Expected::InvalidOrCut, Seen::Refused(Code::UpstreamInvalid))
        | (Expected::Cut | Expected::InvalidOrCut, Seen::Cut(200)) => true,
        (Expected::Whole(status, text), seen) => *seen == Seen::whole(status, text),
        (Expected::Invalid | Expected::Cut | Expected::InvalidOrCut, _) => false,
    }
}

#[tokio::test]
async fn no_broken_answer_looks_whole_and_none_is_followed_by_another_on_its_connection() {
    for Case {
        name,
        bytes,
        after,
        expected,
    } in cases()
    {
        let server = Server::start(vec![vec![Step::Head, Step::Say(bytes), after]]).await;
        let service = service(&plan(&[server.address]));
        let seen = get(&service).await;
        assert!(judge(expected, &seen), "{name}: {seen:?}, expected {expected:?}");
        let next = get(&service).await;
        // What is behind a whole answer on a connection that is held open may be good for nothing but must do no harm.
        assert_eq!(next, Seen::whole(200, "good"), "{name}: the next call");
    }
}

#[tokio::test]
async fn the_same_holds_on_a_connection_that_has_served_before() {
    for Case {
        name,
        bytes,
        after,
        expected,
    } in cases()
    {
        let script = vec![Step::Head, say(GOOD), Step::Head, Step::Say(bytes), after];
        let server = Server::start(vec![script]).await;
        let service = service(&plan(&[server.address]));
        assert_eq!(
            get(&service).await,
            Seen::whole(200, "good"),
            "{name}: the first call"
        );
        // Not idempotent: a broken answer is seen as it is, and the request is not sent again.
        let (answer, _) = send(&service, request(Method::POST, Body::full("x"))).await;
        let seen = see(answer).await;
        assert!(judge(expected, &seen), "{name}: {seen:?}, expected {expected:?}");
        let posts = server
            .requests()
            .iter()
            .filter(|line| line.starts_with("POST"))
            .count();
        assert_eq!(posts, 1, "{name}: sent once");
        assert_eq!(
            get(&service).await,
            Seen::whole(200, "good"),
            "{name}: the next call"
        );
    }
}

#[tokio::test]
async fn an_answer_that_comes_unasked_while_the_connection_is_idle_reaches_nobody() {
    let late = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nPWNED";
    let server = Server::start(vec![vec![
        Step::Head,
        say(GOOD),
        Step::Bell,
        say(late),
        Step::Hold,
    ]])
    .await;
    let service = service(&plan(&[server.address]));
    assert_eq!(get(&service).await, Seen::whole(200, "good"));
    server.bell.notify_one();
    // As the upkeep does.
    until(|| {
        service.0.trim(Instant::now());
        facts(&service).pooled == 0
    })
    .await;
    server.script_ended().await;
    assert_eq!(get(&service).await, Seen::whole(200, "good"));
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_storm_of_interim_answers_ends_at_the_deadline() {
    let storm = Step::Storm(b"HTTP/1.1 100 Continue\r\n\r\n".repeat(100));
    let server = Server::start(vec![vec![Step::Head, storm]]).await;
    let mut plan = plan(&[server.address]);
    plan.timeouts.first_byte = SHORT;
    let service = service(&plan);
    assert_eq!(get(&service).await, Seen::Refused(Code::UpstreamTimeout));
    server.script_ended().await;
    assert_eq!(get(&patient(&service, &plan)).await, Seen::whole(200, "good"));
}

#[tokio::test]
async fn an_answer_to_head_has_no_body_whatever_follows() {
    let bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    let server = Server::start(vec![vec![Step::Head, say(bytes), Step::Hold]]).await;
    let service = service(&plan(&[server.address]));
    let (answer, _) = send(&service, request(Method::HEAD, Body::empty())).await;
    let answer = answer.unwrap();
    assert_eq!(answer.headers()["content-length"], "5");
    assert_eq!(see(Ok(answer)).await, Seen::Whole(200, Bytes::new()));
    assert_eq!(get(&service).await, Seen::whole(200, "good"));
    assert_eq!(
        server.connections(),
        2,
        "the connection with the body on it is not used again"
    );
}
