//! TLS of a listener: settings from the plan, swapped while connections go on.

use std::io;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::crypto::{CryptoProvider, aws_lc_rs as crypto};
use rustls::pki_types::CertificateDer;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoClientAuth, ProducesTickets, ServerConfig, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConnection};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::config::plan::{ClientCertificates, TlsPlan};
use crate::net::peer::{ClientCertificate, TlsFacts};
use crate::net::tls_server::{ByServerName, Certificate, CertificateFacts, TlsError, read_chain};

/// HTTP/2 by ALPN (RFC 9113 section 3.2); without ALPN it is HTTP/1.1.
const HTTP2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

/// The TLS side of one listener.
#[derive(Debug)]
pub struct Tls {
    current: ArcSwap<Prepared>,
}

/// Settings that are good to be used.
#[derive(Debug)]
pub struct Prepared {
    config: Arc<ServerConfig>,
    certificates: Vec<CertificateFacts>,
    clients: Clients,
    tickets: Arc<dyn ProducesTickets>,
}

/// Who may connect. Tickets outlive a change of certificates, but not a change of this: a resumed session is not
/// verified again.
#[derive(Debug, PartialEq, Eq)]
struct Clients {
    plan: ClientCertificates,
    authorities: Vec<CertificateDer<'static>>,
}

impl Tls {
    /// Reads and checks everything that `plan` names.
    ///
    /// # Errors
    /// [`TlsError`], with the file and what is wrong with it.
    pub fn new(plan: &TlsPlan) -> Result<Tls, TlsError> {
        Ok(Tls {
            current: ArcSwap::from_pointee(prepare(plan, None)?),
        })
    }

    /// Reads and checks what `plan` names; the listener goes on with what it has.
    ///
    /// # Errors
    /// [`TlsError`], with the file and what is wrong with it.
    pub fn prepare(&self, plan: &TlsPlan) -> Result<Prepared, TlsError> {
        prepare(plan, Some(&self.current.load()))
    }

    /// New handshakes use `prepared` from now on. Open connections are not touched.
    pub fn swap(&self, prepared: Prepared) {
        self.current.store(Arc::new(prepared));
    }

    /// The certificates in use, for the metric of when they end.
    pub fn certificates(&self) -> Vec<CertificateFacts> {
        self.current.load().certificates.clone()
    }

    /// The handshake. No deadline of its own.
    ///
    /// # Errors
    /// When the other side does not speak TLS, breaks off, or is refused.
    pub async fn accept(&self, tcp: TcpStream) -> io::Result<(Box<TlsStream<TcpStream>>, TlsFacts)> {
        let config = Arc::clone(&self.current.load().config);
        let session = TlsAcceptor::from(config).accept(tcp).await?;
        let facts = facts(session.get_ref().1);
        Ok((Box::new(session), facts))
    }
}

fn prepare(plan: &TlsPlan, before: Option<&Prepared>) -> Result<Prepared, TlsError> {
    let provider = Arc::new(crypto::default_provider());
    let certificates: Vec<Certificate> = plan
        .certificates
        .iter()
        .map(|certificate| Certificate::read(certificate, &provider))
        .collect::<Result<_, _>>()?;
    if certificates.is_empty() {
        return Err(TlsError::Settings(
            "a TLS listener needs a certificate".to_owned(),
        ));
    }
    let clients = Clients {
        plan: plan.clients.clone(),
        authorities: authorities(&plan.clients)?,
    };
    let tickets = match before {
        Some(before) if before.clients == clients => Arc::clone(&before.tickets),
        Some(_) | None => crypto::Ticketer::new().map_err(settings)?,
    };
    let mut config = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(settings)?
        .with_client_cert_verifier(verifier(&clients, provider)?)
        .with_cert_resolver(Arc::new(ByServerName::new(&certificates)));
    config.alpn_protocols = vec![HTTP2.to_vec(), HTTP1.to_vec()];
    config.ticketer = Arc::clone(&tickets);
    Ok(Prepared {
        config: Arc::new(config),
        certificates: certificates
            .iter()
            .map(|certificate| certificate.facts().clone())
            .collect(),
        clients,
        tickets,
    })
}

fn settings(error: impl ToString) -> TlsError {
    TlsError::Settings(error.to_string())
}

fn authorities(plan: &ClientCertificates) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    match plan {
        ClientCertificates::No => Ok(Vec::new()),
        ClientCertificates::Optional { ca } | ClientCertificates::Required { ca } => read_chain(ca),
    }
}

fn verifier(
    clients: &Clients,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let required = match &clients.plan {
        ClientCertificates::No => return Ok(Arc::new(NoClientAuth)),
        ClientCertificates::Optional { .. } => false,
        ClientCertificates::Required { .. } => true,
    };
    let mut roots = RootCertStore::empty();
    for authority in &clients.authorities {
        roots.add(authority.clone()).map_err(settings)?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let builder = if required {
        builder
    } else {
        builder.allow_unauthenticated()
    };
    builder.build().map_err(settings)
}

fn facts(session: &ServerConnection) -> TlsFacts {
    let client = session.peer_certificates().and_then(<[_]>::first).map(|leaf| {
        let subject = X509Certificate::from_der(leaf)
            .map(|(_, certificate)| certificate.subject().to_string())
            .unwrap_or_default();
        Box::new(ClientCertificate {
            subject,
            fingerprint: sha256(leaf),
        })
    });
    TlsFacts {
        server_name: session
            .server_name()
            .map(|name| name.to_ascii_lowercase().into_boxed_str()),
        http2: session.alpn_protocol() == Some(HTTP2),
        client,
    }
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    digest.as_ref().try_into().unwrap_or_default()
}
