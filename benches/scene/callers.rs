//! A realm with one user who has a session, and an application that has a token: in a store in memory.

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use http::header::{AUTHORIZATION, COOKIE};
use http::{HeaderMap, HeaderValue, Method};
use tollgate::accounts::password::Cost;
use tollgate::accounts::{Accounts, Opening, Passwords, Realm};
use tollgate::auth::opaque::{OwnTokens, ServiceTokens};
use tollgate::auth::session::{SessionCookies, Sessions};
use tollgate::auth::{Accepted, Authority, Credentials};
use tollgate::base::clock::{Clock, UnixTime};
use tollgate::base::digest::Digest;
use tollgate::config::plan::{LockoutKey, LockoutPlan, NameForm, RealmPlan, SessionsPlan, WhileLocked};
use tollgate::identity::scopes::{Methods, ScopeMethods};
use tollgate::identity::{
    AccountKey, AccountName, ClientId, CredentialKind, CustomerId, FamilyId, IssuerName, RealmName, Role,
    Scope, UserId,
};
use tollgate::store::Store;
use tollgate::store::model::{
    AccessKey, Actor, Application, ApplicationState, By, GrantType, NewAccess, NewFamily, NewTokens, Origin,
    Reach, User, UserAccess, UserState,
};
use tollgate::telemetry::metrics::Metrics;

use super::NOW;

/// A token as the token service makes them.
pub const OWN_TOKEN: &str = "ouzMaXEBbB6XqGtsWomK7MvaTuhrqDQ1";

/// The realm.
pub struct Callers {
    realm: Arc<Realm>,
    metrics: Arc<Metrics>,
    user: UserId,
}

/// Credentials of a route, and the fields of a request that has one.
pub struct OwnDoor {
    pub credentials: Credentials,
    pub headers: HeaderMap,
    pub clock: Clock,
}

fn id<I: for<'t> TryFrom<&'t str>>(text: &str) -> I {
    I::try_from(text).unwrap_or_else(|_| panic!("{text}"))
}

impl Callers {
    /// One in which a lock suspends tokens and sessions: so there is as much to look at as there can be.
    pub fn open() -> Callers {
        let store = Store::memory();
        let passwords = Passwords::start(Cost::new(8, 1, 1).unwrap(), NonZeroUsize::MIN, 1).unwrap();
        let metrics = Metrics::new();
        let plan = RealmPlan {
            name: id("central"),
            names: NameForm::Any,
            lockout: LockoutPlan {
                attempts: NonZeroU32::new(5).unwrap(),
                window: Duration::from_secs(900),
                duration: Duration::from_secs(60),
                key: LockoutKey::User,
                tokens: WhileLocked::Suspended,
            },
            sessions: SessionsPlan {
                lifetime: Duration::from_secs(43_200),
                idle: Duration::from_secs(1_800),
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
        let callers = Callers {
            realm,
            metrics,
            user: UserId::from_bytes([7; 16]),
        };
        callers.fill();
        callers
    }

    fn fill(&self) {
        let store = self.realm.accounts().store();
        let realm: RealmName = id("central");
        let by = || By::system(NOW);
        let user = User {
            realm: realm.clone(),
            id: self.user,
            name: id::<AccountName>("alice@example.com"),
            key: id::<AccountKey>("alice@example.com"),
            state: UserState::Active,
            password: None,
            access: UserAccess {
                customer: Some(id::<CustomerId>("267958b55d5a463e94a302c20f4a6b68")),
                roles: vec![id::<Role>("viewer"), id::<Role>("operator")],
                tenants: Vec::new(),
                default_tenant: None,
                reach: Reach::Granted,
            },
            created_at: NOW,
            changed_at: NOW,
        };
        let _created = store.create_user(user, by()).now_or_never().unwrap().unwrap();
        let client_id: ClientId = id("6b0cafe06b0cafe06b0cafe06b0cafe0");
        let scopes = vec![id::<Scope>("all")];
        let application = Application {
            realm: realm.clone(),
            client_id: client_id.clone(),
            name: "reports".to_owned(),
            secret: None,
            redirect_uris: Vec::new(),
            owner: None,
            customer: None,
            tenant: None,
            scopes: scopes.clone(),
            grants: vec![GrantType::AuthorizationCode],
            state: ApplicationState::Active,
            created_at: NOW,
            created_by: Actor::System,
        };
        let created = store.create_application(application, by());
        let _outcome = created.now_or_never().unwrap().unwrap();
        let family = NewFamily {
            id: FamilyId::random(),
            realm,
            client_id,
            user: Some(self.user),
            customer: None,
            tenant: None,
            scopes,
            roles: vec![id::<Role>("viewer"), id::<Role>("operator")],
            origin: Origin::Code,
            ends_at: None,
        };
        let tokens = NewTokens {
            access: NewAccess {
                key: AccessKey::Opaque(Digest::of(OWN_TOKEN)),
                expires_at: UnixTime(NOW.0 + 7_200),
                scopes: None,
            },
            refresh: None,
        };
        drop(store.issue(family, tokens, by()).now_or_never().unwrap().unwrap());
    }

    /// A route that takes tokens.
    pub fn token(&self) -> OwnDoor {
        let service = ServiceTokens {
            name: id::<IssuerName>("central"),
            scopes: ScopeMethods::new(vec![
                (id("all"), Methods::Every),
                (id("read"), Methods::These(vec![Method::GET])),
            ]),
            signed: None,
            cache: 100,
        };
        let kind = CredentialKind::Token;
        let metrics = self.metrics.credential("central", kind.as_str());
        let tokens = OwnTokens::new(service, kind, Arc::clone(&self.realm), metrics);
        let value = HeaderValue::from_str(&format!("Bearer {OWN_TOKEN}")).unwrap();
        OwnDoor {
            credentials: Credentials::of(vec![Accepted::Bearer(Authority::Own(tokens))]),
            headers: HeaderMap::from_iter([(AUTHORIZATION, value)]),
            clock: Clock::manual(NOW),
        }
    }

    /// A route that takes sessions; the request is the one of a client that sends every cookie several times.
    pub fn session(&self) -> OwnDoor {
        let account = self
            .realm
            .user(self.user)
            .now_or_never()
            .unwrap()
            .unwrap()
            .unwrap();
        let opening = Opening {
            account: &account,
            client_id: None,
            replaces: None,
        };
        let opened = self
            .realm
            .open_session(opening, NOW)
            .now_or_never()
            .unwrap()
            .unwrap();
        let metrics = self
            .metrics
            .credential("central", CredentialKind::Session.as_str());
        let sessions = Sessions::new(Arc::clone(&self.realm), metrics);
        let cookies = SessionCookies::new(sessions, vec!["sessionid".to_owned()], None);
        let (session, csrf) = (opened.id.reveal(), opened.csrf.reveal());
        let line = format!("csrftoken={csrf}; sessionid={session}; csrftoken={csrf}; sessionid={session}");
        OwnDoor {
            credentials: Credentials::of(vec![Accepted::Session(cookies)]),
            headers: HeaderMap::from_iter([(COOKIE, HeaderValue::from_str(&line).unwrap())]),
            clock: Clock::manual(NOW),
        }
    }
}
