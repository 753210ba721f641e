//! Listeners and workers on real sockets.

use std::net::IpAddr;

use tokio::net::{TcpSocket, TcpStream};

use super::*;
use crate::server::drain::Phase;
use crate::server::listener::{Listener, Mode};
use crate::server::worker::{Server, shards};
use crate::telemetry::metrics::Metrics;

/// A server on a port that the system chose; it ends with the test.
pub(super) struct Running {
    server: Option<Server>,
    pub(super) life: Life,
    pub(super) seen: Arc<Seen>,
    pub(super) metrics: Arc<Metrics>,
}

pub(super) fn start(plan: &ServerPlan, modes: Vec<Mode>) -> Running {
    let (handler, seen) = scripted();
    let (life, metrics) = (Life::new(), Metrics::new());
    let listeners = modes
        .into_iter()
        .map(|mode| {
            (
                Listener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap(),
                mode,
            )
        })
        .collect();
    let make = |shard| Scripted {
        shard,
        ..handler.clone()
    };
    let server = Server::start(plan, listeners, &life, &metrics, make).unwrap();
    life.ready();
    Running {
        server: Some(server),
        life,
        seen,
        metrics,
    }
}

impl Running {
    pub(super) fn address(&self, listener: usize) -> SocketAddr {
        self.server.as_ref().unwrap().addresses()[listener]
    }

    pub(super) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address(0)).await.unwrap()
    }

    async fn connect_from(&self, from: [u8; 4]) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from((from, 0))).unwrap();
        socket.connect(self.address(0)).await.unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.life.stop();
        if let Some(server) = self.server.take() {
            server.join();
        }
    }
}

#[tokio::test]
async fn each_shape_of_workers_serves() {
    for workers in [
        Workers::Sharded(1),
        Workers::Sharded(3),
        Workers::Stealing(2),
        Workers::Sharded(0),
    ] {
        let running = start(&ServerPlan { workers, ..plan() }, vec![Mode::Plain]);
        let mut client = running.connect().await;
        assert_eq!(ask(&mut client, "/").await.1, b"ok", "{workers:?}");
        assert_eq!(ask(&mut client, "/").await.1, b"ok", "{workers:?}");
        let (mut client, _connection) = http2(running.connect().await).await;
        assert_eq!(
            client.send_request(get("/")).await.unwrap().status(),
            StatusCode::OK,
            "{workers:?}"
        );
    }
}

#[tokio::test]
async fn connections_are_dealt_to_the_worker_with_the_fewest() {
    let plan = ServerPlan {
        workers: Workers::Sharded(3),
        ..plan()
    };
    assert_eq!(shards(plan.workers), 3);
    let running = start(&plan, vec![Mode::Plain]);
    let mut clients = Vec::new();
    let mut by_shard = std::collections::BTreeMap::<Vec<u8>, usize>::new();
    for _ in 0..9 {
        let mut client = running.connect().await;
        *by_shard.entry(ask(&mut client, "/shard").await.1).or_default() += 1;
        clients.push(client);
    }
    assert_eq!(
        by_shard.into_iter().collect::<Vec<_>>(),
        [(b"0".to_vec(), 3), (b"1".to_vec(), 3), (b"2".to_vec(), 3)]
    );
}

#[tokio::test]
async fn a_connection_above_the_cap_is_closed_at_once_and_counted() {
    let running = start(
        &ServerPlan {
            max_connections: 2,
            ..plan()
        },
        vec![Mode::Plain],
    );
    let mut first = running.connect().await;
    let mut second = running.connect().await;
    ask(&mut first, "/").await;
    ask(&mut second, "/").await;
    let mut third = running.connect().await;
    assert_eq!(rest(&mut third).await, "");
    assert!(
        refusals(&running).contains("reason=\"cap\"} 1"),
        "{}",
        refusals(&running)
    );
    drop((first, second));
    running.life.emptied().await;
    ask(&mut running.connect().await, "/").await;
}

fn refusals(running: &Running) -> String {
    let text = running.metrics.render();
    text.lines()
        .filter(|line| line.starts_with("tollgate_connections_refused_total"))
        .collect()
}

#[tokio::test]
async fn one_address_above_its_share_is_refused_and_another_is_served() {
    let running = start(
        &ServerPlan {
            max_connections_per_address: 1,
            ..plan()
        },
        vec![Mode::Plain],
    );
    let mut first = running.connect_from([127, 0, 0, 1]).await;
    ask(&mut first, "/").await;
    assert_eq!(rest(&mut running.connect_from([127, 0, 0, 1]).await).await, "");
    ask(&mut running.connect_from([127, 0, 0, 2]).await, "/").await;
    assert!(
        refusals(&running).contains("reason=\"address_cap\"} 1"),
        "{}",
        refusals(&running)
    );
}

#[tokio::test]
async fn a_trusted_proxy_is_exempt_from_the_share_of_an_address() {
    let plan = ServerPlan {
        max_connections_per_address: 1,
        trusted_proxies: vec!["127.0.0.1/32".parse().unwrap()],
        ..plan()
    };
    let running = start(&plan, vec![Mode::Plain]);
    let mut clients = Vec::new();
    for _ in 0..5 {
        let mut client = running.connect_from([127, 0, 0, 1]).await;
        ask(&mut client, "/").await;
        clients.push(client);
    }
    let mut stranger = running.connect_from([127, 0, 0, 2]).await;
    ask(&mut stranger, "/").await;
    let peers = running.seen.peers.lock().unwrap();
    assert_eq!(peers.iter().filter(|peer| peer.trusted).count(), 5);
    assert!(
        peers
            .iter()
            .all(|peer| peer.trusted == (peer.address.ip() == IpAddr::from([127, 0, 0, 1])))
    );
    assert!(
        peers
            .iter()
            .all(|peer| peer.local == running.address(0) && peer.listener == 0)
    );
}

#[tokio::test]
async fn an_unfinished_handshake_counts_as_a_connection() {
    let tls = tls::server_tls("localhost");
    let running = start(
        &ServerPlan {
            max_connections: 1,
            ..plan()
        },
        vec![Mode::Tls(tls)],
    );
    let _silent = running.connect().await;
    assert_eq!(rest(&mut running.connect().await).await, "");
}

#[tokio::test]
async fn a_redirect_listener_redirects_and_nothing_else_is_reachable_there() {
    let running = start(&plan(), vec![Mode::Redirect { port: Some(8443) }]);
    let mut client = running.connect().await;
    client
        .write_all(b"DELETE /a?b=c|d HTTP/1.1\r\nHost: x.example:80\r\n\r\n")
        .await
        .unwrap();
    let (head, _) = answer(&mut client).await;
    assert!(head.starts_with("HTTP/1.1 308 "), "{head}");
    assert!(
        head.contains("location: https://x.example:8443/a?b=c|d\r\n"),
        "{head}"
    );
    client
        .write_all(b"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n")
        .await
        .unwrap();
    assert!(answer(&mut client).await.0.starts_with("HTTP/1.1 400 "));
    let (mut client, _connection) = http2(running.connect().await).await;
    let answer = client.send_request(get("/live")).await.unwrap();
    assert_eq!(answer.status(), StatusCode::PERMANENT_REDIRECT);
    assert_eq!(answer.headers()[http::header::LOCATION], "https://a:8443/live");
    assert!(running.seen.requests().is_empty());
}

#[tokio::test]
async fn a_drain_of_25_requests_in_flight_loses_none_and_closes_the_listener() {
    let mut running = start(
        &ServerPlan {
            workers: Workers::Sharded(2),
            ..plan()
        },
        vec![Mode::Plain],
    );
    let mut clients = Vec::new();
    for _ in 0..25 {
        let mut client = running.connect().await;
        client
            .write_all(b"GET /held HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .unwrap();
        running.seen.arrived.notified().await;
        clients.push(client);
    }
    let life = running.life.clone();
    let plan = DrainPlan {
        min: Duration::ZERO,
        max: Duration::from_secs(60),
    };
    #[expect(clippy::disallowed_methods, reason = "the test wants the result")]
    let drained = tokio::spawn(async move { life.drain(plan).await });
    running.life.reached(Phase::Closing).await;
    for _ in &clients {
        running.seen.go.notify_one();
    }
    for client in &mut clients {
        let (head, body) = answer(client).await;
        assert!(head.to_ascii_lowercase().contains("connection: close"), "{head}");
        assert_eq!(body, b"held");
    }
    assert_eq!(drained.await.unwrap().cut, 0);
    let address = running.address(0);
    running.server.take().unwrap().join();
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn while_draining_new_connections_are_served_and_told_to_leave() {
    let running = start(&plan(), vec![Mode::Plain]);
    let life = running.life.clone();
    let plan = DrainPlan {
        min: Duration::from_secs(3600),
        max: Duration::from_secs(3600),
    };
    #[expect(clippy::disallowed_methods, reason = "the test wants the result")]
    let drained = tokio::spawn(async move { life.drain(plan).await });
    running.life.reached(Phase::Draining).await;
    let mut client = running.connect().await;
    let (head, _) = ask(&mut client, "/").await;
    assert!(head.to_ascii_lowercase().contains("connection: close"), "{head}");
    assert_eq!(rest(&mut client).await, "");
    running.life.stop();
    drained.await.unwrap();
}

#[tokio::test]
async fn settings_changed_by_a_reload_hold_for_connections_opened_after_it() {
    let running = start(
        &ServerPlan {
            max_connections: 1,
            ..plan()
        },
        vec![Mode::Plain],
    );
    let mut first = running.connect().await;
    ask(&mut first, "/").await;
    assert_eq!(rest(&mut running.connect().await).await, "");
    running.server.as_ref().unwrap().change(&plan());
    ask(&mut running.connect().await, "/").await;
    // And nothing happened to the one that was open.
    ask(&mut first, "/").await;
}

#[test]
fn an_idle_connection_carries_a_small_future() {
    let (handler, _seen) = scripted();
    let progress = Progress::new(Life::new(), nobody(), 0, Stage::FirstByte);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let tcp = runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .unwrap();
        TcpStream::connect(listener.local_addr().unwrap()).await.unwrap()
    });
    let peer = Peer::new(nobody(), nobody(), 0, false);
    let settings = Arc::new(Settings::new(&plan()));
    let served =
        crate::server::connection::serve_socket(tcp, peer, None, Door::Gateway(handler), settings, progress);
    let size = size_of_val(&served);
    // Beside it an idle connection has hyper's buffer (8 KiB), a timer and its entry on the roster.
    assert!(size <= 1536, "{size} bytes");
    drop(runtime);
}
