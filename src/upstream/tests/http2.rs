//! HTTP/2 to the endpoint, with prior knowledge.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, Version};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore};

use super::script::{Server, Step, say, until};
use super::{SHORT, Seen, data, facts, get, patient, plan, request, see, send, service, streamed};
use crate::config::plan::{BackendPlan, UpstreamProtocol};
use crate::http::body::Body;
use crate::rejection::Code;

type AnswerBody = http_body_util::combinators::UnsyncBoxBody<Bytes, Infallible>;

/// An HTTP/2 server of the library, which answers when the test lets it.
struct Peer {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    heads: Arc<Mutex<Vec<http::request::Parts>>>,
    /// Each answer takes one permit.
    permits: Arc<Semaphore>,
    /// Rings once for every connection that shall go away.
    leave: Arc<Notify>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Peer {
    async fn start(streams: u32, permits: usize) -> Peer {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let heads = Arc::new(Mutex::new(Vec::new()));
        let permits = Arc::new(Semaphore::new(permits));
        let leave = Arc::new(Notify::new());
        let task = tokio::spawn({
            let (connections, heads, permits, leave) =
                (connections.clone(), heads.clone(), permits.clone(), leave.clone());
            async move {
                let mut serving = tokio::task::JoinSet::new();
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    connections.fetch_add(1, Ordering::SeqCst);
                    let (heads, permits, leave) = (heads.clone(), permits.clone(), leave.clone());
                    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
                        let (heads, permits) = (heads.clone(), permits.clone());
                        async move {
                            let (head, body) = request.into_parts();
                            heads.lock().unwrap().push(head);
                            let body = body.collect().await.unwrap();
                            permits.acquire().await.unwrap().forget();
                            Ok::<_, Infallible>(answer(body.to_bytes()))
                        }
                    });
                    serving.spawn(async move {
                        let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                            .max_concurrent_streams(streams)
                            .serve_connection(TokioIo::new(stream), service);
                        let mut connection = std::pin::pin!(connection);
                        tokio::select! {
                            _ = &mut connection => return,
                            () = leave.notified() => connection.as_mut().graceful_shutdown(),
                        }
                        let _ = connection.await;
                    });
                }
            }
        });
        Peer {
            address,
            connections,
            heads,
            permits,
            leave,
            task,
        }
    }

    fn plan(&self) -> BackendPlan {
        http2(plan(&[self.address]))
    }

    fn heads(&self) -> usize {
        self.heads.lock().unwrap().len()
    }
}

fn http2(mut plan: BackendPlan) -> BackendPlan {
    plan.protocol = UpstreamProtocol::Http2;
    plan
}

fn answer(body: Bytes) -> Response<AnswerBody> {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", "0".parse().unwrap());
    let body = if body.is_empty() {
        Full::new(Bytes::from_static(b"good")).boxed_unsync()
    } else {
        let frames = [Ok(Frame::data(body)), Ok(Frame::trailers(trailers))];
        StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync()
    };
    Response::new(body)
}

#[tokio::test]
async fn one_connection_serves_many_calls_at_once() {
    let peer = Peer::start(100, 0).await;
    let service = service(&peer.plan());
    let calls = futures_util::future::join_all((0..20).map(|_| get(&service)));
    let all_there = async {
        until(|| peer.heads() == 20).await;
        peer.permits.add_permits(20);
    };
    let (seen, ()) = tokio::join!(calls, all_there);
    assert!(
        seen.iter().all(|seen| *seen == Seen::whole(200, "good")),
        "{seen:?}"
    );
    assert_eq!(
        peer.connections.load(Ordering::SeqCst),
        1,
        "those that come meanwhile wait for the first connect"
    );
    let facts = facts(&service);
    assert_eq!(
        (facts.connects, facts.reuses, facts.in_flight, facts.pooled),
        (1, 19, 0, 1)
    );
}

#[tokio::test]
async fn the_authority_stands_in_the_place_of_host() {
    let peer = Peer::start(100, 9).await;
    let service = service(&peer.plan());
    get(&service).await;
    let heads = peer.heads.lock().unwrap();
    assert_eq!(heads[0].version, Version::HTTP_2);
    assert_eq!(heads[0].uri, "http://api.example.com/v1/items?limit=5&flag");
    assert!(!heads[0].headers.contains_key("host"));
}

#[tokio::test]
async fn bodies_and_trailers_pass_and_the_version_is_not_the_endpoints() {
    let peer = Peer::start(100, 9).await;
    let service = service(&peer.plan());
    let body = streamed(vec![data("hello"), data("world")], true);
    let answer = send(&service, request(Method::POST, body)).await.0.unwrap();
    assert_eq!(answer.version(), Version::HTTP_11);
    let body = answer.into_body().collect().await.unwrap();
    assert_eq!(body.trailers().unwrap()["grpc-status"], "0");
    assert_eq!(body.to_bytes(), "helloworld");
    assert_eq!(facts(&service).in_flight, 0);
}

#[tokio::test]
async fn when_the_peers_stream_limit_is_reached_another_connection_is_opened() {
    let peer = Peer::start(2, 1).await;
    let service = service(&peer.plan());
    // The limit is known with the first answer.
    assert_eq!(get(&service).await, Seen::whole(200, "good"));
    let calls = futures_util::future::join_all((0..4).map(|_| get(&service)));
    let all_there = async {
        until(|| peer.heads() == 5).await;
        peer.permits.add_permits(4);
    };
    let (seen, ()) = tokio::join!(calls, all_there);
    assert!(
        seen.iter().all(|seen| *seen == Seen::whole(200, "good")),
        "{seen:?}"
    );
    assert_eq!(peer.connections.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_connection_that_says_goaway_finishes_its_calls_and_gets_no_new_ones() {
    let peer = Peer::start(100, 0).await;
    let service = service(&peer.plan());
    let first = get(&service);
    let others = async {
        until(|| peer.heads() == 1).await;
        peer.leave.notify_one();
        // A POST: if the old connection has taken it, it gives it back.
        let later = send(&service, request(Method::POST, Body::full("x")));
        let release = async {
            until(|| peer.heads() == 2).await;
            peer.permits.add_permits(2);
        };
        tokio::join!(async { see(later.await.0).await }, release).0
    };
    let (first, later) = tokio::join!(first, others);
    assert_eq!(first, Seen::whole(200, "good"));
    assert_eq!(later, Seen::whole(200, "x"));
    assert_eq!(peer.heads(), 2, "no call was made twice");
    // The goodbye has been seen by now.
    peer.permits.add_permits(1);
    assert_eq!(get(&service).await, Seen::whole(200, "good"));
    assert_eq!(peer.connections.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_stream_that_is_silent_times_out_alone() {
    let peer = Peer::start(100, 0).await;
    let mut plan = peer.plan();
    plan.timeouts.first_byte = SHORT;
    let service = service(&plan);
    assert_eq!(get(&service).await, Seen::Refused(Code::UpstreamTimeout));
    peer.permits.add_permits(9);
    assert_eq!(get(&patient(&service, &plan)).await, Seen::whole(200, "good"));
    assert_eq!(peer.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_endpoint_that_speaks_http1_is_an_invalid_answer() {
    let server = Server::start(vec![]).await;
    let service = service(&http2(plan(&[server.address])));
    assert_eq!(get(&service).await, Seen::Refused(Code::UpstreamInvalid));
    assert_eq!(facts(&service).in_flight, 0);
}

/// A frame of RFC 9113 section 4.1.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let stream = stream.to_be_bytes();
    [&length[1..], &[kind, flags], &stream, payload].concat()
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const NO_ERROR: [u8; 4] = [0, 0, 0, 0];
const CANCEL: [u8; 4] = [0, 0, 0, 8];
/// `:status: 200` from the static table (RFC 7541 appendix A, index 8).
const OK: &[u8] = &[0x88];
/// `content-length: 5`: the name from the static table (index 28), the value as it is.
const OK_FIVE: &[u8] = &[0x88, 0x0f, 0x0d, 0x01, b'5'];

/// What is seen of an answer in those frames, to a request without a body or with one that does not end.
async fn seen_of(answer: Vec<Vec<u8>>, unfinished: bool) -> Seen {
    let settings = say(frame(SETTINGS, 0, 0, &[]));
    let script = vec![
        Step::Head,
        settings,
        Step::Frame(HEADERS),
        say(answer.concat()),
        Step::Hold,
    ];
    let server = Server::start(vec![script]).await;
    let service = service(&http2(plan(&[server.address])));
    let call = if unfinished {
        request(Method::POST, streamed(vec![data("a")], false))
    } else {
        request(Method::GET, Body::empty())
    };
    let seen = see(send(&service, call).await.0).await;
    assert_eq!(facts(&service).in_flight, 0);
    seen
}

#[tokio::test]
async fn a_stream_that_is_reset_within_its_body_does_not_look_whole() {
    let part = || vec![frame(HEADERS, END_HEADERS, 1, OK), frame(DATA, 0, 1, b"hello")];
    let reset = |code: [u8; 4]| frame(RST_STREAM, 0, 1, &code);
    let whole = seen_of(
        vec![
            frame(HEADERS, END_HEADERS, 1, OK),
            frame(DATA, END_STREAM, 1, b"hello"),
        ],
        false,
    );
    assert_eq!(whole.await, Seen::whole(200, "hello"));
    assert_eq!(
        seen_of([part(), vec![reset(CANCEL)]].concat(), false).await,
        Seen::Cut(200)
    );
    assert_eq!(
        seen_of([part(), vec![reset(NO_ERROR)]].concat(), false).await,
        Seen::Cut(200)
    );
}

#[tokio::test]
async fn a_body_shorter_or_longer_than_its_length_does_not_look_whole() {
    for body in [&b"hell"[..], b"hello!"] {
        let answer = vec![
            frame(HEADERS, END_HEADERS, 1, OK_FIVE),
            frame(DATA, END_STREAM, 1, body),
        ];
        let seen = seen_of(answer, false).await;
        assert!(
            matches!(seen, Seen::Cut(200) | Seen::Refused(Code::UpstreamInvalid)),
            "{body:?}: {seen:?}"
        );
    }
    let none = vec![frame(HEADERS, END_HEADERS | END_STREAM, 1, OK_FIVE)];
    let seen = seen_of(none, false).await;
    assert!(!matches!(seen, Seen::Whole(..)), "{seen:?}");
}

#[tokio::test]
async fn a_whole_answer_before_the_request_ended_may_be_followed_by_a_reset_without_error() {
    let answer = vec![
        frame(HEADERS, END_HEADERS, 1, OK),
        frame(DATA, END_STREAM, 1, b"early"),
        frame(RST_STREAM, 0, 1, &NO_ERROR),
    ];
    assert_eq!(seen_of(answer, true).await, Seen::whole(200, "early"));
}
