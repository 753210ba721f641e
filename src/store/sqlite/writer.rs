//! The one thread that writes. It takes what waits in its queue into one transaction, each operation behind a savepoint of its
//! own, and answers when the commit has reached the disk: so many operations share one fsync.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::open::Pages;
use super::touches::Touches;
use super::transaction::{Mark, Tx};
use super::{log, migrate};
use crate::store::backend::PageSize;
use crate::store::error::{Outage, StoreError};
use crate::store::feed::Feed;
use crate::store::outcome::Changes;

/// Operations in one transaction, at most: how long the first of them waits for the others.
const GROUP: usize = 256;

/// How often an idle writer looks for changes of other processes.
const POLL: Duration = Duration::from_millis(200);

/// Pages of the write-ahead log (16 MiB) after which they are carried over into the file. Done after answers were given, so
/// that nobody waits for it but who comes next.
const CHECKPOINT_PAGES: u32 = 4_096;

/// How often the log is reminded of commits that fail.
const SAY_AGAIN: Duration = Duration::from_secs(30);

/// What the queue holds.
pub(super) enum Order {
    /// An operation.
    Run(Box<dyn Operation>),
    /// Write down what waits, and stop.
    Close(Farewell),
}

/// Who waits for the end.
pub(super) type Farewell = oneshot::Sender<Result<(), StoreError>>;

/// An operation with its way to answer.
pub(super) trait Operation: Send {
    /// Does it, inside a transaction. An error undoes it.
    ///
    /// # Errors
    /// Whatever keeps it from happening; kept for the answer as well.
    fn run(&mut self, tx: &Tx<'_>) -> Result<(), StoreError>;

    /// Why it did not happen, if it was run and did not.
    fn refused(&self) -> Option<&StoreError>;

    /// Answers, when the transaction was committed, or was not.
    fn answer(self: Box<Self>, committed: Result<(), StoreError>);
}

/// An operation made of a closure.
pub(super) struct Work<T, F> {
    work: Option<F>,
    outcome: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Work<T, F>
where
    F: FnOnce(&Tx<'_>) -> Result<T, StoreError> + Send,
{
    pub(super) fn new(work: F, reply: oneshot::Sender<Result<T, StoreError>>) -> Work<T, F> {
        Work {
            work: Some(work),
            outcome: None,
            reply,
        }
    }
}

impl<T, F> Operation for Work<T, F>
where
    T: Send,
    F: FnOnce(&Tx<'_>) -> Result<T, StoreError> + Send,
{
    fn run(&mut self, tx: &Tx<'_>) -> Result<(), StoreError> {
        let Some(work) = self.work.take() else {
            return Ok(());
        };
        match work(tx) {
            Ok(outcome) => {
                self.outcome = Some(Ok(outcome));
                Ok(())
            }
            Err(error) => {
                self.outcome = Some(Err(error.clone()));
                Err(error)
            }
        }
    }

    fn refused(&self) -> Option<&StoreError> {
        match &self.outcome {
            Some(Err(error)) => Some(error),
            Some(Ok(_)) | None => None,
        }
    }

    fn answer(self: Box<Self>, committed: Result<(), StoreError>) {
        let outcome = match (self.outcome, committed) {
            (Some(Ok(outcome)), Ok(())) => Ok(outcome),
            (Some(Err(error)), _) | (_, Err(error)) => Err(error),
            (None, Ok(())) => Err(StoreError::unavailable(Outage::Closed, "was not run")),
        };
        // Who has gone does not need the answer; what was done stays done.
        drop(self.reply.send(outcome));
    }
}

/// The writer's own things.
pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) queue: Receiver<Order>,
    pub(super) feed: Feed,
    pub(super) touches: Arc<Touches>,
    /// The last change that was told.
    pub(super) cursor: u64,
    /// Grows when another connection has committed.
    pub(super) data_version: i64,
    /// Pages in the write-ahead log.
    pub(super) pages: Pages,
    /// Since when commits fail.
    pub(super) trouble: Trouble,
}

/// Says in the log that commits fail, and that they do no longer; not for each of them.
#[derive(Default)]
pub(super) struct Trouble(Option<Failing>);

struct Failing {
    commits: u64,
    said: Instant,
}

impl Trouble {
    fn note(&mut self, committed: &Result<(), StoreError>) {
        match (committed, &mut self.0) {
            (Ok(()), None) => {}
            (Ok(()), Some(failing)) => {
                tracing::info!(failed = failing.commits, "the store commits again");
                self.0 = None;
            }
            (Err(error), None) => {
                tracing::error!(%error, "the store cannot commit; what must be stored is refused");
                self.0 = Some(Failing {
                    commits: 1,
                    said: Instant::now(),
                });
            }
            (Err(error), Some(failing)) => {
                failing.commits += 1;
                if failing.said.elapsed() >= SAY_AGAIN {
                    failing.said = Instant::now();
                    tracing::error!(%error, failed = failing.commits, "the store still cannot commit");
                }
            }
        }
    }
}

impl Writer {
    /// Works until the queue is closed.
    pub(super) fn work(mut self) {
        loop {
            match self.queue.recv_timeout(POLL) {
                Ok(order) => {
                    let (group, close) = self.group(order);
                    self.commit(group);
                    if let Some(reply) = close {
                        drop(reply.send(self.finish()));
                        return;
                    }
                }
                Err(RecvTimeoutError::Timeout) => self.look_around(),
                Err(RecvTimeoutError::Disconnected) => {
                    // Nobody is left to hear of it.
                    drop(self.write_touches());
                    return;
                }
            }
            if self.touches.are_due()
                && let Err(error) = self.write_touches()
            {
                self.touches.put_off();
                tracing::warn!(%error, "the use of sessions could not be written down");
            }
            self.checkpoint();
        }
    }

    /// What waits in the queue already, up to a group.
    fn group(&self, first: Order) -> (Vec<Box<dyn Operation>>, Option<Farewell>) {
        let mut group = Vec::new();
        let mut next = Some(first);
        while let Some(order) = next {
            match order {
                Order::Run(operation) => group.push(operation),
                Order::Close(reply) => return (group, Some(reply)),
            }
            next = if group.len() < GROUP {
                self.queue.try_recv().ok()
            } else {
                None
            };
        }
        (group, None)
    }

    fn commit(&mut self, mut group: Vec<Box<dyn Operation>>) {
        if group.is_empty() {
            return;
        }
        let committed = self.try_commit(&mut group);
        if committed.is_err() {
            self.roll_back();
            // Whoever holds the file may have changed something in it.
            self.look_around();
        }
        self.trouble.note(&committed);
        let is_full = |error: &StoreError| {
            matches!(
                error,
                StoreError::Unavailable {
                    outage: Outage::DiskFull,
                    ..
                }
            )
        };
        let full = group
            .iter()
            .filter_map(|operation| operation.refused())
            .any(is_full);
        if full || committed.as_ref().is_err_and(is_full) {
            // Carried over into the file, the write-ahead log begins anew in the room that it has already.
            self.carry_over();
        }
        for operation in group {
            operation.answer(committed.clone());
        }
    }

    fn try_commit(&mut self, group: &mut [Box<dyn Operation>]) -> Result<(), StoreError> {
        self.connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        // What others committed comes before what is committed now.
        self.tell_foreign_changes()?;
        let tx = Tx::new(&self.connection, Arc::clone(&self.touches), self.cursor);
        for operation in group {
            self.run(&tx, operation.as_mut())?;
        }
        self.connection.prepare_cached("COMMIT")?.execute([])?;
        let (changes, cursor) = tx.committed();
        self.cursor = cursor;
        self.feed.publish(&changes);
        Ok(())
    }

    /// One operation. An error of its own undoes it and not the others; an error that is returned ends them all.
    fn run(&self, tx: &Tx<'_>, operation: &mut dyn Operation) -> Result<(), StoreError> {
        let savepoint = |sql| -> Result<(), StoreError> {
            self.connection.prepare_cached(sql)?.execute([])?;
            Ok(())
        };
        let mark: Mark = tx.mark();
        savepoint("SAVEPOINT operation")?;
        if let Err(error) = operation.run(tx) {
            tx.back_to(mark);
            if self.connection.is_autocommit() {
                // A full disk, say, can end the whole transaction.
                return Err(error);
            }
            savepoint("ROLLBACK TO operation")?;
        }
        savepoint("RELEASE operation")
    }

    /// Leaves no transaction open, whatever happened.
    fn roll_back(&self) {
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            tracing::error!(%error, "the store could not roll back");
        }
    }

    fn write_touches(&mut self) -> Result<(), StoreError> {
        if self.touches.all().is_empty() {
            return Ok(());
        }
        let (reply, _) = oneshot::channel();
        let mut group: Vec<Box<dyn Operation>> =
            vec![Box::new(Work::new(|tx: &Tx<'_>| tx.write_touches(), reply))];
        let committed = self.try_commit(&mut group);
        if committed.is_err() {
            self.roll_back();
        }
        committed
    }

    /// Writes down what waits, and leaves one file with everything in it.
    fn finish(&mut self) -> Result<(), StoreError> {
        self.write_touches()?;
        // Where it cannot be done (another process reads), the log stays and is read at the next start.
        drop(
            self.connection
                .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())),
        );
        Ok(())
    }

    /// Nothing to do: has another process done something?
    fn look_around(&mut self) {
        let looked = migrate::pragma::<i64>(&self.connection, "data_version").and_then(|version| {
            if version == self.data_version {
                return Ok(());
            }
            self.data_version = version;
            self.tell_foreign_changes()
        });
        if let Err(error) = looked {
            tracing::warn!(%error, "the store could not be looked at for changes");
        }
    }

    /// Tells the changes after the last one that was told.
    fn tell_foreign_changes(&mut self) -> Result<(), StoreError> {
        loop {
            match log::changes_since(&self.connection, Some(self.cursor), PageSize::MAX)? {
                Changes::Since { changes, cursor: _ } if changes.is_empty() => return Ok(()),
                Changes::Since { changes, cursor } => {
                    self.cursor = cursor;
                    self.feed.publish(&changes);
                }
                Changes::Reload { cursor } => {
                    self.cursor = cursor;
                    self.feed.publish_reload();
                }
            }
        }
    }

    /// Carries a long write-ahead log over into the file.
    fn checkpoint(&self) {
        if self.pages.get() >= CHECKPOINT_PAGES {
            self.carry_over();
        }
    }

    /// Carries the write-ahead log over into the file. If it cannot be done now, it grows until it can.
    fn carry_over(&self) {
        self.pages.reset();
        let done = self
            .connection
            .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
        if let Err(error) = done {
            tracing::warn!(%error, "the store's write-ahead log could not be carried over");
        }
    }
}
