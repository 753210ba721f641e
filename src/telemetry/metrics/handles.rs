//! Handles that are resolved when the view is compiled, so that a request counts without looking anything up.

use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use http::StatusCode;

use super::cells::{Counter, Gauge, Histogram, Level};
use super::table::Families;
use crate::rejection::Code;

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The answer was sent whole; it came from a backend or the configuration.
    Answered,
    /// The gateway refused it, with this code.
    Refused(Code),
    /// The client left before the answer was sent whole.
    ClientGone,
    /// The backend broke off in the middle of the answer.
    UpstreamCut,
}

impl Outcome {
    /// The word for logs: `answered`, `refused`, `client_gone`, `upstream_cut`.
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Answered => "answered",
            Outcome::Refused(_) => "refused",
            Outcome::ClientGone => "client_gone",
            Outcome::UpstreamCut => "upstream_cut",
        }
    }
}

/// The label for a status: `1xx` to `5xx`, `none` where no status was sent.
const CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];

fn class(status: Option<StatusCode>) -> usize {
    status.map_or(0, |status| usize::from(status.as_u16() / 100))
}

/// The counters of one route.
pub struct RouteMetrics {
    families: Arc<Families>,
    api: Box<str>,
    route: Box<str>,
    classes: [OnceLock<ClassCells>; CLASSES.len()],
    refused: Box<[OnceLock<RefusedCells>]>,
    client_gone: OnceLock<Arc<Counter>>,
    upstream_cut: OnceLock<Arc<Counter>>,
}

struct ClassCells {
    requests: Arc<Counter>,
    duration: Arc<Histogram>,
}

struct RefusedCells {
    requests: Arc<Counter>,
    refusals: Arc<Counter>,
}

impl RouteMetrics {
    pub(super) fn new(families: Arc<Families>, api: &str, route: &str) -> RouteMetrics {
        let metrics = RouteMetrics {
            families,
            api: api.into(),
            route: route.into(),
            classes: std::array::from_fn(|_| OnceLock::new()),
            refused: Code::ALL.iter().map(|_| OnceLock::new()).collect(),
            client_gone: OnceLock::new(),
            upstream_cut: OnceLock::new(),
        };
        // Made before the first request, so that a rate over the first scrapes is right. The others come when they
        // occur, so that a route costs the series that it uses.
        metrics.of_class(class(Some(StatusCode::OK)));
        metrics
    }

    /// The api's name.
    pub fn api(&self) -> &str {
        &self.api
    }

    /// The route's name.
    pub fn route(&self) -> &str {
        &self.route
    }

    /// Counts one request that ended so, with the status that was sent, after `span`.
    pub fn ended(&self, outcome: Outcome, status: Option<StatusCode>, span: Duration) {
        let of_class = self.of_class(class(status));
        if let Some(cells) = of_class {
            cells.duration.observe(span);
        }
        match outcome {
            Outcome::Answered => {
                if let Some(cells) = of_class {
                    cells.requests.inc();
                }
            }
            Outcome::Refused(code) => {
                if let Some(cells) = self.refused.get(code as usize) {
                    let cells = cells.get_or_init(|| RefusedCells {
                        requests: self.requests(code.as_str()),
                        refusals: self.families.refusals.cell(&[&self.api, code.as_str()]),
                    });
                    cells.requests.inc();
                    cells.refusals.inc();
                }
            }
            Outcome::ClientGone => self
                .client_gone
                .get_or_init(|| self.requests(outcome.as_str()))
                .inc(),
            Outcome::UpstreamCut => self
                .upstream_cut
                .get_or_init(|| self.requests(outcome.as_str()))
                .inc(),
        }
    }

    fn of_class(&self, index: usize) -> Option<&ClassCells> {
        let (cells, label) = self.classes.get(index).zip(CLASSES.get(index))?;
        Some(cells.get_or_init(|| ClassCells {
            requests: self.requests(label),
            duration: self.families.duration.cell(&[&self.api, &self.route, label]),
        }))
    }

    fn requests(&self, code: &str) -> Arc<Counter> {
        self.families.requests.cell(&[&self.api, &self.route, code])
    }
}

/// What is measured of one backend in one region, request by request. The counts of its endpoints are read at the
/// scrape: [`Metrics::endpoints`](super::Metrics::endpoints).
pub struct UpstreamMetrics {
    /// Time from sending a request to the head of the answer.
    pub duration: Arc<Histogram>,
}

impl UpstreamMetrics {
    pub(super) fn new(families: &Families, backend: &str, region: &str) -> UpstreamMetrics {
        UpstreamMetrics {
            duration: families.upstream_duration.cell(&[backend, region]),
        }
    }
}

/// The counters of one issuer: its tokens and its keys.
pub struct IssuerMetrics {
    /// Tokens verified and found good.
    pub verified: Arc<Counter>,
    /// Tokens known as verified already.
    pub cache_hits: Arc<Counter>,
    /// Tokens that were not known.
    pub cache_misses: Arc<Counter>,
    /// Tokens not accepted, by reason.
    pub refused: Reasons,
    /// Keys in use.
    pub keys: Arc<Gauge>,
    /// When the keys were last read or fetched, seconds since 1970.
    pub keys_refreshed: Arc<Gauge>,
    /// Attempts to read or fetch keys that succeeded.
    pub refreshes_ok: Arc<Counter>,
    /// Attempts that failed.
    pub refreshes_failed: Arc<Counter>,
}

impl IssuerMetrics {
    pub(super) fn new(families: &Arc<Families>, issuer: &str) -> IssuerMetrics {
        IssuerMetrics {
            verified: families.tokens_verified.cell(&[issuer]),
            cache_hits: families.token_cache_hits.cell(&[issuer]),
            cache_misses: families.token_cache_misses.cell(&[issuer]),
            refused: Reasons::new({
                let (families, issuer) = (Arc::clone(families), issuer.to_owned());
                move |reason| families.tokens_refused.cell(&[&issuer, reason])
            }),
            keys: families.keys.cell(&[issuer]),
            keys_refreshed: families.keys_refreshed.cell(&[issuer]),
            refreshes_ok: families.keys_refreshes.cell(&[issuer, "ok"]),
            refreshes_failed: families.keys_refreshes.cell(&[issuer, "failed"]),
        }
    }
}

/// The counters of one kind of credential of one authority: a realm, a token service, or whoever is asked by introspection.
pub struct CredentialMetrics {
    /// Known already.
    pub hits: Arc<Counter>,
    /// Looked up.
    pub misses: Arc<Counter>,
    /// Not accepted, by reason.
    pub refused: Reasons,
    /// Remembered now.
    pub remembered: Arc<Gauge>,
}

impl CredentialMetrics {
    pub(super) fn new(families: &Arc<Families>, authority: &str, kind: &'static str) -> CredentialMetrics {
        CredentialMetrics {
            hits: families.credential_hits.cell(&[authority, kind]),
            misses: families.credential_misses.cell(&[authority, kind]),
            refused: Reasons::new({
                let (families, authority) = (Arc::clone(families), authority.to_owned());
                move |reason| families.credentials_refused.cell(&[&authority, kind, reason])
            }),
            remembered: families.credentials_remembered.cell(&[authority, kind]),
        }
    }
}

impl std::fmt::Debug for CredentialMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CredentialMetrics").finish_non_exhaustive()
    }
}

/// The counters of sign-ins of one realm.
pub struct SignInMetrics {
    /// Passwords presented, by outcome.
    pub outcomes: Reasons,
}

impl SignInMetrics {
    pub(super) fn new(families: &Arc<Families>, realm: &str) -> SignInMetrics {
        SignInMetrics {
            outcomes: Reasons::new({
                let (families, realm) = (Arc::clone(families), realm.to_owned());
                move |outcome| families.sign_ins.cell(&[&realm, outcome])
            }),
        }
    }
}

impl std::fmt::Debug for SignInMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignInMetrics").finish_non_exhaustive()
    }
}

/// The counters of one introspection endpoint.
pub struct IntrospectionMetrics {
    /// Answers that a token is good.
    pub active: Arc<Counter>,
    /// Answers that it is not.
    pub inactive: Arc<Counter>,
    /// No answer that could be used.
    pub failed: Arc<Counter>,
    /// Time to the answer.
    pub duration: Arc<Histogram>,
}

impl IntrospectionMetrics {
    pub(super) fn new(families: &Families, issuer: &str) -> IntrospectionMetrics {
        IntrospectionMetrics {
            active: families.introspections.cell(&[issuer, "active"]),
            inactive: families.introspections.cell(&[issuer, "inactive"]),
            failed: families.introspections.cell(&[issuer, "failed"]),
            duration: families.introspection_duration.cell(&[issuer]),
        }
    }
}

impl std::fmt::Debug for IntrospectionMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IntrospectionMetrics").finish_non_exhaustive()
    }
}

/// The counters of one limit.
pub struct LimitMetrics {
    /// Requests that it refused.
    pub refusals: Arc<Counter>,
    /// Buckets in memory.
    pub buckets: Arc<Gauge>,
}

impl LimitMetrics {
    pub(super) fn new(families: &Families, limit: &str) -> LimitMetrics {
        LimitMetrics {
            refusals: families.limit_refusals.cell(&[limit]),
            buckets: families.limit_buckets.cell(&[limit]),
        }
    }
}

/// The counters of one listener.
pub struct ListenerMetrics {
    /// Connections open now.
    pub open: Arc<Level>,
    /// Connections accepted.
    pub accepted: Arc<Counter>,
    /// Connections closed before a request was served, by reason such as `cap`, `address_cap`, `handshake`.
    pub refused: Reasons,
}

impl ListenerMetrics {
    pub(super) fn new(families: &Arc<Families>, listener: &str) -> ListenerMetrics {
        ListenerMetrics {
            open: families.connections_open.cell(&[listener]),
            accepted: families.connections_accepted.cell(&[listener]),
            refused: Reasons::new({
                let (families, listener) = (Arc::clone(families), listener.to_owned());
                move |reason| families.connections_refused.cell(&[&listener, reason])
            }),
        }
    }
}

/// Counters by reason. A reason is a constant of the program, so the set is closed.
pub struct Reasons {
    make: Box<Make>,
    known: RwLock<Vec<(&'static str, Arc<Counter>)>>,
}

/// Finds the counter of a reason in its family.
type Make = dyn Fn(&str) -> Arc<Counter> + Send + Sync;

impl Reasons {
    fn new(make: impl Fn(&str) -> Arc<Counter> + Send + Sync + 'static) -> Reasons {
        Reasons {
            make: Box::new(make),
            known: RwLock::default(),
        }
    }

    /// Counts one with this reason: lower case, words joined by `_`.
    pub fn inc(&self, reason: &'static str) {
        if let Some((_, counter)) = self
            .known
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .find(|(known, _)| *known == reason)
        {
            counter.inc();
            return;
        }
        let counter = (self.make)(reason);
        counter.inc();
        self.known
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .push((reason, counter));
    }
}
