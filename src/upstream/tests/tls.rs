//! TLS to the endpoint: who is trusted, which name is verified, who we are.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::{Seen, facts, get, plan, service};
use crate::config::plan::{BackendPlan, CertificatePlan, UpstreamProtocol};
use crate::rejection::Code;
use crate::upstream::Service;

/// An authority and what it signed, as files.
struct Authority {
    directory: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Authority {
        let directory = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        std::fs::write(directory.path().join("ca.pem"), certificate.pem()).unwrap();
        Authority {
            directory,
            issuer: Issuer::new(params, key),
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn sign(&self, file: &str, names: &[&str], purpose: ExtendedKeyUsagePurpose) {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.extended_key_usages = vec![purpose];
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        std::fs::write(self.file(&format!("{file}.pem")), certificate.pem()).unwrap();
        std::fs::write(self.file(&format!("{file}.key")), key.serialize_pem()).unwrap();
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_file(self.file("ca.pem")).unwrap())
            .unwrap();
        roots
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Clients {
    Anyone,
    WithCertificate,
}

/// What the server does after the handshake.
#[derive(Clone, Copy, PartialEq)]
enum Speaks {
    Http1,
    Http2,
    /// An answer that lasts to the end of the connection, which ends without TLS's own goodbye.
    Cut,
}

struct Peer {
    address: SocketAddr,
    handshakes: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn start(authority: &Authority, names: &[&str], clients: Clients, speaks: Speaks) -> Peer {
    authority.sign("server", names, ExtendedKeyUsagePurpose::ServerAuth);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match clients {
        Clients::Anyone => builder.with_no_client_auth(),
        Clients::WithCertificate => builder.with_client_cert_verifier(
            WebPkiClientVerifier::builder_with_provider(Arc::new(authority.roots()), provider)
                .build()
                .unwrap(),
        ),
    };
    let mut config = builder
        .with_single_cert(
            vec![CertificateDer::from_pem_file(authority.file("server.pem")).unwrap()],
            PrivateKeyDer::from_pem_file(authority.file("server.key")).unwrap(),
        )
        .unwrap();
    if speaks == Speaks::Http2 {
        config.alpn_protocols = vec![b"h2".to_vec()];
    }
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let handshakes = Arc::new(AtomicUsize::new(0));
    let task = tokio::spawn({
        let handshakes = handshakes.clone();
        async move {
            let mut serving = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (acceptor, handshakes) = (acceptor.clone(), handshakes.clone());
                serving.spawn(async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else {
                        return;
                    };
                    handshakes.fetch_add(1, Ordering::SeqCst);
                    let answer = hyper::service::service_fn(|_: Request<Incoming>| async {
                        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"good"))))
                    });
                    match speaks {
                        Speaks::Http1 => {
                            let http = hyper::server::conn::http1::Builder::new();
                            let _ = http.serve_connection(TokioIo::new(stream), answer).await;
                        }
                        Speaks::Http2 => {
                            let http = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                            let _ = http.serve_connection(TokioIo::new(stream), answer).await;
                        }
                        Speaks::Cut => {
                            let mut buffer = [0; 4096];
                            let _ = stream.read(&mut buffer).await;
                            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nhello").await;
                            let _ = stream.flush().await;
                        }
                    }
                });
            }
        }
    });
    Peer {
        address,
        handshakes,
        task,
    }
}

fn over_tls(peer: &Peer, authority: &Authority) -> BackendPlan {
    let mut plan = plan(&[peer.address]);
    plan.endpoints[0].tls = true;
    plan.tls.ca = Some(authority.file("ca.pem"));
    plan
}

#[tokio::test]
async fn a_certificate_of_the_given_authority_for_the_address_is_accepted() {
    let authority = Authority::new();
    let peer = start(&authority, &["127.0.0.1"], Clients::Anyone, Speaks::Http1).await;
    let service = service(&over_tls(&peer, &authority));
    for _ in 0..3 {
        assert_eq!(get(&service).await, Seen::whole(200, "good"));
    }
    assert_eq!(
        peer.handshakes.load(Ordering::SeqCst),
        1,
        "the connection is used again"
    );
}

#[tokio::test]
async fn another_authoritys_certificate_is_not_accepted() {
    let (authority, other) = (Authority::new(), Authority::new());
    let peer = start(&authority, &["127.0.0.1"], Clients::Anyone, Speaks::Http1).await;
    let service = service(&over_tls(&peer, &other));
    assert_eq!(get(&service).await, Seen::Refused(Code::UpstreamUnreachable));
    assert_eq!(facts(&service).connect_failures, 1);
}

#[tokio::test]
async fn the_configured_name_is_verified_in_place_of_the_host() {
    let authority = Authority::new();
    let peer = start(
        &authority,
        &["inventory.internal"],
        Clients::Anyone,
        Speaks::Http1,
    )
    .await;
    let mut plan = over_tls(&peer, &authority);
    assert_eq!(
        get(&service(&plan)).await,
        Seen::Refused(Code::UpstreamUnreachable),
        "the address is not in it"
    );
    plan.tls.server_name = Some("inventory.internal".to_owned());
    assert_eq!(get(&service(&plan)).await, Seen::whole(200, "good"));
    plan.tls.server_name = Some("elsewhere.internal".to_owned());
    assert_eq!(
        get(&service(&plan)).await,
        Seen::Refused(Code::UpstreamUnreachable)
    );
}

#[tokio::test]
async fn the_client_certificate_is_shown_to_a_server_that_asks() {
    let authority = Authority::new();
    let peer = start(
        &authority,
        &["127.0.0.1"],
        Clients::WithCertificate,
        Speaks::Http1,
    )
    .await;
    let mut plan = over_tls(&peer, &authority);
    let without = get(&service(&plan)).await;
    assert!(
        matches!(
            without,
            Seen::Refused(Code::UpstreamUnreachable | Code::UpstreamInvalid)
        ),
        "in TLS 1.3 the refusal comes after the handshake: {without:?}"
    );
    authority.sign("client", &["gateway"], ExtendedKeyUsagePurpose::ClientAuth);
    plan.tls.certificate = Some(CertificatePlan {
        chain: authority.file("client.pem"),
        key: authority.file("client.key"),
    });
    assert_eq!(get(&service(&plan)).await, Seen::whole(200, "good"));
}

#[tokio::test]
async fn http2_is_agreed_on_by_alpn_or_the_endpoint_is_not_used() {
    let authority = Authority::new();
    let peer = start(&authority, &["127.0.0.1"], Clients::Anyone, Speaks::Http2).await;
    let mut plan = over_tls(&peer, &authority);
    plan.protocol = UpstreamProtocol::Http2;
    assert_eq!(get(&service(&plan)).await, Seen::whole(200, "good"));
    let only_http1 = start(&authority, &["127.0.0.1"], Clients::Anyone, Speaks::Http1).await;
    let mut plan = over_tls(&only_http1, &authority);
    plan.protocol = UpstreamProtocol::Http2;
    assert_eq!(
        get(&service(&plan)).await,
        Seen::Refused(Code::UpstreamUnreachable)
    );
}

#[tokio::test]
async fn an_answer_to_the_end_of_the_connection_is_whole_only_with_the_goodbye_of_tls() {
    let authority = Authority::new();
    let peer = start(&authority, &["127.0.0.1"], Clients::Anyone, Speaks::Cut).await;
    let service = service(&over_tls(&peer, &authority));
    assert_eq!(get(&service).await, Seen::Cut(200));
}

#[tokio::test]
async fn a_reload_opens_new_connections_when_the_authority_changed_and_keeps_them_when_not() {
    let authority = Authority::new();
    let peer = start(&authority, &["127.0.0.1"], Clients::Anyone, Speaks::Http1).await;
    let plan = over_tls(&peer, &authority);
    let first = service(&plan);
    assert_eq!(get(&first).await, Seen::whole(200, "good"));
    let same = Service::seeded(&plan, 1, Some(&first), 1).unwrap();
    assert_eq!(get(&same).await, Seen::whole(200, "good"));
    assert_eq!(peer.handshakes.load(Ordering::SeqCst), 1);
    // The same file with another authority in it.
    let other = Authority::new();
    std::fs::copy(other.file("ca.pem"), authority.file("ca.pem")).unwrap();
    let distrusting = Service::seeded(&plan, 1, Some(&same), 1).unwrap();
    assert_eq!(get(&distrusting).await, Seen::Refused(Code::UpstreamUnreachable));
}

#[test]
fn a_file_that_is_missing_or_no_pem_is_named() {
    let authority = Authority::new();
    let mut plan = plan(&["127.0.0.1:1".parse().unwrap()]);
    plan.endpoints[0].tls = true;
    plan.tls.ca = Some(authority.file("missing.pem"));
    let text = |plan: &BackendPlan| Service::seeded(plan, 1, None, 1).unwrap_err().to_string();
    assert!(
        text(&plan).starts_with("backend `inventory`: cannot read "),
        "{}",
        text(&plan)
    );
    std::fs::write(authority.file("bad.pem"), "no PEM").unwrap();
    plan.tls.ca = Some(authority.file("bad.pem"));
    assert!(
        text(&plan).ends_with("bad.pem holds no usable certificate"),
        "{}",
        text(&plan)
    );
    authority.sign("client", &["gateway"], ExtendedKeyUsagePurpose::ClientAuth);
    plan.tls.ca = Some(authority.file("ca.pem"));
    plan.tls.certificate = Some(CertificatePlan {
        chain: authority.file("client.pem"),
        key: authority.file("bad.pem"),
    });
    assert!(
        text(&plan).ends_with("bad.pem holds no usable private key"),
        "{}",
        text(&plan)
    );
}
