//! Sessions in the file.

use std::time::Duration;

use rusqlite::{Connection, Row, params};

use super::log::signed;
use super::touches::Touches;
use super::transaction::{Tx, first};
use crate::base::clock::UnixTime;
use crate::base::digest::Digest;
use crate::identity::{RealmName, UserId};
use crate::store::error::StoreError;
use crate::store::model::{By, Change, NewSession, Session};
use crate::store::notes;
use crate::store::outcome::Edit;

const COLUMNS: &str = "digest, realm, user, client_id, csrf, created_at, last_seen, expires_at, idle";

fn session_of(row: &Row<'_>) -> rusqlite::Result<Session> {
    Ok(Session {
        digest: row.get(0)?,
        realm: row.get(1)?,
        user: row.get(2)?,
        client_id: row.get(3)?,
        csrf: row.get(4)?,
        created_at: row.get(5)?,
        last_seen: row.get(6)?,
        expires_at: row.get(7)?,
        idle: Duration::from_secs(u64::try_from(row.get::<_, i64>(8)?).unwrap_or(0)),
    })
}

fn held(connection: &Connection, realm: &RealmName, digest: Digest) -> Result<Option<Session>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM sessions WHERE digest = ?1 AND realm = ?2");
    first(connection, &sql, params![digest, realm], session_of)
}

pub(super) fn live(
    connection: &Connection,
    touches: &Touches,
    realm: &RealmName,
    digest: Digest,
    now: UnixTime,
) -> Result<Option<Session>, StoreError> {
    // Looked at before the file: a use that is written down between the two is in the file by then.
    let seen = touches.last_seen(&digest, UnixTime(i64::MIN));
    let session = held(connection, realm, digest)?.map(|mut session| {
        session.last_seen = session.last_seen.max(seen);
        session
    });
    Ok(session.filter(|session| session.is_live(now)))
}

pub(super) fn open(tx: &Tx<'_>, new: &NewSession, by: &By) -> Result<u32, StoreError> {
    let session = &new.session;
    let mut ended: Vec<Digest> = Vec::new();
    if let Some(replaced) = new.replaces {
        ended.extend(tx.all(
            "DELETE FROM sessions WHERE digest = ?1 AND realm = ?2 AND user = ?3 RETURNING digest",
            params![replaced, session.realm, session.user],
            |row| row.get::<_, Digest>(0),
        )?);
    }
    if let Some(at_most) = new.at_most {
        let sql = format!("SELECT {COLUMNS} FROM sessions WHERE realm = ?1 AND user = ?2");
        let mut held: Vec<(UnixTime, UnixTime, Digest)> = tx
            .all(&sql, params![session.realm, session.user], session_of)?
            .into_iter()
            .map(|mut held| {
                held.last_seen = tx.last_seen(&held.digest, held.last_seen);
                held
            })
            .filter(|held| held.is_live(by.at))
            .map(|held| (held.last_seen, held.created_at, held.digest))
            .collect();
        held.sort_unstable();
        let room = usize::try_from(at_most.get() - 1).unwrap_or(usize::MAX);
        let surplus = held.len().saturating_sub(room);
        for (_, _, digest) in held.into_iter().take(surplus) {
            tx.execute("DELETE FROM sessions WHERE digest = ?1", params![digest])?;
            ended.push(digest);
        }
    }
    for digest in &ended {
        tx.tell(Change::SessionEnded(*digest))?;
    }
    let sql =
        format!("INSERT INTO sessions ({COLUMNS}, ends_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)");
    tx.execute(
        &sql,
        params![
            session.digest,
            session.realm,
            session.user,
            session.client_id,
            session.csrf,
            session.created_at,
            session.last_seen,
            session.expires_at,
            signed(session.idle.as_secs()),
            session.ends_at(),
        ],
    )?;
    tx.note(&notes::session_opened(session), by)?;
    Ok(u32::try_from(ended.len()).unwrap_or(u32::MAX))
}

pub(super) fn change_csrf(
    tx: &Tx<'_>,
    realm: &RealmName,
    digest: Digest,
    csrf: Digest,
    now: UnixTime,
) -> Result<Edit, StoreError> {
    let live = held(tx.connection(), realm, digest)?.is_some_and(|mut session| {
        session.last_seen = tx.last_seen(&digest, session.last_seen);
        session.is_live(now)
    });
    if !live {
        return Ok(Edit::Unknown);
    }
    tx.execute(
        "UPDATE sessions SET csrf = ?2 WHERE digest = ?1",
        params![digest, csrf],
    )?;
    tx.tell(Change::SessionChanged(digest))?;
    Ok(Edit::Done)
}

pub(super) fn end(tx: &Tx<'_>, realm: &RealmName, digest: Digest, by: &By) -> Result<Edit, StoreError> {
    let Some(session) = held(tx.connection(), realm, digest)? else {
        return Ok(Edit::Unknown);
    };
    tx.execute("DELETE FROM sessions WHERE digest = ?1", params![digest])?;
    tx.tell(Change::SessionEnded(digest))?;
    tx.note(&notes::session_ended(&session), by)?;
    Ok(Edit::Done)
}

pub(super) fn end_of(tx: &Tx<'_>, realm: &RealmName, user: UserId, by: &By) -> Result<u32, StoreError> {
    let ended = drop_of(tx, realm, user)?;
    tx.note(&notes::sessions_ended(realm, user, ended), by)?;
    Ok(ended)
}

pub(super) fn drop_of(tx: &Tx<'_>, realm: &RealmName, user: UserId) -> Result<u32, StoreError> {
    let ended: Vec<Digest> = tx.all(
        "DELETE FROM sessions WHERE realm = ?1 AND user = ?2 RETURNING digest",
        params![realm, user],
        |row| row.get(0),
    )?;
    for digest in &ended {
        tx.tell(Change::SessionEnded(*digest))?;
    }
    Ok(u32::try_from(ended.len()).unwrap_or(u32::MAX))
}
