//! Certificates of a listener: read, checked against their keys, found by server name.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::base::clock::UnixTime;
use crate::config::plan::CertificatePlan;

/// Why a listener's TLS settings cannot be used. The message names the file and what to do.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or is not PEM of the expected kind.
    #[error("cannot read {what} from {}: {reason}", path.display())]
    File {
        /// What should be in it.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The chain's leaf does not belong to the key.
    #[error("the key in {} does not belong to the certificate in {}", key.display(), chain.display())]
    Mismatch {
        /// The chain's file.
        chain: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// The TLS library refuses the settings.
    #[error("these TLS settings cannot be used: {0}")]
    Settings(String),
}

impl TlsError {
    fn file(what: &'static str, path: &Path, reason: impl ToString) -> TlsError {
        TlsError::File {
            what,
            path: path.to_owned(),
            reason: reason.to_string(),
        }
    }
}

/// What operators want to know of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFacts {
    /// The file it came from.
    pub chain: PathBuf,
    /// The DNS names it is for, lower case.
    pub names: Vec<String>,
    /// When it ends (`notAfter`).
    pub not_after: UnixTime,
}

/// A chain with its key, and what the leaf says.
#[derive(Debug)]
pub struct Certificate {
    key: Arc<CertifiedKey>,
    facts: CertificateFacts,
}

impl Certificate {
    /// Reads chain and key, and checks that they belong together.
    ///
    /// # Errors
    /// [`TlsError::File`] when one cannot be read or parsed, [`TlsError::Mismatch`] when key and leaf differ.
    pub fn read(plan: &CertificatePlan, provider: &CryptoProvider) -> Result<Certificate, TlsError> {
        let chain = read_chain(&plan.chain)?;
        let key = PrivateKeyDer::from_pem_file(&plan.key)
            .map_err(|error| TlsError::file("a private key", &plan.key, error))?;
        let facts = read_facts(&chain, &plan.chain)?;
        let key = CertifiedKey::from_der(chain, key, provider).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => TlsError::Mismatch {
                chain: plan.chain.clone(),
                key: plan.key.clone(),
            },
            other => TlsError::file("a private key", &plan.key, other),
        })?;
        Ok(Certificate {
            key: Arc::new(key),
            facts,
        })
    }

    /// What the leaf says.
    pub fn facts(&self) -> &CertificateFacts {
        &self.facts
    }
}

/// Reads a PEM file with at least one certificate.
///
/// # Errors
/// [`TlsError::File`] when the file cannot be read, is not PEM or has no certificate.
pub fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    const WHAT: &str = "certificates";
    let chain = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| TlsError::file(WHAT, path, error))?;
    if chain.is_empty() {
        return Err(TlsError::file(WHAT, path, "the file has no CERTIFICATE section"));
    }
    Ok(chain)
}

fn read_facts(chain: &[CertificateDer<'_>], path: &Path) -> Result<CertificateFacts, TlsError> {
    const WHAT: &str = "the leaf certificate";
    let leaf = chain
        .first()
        .ok_or_else(|| TlsError::file(WHAT, path, "the chain is empty"))?;
    let (_, leaf) = X509Certificate::from_der(leaf).map_err(|error| TlsError::file(WHAT, path, error))?;
    let names = leaf
        .subject_alternative_name()
        .map_err(|error| TlsError::file(WHAT, path, error))?
        .map(|extension| {
            let names = extension.value.general_names.iter();
            names
                .filter_map(|name| match name {
                    GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
                    _ => None,
                })
                .collect()
        })
        .unwrap_or_default();
    let not_after = UnixTime(leaf.validity().not_after.timestamp());
    Ok(CertificateFacts {
        chain: path.to_owned(),
        names,
        not_after,
    })
}

/// Finds a certificate by the server name of the handshake: exact, then `*.` over one label (RFC 9525 section 6.3),
/// then the first of the file, so that clients without a name and clients by address get an answer.
#[derive(Debug)]
pub struct ByServerName {
    exact: HashMap<String, Vec<Arc<CertifiedKey>>>,
    /// Keyed by what follows the `*`, with its dot.
    wildcard: HashMap<String, Vec<Arc<CertifiedKey>>>,
    all: Vec<Arc<CertifiedKey>>,
}

impl ByServerName {
    /// An index over `certificates`; the first is the default.
    pub fn new(certificates: &[Certificate]) -> ByServerName {
        let mut index = ByServerName {
            exact: HashMap::new(),
            wildcard: HashMap::new(),
            all: certificates
                .iter()
                .map(|certificate| Arc::clone(&certificate.key))
                .collect(),
        };
        for certificate in certificates {
            for name in &certificate.facts.names {
                let (table, name) = match name.strip_prefix('*') {
                    Some(suffix) => (&mut index.wildcard, suffix),
                    None => (&mut index.exact, name.as_str()),
                };
                table
                    .entry(name.to_owned())
                    .or_default()
                    .push(Arc::clone(&certificate.key));
            }
        }
        index
    }

    fn candidates(&self, name: Option<&str>) -> &[Arc<CertifiedKey>] {
        let Some(name) = name else { return &self.all };
        let name = name.to_ascii_lowercase();
        if let Some(found) = self.exact.get(&name) {
            return found;
        }
        let suffix = name.find('.').and_then(|dot| name.get(dot..));
        suffix
            .and_then(|suffix| self.wildcard.get(suffix))
            .unwrap_or(&self.all)
    }
}

impl ResolvesServerCert for ByServerName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let candidates = self.candidates(hello.server_name());
        // Two certificates for one name are an RSA and an ECDSA one: take the first that the client can verify.
        candidates
            .iter()
            .find(|candidate| candidate.key.choose_scheme(hello.signature_schemes()).is_some())
            .or_else(|| candidates.first())
            .map(Arc::clone)
    }
}
