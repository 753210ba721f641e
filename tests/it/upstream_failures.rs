//! Backends that break, lie, fall silent, refuse or restart (class: upstream failures), through the running gateway. A
//! client gets a whole answer, an honest 502, 503 or 504, or an answer that it can tell to be cut. Nothing is sent twice
//! that must not be, and no client gets bytes that were meant for another.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpSocket};

use crate::support::client::{PATIENCE, connect, get, raw, read, request, send};
use crate::support::scripted::{Scripted, Talk, Verdict, judge, nobody};
use crate::support::single::{Setup, Single};

const GET: &str = "GET /open/a HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n\r\n";
const POST: &str =
    "POST /open/a HTTP/1.1\r\nHost: api.test\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody";
const FINE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine";

/// Deadlines short enough for a test.
const SHORT: &str = "timeouts: { connect: 200ms, first-byte: 400ms, idle: 400ms, whole: 10s }";

fn short() -> Setup {
    Setup {
        backend: SHORT,
        ..Setup::default()
    }
}

/// How a bad answer ends.
#[derive(Debug, Clone, Copy)]
enum Then {
    Close,
    Reset,
    Wait,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_answer_is_neither_passed_on_as_whole_nor_does_it_hang() {
    use Then::{Close, Reset, Wait};
    let ok = "HTTP/1.1 200 OK\r\n";
    let long = format!("{ok}X: {}\r\nContent-Length: 4\r\n\r\nfine", "x".repeat(2 << 20));
    let many = format!("{ok}{}Content-Length: 4\r\n\r\nfine", "X: y\r\n".repeat(2000));
    let cases: Vec<(&str, Vec<u8>, Then)> = vec![
        (
            "a body shorter than its length",
            format!("{ok}Content-Length: 10\r\n\r\nfine").into(),
            Close,
        ),
        (
            "the same by RST",
            format!("{ok}Content-Length: 10\r\n\r\nfine").into(),
            Reset,
        ),
        (
            "a body that stops coming",
            format!("{ok}Content-Length: 10\r\n\r\nfine").into(),
            Wait,
        ),
        (
            "a head and RST",
            format!("{ok}Content-Length: 10\r\n\r\n").into(),
            Reset,
        ),
        (
            "chunks cut within one",
            format!("{ok}Transfer-Encoding: chunked\r\n\r\na\r\nfine").into(),
            Close,
        ),
        (
            "chunks cut between two",
            format!("{ok}Transfer-Encoding: chunked\r\n\r\n4\r\nfine\r\n").into(),
            Close,
        ),
        (
            "chunks cut before the last line",
            format!("{ok}Transfer-Encoding: chunked\r\n\r\n4\r\nfine\r\n0\r\n").into(),
            Close,
        ),
        (
            "chunks by RST",
            format!("{ok}Transfer-Encoding: chunked\r\n\r\n4\r\nfine\r\n").into(),
            Reset,
        ),
        (
            "chunks that stop coming",
            format!("{ok}Transfer-Encoding: chunked\r\n\r\n4\r\nfine\r\n").into(),
            Wait,
        ),
        (
            "a chunk size that is none",
            format!("{ok}Transfer-Encoding: chunked\r\n\r\nzz\r\nfine\r\n0\r\n\r\n").into(),
            Wait,
        ),
        (
            "a chunk size that overflows",
            format!("{ok}Transfer-Encoding: chunked\r\n\r\n10000000000000004\r\nfine\r\n0\r\n\r\n").into(),
            Wait,
        ),
        (
            "a chunk without its line end",
            format!("{ok}Transfer-Encoding: chunked\r\n\r\n4\r\nfineXX0\r\n\r\n").into(),
            Wait,
        ),
        (
            "a length beside chunks",
            format!("{ok}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfine\r\n0\r\n\r\n")
                .into(),
            Wait,
        ),
        (
            "two lengths",
            format!("{ok}Content-Length: 4\r\nContent-Length: 10\r\n\r\nfine").into(),
            Wait,
        ),
        (
            "a negative length",
            format!("{ok}Content-Length: -4\r\n\r\nfine").into(),
            Wait,
        ),
        (
            "a length with a sign",
            format!("{ok}Content-Length: +4\r\n\r\nfine").into(),
            Wait,
        ),
        (
            "a length beyond 64 bits",
            format!("{ok}Content-Length: 18446744073709551620\r\n\r\nfine").into(),
            Wait,
        ),
        (
            "another coding",
            format!("{ok}Transfer-Encoding: gzip, chunked\r\n\r\n4\r\nfine\r\n0\r\n\r\n").into(),
            Wait,
        ),
        (
            "an upgrade that nobody asked for",
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n".to_vec(),
            Wait,
        ),
        ("garbage", b"\x00\x01\x02nonsense\r\n\r\n".to_vec(), Wait),
        ("garbage without an end", b"nonsense".to_vec(), Wait),
        (
            "HTTP/2 where HTTP/1 is spoken",
            b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64".to_vec(),
            Wait,
        ),
        (
            "a greeting of another protocol",
            b"220 mail.example ESMTP\r\n".to_vec(),
            Wait,
        ),
        ("no status", b"HTTP/1.1 OK\r\n\r\n".to_vec(), Wait),
        (
            "a status of two digits",
            b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n".to_vec(),
            Wait,
        ),
        (
            "a status below 100",
            b"HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n".to_vec(),
            Wait,
        ),
        (
            "HTTP/3.0 in a line",
            b"HTTP/3.0 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec(),
            Wait,
        ),
        (
            "a field without a colon",
            format!("{ok}nonsense\r\nContent-Length: 4\r\n\r\nfine").into(),
            Wait,
        ),
        (
            "a NUL in a field",
            format!("{ok}X: a\0b\r\nContent-Length: 4\r\n\r\nfine").into(),
            Wait,
        ),
        (
            "a blank before the colon",
            format!("{ok}Content-Length : 4\r\n\r\nfine").into(),
            Wait,
        ),
        ("half a head", b"HTTP/1.1 200 OK\r\nContent-Le".to_vec(), Close),
        (
            "half a head that stays half",
            b"HTTP/1.1 200 OK\r\nContent-Le".to_vec(),
            Wait,
        ),
        ("a head of 2 MiB", long.into(), Wait),
        ("2,000 fields", many.into(), Wait),
        ("nothing, and the end", Vec::new(), Close),
        ("nothing, and RST", Vec::new(), Reset),
        ("nothing at all", Vec::new(), Wait),
    ];
    let mut failures = String::new();
    let count = cases.len();
    let (mut cut, mut told) = (0, 0);
    for (name, bytes, then) in cases {
        let bytes: Arc<[u8]> = bytes.into();
        let backend = Scripted::start(move |mut talk: Talk| {
            let bytes = bytes.clone();
            async move {
                if talk.request().await.is_none() {
                    return;
                }
                talk.write(&bytes).await;
                match then {
                    Then::Close => {}
                    Then::Reset => talk.reset(),
                    Then::Wait => talk.closed().await,
                }
            }
        })
        .await;
        let single = Single::before(&[backend.address], &short()).await;
        for call in [GET, POST] {
            let before = Instant::now();
            let verdict = judge(&raw(single.address, call.as_bytes()).await);
            let took = before.elapsed();
            match &verdict {
                Verdict::Whole(502 | 504, body) if String::from_utf8_lossy(body).contains("upstream_") => {
                    told += 1
                }
                // Broken before its head went out: the connection ends without a word, which no client takes for an answer.
                Verdict::Cut(200) | Verdict::Nothing => cut += 1,
                other => {
                    let _ = writeln!(failures, "{name}: {other:?}");
                }
            }
            if took > Duration::from_secs(5) {
                let _ = writeln!(failures, "{name}: {verdict:?} only after {took:?}");
            }
        }
    }
    println!(
        "{count} bad answers, each to GET and POST: {told} told by 502 or 504, {cut} cut so that it shows"
    );
    assert!(failures.is_empty(), "\n{failures}");
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_is_504_at_the_deadline_and_a_refused_connection_502_at_once() {
    let silent = Scripted::start(|mut talk: Talk| async move {
        talk.request().await;
        talk.closed().await;
    })
    .await;
    let single = Single::before(&[silent.address], &short()).await;
    let before = Instant::now();
    let got = send(single.address, get("api.test", "/open/a", &[])).await;
    let took = before.elapsed();
    assert_eq!(
        (got.status.as_u16(), got.json()["code"].as_str()),
        (504, Some("upstream_timeout"))
    );
    assert!(
        took >= Duration::from_millis(400) && took < Duration::from_secs(4),
        "{took:?}"
    );

    let (_kept, address) = nobody();
    let single = Single::before(&[address], &short()).await;
    let before = Instant::now();
    let got = send(single.address, get("api.test", "/open/a", &[])).await;
    let at_once = before.elapsed();
    assert_eq!(
        (got.status.as_u16(), got.json()["code"].as_str()),
        (502, Some("upstream_unreachable")),
        "{}",
        got.text()
    );
    assert!(
        !got.text().contains(&address.port().to_string()),
        "no internals: {}",
        got.text()
    );
    println!("silence: 504 after {took:?} of 400 ms; refused: 502 after {at_once:?}");
    assert!(at_once < Duration::from_secs(2), "{at_once:?}");
}

async fn fine(mut talk: Talk) {
    while let Some(head) = talk.request().await {
        if head.starts_with("POST") {
            talk.body(4).await;
        }
        talk.write(FINE).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_endpoints_one_dead_every_call_is_answered() {
    let backend = Scripted::start(fine).await;
    let (_kept, dead) = nobody();
    for balance in ["", "balance: two-choices"] {
        let setup = Setup {
            backend: balance,
            ..Setup::default()
        };
        let single = Single::before(&[dead, backend.address], &setup).await;
        let mut sender = connect(single.address).await;
        for n in 0..200 {
            let call = if n % 2 == 0 {
                get("api.test", "/open/a", &[])
            } else {
                request("POST", "api.test", "/open/a", &[], "body")
            };
            sender.ready().await.unwrap();
            let got = read(sender.send_request(call).await.unwrap()).await.unwrap();
            assert_eq!(
                (got.status.as_u16(), got.text().as_str()),
                (200, "fine"),
                "call {n}"
            );
        }
    }
    assert_eq!(backend.requests(), 400, "each once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_not_idempotent_is_never_sent_twice() {
    for reset in [false, true] {
        // The first call of a connection is answered; the next one is read and then the connection ends.
        let backend = Scripted::start(move |mut talk: Talk| async move {
            talk.request().await;
            talk.body(4).await;
            talk.write(FINE).await;
            if talk.request().await.is_some() {
                talk.body(4).await;
                if reset {
                    talk.reset();
                }
            }
        })
        .await;
        let single = Single::before(&[backend.address], &Setup::default()).await;
        for round in 1..=10 {
            assert_eq!(
                judge(&raw(single.address, POST.as_bytes()).await),
                Verdict::Whole(200, b"fine".to_vec())
            );
            let verdict = judge(&raw(single.address, POST.as_bytes()).await);
            assert_eq!(
                verdict.status(),
                502,
                "on a connection that was open before: {verdict:?}"
            );
            assert_eq!(backend.requests(), round * 2, "each POST arrived once");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idempotent_call_is_sent_once_more_when_the_old_connection_was_dead_and_only_then() {
    let backend = Scripted::start(|mut talk: Talk| async move {
        talk.request().await;
        talk.write(FINE).await;
        talk.request().await;
    })
    .await;
    let single = Single::before(&[backend.address], &Setup::default()).await;
    for round in 1..=10 {
        // The first call finds no connection or the one of the round before, which takes it and ends.
        assert_eq!(
            judge(&raw(single.address, GET.as_bytes()).await),
            Verdict::Whole(200, b"fine".to_vec())
        );
        assert_eq!(backend.connections(), round, "one new connection a call");
        assert_eq!(
            backend.requests(),
            round * 2 - 1,
            "the first was sent once, every later one twice"
        );
    }
    let mute = Scripted::start(|mut talk: Talk| async move {
        talk.request().await;
    })
    .await;
    let single = Single::before(&[mute.address], &Setup::default()).await;
    assert_eq!(judge(&raw(single.address, GET.as_bytes()).await).status(), 502);
    assert_eq!(mute.requests(), 1, "on a new connection there is no second try");
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_left_over_behind_an_answer_reach_nobody() {
    let stolen = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen";
    for (name, answer) in [
        ("a second answer", format!("{FINE}{stolen}")),
        ("a body longer than its length", format!("{FINE}stolen")),
        (
            "a body after 204",
            format!("HTTP/1.1 204 No Content\r\n\r\n{stolen}"),
        ),
        (
            "a body after 304",
            format!("HTTP/1.1 304 Not Modified\r\nContent-Length: 6\r\n\r\n{stolen}"),
        ),
        (
            "bytes after the last chunk",
            format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfine\r\n0\r\n\r\n{stolen}"),
        ),
        (
            "a body after the head of an answer to HEAD",
            format!("HTTP/1.1 200 OK\r\nContent-Length: 51\r\n\r\n{stolen}"),
        ),
    ] {
        let head = name.contains("HEAD");
        let backend = Scripted::start(move |mut talk: Talk| {
            let answer = answer.clone();
            async move {
                while talk.request().await.is_some() {
                    if !talk.write(&answer).await {
                        return;
                    }
                }
            }
        })
        .await;
        let single = Single::before(&[backend.address], &Setup::default()).await;
        for _ in 0..20 {
            let call = if head {
                GET.replace("GET", "HEAD")
            } else {
                GET.to_owned()
            };
            let got = raw(single.address, call.as_bytes()).await;
            let text = String::from_utf8_lossy(&got).into_owned();
            assert!(!text.contains("stolen"), "{name}: {text}");
            assert!(
                ["200", "204", "304", "502"].contains(&text.get(9..12).unwrap_or_default()),
                "{name}: {text}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn interim_answers_end_at_the_gateway_and_a_storm_of_them_at_the_deadline() {
    let hints = "HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n";
    let backend = Scripted::start(move |mut talk: Talk| async move {
        while talk.request().await.is_some() {
            talk.write(format!("{}{FINE}", hints.repeat(100))).await;
        }
    })
    .await;
    let single = Single::before(&[backend.address], &Setup::default()).await;
    for _ in 0..3 {
        assert_eq!(
            judge(&raw(single.address, GET.as_bytes()).await),
            Verdict::Whole(200, b"fine".to_vec())
        );
    }
    assert_eq!(backend.connections(), 1, "the connection stays good");
    let storm = Scripted::start(move |mut talk: Talk| async move {
        talk.request().await;
        while talk.write(hints.repeat(100)).await {}
    })
    .await;
    let single = Single::before(&[storm.address], &short()).await;
    let verdict = judge(&raw(single.address, GET.as_bytes()).await);
    assert!(matches!(verdict, Verdict::Whole(502 | 504, _)), "{verdict:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_and_answers_without_a_body_leave_the_connection_in_step() {
    let backend = Scripted::start(|mut talk: Talk| async move {
        while let Some(head) = talk.request().await {
            let answer = match head.split(' ').nth(1) {
                Some("/open/head") => "HTTP/1.1 200 OK\r\nContent-Length: 1234\r\nETag: \"x\"\r\n\r\n",
                Some("/open/head-chunked") => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                Some("/open/204") => "HTTP/1.1 204 No Content\r\n\r\n",
                Some("/open/304") => {
                    "HTTP/1.1 304 Not Modified\r\nContent-Length: 1234\r\nETag: \"x\"\r\n\r\n"
                }
                Some("/open/empty") => "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
                _ => FINE,
            };
            talk.write(answer).await;
        }
    })
    .await;
    let single = Single::before(&[backend.address], &Setup::default()).await;
    let mut sender = connect(single.address).await;
    for (method, target, status, length, body) in [
        ("HEAD", "/open/head", 200, Some("1234"), ""),
        ("GET", "/open/a", 200, Some("4"), "fine"),
        ("HEAD", "/open/head-chunked", 200, None, ""),
        ("GET", "/open/a", 200, Some("4"), "fine"),
        ("GET", "/open/204", 204, None, ""),
        ("GET", "/open/304", 304, None, ""),
        ("GET", "/open/empty", 200, Some("0"), ""),
        ("GET", "/open/a", 200, Some("4"), "fine"),
    ] {
        sender.ready().await.unwrap();
        let call = request(method, "api.test", target, &[], "");
        let got = read(sender.send_request(call).await.unwrap()).await.unwrap();
        assert_eq!(
            (
                got.status.as_u16(),
                got.header("content-length"),
                got.text().as_str()
            ),
            (status, length, body),
            "{method} {target}"
        );
    }
    assert_eq!(backend.connections(), 1, "one connection served all");
}

/// Binds a port that was ours a moment ago; `SO_REUSEADDR` gets past connections that linger.
fn listen_again(address: SocketAddr) -> TcpListener {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(address).unwrap();
    socket.listen(1024).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_restarts_under_load_costs_errors_only_while_it_is_down() {
    // Holds the port for as long as the backend is away, so that nobody else is given it.
    let keeper = TcpSocket::new_v4().unwrap();
    keeper.set_reuseaddr(true).unwrap();
    keeper.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = keeper.local_addr().unwrap();
    let backend = Scripted::listen(listen_again(address), fine);
    let single = Single::before(&[address], &short()).await;

    const UP: usize = 0;
    const DOWN: usize = 1;
    const BACK: usize = 2;
    #[derive(Default)]
    struct Tally {
        phase: AtomicUsize,
        good: [AtomicUsize; 3],
        bad: AtomicUsize,
        stop: AtomicBool,
        changed: tokio::sync::Notify,
    }
    let tally = Arc::new(Tally::default());
    let clients: Vec<_> = (0..8)
        .map(|n| {
            let (tally, at) = (tally.clone(), single.address);
            tokio::spawn(async move {
                let mut slowest_error = Duration::ZERO;
                while !tally.stop.load(Ordering::SeqCst) {
                    let began = tally.phase.load(Ordering::SeqCst);
                    let before = Instant::now();
                    let call = if n % 2 == 0 { GET } else { POST };
                    let verdict = judge(&raw(at, call.as_bytes()).await);
                    let ended = tally.phase.load(Ordering::SeqCst);
                    match verdict {
                        Verdict::Whole(200, body) => {
                            assert_eq!(body, b"fine");
                            tally.good[ended].fetch_add(1, Ordering::SeqCst);
                        }
                        Verdict::Whole(502 | 503, _) => {
                            assert!(
                                ended >= DOWN && began <= DOWN,
                                "an error outside the outage ({began} to {ended})"
                            );
                            tally.bad.fetch_add(1, Ordering::SeqCst);
                            slowest_error = slowest_error.max(before.elapsed());
                        }
                        other => panic!("client {n}, {began} to {ended}: {other:?}"),
                    }
                    tally.changed.notify_one();
                }
                slowest_error
            })
        })
        .collect();
    let until = |what: &'static str, done: Box<dyn Fn(&Tally) -> bool + Send>| {
        let tally = tally.clone();
        async move {
            let wait = async {
                while !done(&tally) {
                    tally.changed.notified().await;
                }
            };
            tokio::time::timeout(PATIENCE, wait).await.expect(what);
        }
    };
    until(
        "answers",
        Box::new(|tally| tally.good[UP].load(Ordering::SeqCst) >= 100),
    )
    .await;
    tally.phase.store(DOWN, Ordering::SeqCst);
    drop(backend);
    until(
        "errors",
        Box::new(|tally| tally.bad.load(Ordering::SeqCst) >= 100),
    )
    .await;
    let listener = listen_again(address);
    let again = Instant::now();
    let _backend = Scripted::listen(listener, fine);
    let first_good = {
        let before = tally.good[DOWN].load(Ordering::SeqCst) + tally.good[BACK].load(Ordering::SeqCst);
        until(
            "an answer",
            Box::new(move |tally| {
                tally.good[DOWN].load(Ordering::SeqCst) + tally.good[BACK].load(Ordering::SeqCst) > before
            }),
        )
        .await;
        again.elapsed()
    };
    tally.phase.store(BACK, Ordering::SeqCst);
    until(
        "answers again",
        Box::new(|tally| tally.good[BACK].load(Ordering::SeqCst) >= 200),
    )
    .await;
    tally.stop.store(true, Ordering::SeqCst);
    let mut slowest = Duration::ZERO;
    for client in clients {
        slowest = slowest.max(client.await.expect("no client met anything else"));
    }
    println!(
        "restart: {} errors in the outage, the slowest after {slowest:?}; back {first_good:?} after the backend",
        tally.bad.load(Ordering::SeqCst)
    );
    assert!(first_good < Duration::from_secs(1), "{first_good:?}");
}
