//! Callers of our own accounts: what follows from an account, an application and a token of theirs, and what tells when that
//! is not so any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use super::known::Known;
use crate::accounts::standing::{Cells, Marks, State};
use crate::accounts::{Account, Realm};
use crate::base::clock::UnixTime;
use crate::base::digest::Digest;
use crate::identity::scopes::ScopeMethods;
use crate::identity::{
    ClientId, CredentialKind, CustomerId, FamilyId, Identity, IssuerName, RealmName, Role, Scope, SubjectId,
    TenantId,
};
use crate::store::Store;
use crate::store::model::{AccessKey, Node, Session};

/// What a credential of our own accounts stands for.
#[derive(Debug)]
pub struct Own {
    realm: RealmName,
    account: Option<Arc<Account>>,
    client_id: Option<ClientId>,
    by: By,
    marks: Marks,
}

/// By what the caller was recognised, with what belongs to it alone.
#[derive(Debug)]
enum By {
    /// Name and password.
    Password,
    Session(SessionUse),
    Token(TokenUse),
}

/// A token and what it is limited to.
#[derive(Debug)]
pub(super) struct TokenUse {
    pub(super) family: FamilyId,
    pub(super) access: AccessKey,
    /// The one tenant that it may act on.
    pub(super) bound: Option<TenantId>,
    /// What its scopes are worth.
    pub(super) methods: Arc<ScopeMethods>,
    /// Where a node got it for itself.
    pub(super) node: Option<NodeUse>,
}

/// When a node was last noted to have called.
#[derive(Debug)]
pub(super) struct NodeUse {
    mark: Digest,
    noted: AtomicI64,
}

impl NodeUse {
    /// Nothing is noted yet.
    pub(super) fn new(mark: Digest) -> NodeUse {
        NodeUse {
            mark,
            noted: AtomicI64::new(i64::MIN),
        }
    }

    fn note(&self, store: &Store, now: UnixTime) {
        let noted = self.noted.load(Ordering::Relaxed);
        let every = i64::try_from(Node::TOUCH_EVERY.as_secs()).unwrap_or(i64::MAX);
        if now.0.saturating_sub(noted) < every {
            return;
        }
        // Of several requests at once, one notes it. It is noted when it is called, not when it is waited for.
        let mine = (self.noted).compare_exchange(noted, now.0, Ordering::Relaxed, Ordering::Relaxed);
        if mine.is_ok() {
            drop(store.touch(self.mark, now));
        }
    }
}

/// What makes an [`Identity`] of an account, an application, or both.
pub(super) struct Facts {
    pub(super) kind: CredentialKind,
    pub(super) customer: Option<CustomerId>,
    pub(super) tenant: Option<TenantId>,
    pub(super) scopes: Vec<Scope>,
    pub(super) roles: Vec<Role>,
    pub(super) expires: UnixTime,
}

impl Own {
    /// The realm.
    pub fn realm(&self) -> &RealmName {
        &self.realm
    }

    /// The user; `None` where an application acts for itself.
    pub fn account(&self) -> Option<&Arc<Account>> {
        self.account.as_ref()
    }

    /// The application, where there is one.
    pub fn client_id(&self) -> Option<&ClientId> {
        self.client_id.as_ref()
    }

    /// The session that the caller came by.
    pub fn session(&self) -> Option<Digest> {
        match &self.by {
            By::Session(session) => Some(session.digest),
            By::Password | By::Token(_) => None,
        }
    }

    /// The digest of the CSRF value that belongs to the session.
    pub fn csrf(&self) -> Option<&Digest> {
        match &self.by {
            By::Session(session) => Some(&session.csrf),
            By::Password | By::Token(_) => None,
        }
    }

    /// The family of the token that the caller came by.
    pub fn family(&self) -> Option<FamilyId> {
        self.token().map(|token| token.family)
    }

    /// The token that the caller came by.
    pub fn access(&self) -> Option<&AccessKey> {
        self.token().map(|token| &token.access)
    }

    /// The one tenant that the token may act on.
    pub fn bound(&self) -> Option<&TenantId> {
        self.token()?.bound.as_ref()
    }

    /// What the token's scopes are worth. `None` for a caller that came by no token: it is the account itself, which is
    /// limited by its roles and not by what it has handed to somebody.
    pub fn methods(&self) -> Option<&Arc<ScopeMethods>> {
        self.token().map(|token| &token.methods)
    }

    /// Is the caller a node?
    pub fn is_node(&self) -> bool {
        self.token().is_some_and(|token| token.node.is_some())
    }

    /// Notes that a node has called. For anybody else nothing is noted.
    pub(super) fn note_node(&self, store: &Store, now: UnixTime) {
        if let Some(node) = self.token().and_then(|token| token.node.as_ref()) {
            node.note(store, now);
        }
    }

    fn token(&self) -> Option<&TokenUse> {
        match &self.by {
            By::Token(token) => Some(token),
            By::Password | By::Session(_) => None,
        }
    }

    /// What is true of the account, the application, the token and the session at `now`.
    pub(super) fn state(&self, cells: &Cells, now: UnixTime) -> State {
        self.marks.state(cells, now)
    }

    /// The session, to look at its end and to note its use.
    pub(super) fn session_use(&self) -> Option<&SessionUse> {
        match &self.by {
            By::Session(session) => Some(session),
            By::Password | By::Token(_) => None,
        }
    }

    fn known(
        realm: &Realm,
        account: Option<Arc<Account>>,
        client_id: Option<ClientId>,
        by: By,
        facts: Facts,
        marks: Marks,
    ) -> Option<Known> {
        let identity = identity(realm.name(), account.as_deref(), client_id.as_ref(), facts)?;
        let own = Own {
            realm: realm.name().clone(),
            account,
            client_id,
            by,
            marks,
        };
        Some(Known::of_own(identity, own))
    }

    /// The caller of a token. `None` when an identifier is outside the grammar of subjects, which its own grammar excludes.
    pub(super) fn by_token(
        realm: &Realm,
        account: Option<Arc<Account>>,
        client_id: ClientId,
        token: TokenUse,
        facts: Facts,
        marks: Marks,
    ) -> Option<Known> {
        Own::known(realm, account, Some(client_id), By::Token(token), facts, marks)
    }

    /// The caller of a session.
    pub(super) fn by_session(
        realm: &Realm,
        account: Arc<Account>,
        session: &Session,
        marks: Marks,
    ) -> Option<Known> {
        let facts = Facts::of(&account, CredentialKind::Session, session.expires_at);
        let client_id = session.client_id.clone();
        let used = SessionUse::new(session);
        Own::known(realm, Some(account), client_id, By::Session(used), facts, marks)
    }

    /// The caller of a name and a password.
    pub(super) fn by_password(
        realm: &Realm,
        account: Arc<Account>,
        expires: UnixTime,
        marks: Marks,
    ) -> Option<Known> {
        let facts = Facts::of(&account, CredentialKind::Basic, expires);
        Own::known(realm, Some(account), None, By::Password, facts, marks)
    }
}

impl Facts {
    /// Those of the account itself.
    fn of(account: &Account, kind: CredentialKind, expires: UnixTime) -> Facts {
        Facts {
            kind,
            customer: account.customer.clone(),
            tenant: account.default_tenant.clone(),
            scopes: Vec::new(),
            roles: account.roles.clone(),
            expires,
        }
    }
}

/// Subject is the user's id, which never changes and is never given to somebody else; an application that acts for itself is
/// its own subject. The issuer is the realm, so that a limit `per: subject` counts a user once, whatever it came by.
fn identity(
    realm: &RealmName,
    account: Option<&Account>,
    client_id: Option<&ClientId>,
    facts: Facts,
) -> Option<Identity> {
    let client = client_id.and_then(|client| SubjectId::try_from(client.as_str()).ok());
    let subject = match account {
        Some(account) => SubjectId::try_from(account.id.to_string().as_str()).ok(),
        None => client.clone(),
    };
    let Facts {
        kind,
        customer,
        tenant,
        scopes,
        roles,
        expires,
    } = facts;
    Some(Identity {
        kind,
        issuer: IssuerName::try_from(realm.as_str()).ok()?,
        subject: subject?,
        client,
        customer,
        tenant,
        tenants: Vec::new(),
        region: None,
        scopes,
        roles,
        expires,
    })
}

/// A session in use: when it ends if nobody uses it, and what was written down of that.
#[derive(Debug)]
pub(super) struct SessionUse {
    digest: Digest,
    csrf: Digest,
    expires_at: UnixTime,
    /// Whole seconds.
    idle: i64,
    last_seen: AtomicI64,
    /// Use that the store knows of.
    written: AtomicI64,
    /// How much later use must be to be written down, in seconds.
    every: i64,
}

/// May the session be used?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    Good,
    Over(&'static str),
}

impl SessionUse {
    fn new(session: &Session) -> SessionUse {
        let seconds = |span: Duration| i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
        let idle = seconds(session.idle);
        SessionUse {
            digest: session.digest,
            csrf: session.csrf,
            expires_at: session.expires_at,
            idle,
            last_seen: AtomicI64::new(session.last_seen.0),
            written: AtomicI64::new(session.last_seen.0),
            // A session with a short time of rest would look unused otherwise, once it has fallen out of the cache.
            every: seconds(Session::TOUCH_EVERY).min(idle / 4).max(1),
        }
    }

    /// Looks at its end, and notes that it was used at `now`. The store is told once a minute at most.
    pub(super) fn note(&self, store: &Store, now: UnixTime) -> Use {
        if now >= self.expires_at {
            return Use::Over("it is too old");
        }
        let last_seen = self.last_seen.load(Ordering::Relaxed);
        if now.0 >= last_seen.saturating_add(self.idle) {
            return Use::Over("it was not used for too long");
        }
        if now.0 > last_seen {
            self.last_seen.fetch_max(now.0, Ordering::Relaxed);
            self.write_down(store, now);
        }
        Use::Good
    }

    fn write_down(&self, store: &Store, now: UnixTime) {
        let written = self.written.load(Ordering::Relaxed);
        if now.0.saturating_sub(written) < self.every {
            return;
        }
        // Of several requests at once, one writes.
        let mine = self
            .written
            .compare_exchange(written, now.0, Ordering::Relaxed, Ordering::Relaxed);
        if mine.is_ok() {
            // It is noted when it is called, not when it is waited for; that it is lost does no harm.
            drop(store.touch(self.digest, now));
        }
    }
}
