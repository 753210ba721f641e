//! TLS towards servers that the gateway connects to. Verification is always on; there is no setting to turn it off.

use std::path::Path;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};

use crate::base::secret::Secret;
use crate::config::plan::UpstreamTls;

/// Why a client's side of TLS could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsSetupError {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    File {
        /// Which.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// A file holds no usable PEM of the kind that is wanted.
    #[error("{path} holds no usable {wanted}")]
    Pem {
        /// Which.
        path: String,
        /// What should be in it.
        wanted: &'static str,
    },
    /// The system has no certificate authorities (an image without a bundle, for instance).
    #[error("the system has no certificate authorities; install its bundle or set `ca`")]
    NoRoots,
    /// The name to verify is neither a DNS name nor an address.
    #[error("`{0}` is not a name that a certificate can be verified for")]
    Name(String),
    /// The key does not belong to the certificate, or the library refuses them.
    #[error("TLS cannot be set up: {0}")]
    Library(#[from] rustls::Error),
}

/// Which protocol ALPN offers (RFC 7301). Only one is offered: what is spoken is decided by configuration, so a server
/// that wants another is told so by its own refusal instead of being spoken to in a way that nobody configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer {
    /// `http/1.1`; a server without ALPN is accepted.
    Http1,
    /// `h2`; a server that does not select it is not connected to (RFC 9113 section 3.2).
    Http2,
}

/// The bytes of all files that a connection's trust depends on. Two that are equal may share connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsMaterial {
    authorities: Option<(String, Vec<u8>)>,
    certificate: Option<(String, Vec<u8>, String, Secret)>,
    server_name: Option<String>,
}

impl TlsMaterial {
    /// Reads the files that `plan` names.
    ///
    /// # Errors
    /// [`TlsSetupError::File`].
    pub fn read(plan: &UpstreamTls) -> Result<TlsMaterial, TlsSetupError> {
        let authorities = match &plan.ca {
            Some(path) => Some((shown(path), read(path)?)),
            None => None,
        };
        let certificate = match &plan.certificate {
            Some(pair) => Some((
                shown(&pair.chain),
                read(&pair.chain)?,
                shown(&pair.key),
                Secret::new(read(&pair.key)?),
            )),
            None => None,
        };
        Ok(TlsMaterial {
            authorities,
            certificate,
            server_name: plan.server_name.clone(),
        })
    }

    /// The client's side of TLS to `host` (which the material's server name overrides, for SNI and for verification).
    ///
    /// # Errors
    /// Any [`TlsSetupError`].
    pub fn client(&self, host: &str, offer: Offer) -> Result<TlsClient, TlsSetupError> {
        let roots = match &self.authorities {
            Some((path, pem)) => authorities(path, pem)?,
            None => system_roots()?,
        };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            .with_root_certificates(roots);
        let mut config = match &self.certificate {
            Some((chain_path, chain, key_path, key)) => builder
                .with_client_auth_cert(certificates(chain_path, chain)?, private_key(key_path, key)?)?,
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![match offer {
            Offer::Http1 => b"http/1.1".to_vec(),
            Offer::Http2 => b"h2".to_vec(),
        }];
        let name = self.server_name.as_deref().unwrap_or(host);
        let name = ServerName::try_from(name.to_owned()).map_err(|_| TlsSetupError::Name(name.to_owned()))?;
        Ok(TlsClient {
            config: Arc::new(config),
            name,
            offer,
        })
    }
}

/// The client's side of TLS to one server, ready to use.
#[derive(Debug, Clone)]
pub struct TlsClient {
    pub(super) config: Arc<ClientConfig>,
    pub(super) name: ServerName<'static>,
    pub(super) offer: Offer,
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn read(path: &Path) -> Result<Vec<u8>, TlsSetupError> {
    std::fs::read(path).map_err(|source| TlsSetupError::File {
        path: shown(path),
        source,
    })
}

fn certificates(path: &str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsSetupError> {
    let wanted = || TlsSetupError::Pem {
        path: path.to_owned(),
        wanted: "certificate",
    };
    let found = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| wanted())?;
    if found.is_empty() {
        Err(wanted())
    } else {
        Ok(found)
    }
}

fn private_key(path: &str, pem: &Secret) -> Result<PrivateKeyDer<'static>, TlsSetupError> {
    // The parser's own error could quote the file, so it is not passed on.
    PrivateKeyDer::from_pem_slice(pem.reveal()).map_err(|_| TlsSetupError::Pem {
        path: path.to_owned(),
        wanted: "private key",
    })
}

fn authorities(path: &str, pem: &[u8]) -> Result<RootCertStore, TlsSetupError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path, pem)? {
        roots.add(certificate)?;
    }
    Ok(roots)
}

fn system_roots() -> Result<RootCertStore, TlsSetupError> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "a certificate authority of the system cannot be read");
    }
    // A bundle may hold certificates that the verifier does not understand; the others are still good.
    let (added, _ignored) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        Err(TlsSetupError::NoRoots)
    } else {
        Ok(roots)
    }
}
