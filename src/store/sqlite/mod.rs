//! The store in one file of SQLite: one thread that writes, two that read, none of them a thread of a runtime.

mod applications;
mod attempts;
mod codes;
mod copy;
mod fault;
mod log;
mod migrate;
mod nodes;
mod open;
mod reader;
mod remotes;
mod sessions;
mod sweep;
mod tokens;
mod touches;
mod transaction;
mod users;
mod values;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::oneshot;

pub use open::Settings;

use self::open::Pages;
use self::reader::Question;
use self::touches::{Room, Touches};
use self::transaction::Tx;
use self::writer::{Order, Trouble, Work, Writer};
use super::backend::{
    ApplicationFilter, AuditFilter, Backend, Existing, FamilyFilter, Holder, PageSize, Paging, Pending,
    PresentedCode, PresentedRefresh, StandingOf, SweepPlan, TenantFilter, UserFilter,
};
use super::error::{Outage, StoreError};
use super::feed::Feed;
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
use crate::identity::{AccountKey, ClientId, CustomerId, EnrolmentId, FamilyId, NodeUuid, RealmName, UserId};

/// Copies the store in the file `from` to `to`, while somebody else may use it; nothing of it is changed, nor brought up to date.
///
/// # Errors
/// [`StoreError::Unavailable`], when there is no store at `from`, `to` exists, or cannot be written.
pub fn copy_file(from: &Path, to: &Path) -> Result<(), StoreError> {
    copy::backup(from, to, &Settings::default())
}

/// Reads the whole file and compares what must agree, while somebody else may use it.
///
/// # Errors
/// [`StoreError::Corrupt`] with the first thing that does not agree.
pub fn check_file(path: &Path, settings: &Settings) -> Result<(), StoreError> {
    let connection = open::for_reading(path, settings)?;
    open::sound(&connection, "PRAGMA integrity_check(1)")
}

/// Threads that read.
const READERS: [&str; 2] = ["store-reader-1", "store-reader-2"];

/// The store in a file.
#[derive(Debug)]
pub struct Sqlite {
    orders: SyncSender<Order>,
    questions: SyncSender<Question>,
    touches: Arc<Touches>,
    path: PathBuf,
    settings: Settings,
    closed: AtomicBool,
}

/// An answer that is waited for.
type Answer<T> = oneshot::Receiver<Result<T, StoreError>>;

impl Sqlite {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    /// [`StoreError`], which says why the file cannot be used.
    pub(super) async fn open(path: &Path, settings: Settings, feed: Feed) -> Result<Sqlite, StoreError> {
        // An absolute path is never taken for a URI, and stays the same when the process changes its folder.
        let path = std::path::absolute(path)
            .map_err(|error| StoreError::unavailable(Outage::Io, format!("{}: {error}", path.display())))?;
        let touches = Arc::new(Touches::default());
        let (orders, order_queue) = sync_channel(settings.queue);
        let (questions, question_queue) = sync_channel(settings.queue);
        let start = Start {
            path: path.clone(),
            settings,
            feed,
            touches: Arc::clone(&touches),
            orders: order_queue,
            questions: question_queue,
        };
        let (reply, answer) = oneshot::channel();
        in_thread("store-writer", move || match start.start() {
            Ok(writer) => {
                drop(reply.send(Ok(())));
                writer.work();
            }
            Err(error) => drop(reply.send(Err(error))),
        })?;
        answer.await.map_err(|_| closed())??;
        Ok(Sqlite {
            orders,
            questions,
            touches,
            path,
            settings,
            closed: AtomicBool::new(false),
        })
    }

    /// Has the writer do `work` in a transaction.
    fn write<T, F>(&self, work: F) -> Pending<'static, T>
    where
        T: Send + 'static,
        F: FnOnce(&Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let order = Order::Run(Box::new(Work::new(work, reply)));
        self.wait(
            self.send(&self.orders, order),
            answer,
            Some(self.settings.deadline),
        )
    }

    /// Has a reader do `work` on what is committed.
    fn read<T, F>(&self, work: F) -> Pending<'static, T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let question: Question = Box::new(move |connection| {
            drop(reply.send(in_one_moment(connection, work)));
        });
        self.wait(
            self.send(&self.questions, question),
            answer,
            Some(self.settings.deadline),
        )
    }

    /// Does `work` in a thread of its own: it takes as long as the file is large.
    fn aside<F>(&self, name: &'static str, work: F) -> Pending<'static, ()>
    where
        F: FnOnce() -> Result<(), StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let sent = self
            .still_open()
            .and_then(|()| in_thread(name, move || drop(reply.send(work()))));
        self.wait(sent, answer, None)
    }

    fn send<T>(&self, queue: &SyncSender<T>, item: T) -> Result<(), StoreError> {
        self.still_open()?;
        queue.try_send(item).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::unavailable(
                Outage::QueueFull,
                format!("{} operations wait", self.settings.queue),
            ),
            TrySendError::Disconnected(_) => closed(),
        })
    }

    fn still_open(&self) -> Result<(), StoreError> {
        if self.closed.load(Ordering::Acquire) {
            Err(closed())
        } else {
            Ok(())
        }
    }

    #[expect(clippy::unused_self, reason = "reads as what it is: this store's way to wait")]
    fn wait<T: Send + 'static>(
        &self,
        sent: Result<(), StoreError>,
        answer: Answer<T>,
        deadline: Option<Duration>,
    ) -> Pending<'static, T> {
        Box::pin(async move {
            sent?;
            let answer = match deadline {
                Some(deadline) => tokio::time::timeout(deadline, answer).await.map_err(|_| {
                    StoreError::unavailable(Outage::TimedOut, format!("no answer within {deadline:?}"))
                })?,
                None => answer.await,
            };
            answer.map_err(|_| closed())?
        })
    }
}

fn closed() -> StoreError {
    StoreError::unavailable(Outage::Closed, "closed")
}

fn in_thread(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), StoreError> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .map(drop)
        .map_err(|error| StoreError::unavailable(Outage::Io, format!("no thread: {error}")))
}

/// Everything that `work` reads is of one moment.
fn in_one_moment<T>(
    connection: &Connection,
    work: impl FnOnce(&Connection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let transaction = connection.unchecked_transaction()?;
    let outcome = work(&transaction);
    transaction.finish()?;
    outcome
}

/// What the writer's thread starts with.
struct Start {
    path: PathBuf,
    settings: Settings,
    feed: Feed,
    touches: Arc<Touches>,
    orders: Receiver<Order>,
    questions: Receiver<Question>,
}

impl Start {
    /// Opens the connections and starts the readers.
    fn start(self) -> Result<Writer, StoreError> {
        let pages = Pages::default();
        let connection = open::for_writing(&self.path, &self.settings, &pages)?;
        let questions = Arc::new(Mutex::new(self.questions));
        for name in READERS {
            let connection = open::for_reading(&self.path, &self.settings)?;
            let questions = Arc::clone(&questions);
            in_thread(name, move || reader::work(&connection, &questions))?;
        }
        let data_version = migrate::pragma(&connection, "data_version")?;
        let cursor = match log::changes_since(&connection, None, PageSize::new(1))? {
            Changes::Since { cursor, .. } | Changes::Reload { cursor } => cursor,
        };
        Ok(Writer {
            connection,
            queue: self.orders,
            feed: self.feed,
            touches: self.touches,
            cursor,
            data_version,
            pages,
            trouble: Trouble::default(),
        })
    }
}

impl Backend for Sqlite {
    fn create_user(&self, user: User, by: By) -> Pending<'_, Creation> {
        self.write(move |tx| users::create(tx, &user, &by))
    }

    fn user(&self, realm: RealmName, id: UserId) -> Pending<'_, Option<User>> {
        self.read(move |db| users::by_id(db, &realm, id))
    }

    fn user_by_key(&self, realm: RealmName, key: AccountKey) -> Pending<'_, Option<User>> {
        self.read(move |db| users::by_key(db, &realm, &key))
    }

    fn users(&self, filter: UserFilter, paging: Paging<AccountKey>) -> Pending<'_, UserPage> {
        self.read(move |db| users::list(db, &filter, &paging))
    }

    fn set_password(
        &self,
        realm: RealmName,
        id: UserId,
        hash: Secret,
        existing: Existing,
        by: By,
    ) -> Pending<'_, PasswordSet> {
        self.write(move |tx| users::set_password(tx, &realm, id, &hash, existing, &by))
    }

    fn rehash_password(&self, realm: RealmName, id: UserId, old: Secret, new: Secret) -> Pending<'_, Rehash> {
        self.write(move |tx| users::rehash(tx, &realm, id, &old, &new))
    }

    fn change_user_state(
        &self,
        realm: RealmName,
        id: UserId,
        to: UserState,
        by: By,
    ) -> Pending<'_, StateChange> {
        self.write(move |tx| users::change_state(tx, &realm, id, to, &by))
    }

    fn change_user_access(
        &self,
        realm: RealmName,
        id: UserId,
        access: UserAccess,
        by: By,
    ) -> Pending<'_, Edit> {
        self.write(move |tx| users::change_access(tx, &realm, id, &access, &by))
    }

    fn delete_user(&self, realm: RealmName, id: UserId, by: By) -> Pending<'_, Edit> {
        self.write(move |tx| users::delete(tx, &realm, id, &by))
    }

    fn create_application(&self, application: Application, by: By) -> Pending<'_, Creation> {
        self.write(move |tx| applications::create(tx, &application, &by))
    }

    fn application(&self, realm: RealmName, client_id: ClientId) -> Pending<'_, Option<Application>> {
        self.read(move |db| applications::by_id(db, &realm, &client_id))
    }

    fn applications(
        &self,
        filter: ApplicationFilter,
        paging: Paging<ClientId>,
    ) -> Pending<'_, ApplicationPage> {
        self.read(move |db| applications::list(db, &filter, &paging))
    }

    fn change_application(
        &self,
        realm: RealmName,
        client_id: ClientId,
        edit: ApplicationEdit,
        by: By,
    ) -> Pending<'_, Edit> {
        self.write(move |tx| applications::change(tx, &realm, &client_id, &edit, &by))
    }

    fn rotate_secret(
        &self,
        realm: RealmName,
        client_id: ClientId,
        secret: Digest,
        by: By,
    ) -> Pending<'_, Edit> {
        self.write(move |tx| applications::rotate_secret(tx, &realm, &client_id, secret, &by))
    }

    fn delete_application(&self, realm: RealmName, client_id: ClientId, by: By) -> Pending<'_, Edit> {
        self.write(move |tx| applications::delete(tx, &realm, &client_id, &by))
    }

    fn put_customer(&self, customer: CustomerRecord, by: By) -> Pending<'_, Written> {
        self.write(move |tx| applications::put_customer(tx, &customer, &by))
    }

    fn customer(&self, id: CustomerId) -> Pending<'_, Option<CustomerRecord>> {
        self.read(move |db| applications::customer(db, &id))
    }

    fn customers(&self, paging: Paging<CustomerId>) -> Pending<'_, CustomerPage> {
        self.read(move |db| applications::customers(db, &paging))
    }

    fn delete_customer(&self, id: CustomerId, by: By) -> Pending<'_, Edit> {
        self.write(move |tx| applications::delete_customer(tx, &id, &by))
    }

    fn begin_attempt(
        &self,
        realm: RealmName,
        key: AccountKey,
        policy: LockPolicy,
        now: UnixTime,
    ) -> Pending<'_, Attempt> {
        self.write(move |tx| attempts::begin(tx, &realm, &key, policy, now))
    }

    fn fail_attempt(
        &self,
        realm: RealmName,
        key: AccountKey,
        policy: LockPolicy,
        now: UnixTime,
    ) -> Pending<'_, Failure> {
        self.write(move |tx| attempts::fail(tx, &realm, &key, policy, now))
    }

    fn withdraw_attempt(&self, realm: RealmName, key: AccountKey) -> Pending<'_, ()> {
        self.write(move |tx| attempts::withdraw(tx, &realm, &key))
    }

    fn clear_attempts(&self, realm: RealmName, key: AccountKey, by: By) -> Pending<'_, ()> {
        self.write(move |tx| attempts::clear(tx, &realm, &key, &by))
    }

    fn locked_until(
        &self,
        realm: RealmName,
        key: AccountKey,
        now: UnixTime,
    ) -> Pending<'_, Option<UnixTime>> {
        self.read(move |db| attempts::locked_until(db, &realm, &key, now))
    }

    fn open_session(&self, new: NewSession, by: By) -> Pending<'_, u32> {
        self.write(move |tx| sessions::open(tx, &new, &by))
    }

    fn session(&self, realm: RealmName, digest: Digest, now: UnixTime) -> Pending<'_, Option<Session>> {
        let touches = Arc::clone(&self.touches);
        self.read(move |db| sessions::live(db, &touches, &realm, digest, now))
    }

    fn touch(&self, digest: Digest, now: UnixTime) -> Pending<'_, ()> {
        if let Err(error) = self.still_open() {
            return Box::pin(std::future::ready(Err(error)));
        }
        match self.touches.note(digest, now) {
            Room::Enough => Box::pin(std::future::ready(Ok(()))),
            Room::Full => self.write(|tx| tx.write_touches()),
        }
    }

    fn change_csrf(
        &self,
        realm: RealmName,
        digest: Digest,
        csrf: Digest,
        now: UnixTime,
    ) -> Pending<'_, Edit> {
        self.write(move |tx| sessions::change_csrf(tx, &realm, digest, csrf, now))
    }

    fn end_session(&self, realm: RealmName, digest: Digest, by: By) -> Pending<'_, Edit> {
        self.write(move |tx| sessions::end(tx, &realm, digest, &by))
    }

    fn end_sessions_of(&self, realm: RealmName, user: UserId, by: By) -> Pending<'_, u32> {
        self.write(move |tx| sessions::end_of(tx, &realm, user, &by))
    }

    fn open_remote(&self, session: RemoteSession, by: By) -> Pending<'_, Creation> {
        self.write(move |tx| remotes::open(tx, &session, &by))
    }

    fn remote(&self, digest: Digest, now: UnixTime) -> Pending<'_, Option<RemoteSession>> {
        let touches = Arc::clone(&self.touches);
        self.read(move |db| remotes::live(db, &touches, digest, now))
    }

    fn reseal_remote(&self, digest: Digest, sealed: Vec<u8>) -> Pending<'_, Edit> {
        self.write(move |tx| remotes::reseal(tx, digest, &sealed))
    }

    fn end_remote(&self, digest: Digest, by: By) -> Pending<'_, Edit> {
        self.write(move |tx| remotes::end(tx, digest, &by))
    }

    fn create_enrolment(&self, enrolment: Enrolment, by: By) -> Pending<'_, Creation> {
        self.write(move |tx| nodes::create(tx, &enrolment, &by))
    }

    fn enrolment(&self, realm: RealmName, id: EnrolmentId) -> Pending<'_, Option<Enrolment>> {
        self.read(move |db| nodes::by_id(db, &realm, id))
    }

    fn enrolments(&self, filter: TenantFilter, paging: Paging<EnrolmentId>) -> Pending<'_, EnrolmentPage> {
        self.read(move |db| nodes::list(db, &filter, &paging))
    }

    fn delete_enrolment(&self, realm: RealmName, id: EnrolmentId, by: By) -> Pending<'_, Edit> {
        self.write(move |tx| nodes::delete(tx, &realm, id, &by))
    }

    fn join(&self, joining: Joining, now: UnixTime) -> Pending<'_, Joined> {
        Box::pin(async move {
            // What strangers make up does not take turns with what is written.
            let asked = joining.clone();
            let refused = self.read(move |db| nodes::refused(db, &asked, now)).await?;
            match refused {
                Some(refused) => Ok(refused),
                None => self.write(move |tx| nodes::join(tx, &joining, now)).await,
            }
        })
    }

    fn let_in(&self, new: NewNode, by: By) -> Pending<'_, Joined> {
        self.write(move |tx| nodes::let_in(tx, new, &by))
    }

    fn node(&self, realm: RealmName, uuid: NodeUuid) -> Pending<'_, Option<Node>> {
        let touches = Arc::clone(&self.touches);
        self.read(move |db| nodes::node(db, &touches, &realm, &uuid))
    }

    fn nodes(&self, filter: TenantFilter, paging: Paging<NodeUuid>) -> Pending<'_, NodePage> {
        let touches = Arc::clone(&self.touches);
        self.read(move |db| nodes::nodes(db, &touches, &filter, &paging))
    }

    fn remove_node(&self, of: TenantFilter, uuid: NodeUuid, by: By) -> Pending<'_, Edit> {
        self.write(move |tx| nodes::remove(tx, &of, &uuid, &by))
    }

    fn store_code(&self, code: AuthorizationCode) -> Pending<'_, ()> {
        self.write(move |tx| codes::keep(tx, &code))
    }

    fn redeem_code(&self, code: PresentedCode, first: FirstTokens, now: UnixTime) -> Pending<'_, Redemption> {
        self.write(move |tx| codes::redeem(tx, &code, first, now))
    }

    fn issue(&self, family: NewFamily, tokens: NewTokens, by: By) -> Pending<'_, Issued> {
        self.write(move |tx| tokens::issue(tx, family, tokens, &by))
    }

    fn rotate_refresh(
        &self,
        refresh: PresentedRefresh,
        next: NextTokens,
        now: UnixTime,
    ) -> Pending<'_, Rotation> {
        self.write(move |tx| tokens::rotate(tx, &refresh, next, now))
    }

    fn access(&self, realm: RealmName, key: AccessKey, now: UnixTime) -> Pending<'_, Access> {
        self.read(move |db| tokens::access(db, &realm, &key, now))
    }

    fn refresh_facts(&self, realm: RealmName, digest: Digest) -> Pending<'_, Option<RefreshFacts>> {
        self.read(move |db| tokens::refresh_facts(db, &realm, digest))
    }

    fn family(&self, realm: RealmName, id: FamilyId) -> Pending<'_, Option<Family>> {
        self.read(move |db| tokens::family(db, &realm, id))
    }

    fn families(&self, filter: FamilyFilter, paging: Paging<FamilyPlace>) -> Pending<'_, FamilyPage> {
        self.read(move |db| tokens::list(db, &filter, &paging))
    }

    fn revoke_access(
        &self,
        realm: RealmName,
        key: AccessKey,
        until: UnixTime,
        by: By,
    ) -> Pending<'_, Revocation> {
        self.write(move |tx| tokens::revoke_access(tx, &realm, &key, until, &by))
    }

    fn revoke_refresh(
        &self,
        realm: RealmName,
        digest: Digest,
        client_id: ClientId,
        by: By,
    ) -> Pending<'_, Revocation> {
        self.write(move |tx| tokens::revoke_refresh(tx, &realm, digest, &client_id, &by))
    }

    fn revoke_family(&self, realm: RealmName, id: FamilyId, by: By) -> Pending<'_, Revocation> {
        self.write(move |tx| tokens::revoke_family(tx, &realm, id, &by))
    }

    fn revoke_families_of(&self, realm: RealmName, holder: Holder, by: By) -> Pending<'_, u32> {
        self.write(move |tx| tokens::revoke_families_of(tx, &realm, &holder, &by))
    }

    fn standing(&self, realm: RealmName, of: StandingOf, now: UnixTime) -> Pending<'_, Standing> {
        self.read(move |db| tokens::standing(db, &realm, &of, now))
    }

    fn audit(&self, note: AuditNote, by: By) -> Pending<'_, ()> {
        self.write(move |tx| tx.note(&note, &by))
    }

    fn audit_entries(&self, filter: AuditFilter, paging: Paging<u64>) -> Pending<'_, AuditPage> {
        self.read(move |db| log::audit_entries(db, &filter, &paging))
    }

    fn changes_since(&self, cursor: Option<u64>, size: PageSize) -> Pending<'_, Changes> {
        self.read(move |db| log::changes_since(db, cursor, size))
    }

    fn sweep(&self, plan: SweepPlan, now: UnixTime) -> Pending<'_, Swept> {
        self.write(move |tx| sweep::sweep(tx, plan, now))
    }

    fn check(&self) -> Pending<'_, ()> {
        let (path, settings) = (self.path.clone(), self.settings);
        self.aside("store-check", move || check_file(&path, &settings))
    }

    fn backup(&self, path: PathBuf) -> Pending<'_, ()> {
        let (from, settings) = (self.path.clone(), self.settings);
        self.aside("store-backup", move || copy::backup(&from, &path, &settings))
    }

    fn close(&self) -> Pending<'_, ()> {
        let (reply, answer) = oneshot::channel();
        let sent = self.send(&self.orders, Order::Close(reply));
        if sent.is_ok() {
            self.closed.store(true, Ordering::Release);
        }
        self.wait(sent, answer, Some(self.settings.deadline))
    }
}
