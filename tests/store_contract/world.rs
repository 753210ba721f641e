//! A store with nothing in it, and short words for what is put there.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;
use tollgate::base::clock::UnixTime;
use tollgate::base::digest::Digest;
use tollgate::base::secret::Secret;
use tollgate::identity::{
    AccountKey, AccountName, ClientId, CustomerId, FamilyId, RealmName, Role, Scope, UserId,
};
use tollgate::store::backend::{PageSize, PresentedCode, PresentedRefresh, RedirectRule};
use tollgate::store::model::{
    AccessKey, Actor, Application, ApplicationState, AuthorizationCode, By, Change, FirstTokens, GrantType,
    LockPolicy, NewAccess, NewFamily, NewRefresh, NewSession, NewTokens, NextTokens, Origin, Reach, Session,
    User, UserAccess, UserState,
};
use tollgate::store::outcome::{Access, Changes, Creation, Issued, Redemption};
use tollgate::store::{Store, StorePlan};

/// The hour at which everything begins.
pub const T0: UnixTime = UnixTime(1_800_000_000);

/// `seconds` after the beginning.
pub fn at(seconds: i64) -> UnixTime {
    UnixTime(T0.0 + seconds)
}

pub const HOUR: i64 = 3_600;
pub const DAY: i64 = 86_400;
pub const GRACE: Duration = Duration::from_secs(30);

/// A store and its folder.
pub struct World {
    pub store: Store,
    pub folder: Option<TempDir>,
}

pub fn realm() -> RealmName {
    RealmName::try_from("staff").unwrap()
}

pub fn elsewhere() -> RealmName {
    RealmName::try_from("guests").unwrap()
}

pub fn client(name: &str) -> ClientId {
    ClientId::try_from(name).unwrap()
}

pub fn key(name: &str) -> AccountKey {
    AccountKey::try_from(name).unwrap()
}

pub fn scopes(words: &str) -> Vec<Scope> {
    words
        .split_whitespace()
        .map(|word| Scope::try_from(word).unwrap())
        .collect()
}

pub fn operator(seconds: i64) -> By {
    By::new(Actor::Operator(Box::from("root")), at(seconds))
}

pub fn opaque(text: &str) -> AccessKey {
    AccessKey::Opaque(Digest::of(text))
}

pub const POLICY: LockPolicy = LockPolicy {
    attempts: NonZeroU32::new(3).unwrap(),
    window: Duration::from_secs(600),
    duration: Duration::from_secs(60),
};

/// A user who may sign in.
pub fn a_user(name: &str) -> User {
    User {
        realm: realm(),
        id: UserId::random(),
        name: AccountName::try_from(name).unwrap(),
        key: key(&name.to_lowercase()),
        state: UserState::Active,
        password: Some(Secret::new(b"$argon2id$hash".to_vec())),
        access: UserAccess {
            customer: Some(CustomerId::try_from("acme").unwrap()),
            roles: vec![Role::try_from("customer_admin").unwrap()],
            tenants: Vec::new(),
            default_tenant: None,
            reach: Reach::Granted,
        },
        created_at: T0,
        changed_at: T0,
    }
}

pub fn an_application(client_id: &str) -> Application {
    Application {
        realm: realm(),
        client_id: client(client_id),
        name: format!("the {client_id}"),
        secret: Some(Digest::of("client secret")),
        redirect_uris: vec!["https://app.example.com/callback".to_owned()],
        owner: None,
        customer: None,
        tenant: None,
        scopes: scopes("all read"),
        grants: vec![GrantType::AuthorizationCode, GrantType::RefreshToken],
        state: ApplicationState::Active,
        created_at: T0,
        created_by: Actor::System,
    }
}

/// A session that holds for an hour, and for ten minutes without use.
pub fn a_session(id: &str, user: UserId) -> NewSession {
    NewSession {
        session: Session {
            digest: Digest::of(id),
            realm: realm(),
            user,
            client_id: None,
            csrf: Digest::of("csrf"),
            created_at: T0,
            last_seen: T0,
            expires_at: at(HOUR),
            idle: Duration::from_secs(600),
        },
        replaces: None,
        at_most: None,
    }
}

/// A code for `user` at the client `app`, good for 300 seconds.
pub fn a_code(code: &str, user: UserId) -> AuthorizationCode {
    AuthorizationCode {
        digest: Digest::of(code),
        realm: realm(),
        client_id: client("app"),
        user,
        customer: Some(CustomerId::try_from("acme").unwrap()),
        tenant: None,
        scopes: scopes("all read"),
        roles: vec![Role::try_from("customer_admin").unwrap()],
        redirect_uri: None,
        challenge: None,
        issued_at: T0,
        expires_at: at(300),
    }
}

pub fn present(code: &str) -> PresentedCode {
    PresentedCode {
        realm: realm(),
        digest: Digest::of(code),
        client_id: client("app"),
        redirect_uri: None,
        redirect_rule: RedirectRule::Repeated,
        verifier: None,
    }
}

/// An access token for two hours and a refresh token for a day, after `now`.
pub fn tokens(access: &str, refresh: Option<&str>, now: i64) -> NewTokens {
    NewTokens {
        access: NewAccess {
            key: opaque(access),
            expires_at: at(now + 2 * HOUR),
            scopes: None,
        },
        refresh: refresh.map(|refresh| NewRefresh {
            digest: Digest::of(refresh),
            expires_at: at(now + DAY),
        }),
    }
}

pub fn first(access: &str, refresh: &str, now: i64) -> FirstTokens {
    FirstTokens {
        family: FamilyId::random(),
        ends_at: None,
        tokens: tokens(access, Some(refresh), now),
    }
}

pub fn next(access: &str, refresh: &str, now: i64) -> NextTokens {
    let tokens = tokens(access, Some(refresh), now);
    NextTokens {
        access: tokens.access,
        refresh: tokens.refresh.unwrap(),
    }
}

pub fn refreshing(token: &str) -> PresentedRefresh {
    PresentedRefresh {
        realm: realm(),
        digest: Digest::of(token),
        client_id: client("app"),
        grace: GRACE,
    }
}

pub fn a_family(client_id: &str, user: Option<UserId>) -> NewFamily {
    NewFamily {
        id: FamilyId::random(),
        realm: realm(),
        client_id: client(client_id),
        user,
        customer: None,
        tenant: None,
        scopes: scopes("all read"),
        roles: Vec::new(),
        origin: Origin::Offline,
        ends_at: None,
    }
}

impl World {
    pub fn in_memory() -> World {
        World {
            store: Store::memory(),
            folder: None,
        }
    }

    pub async fn in_file() -> World {
        let folder = TempDir::new().unwrap();
        let path: PathBuf = folder.path().join("store.db");
        World {
            store: Store::open(&StorePlan::Sqlite { path }).await.unwrap(),
            folder: Some(folder),
        }
    }

    /// Creates a user who may sign in.
    pub async fn user(&self, name: &str) -> User {
        let user = a_user(name);
        let created = self.store.create_user(user.clone(), operator(0)).await.unwrap();
        assert_eq!(created, Creation::Created);
        user
    }

    /// Issues tokens called `<name>.access` and `<name>.refresh` to `app` for `user`, at the beginning.
    pub async fn grant(&self, name: &str, user: Option<UserId>) -> Issued {
        self.grant_to("app", name, user, 0).await
    }

    pub async fn grant_to(&self, client_id: &str, name: &str, user: Option<UserId>, seconds: i64) -> Issued {
        let tokens = tokens(
            &format!("{name}.access"),
            Some(&format!("{name}.refresh")),
            seconds,
        );
        self.store
            .issue(a_family(client_id, user), tokens, operator(seconds))
            .await
            .unwrap()
    }

    pub async fn access(&self, token: &str, seconds: i64) -> Access {
        self.store
            .access(realm(), opaque(token), at(seconds))
            .await
            .unwrap()
    }

    pub async fn works(&self, token: &str, seconds: i64) -> bool {
        matches!(self.access(token, seconds).await, Access::Live(_))
    }

    /// Stores and redeems a code: tokens `<code>.access` and `<code>.refresh`.
    pub async fn redeem(&self, code: &str, user: UserId) -> Issued {
        self.store.store_code(a_code(code, user)).await.unwrap();
        let first = first(&format!("{code}.access"), &format!("{code}.refresh"), 10);
        match self
            .store
            .redeem_code(present(code), first, at(10))
            .await
            .unwrap()
        {
            Redemption::Redeemed(issued) => issued,
            other => panic!("{other:?}"),
        }
    }

    /// The cursor of now.
    pub async fn cursor(&self) -> u64 {
        match self.store.changes_since(None, PageSize::MAX).await.unwrap() {
            Changes::Since { cursor, .. } | Changes::Reload { cursor } => cursor,
        }
    }

    /// What was changed since `cursor`.
    pub async fn changes(&self, cursor: u64) -> Vec<Change> {
        match self
            .store
            .changes_since(Some(cursor), PageSize::MAX)
            .await
            .unwrap()
        {
            Changes::Since { changes, .. } => changes,
            Changes::Reload { .. } => panic!("the cursor is too old"),
        }
    }

    /// The actions of the audit log, newest first.
    pub async fn actions(&self) -> Vec<String> {
        use tollgate::store::backend::{AuditFilter, Paging};
        let page = self
            .store
            .audit_entries(AuditFilter::default(), Paging::first(PageSize::MAX))
            .await
            .unwrap();
        page.items
            .into_iter()
            .map(|entry| entry.note.action.into_string())
            .collect()
    }
}
