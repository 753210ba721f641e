//! Lockout in the file.

use rusqlite::{Connection, Row, params};

use super::transaction::{Tx, first};
use crate::base::clock::UnixTime;
use crate::identity::{AccountKey, RealmName};
use crate::store::error::StoreError;
use crate::store::model::{Attempts, By, Change, LockPolicy};
use crate::store::outcome::{Attempt, Failure};
use crate::store::{notes, rules};

fn attempts_of(row: &Row<'_>) -> rusqlite::Result<Attempts> {
    Ok(Attempts {
        count: row.get(0)?,
        failed: row.get(1)?,
        since: row.get(2)?,
        last: row.get(3)?,
        locked_until: row.get(4)?,
        forget_at: row.get(5)?,
    })
}

fn held(
    connection: &Connection,
    realm: &RealmName,
    key: &AccountKey,
) -> Result<Option<Attempts>, StoreError> {
    first(
        connection,
        "SELECT count, failed, since, last, locked_until, forget_at FROM attempts WHERE realm = ?1 AND key = ?2",
        params![realm, key],
        attempts_of,
    )
}

fn write(tx: &Tx<'_>, realm: &RealmName, key: &AccountKey, attempts: &Attempts) -> Result<(), StoreError> {
    tx.execute(
        "INSERT OR REPLACE INTO attempts (realm, key, count, failed, since, last, locked_until, forget_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            realm,
            key,
            attempts.count,
            attempts.failed,
            attempts.since,
            attempts.last,
            attempts.locked_until,
            attempts.forget_at,
        ],
    )?;
    Ok(())
}

pub(super) fn begin(
    tx: &Tx<'_>,
    realm: &RealmName,
    key: &AccountKey,
    policy: LockPolicy,
    now: UnixTime,
) -> Result<Attempt, StoreError> {
    let before = held(tx.connection(), realm, key)?;
    let (attempt, written) = rules::begin(before, policy, now);
    if let Some(written) = written {
        if written.locked_until.is_some() {
            changed(tx, realm, key, written.locked_until)?;
        }
        write(tx, realm, key, &written)?;
    }
    Ok(attempt)
}

pub(super) fn fail(
    tx: &Tx<'_>,
    realm: &RealmName,
    key: &AccountKey,
    policy: LockPolicy,
    now: UnixTime,
) -> Result<Failure, StoreError> {
    let before = held(tx.connection(), realm, key)?;
    let (failure, written) = rules::fail(before, policy, now);
    if written.locked_until != before.and_then(|before| before.locked_until) {
        changed(tx, realm, key, written.locked_until)?;
        if let Some(until) = written.locked_until {
            tx.note(&notes::locked(realm, key, until), &By::system(now))?;
        }
    }
    write(tx, realm, key, &written)?;
    Ok(failure)
}

pub(super) fn withdraw(tx: &Tx<'_>, realm: &RealmName, key: &AccountKey) -> Result<(), StoreError> {
    let Some(before) = held(tx.connection(), realm, key)? else {
        return Ok(());
    };
    match rules::withdraw(before) {
        Some(written) => write(tx, realm, key, &written),
        None => delete(tx, realm, key),
    }
}

pub(super) fn clear(tx: &Tx<'_>, realm: &RealmName, key: &AccountKey, by: &By) -> Result<(), StoreError> {
    match forget(tx, realm, key)? {
        Lock::Ended => tx.note(&notes::unlocked(realm, key), by),
        Lock::None => Ok(()),
    }
}

/// Was there a lock on what is forgotten?
pub(super) enum Lock {
    /// No.
    None,
    /// Yes, and it has ended by this.
    Ended,
}

pub(super) fn forget(tx: &Tx<'_>, realm: &RealmName, key: &AccountKey) -> Result<Lock, StoreError> {
    let Some(before) = held(tx.connection(), realm, key)? else {
        return Ok(Lock::None);
    };
    delete(tx, realm, key)?;
    if before.locked_until.is_none() {
        return Ok(Lock::None);
    }
    changed(tx, realm, key, None)?;
    Ok(Lock::Ended)
}

pub(super) fn locked_until(
    connection: &Connection,
    realm: &RealmName,
    key: &AccountKey,
    now: UnixTime,
) -> Result<Option<UnixTime>, StoreError> {
    Ok(held(connection, realm, key)?.and_then(|held| rules::locked(&held, now)))
}

fn delete(tx: &Tx<'_>, realm: &RealmName, key: &AccountKey) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM attempts WHERE realm = ?1 AND key = ?2",
        params![realm, key],
    )?;
    Ok(())
}

fn changed(
    tx: &Tx<'_>,
    realm: &RealmName,
    key: &AccountKey,
    locked_until: Option<UnixTime>,
) -> Result<(), StoreError> {
    tx.tell(Change::AttemptsChanged {
        realm: realm.clone(),
        key: key.clone(),
        locked_until,
    })
}
