//! What is at work under a view and survives it, by name.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::callers::Callers;
use super::own::TokenServices;
use crate::accounts::directory::Directory;
use crate::accounts::{Accounts, Realm};
use crate::auth::basic::Logins;
use crate::auth::jwt::Issuer;
use crate::auth::session::Sessions;
use crate::identity::{LimitName, RealmName};
use crate::jose::key_ring::KeyRing;
use crate::limits::Limit;
use crate::telemetry::metrics::{EndpointReading, Metrics, ReadyReading};
use crate::upstream::{Readiness, Ready, Service};

/// Buckets, pools, key rings, accounts and verified credentials of one view, for the next.
#[derive(Default, Clone)]
pub struct Live {
    pub(super) services: HashMap<String, Service>,
    /// Of those backends that are asked whether they can work.
    pub(super) readiness: HashMap<String, Arc<Readiness>>,
    /// Open from the first configuration with a realm on.
    pub(super) accounts: Option<Arc<Accounts>>,
    /// The customers of the file, and those of the store beside them.
    pub(super) directory: Arc<Directory>,
    pub(super) callers: Callers,
    pub(super) token_services: TokenServices,
    pub(super) limits: HashMap<LimitName, Arc<Limit>>,
    /// The regions' names, by index, for metrics.
    pub(super) regions: Vec<String>,
}

/// An issuer at work.
#[derive(Clone)]
pub(super) struct LiveIssuer {
    pub(super) ring: Arc<KeyRing>,
    pub(super) issuer: Arc<Issuer>,
}

/// A realm at work.
#[derive(Clone)]
pub(super) struct LiveRealm {
    pub(super) realm: Arc<Realm>,
    pub(super) sessions: Arc<Sessions>,
    pub(super) logins: Arc<Logins>,
}

impl Live {
    /// The same, and these accounts, for the first configuration with a realm.
    #[must_use]
    pub fn with_accounts(mut self, accounts: Arc<Accounts>) -> Live {
        self.accounts = Some(accounts);
        self
    }

    /// The accounts, once they are open.
    pub fn accounts(&self) -> Option<&Arc<Accounts>> {
        self.accounts.as_ref()
    }

    /// Whom the file and the store know.
    pub fn directory(&self) -> &Arc<Directory> {
        &self.directory
    }

    /// Fetches keys and resolves names where that has not happened yet, at most for `longest`, and starts the upkeep.
    pub async fn warm(&self, longest: Duration) {
        for service in self.services.values() {
            service.tend();
        }
        for issuer in self.callers.issuers.values() {
            issuer.ring.start();
        }
        for keys in self.callers.keys.values() {
            keys.start();
        }
        let names = futures_util::future::join_all(
            self.services
                .values()
                .filter(|service| service.has_names())
                .map(Service::resolve),
        );
        let keys = futures_util::future::join_all(
            self.callers
                .issuers
                .values()
                .filter(|issuer| !issuer.ring.ready())
                .map(|issuer| issuer.ring.warm()),
        );
        let ready = futures_util::future::join_all(self.readiness.iter().filter_map(|(name, readiness)| {
            let service = self.services.get(name)?;
            Some(readiness.start(service))
        }));
        // What is not there in time comes later by the upkeep; until then the gateway says that it is not ready.
        let _ = tokio::time::timeout(longest, async { tokio::join!(names, keys, ready) }).await;
    }

    /// The first issuer that has no keys at all.
    pub fn without_keys(&self) -> Option<String> {
        self.callers
            .issuers
            .iter()
            .find(|(_, issuer)| !issuer.ring.ready())
            .map(|(name, _)| name.to_string())
    }

    /// The realm of that name.
    pub fn realm(&self, name: &RealmName) -> Option<Arc<Realm>> {
        self.callers.realms.get(name).map(|live| Arc::clone(&live.realm))
    }

    /// The names of all realms, sorted.
    pub fn realm_names(&self) -> Vec<RealmName> {
        let mut names: Vec<RealmName> = self.callers.realms.keys().cloned().collect();
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
        let mut ready = Vec::new();
        for (name, readiness) in &self.readiness {
            ready.extend(readiness.facts().into_iter().map(|facts| {
                ReadyReading {
                    backend: name.clone(),
                    region: facts
                        .region
                        .and_then(|region| self.regions.get(region.index()))
                        .cloned(),
                    endpoint: facts.endpoint,
                    is_ready: facts.ready == Ready::Yes,
                }
            }));
        }
        metrics.ready(&ready);
        for (name, limit) in &self.limits {
            let buckets = u32::try_from(limit.table().len()).unwrap_or(u32::MAX);
            metrics.limit(name.as_str()).buckets.set(f64::from(buckets));
        }
        for realm in self.callers.realms.values() {
            realm.sessions.show();
            realm.logins.show();
        }
        for tokens in self.callers.tokens.values() {
            tokens.show();
        }
        for introspection in self.callers.introspections.values() {
            introspection.show();
        }
        for (sessions, _) in self.callers.remotes.values() {
            sessions.show();
        }
        if let Some(accounts) = &self.accounts {
            metrics.password_hashes(accounts.passwords().computed());
        }
    }
}
