//! The keys of an issuer through time: read from files once, fetched from URLs again and again.
//!
//! Reading is one atomic load. A fetch happens by the clock, or when a token names a key that is not known, then at most
//! once in a while; never two of one URL at a time. If fetching fails, the keys known are used on for a bounded time,
//! then no longer. A key that a good fetch no longer brings is gone with it: the set gets a new number
//! ([`KeySet::generation`]), and whatever was verified under another number is verified again.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::jwk::{Key, KeyError};
use super::key_set::{self, KeySet};
use super::pem;
use super::schedule::Schedule;
use crate::base::clock::{Clock, Tick};
use crate::base::{random, tasks};
use crate::config::plan::{IssuerPlan, KeySource, KeyUrl};
use crate::net::fetch::{Fetched, Fetcher};
use crate::telemetry::metrics::IssuerMetrics;

/// Longest time that one fetch may take.
pub const FETCH_WITHIN: Duration = Duration::from_secs(5);

/// Longest time that a request with an unknown `kid` waits for a fetch that is under way.
pub const WAIT_FOR_FETCH: Duration = Duration::from_secs(2);

const NEVER: u64 = u64::MAX;
const NO_KEYS: u64 = 0;

/// The keys of one issuer.
pub struct KeyRing {
    issuer: String,
    clock: Clock,
    metrics: Arc<IssuerMetrics>,
    fixed: Vec<Arc<Key>>,
    remotes: Vec<Remote>,
    keys: ArcSwapOption<KeySet>,
    /// The number of the set in `keys`, so that the warm path needs no reference count; [`NO_KEYS`] without one.
    generation: AtomicU64,
    /// When the first of the fetched keys lapse, as a tick; [`NEVER`] without fetched keys.
    lapse: AtomicU64,
    composing: Mutex<()>,
    /// Counts fetches that ended.
    rounds: watch::Sender<u64>,
    running: Mutex<Vec<JoinHandle<()>>>,
}

struct Remote {
    plan: KeyUrl,
    fetcher: Fetcher,
    state: Mutex<State>,
}

struct State {
    schedule: Schedule,
    keys: Option<Vec<Arc<Key>>>,
    flying: bool,
}

impl KeyRing {
    /// The keys of `plan`: files are read, URLs are not fetched yet ([`KeyRing::warm`], [`KeyRing::start`]). If
    /// `previous` has the same sources with the same content it is handed on as it is; if only some URLs are the same,
    /// what was fetched from them is.
    ///
    /// # Errors
    /// [`KeyError`] of a file, a secret, or a URL's TLS settings. A URL that cannot be reached is none: the ring is not
    /// ready then.
    pub fn open(
        plan: &IssuerPlan,
        clock: &Clock,
        metrics: Arc<IssuerMetrics>,
        previous: Option<&Arc<KeyRing>>,
    ) -> Result<Arc<KeyRing>, KeyError> {
        let mut fixed = Vec::new();
        let mut remotes = Vec::new();
        for source in &plan.keys {
            match source {
                KeySource::Pem(path) => fixed.extend(pem::keys(&read(path)?)?.into_iter().map(Arc::new)),
                KeySource::JwkFile(path) => fixed.extend(key_set::from_jwks(&read(path)?)?),
                KeySource::Secret(secret) => fixed.push(Arc::new(Key::secret(secret)?)),
                KeySource::Url(url) => remotes.push(Remote::new(url, clock.tick())?),
            }
        }
        if let Some(previous) = previous {
            if previous.has_sources(&fixed, &remotes) {
                return Ok(Arc::clone(previous));
            }
            for remote in &remotes {
                remote.take_over(previous);
            }
        }
        let ring = Arc::new(KeyRing {
            issuer: plan.name.as_str().to_owned(),
            clock: clock.clone(),
            metrics,
            fixed,
            remotes,
            keys: ArcSwapOption::empty(),
            generation: AtomicU64::new(NO_KEYS),
            lapse: AtomicU64::new(NEVER),
            composing: Mutex::new(()),
            rounds: watch::Sender::new(0),
            running: Mutex::new(Vec::new()),
        });
        if !ring.fixed.is_empty() {
            ring.metrics.keys_refreshed.set(unix(&ring.clock));
        }
        ring.compose();
        Ok(ring)
    }

    /// A ring of fixed keys, without files or URLs.
    pub fn fixed(keys: Vec<Arc<Key>>, metrics: Arc<IssuerMetrics>) -> Arc<KeyRing> {
        let ring = Arc::new(KeyRing {
            issuer: String::new(),
            clock: Clock::system(),
            metrics,
            fixed: keys,
            remotes: Vec::new(),
            keys: ArcSwapOption::empty(),
            generation: AtomicU64::new(NO_KEYS),
            lapse: AtomicU64::new(NEVER),
            composing: Mutex::new(()),
            rounds: watch::Sender::new(0),
            running: Mutex::new(Vec::new()),
        });
        ring.compose();
        ring
    }

    fn has_sources(&self, fixed: &[Arc<Key>], remotes: &[Remote]) -> bool {
        self.fixed.len() == fixed.len()
            && self.remotes.len() == remotes.len()
            && self
                .fixed
                .iter()
                .zip(fixed)
                .all(|(own, other)| own.fingerprint() == other.fingerprint())
            && self
                .remotes
                .iter()
                .zip(remotes)
                .all(|(own, other)| own.plan == other.plan && own.fetcher.is_like(&other.fetcher))
    }

    /// The keys now; `None` when there is none by which anything could be verified.
    pub fn keys(&self) -> Option<Arc<KeySet>> {
        self.forget_lapsed();
        self.keys.load_full()
    }

    /// The number of the current set; `None` when there is none. Cheap: this is asked on every request.
    pub fn generation(&self) -> Option<u64> {
        self.forget_lapsed();
        Some(self.generation.load(Ordering::Acquire)).filter(|generation| *generation != NO_KEYS)
    }

    /// Can tokens be verified?
    pub fn ready(&self) -> bool {
        self.generation().is_some()
    }

    /// Is there a URL whose keys are missing, because it was never fetched well or too long ago? A token with an unknown
    /// key may be good then, and is not called bad.
    pub fn lacks_keys(&self) -> bool {
        self.remotes.iter().any(|remote| remote.state().keys.is_none())
    }

    /// Fetches every URL that has brought no keys yet, all at once. True when the ring is ready after it.
    pub async fn warm(&self) -> bool {
        let missing = self.remotes.iter().filter(|remote| remote.state().keys.is_none());
        futures_util::future::join_all(missing.map(|remote| self.fetch(remote))).await;
        self.ready()
    }

    /// Fetches every URL now, whatever the schedule says. True when all of it succeeded.
    pub async fn refresh_now(&self) -> bool {
        let outcomes =
            futures_util::future::join_all(self.remotes.iter().map(|remote| self.fetch(remote))).await;
        outcomes.into_iter().all(|good| good)
    }

    /// Fetches the URLs that are due. True when there was one.
    pub async fn refresh_due(&self) -> bool {
        let now = self.clock.tick();
        let due: Vec<&Remote> = self
            .remotes
            .iter()
            .filter(|remote| remote.state().schedule.wait(now).is_zero())
            .collect();
        let some = !due.is_empty();
        futures_util::future::join_all(due.into_iter().map(|remote| self.fetch(remote))).await;
        some
    }

    /// Starts fetching in the background, on the current runtime. It ends with the ring; a second call changes nothing.
    pub fn start(self: &Arc<KeyRing>) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if !running.is_empty() {
            return;
        }
        for index in 0..self.remotes.len() {
            running.push(tasks::spawn(
                "key refresh",
                keep_fresh(Arc::downgrade(self), index),
            ));
        }
    }

    /// A token names a key that is not in the set `seen`: fetches, if that is allowed again, or waits for the fetch that is
    /// under way. True when there are other keys than those after it, or already.
    ///
    /// The fetch is a task of its own, so a client that goes away does not break it off for the others.
    pub async fn look_again(self: &Arc<KeyRing>, seen: Option<u64>) -> bool {
        let mut rounds = self.rounds.subscribe();
        if self.generation() != seen {
            return true;
        }
        let now = self.clock.tick();
        for (index, remote) in self.remotes.iter().enumerate() {
            let mut state = remote.state();
            if !state.flying && state.schedule.ask(now) {
                state.flying = true;
                drop(state);
                let ring = Arc::clone(self);
                tasks::spawn("key fetch", async move {
                    if let Some(remote) = ring.remotes.get(index) {
                        ring.fly(remote).await;
                    }
                });
            }
        }
        let landed = async {
            while self.remotes.iter().any(|remote| remote.state().flying) {
                if rounds.changed().await.is_err() {
                    break;
                }
            }
        };
        // Whether it ended or not: what is there now decides.
        let _ = tokio::time::timeout(WAIT_FOR_FETCH, landed).await;
        self.generation() != seen
    }

    /// Fetches one URL, or waits until the fetch that is under way has ended.
    async fn fetch(&self, remote: &Remote) -> bool {
        let mut rounds = self.rounds.subscribe();
        loop {
            {
                let mut state = remote.state();
                if !state.flying {
                    state.flying = true;
                    break;
                }
            }
            if rounds.changed().await.is_err() {
                return false;
            }
        }
        self.fly(remote).await
    }

    /// The fetch itself; `flying` is set already.
    async fn fly(&self, remote: &Remote) -> bool {
        let landing = Landing {
            ring: self,
            remote,
            outcome: None,
        };
        let outcome = match remote.fetcher.get(FETCH_WITHIN).await {
            Ok(fetched) => key_set::from_jwks(&fetched.body).map(|keys| (keys, fetched)),
            Err(error) => Err(error.into()),
        };
        landing.with(outcome)
    }

    /// Puts the set together anew if a source has changed or lapsed.
    fn compose(&self) {
        let _one_at_a_time = self.composing.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.tick();
        let mut keys = self.fixed.clone();
        let mut lapse = NEVER;
        for remote in &self.remotes {
            let mut state = remote.state();
            match state.schedule.lapses() {
                Some(at) if at > now => {
                    keys.extend(state.keys.iter().flatten().cloned());
                    lapse = lapse.min(at.0);
                }
                Some(_) => {
                    if state.keys.take().is_some() {
                        tracing::error!(
                            issuer = self.issuer, url = %remote.plan.url,
                            "keys could not be renewed for too long and are not used any more"
                        );
                    }
                }
                None => {}
            }
        }
        self.metrics
            .keys
            .set(f64::from(u32::try_from(keys.len()).unwrap_or(u32::MAX)));
        if keys.is_empty() {
            self.generation.store(NO_KEYS, Ordering::Release);
            self.keys.store(None);
        } else if !self
            .keys
            .load()
            .as_ref()
            .is_some_and(|set| set.holds_exactly(&keys))
        {
            let set = Arc::new(KeySet::new(keys));
            let generation = set.generation();
            self.keys.store(Some(set));
            self.generation.store(generation, Ordering::Release);
        }
        self.lapse.store(lapse, Ordering::Release);
    }

    fn forget_lapsed(&self) {
        let lapse = self.lapse.load(Ordering::Acquire);
        if lapse != NEVER && self.clock.tick() >= Tick(lapse) {
            self.compose();
        }
    }
}

impl Drop for KeyRing {
    fn drop(&mut self) {
        for task in self.running.get_mut().unwrap_or_else(PoisonError::into_inner) {
            task.abort();
        }
    }
}

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyRing")
            .field("issuer", &self.issuer)
            .finish_non_exhaustive()
    }
}

async fn keep_fresh(ring: Weak<KeyRing>, index: usize) {
    loop {
        let wait = {
            let Some(ring) = ring.upgrade() else { return };
            let Some(remote) = ring.remotes.get(index) else {
                return;
            };
            let wait = remote.state().schedule.wait(ring.clock.tick());
            if wait.is_zero() {
                ring.fetch(remote).await;
            }
            wait
        };
        // A fetch on demand may have moved the date meanwhile; then the next round waits again. Never less than a little,
        // so that no mistake in the dates becomes a busy loop.
        tokio::time::sleep(wait.max(Duration::from_millis(100))).await;
    }
}

impl Remote {
    fn new(plan: &KeyUrl, now: Tick) -> Result<Remote, KeyError> {
        Ok(Remote {
            plan: plan.clone(),
            fetcher: Fetcher::new(&plan.url, plan.ca.clone())?,
            state: Mutex::new(State {
                schedule: Schedule::new(plan, now),
                keys: None,
                flying: false,
            }),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what was fetched from the same URL under an earlier configuration.
    fn take_over(&self, previous: &KeyRing) {
        if let Some(same) = previous
            .remotes
            .iter()
            .find(|remote| remote.fetcher.is_like(&self.fetcher))
        {
            let (keys, schedule) = {
                let state = same.state();
                (state.keys.clone(), state.schedule.replanned(&self.plan))
            };
            let mut state = self.state();
            state.keys = keys;
            state.schedule = schedule;
        }
    }
}

/// What a fetch brought: the keys, and when to come again.
type Outcome = Result<(Vec<Arc<Key>>, Fetched), KeyError>;

/// Ends a fetch, also one that was broken off: then it counts as failed, and the next one may fly.
struct Landing<'r> {
    ring: &'r KeyRing,
    remote: &'r Remote,
    outcome: Option<Outcome>,
}

impl Landing<'_> {
    fn with(mut self, outcome: Outcome) -> bool {
        let good = outcome.is_ok();
        self.outcome = Some(outcome);
        good
    }
}

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        let (ring, remote) = (self.ring, self.remote);
        let now = ring.clock.tick();
        {
            let mut state = remote.state();
            match self.outcome.take() {
                Some(Ok((keys, fetched))) => {
                    state.schedule.succeeded(now, fetched.fresh);
                    state.keys = Some(keys);
                    ring.metrics.refreshes_ok.inc();
                    ring.metrics.keys_refreshed.set(unix(&ring.clock));
                }
                Some(Err(error)) => {
                    let meanwhile = if state.keys.is_some() {
                        "the ones known are used on"
                    } else {
                        "there are none yet, and tokens are answered with 503"
                    };
                    tracing::warn!(
                        issuer = ring.issuer, url = %remote.plan.url, %error,
                        "keys could not be fetched; {meanwhile}"
                    );
                    state.schedule.failed(now, dice());
                    ring.metrics.refreshes_failed.inc();
                }
                None => state.schedule.failed(now, dice()),
            }
            state.flying = false;
        }
        ring.compose();
        ring.rounds.send_modify(|round| *round = round.wrapping_add(1));
    }
}

fn dice() -> u64 {
    let mut bytes = [0; 8];
    random::fill(&mut bytes);
    u64::from_le_bytes(bytes)
}

#[expect(clippy::cast_precision_loss, reason = "seconds since 1970 fit into 53 bits")]
fn unix(clock: &Clock) -> f64 {
    clock.unix().0 as f64
}

fn read(path: &Path) -> Result<Vec<u8>, KeyError> {
    std::fs::read(path).map_err(|source| KeyError::File {
        path: path.display().to_string(),
        source,
    })
}
