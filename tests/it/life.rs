//! Reload, drain and readiness of the real program.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::client::{PATIENCE, connect, get, read, send, try_send};
use crate::support::gateway::config;
use crate::support::keys::Signer;
use crate::support::process::Process;
use crate::support::upstream::Upstream;

const OPEN: &str = r#"
      - path: /open/{*rest}
        public: true
        to: { backend: us }
      - path: /private
        to: { backend: us }
"#;
const OPEN_AND_NEW: &str = r#"
      - path: /open/{*rest}
        public: true
        to: { backend: us }
      - path: /new
        public: true
        to: { backend: us }
      - path: /private
        to: { backend: us }
"#;

struct House {
    signer: Signer,
    us: Upstream,
    eu: Upstream,
    folder: tempfile::TempDir,
}

impl House {
    async fn new() -> House {
        let folder = tempfile::tempdir().unwrap();
        let signer = Signer::new(folder.path());
        House {
            signer,
            us: Upstream::start("us").await,
            eu: Upstream::start("eu").await,
            folder,
        }
    }

    fn file(&self) -> std::path::PathBuf {
        self.folder.path().join("tollgate.yaml")
    }

    fn write(&self, routes: &str) {
        let text = config(&self.signer, &self.us, &self.eu, "1000000/s", routes);
        let next = self.folder.path().join("next.yaml");
        std::fs::write(&next, text).unwrap();
        std::fs::rename(&next, self.file()).unwrap();
    }
}

fn open() -> http::Request<Full<Bytes>> {
    get("api.test", "/open/a", &[])
}

#[tokio::test(flavor = "multi_thread")]
async fn reloads_under_load_lose_no_request_and_close_no_connection() {
    let house = House::new().await;
    house.write(OPEN);
    let mut process = Process::start(&house.file());
    let address = process.address;
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let stop = stop.clone();
            tokio::spawn(async move {
                let mut sender = connect(address).await;
                let mut count = 0_u32;
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    sender.ready().await.expect("the connection stays open");
                    let got = read(sender.send_request(open()).await.expect("no lost request"))
                        .await
                        .unwrap();
                    assert_eq!(got.status, 200);
                    count += 1;
                }
                count
            })
        })
        .collect();
    for n in 0..5 {
        house.write(if n % 2 == 0 { OPEN_AND_NEW } else { OPEN });
        process.signal("HUP");
        process.wait_for("configuration reloaded");
    }
    // A line may be of a reload that the changed file itself caused, for the configuration before the last.
    let mut look = tokio::time::interval(Duration::from_millis(10));
    tokio::time::timeout(PATIENCE, async {
        while send(address, get("api.test", "/new", &[])).await.status != 200 {
            look.tick().await;
        }
    })
    .await
    .expect("the last configuration is in force");
    std::fs::write(house.file(), "listeners: [").unwrap();
    process.signal("HUP");
    process.wait_for("configuration refused");
    assert_eq!(
        send(address, get("api.test", "/new", &[])).await.status,
        200,
        "the old one stays"
    );
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let mut total = 0;
    for client in clients {
        total += client.await.expect("no client failed");
    }
    assert!(total >= 8, "the clients did work: {total}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_file_is_seen_without_a_signal() {
    let house = House::new().await;
    house.write(OPEN);
    let mut process = Process::start(&house.file());
    assert_eq!(
        send(process.address, get("api.test", "/new", &[])).await.status,
        404
    );
    house.write(OPEN_AND_NEW);
    process.wait_for("configuration reloaded");
    assert_eq!(
        send(process.address, get("api.test", "/new", &[])).await.status,
        200
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_a_restart_is_refused_by_name() {
    let house = House::new().await;
    house.write(OPEN);
    let mut process = Process::start(&house.file());
    let text = std::fs::read_to_string(house.file())
        .unwrap()
        .replace("workers: 1", "workers: 2");
    std::fs::write(house.file(), text).unwrap();
    process.signal("HUP");
    let line = process.wait_for("configuration refused");
    assert!(line.contains("workers"), "{line}");
    assert_eq!(send(process.address, open()).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_lets_what_is_in_flight_finish_and_exits_zero() {
    let house = House::new().await;
    let slow = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let text = config(&house.signer, &house.us, &house.eu, "1000000/s", OPEN)
        .replace(&house.us.url(), &format!("http://{}", slow.local_addr().unwrap()));
    std::fs::write(house.file(), text).unwrap();
    let mut process = Process::start(&house.file());
    let address = process.address;
    let client = tokio::spawn(async move { try_send(address, open()).await });
    let (mut backend, _) = tokio::time::timeout(PATIENCE, slow.accept())
        .await
        .unwrap()
        .unwrap();
    let mut head = vec![0; 4096];
    let read = backend.read(&mut head).await.unwrap();
    assert!(read > 0, "the request is in flight");
    process.signal("TERM");
    process.wait_for("draining");
    let ready = send(process.admin, get("localhost", "/ready", &[])).await;
    assert_eq!(ready.status, 503, "{}", ready.text());
    backend
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwhole")
        .await
        .unwrap();
    let got = client.await.unwrap().expect("the answer in flight arrives");
    assert_eq!((got.status.as_u16(), got.text().as_str()), (200, "whole"));
    assert_eq!(got.header("connection"), Some("close"));
    let status = tokio::task::spawn_blocking(move || process.wait()).await.unwrap();
    assert_eq!(status.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_sigterm_ends_at_once() {
    let house = House::new().await;
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let text = config(&house.signer, &house.us, &house.eu, "1000000/s", OPEN).replace(
        &house.us.url(),
        &format!("http://{}", silent.local_addr().unwrap()),
    );
    std::fs::write(house.file(), text).unwrap();
    let mut process = Process::start(&house.file());
    let address = process.address;
    let client = tokio::spawn(async move { try_send(address, open()).await.is_err() });
    let _held = tokio::time::timeout(PATIENCE, silent.accept())
        .await
        .unwrap()
        .unwrap();
    process.signal("TERM");
    process.wait_for("draining");
    process.signal("TERM");
    let ended = tokio::time::timeout(
        Duration::from_secs(10),
        tokio::task::spawn_blocking(move || process.wait()),
    )
    .await;
    assert!(ended.is_ok(), "it ends without waiting for the one in flight");
    assert!(client.await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn live_ready_and_metrics_are_served_by_the_admin_listener() {
    let house = House::new().await;
    house.write(OPEN);
    let process = Process::start(&house.file());
    assert_eq!(send(process.address, open()).await.status, 200);
    for path in ["/live", "/ready"] {
        let got = send(process.admin, get("localhost", path, &[])).await;
        assert_eq!(got.status, 200, "{path}: {}", got.text());
        assert_eq!(
            send(process.address, get("api.test", path, &[])).await.status,
            404,
            "not on a public listener"
        );
    }
    let metrics = send(process.admin, get("localhost", "/metrics", &[]))
        .await
        .text();
    assert!(metrics.contains("tollgate_requests_total"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_reload_is_told_as_json_and_a_refused_request_is_logged_with_its_sender() {
    let house = House::new().await;
    house.write(OPEN);
    let log = house.folder.path().join("access.log");
    let telemetry = format!(
        "telemetry:\n  access-log: {{ file: {} }}\n  log: {{ json: true }}\n",
        log.display()
    );
    let good = std::fs::read_to_string(house.file()).unwrap() + &telemetry;
    std::fs::write(house.file(), &good).unwrap();
    let mut process = Process::start(&house.file());
    let mut stream = tokio::net::TcpStream::connect(process.address).await.unwrap();
    stream
        .write_all(b"GET /open/a HTTP/1.1\r\nHost: a b\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");

    std::fs::write(house.file(), good + "nonsense: 1\n").unwrap();
    process.signal("HUP");
    let line = process.wait_for("unknown key `nonsense`");
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(
        (&line["code"], &line["column"]),
        (&"unknown-key".into(), &1.into())
    );
    assert!(line["hint"].as_str().unwrap().contains("`listeners`"), "{line}");

    process.signal("TERM");
    assert!(process.wait().success());
    let line: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(log).unwrap()).unwrap();
    assert_eq!(line["tollgate.refusal.code"], "bad_request");
    assert_eq!(line["client.address"], "127.0.0.1");
    assert_eq!(line["network.peer.address"], "127.0.0.1");
}
