//! Access tokens of a token service of our own: opaque ones, and signed ones (RFC 9068). Both are in the store; of a signed
//! one the signature is looked at first, which spares the store whatever was made up.
//!
//! Only good tokens are remembered. Each hit looks at the clock, at what is true of user, application, family and token now
//! ([`crate::accounts::standing`]), and at the keys; so nothing that was revoked is let in by memory.

use std::sync::Arc;

use super::cache::Verified;
use super::known::Known;
use super::own::{Facts, NodeUse, Own, TokenUse};
use crate::accounts::standing::{Marks, Observed, Read, Reading, State, Thing};
use crate::accounts::{Account, Client, Realm};
use crate::base::clock::UnixTime;
use crate::base::digest::Digest;
use crate::identity::scopes::ScopeMethods;
use crate::identity::{CredentialKind, CustomerId, IssuerName, Jti, Role, TenantId};
use crate::jose::access_token::AccessClaims;
use crate::jose::key_store::KeyStore;
use crate::jose::verify::{self, Policy};
use crate::jose::{KeySet, TokenFault};
use crate::rejection::Rejection;
use crate::store::StoreError;
use crate::store::model::{AccessKey, ApplicationState, LiveAccess, Node, Origin, UserState};
use crate::store::outcome::Access;
use crate::telemetry::metrics::CredentialMetrics;

/// How signed tokens of a service are verified.
#[derive(Debug, Clone)]
pub struct Signed {
    /// What they must be like.
    pub policy: Policy,
    /// By which keys.
    pub keys: Arc<KeyStore>,
}

/// What a service's tokens are.
#[derive(Debug, Clone)]
pub struct ServiceTokens {
    /// The service's name.
    pub name: IssuerName,
    /// What its scopes are worth.
    pub scopes: ScopeMethods,
    /// Where it signs tokens, or has signed some.
    pub signed: Option<Signed>,
    /// Tokens that are remembered; 0 looks each up every time.
    pub cache: usize,
}

impl ServiceTokens {
    fn is_like(&self, other: &ServiceTokens) -> bool {
        let signed = match (&self.signed, &other.signed) {
            (None, None) => true,
            (Some(own), Some(other)) => own.policy == other.policy && Arc::ptr_eq(&own.keys, &other.keys),
            (Some(_), None) | (None, Some(_)) => false,
        };
        signed && self.name == other.name && self.scopes == other.scopes && self.cache == other.cache
    }
}

/// The tokens of one service, to recognise callers by.
pub struct OwnTokens {
    service: ServiceTokens,
    kind: CredentialKind,
    realm: Arc<Realm>,
    scopes: Arc<ScopeMethods>,
    verified: Verified<Arc<Known>>,
    metrics: Arc<CredentialMetrics>,
}

/// What became of a token that was not remembered.
#[derive(Debug)]
pub(super) enum Found {
    Known(Arc<Known>),
    /// Not one of this service's; another may know it.
    Unknown,
}

/// Why a token of the store is no good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Unknown,
    Expired,
    Revoked,
    User,
    Application,
    Owner,
}

/// A good token with those behind it.
struct Holder {
    live: Box<LiveAccess>,
    account: Option<Arc<Account>>,
    client: Option<Arc<Client>>,
}

impl OwnTokens {
    /// Tokens of a service whose accounts are those of `realm`, presented as `kind`.
    pub fn new(
        service: ServiceTokens,
        kind: CredentialKind,
        realm: Arc<Realm>,
        metrics: Arc<CredentialMetrics>,
    ) -> Arc<OwnTokens> {
        Arc::new(OwnTokens {
            kind,
            realm,
            scopes: Arc::new(service.scopes.clone()),
            verified: Verified::new(service.cache),
            service,
            metrics,
        })
    }

    /// The tokens of a service of a new configuration: `previous` itself with all it remembers, if nothing of service and
    /// realm has changed; else new ones.
    pub fn carried(
        service: ServiceTokens,
        kind: CredentialKind,
        realm: Arc<Realm>,
        metrics: Arc<CredentialMetrics>,
        previous: Option<&Arc<OwnTokens>>,
    ) -> Arc<OwnTokens> {
        match previous {
            Some(tokens)
                if tokens.service.is_like(&service)
                    && tokens.kind == kind
                    && Arc::ptr_eq(&tokens.realm, &realm) =>
            {
                Arc::clone(tokens)
            }
            Some(_) | None => OwnTokens::new(service, kind, realm, metrics),
        }
    }

    /// The service's name.
    pub fn name(&self) -> &IssuerName {
        &self.service.name
    }

    /// The `iss` of its signed tokens, where it has any.
    pub(super) fn issuer(&self) -> Option<&str> {
        self.service
            .signed
            .as_ref()
            .map(|signed| signed.policy.issuer.as_str())
    }

    /// The caller of a token that is remembered and still good. `Ok(None)` when it is not remembered, or something behind it
    /// has changed. Allocates nothing.
    ///
    /// # Errors
    /// For a remembered token that is over: [`Rejection::TokenExpired`], [`Rejection::CredentialsInvalid`]; and
    /// [`Rejection::AccountSuspended`].
    pub fn recall(&self, digest: Digest, now: UnixTime) -> Result<Option<Arc<Known>>, Rejection> {
        let Some(known) = self.verified.get(&digest) else {
            return Ok(None);
        };
        if !self.is_current(&known) {
            return Ok(None);
        }
        match self.look(&known, now) {
            Ok(true) => {
                self.metrics.hits.inc();
                Ok(Some(known))
            }
            Ok(false) => Ok(None),
            Err(Over::ForGood(rejection)) => {
                self.verified.remove(&digest);
                Err(rejection)
            }
            Err(Over::ForNow(rejection)) => Err(rejection),
        }
    }

    /// Was it verified by the keys of now? Of an opaque one nothing was.
    fn is_current(&self, known: &Known) -> bool {
        match &self.service.signed {
            Some(signed) if known.generation != OPAQUE => known.generation == signed.keys.generation(),
            Some(_) | None => true,
        }
    }

    /// Is it good now? `Ok(false)` when it has to be looked up anew.
    fn look(&self, known: &Known, now: UnixTime) -> Result<bool, Over> {
        if now >= known.identity.expires {
            self.metrics.refused.inc("expired");
            return Err(Over::ForGood(Rejection::TokenExpired));
        }
        let Some(own) = known.own() else {
            return Ok(false);
        };
        match own.state(self.realm.accounts().cells(), now) {
            State::Fine => {
                own.note_node(self.realm.accounts().store(), now);
                Ok(true)
            }
            State::Stale => Ok(false),
            State::Ended => {
                self.metrics.refused.inc("revoked");
                Err(Over::ForGood(Rejection::CredentialsInvalid(
                    "the token was revoked",
                )))
            }
            State::Suspended { until } => {
                self.metrics.refused.inc("suspended");
                Err(Over::ForNow(suspended(until, now)))
            }
        }
    }

    /// Looks up a token that is not remembered, and remembers it if it is good.
    ///
    /// # Errors
    /// As [`OwnTokens::recall`], and [`Rejection::StoreUnavailable`].
    pub(super) async fn look_up(
        &self,
        token: &str,
        digest: Digest,
        now: UnixTime,
    ) -> Result<Found, Rejection> {
        self.metrics.misses.inc();
        let (key, generation) = match (&self.service.signed, is_signed(token)) {
            (Some(signed), true) => {
                let keys = signed.keys.verifying();
                let id = self.verify(token, &signed.policy, &keys, now)?;
                (AccessKey::Jwt(id), keys.generation())
            }
            (None, true) => return Ok(Found::Unknown),
            (Some(_) | None, false) => (AccessKey::Opaque(digest), OPAQUE),
        };
        for _ in 0..MOST_LOOKS {
            let (holder, marks) = match self.observe(&key, now).await? {
                Ok(found) => found,
                Err(Fault::Unknown) if generation == OPAQUE => return Ok(Found::Unknown),
                Err(fault) => return Err(self.refuse(fault)),
            };
            let known =
                self.known(holder, key.clone(), generation, marks)
                    .ok_or(Rejection::CredentialsInvalid(
                        "the token's holder has no usable name",
                    ))?;
            let known = Arc::new(known);
            self.verified.insert(digest, Arc::clone(&known));
            // Something may have changed while it was looked up.
            match self.look(&known, now) {
                Ok(true) => return Ok(Found::Known(known)),
                Ok(false) => {}
                Err(Over::ForGood(rejection) | Over::ForNow(rejection)) => return Err(rejection),
            }
        }
        Err(Rejection::StoreUnavailable)
    }

    fn verify(&self, token: &str, policy: &Policy, keys: &KeySet, now: UnixTime) -> Result<Jti, Rejection> {
        let claims = verify::verify(token, keys, policy, now).and_then(|claims| AccessClaims::read(&claims));
        match claims {
            Ok(claims) => Ok(claims.id),
            Err(fault) => {
                self.metrics.refused.inc(fault.word());
                Err(if fault == TokenFault::Expired {
                    Rejection::TokenExpired
                } else {
                    Rejection::CredentialsInvalid(fault.sentence())
                })
            }
        }
    }

    async fn observe(
        &self,
        key: &AccessKey,
        now: UnixTime,
    ) -> Result<Result<(Holder, Marks), Fault>, Rejection> {
        let read = || -> Read<'_, _, _> { Box::pin(self.read(key.clone(), now)) };
        match self.realm.accounts().cells().observe(read).await {
            Ok((Ok(holder), marks)) => Ok(Ok((holder, marks))),
            Ok((Err(fault), _)) => Ok(Err(fault)),
            Err(Observed::Failed(error)) => Err(store_failed(&error)),
            Err(Observed::Unsettled(_)) => Err(Rejection::StoreUnavailable),
        }
    }

    /// What the store says of a token and of those behind it.
    async fn read(
        &self,
        key: AccessKey,
        now: UnixTime,
    ) -> Result<Reading<Result<Holder, Fault>>, StoreError> {
        let realm = &self.realm;
        let store = realm.accounts().store();
        let refused = |fault, of| Reading {
            value: Err(fault),
            of,
            lock: None,
        };
        let live = match store.access(realm.name().clone(), key.clone(), now).await? {
            Access::Live(live) => live,
            Access::Expired(_) => return Ok(refused(Fault::Expired, Vec::new())),
            Access::Revoked => return Ok(refused(Fault::Revoked, Vec::new())),
            Access::Unknown => return Ok(refused(Fault::Unknown, Vec::new())),
        };
        let family = &live.family;
        let name = realm.name();
        let mut of = vec![
            Thing::Access(key),
            Thing::Family(family.id),
            Thing::Application(name.clone(), family.client_id.clone()),
        ];
        let client = realm.application(&family.client_id).await?;
        let usable = match (&client, family.origin) {
            (Some(client), _) => client.application.state == ApplicationState::Active,
            // Tokens that were given without an application having asked.
            (None, Origin::SignIn | Origin::Offline) => true,
            (None, Origin::Code | Origin::ClientCredentials | Origin::Exchange) => false,
        };
        if !usable {
            return Ok(refused(Fault::Application, of));
        }
        let mut lock = None;
        let account = match family.user {
            Some(user) => {
                of.push(Thing::User(name.clone(), user));
                let account = realm.user(user).await?;
                let Some(account) = account.filter(|account| account.state == UserState::Active) else {
                    return Ok(refused(Fault::User, of));
                };
                if realm.lock_suspends() {
                    let until = store.locked_until(name.clone(), account.key.clone(), now).await?;
                    lock = Some((name.clone(), account.key.clone(), until));
                }
                Some(account)
            }
            None => {
                // It acts for itself, and so for whoever answers for it.
                if let Some(client) = client.as_ref().filter(|client| client.has_owner()) {
                    let owner = realm.owner_of(client).await?;
                    let Some(owner) = owner.filter(|owner| owner.state == UserState::Active) else {
                        return Ok(refused(Fault::Owner, of));
                    };
                    of.push(Thing::User(name.clone(), owner.id));
                }
                None
            }
        };
        Ok(Reading {
            value: Ok(Holder {
                live,
                account,
                client,
            }),
            of,
            lock,
        })
    }

    fn known(&self, holder: Holder, key: AccessKey, generation: u64, marks: Marks) -> Option<Known> {
        let Holder {
            live,
            account,
            client,
        } = holder;
        let LiveAccess {
            family,
            issued_at: _,
            expires_at,
            scopes,
        } = *live;
        let made_for = client
            .as_ref()
            .and_then(|client| client.application.tenant.clone());
        let bound = made_for.or_else(|| match family.origin {
            Origin::Exchange => family.tenant.clone(),
            Origin::Code | Origin::ClientCredentials | Origin::SignIn | Origin::Offline => None,
        });
        let node = match account {
            Some(_) => None,
            None => family.client_id.node(),
        };
        let facts = Facts {
            kind: match node {
                Some(_) => CredentialKind::Node,
                None => self.kind,
            },
            customer: payer(account.as_deref(), client.as_deref(), family.customer),
            tenant: tenant(bound.clone().or(family.tenant), account.as_deref()),
            scopes,
            roles: roles(&family.roles, account.as_deref(), client.as_deref()),
            expires: expires_at,
        };
        let token = TokenUse {
            family: family.id,
            access: key,
            bound,
            methods: Arc::clone(&self.scopes),
            node: node.map(|uuid| NodeUse::new(Node::mark(self.realm.name(), &uuid))),
        };
        let mut known = Own::by_token(&self.realm, account, family.client_id, token, facts, marks)?;
        known.generation = generation;
        Some(known)
    }

    fn refuse(&self, fault: Fault) -> Rejection {
        let (word, rejection) = match fault {
            Fault::Unknown => ("unknown", Rejection::CredentialsInvalid("the token is not known")),
            Fault::Expired => ("expired", Rejection::TokenExpired),
            Fault::Revoked => ("revoked", Rejection::CredentialsInvalid("the token was revoked")),
            Fault::User => ("user", Rejection::CredentialsInvalid("the user is not active")),
            Fault::Application => (
                "application",
                Rejection::CredentialsInvalid("the application is not active"),
            ),
            Fault::Owner => (
                "owner",
                Rejection::CredentialsInvalid("the application's owner is not active"),
            ),
        };
        self.metrics.refused.inc(word);
        rejection
    }

    /// Counts a token that nobody of those asked knew.
    pub(super) fn refuse_unknown(&self) -> Rejection {
        self.refuse(Fault::Unknown)
    }

    /// Tells how many tokens are remembered now.
    pub fn show(&self) {
        let remembered = u32::try_from(self.verified.len()).unwrap_or(u32::MAX);
        self.metrics.remembered.set(f64::from(remembered));
    }
}

/// The generation of what no key has verified.
const OPAQUE: u64 = 0;

/// How often a credential is looked up for one request, if it changes while that is done.
pub(super) const MOST_LOOKS: usize = 3;

/// Why a remembered credential is not let in.
enum Over {
    ForGood(Rejection),
    ForNow(Rejection),
}

/// The refusal of an account that is locked.
pub(super) fn suspended(until: UnixTime, now: UnixTime) -> Rejection {
    Rejection::AccountSuspended {
        retry_after_seconds: until.since(now).as_secs().max(1),
    }
}

/// The refusal for want of the store. Fail closed.
pub(super) fn store_failed(error: &StoreError) -> Rejection {
    tracing::warn!(%error, "a credential could not be looked up");
    Rejection::StoreUnavailable
}

/// Three parts: the form of a signed token. An opaque one has no dot.
pub(super) fn is_signed(token: &str) -> bool {
    token.bytes().filter(|byte| *byte == b'.').count() == 2
}

/// The user's customer of now; without a user the application's. What the grant says was true then.
fn payer(
    account: Option<&Account>,
    client: Option<&Client>,
    granted: Option<CustomerId>,
) -> Option<CustomerId> {
    match (account, client) {
        (Some(account), _) => account.customer.clone(),
        (None, Some(client)) => client.application.customer.clone().or(granted),
        (None, None) => granted,
    }
}

fn tenant(granted: Option<TenantId>, account: Option<&Account>) -> Option<TenantId> {
    granted.or_else(|| account.and_then(|account| account.default_tenant.clone()))
}

/// The roles of the grant that its giver still has: a token is never worth more than it was, nor more than its giver is.
fn roles(granted: &[Role], account: Option<&Account>, client: Option<&Client>) -> Vec<Role> {
    let held = match (account, client) {
        (Some(account), _) => Some(account.roles.as_slice()),
        (None, Some(client)) => client.roles.as_deref(),
        (None, None) => None,
    };
    granted
        .iter()
        .filter(|role| held.is_none_or(|held| held.contains(role)))
        .cloned()
        .collect()
}

impl std::fmt::Debug for OwnTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OwnTokens")
            .field("name", &self.service.name)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}
