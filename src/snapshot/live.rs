//! What is at work under a view and survives it, by name.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::credentials::Recognisers;
use super::own::{KeyStores, Realms, TokenServices};
use crate::accounts::Realm;
use crate::auth::jwt::Issuer;
use crate::identity::{IssuerName, LimitName, RealmName};
use crate::jose::key_ring::KeyRing;
use crate::limits::Limit;
use crate::telemetry::metrics::{EndpointReading, Metrics};
use crate::upstream::Service;

/// Buckets, pools, key rings and verified tokens of one view, for the next.
#[derive(Default)]
pub struct Live {
    pub(super) services: HashMap<String, Service>,
    pub(super) issuers: HashMap<IssuerName, LiveIssuer>,
    pub(super) limits: HashMap<LimitName, Arc<Limit>>,
    pub(super) recognisers: Recognisers,
    pub(super) realms: Realms,
    pub(super) key_stores: KeyStores,
    pub(super) token_services: TokenServices,
    /// The regions' names, by index, for metrics.
    pub(super) regions: Vec<String>,
}

/// An issuer at work.
#[derive(Clone)]
pub(super) struct LiveIssuer {
    pub(super) ring: Arc<KeyRing>,
    pub(super) issuer: Arc<Issuer>,
}

impl Live {
    /// Fetches keys and resolves names where that has not happened yet, at most for `longest`, and starts the upkeep.
    pub async fn warm(&self, longest: Duration) {
        for service in self.services.values() {
            service.tend();
        }
        for issuer in self.issuers.values() {
            issuer.ring.start();
        }
        for keys in self.key_stores.values() {
            keys.start();
        }
        let names = futures_util::future::join_all(
            self.services
                .values()
                .filter(|service| service.has_names())
                .map(Service::resolve),
        );
        let keys = futures_util::future::join_all(
            self.issuers
                .values()
                .filter(|issuer| !issuer.ring.ready())
                .map(|issuer| issuer.ring.warm()),
        );
        // What is not there in time comes later by the upkeep; until then the gateway says that it is not ready.
        let _ = tokio::time::timeout(longest, async { tokio::join!(names, keys) }).await;
    }

    /// The first issuer that has no keys at all.
    pub fn without_keys(&self) -> Option<String> {
        self.issuers
            .iter()
            .find(|(_, issuer)| !issuer.ring.ready())
            .map(|(name, _)| name.to_string())
    }

    /// The realm of that name.
    pub fn realm(&self, name: &RealmName) -> Option<Arc<Realm>> {
        self.realms.get(name).cloned()
    }

    /// The names of all realms, sorted.
    pub fn realm_names(&self) -> Vec<RealmName> {
        let mut names: Vec<RealmName> = self.realms.keys().cloned().collect();
        names.sort();
        names
    }

    /// Brings the metrics that are read at a scrape up to date.
    pub fn show(&self, metrics: &Metrics) {
        let mut readings = Vec::new();
        for (name, service) in &self.services {
            readings.extend(service.facts().into_iter().map(|facts| EndpointReading {
                backend: name.clone(),
                region: facts.region.and_then(|index| self.regions.get(index)).cloned(),
                endpoint: facts.endpoint,
                address: facts.address,
                connects: facts.connects,
                connect_failures: facts.connect_failures,
                reuses: facts.reuses,
                retries: facts.retries,
                set_asides: facts.set_asides,
                in_flight: facts.in_flight,
                pooled: facts.pooled,
                is_aside: facts.is_aside,
            }));
        }
        metrics.endpoints(&readings);
        for (name, limit) in &self.limits {
            let buckets = u32::try_from(limit.table().len()).unwrap_or(u32::MAX);
            metrics.limit(name.as_str()).buckets.set(f64::from(buckets));
        }
    }
}
