//! Keys over HTTPS (class: JWT and JWKS), through the running gateway: whoever can pose as the key server can forge every
//! token, so a server is believed only with a certificate of the authorities that the file names, for the name it was asked by.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tollgate::gateway::Gateway;

use crate::forged::{call, eventually, keys, signers, token};
use crate::support::client::{Got, get, send};
use crate::support::gateway::start;
use crate::support::process::Process;
use crate::support::scripted::{Scripted, Talk};
use crate::support::upstream::Upstream;

/// An authority of our own: its certificate as a file, and what it signs.
struct Authority {
    folder: tempfile::TempDir,
    issuer: Issuer<'static, KeyPair>,
}

/// For how long a certificate is good.
#[derive(Clone, Copy)]
enum Term {
    Good,
    Expired,
}

impl Authority {
    fn new() -> Authority {
        let folder = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        std::fs::write(folder.path().join("ca.pem"), certificate.pem()).unwrap();
        Authority {
            folder,
            issuer: Issuer::new(params, key),
        }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// What a server with a certificate for `name` shows.
    fn identity(&self, name: &str, term: Term) -> Arc<ServerConfig> {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        if matches!(term, Term::Expired) {
            params.not_before = rcgen::date_time_ymd(2020, 1, 1);
            params.not_after = rcgen::date_time_ymd(2021, 1, 1);
        }
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        Arc::new(config)
    }
}

/// A key server behind TLS. Ends when dropped.
struct TlsKeyServer {
    address: SocketAddr,
    shown: Arc<Mutex<Arc<ServerConfig>>>,
    connections: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for TlsKeyServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl TlsKeyServer {
    /// Answers every request with `answer`.
    async fn start(identity: Arc<ServerConfig>, answer: String) -> TlsKeyServer {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shown = Arc::new(Mutex::new(identity));
        let connections = Arc::new(AtomicUsize::new(0));
        let requests = Arc::new(AtomicUsize::new(0));
        let (current, opened, asked) = (shown.clone(), connections.clone(), requests.clone());
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let identity = current.lock().unwrap().clone();
                let requests = asked.clone();
                serve(stream, identity, &answer, &requests).await;
                opened.fetch_add(1, Ordering::SeqCst);
            }
        });
        TlsKeyServer {
            address,
            shown,
            connections,
            requests,
            task,
        }
    }

    /// What the next connections are shown.
    fn show(&self, identity: Arc<ServerConfig>) {
        *self.shown.lock().unwrap() = identity;
    }

    /// Waits for so many more connections to have come and gone.
    async fn tried(&self, more: usize) {
        let goal = self.connections.load(Ordering::SeqCst) + more;
        eventually("the gateway tries to fetch", async || {
            self.connections.load(Ordering::SeqCst) >= goal
        })
        .await;
    }
}

async fn serve(stream: TcpStream, identity: Arc<ServerConfig>, answer: &str, requests: &AtomicUsize) {
    // A client that does not believe the certificate ends the handshake, or the connection right after it (TLS 1.3).
    let Ok(mut stream) = TlsAcceptor::from(identity).accept(stream).await else {
        return;
    };
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    assert!(head.starts_with(b"GET /jwks.json HTTP/1.1\r\n"));
    requests.fetch_add(1, Ordering::SeqCst);
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}

/// Keys come from `url`, calls go to `backend`; `ca` is a further line of the key source.
fn config(url: &str, ca: &str, backend: &str) -> String {
    format!(
        r#"
server: {{ workers: 1 }}
listeners: [{{ address: 127.0.0.1:0 }}]
admin: {{ address: 127.0.0.1:0 }}
issuers:
  idp:
    issuer: https://idp.example/
    audience: [api]
    algorithms: [ES256]
    keys:
      url: "{url}"
      refresh: 1s
      floor: 1s
      {ca}
    claims: {{ customer: customer_id, scope: scope }}
backends:
  us: {{ endpoints: ["{backend}"] }}
apis:
  api:
    hosts: [api.test]
    credentials: [{{ bearer: idp }}]
    access: {{}}
    headers: {{ tenant: X-Tenant-ID }}
    routes:
      - path: /{{*rest}}
        to: {{ backend: us }}
"#
    )
}

async fn gateway(url: &str, ca: &str, us: &Upstream) -> (Gateway, SocketAddr, SocketAddr) {
    start(&config(url, ca, &us.url())).await
}

async fn ready(admin: SocketAddr) -> Got {
    send(admin, get("localhost", "/ready", &[])).await
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_come_over_https_from_a_server_that_the_named_authority_vouches_for() {
    let (_folder, signer, stranger) = signers();
    let us = Upstream::start("us").await;
    let authority = Authority::new();
    for name in ["127.0.0.1", "localhost"] {
        let identity = authority.identity(name, Term::Good);
        let server = TlsKeyServer::start(identity, keys(&[(&signer, "k1")])).await;
        let url = format!("https://{name}:{}/jwks.json", server.address.port());
        let ca = format!("ca: {}", authority.file().display());
        let (_gateway, address, admin) = gateway(&url, &ca, &us).await;
        eventually("readiness", async || ready(admin).await.status == 200).await;
        assert!(server.requests.load(Ordering::SeqCst) >= 1);
        let got = call(address, &token(&signer, "k1")).await;
        assert_eq!(got.status, 200, "{name}: {}", got.text());
        assert_eq!(us.seen().pop().unwrap().only("x-tenant-id"), "cust-1");
        let got = call(address, &token(&stranger, "k1")).await;
        assert_eq!(got.status, 401, "{name}: {}", got.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_server_that_nobody_vouches_for_is_not_asked_and_the_gateway_is_not_ready() {
    let (_folder, signer, _) = signers();
    let us = Upstream::start("us").await;
    let (ours, theirs) = (Authority::new(), Authority::new());
    let ca = format!("ca: {}", ours.file().display());
    for (name, identity, ca) in [
        (
            "an unknown authority",
            theirs.identity("127.0.0.1", Term::Good),
            &*ca,
        ),
        ("another name", ours.identity("keys.example", Term::Good), &*ca),
        ("an expired one", ours.identity("127.0.0.1", Term::Expired), &*ca),
        (
            "no `ca`: the system's",
            ours.identity("127.0.0.1", Term::Good),
            "",
        ),
    ] {
        let server = TlsKeyServer::start(identity, keys(&[(&signer, "k1")])).await;
        let url = format!("https://{}/jwks.json", server.address);
        let (_gateway, address, admin) = gateway(&url, ca, &us).await;
        server.tried(1).await;
        let got = ready(admin).await;
        assert_eq!(got.status, 503, "{name}: {}", got.text());
        assert!(got.text().contains("idp"), "it says why: {}", got.text());
        let got = call(address, &token(&signer, "k1")).await;
        assert_eq!(
            (got.status.as_u16(), got.json()["code"].as_str()),
            (503, Some("authority_unavailable")),
            "{name}"
        );
        assert_eq!(server.requests.load(Ordering::SeqCst), 0, "{name}");
    }
    assert!(us.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_come_when_the_key_server_shows_a_good_certificate_and_stay_when_it_shows_a_bad_one_again() {
    let (_folder, signer, evil) = signers();
    let us = Upstream::start("us").await;
    let (ours, theirs) = (Authority::new(), Authority::new());
    let server =
        TlsKeyServer::start(theirs.identity("127.0.0.1", Term::Good), keys(&[(&signer, "k1")])).await;
    let url = format!("https://{}/jwks.json", server.address);
    let ca = format!("ca: {}", ours.file().display());
    let (_gateway, address, admin) = gateway(&url, &ca, &us).await;
    assert_eq!(ready(admin).await.status, 503);

    server.show(ours.identity("127.0.0.1", Term::Good));
    eventually("readiness", async || ready(admin).await.status == 200).await;
    assert_eq!(call(address, &token(&signer, "k1")).await.status, 200);

    server.show(theirs.identity("127.0.0.1", Term::Good));
    // The first of the two may have begun before the change.
    server.tried(2).await;
    assert_eq!(call(address, &token(&evil, "k2")).await.status, 401);
    assert_eq!(call(address, &token(&signer, "k1")).await.status, 200);
    assert_eq!(ready(admin).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_tls_is_not_asked_at_an_https_address() {
    let (_folder, signer, _) = signers();
    let us = Upstream::start("us").await;
    let ours = Authority::new();
    let keys = keys(&[(&signer, "k1")]);
    let plain = Scripted::start(move |mut talk: Talk| {
        let keys = keys.clone();
        async move {
            talk.write(keys).await;
        }
    })
    .await;
    let url = format!("https://{}/jwks.json", plain.address);
    let (_gateway, address, admin) = gateway(&url, &format!("ca: {}", ours.file().display()), &us).await;
    assert_eq!(ready(admin).await.status, 503);
    let got = call(address, &token(&signer, "k1")).await;
    assert_eq!(got.status, 503, "{}", got.text());
    assert!(us.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_named_authority_the_systems_count_for_keys_and_for_backends() {
    let (_folder, signer, _) = signers();
    let (ours, theirs) = (Authority::new(), Authority::new());
    let identity = ours.identity("localhost", Term::Good);
    // Keys and calls go to the same server.
    let server = TlsKeyServer::start(identity, keys(&[(&signer, "k1")])).await;
    let origin = format!("https://localhost:{}", server.address.port());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tollgate.yaml");
    std::fs::write(&file, config(&format!("{origin}/jwks.json"), "", &origin)).unwrap();
    let call = async |address: SocketAddr| {
        let value = format!("Bearer {}", token(&signer, "k1"));
        send(
            address,
            get("api.test", "/jwks.json", &[("authorization", &value)]),
        )
        .await
    };

    // What OpenSSL's users name the system's authorities by.
    let trusted = ours.file().display().to_string();
    let process = Process::start_with(&file, &[("SSL_CERT_FILE", &trusted)]);
    eventually("readiness", async || ready(process.admin).await.status == 200).await;
    let got = call(process.address).await;
    assert_eq!(got.status, 200, "{}", got.text());
    assert!(got.text().contains("keys"), "{}", got.text());

    let trusted = theirs.file().display().to_string();
    let process = Process::start_with(&file, &[("SSL_CERT_FILE", &trusted)]);
    server.tried(1).await;
    assert_eq!(ready(process.admin).await.status, 503);
    assert_eq!(call(process.address).await.status, 503);
}
