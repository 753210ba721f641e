//! A recording backend: a real server on a port of the system's choice that keeps what it saw.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};

/// Where the shipped configurations ask whether a backend can work.
const HEALTH: &str = "/health";

/// One request as the backend saw it.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: Method,
    pub target: String,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub trailers: Option<HeaderMap>,
}

impl Seen {
    /// The only value of a field; panics when it is missing or repeated.
    pub fn only(&self, name: &str) -> &str {
        let mut values = self.headers.get_all(name).iter();
        let value = values
            .next()
            .unwrap_or_else(|| panic!("no {name} in {:?}", self.headers));
        assert!(
            values.next().is_none(),
            "{name} is repeated in {:?}",
            self.headers
        );
        value.to_str().expect("a printable value")
    }
}

/// What a backend answers: a status, and JSON; `None` for the answer of every backend.
pub type Behaviour = dyn Fn(&Seen) -> Option<(u16, serde_json::Value)> + Send + Sync;

/// The backend. Ends when dropped.
pub struct Upstream {
    pub address: SocketAddr,
    pub name: &'static str,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Upstream {
    /// Starts a backend that answers every request with 200 and `{"served_by": name}`; HTTP/1.1.
    pub async fn start(name: &'static str) -> Upstream {
        Upstream::start_protocol(name, false, Arc::new(|_| None)).await
    }

    /// The same, and what `behaviour` says.
    pub async fn behaving(
        name: &'static str,
        behaviour: impl Fn(&Seen) -> Option<(u16, serde_json::Value)> + Send + Sync + 'static,
    ) -> Upstream {
        Upstream::start_protocol(name, false, Arc::new(behaviour)).await
    }

    /// The same over HTTP/2 with prior knowledge.
    pub async fn start_h2(name: &'static str) -> Upstream {
        Upstream::start_protocol(name, true, Arc::new(|_| None)).await
    }

    async fn start_protocol(name: &'static str, h2: bool, behaviour: Arc<Behaviour>) -> Upstream {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let address = listener.local_addr().expect("an address");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let record = seen.clone();
        let task = tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else {
                    continue;
                };
                let (record, behaviour) = (record.clone(), Arc::clone(&behaviour));
                let service = service_fn(move |request: Request<Incoming>| {
                    let (record, behaviour) = (record.clone(), Arc::clone(&behaviour));
                    async move { Ok::<_, Infallible>(answer(name, request, &record, &*behaviour).await) }
                });
                tokio::spawn(async move {
                    let io = TokioIo::new(stream);
                    if h2 {
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
        Upstream {
            address,
            name,
            seen,
            task,
        }
    }

    /// The base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Everything seen so far, but checks of readiness.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("the record").clone()
    }

    /// The only request seen.
    pub fn only(&self) -> Seen {
        let seen = self.seen();
        assert_eq!(seen.len(), 1, "{} saw {seen:#?}", self.name);
        seen[0].clone()
    }
}

async fn answer(
    name: &'static str,
    request: Request<Incoming>,
    record: &Mutex<Vec<Seen>>,
    behaviour: &Behaviour,
) -> Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    let Ok(collected) = body.collect().await else {
        return Response::new(Full::new(Bytes::from_static(b"broken")));
    };
    let trailers = collected.trailers().cloned();
    let body = collected.to_bytes();
    let length = body.len();
    let seen = Seen {
        method: parts.method,
        target: parts
            .uri
            .path_and_query()
            .map(|target| target.to_string())
            .unwrap_or_default(),
        headers: parts.headers,
        body,
        trailers,
    };
    let said = behaviour(&seen);
    if seen.target != HEALTH {
        record.lock().expect("the record").push(seen);
    }
    if let Some((status, json)) = said {
        let body = if json.is_null() {
            String::new()
        } else {
            json.to_string()
        };
        let length = body.len();
        return Response::builder()
            .status(status)
            .header("content-type", "application/json")
            .header("content-length", length)
            .body(Full::new(Bytes::from(body)))
            .expect("an answer");
    }
    Response::builder()
        .header("content-type", "application/json")
        .header("x-served-by", name)
        .header("connection", "x-hop")
        .header("x-hop", "must not pass")
        .body(Full::new(Bytes::from(format!(
            "{{\"served_by\":\"{name}\",\"received\":{length}}}"
        ))))
        .expect("an answer")
}
