//! A gateway in this process with one public route to one backend, and a connection to it.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tollgate::gateway::{Gateway, Options};

use crate::backend::Backend;
use crate::case::Row;
use crate::client::{Client, Outcome};
use crate::frame::{Code, PUSH_PROMISE};

/// SETTINGS_HEADER_TABLE_SIZE = 0, so that answers can be read without a dynamic table (RFC 9113 section 6.5.2).
pub const NO_TABLE: (u16, u32) = (1, 0);

/// What a case works with.
pub struct Scene {
    pub gateway: Gateway,
    pub backend: Backend,
    /// The plain listener.
    pub address: SocketAddr,
    /// A connection over a plain socket, past its preface.
    pub client: Client,
    tls: SocketAddr,
    certificate: CertificateDer<'static>,
    _folder: tempfile::TempDir,
}

impl Scene {
    pub async fn start() -> Scene {
        let backend = Backend::start().await;
        let folder = tempfile::tempdir().expect("a folder");
        let certified = rcgen::generate_simple_self_signed(["api.test".to_owned()]).expect("a certificate");
        let (chain, key) = (folder.path().join("chain.pem"), folder.path().join("key.pem"));
        std::fs::write(&chain, certified.cert.pem()).expect("to write");
        std::fs::write(&key, certified.signing_key.serialize_pem()).expect("to write");
        let text = format!(
            "{}  - address: 127.0.0.1:0\n    tls: {{ certificate: {}, key: {} }}\n{}",
            LISTENER,
            chain.display(),
            key.display(),
            routes(backend.address),
        );
        let plan = tollgate::config::load_text(&text, "test.yaml", &|_| None)
            .unwrap_or_else(|found| panic!("{found:#?}\n{text}"));
        let gateway = Gateway::start(plan, Options::default()).await.expect("to start");
        let (address, tls) = (gateway.addresses()[0], gateway.addresses()[1]);
        let client = Client::with_settings(address, &[NO_TABLE]).await;
        Scene {
            gateway,
            backend,
            address,
            client,
            tls,
            certificate: certified.cert.der().clone(),
            _folder: folder,
        }
    }

    /// Another connection.
    pub async fn another(&self) -> Client {
        Client::with_settings(self.address, &[NO_TABLE]).await
    }

    /// A connection over TLS on which nothing was sent, and what ALPN agreed on.
    ///
    /// # Errors
    /// What the handshake failed with.
    pub async fn over_tls(&self, protocols: &[&str]) -> std::io::Result<(Client, Option<Vec<u8>>)> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).expect("a certificate");
        let mut config = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let tcp = TcpStream::connect(self.tls).await.expect("to connect");
        let name = ServerName::try_from("api.test").expect("a name");
        let stream = TlsConnector::from(Arc::new(config)).connect(name, tcp).await?;
        let agreed = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
        Ok((Client::new(stream), agreed))
    }
}

/// The listener of a configuration.
pub const LISTENER: &str = "server: { workers: 1 }\nlisteners:\n  - address: 127.0.0.1:0\n";

/// The rest of it.
pub fn routes(backend: SocketAddr) -> String {
    format!(
        "backends:\n  one: {{ endpoints: [\"http://{backend}\"] }}\napis:\n  api:\n    hosts: [api.test]\n    \
         routes:\n      - path: /{{*rest}}\n        public: true\n        to: {{ backend: one }}\n"
    )
}

/// Runs a case on a scene of its own, and compares what came of it with its row.
///
/// Afterwards: what is called refused never reached the backend, a stream's error left the connection at work, a
/// connection's error left the others at work, and nothing was pushed (RFC 9113 section 8.4).
pub fn run(row: &Row, case: impl AsyncFnOnce(&mut Scene) -> Outcome) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let mut scene = Scene::start().await;
        let observed = tokio::time::timeout(GUARD, case(&mut scene))
            .await
            .expect("the case to end");
        let expected = row.expected.outcome;
        assert!(
            expected.admits(observed),
            "{}\nexpected: {expected}\nobserved: {observed:?}",
            row.requirement
        );
        let begun = scene.backend.begun();
        assert!(
            !begun.iter().any(|target| target.contains("refused")),
            "reached the backend: {begun:?}"
        );
        let pushed = scene.client.log.iter().any(|frame| frame.kind == PUSH_PROMISE);
        assert!(!pushed, "the gateway never pushes");
        let goes_on = !matches!(expected, Expected::Either(_));
        if goes_on && matches!(observed, Outcome::Stream(_) | Outcome::Answer(_)) {
            assert!(
                scene.client.round_trip().await.is_some(),
                "the connection did not go on"
            );
        }
        assert_eq!(
            scene.another().await.serves(1).await,
            Outcome::Answer(200),
            "another client"
        );
        scene.gateway.stop();
    });
}

/// When a case that waits for the backend is given up.
const GUARD: std::time::Duration = std::time::Duration::from_secs(60);

/// What a row expects of its case.
#[derive(Debug, Clone, Copy)]
pub enum Expected {
    /// A connection error with this code. The GOAWAY may be lost: what the client has sent after the mistake makes the
    /// closed socket a reset one.
    Connection(Code),
    /// A connection error whose GOAWAY may be left out by the requirement itself.
    End,
    /// A stream error with this code; the connection goes on.
    Stream(Code),
    /// One or the other with this code.
    Either(Code),
    /// An answer with this status; the connection goes on.
    Answer(u16),
    /// The frames do no harm: the next request is answered with 200.
    Harmless,
}

impl Expected {
    fn admits(self, observed: Outcome) -> bool {
        match self {
            Expected::Connection(code) => {
                matches!(observed, Outcome::Connection(found) if found == code) || observed == Outcome::Closed
            }
            Expected::Either(code) => {
                observed == Outcome::Stream(code) || Expected::Connection(code).admits(observed)
            }
            Expected::End => matches!(observed, Outcome::Connection(_) | Outcome::Closed),
            Expected::Stream(code) => observed == Outcome::Stream(code),
            Expected::Answer(status) => observed == Outcome::Answer(status),
            Expected::Harmless => observed == Outcome::Answer(200),
        }
    }
}

impl std::fmt::Display for Expected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Expected::Connection(code) => write!(f, "connection error {code}"),
            Expected::End => f.write_str("the connection is closed"),
            Expected::Stream(code) => write!(f, "stream error {code}"),
            Expected::Either(code) => write!(f, "stream or connection error {code}"),
            Expected::Answer(status) => write!(f, "answer {status}"),
            Expected::Harmless => f.write_str("served"),
        }
    }
}
