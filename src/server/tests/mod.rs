//! The server with a handler of the tests' own, over in-memory pipes where time matters and real sockets where not.

mod deadlines;
mod drain;
mod http1;
mod http2;
mod sockets;
mod tls;

use std::convert::Infallible;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::{Frame, Incoming};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::connection::{Bounded, End, Protocol, serve};
use super::drain::Life;
use super::handler::{Door, Handler};
use super::progress::{Progress, Stage};
use super::settings::Settings;
use crate::config::plan::{DrainPlan, HeadLimits, Http2Plan, ServerPlan, ServerTimeouts, Workers};
use crate::net::peer::Peer;

/// A big body: more than any buffer on the way.
const BIG: usize = 8 << 20;

fn plan() -> ServerPlan {
    ServerPlan {
        workers: Workers::Sharded(1),
        trusted_proxies: Vec::new(),
        max_connections: 1000,
        max_connections_per_address: 1000,
        timeouts: ServerTimeouts {
            handshake: Duration::from_secs(8),
            first_byte: Duration::from_secs(9),
            headers: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            body: Duration::from_secs(30),
            write: Duration::from_secs(20),
        },
        head: HeadLimits {
            bytes: 32 * 1024,
            fields: 100,
            target: 8 * 1024,
        },
        http2: Http2Plan {
            streams: 100,
            stream_window: 64 * 1024,
            connection_window: 1 << 20,
        },
        drain: DrainPlan {
            min: Duration::from_secs(2),
            max: Duration::from_secs(30),
        },
        danger_guard_off: false,
    }
}

/// What the handler saw, and what it waits for.
#[derive(Debug, Default)]
struct Seen {
    requests: Mutex<Vec<String>>,
    peers: Mutex<Vec<Peer>>,
    arrived: Notify,
    go: Go,
}

/// Lets requests to `/held` go, one for each call.
#[derive(Debug)]
struct Go(tokio::sync::Semaphore);

impl Default for Go {
    fn default() -> Go {
        Go(tokio::sync::Semaphore::new(0))
    }
}

impl Go {
    fn notify_one(&self) {
        self.0.add_permits(1);
    }

    async fn wait(&self) {
        self.0.acquire().await.unwrap().forget();
    }
}

impl Seen {
    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

/// Answers by path: `/early` 401 without reading the body, `/echo` the body, `/big`, `/panic`, `/held` after `go`,
/// everything else `ok`.
#[derive(Debug, Clone)]
struct Scripted {
    seen: Arc<Seen>,
    shard: usize,
}

type Answer = http_body_util::combinators::UnsyncBoxBody<Bytes, Infallible>;

fn full(bytes: impl Into<Bytes>) -> Answer {
    Full::new(bytes.into()).boxed_unsync()
}

impl Handler for Scripted {
    type Body = Answer;

    fn handle(
        &self,
        peer: &Arc<Peer>,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response<Answer>> + Send + use<> {
        let (seen, peer, shard) = (Arc::clone(&self.seen), Arc::clone(peer), self.shard);
        async move {
            let line = format!("{} {}", request.method(), request.uri().path());
            seen.requests.lock().unwrap().push(line);
            seen.peers.lock().unwrap().push(peer.as_ref().clone());
            seen.arrived.notify_one();
            match request.uri().path() {
                "/early" => {
                    let mut answer = Response::new(full(Bytes::from_static(b"no")));
                    *answer.status_mut() = StatusCode::UNAUTHORIZED;
                    answer
                }
                "/echo" => match request.into_body().collect().await {
                    Ok(body) => Response::new(full(body.to_bytes())),
                    Err(_) => Response::new(full(Bytes::from_static(b"broken"))),
                },
                "/big" => Response::new(full(Bytes::from(vec![b'x'; BIG]))),
                "/panic" => panic!("a bug on purpose"),
                "/held" => {
                    seen.go.wait().await;
                    Response::new(full(Bytes::from_static(b"held")))
                }
                "/dripping" => {
                    let pieces = futures_util::stream::unfold(0, move |sent| {
                        let seen = Arc::clone(&seen);
                        async move {
                            if sent == 3 {
                                return None;
                            }
                            seen.go.wait().await;
                            Some((
                                Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"d"))),
                                sent + 1,
                            ))
                        }
                    });
                    Response::new(http_body_util::StreamBody::new(pieces).boxed_unsync())
                }
                "/shard" => Response::new(full(Bytes::from(shard.to_string()))),
                _ => Response::new(full(Bytes::from_static(b"ok"))),
            }
        }
    }

    fn whole(answer: Response<Bytes>) -> Response<Answer> {
        answer.map(full)
    }
}

fn scripted() -> (Scripted, Arc<Seen>) {
    let seen = Arc::new(Seen::default());
    (
        Scripted {
            seen: Arc::clone(&seen),
            shard: 0,
        },
        seen,
    )
}

fn nobody() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 9))
}

/// A served connection over an in-memory pipe.
struct Piped {
    client: DuplexStream,
    end: JoinHandle<End>,
    seen: Arc<Seen>,
    life: Life,
}

fn piped(protocol: Protocol, buffer: usize) -> Piped {
    piped_with(protocol, buffer, &plan())
}

fn piped_with(protocol: Protocol, buffer: usize, plan: &ServerPlan) -> Piped {
    let (client, server) = tokio::io::duplex(buffer);
    let (handler, seen) = scripted();
    let life = Life::new();
    life.ready();
    let stage = match protocol {
        Protocol::Unknown => Stage::FirstByte,
        Protocol::Http1 | Protocol::Http2 => Stage::Idle,
    };
    let progress = Progress::new(life.clone(), nobody(), 0, stage);
    let stay = life.enter(&progress);
    let settings = Arc::new(Settings::new(plan));
    let peer = Arc::new(Peer::new(nobody(), nobody(), 0, false));
    #[expect(clippy::disallowed_methods, reason = "the test wants the result")]
    let end = tokio::spawn(async move {
        let _stay = stay;
        let door = Door::Gateway(handler);
        let work = serve(
            server,
            protocol,
            peer,
            door,
            Arc::clone(&settings),
            Arc::clone(&progress),
        );
        Bounded::new(work, progress, settings).await
    });
    Piped {
        client,
        end,
        seen,
        life,
    }
}

/// Reads one HTTP/1 answer with a `Content-Length`: its head and its body.
async fn answer(client: &mut (impl AsyncReadExt + Unpin)) -> (String, Vec<u8>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let byte = client.read_u8().await.expect("an answer");
        head.push(byte);
    }
    let head = String::from_utf8(head).unwrap();
    let length = head
        .lines()
        .find_map(|line| {
            line.to_ascii_lowercase()
                .strip_prefix("content-length: ")
                .map(str::to_owned)
        })
        .map_or(0, |value| value.parse().unwrap());
    let mut body = vec![0; length];
    client.read_exact(&mut body).await.unwrap();
    (head, body)
}

async fn ask(client: &mut (impl AsyncReadExt + AsyncWriteExt + Unpin), path: &str) -> (String, Vec<u8>) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
    client.write_all(request.as_bytes()).await.unwrap();
    answer(client).await
}

/// Everything until the other side closes; what a reset loses is lost.
async fn rest(client: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut bytes = Vec::new();
    let _ = client.read_to_end(&mut bytes).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

type Http2 = hyper::client::conn::http2::SendRequest<Full<Bytes>>;

/// A foreign HTTP/2 client on `io`; the handle ends when its connection does.
async fn http2<T>(io: T) -> (Http2, JoinHandle<hyper::Result<()>>)
where
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
{
    let (client, connection) = hyper::client::conn::http2::handshake(
        hyper_util::rt::TokioExecutor::new(),
        hyper_util::rt::TokioIo::new(io),
    )
    .await
    .unwrap();
    #[expect(clippy::disallowed_methods, reason = "the test wants the result")]
    (client, tokio::spawn(connection))
}

fn get(path: &str) -> Request<Full<Bytes>> {
    Request::get(format!("http://a{path}"))
        .body(Full::default())
        .unwrap()
}
