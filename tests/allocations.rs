//! What one request costs in memory: allocations on the warm bearer path, and the size of the pipeline's future.
//!
//! Counted on the thread that runs the gateway, after the first calls have filled what is filled once. The request
//! itself is made before and not counted. Budgets are what was measured: less is welcome (lower the number then), more
//! needs a reason in the commit. `cargo test --test allocations -- --nocapture` shows the counts.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may stop at the first surprise"
)]

#[path = "../benches/scene/mod.rs"]
mod scene;

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use allocation_counter::measure;
use futures_util::FutureExt;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use scene::{BACKEND, Door, HIT, LIMITED, MISS, NOW, NOWHERE, config, request};
use tokio::runtime::Runtime;
use tollgate::auth::Presented;
use tollgate::base::clock::Clock;
use tollgate::headers::{Call, Client, Injected, Scheme};
use tollgate::http::cookie;
use tollgate::http::forwarded::Trust;
use tollgate::http::trace_context::TraceParent;
use tollgate::pipeline;

/// The header of the answer: its index and its entries.
const FIXED_ANSWER: u64 = 2;

/// What Tollgate adds to what a bare client of the HTTP library allocates for the same call: the header's index and entries
/// when they grow by the fields that are set (2), the values of request id and trace (2), and counts of references for
/// the id and for the head of the answer (2), less what the library's client spends and ours does not (2).
const FORWARDED: u64 = 4;

/// A token that is verified: decoded text, JSON, and what is kept of it, most of which the cache would keep too.
const VERIFIED: u64 = 61;

/// A refusal of a limit: its own fields, and the answer with its rendered body.
const REFUSED: u64 = 16;

/// A refusal before anything is known.
const NO_ROUTE: u64 = 7;

/// The future of a request, in bytes: held once by every request under way. Its part of the way that waits for a backend
/// makes most of it.
const FUTURE: usize = 3_200;

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

/// Allocations of one warm call to `path`, answered without waiting.
fn allocations(door: &Door, path: &'static str, status: StatusCode) -> u64 {
    for _ in 0..3 {
        assert!(door.handle(request(path)).now_or_never().is_some());
    }
    let call = request(path);
    let mut seen = None;
    let count = measure(|| seen = door.handle(call).now_or_never().map(|answer| answer.status())).count_total;
    assert_eq!(seen, Some(status));
    println!("{path}: {count} allocations");
    count
}

fn closed_door() -> Door {
    Door::open(&config("http://127.0.0.1:9"), Clock::manual(NOW))
}

#[test]
fn a_warm_call_to_a_fixed_answer_allocates_for_the_answers_header_only() {
    let runtime = runtime();
    let _inside = runtime.enter();
    assert!(allocations(&closed_door(), HIT, StatusCode::OK) <= FIXED_ANSWER);
}

#[test]
fn a_verified_token_and_refusals_stay_within_their_budgets() {
    let runtime = runtime();
    let _inside = runtime.enter();
    let door = closed_door();
    assert!(allocations(&door, MISS, StatusCode::OK) <= VERIFIED);
    assert!(allocations(&door, LIMITED, StatusCode::TOO_MANY_REQUESTS) <= REFUSED);
    assert!(allocations(&door, NOWHERE, StatusCode::NOT_FOUND) <= NO_ROUTE);
}

#[test]
fn no_stage_before_the_backends_header_allocates_for_a_remembered_token() {
    let runtime = runtime();
    let _inside = runtime.enter();
    let door = closed_door();
    // Once the whole way, to remember the token and its bucket.
    assert!(door.handle(request(BACKEND)).now_or_never().is_none());
    let (view, clock) = (&door.view, door.shard.clock());
    let mut call = request(BACKEND);
    let client = door.peer.address.ip();
    let mut counts: Vec<(&str, u64)> = Vec::new();

    let mut head = None;
    counts.push(("guard", count(|| head = view.guard.check(&call, false).ok())));
    let head = head.unwrap();
    let mut found = None;
    counts.push((
        "route",
        count(|| found = view.router.find(head.host(), head.path(), &Method::GET).ok()),
    ));
    let route = found.unwrap().payload;
    counts.push((
        "address limits",
        count(|| route.limits.admit_address(client, clock.tick()).unwrap()),
    ));
    let mut caller = None;
    counts.push((
        "identify",
        count(|| {
            caller = route
                .credentials
                .identify(&Presented::get(call.headers()), clock)
                .now_or_never()
        }),
    ));
    let mut permit = None;
    let caller = caller.unwrap().unwrap();
    counts.push((
        "access",
        count(|| permit = route.access.decide(caller, &Presented::get(call.headers())).ok()),
    ));
    let permit = permit.unwrap();
    let mut admission = None;
    counts.push((
        "limits",
        count(|| admission = route.limits.admit(permit, client, clock.tick()).ok()),
    ));
    let admission = admission.unwrap();
    println!("{counts:?}");
    assert!(counts.iter().all(|(_, count)| *count == 0), "{counts:?}");

    let permit = admission.permit();
    let request_id = http::HeaderValue::from_static("0af7651916cd43dd8448eb211c80319c");
    let outgoing = Call {
        head: &head,
        injected: Injected {
            tenant: permit.tenant_value(),
            customer: permit.customer_value(),
            subject: permit.subject_value(),
            ..Injected::default()
        },
        client: Client {
            peer: &door.peer.address_value,
            trust: Trust::Stranger,
            scheme: Scheme::Http,
        },
        request_id: &request_id,
        trace: TraceParent::continue_or_begin(&HeaderMap::new(), [7; 24]),
    };
    let count = count(|| route.outgoing.apply(call.headers_mut(), &outgoing));
    println!("outgoing header: {count}");
    assert!(
        count <= 3,
        "the map grows (2), the trace's value (1); not {count}"
    );
}

fn count(work: impl FnOnce()) -> u64 {
    measure(work).count_total
}

#[test]
fn a_warm_forwarded_call_adds_its_budget_to_what_a_bare_client_allocates() {
    let runtime = runtime();
    let _inside = runtime.enter();
    let backend = backend();
    let door = Door::open(&config(&format!("http://{backend}")), Clock::system());
    let whole = median(|| {
        let call = request(BACKEND);
        waiting(&runtime, async {
            let answer = door.handle(call).await;
            assert_eq!(answer.status(), StatusCode::OK);
            drain(answer.into_body()).await
        })
    });

    let (mut sender, connection) = runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(backend).await.unwrap();
        hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .unwrap()
    });
    let connection = runtime.spawn(connection);
    let bare = median(|| {
        let (parts, _) = request(BACKEND).into_parts();
        let call = Request::from_parts(parts, Empty::<bytes::Bytes>::new());
        waiting(&runtime, async {
            sender.ready().await.unwrap();
            drain(sender.send_request(call).await.unwrap().into_body()).await
        })
    });
    connection.abort();
    println!("forwarded: {whole} allocations, a bare client: {bare}");
    assert!(
        whole <= bare + FORWARDED,
        "{whole} allocations, a bare client {bare}"
    );
}

/// Runs a call to its end and gives its allocations. The call's own future is boxed before, and not counted.
fn waiting(runtime: &Runtime, call: impl Future<Output = usize>) -> u64 {
    let mut call = Box::pin(call);
    let mut bytes = 0;
    let count = count(|| bytes = runtime.block_on(&mut call));
    assert_eq!(bytes, BODY.len());
    count
}

/// The middle of a few calls, after some that are not looked at: whether head and body of an answer come in one read
/// is up to the system.
fn median(mut call: impl FnMut() -> u64) -> u64 {
    for _ in 0..5 {
        call();
    }
    let mut counts: Vec<u64> = (0..21).map(|_| call()).collect();
    counts.sort_unstable();
    counts[10]
}

async fn drain<B: http_body::Body<Data = bytes::Bytes> + Unpin>(mut body: B) -> usize {
    let mut bytes = 0;
    while let Some(Ok(frame)) = body.frame().await {
        bytes += frame.data_ref().map_or(0, bytes::Bytes::len);
    }
    bytes
}

const BODY: &str = r#"{"items":[]}"#;

/// A backend on threads of its own, which are not counted: answers every head that it reads.
fn backend() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || answer_all(stream));
        }
    });
    address
}

fn answer_all(mut stream: std::net::TcpStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let answer = format!(
        "HTTP/1.1 200 OK\r\nServer: recorder\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{BODY}",
        BODY.len()
    );
    let (mut seen, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        let read = stream.read(&mut chunk)?;
        if read == 0 {
            return Ok(());
        }
        seen.extend_from_slice(&chunk[..read]);
        while let Some(end) = seen.windows(4).position(|four| four == b"\r\n\r\n") {
            seen.drain(..end + 4);
            stream.write_all(answer.as_bytes())?;
        }
    }
}

#[test]
fn the_pipelines_future_is_small() {
    let runtime = runtime();
    let _inside = runtime.enter();
    let door = closed_door();
    let future = pipeline::handle(&door.shard, &door.peer, request(HIT));
    let size = std::mem::size_of_val(&future);
    println!("the pipeline's future: {size} bytes");
    assert!(size <= FUTURE, "{size} bytes");
}

#[test]
fn cookies_are_read_without_an_allocation() {
    let mut headers = HeaderMap::new();
    for line in ["csrftoken=C; sessionid=S; csrftoken=D", "other=S; sessionid=T"] {
        headers.append(http::header::COOKIE, http::HeaderValue::from_static(line));
    }
    let mut found = 0;
    let count = measure(|| found = cookie::values(&headers, "sessionid").count()).count_total;
    assert_eq!((found, count), (2, 0));
}
