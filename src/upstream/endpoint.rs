//! One address of a backend: its connections by worker, and whether it is set aside.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::http1::Http1;
use super::http2::Http2;
use super::lease::{Held, Lease};
use super::pool::{Avoid, Shard, count};
use crate::config::plan::{PoolPlan, UpstreamProtocol};
use crate::net::dial::{self, DialError};
use crate::net::tls_client::{TlsClient, TlsMaterial};

/// How an endpoint is spoken to. Endpoints with equal ones and the same address are the same across a reload.
#[derive(Debug)]
pub(super) struct Connector {
    pub(super) protocol: UpstreamProtocol,
    /// The name as configured: what is verified, and the authority when a request names none.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: Option<(TlsMaterial, TlsClient)>,
}

impl Connector {
    /// Would connections of the one do for the other?
    pub(super) fn is_like(&self, other: &Connector) -> bool {
        self.protocol == other.protocol
            && self.host == other.host
            && self.port == other.port
            && self.tls.as_ref().map(|(material, _)| material)
                == other.tls.as_ref().map(|(material, _)| material)
    }

    /// `host:port`, an IPv6 address in brackets: what metrics and records name.
    pub(super) fn label(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

/// One address.
pub(super) struct Endpoint {
    pub(super) address: SocketAddr,
    pub(super) connector: Arc<Connector>,
    shards: Box<[Arc<Shard>]>,
    made: Instant,
    /// Milliseconds from `made` until which it is passed over; 0 when it is not.
    aside_until: AtomicU64,
    set_asides: AtomicU64,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    #[error(transparent)]
    Dial(#[from] DialError),
    #[error("the connection ended before it could be used: {0}")]
    Handshake(#[from] hyper::Error),
}

impl Endpoint {
    pub(super) fn new(address: SocketAddr, connector: Arc<Connector>, shards: usize) -> Endpoint {
        Endpoint {
            address,
            shards: (0..shards.max(1)).map(|_| Shard::new(&connector)).collect(),
            connector,
            made: Instant::now(),
            aside_until: AtomicU64::new(0),
            set_asides: AtomicU64::new(0),
        }
    }

    /// The part of worker `index`.
    pub(super) fn shard(&self, index: usize) -> Option<&Arc<Shard>> {
        self.shards.get(index % self.shards.len().max(1))
    }

    pub(super) fn shards(&self) -> &[Arc<Shard>] {
        &self.shards
    }

    /// Passes it over for `span`.
    pub(super) fn set_aside(&self, span: Duration) {
        let until = (self.made.elapsed() + span).as_millis();
        self.aside_until
            .store(u64::try_from(until).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.set_asides.fetch_add(1, Ordering::Relaxed);
    }

    /// The same, for who knows more than that a connection failed; it is not counted.
    pub(super) fn pass_over(&self, span: Duration) {
        let until = (self.made.elapsed() + span).as_millis();
        let until = u64::try_from(until).unwrap_or(u64::MAX);
        self.aside_until.fetch_max(until, Ordering::Relaxed);
    }

    pub(super) fn take_back(&self) {
        if self.aside_until.load(Ordering::Relaxed) != 0 {
            self.aside_until.store(0, Ordering::Relaxed);
        }
    }

    /// Is it passed over at `now`?
    pub(super) fn is_aside(&self, now: Instant) -> bool {
        match self.aside_until.load(Ordering::Relaxed) {
            // The common case costs no arithmetic.
            0 => false,
            until => u128::from(until) > now.saturating_duration_since(self.made).as_millis(),
        }
    }

    pub(super) fn set_asides(&self) -> u64 {
        self.set_asides.load(Ordering::Relaxed)
    }

    /// An open connection, if there is one to spare.
    pub(super) fn pooled(
        &self,
        shard: usize,
        now: Instant,
        rules: &PoolPlan,
        avoid: &Avoid,
    ) -> Option<Lease> {
        let shard = self.shard(shard)?;
        match (self.connector.protocol, avoid) {
            (UpstreamProtocol::Http1, Avoid::Idle) => None,
            (UpstreamProtocol::Http1, Avoid::Nothing | Avoid::This(_)) => shard.take_http1(now, rules),
            (UpstreamProtocol::Http2, _) => shard.take_http2(now, rules, avoid),
        }
    }

    /// Opens a connection, done by `deadline`. The second value says whether it is one that was open already: waiting
    /// for an HTTP/2 connection that another request opens may end so.
    pub(super) async fn open(
        &self,
        shard: usize,
        rules: &PoolPlan,
        avoid: &Avoid,
        deadline: Instant,
    ) -> Result<(Lease, bool), ConnectError> {
        let shard = self.shard(shard).ok_or(DialError::TimedOut)?;
        let opened = tokio::time::timeout_at(deadline, self.connect(shard, rules, avoid, deadline))
            .await
            .unwrap_or(Err(ConnectError::Dial(DialError::TimedOut)));
        match &opened {
            Ok((_, true)) => {}
            Ok((_, false)) => {
                count(&shard.counts.connects);
                self.take_back();
            }
            Err(_) => count(&shard.counts.connect_failures),
        }
        opened
    }

    async fn connect(
        &self,
        shard: &Arc<Shard>,
        rules: &PoolPlan,
        avoid: &Avoid,
        deadline: Instant,
    ) -> Result<(Lease, bool), ConnectError> {
        let tls = self.connector.tls.as_ref().map(|(_, client)| client);
        match self.connector.protocol {
            UpstreamProtocol::Http1 => {
                let line = dial::dial(self.address, tls, deadline).await?;
                let held = Held::Http1(Http1::new(line));
                Ok((Lease::new(Arc::clone(shard), held, *rules), false))
            }
            UpstreamProtocol::Http2 => {
                let _turn = shard.opening.lock().await;
                if let Some(lease) = shard.take_http2(Instant::now(), rules, avoid) {
                    return Ok((lease, true));
                }
                let line = dial::dial(self.address, tls, deadline).await?;
                let connection = Http2::open(line).await?;
                let stream = connection.stream().ok_or(DialError::TimedOut)?;
                shard.share(connection);
                Ok((Lease::new(Arc::clone(shard), Held::Http2(stream), *rules), false))
            }
        }
    }
}
