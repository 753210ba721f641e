//! The operations of a store. Each is atomic and durable when it answers, and none can be called half: there are no pairs of
//! reading and then writing, so that no caller can get one wrong.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use super::error::StoreError;
use super::model::{
    AccessKey, Application, ApplicationEdit, AuditNote, AuthorizationCode, By, CustomerRecord, Enrolment,
    Family, FirstTokens, Joining, LockPolicy, NewFamily, NewNode, NewSession, NewTokens, NextTokens, Node,
    RefreshFacts, RemoteSession, Session, User, UserAccess, UserState,
};
use super::outcome::{
    Access, ApplicationPage, Attempt, AuditPage, Changes, Creation, CustomerPage, Edit, EnrolmentPage,
    Failure, FamilyPage, FamilyPlace, Issued, Joined, NodePage, PasswordSet, Redemption, Rehash, Revocation,
    Rotation, Standing, StateChange, Swept, UserPage, Written,
};
use crate::base::clock::UnixTime;
use crate::base::digest::Digest;
use crate::base::secret::Secret;
use crate::identity::{
    AccountKey, ClientId, CustomerId, EnrolmentId, FamilyId, NodeUuid, RealmName, TenantId, UserId,
};

/// An operation under way. It is never on the way of a warm request, so a boxed future is no matter. An operation that was
/// started goes on when the future is dropped.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// A part of a list: where it begins, and how long it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paging<Place> {
    /// [`super::outcome::Page::next`] of the part before; `None` for the first.
    pub after: Option<Place>,
    /// The most records.
    pub size: PageSize,
}

impl<Place> Paging<Place> {
    /// The first part.
    pub fn first(size: PageSize) -> Paging<Place> {
        Paging { after: None, size }
    }

    /// The part after `place`.
    pub fn after(place: Place, size: PageSize) -> Paging<Place> {
        Paging {
            after: Some(place),
            size,
        }
    }
}

/// How many records a part of a list has at most: 1 to 1,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageSize(u16);

impl PageSize {
    /// The largest.
    pub const MAX: PageSize = PageSize(1_000);

    /// `size`, or the nearest that is allowed.
    pub fn new(size: usize) -> PageSize {
        PageSize(u16::try_from(size).unwrap_or(u16::MAX).clamp(1, PageSize::MAX.0))
    }

    /// As a number.
    pub fn get(self) -> usize {
        usize::from(self.0)
    }
}

/// Which users a list has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserFilter {
    /// Of this realm.
    pub realm: RealmName,
    /// Of this customer.
    pub customer: Option<CustomerId>,
    /// In this state.
    pub state: Option<UserState>,
}

/// Which enrolment tokens, or nodes, a list has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantFilter {
    /// Of this realm.
    pub realm: RealmName,
    /// Of this tenant; `None`: of none.
    pub tenant: Option<TenantId>,
}

/// Which applications a list has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplicationFilter {
    /// Of this realm.
    pub realm: RealmName,
    /// Of this user.
    pub owner: Option<UserId>,
}

/// Which families the token list has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FamilyFilter {
    /// Of this realm.
    pub realm: RealmName,
    /// Given by this user.
    pub user: Option<UserId>,
    /// Given to this client.
    pub client_id: Option<ClientId>,
    /// Live or all.
    pub which: Which,
}

/// Live families, or all that are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// Those with a token that could be good at this time.
    LiveAt(UnixTime),
    /// Revoked and ended ones too, until they are swept.
    All,
}

/// Which entries of the audit log a list has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Of this realm; `None`: all.
    pub realm: Option<RealmName>,
    /// About this subject.
    pub subject: Option<Box<str>>,
}

/// What becomes of a user's sessions and tokens when the password is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// They go on.
    Keep,
    /// They end.
    End,
}

/// A code as it is presented at the token endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresentedCode {
    /// The realm it is presented in.
    pub realm: RealmName,
    /// Digest of the code.
    pub digest: Digest,
    /// Who presents it; already authenticated, unless it is a public client.
    pub client_id: ClientId,
    /// `redirect_uri` of the token request. One that the authorization request did not have is not looked at here: the
    /// caller compares it with the registered ones.
    pub redirect_uri: Option<String>,
    /// Whether `redirect_uri` may be left out.
    pub redirect_rule: RedirectRule,
    /// Digest of `code_verifier` (RFC 7636 section 4.6), if there was one.
    pub verifier: Option<Digest>,
}

/// Must the token request repeat a `redirect_uri` of the authorization request?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RedirectRule {
    /// It must (RFC 6749 section 4.1.3).
    Repeated,
    /// It may leave it out; if it does not, it must be the same.
    IfGiven,
}

/// A refresh token as it is presented at the token endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresentedRefresh {
    /// The realm it is presented in.
    pub realm: RealmName,
    /// Digest of the token.
    pub digest: Digest,
    /// Who presents it.
    pub client_id: ClientId,
    /// How long after its first use the token may be used once more while its successor is unused; at most
    /// [`super::rules::LONGEST_GRACE`], zero for never.
    pub grace: Duration,
}

/// Whose families are revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// All that a user gave.
    User(UserId),
    /// All that were given to an application.
    Application(ClientId),
    /// What a user gave to one application; the application's other users are not touched.
    UserAtApplication(UserId, ClientId),
}

/// Whose standing is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StandingOf {
    /// This user.
    pub user: Option<UserId>,
    /// This application.
    pub client_id: Option<ClientId>,
    /// This family.
    pub family: Option<FamilyId>,
}

/// How much a sweep removes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SweepPlan {
    /// The most records that go at once: how long other writers wait for it.
    pub limit: u32,
    /// How long audit entries are kept.
    pub keep_audit: Duration,
}

impl Default for SweepPlan {
    fn default() -> SweepPlan {
        SweepPlan {
            limit: 5_000,
            keep_audit: Duration::from_secs(90 * 86_400),
        }
    }
}

/// A store. Whatever answers `Ok` has happened and survives a crash (in the memory store: survives nothing). Every operation
/// that changes something tells the listeners of the [`super::Feed`] before it answers, and writes its entry into the audit
/// log in the same transaction where this page says `by`.
pub trait Backend: Send + Sync + std::fmt::Debug + 'static {
    // ---- users

    /// Creates a user, unless the realm has one of that key or id.
    fn create_user(&self, user: User, by: By) -> Pending<'_, Creation>;

    /// The user of this id.
    fn user(&self, realm: RealmName, id: UserId) -> Pending<'_, Option<User>>;

    /// The user of this name in its normal form.
    fn user_by_key(&self, realm: RealmName, key: AccountKey) -> Pending<'_, Option<User>>;

    /// Users, by key.
    fn users(&self, filter: UserFilter, paging: Paging<AccountKey>) -> Pending<'_, UserPage>;

    /// Sets the password's hash. A pending user is activated by it; every other state stays as it is.
    fn set_password(
        &self,
        realm: RealmName,
        id: UserId,
        hash: Secret,
        existing: Existing,
        by: By,
    ) -> Pending<'_, PasswordSet>;

    /// Replaces a password's hash by one of the same password, if it still is `old`: a change of the password that came
    /// between is not undone by it. No entry in the audit log.
    fn rehash_password(&self, realm: RealmName, id: UserId, old: Secret, new: Secret) -> Pending<'_, Rehash>;

    /// Changes a user's state as [`super::rules::may_become`] allows. Any state but active ends the user's sessions, revokes
    /// the user's families and drops codes that were not redeemed; pending forgets the password too.
    fn change_user_state(
        &self,
        realm: RealmName,
        id: UserId,
        to: UserState,
        by: By,
    ) -> Pending<'_, StateChange>;

    /// Replaces what a user may do.
    fn change_user_access(
        &self,
        realm: RealmName,
        id: UserId,
        access: UserAccess,
        by: By,
    ) -> Pending<'_, Edit>;

    /// Deletes a user with sessions, codes and counted attempts; the families are revoked.
    fn delete_user(&self, realm: RealmName, id: UserId, by: By) -> Pending<'_, Edit>;

    // ---- applications

    /// Creates an application, unless the realm has one of that client id.
    fn create_application(&self, application: Application, by: By) -> Pending<'_, Creation>;

    /// The application of this client id.
    fn application(&self, realm: RealmName, client_id: ClientId) -> Pending<'_, Option<Application>>;

    /// Applications, by client id.
    fn applications(
        &self,
        filter: ApplicationFilter,
        paging: Paging<ClientId>,
    ) -> Pending<'_, ApplicationPage>;

    /// Replaces what may be changed of an application.
    fn change_application(
        &self,
        realm: RealmName,
        client_id: ClientId,
        edit: ApplicationEdit,
        by: By,
    ) -> Pending<'_, Edit>;

    /// Replaces an application's secret. The old one is no good from then on; tokens stay.
    fn rotate_secret(
        &self,
        realm: RealmName,
        client_id: ClientId,
        secret: Digest,
        by: By,
    ) -> Pending<'_, Edit>;

    /// Deletes an application, drops its codes and revokes all its families.
    fn delete_application(&self, realm: RealmName, client_id: ClientId, by: By) -> Pending<'_, Edit>;

    // ---- customers

    /// Creates or replaces a customer.
    fn put_customer(&self, customer: CustomerRecord, by: By) -> Pending<'_, Written>;

    /// The customer of this id.
    fn customer(&self, id: CustomerId) -> Pending<'_, Option<CustomerRecord>>;

    /// Customers, by id.
    fn customers(&self, paging: Paging<CustomerId>) -> Pending<'_, CustomerPage>;

    /// Deletes a customer. Users, applications and tokens that name it stay.
    fn delete_customer(&self, id: CustomerId, by: By) -> Pending<'_, Edit>;

    // ---- lockout

    /// Counts an attempt *before* its password is hashed, so that of any number at once no more than `policy.attempts` are
    /// computed. An attempt that is neither failed nor withdrawn nor cleared counts until `policy.duration` after the latest
    /// one was begun.
    fn begin_attempt(
        &self,
        realm: RealmName,
        key: AccountKey,
        policy: LockPolicy,
        now: UnixTime,
    ) -> Pending<'_, Attempt>;

    /// An attempt has failed. When the policy's last one has, the lock starts, with an entry in the audit log.
    fn fail_attempt(
        &self,
        realm: RealmName,
        key: AccountKey,
        policy: LockPolicy,
        now: UnixTime,
    ) -> Pending<'_, Failure>;

    /// An attempt came to no end (no place in the queue for hashing): it was not one.
    fn withdraw_attempt(&self, realm: RealmName, key: AccountKey) -> Pending<'_, ()>;

    /// An attempt was right, or an operator unlocks the account: everything counted is forgotten, a lock ends. An entry in
    /// the audit log only if there was a lock.
    fn clear_attempts(&self, realm: RealmName, key: AccountKey, by: By) -> Pending<'_, ()>;

    /// The end of the lock, if the account is locked at `now`.
    fn locked_until(&self, realm: RealmName, key: AccountKey, now: UnixTime)
    -> Pending<'_, Option<UnixTime>>;

    // ---- sessions

    /// Opens a session. The answer is how many others ended by it.
    fn open_session(&self, new: NewSession, by: By) -> Pending<'_, u32>;

    /// The session, if it holds at `now`.
    fn session(&self, realm: RealmName, digest: Digest, now: UnixTime) -> Pending<'_, Option<Session>>;

    /// A session, or a node ([`Node::mark`]), was used at `now`. Known at once in this process; written down at most every
    /// [`Session::TOUCH_EVERY`], for many at a time, so a crash may make sessions look that much longer unused.
    fn touch(&self, mark: Digest, now: UnixTime) -> Pending<'_, ()>;

    /// Gives a session another CSRF value.
    fn change_csrf(&self, realm: RealmName, digest: Digest, csrf: Digest, now: UnixTime)
    -> Pending<'_, Edit>;

    /// Ends a session.
    fn end_session(&self, realm: RealmName, digest: Digest, by: By) -> Pending<'_, Edit>;

    /// Opens a session of somebody who signed in elsewhere.
    fn open_remote(&self, session: RemoteSession, by: By) -> Pending<'_, Creation>;

    /// The session of somebody who signed in elsewhere, if it holds at `now`.
    fn remote(&self, digest: Digest, now: UnixTime) -> Pending<'_, Option<RemoteSession>>;

    /// Gives such a session other tokens.
    fn reseal_remote(&self, digest: Digest, sealed: Vec<u8>) -> Pending<'_, Edit>;

    /// Ends such a session.
    fn end_remote(&self, digest: Digest, by: By) -> Pending<'_, Edit>;

    /// Ends all sessions of a user. The answer is how many.
    fn end_sessions_of(&self, realm: RealmName, user: UserId, by: By) -> Pending<'_, u32>;

    // ---- codes and tokens

    /// Stores a code that is about to be given out.
    fn store_code(&self, code: AuthorizationCode) -> Pending<'_, ()>;

    /// Redeems a code: uses it up and stores the family and its first tokens, or none of it. A code that was used before
    /// revokes what came of it.
    fn redeem_code(&self, code: PresentedCode, first: FirstTokens, now: UnixTime) -> Pending<'_, Redemption>;

    /// Issues tokens without a code.
    fn issue(&self, family: NewFamily, tokens: NewTokens, by: By) -> Pending<'_, Issued>;

    /// Uses up a refresh token and stores the next tokens, or none of it. Any use of a token that was used or replaced before
    /// revokes the family, with one exception: the immediate predecessor of the current one, within `grace` of its first use
    /// and while the current one is unused. Then the current one and its access token are replaced, so that there is one
    /// live chain at any time.
    fn rotate_refresh(
        &self,
        refresh: PresentedRefresh,
        next: NextTokens,
        now: UnixTime,
    ) -> Pending<'_, Rotation>;

    /// What an access token stands for.
    fn access(&self, realm: RealmName, key: AccessKey, now: UnixTime) -> Pending<'_, Access>;

    /// What a refresh token stands for, for introspection.
    fn refresh_facts(&self, realm: RealmName, digest: Digest) -> Pending<'_, Option<RefreshFacts>>;

    /// A family.
    fn family(&self, realm: RealmName, id: FamilyId) -> Pending<'_, Option<Family>>;

    /// The token list: families, newest first.
    fn families(&self, filter: FamilyFilter, paging: Paging<FamilyPlace>) -> Pending<'_, FamilyPage>;

    /// Revokes one access token. One that the store does not know is remembered as revoked until `until` if it is a JSON Web
    /// Token; an opaque one is unknown anyway.
    fn revoke_access(
        &self,
        realm: RealmName,
        key: AccessKey,
        until: UnixTime,
        by: By,
    ) -> Pending<'_, Revocation>;

    /// Revokes the family of a refresh token (RFC 7009 section 2.1), if it was given to `client_id`.
    fn revoke_refresh(
        &self,
        realm: RealmName,
        digest: Digest,
        client_id: ClientId,
        by: By,
    ) -> Pending<'_, Revocation>;

    /// Revokes a family.
    fn revoke_family(&self, realm: RealmName, id: FamilyId, by: By) -> Pending<'_, Revocation>;

    /// Revokes all live families of a holder and drops its codes. The answer is how many families.
    fn revoke_families_of(&self, realm: RealmName, holder: Holder, by: By) -> Pending<'_, u32>;

    /// The states of user, application and family in one read, for a cache that has none yet.
    fn standing(&self, realm: RealmName, of: StandingOf, now: UnixTime) -> Pending<'_, Standing>;

    // ---- nodes

    /// Keeps a token by which a node may join, unless the realm has one of that text or id.
    fn create_enrolment(&self, enrolment: Enrolment, by: By) -> Pending<'_, Creation>;

    /// The enrolment token of this id.
    fn enrolment(&self, realm: RealmName, id: EnrolmentId) -> Pending<'_, Option<Enrolment>>;

    /// Enrolment tokens of one tenant, by id.
    fn enrolments(&self, filter: TenantFilter, paging: Paging<EnrolmentId>) -> Pending<'_, EnrolmentPage>;

    /// Deletes an enrolment token. A node that has joined by it stays.
    fn delete_enrolment(&self, realm: RealmName, id: EnrolmentId, by: By) -> Pending<'_, Edit>;

    /// Uses up an enrolment token and lets its node in, with the application that it is, or none of it. A node that was in
    /// before, in the same tenant, keeps its identifier; its old secret and tokens are no good any more.
    fn join(&self, joining: Joining, now: UnixTime) -> Pending<'_, Joined>;

    /// The same without a token. [`Joined::In`] or [`Joined::Taken`].
    fn let_in(&self, new: NewNode, by: By) -> Pending<'_, Joined>;

    /// The node of this identifier.
    fn node(&self, realm: RealmName, uuid: NodeUuid) -> Pending<'_, Option<Node>>;

    /// Nodes of one tenant, by their own identifier.
    fn nodes(&self, filter: TenantFilter, paging: Paging<NodeUuid>) -> Pending<'_, NodePage>;

    /// Removes a node of one tenant, with its application and all its tokens.
    fn remove_node(&self, of: TenantFilter, uuid: NodeUuid, by: By) -> Pending<'_, Edit>;

    // ---- log

    /// Writes an entry into the audit log.
    fn audit(&self, note: AuditNote, by: By) -> Pending<'_, ()>;

    /// Entries of the audit log, newest first.
    fn audit_entries(&self, filter: AuditFilter, paging: Paging<u64>) -> Pending<'_, AuditPage>;

    /// Changes after `cursor`, the oldest first; `None` asks for the cursor of now.
    fn changes_since(&self, cursor: Option<u64>, size: PageSize) -> Pending<'_, Changes>;

    // ---- upkeep

    /// Removes what has ended. Used codes and refresh tokens stay until their family ends, so that their reuse is seen.
    fn sweep(&self, plan: SweepPlan, now: UnixTime) -> Pending<'_, Swept>;

    /// Looks at every page of the store.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] with the first thing found.
    fn check(&self) -> Pending<'_, ()>;

    /// Writes a copy of the store as of now to `path`, which must not exist; operations go on meanwhile. The copy is complete
    /// when the answer is there, and a store of its own.
    fn backup(&self, path: PathBuf) -> Pending<'_, ()>;

    /// Writes down what is only in memory (session touches) and stops. Operations after it are refused.
    fn close(&self) -> Pending<'_, ()>;
}
