//! Audit log and changes in the file.

use rusqlite::types::{FromSql, ValueRef};
use rusqlite::{Connection, Row, params};

use super::transaction::{Tx, all, first};
use crate::identity::RealmName;
use crate::store::backend::{AuditFilter, PageSize, Paging};
use crate::store::error::StoreError;
use crate::store::model::{AuditEntry, AuditNote, By, Change};
use crate::store::outcome::{AuditPage, Changes, Page};
use crate::store::rules;

/// One page of rows, of which one more than asked for was read.
pub(super) fn page<T, Place>(
    mut items: Vec<T>,
    size: PageSize,
    place: impl Fn(&T) -> Place,
) -> Page<T, Place> {
    let more = items.len() > size.get();
    items.truncate(size.get());
    let next = if more { items.last().map(place) } else { None };
    Page { items, next }
}

/// One row more than a page has, to see whether there is a next one.
pub(super) fn rows_of(size: PageSize) -> i64 {
    i64::try_from(size.get()).unwrap_or(i64::MAX).saturating_add(1)
}

/// A number of SQLite, which has a sign.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    Ok(u64::try_from(row.get::<_, i64>(column)?).unwrap_or(0))
}

pub(super) fn audit_entries(
    connection: &Connection,
    filter: &AuditFilter,
    paging: &Paging<u64>,
) -> Result<AuditPage, StoreError> {
    let before = paging.after.map_or(i64::MAX, signed);
    let entries = all(
        connection,
        "SELECT seq, at, actor, realm, action, subject, detail FROM audit \
         WHERE seq < ?1 AND (?2 IS NULL OR realm = ?2) AND (?3 IS NULL OR subject = ?3) ORDER BY seq DESC LIMIT ?4",
        params![before, filter.realm, filter.subject, rows_of(paging.size)],
        |row| {
            Ok(AuditEntry {
                seq: unsigned(row, 0)?,
                by: By {
                    at: row.get(1)?,
                    actor: row.get(2)?,
                },
                note: AuditNote {
                    realm: row.get(3)?,
                    action: row.get(4)?,
                    subject: row.get(5)?,
                    detail: row.get(6)?,
                },
            })
        },
    )?;
    Ok(page(entries, paging.size, |entry| entry.seq))
}

/// Writes a change where other processes find it.
pub(super) fn write_change(tx: &Tx<'_>, change: &Change) -> Result<(), StoreError> {
    const INSERT: &str = "INSERT INTO changes (kind, realm, subject, until) VALUES (?1, ?2, ?3, ?4)";
    let none = Option::<&RealmName>::None;
    match change {
        Change::UserChanged { realm, user } => tx.execute(INSERT, params!["user", realm, user, None::<i64>]),
        Change::ApplicationChanged { realm, client_id } => tx.execute(
            INSERT,
            params!["application", realm, client_id.as_str().as_bytes(), None::<i64>],
        ),
        Change::CustomerChanged(id) => tx.execute(
            INSERT,
            params!["customer", none, id.as_str().as_bytes(), None::<i64>],
        ),
        Change::FamilyRevoked(id) => tx.execute(INSERT, params!["family", none, id, None::<i64>]),
        Change::AccessRevoked(key) => tx.execute(INSERT, params!["access", none, key, None::<i64>]),
        Change::SessionEnded(digest) => tx.execute(INSERT, params!["session_end", none, digest, None::<i64>]),
        Change::SessionChanged(digest) => tx.execute(INSERT, params!["session", none, digest, None::<i64>]),
        Change::AttemptsChanged {
            realm,
            key,
            locked_until,
        } => tx.execute(
            INSERT,
            params!["attempts", realm, key.as_str().as_bytes(), locked_until],
        ),
    }?;
    Ok(())
}

/// The text of a column that holds bytes.
struct TextOfBytes(String);

impl FromSql for TextOfBytes {
    fn column_result(value: ValueRef<'_>) -> rusqlite::types::FromSqlResult<TextOfBytes> {
        let bytes = value.as_blob()?;
        std::str::from_utf8(bytes)
            .map(|text| TextOfBytes(text.to_owned()))
            .map_err(|error| rusqlite::types::FromSqlError::Other(Box::new(error)))
    }
}

fn id_of<'t, T>(text: &'t TextOfBytes) -> rusqlite::Result<T>
where
    T: TryFrom<&'t str>,
    T::Error: std::error::Error + Send + Sync + 'static,
{
    T::try_from(&text.0).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(3, rusqlite::types::Type::Blob, Box::new(error))
    })
}

fn change_of(row: &Row<'_>) -> rusqlite::Result<(u64, Option<Change>)> {
    let kind = row.get_ref(1)?.as_str()?;
    let change = match kind {
        "user" => Change::UserChanged {
            realm: row.get(2)?,
            user: row.get(3)?,
        },
        "application" => Change::ApplicationChanged {
            realm: row.get(2)?,
            client_id: id_of(&row.get(3)?)?,
        },
        "customer" => Change::CustomerChanged(id_of(&row.get(3)?)?),
        "family" => Change::FamilyRevoked(row.get(3)?),
        "access" => Change::AccessRevoked(row.get(3)?),
        "session_end" => Change::SessionEnded(row.get(3)?),
        "session" => Change::SessionChanged(row.get(3)?),
        "attempts" => Change::AttemptsChanged {
            realm: row.get(2)?,
            key: id_of(&row.get(3)?)?,
            locked_until: row.get(4)?,
        },
        // Of a newer program with the same schema; to be on the safe side, everything is read anew.
        _ => return Ok((unsigned(row, 0)?, None)),
    };
    Ok((unsigned(row, 0)?, Some(change)))
}

pub(super) fn changes_since(
    connection: &Connection,
    cursor: Option<u64>,
    size: PageSize,
) -> Result<Changes, StoreError> {
    let ends = first(
        connection,
        "SELECT coalesce((SELECT min(seq) FROM changes), 1), coalesce((SELECT max(seq) FROM changes), 0)",
        [],
        |row| Ok((unsigned(row, 0)?, unsigned(row, 1)?)),
    )?;
    let (oldest, newest) = ends.unwrap_or((1, 0));
    let Some(cursor) = cursor else {
        return Ok(Changes::Since {
            changes: Vec::new(),
            cursor: newest,
        });
    };
    if cursor.saturating_add(1) < oldest || cursor > newest {
        return Ok(Changes::Reload { cursor: newest });
    }
    let rows = all(
        connection,
        "SELECT seq, kind, realm, subject, until FROM changes WHERE seq > ?1 ORDER BY seq LIMIT ?2",
        params![signed(cursor), i64::try_from(size.get()).unwrap_or(i64::MAX)],
        change_of,
    )?;
    let cursor = rows.last().map_or(cursor, |(seq, _)| *seq);
    let changes: Option<Vec<Change>> = rows.into_iter().map(|(_, change)| change).collect();
    Ok(match changes {
        Some(changes) => Changes::Since { changes, cursor },
        None => Changes::Reload { cursor: newest },
    })
}

/// Forgets changes that are so old that whoever has not seen them reads everything anew.
pub(super) fn trim_changes(tx: &Tx<'_>, limit: u64) -> Result<u64, StoreError> {
    let gone = tx.execute(
        "DELETE FROM changes WHERE seq IN (SELECT seq FROM changes \
         WHERE seq <= (SELECT max(seq) FROM changes) - ?1 ORDER BY seq LIMIT ?2)",
        params![signed(rules::KEEP_CHANGES), signed(limit)],
    )?;
    Ok(u64::try_from(gone).unwrap_or(0))
}
