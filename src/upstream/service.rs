//! A backend: its endpoints by region, kept up to date and carried over from one configuration to the next.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::future::join_all;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::endpoint::{Connector, Endpoint};
use super::group::{Board, Group};
use super::pool::lock;
use crate::base::{random, tasks};
use crate::config::plan::{
    BackendPlan, Balance, EndpointPlan, PoolPlan, RegionRef, UpstreamProtocol, UpstreamTimeouts,
};
use crate::net::resolve;
use crate::net::tls_client::{Offer, TlsMaterial, TlsSetupError};

/// A lookup that takes longer is given up; the addresses known so far stay in use.
const LOOKUP: Duration = Duration::from_secs(5);
/// Failed connections ask for a new lookup at most so often, or a backend that is down would make the gateway flood the
/// name servers.
const LOOKUP_FLOOR: Duration = Duration::from_secs(1);

/// Why a backend cannot be set up.
#[derive(Debug, thiserror::Error)]
#[error("backend `{backend}`: {source}")]
pub struct ServiceError {
    /// The backend's name.
    pub backend: String,
    /// What is wrong.
    #[source]
    pub source: TlsSetupError,
}

/// A backend. Cheap to clone; all clones are the same.
#[derive(Clone)]
pub struct Service(pub(super) Arc<Inner>);

/// A backend that is used for as long as somebody else holds it.
#[derive(Debug)]
pub(super) struct WeakService(Weak<Inner>);

impl WeakService {
    pub(super) fn upgrade(&self) -> Option<Service> {
        self.0.upgrade().map(Service)
    }
}

/// What all clones of a [`Service`] share.
pub(super) struct Inner {
    name: String,
    members: Box<[Member]>,
    shards: usize,
    seed: u64,
    pub(super) protocol: UpstreamProtocol,
    pub(super) balance: Balance,
    pub(super) timeouts: UpstreamTimeouts,
    pub(super) pool: PoolPlan,
    pub(super) set_aside: Duration,
    resolve: Duration,
    pub(super) board: ArcSwap<Board>,
    /// The addresses of each member, as last resolved.
    pub(super) addresses: Mutex<Vec<Vec<SocketAddr>>>,
    /// Rings when a connection failed, and when the service is gone.
    bell: Arc<Notify>,
}

/// An endpoint of the plan: an address, or a name with the addresses behind it.
struct Member {
    region: Option<RegionRef>,
    connector: Arc<Connector>,
}

/// What can be said of one address of a backend at the moment. Numbers are sums over all workers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointFacts {
    /// Host (or name) and port as configured.
    pub endpoint: String,
    /// The address.
    pub address: SocketAddr,
    /// Index of its region in the plan, if it belongs to one.
    pub region: Option<usize>,
    /// Connections opened since the start.
    pub connects: u64,
    /// Connections that could not be opened.
    pub connect_failures: u64,
    /// Exchanges on a connection that was open already.
    pub reuses: u64,
    /// Exchanges tried a second time.
    pub retries: u64,
    /// Times that it was set aside.
    pub set_asides: u64,
    /// Exchanges that run now.
    pub in_flight: u64,
    /// Connections kept: idle ones (HTTP/1.1) or open ones (HTTP/2).
    pub pooled: u64,
    /// Is it set aside now?
    pub is_aside: bool,
}

impl Service {
    /// Sets the backend up, for `shards` workers. Endpoints that `carry` has with the same address and the same trust are
    /// taken over, with their connections and their state. Names are not resolved yet, except that the addresses which
    /// `carry` knows are used: see [`Service::resolve`] and [`Service::tend`].
    ///
    /// # Errors
    /// When files for TLS cannot be read or used.
    pub fn new(plan: &BackendPlan, shards: usize, carry: Option<&Service>) -> Result<Service, ServiceError> {
        let mut seed = [0; 8];
        random::fill(&mut seed);
        Service::seeded(plan, shards, carry, u64::from_ne_bytes(seed))
    }

    /// [`Service::new`] with random choices that follow from `seed`.
    ///
    /// # Errors
    /// As [`Service::new`].
    pub fn seeded(
        plan: &BackendPlan,
        shards: usize,
        carry: Option<&Service>,
        seed: u64,
    ) -> Result<Service, ServiceError> {
        let failed = |source| ServiceError {
            backend: plan.name.clone(),
            source,
        };
        let material = if plan.endpoints.iter().any(|endpoint| endpoint.tls) {
            Some(TlsMaterial::read(&plan.tls).map_err(failed)?)
        } else {
            None
        };
        let mut members = Vec::with_capacity(plan.endpoints.len());
        let mut addresses = Vec::with_capacity(plan.endpoints.len());
        for endpoint in &plan.endpoints {
            let material = material.as_ref().filter(|_| endpoint.tls);
            let connector = connector(plan.protocol, endpoint, material, carry).map_err(failed)?;
            addresses.push(match resolve::literal(&connector.host, connector.port) {
                Some(address) => vec![address],
                None => carry
                    .map(|old| old.0.known_addresses(&connector))
                    .unwrap_or_default(),
            });
            members.push(Member {
                region: endpoint.region,
                connector,
            });
        }
        let inner = Inner {
            name: plan.name.clone(),
            members: members.into(),
            shards,
            seed,
            protocol: plan.protocol,
            balance: plan.balance,
            timeouts: plan.timeouts,
            pool: plan.pool,
            set_aside: plan.set_aside,
            resolve: plan.resolve,
            board: ArcSwap::from_pointee(Board {
                regions: Box::default(),
                anywhere: None,
            }),
            addresses: Mutex::new(addresses),
            bell: Arc::new(Notify::new()),
        };
        let carried = carry.map(|old| old.0.board.load_full());
        inner.rebuild(carried.as_deref());
        Ok(Service(Arc::new(inner)))
    }

    /// Does the backend have names, so that it can only be used after [`Service::resolve`]?
    pub fn has_names(&self) -> bool {
        self.0.names().next().is_some()
    }

    /// Resolves all names once. Names that do not resolve keep the addresses they had; it is logged. Ends within 5 s.
    pub async fn resolve(&self) {
        self.0.resolve().await;
    }

    /// Starts the task that resolves names again and closes connections that have been idle for too long. It ends when
    /// the last clone of the service is dropped.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn tend(&self) {
        let bell = Arc::clone(&self.0.bell);
        let service = Arc::downgrade(&self.0);
        let mut next_lookup = Instant::now();
        tasks::spawn("upstream upkeep", async move {
            loop {
                let Some(inner) = service.upgrade() else { return };
                let now = Instant::now();
                inner.trim(now);
                if now >= next_lookup && inner.names().next().is_some() {
                    inner.resolve().await;
                    next_lookup = Instant::now() + inner.resolve;
                }
                let looked = Instant::now();
                let pause = inner.pause(looked, next_lookup);
                std::mem::drop(inner);
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = bell.notified() => {
                        // Also rung by the last clone's end; then the wait must not be for the floor.
                        if service.strong_count() == 0 {
                            return;
                        }
                        tokio::time::sleep_until(looked + LOOKUP_FLOOR).await;
                        next_lookup = Instant::now();
                    }
                }
            }
        });
    }

    pub(super) fn downgrade(&self) -> WeakService {
        WeakService(Arc::downgrade(&self.0))
    }

    /// Passes the addresses of an endpoint over for `span`, or not any more.
    pub(super) fn pass_over(&self, plan: &EndpointPlan, span: Option<Duration>) {
        let board = self.0.board.load();
        let own = board.endpoints().filter(|(region, endpoint)| {
            *region == plan.region.map(RegionRef::index)
                && endpoint.connector.host == plan.host
                && endpoint.connector.port == plan.port
        });
        for (_, endpoint) in own {
            match span {
                Some(span) => endpoint.pass_over(span),
                None => endpoint.take_back(),
            }
        }
    }

    /// What can be said of each address.
    pub fn facts(&self) -> Vec<EndpointFacts> {
        use std::sync::atomic::Ordering::Relaxed;
        let now = Instant::now();
        let board = self.0.board.load();
        board
            .endpoints()
            .map(|(region, endpoint)| {
                let mut facts = EndpointFacts {
                    endpoint: endpoint.connector.label(),
                    address: endpoint.address,
                    region,
                    connects: 0,
                    connect_failures: 0,
                    reuses: 0,
                    retries: 0,
                    set_asides: endpoint.set_asides(),
                    in_flight: 0,
                    pooled: 0,
                    is_aside: endpoint.is_aside(now),
                };
                for shard in endpoint.shards() {
                    facts.connects += shard.counts.connects.load(Relaxed);
                    facts.connect_failures += shard.counts.connect_failures.load(Relaxed);
                    facts.reuses += shard.counts.reuses.load(Relaxed);
                    facts.retries += shard.counts.retries.load(Relaxed);
                    facts.in_flight += u64::from(shard.in_flight.load(Relaxed));
                    facts.pooled += u64::try_from(shard.pooled()).unwrap_or(u64::MAX);
                }
                facts
            })
            .collect()
    }
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service")
            .field("backend", &self.0.name)
            .finish_non_exhaustive()
    }
}

fn connector(
    protocol: UpstreamProtocol,
    endpoint: &EndpointPlan,
    material: Option<&TlsMaterial>,
    carry: Option<&Service>,
) -> Result<Arc<Connector>, TlsSetupError> {
    let offer = match protocol {
        UpstreamProtocol::Http1 => Offer::Http1,
        UpstreamProtocol::Http2 => Offer::Http2,
    };
    let tls = match material {
        Some(material) => Some((material.clone(), material.client(&endpoint.host, offer)?)),
        None => None,
    };
    let new = Connector {
        protocol,
        host: endpoint.host.clone(),
        port: endpoint.port,
        tls,
    };
    let known = carry.and_then(|old| {
        old.0
            .members
            .iter()
            .map(|member| &member.connector)
            .find(|connector| connector.is_like(&new))
            .cloned()
    });
    Ok(known.unwrap_or_else(|| Arc::new(new)))
}

impl Inner {
    fn names(&self) -> impl Iterator<Item = (usize, &Member)> {
        self.members
            .iter()
            .enumerate()
            .filter(|(_, member)| resolve::literal(&member.connector.host, member.connector.port).is_none())
    }

    fn known_addresses(&self, connector: &Connector) -> Vec<SocketAddr> {
        let addresses = lock(&self.addresses);
        self.members
            .iter()
            .zip(addresses.iter())
            .find(|(member, _)| {
                member.connector.host == connector.host && member.connector.port == connector.port
            })
            .map(|(_, known)| known.clone())
            .unwrap_or_default()
    }

    /// A connection failed: the addresses may be old.
    pub(super) fn suspect_names(&self) {
        if self.names().next().is_some() {
            self.bell.notify_one();
        }
    }

    async fn resolve(&self) {
        let lookups = self.names().map(|(index, member)| async move {
            let connector = &member.connector;
            (
                index,
                resolve::addresses(&connector.host, connector.port, LOOKUP).await,
            )
        });
        let found = join_all(lookups).await;
        let mut changed = false;
        {
            let mut addresses = lock(&self.addresses);
            for (index, outcome) in found {
                let Some(known) = addresses.get_mut(index) else {
                    continue;
                };
                match outcome {
                    Ok(new) if *known != new => {
                        *known = new;
                        changed = true;
                    }
                    Ok(_) => {}
                    Err(error) => {
                        let host = self
                            .members
                            .get(index)
                            .map(|member| member.connector.host.as_str());
                        tracing::warn!(
                            backend = self.name, host, %error, kept = known.len(),
                            "a backend's name does not resolve; the addresses known so far stay in use"
                        );
                    }
                }
            }
        }
        if changed {
            let board = self.board.load_full();
            self.rebuild(Some(&board));
        }
    }

    /// Makes the board from the addresses, with the endpoints of `old` where they are the same.
    pub(super) fn rebuild(&self, old: Option<&Board>) {
        let addresses = lock(&self.addresses).clone();
        let known = |address: SocketAddr, connector: &Arc<Connector>| {
            old?.endpoints()
                .map(|(_, endpoint)| endpoint)
                .find(|old| {
                    old.address == address
                        && Arc::ptr_eq(&old.connector, connector)
                        && old.shards().len() == self.shards.max(1)
                })
                .cloned()
        };
        let group = |region: Option<RegionRef>| {
            let mut members = self
                .members
                .iter()
                .zip(&addresses)
                .filter(|(member, _)| member.region == region)
                .peekable();
            members.peek()?;
            let endpoints = members
                .flat_map(|(member, addresses)| {
                    addresses.iter().map(|address| {
                        known(*address, &member.connector).unwrap_or_else(|| {
                            Arc::new(Endpoint::new(
                                *address,
                                Arc::clone(&member.connector),
                                self.shards,
                            ))
                        })
                    })
                })
                .collect();
            let place = region.map_or(u64::MAX, |region| u64::try_from(region.index()).unwrap_or(0));
            Some(Group::new(
                endpoints,
                self.shards,
                self.seed ^ place.rotate_left(48),
            ))
        };
        let last = self
            .members
            .iter()
            .filter_map(|member| member.region)
            .map(RegionRef::index)
            .max();
        let mut regions: Vec<Option<Group>> = Vec::new();
        regions.resize_with(last.map_or(0, |last| last + 1), || None);
        for region in self.members.iter().filter_map(|member| member.region) {
            if let Some(place @ None) = regions.get_mut(region.index()) {
                *place = group(Some(region));
            }
        }
        self.board.store(Arc::new(Board {
            regions: regions.into(),
            anywhere: group(None),
        }));
    }

    pub(super) fn trim(&self, now: Instant) {
        for (_, endpoint) in self.board.load_full().endpoints() {
            for shard in endpoint.shards() {
                shard.trim(now, &self.pool);
            }
        }
    }

    /// Until the next thing to do. An idle connection is found at most half its idle timeout too late, one that its
    /// endpoint closed at most five seconds.
    fn pause(&self, now: Instant, next_lookup: Instant) -> Duration {
        let trim = (self.pool.idle_timeout / 2).clamp(Duration::from_millis(100), Duration::from_secs(5));
        if self.names().next().is_some() {
            next_lookup
                .saturating_duration_since(now)
                .max(LOOKUP_FLOOR)
                .min(trim)
        } else {
            trim
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.bell.notify_one();
    }
}
