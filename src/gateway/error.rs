//! Why a gateway does not start, or does not take a new configuration.

use std::io;
use std::net::SocketAddr;

use crate::accounts::password_pool::PoolError;
use crate::admin::AdminError;
use crate::config::diagnostic::Diagnostic;
use crate::net::tls_server::TlsError;
use crate::snapshot::CompileError;
use crate::store::StoreError;

/// Why not. Each says what, where, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration is not valid.
    #[error("the configuration is not valid")]
    Configuration(Vec<Diagnostic>),
    /// A listener's address cannot be had.
    #[error("cannot listen on {address}: {cause}{}", advice(cause))]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// A listener's certificate cannot be used.
    #[error("listener {address}: {cause}")]
    Tls {
        /// The listener.
        address: SocketAddr,
        /// Why.
        #[source]
        cause: Box<TlsError>,
    },
    /// The admin listener does not start.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// The access log cannot be opened.
    #[error("cannot open the access log: {cause}")]
    AccessLog {
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// No threads can be had.
    #[error("cannot start the workers: {cause}")]
    Threads {
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The store of accounts cannot be opened.
    #[error("cannot open the store of accounts: {cause}")]
    Store {
        /// Why.
        #[source]
        cause: StoreError,
    },
    /// The threads that hash passwords cannot be had.
    #[error(transparent)]
    Passwords(#[from] PoolError),
    /// A part of the configuration cannot be put to work.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// What changed cannot change without a restart.
    #[error("a restart is needed to change: {}", .0.join(", "))]
    NeedsRestart(Vec<String>),
}

/// What to do about an address that cannot be had.
fn advice(cause: &io::Error) -> &'static str {
    match cause.kind() {
        io::ErrorKind::AddrInUse => "; another program is there: `ss -ltnp` shows which",
        io::ErrorKind::PermissionDenied => "; ports below 1024 need the capability CAP_NET_BIND_SERVICE",
        io::ErrorKind::AddrNotAvailable => "; this machine does not have the address",
        _ => "",
    }
}
