//! The store in memory, for tests and for gateways that keep nothing. It is gone when the program ends.
//!
//! Its size is what was stored and not yet swept: about 0.5 KiB for a family with its tokens. One lock guards it; the
//! operations are short, and none of them is on the way of a warm request.

mod accounts;
mod log;
mod nodes;
mod sessions;
mod tokens;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use super::backend::{
    ApplicationFilter, AuditFilter, Backend, Existing, FamilyFilter, Holder, PageSize, Paging, Pending,
    PresentedCode, PresentedRefresh, StandingOf, SweepPlan, TenantFilter, UserFilter,
};
use super::error::{Outage, StoreError};
use super::feed::Feed;
use super::model::{
    AccessKey, Application, ApplicationEdit, Attempts, AuditEntry, AuditNote, AuthorizationCode, By, Change,
    CustomerRecord, Enrolment, Family, FirstTokens, Joining, LockPolicy, NewFamily, NewNode, NewSession,
    NewTokens, NextTokens, Node, RefreshFacts, RemoteSession, Session, User, UserAccess, UserState,
};
use super::outcome::{
    Access, ApplicationPage, Attempt, AuditPage, Changes, Creation, CustomerPage, Edit, EnrolmentPage,
    Failure, FamilyPage, FamilyPlace, Issued, Joined, NodePage, Page, PasswordSet, Redemption, Rehash,
    Revocation, Rotation, Standing, StateChange, Swept, UserPage, Written,
};
use super::rules::HeldRefresh;
use crate::base::clock::UnixTime;
use crate::base::digest::Digest;
use crate::base::secret::Secret;
use crate::identity::{
    AccountKey, ClientId, CustomerId, EnrolmentId, FamilyId, NodeUuid, RealmName, Scope, UserId,
};

/// The store in memory.
#[derive(Debug)]
pub struct Memory {
    state: Mutex<State>,
    feed: Feed,
}

#[derive(Debug, Default)]
struct State {
    users: HashMap<(RealmName, UserId), User>,
    keys: BTreeMap<(RealmName, AccountKey), UserId>,
    applications: BTreeMap<(RealmName, ClientId), Application>,
    customers: BTreeMap<CustomerId, CustomerRecord>,
    enrolments: BTreeMap<(RealmName, EnrolmentId), Enrolment>,
    nodes: BTreeMap<(RealmName, NodeUuid), Node>,
    attempts: HashMap<(RealmName, AccountKey), Attempts>,
    sessions: HashMap<Digest, Session>,
    remotes: HashMap<Digest, RemoteSession>,
    codes: HashMap<Digest, HeldCode>,
    families: HashMap<FamilyId, HeldFamily>,
    /// The same families in the order of the token list.
    places: BTreeSet<FamilyPlace>,
    access: HashMap<AccessKey, HeldAccess>,
    refresh: HashMap<Digest, HeldRefresh>,
    denied: HashMap<(RealmName, AccessKey), UnixTime>,
    audit: VecDeque<AuditEntry>,
    audited: u64,
    changes: VecDeque<Change>,
    changed: u64,
    /// What the operation under way has changed, told when it is done.
    untold: Vec<Change>,
    closed: bool,
}

#[derive(Debug)]
struct HeldCode {
    code: AuthorizationCode,
    used: Option<FamilyId>,
}

#[derive(Debug)]
struct HeldFamily {
    family: Family,
    access: Vec<AccessKey>,
    refresh: Vec<Digest>,
    code: Option<Digest>,
    /// The refresh token that may be used, and the access token that was issued with it.
    current: Option<(Digest, AccessKey)>,
}

#[derive(Debug)]
struct HeldAccess {
    family: FamilyId,
    issued_at: UnixTime,
    expires_at: UnixTime,
    scopes: Option<Vec<Scope>>,
    revoked: bool,
}

impl Memory {
    pub(super) fn new(feed: Feed) -> Memory {
        Memory {
            state: Mutex::default(),
            feed,
        }
    }

    /// Runs an operation at once, so that it happens even if its future is dropped. Told under the lock: listeners hear of
    /// changes in the order in which they happened.
    fn run<T: Send + 'static>(&self, operation: impl FnOnce(&mut State) -> T) -> Pending<'static, T> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = if state.closed {
            Err(StoreError::unavailable(Outage::Closed, "closed"))
        } else {
            let outcome = operation(&mut state);
            let untold = std::mem::take(&mut state.untold);
            self.feed.publish(&untold);
            state.remember(untold);
            Ok(outcome)
        };
        Box::pin(std::future::ready(outcome))
    }
}

/// The part of a list that begins after what `rest` has skipped already.
fn page<T, Place>(
    mut rest: impl Iterator<Item = T>,
    size: PageSize,
    place: impl Fn(&T) -> Place,
) -> Page<T, Place> {
    let items: Vec<T> = rest.by_ref().take(size.get()).collect();
    let next = rest.next().and_then(|_| items.last().map(place));
    Page { items, next }
}

impl Backend for Memory {
    fn create_user(&self, user: User, by: By) -> Pending<'_, Creation> {
        self.run(|state| state.create_user(user, by))
    }

    fn user(&self, realm: RealmName, id: UserId) -> Pending<'_, Option<User>> {
        self.run(|state| state.users.get(&(realm, id)).cloned())
    }

    fn user_by_key(&self, realm: RealmName, key: AccountKey) -> Pending<'_, Option<User>> {
        self.run(|state| {
            let id = state.keys.get(&(realm.clone(), key))?;
            state.users.get(&(realm, *id)).cloned()
        })
    }

    fn users(&self, filter: UserFilter, paging: Paging<AccountKey>) -> Pending<'_, UserPage> {
        self.run(|state| state.users(&filter, paging))
    }

    fn set_password(
        &self,
        realm: RealmName,
        id: UserId,
        hash: Secret,
        existing: Existing,
        by: By,
    ) -> Pending<'_, PasswordSet> {
        self.run(|state| state.set_password(realm, id, hash, existing, by))
    }

    fn rehash_password(&self, realm: RealmName, id: UserId, old: Secret, new: Secret) -> Pending<'_, Rehash> {
        self.run(|state| state.rehash_password(realm, id, &old, new))
    }

    fn change_user_state(
        &self,
        realm: RealmName,
        id: UserId,
        to: UserState,
        by: By,
    ) -> Pending<'_, StateChange> {
        self.run(|state| state.change_user_state(realm, id, to, by))
    }

    fn change_user_access(
        &self,
        realm: RealmName,
        id: UserId,
        access: UserAccess,
        by: By,
    ) -> Pending<'_, Edit> {
        self.run(|state| state.change_user_access(realm, id, access, by))
    }

    fn delete_user(&self, realm: RealmName, id: UserId, by: By) -> Pending<'_, Edit> {
        self.run(|state| state.delete_user(realm, id, by))
    }

    fn create_application(&self, application: Application, by: By) -> Pending<'_, Creation> {
        self.run(|state| state.create_application(application, by))
    }

    fn application(&self, realm: RealmName, client_id: ClientId) -> Pending<'_, Option<Application>> {
        self.run(|state| state.applications.get(&(realm, client_id)).cloned())
    }

    fn applications(
        &self,
        filter: ApplicationFilter,
        paging: Paging<ClientId>,
    ) -> Pending<'_, ApplicationPage> {
        self.run(|state| state.applications(&filter, paging))
    }

    fn change_application(
        &self,
        realm: RealmName,
        client_id: ClientId,
        edit: ApplicationEdit,
        by: By,
    ) -> Pending<'_, Edit> {
        self.run(|state| state.change_application(realm, client_id, edit, by))
    }

    fn rotate_secret(
        &self,
        realm: RealmName,
        client_id: ClientId,
        secret: Digest,
        by: By,
    ) -> Pending<'_, Edit> {
        self.run(|state| state.rotate_secret(realm, client_id, secret, by))
    }

    fn delete_application(&self, realm: RealmName, client_id: ClientId, by: By) -> Pending<'_, Edit> {
        self.run(|state| state.delete_application(realm, client_id, by))
    }

    fn put_customer(&self, customer: CustomerRecord, by: By) -> Pending<'_, Written> {
        self.run(|state| state.put_customer(customer, by))
    }

    fn customer(&self, id: CustomerId) -> Pending<'_, Option<CustomerRecord>> {
        self.run(|state| state.customers.get(&id).cloned())
    }

    fn customers(&self, paging: Paging<CustomerId>) -> Pending<'_, CustomerPage> {
        self.run(|state| state.customers(paging))
    }

    fn delete_customer(&self, id: CustomerId, by: By) -> Pending<'_, Edit> {
        self.run(|state| state.delete_customer(id, by))
    }

    fn begin_attempt(
        &self,
        realm: RealmName,
        key: AccountKey,
        policy: LockPolicy,
        now: UnixTime,
    ) -> Pending<'_, Attempt> {
        self.run(|state| state.begin_attempt(realm, key, policy, now))
    }

    fn fail_attempt(
        &self,
        realm: RealmName,
        key: AccountKey,
        policy: LockPolicy,
        now: UnixTime,
    ) -> Pending<'_, Failure> {
        self.run(|state| state.fail_attempt(realm, key, policy, now))
    }

    fn withdraw_attempt(&self, realm: RealmName, key: AccountKey) -> Pending<'_, ()> {
        self.run(|state| state.withdraw_attempt(realm, key))
    }

    fn clear_attempts(&self, realm: RealmName, key: AccountKey, by: By) -> Pending<'_, ()> {
        self.run(|state| state.clear_attempts(realm, key, by))
    }

    fn locked_until(
        &self,
        realm: RealmName,
        key: AccountKey,
        now: UnixTime,
    ) -> Pending<'_, Option<UnixTime>> {
        self.run(|state| state.locked_until(realm, key, now))
    }

    fn open_session(&self, new: NewSession, by: By) -> Pending<'_, u32> {
        self.run(|state| state.open_session(new, by))
    }

    fn session(&self, realm: RealmName, digest: Digest, now: UnixTime) -> Pending<'_, Option<Session>> {
        self.run(|state| {
            let session = state.sessions.get(&digest)?;
            (session.realm == realm && session.is_live(now)).then(|| session.clone())
        })
    }

    fn touch(&self, mark: Digest, now: UnixTime) -> Pending<'_, ()> {
        self.run(|state| match state.sessions.get_mut(&mark) {
            Some(session) => session.last_seen = session.last_seen.max(now),
            None => match state.remotes.get_mut(&mark) {
                Some(session) => session.last_seen = session.last_seen.max(now),
                None => state.touch_node(&mark, now),
            },
        })
    }

    fn change_csrf(
        &self,
        realm: RealmName,
        digest: Digest,
        csrf: Digest,
        now: UnixTime,
    ) -> Pending<'_, Edit> {
        self.run(|state| state.change_csrf(&realm, digest, csrf, now))
    }

    fn end_session(&self, realm: RealmName, digest: Digest, by: By) -> Pending<'_, Edit> {
        self.run(|state| state.end_session(&realm, digest, by))
    }

    fn end_sessions_of(&self, realm: RealmName, user: UserId, by: By) -> Pending<'_, u32> {
        self.run(|state| state.end_sessions_of(&realm, user, by))
    }

    fn store_code(&self, code: AuthorizationCode) -> Pending<'_, ()> {
        self.run(|state| {
            state.codes.insert(code.digest, HeldCode { code, used: None });
        })
    }

    fn redeem_code(&self, code: PresentedCode, first: FirstTokens, now: UnixTime) -> Pending<'_, Redemption> {
        self.run(|state| state.redeem_code(&code, first, now))
    }

    fn issue(&self, family: NewFamily, tokens: NewTokens, by: By) -> Pending<'_, Issued> {
        self.run(|state| state.issue(family, tokens, None, by))
    }

    fn rotate_refresh(
        &self,
        refresh: PresentedRefresh,
        next: NextTokens,
        now: UnixTime,
    ) -> Pending<'_, Rotation> {
        self.run(|state| state.rotate_refresh(&refresh, next, now))
    }

    fn access(&self, realm: RealmName, key: AccessKey, now: UnixTime) -> Pending<'_, Access> {
        self.run(|state| state.access(realm, key, now))
    }

    fn refresh_facts(&self, realm: RealmName, digest: Digest) -> Pending<'_, Option<RefreshFacts>> {
        self.run(|state| state.refresh_facts(&realm, digest))
    }

    fn family(&self, realm: RealmName, id: FamilyId) -> Pending<'_, Option<Family>> {
        self.run(|state| {
            let held = state.families.get(&id)?;
            (held.family.realm == realm).then(|| held.family.clone())
        })
    }

    fn families(&self, filter: FamilyFilter, paging: Paging<FamilyPlace>) -> Pending<'_, FamilyPage> {
        self.run(|state| state.families(&filter, paging))
    }

    fn revoke_access(
        &self,
        realm: RealmName,
        key: AccessKey,
        until: UnixTime,
        by: By,
    ) -> Pending<'_, Revocation> {
        self.run(|state| state.revoke_access(realm, key, until, by))
    }

    fn revoke_refresh(
        &self,
        realm: RealmName,
        digest: Digest,
        client_id: ClientId,
        by: By,
    ) -> Pending<'_, Revocation> {
        self.run(|state| state.revoke_refresh(&realm, digest, &client_id, by))
    }

    fn revoke_family(&self, realm: RealmName, id: FamilyId, by: By) -> Pending<'_, Revocation> {
        self.run(|state| state.revoke_family(&realm, id, by))
    }

    fn revoke_families_of(&self, realm: RealmName, holder: Holder, by: By) -> Pending<'_, u32> {
        self.run(|state| state.revoke_families_of(&realm, &holder, by))
    }

    fn standing(&self, realm: RealmName, of: StandingOf, now: UnixTime) -> Pending<'_, Standing> {
        self.run(|state| state.standing(&realm, of, now))
    }

    fn audit(&self, note: AuditNote, by: By) -> Pending<'_, ()> {
        self.run(|state| state.note(note, by))
    }

    fn audit_entries(&self, filter: AuditFilter, paging: Paging<u64>) -> Pending<'_, AuditPage> {
        self.run(|state| state.audit_entries(&filter, paging))
    }

    fn changes_since(&self, cursor: Option<u64>, size: PageSize) -> Pending<'_, Changes> {
        self.run(|state| state.changes_since(cursor, size))
    }

    fn open_remote(&self, session: RemoteSession, by: By) -> Pending<'_, Creation> {
        self.run(|state| {
            if state.remotes.contains_key(&session.digest) {
                return Creation::Exists;
            }
            state.note(super::notes::remote_opened(&session), by);
            state.remotes.insert(session.digest, session);
            Creation::Created
        })
    }

    fn remote(&self, digest: Digest, now: UnixTime) -> Pending<'_, Option<RemoteSession>> {
        self.run(|state| {
            state
                .remotes
                .get(&digest)
                .filter(|session| session.is_live(now))
                .cloned()
        })
    }

    fn reseal_remote(&self, digest: Digest, sealed: Vec<u8>) -> Pending<'_, Edit> {
        self.run(|state| {
            let Some(session) = state.remotes.get_mut(&digest) else {
                return Edit::Unknown;
            };
            session.sealed = sealed;
            state.untold.push(Change::SessionChanged(digest));
            Edit::Done
        })
    }

    fn end_remote(&self, digest: Digest, by: By) -> Pending<'_, Edit> {
        self.run(|state| {
            let Some(session) = state.remotes.remove(&digest) else {
                return Edit::Unknown;
            };
            state.note(super::notes::remote_ended(&session), by);
            state.untold.push(Change::SessionEnded(digest));
            Edit::Done
        })
    }

    fn create_enrolment(&self, enrolment: Enrolment, by: By) -> Pending<'_, Creation> {
        self.run(|state| state.create_enrolment(enrolment, by))
    }

    fn enrolment(&self, realm: RealmName, id: EnrolmentId) -> Pending<'_, Option<Enrolment>> {
        self.run(|state| state.enrolments.get(&(realm, id)).cloned())
    }

    fn enrolments(&self, filter: TenantFilter, paging: Paging<EnrolmentId>) -> Pending<'_, EnrolmentPage> {
        self.run(|state| state.enrolments(&filter, paging))
    }

    fn delete_enrolment(&self, realm: RealmName, id: EnrolmentId, by: By) -> Pending<'_, Edit> {
        self.run(|state| state.delete_enrolment(realm, id, by))
    }

    fn join(&self, joining: Joining, now: UnixTime) -> Pending<'_, Joined> {
        self.run(|state| state.join(&joining, now))
    }

    fn let_in(&self, new: NewNode, by: By) -> Pending<'_, Joined> {
        self.run(|state| state.let_in(new, by))
    }

    fn node(&self, realm: RealmName, uuid: NodeUuid) -> Pending<'_, Option<Node>> {
        self.run(|state| state.nodes.get(&(realm, uuid)).cloned())
    }

    fn nodes(&self, filter: TenantFilter, paging: Paging<NodeUuid>) -> Pending<'_, NodePage> {
        self.run(|state| state.nodes(&filter, paging))
    }

    fn remove_node(&self, of: TenantFilter, uuid: NodeUuid, by: By) -> Pending<'_, Edit> {
        self.run(|state| state.remove_node(of, uuid, by))
    }

    fn sweep(&self, plan: SweepPlan, now: UnixTime) -> Pending<'_, Swept> {
        self.run(|state| state.sweep(plan, now))
    }

    fn check(&self) -> Pending<'_, ()> {
        self.run(|_| ())
    }

    fn backup(&self, _: PathBuf) -> Pending<'_, ()> {
        Box::pin(std::future::ready(Err(StoreError::NotSupported("backup"))))
    }

    fn close(&self) -> Pending<'_, ()> {
        self.run(|state| state.closed = true)
    }
}
