//! What an operation that writes has in its hands: the open transaction, and what it has to tell when that is committed.

use std::cell::RefCell;
use std::sync::Arc;

use rusqlite::{CachedStatement, Connection, Params, params};

use super::touches::Touches;
use crate::base::clock::UnixTime;
use crate::base::digest::Digest;
use crate::store::error::StoreError;
use crate::store::model::{AuditNote, By, Change};

/// The transaction of a group of operations, as one of them sees it.
pub(super) struct Tx<'c> {
    connection: &'c Connection,
    touches: Arc<Touches>,
    untold: RefCell<Untold>,
}

#[derive(Default)]
struct Untold {
    changes: Vec<Change>,
    cursor: u64,
    touched: Vec<(Digest, UnixTime)>,
}

impl<'c> Tx<'c> {
    pub(super) fn new(connection: &'c Connection, touches: Arc<Touches>, cursor: u64) -> Tx<'c> {
        Tx {
            connection,
            touches,
            untold: RefCell::new(Untold {
                cursor,
                ..Untold::default()
            }),
        }
    }

    /// For questions that readers ask too.
    pub(super) fn connection(&self) -> &'c Connection {
        self.connection
    }

    /// Runs a statement; the answer is how many rows it changed.
    pub(super) fn execute(&self, sql: &str, params: impl Params) -> Result<usize, StoreError> {
        Ok(self.prepare(sql)?.execute(params)?)
    }

    /// The first row, if there is one.
    pub(super) fn first<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, StoreError> {
        first(self.connection, sql, params, read)
    }

    /// All rows. What the statement changes is changed when the answer is there.
    pub(super) fn all<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        all(self.connection, sql, params, read)
    }

    fn prepare(&self, sql: &str) -> Result<CachedStatement<'_>, StoreError> {
        Ok(self.connection.prepare_cached(sql)?)
    }

    /// Writes a change down, and has it told after the commit.
    pub(super) fn tell(&self, change: Change) -> Result<(), StoreError> {
        super::log::write_change(self, &change)?;
        let mut untold = self.untold.borrow_mut();
        untold.cursor = u64::try_from(self.connection.last_insert_rowid()).unwrap_or(untold.cursor);
        untold.changes.push(change);
        Ok(())
    }

    /// Writes an entry into the audit log.
    pub(super) fn note(&self, note: &AuditNote, by: &By) -> Result<(), StoreError> {
        self.execute(
            "INSERT INTO audit (at, actor, realm, action, subject, detail) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                by.at,
                by.actor,
                note.realm,
                note.action,
                note.subject,
                note.detail
            ],
        )?;
        Ok(())
    }

    /// When a session was last seen, with what is not written down yet.
    pub(super) fn last_seen(&self, digest: &Digest, stored: UnixTime) -> UnixTime {
        self.touches.last_seen(digest, stored)
    }

    /// Writes down all touches that wait.
    pub(super) fn write_touches(&self) -> Result<(), StoreError> {
        let touches = self.touches.all();
        for (digest, seen) in &touches {
            self.execute(
                "UPDATE sessions SET last_seen = max(last_seen, ?2), ends_at = min(expires_at, max(last_seen, ?2) + idle) \
                 WHERE digest = ?1",
                params![digest, seen],
            )?;
            self.execute(
                "UPDATE remote_sessions SET last_seen = max(last_seen, ?2), \
                 ends_at = min(expires_at, max(last_seen, ?2) + idle) WHERE digest = ?1",
                params![digest, seen],
            )?;
            self.execute(
                "UPDATE nodes SET last_seen = max(ifnull(last_seen, ?2), ?2) WHERE mark = ?1",
                params![digest, seen],
            )?;
        }
        self.untold.borrow_mut().touched = touches;
        Ok(())
    }

    /// How far the operation has come; see [`Tx::back_to`].
    pub(super) fn mark(&self) -> Mark {
        let untold = self.untold.borrow();
        Mark {
            changes: untold.changes.len(),
            cursor: untold.cursor,
        }
    }

    /// Forgets what an operation had to tell that was undone.
    pub(super) fn back_to(&self, mark: Mark) {
        let mut untold = self.untold.borrow_mut();
        untold.changes.truncate(mark.changes);
        untold.cursor = mark.cursor;
        untold.touched.clear();
    }

    /// The transaction is committed: what is to be told, and the cursor after it.
    pub(super) fn committed(self) -> (Vec<Change>, u64) {
        let untold = self.untold.into_inner();
        self.touches.written(&untold.touched);
        (untold.changes, untold.cursor)
    }
}

/// A place before an operation.
#[derive(Clone, Copy)]
pub(super) struct Mark {
    changes: usize,
    cursor: u64,
}

/// The first row of a query, if there is one.
pub(super) fn first<T>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    read: impl FnOnce(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
) -> Result<Option<T>, StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    Ok(rows.next()?.map(read).transpose()?)
}

/// All rows of a query.
pub(super) fn all<T>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>, StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map(params, read)?;
    Ok(rows.collect::<Result<Vec<T>, _>>()?)
}
