//! Sessions of those who signed in somewhere else, in the file.

use std::time::Duration;

use rusqlite::{Connection, Row, params};

use super::log::signed;
use super::touches::Touches;
use super::transaction::{Tx, first};
use crate::base::clock::UnixTime;
use crate::base::digest::Digest;
use crate::store::error::StoreError;
use crate::store::model::{By, Change, RemoteSession};
use crate::store::notes;
use crate::store::outcome::{Creation, Edit};

const COLUMNS: &str = "digest, sign_in, csrf, sealed, created_at, last_seen, expires_at, idle";

fn session_of(row: &Row<'_>) -> rusqlite::Result<RemoteSession> {
    Ok(RemoteSession {
        digest: row.get(0)?,
        sign_in: row.get(1)?,
        csrf: row.get(2)?,
        sealed: row.get(3)?,
        created_at: row.get(4)?,
        last_seen: row.get(5)?,
        expires_at: row.get(6)?,
        idle: Duration::from_secs(u64::try_from(row.get::<_, i64>(7)?).unwrap_or(0)),
    })
}

fn held(connection: &Connection, digest: Digest) -> Result<Option<RemoteSession>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM remote_sessions WHERE digest = ?1");
    first(connection, &sql, params![digest], session_of)
}

pub(super) fn open(tx: &Tx<'_>, session: &RemoteSession, by: &By) -> Result<Creation, StoreError> {
    let sql = format!(
        "INSERT INTO remote_sessions ({COLUMNS}, ends_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT DO NOTHING"
    );
    let opened = tx.execute(
        &sql,
        params![
            session.digest,
            session.sign_in,
            session.csrf,
            session.sealed,
            session.created_at,
            session.last_seen,
            session.expires_at,
            signed(session.idle.as_secs()),
            session.ends_at(),
        ],
    )?;
    if opened == 0 {
        return Ok(Creation::Exists);
    }
    tx.note(&notes::remote_opened(session), by)?;
    Ok(Creation::Created)
}

pub(super) fn live(
    connection: &Connection,
    touches: &Touches,
    digest: Digest,
    now: UnixTime,
) -> Result<Option<RemoteSession>, StoreError> {
    // Looked at before the file: a use that is written down between the two is in the file by then.
    let seen = touches.last_seen(&digest, UnixTime(i64::MIN));
    let session = held(connection, digest)?.map(|mut session| {
        session.last_seen = session.last_seen.max(seen);
        session
    });
    Ok(session.filter(|session| session.is_live(now)))
}

pub(super) fn reseal(tx: &Tx<'_>, digest: Digest, sealed: &[u8]) -> Result<Edit, StoreError> {
    let done = tx.execute(
        "UPDATE remote_sessions SET sealed = ?2 WHERE digest = ?1",
        params![digest, sealed],
    )?;
    if done == 0 {
        return Ok(Edit::Unknown);
    }
    tx.tell(Change::SessionChanged(digest))?;
    Ok(Edit::Done)
}

pub(super) fn end(tx: &Tx<'_>, digest: Digest, by: &By) -> Result<Edit, StoreError> {
    let Some(session) = held(tx.connection(), digest)? else {
        return Ok(Edit::Unknown);
    };
    tx.execute("DELETE FROM remote_sessions WHERE digest = ?1", params![digest])?;
    tx.tell(Change::SessionEnded(digest))?;
    tx.note(&notes::remote_ended(&session), by)?;
    Ok(Edit::Done)
}
