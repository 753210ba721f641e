//! Users in the file.

use rusqlite::{Connection, Row, params};

use super::log::{page, rows_of};
use super::transaction::{Tx, all, first};
use super::values::{Json, Spaced, Words};
use super::{attempts, sessions, tokens};
use crate::base::clock::UnixTime;
use crate::base::secret::Secret;
use crate::identity::{AccountKey, RealmName, UserId};
use crate::store::backend::{Existing, Holder, Paging, UserFilter};
use crate::store::error::StoreError;
use crate::store::model::{By, Change, User, UserAccess, UserState};
use crate::store::notes;
use crate::store::outcome::{Creation, Edit, PasswordSet, Rehash, StateChange, UserPage};
use crate::store::rules::{self, Password};

const COLUMNS: &str = "realm, id, name, key, state, password, customer, roles, tenants, default_tenant, reach, \
                       created_at, changed_at";

fn user_of(row: &Row<'_>) -> rusqlite::Result<User> {
    Ok(User {
        realm: row.get(0)?,
        id: row.get(1)?,
        name: row.get(2)?,
        key: row.get(3)?,
        state: row.get(4)?,
        password: row.get(5)?,
        access: UserAccess {
            customer: row.get(6)?,
            roles: row.get::<_, Words<_>>(7)?.0,
            tenants: row.get::<_, Json<_>>(8)?.0,
            default_tenant: row.get(9)?,
            reach: row.get(10)?,
        },
        created_at: row.get(11)?,
        changed_at: row.get(12)?,
    })
}

pub(super) fn by_id(
    connection: &Connection,
    realm: &RealmName,
    id: UserId,
) -> Result<Option<User>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM users WHERE realm = ?1 AND id = ?2");
    first(connection, &sql, params![realm, id], user_of)
}

pub(super) fn by_key(
    connection: &Connection,
    realm: &RealmName,
    key: &AccountKey,
) -> Result<Option<User>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM users WHERE realm = ?1 AND key = ?2");
    first(connection, &sql, params![realm, key], user_of)
}

pub(super) fn list(
    connection: &Connection,
    filter: &UserFilter,
    paging: &Paging<AccountKey>,
) -> Result<UserPage, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM users WHERE realm = ?1 AND key > ?2 \
         AND (?3 IS NULL OR customer = ?3) AND (?4 IS NULL OR state = ?4) ORDER BY key LIMIT ?5"
    );
    let after = paging.after.as_ref().map_or("", AccountKey::as_str);
    let users = all(
        connection,
        &sql,
        params![
            filter.realm,
            after,
            filter.customer,
            filter.state,
            rows_of(paging.size)
        ],
        user_of,
    )?;
    Ok(page(users, paging.size, |user| user.key.clone()))
}

pub(super) fn create(tx: &Tx<'_>, user: &User, by: &By) -> Result<Creation, StoreError> {
    let sql = format!(
        "INSERT INTO users ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) \
         ON CONFLICT DO NOTHING"
    );
    let created = tx.execute(
        &sql,
        params![
            user.realm,
            user.id,
            user.name,
            user.key,
            user.state,
            user.password,
            user.access.customer,
            Spaced(&user.access.roles),
            Json(&user.access.tenants),
            user.access.default_tenant,
            user.access.reach,
            user.created_at,
            user.changed_at,
        ],
    )?;
    if created == 0 {
        return Ok(Creation::Exists);
    }
    tx.note(&notes::user_created(user), by)?;
    changed(tx, &user.realm, user.id)?;
    Ok(Creation::Created)
}

pub(super) fn set_password(
    tx: &Tx<'_>,
    realm: &RealmName,
    id: UserId,
    hash: &Secret,
    existing: Existing,
    by: &By,
) -> Result<PasswordSet, StoreError> {
    let Some((state, _)) = standing(tx, realm, id)? else {
        return Ok(PasswordSet::Unknown);
    };
    let state = rules::after_password(state);
    tx.execute(
        "UPDATE users SET password = ?3, state = ?4, changed_at = ?5 WHERE realm = ?1 AND id = ?2",
        params![realm, id, hash, state, by.at],
    )?;
    match existing {
        Existing::Keep => {}
        Existing::End => end_everything_of(tx, realm, id, by.at)?,
    }
    changed(tx, realm, id)?;
    tx.note(&notes::password_set(realm, id, state), by)?;
    Ok(PasswordSet::Set(state))
}

pub(super) fn rehash(
    tx: &Tx<'_>,
    realm: &RealmName,
    id: UserId,
    old: &Secret,
    new: &Secret,
) -> Result<Rehash, StoreError> {
    let replaced = tx.execute(
        "UPDATE users SET password = ?4 WHERE realm = ?1 AND id = ?2 AND password = ?3",
        params![realm, id, old, new],
    )?;
    Ok(if replaced == 0 {
        Rehash::Outdated
    } else {
        Rehash::Replaced
    })
}

pub(super) fn change_state(
    tx: &Tx<'_>,
    realm: &RealmName,
    id: UserId,
    to: UserState,
    by: &By,
) -> Result<StateChange, StoreError> {
    let Some((from, password)) = standing(tx, realm, id)? else {
        return Ok(StateChange::Unknown);
    };
    if from == to {
        return Ok(StateChange::Same);
    }
    if !rules::may_become(from, to, password) {
        return Ok(StateChange::NotAllowed(from));
    }
    tx.execute(
        "UPDATE users SET state = ?3, changed_at = ?4 WHERE realm = ?1 AND id = ?2",
        params![realm, id, to, by.at],
    )?;
    if to == UserState::Pending {
        tx.execute(
            "UPDATE users SET password = NULL WHERE realm = ?1 AND id = ?2",
            params![realm, id],
        )?;
    }
    if rules::ends_everything(to) {
        end_everything_of(tx, realm, id, by.at)?;
    }
    changed(tx, realm, id)?;
    tx.note(&notes::state_changed(realm, id, from, to), by)?;
    Ok(StateChange::Changed(from))
}

pub(super) fn change_access(
    tx: &Tx<'_>,
    realm: &RealmName,
    id: UserId,
    access: &UserAccess,
    by: &By,
) -> Result<Edit, StoreError> {
    let done = tx.execute(
        "UPDATE users SET customer = ?3, roles = ?4, tenants = ?5, default_tenant = ?6, reach = ?7, changed_at = ?8 \
         WHERE realm = ?1 AND id = ?2",
        params![
            realm,
            id,
            access.customer,
            Spaced(&access.roles),
            Json(&access.tenants),
            access.default_tenant,
            access.reach,
            by.at,
        ],
    )?;
    if done == 0 {
        return Ok(Edit::Unknown);
    }
    changed(tx, realm, id)?;
    tx.note(&notes::access_changed(realm, id, access), by)?;
    Ok(Edit::Done)
}

pub(super) fn delete(tx: &Tx<'_>, realm: &RealmName, id: UserId, by: &By) -> Result<Edit, StoreError> {
    let sql = format!("DELETE FROM users WHERE realm = ?1 AND id = ?2 RETURNING {COLUMNS}");
    let Some(user) = tx.all(&sql, params![realm, id], user_of)?.pop() else {
        return Ok(Edit::Unknown);
    };
    end_everything_of(tx, realm, id, by.at)?;
    tx.note(&notes::user_deleted(&user), by)?;
    changed(tx, realm, id)?;
    attempts::forget(tx, realm, &user.key)?;
    Ok(Edit::Done)
}

fn standing(tx: &Tx<'_>, realm: &RealmName, id: UserId) -> Result<Option<(UserState, Password)>, StoreError> {
    tx.first(
        "SELECT state, password IS NOT NULL FROM users WHERE realm = ?1 AND id = ?2",
        params![realm, id],
        |row| {
            let password = if row.get(1)? {
                Password::Chosen
            } else {
                Password::Missing
            };
            Ok((row.get(0)?, password))
        },
    )
}

fn end_everything_of(tx: &Tx<'_>, realm: &RealmName, id: UserId, at: UnixTime) -> Result<(), StoreError> {
    sessions::drop_of(tx, realm, id)?;
    tokens::revoke_held_by(tx, realm, &Holder::User(id), at)?;
    Ok(())
}

fn changed(tx: &Tx<'_>, realm: &RealmName, user: UserId) -> Result<(), StoreError> {
    tx.tell(Change::UserChanged {
        realm: realm.clone(),
        user,
    })
}
