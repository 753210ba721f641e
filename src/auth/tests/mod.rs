//! Callers of our own accounts, from what a request brings to who it is: with a store in memory, a clock that is turned, and
//! every change of an account felt by the next request.

mod access;
mod kinds;
mod passwords;
mod sessions;
mod tokens;

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use http::header::{AUTHORIZATION, COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::access::{Access, RequiredClaims, ScopeRule};
use super::api_key::ApiKey;
use super::basic::Logins;
use super::csrf::CsrfRule;
use super::opaque::{OwnTokens, ServiceTokens, Signed};
use super::session::{SessionCookies, Sessions};
use super::{Accepted, Authority, Caller, Credentials, Presented};
use crate::accounts::directory::Directory;
use crate::accounts::{Accounts, Passwords, Realm};
use crate::base::clock::{Clock, UnixTime};
use crate::base::digest::Digest;
use crate::base::secret::Secret;
use crate::config::plan::{
    AccessPlan, CsrfPlan, CsrfRotation, LockoutKey, LockoutPlan, NameForm, RealmPlan, RefererRule,
    SessionCookie, SessionsPlan, WhileLocked,
};
use crate::http::cookie::{Attributes, CookieTemplate};
use crate::http::origin::Scheme;
use crate::identity::password::{Cost, StoredPassword};
use crate::identity::scopes::{Methods, ScopeMethods};
use crate::identity::{
    AccountKey, AccountName, ClientId, CredentialKind, FamilyId, IssuerName, RealmName, TenantGrant, UserId,
};
use crate::rejection::{Code, Rejection};
use crate::store::Store;
use crate::store::model::{
    AccessKey, Application, ApplicationState, By, GrantType, LockPolicy, NewAccess, NewFamily, NewSession,
    NewTokens, Origin, Reach, Session, User, UserAccess, UserState,
};
use crate::telemetry::metrics::{CredentialMetrics, Metrics};

const START: UnixTime = UnixTime(1_800_000_000);
const HOUR: i64 = 3_600;
const IDLE: i64 = 600;
const LOCK: i64 = 60;
const ATTEMPTS: u32 = 3;

fn id<I: for<'t> TryFrom<&'t str>>(text: &str) -> I {
    I::try_from(text).unwrap_or_else(|_| panic!("{text:?} is outside the grammar"))
}

fn ids<I: for<'t> TryFrom<&'t str>>(texts: &[&str]) -> Vec<I> {
    texts.iter().map(|text| id(text)).collect()
}

fn realm_name() -> RealmName {
    id("central")
}

fn grant(tenant: &str, roles: &[&str]) -> TenantGrant {
    TenantGrant {
        tenant: id(tenant),
        region: None,
        roles: Some(ids(roles)),
    }
}

fn user_access(roles: &[&str]) -> UserAccess {
    UserAccess {
        customer: Some(id("msp")),
        roles: ids(roles),
        tenants: vec![grant("t-own", &["viewer"])],
        default_tenant: None,
        reach: Reach::Granted,
    }
}

/// A realm with one active user (`alice`, password `right`) and one application (`app`), and every way to recognise them.
struct World {
    clock: Clock,
    metrics: Arc<Metrics>,
    realm: Arc<Realm>,
    sessions: Arc<Sessions>,
    logins: Arc<Logins>,
    alice: UserId,
}

impl World {
    async fn new() -> World {
        World::with(WhileLocked::Work).await
    }

    async fn with(tokens: WhileLocked) -> World {
        let store = Store::memory();
        let cost = Cost::new(32, 1, 1).unwrap();
        let passwords = Passwords::start(cost, NonZeroUsize::MIN, 64).unwrap();
        let metrics = Metrics::new();
        let plan = RealmPlan {
            name: realm_name(),
            names: NameForm::Any,
            lockout: LockoutPlan {
                attempts: NonZeroU32::new(ATTEMPTS).unwrap(),
                window: Duration::from_secs(900),
                duration: Duration::from_secs(LOCK.unsigned_abs()),
                key: LockoutKey::User,
                tokens,
            },
            sessions: SessionsPlan {
                lifetime: Duration::from_secs(HOUR.unsigned_abs()),
                idle: Duration::from_secs(IDLE.unsigned_abs()),
                per_user: NonZeroU32::new(100).unwrap(),
            },
            users: Vec::new(),
            applications: Vec::new(),
        };
        let realm = Realm::new(
            &plan,
            Accounts::open(store, passwords),
            metrics.sign_ins("central"),
        );
        let credential = |kind: CredentialKind| metrics.credential("central", kind.as_str());
        let mut world = World {
            clock: Clock::manual(START),
            sessions: Sessions::new(Arc::clone(&realm), credential(CredentialKind::Session)),
            logins: Logins::new(Arc::clone(&realm), credential(CredentialKind::Basic)),
            alice: UserId::from_bytes([0; 16]),
            realm,
            metrics,
        };
        world.alice = world.add_user("alice", "right").await;
        world.add_application("app", None).await;
        world
    }

    fn store(&self) -> &Store {
        self.realm.accounts().store()
    }

    fn now(&self) -> UnixTime {
        self.clock.unix()
    }

    fn by(&self) -> By {
        By::system(self.now())
    }

    fn turn(&self, seconds: i64) {
        self.clock.advance(Duration::from_secs(seconds.unsigned_abs()));
    }

    async fn add_user(&self, name: &str, password: &str) -> UserId {
        let hash = StoredPassword::hash(
            &Secret::new(password.as_bytes().to_vec()),
            Cost::new(32, 1, 1).unwrap(),
        )
        .unwrap();
        let user = User {
            realm: realm_name(),
            id: UserId::random(),
            name: id::<AccountName>(name),
            key: id::<AccountKey>(name),
            state: UserState::Active,
            password: Some(Secret::new(hash.to_phc().into_bytes())),
            access: user_access(&["admin", "viewer"]),
            created_at: self.now(),
            changed_at: self.now(),
        };
        let id = user.id;
        self.store().create_user(user, self.by()).await.unwrap();
        id
    }

    async fn add_application(&self, name: &str, owner: Option<UserId>) {
        let application = Application {
            realm: realm_name(),
            client_id: id(name),
            name: name.to_owned(),
            secret: None,
            redirect_uris: Vec::new(),
            owner,
            customer: Some(id("msp")),
            tenant: None,
            scopes: ids(&["all", "read"]),
            grants: vec![GrantType::AuthorizationCode],
            state: ApplicationState::Active,
            created_at: self.now(),
            created_by: crate::store::model::Actor::System,
        };
        self.store()
            .create_application(application, self.by())
            .await
            .unwrap();
    }

    async fn set_state(&self, user: UserId, to: UserState) {
        let changed = self
            .store()
            .change_user_state(realm_name(), user, to, self.by())
            .await;
        assert!(
            matches!(changed, Ok(crate::store::outcome::StateChange::Changed(_))),
            "{changed:?}"
        );
    }

    /// Stores a token, and gives the family's id.
    async fn issue(&self, token: &str, change: impl FnOnce(&mut NewFamily)) -> FamilyId {
        self.issue_as(AccessKey::Opaque(Digest::of(token)), change).await
    }

    async fn issue_as(&self, key: AccessKey, change: impl FnOnce(&mut NewFamily)) -> FamilyId {
        let mut family = NewFamily {
            id: FamilyId::random(),
            realm: realm_name(),
            client_id: id("app"),
            user: Some(self.alice),
            customer: Some(id("msp")),
            tenant: None,
            scopes: ids(&["all"]),
            roles: ids(&["admin", "viewer"]),
            origin: Origin::Code,
            ends_at: None,
        };
        change(&mut family);
        let id = family.id;
        let tokens = NewTokens {
            access: NewAccess {
                key,
                expires_at: UnixTime(self.now().0 + HOUR),
                scopes: None,
            },
            refresh: None,
        };
        self.store().issue(family, tokens, self.by()).await.unwrap();
        id
    }

    /// Opens a session with this id; its CSRF value is `csrf-` and the id.
    async fn open_session(&self, name: &str) {
        let session = Session {
            digest: Digest::of(name),
            realm: realm_name(),
            user: self.alice,
            client_id: None,
            csrf: Digest::of(&format!("csrf-{name}")),
            created_at: self.now(),
            last_seen: self.now(),
            expires_at: UnixTime(self.now().0 + HOUR),
            idle: Duration::from_secs(IDLE.unsigned_abs()),
        };
        let new = NewSession {
            session,
            replaces: None,
            at_most: None,
        };
        self.store().open_session(new, self.by()).await.unwrap();
    }

    /// Locks the name `alice`, as failed sign-ins do.
    async fn lock_alice(&self) {
        let policy = LockPolicy {
            attempts: NonZeroU32::MIN,
            window: Duration::from_secs(900),
            duration: Duration::from_secs(LOCK.unsigned_abs()),
        };
        let (store, key) = (self.store(), id::<AccountKey>("alice"));
        let begun = store.begin_attempt(realm_name(), key.clone(), policy, self.now());
        begun.await.unwrap();
        let failed = store.fail_attempt(realm_name(), key, policy, self.now());
        failed.await.unwrap();
    }

    fn credential(&self, kind: CredentialKind) -> Arc<CredentialMetrics> {
        self.metrics.credential("service", kind.as_str())
    }

    fn tokens(&self, kind: CredentialKind, signed: Option<Signed>) -> Arc<OwnTokens> {
        let service = ServiceTokens {
            name: id::<IssuerName>("service"),
            scopes: ScopeMethods::new(vec![
                (id("all"), Methods::Every),
                (id("read"), Methods::These(vec![Method::GET])),
            ]),
            signed,
            cache: 100,
        };
        OwnTokens::new(service, kind, Arc::clone(&self.realm), self.credential(kind))
    }

    fn bearer(&self) -> Accepted {
        Accepted::Bearer(Authority::Own(self.tokens(CredentialKind::Token, None)))
    }

    fn api_key(&self) -> Accepted {
        let tokens = self.tokens(CredentialKind::ApiKey, None);
        Accepted::ApiKey(ApiKey::new(HeaderName::from_static("x-api-key"), tokens))
    }

    fn session(&self, names: &[&str], csrf: Option<CsrfRule>) -> Accepted {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        Accepted::Session(SessionCookies::new(Arc::clone(&self.sessions), names, csrf))
    }

    fn basic(&self) -> Accepted {
        Accepted::Basic(Arc::clone(&self.logins))
    }

    /// How many credentials of a kind were known already.
    fn hits(&self, authority: &str, kind: CredentialKind) -> u64 {
        self.metrics.credential(authority, kind.as_str()).hits.value()
    }
}

fn csrf_rule(referer: RefererRule) -> CsrfRule {
    csrf_rule_of(referer, CsrfRotation::Never)
}

fn csrf_rule_that_rotates(rotation: CsrfRotation) -> CsrfRule {
    csrf_rule_of(RefererRule::None, rotation)
}

fn csrf_rule_of(referer: RefererRule, rotation: CsrfRotation) -> CsrfRule {
    let cookie = CookieTemplate::new("csrftoken", &Attributes::session()).unwrap();
    CsrfRule::new(&CsrfPlan {
        cookie: SessionCookie {
            https: cookie.clone(),
            http: cookie,
        },
        headers: vec![HeaderName::from_static("x-csrftoken")],
        referer,
        rotation,
    })
}

/// A request in the making.
#[derive(Clone)]
struct Call {
    method: Method,
    scheme: Scheme,
    headers: HeaderMap,
}

impl Call {
    fn get() -> Call {
        Call {
            method: Method::GET,
            scheme: Scheme::Https,
            headers: HeaderMap::new(),
        }
    }

    fn post() -> Call {
        Call {
            method: Method::POST,
            ..Call::get()
        }
    }

    fn with(mut self, name: impl Into<HeaderName>, value: &str) -> Call {
        self.headers
            .append(name.into(), HeaderValue::from_str(value).unwrap());
        self
    }

    fn bearer(self, token: &str) -> Call {
        self.with(AUTHORIZATION, &format!("Bearer {token}"))
    }

    fn basic(self, name: &str, password: &str) -> Call {
        use base64::Engine as _;
        let text = base64::engine::general_purpose::STANDARD.encode(format!("{name}:{password}"));
        self.with(AUTHORIZATION, &format!("Basic {text}"))
    }

    fn cookie(self, text: &str) -> Call {
        self.with(COOKIE, text)
    }

    fn api_key(self, token: &str) -> Call {
        self.with(HeaderName::from_static("x-api-key"), token)
    }

    fn csrf(self, value: &str) -> Call {
        self.with(HeaderName::from_static("x-csrftoken"), value)
    }

    fn plain(mut self) -> Call {
        self.scheme = Scheme::Http;
        self
    }

    fn presented(&self) -> Presented<'_> {
        Presented {
            headers: &self.headers,
            method: &self.method,
            path: "/",
            query: None,
            scheme: self.scheme,
            authority: "api.test",
        }
    }
}

/// A route's credentials with the clock of its world.
struct Door<'w> {
    world: &'w World,
    credentials: Credentials,
}

impl World {
    fn door(&self, accepted: Vec<Accepted>) -> Door<'_> {
        Door {
            world: self,
            credentials: Credentials::of(accepted),
        }
    }
}

impl Door<'_> {
    async fn ask(&self, call: &Call) -> Result<Caller, Rejection> {
        self.credentials
            .identify(&call.presented(), &self.world.clock)
            .await
    }

    /// The code of the refusal; `None` when the caller was recognised.
    async fn code(&self, call: &Call) -> Option<Code> {
        self.ask(call).await.err().map(|rejection| rejection.code())
    }
}
