//! Bodies in both directions: streamed, bounded, in step with whoever is slower, with their trailers, over every pair of
//! protocols; and what happens when the client leaves.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::support::client::{PATIENCE, raw, read};
use crate::support::keys::Signer;
use crate::support::process::Process;
use crate::support::raw_backend::RawBackend;
use crate::support::scripted::{Scripted, Talk, Verdict, judge};
use crate::support::single::{Setup, Single, config};

const ROUTES: &str = "      - { path: /open/small, public: true, body-limit: 8B, to: { backend: one } }\n      - { path: /open/large, public: true, body-limit: 100MiB, to: { backend: one } }\n";

fn setup() -> Setup {
    Setup {
        routes: ROUTES,
        ..Setup::default()
    }
}

const BIG: usize = 64 << 20;
/// A write that makes no progress for so long has stalled: the other side does not read.
const STALL: Duration = Duration::from_millis(400);
/// Smaller than the kernel's own, so that what the gateway keeps shows.
const SOCKET_BUFFER: u32 = 64 << 10;

/// Resident memory of a process in KiB (proc(5)).
pub fn resident(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("the process");
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .expect("a line");
    line.split_whitespace()
        .nth(1)
        .and_then(|kib| kib.parse().ok())
        .expect("a number")
}

/// Writes `count` bytes; tells how many were written whenever the other side stops taking them.
pub async fn pour(
    stream: &mut (impl AsyncWriteExt + Unpin),
    count: usize,
    stalled: &mpsc::UnboundedSender<usize>,
) {
    let piece = vec![b'a'; 64 << 10];
    let mut written = 0;
    while written < count {
        let next = piece.len().min(count - written);
        match timeout(STALL, stream.write(&piece[..next])).await {
            Ok(Ok(n)) => written += n,
            Ok(Err(_)) => return,
            Err(_) => {
                let _ = stalled.send(written);
            }
        }
    }
}

async fn drain(stream: &mut (impl AsyncReadExt + Unpin), count: usize) -> usize {
    let mut buffer = vec![0; 256 << 10];
    let mut total = 0;
    while total < count {
        match timeout(PATIENCE, stream.read(&mut buffer))
            .await
            .expect("bytes in time")
        {
            Ok(0) | Err(_) => break,
            Ok(n) => total += n,
        }
    }
    total
}

fn small_listener() -> TcpListener {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_send_buffer_size(SOCKET_BUFFER).unwrap();
    socket.set_recv_buffer_size(SOCKET_BUFFER).unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    socket.listen(16).unwrap()
}

async fn small_client(address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_send_buffer_size(SOCKET_BUFFER).unwrap();
    socket.set_recv_buffer_size(SOCKET_BUFFER).unwrap();
    socket.connect(address).await.unwrap()
}

fn started(backend: SocketAddr, folder: &tempfile::TempDir) -> Process {
    let signer = Signer::new(folder.path());
    let file = folder.path().join("tollgate.yaml");
    std::fs::write(&file, config(&signer, &[backend], &setup())).unwrap();
    Process::start(&file)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_slowly_makes_the_backend_wait_and_not_the_memory_grow() {
    let (tell, mut stalls) = mpsc::unbounded_channel();
    let backend = Scripted::listen(small_listener(), move |mut talk: Talk| {
        let tell = tell.clone();
        async move {
            while talk.request().await.is_some() {
                talk.write(format!("HTTP/1.1 200 OK\r\nContent-Length: {BIG}\r\n\r\n"))
                    .await;
                pour(&mut talk.stream, BIG, &tell).await;
            }
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let process = started(backend.address, &folder);
    let before = resident(process.id());
    let mut client = small_client(process.address).await;
    client
        .write_all(b"GET /open/a HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let written = timeout(PATIENCE, stalls.recv())
        .await
        .expect("the backend has to wait")
        .unwrap();
    let grown = resident(process.id()).saturating_sub(before);
    let mut head = vec![0; 4096];
    let first = client.read(&mut head).await.unwrap();
    assert!(
        head.starts_with(b"HTTP/1.1 200"),
        "{}",
        String::from_utf8_lossy(&head[..first])
    );
    let end = head.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
    let got = first - end + drain(&mut client, BIG).await;
    println!(
        "64 MiB down: the backend had to wait after {written} bytes, memory grew by {grown} KiB meanwhile"
    );
    assert_eq!(got, BIG, "all of it arrives");
    assert!(written < BIG / 4, "{written} bytes were taken from the backend");
    assert!(grown < 4 << 10, "{grown} KiB");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_reads_slowly_makes_the_client_wait_and_not_the_memory_grow() {
    let (go, may_read) = tokio::sync::watch::channel(false);
    let backend = Scripted::listen(small_listener(), move |mut talk: Talk| {
        let mut may_read = may_read.clone();
        async move {
            talk.request().await;
            may_read.wait_for(|go| *go).await.expect("the test");
            let body = talk.body(BIG).await.map_or(0, |body| body.len());
            let text = body.to_string();
            talk.write(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}",
                text.len()
            ))
            .await;
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let process = started(backend.address, &folder);
    let before = resident(process.id());
    let client = small_client(process.address).await;
    let (mut reading, mut writing) = client.into_split();
    let (tell, mut stalls) = mpsc::unbounded_channel();
    let pouring = tokio::spawn(async move {
        let head = format!(
            "POST /open/large HTTP/1.1\r\nHost: api.test\r\nContent-Length: {BIG}\r\nConnection: close\r\n\r\n"
        );
        writing.write_all(head.as_bytes()).await.unwrap();
        pour(&mut writing, BIG, &tell).await;
        writing
    });
    let written = timeout(PATIENCE, stalls.recv())
        .await
        .expect("the client has to wait")
        .unwrap();
    let grown = resident(process.id()).saturating_sub(before);
    go.send_replace(true);
    let mut answer = Vec::new();
    timeout(PATIENCE, reading.read_to_end(&mut answer))
        .await
        .unwrap()
        .unwrap();
    drop(pouring.await.unwrap());
    println!("64 MiB up: the client had to wait after {written} bytes, memory grew by {grown} KiB meanwhile");
    assert_eq!(judge(&answer), Verdict::Whole(200, BIG.to_string().into_bytes()));
    assert!(
        written < BIG / 4 && grown < 4 << 10,
        "{written} bytes, {grown} KiB"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_beyond_the_limit_is_413_whether_its_length_is_told_or_not() {
    let backend = RawBackend::start().await;
    let single = Single::before(&[backend.address], &setup()).await;
    let post = |lines: &str, body: &str| {
        format!("POST /open/small HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n{lines}\r\n\r\n{body}")
    };
    for (name, bytes, status) in [
        ("at the limit", post("Content-Length: 8", "12345678"), 200),
        (
            "chunks at the limit",
            post(
                "Transfer-Encoding: chunked",
                "4\r\n1234\r\n4\r\n5678\r\n0\r\n\r\n",
            ),
            200,
        ),
        ("beyond it", post("Content-Length: 9", "123456789"), 413),
        (
            "beyond it, and not sent",
            post("Content-Length: 100000000000", ""),
            413,
        ),
        (
            "beyond it, and asked for first",
            post("Content-Length: 9\r\nExpect: 100-continue", ""),
            413,
        ),
        (
            "chunks beyond it",
            post(
                "Transfer-Encoding: chunked",
                "4\r\n1234\r\n5\r\n56789\r\n0\r\n\r\n",
            ),
            413,
        ),
        (
            "one chunk beyond it that does not end",
            post("Transfer-Encoding: chunked", "ffffff\r\n123456789abcdef"),
            413,
        ),
    ] {
        let answer = raw(single.address, bytes.as_bytes()).await;
        let verdict = judge(&answer);
        assert_eq!(verdict.status(), status, "{name}: {verdict:?}");
        assert!(!answer.starts_with(b"HTTP/1.1 100"), "{name}");
        let (requests, faults) = backend.take();
        assert_eq!(
            (requests.len(), faults.len()),
            (usize::from(status == 200), 0),
            "{name}: {requests:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_asks_first_is_told_to_go_on_only_when_its_body_is_wanted() {
    let backend = RawBackend::start().await;
    let single = Single::before(&[backend.address], &Setup::default()).await;
    let mut client = TcpStream::connect(single.address).await.unwrap();
    let head = "POST /open/a HTTP/1.1\r\nHost: api.test\r\nContent-Length: 5\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n";
    client.write_all(head.as_bytes()).await.unwrap();
    let mut interim = [0; 25];
    timeout(PATIENCE, client.read_exact(&mut interim))
        .await
        .expect("to be told")
        .unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    client.write_all(b"hello").await.unwrap();
    let mut answer = Vec::new();
    timeout(PATIENCE, client.read_to_end(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(judge(&answer), Verdict::Whole(200, b"ok".to_vec()));
    let (requests, _) = backend.take();
    assert_eq!(requests[0].body, b"hello");
    assert!(requests[0].all("expect").is_empty());

    let answer = raw(single.address, head.replace("/open/a", "/a").as_bytes()).await;
    assert!(
        answer.starts_with(b"HTTP/1.1 401"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    assert!(backend.take().0.is_empty());
}

type Trailing = BoxBody<Bytes, Infallible>;

fn trailing(text: &str, sum: &'static str) -> Trailing {
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", HeaderValue::from_static(sum));
    trailers.insert("content-length", HeaderValue::from_static("99"));
    // Of unknown length: with a length HTTP/1.1 has no place for trailers.
    let frames = [
        Ok(Frame::data(Bytes::copy_from_slice(text.as_bytes()))),
        Ok(Frame::trailers(trailers)),
    ];
    BodyExt::boxed(StreamBody::new(futures_util::stream::iter(frames)))
}

/// Answers with the body and the `x-sum` trailer that it got, and a trailer of its own.
async fn echo(request: Request<Incoming>) -> Result<Response<Trailing>, Infallible> {
    let collected = request.into_body().collect().await.expect("a whole body");
    let sum = collected
        .trailers()
        .and_then(|trailers| trailers.get("x-sum"))
        .map_or_else(|| "none".to_owned(), |sum| sum.to_str().unwrap().to_owned());
    let text = format!("{} {sum}", String::from_utf8_lossy(&collected.to_bytes()));
    Ok(Response::builder()
        .header("trailer", "X-Sum, Content-Length")
        .body(trailing(&text, "down"))
        .unwrap())
}

async fn echoing(http2: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (io, service) = (TokioIo::new(stream), service_fn(echo));
                if http2 {
                    let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                        .serve_connection(io, service)
                        .await;
                } else {
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(io, service)
                        .await;
                }
            });
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_and_trailers_travel_both_ways_over_every_pair_of_protocols() {
    for backend_http2 in [false, true] {
        let backend = echoing(backend_http2).await;
        let setup = Setup {
            backend: if backend_http2 { "protocol: http2" } else { "" },
            ..Setup::default()
        };
        let single = Single::before(&[backend], &setup).await;
        for client_http2 in [false, true] {
            let stream = TokioIo::new(TcpStream::connect(single.address).await.unwrap());
            let builder = Request::post(if client_http2 {
                "http://api.test/open/a"
            } else {
                "/open/a"
            })
            .header("te", "trailers")
            .header("trailer", "x-sum");
            let answer = if client_http2 {
                let (mut sender, connection) =
                    hyper::client::conn::http2::handshake(TokioExecutor::new(), stream)
                        .await
                        .unwrap();
                tokio::spawn(connection);
                sender
                    .send_request(builder.body(trailing("hello", "up")).unwrap())
                    .await
                    .unwrap()
            } else {
                let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
                tokio::spawn(connection);
                let builder = builder.header("host", "api.test");
                sender
                    .send_request(builder.body(trailing("hello", "up")).unwrap())
                    .await
                    .unwrap()
            };
            let pair = format!("client HTTP/2 {client_http2}, backend HTTP/2 {backend_http2}");
            assert_eq!(answer.headers()["trailer"], "x-sum", "{pair}");
            let got = read(answer).await.unwrap();
            assert_eq!(
                (got.status.as_u16(), got.text().as_str()),
                (200, "hello up"),
                "{pair}"
            );
            let trailers = got.trailers.unwrap_or_default();
            assert_eq!(trailers.len(), 1, "{pair}: {trailers:?}");
            assert_eq!(
                trailers.get("x-sum").map(HeaderValue::as_bytes),
                Some(&b"down"[..]),
                "{pair}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_frees_the_backend() {
    let (tell, mut ends) = mpsc::unbounded_channel();
    let backend = Scripted::start(move |mut talk: Talk| {
        let tell = tell.clone();
        async move {
            let Some(head) = talk.request().await else { return };
            let _ = tell.send("asked");
            if head.starts_with("GET /open/endless") {
                talk.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                    .await;
                while talk.write("4\r\nmore\r\n").await {}
            } else {
                talk.closed().await;
            }
            let _ = tell.send("freed");
        }
    })
    .await;
    let single = Single::before(&[backend.address], &Setup::default()).await;
    let mut next = async || {
        timeout(PATIENCE, ends.recv())
            .await
            .expect("word from the backend")
            .unwrap()
    };
    for target in ["/open/endless", "/open/silent"] {
        let mut client = TcpStream::connect(single.address).await.unwrap();
        let call = format!("GET {target} HTTP/1.1\r\nHost: api.test\r\n\r\n");
        client.write_all(call.as_bytes()).await.unwrap();
        assert_eq!(next().await, "asked");
        if target == "/open/endless" {
            assert!(drain(&mut client, 1000).await >= 1000);
        }
        drop(client);
        assert_eq!(next().await, "freed", "{target}");

        let stream = TokioIo::new(TcpStream::connect(single.address).await.unwrap());
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake::<_, _, Full<Bytes>>(TokioExecutor::new(), stream)
                .await
                .unwrap();
        tokio::spawn(connection);
        let call = Request::get(format!("http://api.test{target}"))
            .body(Full::default())
            .unwrap();
        let sending = sender.send_request(call);
        if target == "/open/endless" {
            let mut answer = sending.await.unwrap();
            assert!(answer.frame().await.is_some());
            assert_eq!(next().await, "asked");
            drop(answer);
        } else {
            let sending = tokio::spawn(sending);
            assert_eq!(next().await, "asked");
            sending.abort();
        }
        assert_eq!(
            next().await,
            "freed",
            "{target} over HTTP/2, by a reset of the stream alone"
        );
    }
}
