//! The schema and its versions: numbered SQL, forward only, in one transaction.

use rusqlite::{Connection, TransactionBehavior};

use crate::store::error::StoreError;

/// `PRAGMA application_id`: how a store is told from other files of SQLite. The bytes read `TLGT`.
const APPLICATION: i32 = 0x544c_4754;

/// What leads from each version to the next; the first from nothing to version 1.
const STEPS: &[&str] = &[
    include_str!("migrations/0001.sql"),
    include_str!("migrations/0002.sql"),
];

/// The version that this program reads and writes.
fn newest() -> u32 {
    u32::try_from(STEPS.len()).unwrap_or(u32::MAX)
}

/// Refuses what is not a store, or one of a newer program. Reads the file's head and changes nothing.
///
/// # Errors
/// [`StoreError::Corrupt`], [`StoreError::Foreign`], [`StoreError::NewerSchema`].
pub(super) fn recognise(connection: &Connection) -> Result<(), StoreError> {
    let application: i32 = pragma(connection, "application_id")?;
    let found: u32 = pragma(connection, "user_version")?;
    // Changes with the first table: 0 is an empty file.
    let schema: i64 = pragma(connection, "schema_version")?;
    let empty = schema == 0 && found == 0 && application == 0;
    if !empty && application != APPLICATION {
        return Err(StoreError::Foreign {
            detail: format!("its application id is {application:#010x}"),
        });
    }
    let known = newest();
    if found > known {
        return Err(StoreError::NewerSchema { found, known });
    }
    Ok(())
}

/// Brings the schema up to date. Two processes that start at once do not get into each other's way: the version is read under
/// the write lock.
///
/// # Errors
/// Whatever keeps a statement from running.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    if pragma::<u32>(connection, "user_version")? == newest() {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    recognise(&transaction)?;
    let found: u32 = pragma(&transaction, "user_version")?;
    for step in STEPS.iter().skip(usize::try_from(found).unwrap_or(usize::MAX)) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", newest())?;
    transaction.commit()?;
    tracing::info!(
        from = found,
        to = newest(),
        "the store's schema was brought up to date"
    );
    Ok(())
}

pub(super) fn pragma<T: rusqlite::types::FromSql>(
    connection: &Connection,
    name: &str,
) -> Result<T, StoreError> {
    Ok(connection.pragma_query_value(None, name, |row| row.get(0))?)
}
