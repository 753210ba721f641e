//! A backend that answers by path and keeps what it was asked.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinHandle;

/// Bytes of the answer to `/big`.
pub const BIG: usize = 256 * 1024;

/// A request as it arrived behind the gateway.
#[derive(Debug, Clone)]
pub struct Seen {
    pub target: String,
    pub headers: HeaderMap,
    /// `None` when the body broke off.
    pub body: Option<Bytes>,
    pub trailers: Option<HeaderMap>,
}

#[derive(Debug, Default)]
struct Record {
    begun: Mutex<Vec<String>>,
    seen: Mutex<Vec<Seen>>,
    /// Requests that wait at the gate.
    held: AtomicUsize,
    arrived: Notify,
}

/// A request at the gate; dropped when it is answered or its connection closed.
struct Held(Arc<Record>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.held.fetch_sub(1, SeqCst);
        self.0.arrived.notify_waiters();
    }
}

/// Ends when dropped.
pub struct Backend {
    pub address: SocketAddr,
    record: Arc<Record>,
    /// Requests for `/held…` are answered one for each permit.
    gate: Arc<Semaphore>,
    task: JoinHandle<()>,
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Backend {
    pub async fn start() -> Backend {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (record, gate) = (Arc::new(Record::default()), Arc::new(Semaphore::new(0)));
        let task = tokio::spawn(accept(listener, Arc::clone(&record), Arc::clone(&gate)));
        Backend {
            address,
            record,
            gate,
            task,
        }
    }

    /// Targets of all requests whose head arrived.
    pub fn begun(&self) -> Vec<String> {
        self.record.begun.lock().expect("the record").clone()
    }

    /// Requests that arrived and whose body has ended.
    pub fn seen(&self) -> Vec<Seen> {
        self.record.seen.lock().expect("the record").clone()
    }

    /// The first request to `target`, as soon as its body has ended.
    pub async fn request(&self, target: &str) -> Seen {
        loop {
            let arrived = self.record.arrived.notified();
            if let Some(seen) = self.seen().into_iter().find(|seen| seen.target == target) {
                return seen;
            }
            arrived.await;
        }
    }

    /// Waits until `count` heads have arrived.
    pub async fn arrivals(&self, count: usize) {
        loop {
            let arrived = self.record.arrived.notified();
            if self.begun().len() >= count {
                return;
            }
            arrived.await;
        }
    }

    /// Waits until `count` heads for `target` have arrived.
    pub async fn requests_for(&self, target: &str, count: usize) {
        loop {
            let arrived = self.record.arrived.notified();
            if self.begun().iter().filter(|begun| *begun == target).count() >= count {
                return;
            }
            arrived.await;
        }
    }

    /// Waits until no request is held: each was answered or given up by the gateway.
    pub async fn nobody_held(&self) {
        loop {
            let left = self.record.arrived.notified();
            if self.record.held.load(SeqCst) == 0 {
                return;
            }
            left.await;
        }
    }

    /// Lets `count` held requests go.
    pub fn release(&self, count: usize) {
        self.gate.add_permits(count);
    }
}

async fn accept(listener: TcpListener, record: Arc<Record>, gate: Arc<Semaphore>) {
    while let Ok((tcp, _)) = listener.accept().await {
        let (record, gate) = (Arc::clone(&record), Arc::clone(&gate));
        let service = hyper::service::service_fn(move |request| {
            answer(request, Arc::clone(&record), Arc::clone(&gate))
        });
        tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(tcp), service));
    }
}

async fn answer(
    request: Request<Incoming>,
    record: Arc<Record>,
    gate: Arc<Semaphore>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let target = head.uri.to_string();
    record.begun.lock().expect("the record").push(target.clone());
    record.arrived.notify_waiters();
    let whole = |text: Vec<u8>| Ok(Response::new(Full::new(Bytes::from(text))));
    let collected = body.collect().await.ok();
    let trailers = collected.as_ref().and_then(|body| body.trailers().cloned());
    let body = collected.map(http_body_util::Collected::to_bytes);
    let length = body.as_ref().map(Bytes::len);
    let seen = Seen {
        target: target.clone(),
        headers: head.headers,
        body,
        trailers,
    };
    record.seen.lock().expect("the record").push(seen);
    record.arrived.notify_waiters();
    if target.starts_with("/held") {
        record.held.fetch_add(1, SeqCst);
        let _held = Held(Arc::clone(&record));
        gate.acquire().await.expect("the gate").forget();
    }
    match target.as_str() {
        // Its client's connection keeps on, and what the connection names is for this hop only.
        "/hops" => Ok(Response::builder()
            .header("connection", "x-hop")
            .header("keep-alive", "timeout=5")
            .header("proxy-connection", "keep-alive")
            .header("x-hop", "1")
            .header("x-end", "1")
            .body(Full::default())
            .expect("an answer")),
        "/big" => whole(vec![b'x'; BIG]),
        "/length" => whole(
            length
                .map_or_else(|| "broken".to_owned(), |n| n.to_string())
                .into_bytes(),
        ),
        _ => whole(b"ok".to_vec()),
    }
}
