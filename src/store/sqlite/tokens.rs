//! Families, access and refresh tokens in the file.

use rusqlite::{Connection, Row, params};

use super::log::{page, rows_of};
use super::transaction::{Tx, all, first};
use super::values::{Spaced, Words};
use super::{attempts, codes};
use crate::base::clock::UnixTime;
use crate::base::digest::Digest;
use crate::identity::{AccountKey, ClientId, FamilyId, RealmName, Scope};
use crate::store::backend::{FamilyFilter, Holder, Paging, PresentedRefresh, StandingOf, Which};
use crate::store::error::StoreError;
use crate::store::model::{
    AccessKey, By, Change, Family, LiveAccess, NewAccess, NewFamily, NewTokens, NextTokens, RefreshFacts,
    RefreshState,
};
use crate::store::outcome::{
    Access, FamilyPage, FamilyPlace, FamilyStanding, Issued, Revocation, Rotation, Standing, UserStanding,
};
use crate::store::rules::{HeldRefresh, RefreshVerdict};
use crate::store::{notes, rules};

/// Of the table `families`, called `f`.
const FAMILY: &str = "f.id, f.realm, f.client_id, f.user, f.customer, f.tenant, f.scopes, f.roles, f.origin, \
                      f.created_at, f.expires_at, f.ends_at, f.revoked_at";

fn family_of(row: &Row<'_>) -> rusqlite::Result<Family> {
    Ok(Family {
        id: row.get(0)?,
        realm: row.get(1)?,
        client_id: row.get(2)?,
        user: row.get(3)?,
        customer: row.get(4)?,
        tenant: row.get(5)?,
        scopes: row.get::<_, Words<_>>(6)?.0,
        roles: row.get::<_, Words<_>>(7)?.0,
        origin: row.get(8)?,
        created_at: row.get(9)?,
        expires_at: row.get(10)?,
        ends_at: row.get(11)?,
        revoked_at: row.get(12)?,
    })
}

/// Columns of [`FAMILY`].
const AFTER_FAMILY: usize = 13;

pub(super) fn family(
    connection: &Connection,
    realm: &RealmName,
    id: FamilyId,
) -> Result<Option<Family>, StoreError> {
    let sql = format!("SELECT {FAMILY} FROM families f WHERE f.id = ?1 AND f.realm = ?2");
    first(connection, &sql, params![id, realm], family_of)
}

pub(super) fn issue(tx: &Tx<'_>, new: NewFamily, tokens: NewTokens, by: &By) -> Result<Issued, StoreError> {
    let issued = rules::first_of_family(new, &tokens, by.at);
    let family = &issued.family;
    tx.execute(
        "INSERT INTO families (id, realm, client_id, user, customer, tenant, scopes, roles, origin, created_at, \
         expires_at, ends_at, revoked_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
        params![
            family.id,
            family.realm,
            family.client_id,
            family.user,
            family.customer,
            family.tenant,
            Spaced(&family.scopes),
            Spaced(&family.roles),
            family.origin,
            family.created_at,
            family.expires_at,
            family.ends_at,
            family.revoked_at,
        ],
    )?;
    keep_access(tx, family.id, &tokens.access, issued.access_expires_at, by.at)?;
    if let (Some(refresh), Some(expires_at)) = (tokens.refresh, issued.refresh_expires_at) {
        let held = HeldRefresh {
            digest: refresh.digest,
            family: family.id,
            generation: 0,
            issued_at: by.at,
            expires_at,
            used_at: None,
            state: RefreshState::Current,
        };
        keep_refresh(tx, &held, &tokens.access.key)?;
    }
    tx.note(&notes::issued(family), by)?;
    Ok(issued)
}

fn keep_access(
    tx: &Tx<'_>,
    family: FamilyId,
    new: &NewAccess,
    expires_at: UnixTime,
    now: UnixTime,
) -> Result<(), StoreError> {
    let scopes = new.scopes.as_deref().map(Spaced);
    tx.execute(
        "INSERT INTO access (key, family, issued_at, expires_at, scopes, revoked) VALUES (?1, ?2, ?3, ?4, ?5, 0)",
        params![new.key, family, now, expires_at, scopes],
    )?;
    Ok(())
}

fn keep_refresh(tx: &Tx<'_>, refresh: &HeldRefresh, with: &AccessKey) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO refresh (digest, family, generation, issued_at, expires_at, used_at, state, access) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            refresh.digest,
            refresh.family,
            refresh.generation,
            refresh.issued_at,
            refresh.expires_at,
            refresh.used_at,
            refresh.state,
            with,
        ],
    )?;
    Ok(())
}

/// A refresh token with its family and the access token that came with it.
struct Found {
    family: Family,
    refresh: HeldRefresh,
    access: AccessKey,
}

fn found_of(row: &Row<'_>) -> rusqlite::Result<Found> {
    let family = family_of(row)?;
    Ok(Found {
        refresh: HeldRefresh {
            digest: row.get(AFTER_FAMILY)?,
            family: family.id,
            generation: row.get(AFTER_FAMILY + 1)?,
            issued_at: row.get(AFTER_FAMILY + 2)?,
            expires_at: row.get(AFTER_FAMILY + 3)?,
            used_at: row.get(AFTER_FAMILY + 4)?,
            state: row.get(AFTER_FAMILY + 5)?,
        },
        access: row.get(AFTER_FAMILY + 6)?,
        family,
    })
}

const REFRESH: &str = "r.digest, r.generation, r.issued_at, r.expires_at, r.used_at, r.state, r.access";

fn refresh(connection: &Connection, realm: &RealmName, digest: Digest) -> Result<Option<Found>, StoreError> {
    let sql = format!(
        "SELECT {FAMILY}, {REFRESH} FROM refresh r JOIN families f ON f.id = r.family WHERE r.digest = ?1 AND f.realm = ?2"
    );
    first(connection, &sql, params![digest, realm], found_of)
}

/// The refresh token of a family that may be used.
fn current(tx: &Tx<'_>, family: FamilyId) -> Result<Option<Found>, StoreError> {
    let sql = format!(
        "SELECT {FAMILY}, {REFRESH} FROM refresh r JOIN families f ON f.id = r.family \
         WHERE r.family = ?1 AND r.state = ?2"
    );
    tx.first(&sql, params![family, RefreshState::Current], found_of)
}

pub(super) fn rotate(
    tx: &Tx<'_>,
    presented: &PresentedRefresh,
    next: NextTokens,
    now: UnixTime,
) -> Result<Rotation, StoreError> {
    let Some(found) = refresh(tx.connection(), &presented.realm, presented.digest)? else {
        return Ok(Rotation::Unknown);
    };
    let current = match found.refresh.state {
        RefreshState::Used => current(tx, found.family.id)?,
        RefreshState::Current | RefreshState::Replaced => None,
    };
    let successor = current.as_ref().map(|current| &current.refresh);
    match rules::judge_refresh(&found.refresh, &found.family, successor, presented, now) {
        RefreshVerdict::Rotate => {
            tx.execute(
                "UPDATE refresh SET state = ?2, used_at = ?3 WHERE digest = ?1",
                params![presented.digest, RefreshState::Used, now],
            )?;
            extend(tx, found, next, now).map(Rotation::Rotated)
        }
        RefreshVerdict::RotateAgain => {
            if let Some(current) = current {
                tx.execute(
                    "UPDATE refresh SET state = ?2 WHERE digest = ?1",
                    params![current.refresh.digest, RefreshState::Replaced],
                )?;
                mark_access_revoked(tx, &current.access)?;
            }
            extend(tx, found, next, now).map(Rotation::RotatedAgain)
        }
        RefreshVerdict::Reused => {
            let family = found.family.id;
            mark_revoked(tx, family, now)?;
            tx.note(&notes::refresh_reused(&presented.realm, family), &By::system(now))?;
            Ok(Rotation::Reused { family })
        }
        RefreshVerdict::Expired => Ok(Rotation::Expired),
        RefreshVerdict::Revoked => Ok(Rotation::Revoked),
        RefreshVerdict::WrongClient => Ok(Rotation::WrongClient),
    }
}

/// Stores the tokens that follow `used`.
fn extend(tx: &Tx<'_>, used: Found, next: NextTokens, now: UnixTime) -> Result<Issued, StoreError> {
    let issued = rules::next_of_family(used.family, &next);
    let family = issued.family.id;
    tx.execute(
        "UPDATE families SET expires_at = ?2 WHERE id = ?1",
        params![family, issued.family.expires_at],
    )?;
    keep_access(tx, family, &next.access, issued.access_expires_at, now)?;
    let held = HeldRefresh {
        digest: next.refresh.digest,
        family,
        generation: used.refresh.generation.saturating_add(1),
        issued_at: now,
        expires_at: issued.refresh_expires_at.unwrap_or(issued.family.expires_at),
        used_at: None,
        state: RefreshState::Current,
    };
    keep_refresh(tx, &held, &next.access.key)?;
    Ok(issued)
}

/// An access token as it is kept, with its family.
struct FoundAccess {
    family: Family,
    issued_at: UnixTime,
    expires_at: UnixTime,
    scopes: Option<Vec<Scope>>,
    revoked: bool,
}

fn found_access(
    connection: &Connection,
    realm: &RealmName,
    key: &AccessKey,
) -> Result<Option<FoundAccess>, StoreError> {
    let sql = format!(
        "SELECT {FAMILY}, a.issued_at, a.expires_at, a.scopes, a.revoked FROM access a JOIN families f ON f.id = a.family \
         WHERE a.key = ?1 AND f.realm = ?2"
    );
    first(connection, &sql, params![key, realm], |row| {
        Ok(FoundAccess {
            family: family_of(row)?,
            issued_at: row.get(AFTER_FAMILY)?,
            expires_at: row.get(AFTER_FAMILY + 1)?,
            scopes: row
                .get::<_, Option<Words<_>>>(AFTER_FAMILY + 2)?
                .map(|words| words.0),
            revoked: row.get(AFTER_FAMILY + 3)?,
        })
    })
}

fn denied_until(
    connection: &Connection,
    realm: &RealmName,
    key: &AccessKey,
) -> Result<Option<UnixTime>, StoreError> {
    first(
        connection,
        "SELECT until FROM denied WHERE realm = ?1 AND key = ?2",
        params![realm, key],
        |row| row.get(0),
    )
}

pub(super) fn access(
    connection: &Connection,
    realm: &RealmName,
    key: &AccessKey,
    now: UnixTime,
) -> Result<Access, StoreError> {
    let Some(found) = found_access(connection, realm, key)? else {
        return Ok(match denied_until(connection, realm, key)? {
            Some(until) if now < until => Access::Revoked,
            Some(_) | None => Access::Unknown,
        });
    };
    if found.revoked || found.family.revoked_at.is_some() {
        return Ok(Access::Revoked);
    }
    if now >= found.expires_at {
        return Ok(Access::Expired(Box::new(found.family)));
    }
    Ok(Access::Live(Box::new(LiveAccess {
        scopes: found.scopes.unwrap_or_else(|| found.family.scopes.clone()),
        family: found.family,
        issued_at: found.issued_at,
        expires_at: found.expires_at,
    })))
}

pub(super) fn refresh_facts(
    connection: &Connection,
    realm: &RealmName,
    digest: Digest,
) -> Result<Option<RefreshFacts>, StoreError> {
    let found = refresh(connection, realm, digest)?;
    Ok(found.map(|found| RefreshFacts {
        family: found.family,
        generation: found.refresh.generation,
        issued_at: found.refresh.issued_at,
        expires_at: found.refresh.expires_at,
        state: found.refresh.state,
    }))
}

pub(super) fn list(
    connection: &Connection,
    filter: &FamilyFilter,
    paging: &Paging<FamilyPlace>,
) -> Result<FamilyPage, StoreError> {
    // A statement for each combination, so that each goes by its own index.
    let user = if filter.user.is_some() {
        "f.user = ?5"
    } else {
        "?5 IS NULL"
    };
    let client = if filter.client_id.is_some() {
        "f.client_id = ?6"
    } else {
        "?6 IS NULL"
    };
    let sql = format!(
        "SELECT {FAMILY} FROM families f WHERE f.realm = ?1 AND (f.created_at, f.id) < (?2, ?3) \
         AND (?4 IS NULL OR (f.revoked_at IS NULL AND f.expires_at > ?4)) AND {user} AND {client} \
         ORDER BY f.created_at DESC, f.id DESC LIMIT ?7"
    );
    let last = FamilyPlace {
        created_at: UnixTime(i64::MAX),
        id: FamilyId::from_bytes([0xff; 16]),
    };
    let place = paging.after.unwrap_or(last);
    let live_at = match filter.which {
        Which::LiveAt(now) => Some(now),
        Which::All => None,
    };
    let families = all(
        connection,
        &sql,
        params![
            filter.realm,
            place.created_at,
            place.id,
            live_at,
            filter.user,
            filter.client_id,
            rows_of(paging.size),
        ],
        family_of,
    )?;
    Ok(page(families, paging.size, |family| FamilyPlace {
        created_at: family.created_at,
        id: family.id,
    }))
}

pub(super) fn revoke_access(
    tx: &Tx<'_>,
    realm: &RealmName,
    key: &AccessKey,
    until: UnixTime,
    by: &By,
) -> Result<Revocation, StoreError> {
    if let Some(found) = found_access(tx.connection(), realm, key)? {
        if found.revoked || found.family.revoked_at.is_some() {
            return Ok(Revocation::Already);
        }
        mark_access_revoked(tx, key)?;
        tx.note(&notes::access_revoked(realm, key, Some(found.family.id)), by)?;
        return Ok(Revocation::Revoked);
    }
    match key {
        AccessKey::Opaque(_) => return Ok(Revocation::Unknown),
        AccessKey::Jwt(_) => {}
    }
    if denied_until(tx.connection(), realm, key)?.is_some_and(|held| until <= held) {
        return Ok(Revocation::Already);
    }
    tx.execute(
        "INSERT OR REPLACE INTO denied (realm, key, until) VALUES (?1, ?2, ?3)",
        params![realm, key, until],
    )?;
    tx.tell(Change::AccessRevoked(key.clone()))?;
    tx.note(&notes::access_revoked(realm, key, None), by)?;
    Ok(Revocation::Revoked)
}

pub(super) fn revoke_refresh(
    tx: &Tx<'_>,
    realm: &RealmName,
    digest: Digest,
    client_id: &ClientId,
    by: &By,
) -> Result<Revocation, StoreError> {
    match refresh(tx.connection(), realm, digest)? {
        None => Ok(Revocation::Unknown),
        Some(found) if found.family.client_id != *client_id => Ok(Revocation::WrongClient),
        Some(found) => revoke_family(tx, realm, found.family.id, by),
    }
}

pub(super) fn revoke_family(
    tx: &Tx<'_>,
    realm: &RealmName,
    id: FamilyId,
    by: &By,
) -> Result<Revocation, StoreError> {
    if family(tx.connection(), realm, id)?.is_none() {
        return Ok(Revocation::Unknown);
    }
    match mark_revoked(tx, id, by.at)? {
        Mark::Now => {
            tx.note(&notes::family_revoked(realm, id), by)?;
            Ok(Revocation::Revoked)
        }
        Mark::Before => Ok(Revocation::Already),
    }
}

pub(super) fn revoke_families_of(
    tx: &Tx<'_>,
    realm: &RealmName,
    holder: &Holder,
    by: &By,
) -> Result<u32, StoreError> {
    let revoked = revoke_held_by(tx, realm, holder, by.at)?;
    tx.note(&notes::families_revoked(realm, holder, revoked), by)?;
    Ok(revoked)
}

/// Revokes the live families of `holder` and drops its codes. The answer is how many families.
pub(super) fn revoke_held_by(
    tx: &Tx<'_>,
    realm: &RealmName,
    holder: &Holder,
    at: UnixTime,
) -> Result<u32, StoreError> {
    codes::drop_unused(tx, realm, holder)?;
    let id = |row: &Row<'_>| row.get::<_, FamilyId>(0);
    let revoked = match holder {
        Holder::User(user) => tx.all(
            "UPDATE families SET revoked_at = ?1 WHERE realm = ?2 AND user = ?3 AND revoked_at IS NULL \
             AND expires_at > ?1 RETURNING id",
            params![at, realm, user],
            id,
        )?,
        Holder::Application(client_id) => tx.all(
            "UPDATE families SET revoked_at = ?1 WHERE realm = ?2 AND client_id = ?3 AND revoked_at IS NULL \
             AND expires_at > ?1 RETURNING id",
            params![at, realm, client_id],
            id,
        )?,
        Holder::UserAtApplication(user, client_id) => tx.all(
            "UPDATE families SET revoked_at = ?1 WHERE realm = ?2 AND user = ?3 AND client_id = ?4 \
             AND revoked_at IS NULL AND expires_at > ?1 RETURNING id",
            params![at, realm, user, client_id],
            id,
        )?,
    };
    for id in &revoked {
        tx.tell(Change::FamilyRevoked(*id))?;
    }
    Ok(u32::try_from(revoked.len()).unwrap_or(u32::MAX))
}

/// Was a family revoked by this, or before?
pub(super) enum Mark {
    /// By this.
    Now,
    /// Before, or it is gone.
    Before,
}

pub(super) fn mark_revoked(tx: &Tx<'_>, id: FamilyId, at: UnixTime) -> Result<Mark, StoreError> {
    let marked = tx.execute(
        "UPDATE families SET revoked_at = ?2 WHERE id = ?1 AND revoked_at IS NULL",
        params![id, at],
    )?;
    if marked == 0 {
        return Ok(Mark::Before);
    }
    tx.tell(Change::FamilyRevoked(id))?;
    Ok(Mark::Now)
}

fn mark_access_revoked(tx: &Tx<'_>, key: &AccessKey) -> Result<(), StoreError> {
    let marked = tx.execute(
        "UPDATE access SET revoked = 1 WHERE key = ?1 AND revoked = 0",
        params![key],
    )?;
    if marked > 0 {
        tx.tell(Change::AccessRevoked(key.clone()))?;
    }
    Ok(())
}

pub(super) fn standing(
    connection: &Connection,
    realm: &RealmName,
    of: &StandingOf,
    now: UnixTime,
) -> Result<Standing, StoreError> {
    let mut standing = Standing::default();
    if let Some(id) = of.user {
        let user = first(
            connection,
            "SELECT state, key FROM users WHERE realm = ?1 AND id = ?2",
            params![realm, id],
            |row| Ok((row.get(0)?, row.get::<_, AccountKey>(1)?)),
        )?;
        if let Some((state, key)) = user {
            standing.user = Some(UserStanding {
                state,
                locked_until: attempts::locked_until(connection, realm, &key, now)?,
            });
        }
    }
    if let Some(client_id) = &of.client_id {
        standing.application = first(
            connection,
            "SELECT state FROM applications WHERE realm = ?1 AND client_id = ?2",
            params![realm, client_id],
            |row| row.get(0),
        )?;
    }
    if let Some(id) = of.family {
        standing.family = first(
            connection,
            "SELECT revoked_at, expires_at FROM families WHERE id = ?1 AND realm = ?2",
            params![id, realm],
            |row| {
                Ok(FamilyStanding {
                    revoked_at: row.get(0)?,
                    expires_at: row.get(1)?,
                })
            },
        )?;
    }
    Ok(standing)
}
