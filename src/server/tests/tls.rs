//! TLS of a listener, with a foreign-configured rustls client.

use std::path::{Path, PathBuf};

use rustls::ClientConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::sockets::start;
use super::*;
use crate::config::plan::{CertificatePlan, ClientCertificates, TlsPlan};
use crate::net::tls_server::TlsError;
use crate::server::connection::serve_socket;
use crate::server::listener::Mode;
use crate::server::timed_io::Expired;
use crate::server::tls::Tls;

/// An authority and a directory for what it signs.
struct Authority {
    directory: TempDir,
    issuer: rcgen::CertifiedIssuer<'static, rcgen::KeyPair>,
}

impl Authority {
    fn new() -> Authority {
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let issuer =
            rcgen::CertifiedIssuer::self_signed(params, rcgen::KeyPair::generate().unwrap()).unwrap();
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("ca.pem"), issuer.pem()).unwrap();
        Authority { directory, issuer }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn certificate(&self, names: &[&str]) -> CertificatePlan {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let file = names.first().unwrap().replace('*', "any");
        let (chain, key) = (
            self.path(&format!("{file}.pem")),
            self.path(&format!("{file}.key")),
        );
        let mut params = rcgen::CertificateParams::new(names.clone()).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, names.first().unwrap().as_str());
        let pair = rcgen::KeyPair::generate().unwrap();
        std::fs::write(&chain, params.signed_by(&pair, &self.issuer).unwrap().pem()).unwrap();
        std::fs::write(&key, pair.serialize_pem()).unwrap();
        CertificatePlan { chain, key }
    }

    fn client(&self, alpn: &[&str], certificate: Option<&CertificatePlan>) -> Arc<ClientConfig> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match certificate {
            None => builder.with_no_client_auth(),
            Some(plan) => builder
                .with_client_auth_cert(
                    vec![CertificateDer::from_pem_file(&plan.chain).unwrap()],
                    PrivateKeyDer::from_pem_file(&plan.key).unwrap(),
                )
                .unwrap(),
        };
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Arc::new(config)
    }
}

fn tls_plan(certificates: Vec<CertificatePlan>) -> TlsPlan {
    TlsPlan {
        certificates,
        clients: ClientCertificates::No,
    }
}

/// For tests that need some TLS listener.
pub(super) fn server_tls(name: &str) -> Arc<Tls> {
    let authority = Authority::new();
    Arc::new(Tls::new(&tls_plan(vec![authority.certificate(&[name])])).unwrap())
}

async fn handshake(
    tcp: TcpStream,
    config: &Arc<ClientConfig>,
    name: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    TlsConnector::from(Arc::clone(config)).connect(name, tcp).await
}

#[tokio::test]
async fn alpn_decides_between_http2_and_http1_and_without_it_it_is_http1() {
    let authority = Authority::new();
    let tls = Arc::new(Tls::new(&tls_plan(vec![authority.certificate(&["localhost"])])).unwrap());
    let running = start(&plan(), vec![Mode::Tls(tls)]);

    let tcp = running.connect().await;
    let stream = handshake(tcp, &authority.client(&["h2", "http/1.1"], None), "localhost")
        .await
        .unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    assert_eq!(
        stream.get_ref().1.protocol_version(),
        Some(rustls::ProtocolVersion::TLSv1_3)
    );
    let (mut client, _connection) = http2(stream).await;
    assert_eq!(
        client.send_request(get("/")).await.unwrap().status(),
        StatusCode::OK
    );

    for alpn in [&["http/1.1"][..], &[]] {
        let mut stream = handshake(
            running.connect().await,
            &authority.client(alpn, None),
            "localhost",
        )
        .await
        .unwrap();
        assert_eq!(ask(&mut stream, "/").await.1, b"ok");
    }
    let peers = running.seen.peers.lock().unwrap();
    let facts: Vec<_> = peers
        .iter()
        .map(|peer| peer.tls.as_ref().unwrap().http2)
        .collect();
    assert_eq!(facts, [true, false, false]);
    assert!(
        peers
            .iter()
            .all(|peer| peer.tls.as_ref().unwrap().server_name.as_deref() == Some("localhost"))
    );
}

#[tokio::test]
async fn a_protocol_that_nobody_speaks_here_is_refused_in_the_handshake() {
    let authority = Authority::new();
    let tls = Arc::new(Tls::new(&tls_plan(vec![authority.certificate(&["localhost"])])).unwrap());
    let running = start(&plan(), vec![Mode::Tls(tls)]);
    let refused = handshake(
        running.connect().await,
        &authority.client(&["imap"], None),
        "localhost",
    )
    .await;
    assert!(refused.is_err());
}

/// The common name of the certificate that a handshake for `name` shows.
async fn shown(running: &sockets::Running, config: &Arc<ClientConfig>, name: &str) -> Option<String> {
    let stream = handshake(running.connect().await, config, name).await.ok()?;
    let leaf = stream.get_ref().1.peer_certificates()?.first()?.clone();
    let (_, leaf) =
        <x509_parser::certificate::X509Certificate<'_> as x509_parser::prelude::FromDer<'_, _>>::from_der(
            &leaf,
        )
        .ok()?;
    Some(leaf.subject().to_string())
}

#[tokio::test]
async fn the_certificate_is_chosen_by_server_name_exact_before_wildcard_before_the_first() {
    let authority = Authority::new();
    let tls = Tls::new(&tls_plan(vec![
        authority.certificate(&["first.example"]),
        authority.certificate(&["*.wild.example"]),
        authority.certificate(&["exact.wild.example", "other.example"]),
    ]))
    .unwrap();
    let running = start(&plan(), vec![Mode::Tls(Arc::new(tls))]);
    let config = authority.client(&[], None);
    for (name, certificate) in [
        ("first.example", "CN=first.example"),
        ("a.wild.example", "CN=*.wild.example"),
        ("exact.wild.example", "CN=exact.wild.example"),
        ("OTHER.example", "CN=exact.wild.example"),
    ] {
        assert_eq!(
            shown(&running, &config, name).await.as_deref(),
            Some(certificate),
            "{name}"
        );
    }
    // The first is shown for unknown names; the client finds that it does not fit, also two labels under a wildcard.
    assert_eq!(shown(&running, &config, "unknown.example").await, None);
    assert_eq!(shown(&running, &config, "a.b.wild.example").await, None);
}

#[tokio::test]
async fn certificates_are_swapped_while_connections_go_on() {
    let authority = Authority::new();
    let tls = Arc::new(
        Tls::new(&tls_plan(vec![
            authority.certificate(&["one.example", "host.example"]),
        ]))
        .unwrap(),
    );
    let running = start(&plan(), vec![Mode::Tls(Arc::clone(&tls))]);
    let config = authority.client(&[], None);
    let mut open = handshake(running.connect().await, &config, "host.example")
        .await
        .unwrap();
    ask(&mut open, "/").await;
    assert_eq!(
        shown(&running, &config, "host.example").await.as_deref(),
        Some("CN=one.example")
    );

    let next = tls
        .prepare(&tls_plan(vec![
            authority.certificate(&["two.example", "host.example"]),
        ]))
        .unwrap();
    tls.swap(next);
    let fresh = authority.client(&[], None);
    assert_eq!(
        shown(&running, &fresh, "host.example").await.as_deref(),
        Some("CN=two.example")
    );
    assert_eq!(ask(&mut open, "/").await.1, b"ok");
    assert_eq!(tls.certificates()[0].names, ["two.example", "host.example"]);
    assert!(tls.certificates()[0].not_after > crate::base::clock::Clock::system().unix());
}

#[tokio::test]
async fn tickets_outlive_a_change_of_certificates_but_not_of_the_clients_authorities() {
    let authority = Authority::new();
    let certificate = authority.certificate(&["localhost"]);
    let tls = Arc::new(Tls::new(&tls_plan(vec![certificate.clone()])).unwrap());
    let running = start(&plan(), vec![Mode::Tls(Arc::clone(&tls))]);
    let config = authority.client(&[], None);
    let kind = async |config: &Arc<ClientConfig>| {
        let mut stream = handshake(running.connect().await, config, "localhost")
            .await
            .unwrap();
        // Tickets come after the handshake, with the first bytes read.
        ask(&mut stream, "/").await;
        stream.get_ref().1.handshake_kind().unwrap()
    };
    assert_eq!(kind(&config).await, rustls::HandshakeKind::Full);
    assert_eq!(kind(&config).await, rustls::HandshakeKind::Resumed);
    tls.swap(tls.prepare(&tls_plan(vec![certificate.clone()])).unwrap());
    assert_eq!(kind(&config).await, rustls::HandshakeKind::Resumed);
    let clients = ClientCertificates::Optional {
        ca: authority.path("ca.pem"),
    };
    tls.swap(
        tls.prepare(&TlsPlan {
            clients,
            ..tls_plan(vec![certificate])
        })
        .unwrap(),
    );
    assert_ne!(kind(&config).await, rustls::HandshakeKind::Resumed);
}

#[test]
fn a_key_of_another_certificate_is_an_error_before_the_swap() {
    let authority = Authority::new();
    let one = authority.certificate(&["one.example"]);
    let two = authority.certificate(&["two.example"]);
    let tls = Tls::new(&tls_plan(vec![one.clone()])).unwrap();
    let mixed = CertificatePlan {
        chain: one.chain.clone(),
        key: two.key,
    };
    let error = tls.prepare(&tls_plan(vec![mixed])).unwrap_err();
    assert!(matches!(error, TlsError::Mismatch { .. }), "{error}");
    assert_eq!(tls.certificates()[0].chain, one.chain);
}

#[test]
fn a_file_that_is_missing_or_not_pem_is_named() {
    let authority = Authority::new();
    let good = authority.certificate(&["one.example"]);
    let junk = authority.path("junk.pem");
    std::fs::write(&junk, "not pem").unwrap();
    let wrong = |chain: &Path, key: &Path| {
        let plan = CertificatePlan {
            chain: chain.to_owned(),
            key: key.to_owned(),
        };
        Tls::new(&tls_plan(vec![plan])).unwrap_err().to_string()
    };
    assert!(wrong(&junk, &good.key).contains("junk.pem"));
    assert!(wrong(&good.chain, &junk).contains("junk.pem"));
    assert!(wrong(&authority.path("none.pem"), &good.key).contains("none.pem"));
    assert!(wrong(&good.key, &good.key).contains("one.example.key"));
}

#[tokio::test]
async fn a_client_certificate_is_asked_for_verified_and_told() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let server = authority.certificate(&["localhost"]);
    let device = authority.certificate(&["device-7"]);
    let forged = stranger.certificate(&["device-7"]);
    for (clients, without) in [
        (
            ClientCertificates::Optional {
                ca: authority.path("ca.pem"),
            },
            true,
        ),
        (
            ClientCertificates::Required {
                ca: authority.path("ca.pem"),
            },
            false,
        ),
    ] {
        let tls = Tls::new(&TlsPlan {
            certificates: vec![server.clone()],
            clients,
        })
        .unwrap();
        let running = start(&plan(), vec![Mode::Tls(Arc::new(tls))]);
        let served = async |certificate: Option<&CertificatePlan>| {
            let config = authority.client(&[], certificate);
            let Ok(mut stream) = handshake(running.connect().await, &config, "localhost").await else {
                return false;
            };
            // In TLS 1.3 the client learns of a refusal only when it reads.
            stream
                .write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                .await
                .is_ok()
                && rest(&mut stream).await.starts_with("HTTP/1.1 200 ")
        };
        assert_eq!(served(None).await, without);
        assert!(served(Some(&device)).await);
        assert!(!served(Some(&forged)).await);
        let peers = running.seen.peers.lock().unwrap();
        let told = peers
            .last()
            .unwrap()
            .tls
            .as_ref()
            .unwrap()
            .client
            .as_deref()
            .unwrap()
            .clone();
        assert_eq!(told.subject, "CN=device-7");
        let der = CertificateDer::from_pem_file(&device.chain).unwrap();
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &der);
        assert_eq!(told.fingerprint, digest.as_ref());
        assert_eq!(peers.len(), 1 + usize::from(without));
    }
}

/// A real socket and paused time: the clock jumps to the deadline when nothing else can happen.
#[tokio::test(start_paused = true)]
async fn an_unfinished_handshake_is_cut_at_its_deadline() {
    for sent in [&b""[..], &b"\x16\x03\x01"[..]] {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        client.write_all(sent).await.unwrap();
        let (tcp, address) = listener.accept().await.unwrap();
        let life = Life::new();
        let progress = Progress::new(life, address, 0, Stage::Handshake);
        let peer = Peer::new(address, address, 0, false);
        let begin = tokio::time::Instant::now();
        let (handler, _seen) = scripted();
        let end = serve_socket(
            tcp,
            peer,
            Some(server_tls("localhost")),
            Door::Gateway(handler),
            Arc::new(Settings::new(&plan())),
            progress,
        )
        .await;
        assert!(matches!(end, End::Expired(Expired::Handshake)), "{end:?}");
        assert_eq!(begin.elapsed().as_secs(), 8);
    }
}

#[tokio::test]
async fn plain_http_on_a_tls_listener_is_the_end_of_the_connection() {
    let running = start(&plan(), vec![Mode::Tls(server_tls("localhost"))]);
    let mut client = running.connect().await;
    client
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    assert!(!rest(&mut client).await.contains("HTTP"));
    assert!(running.seen.requests().is_empty());
}
