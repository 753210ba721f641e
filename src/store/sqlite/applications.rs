//! Applications and customers in the file.

use rusqlite::{Connection, Row, params};

use super::log::{page, rows_of};
use super::tokens;
use super::transaction::{Tx, all, first};
use super::values::{HeldQuota, Json, Spaced, Words, held_quotas, quotas};
use crate::base::clock::UnixTime;
use crate::base::digest::Digest;
use crate::identity::{ClientId, CustomerId, RealmName};
use crate::store::backend::{ApplicationFilter, Holder, Paging};
use crate::store::error::StoreError;
use crate::store::model::{Application, ApplicationEdit, By, Change, CustomerRecord};
use crate::store::notes;
use crate::store::outcome::{ApplicationPage, Creation, CustomerPage, Edit, Written};

const COLUMNS: &str = "realm, client_id, name, secret, redirect_uris, owner, customer, tenant, scopes, grants, state, \
                       created_at, created_by";

fn application_of(row: &Row<'_>) -> rusqlite::Result<Application> {
    Ok(Application {
        realm: row.get(0)?,
        client_id: row.get(1)?,
        name: row.get(2)?,
        secret: row.get(3)?,
        redirect_uris: row.get::<_, Json<_>>(4)?.0,
        owner: row.get(5)?,
        customer: row.get(6)?,
        tenant: row.get(7)?,
        scopes: row.get::<_, Words<_>>(8)?.0,
        grants: row.get::<_, Words<_>>(9)?.0,
        state: row.get(10)?,
        created_at: row.get(11)?,
        created_by: row.get(12)?,
    })
}

pub(super) fn by_id(
    connection: &Connection,
    realm: &RealmName,
    client_id: &ClientId,
) -> Result<Option<Application>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM applications WHERE realm = ?1 AND client_id = ?2");
    first(connection, &sql, params![realm, client_id], application_of)
}

pub(super) fn list(
    connection: &Connection,
    filter: &ApplicationFilter,
    paging: &Paging<ClientId>,
) -> Result<ApplicationPage, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM applications WHERE realm = ?1 AND client_id > ?2 AND (?3 IS NULL OR owner = ?3) \
         ORDER BY client_id LIMIT ?4"
    );
    let after = paging.after.as_ref().map_or("", ClientId::as_str);
    let applications = all(
        connection,
        &sql,
        params![filter.realm, after, filter.owner, rows_of(paging.size)],
        application_of,
    )?;
    Ok(page(applications, paging.size, |application| {
        application.client_id.clone()
    }))
}

pub(super) fn create(tx: &Tx<'_>, application: &Application, by: &By) -> Result<Creation, StoreError> {
    let sql = format!(
        "INSERT INTO applications ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) \
         ON CONFLICT DO NOTHING"
    );
    let created = tx.execute(
        &sql,
        params![
            application.realm,
            application.client_id,
            application.name,
            application.secret,
            Json(&application.redirect_uris),
            application.owner,
            application.customer,
            application.tenant,
            Spaced(&application.scopes),
            Spaced(&application.grants),
            application.state,
            application.created_at,
            application.created_by,
        ],
    )?;
    if created == 0 {
        return Ok(Creation::Exists);
    }
    tx.note(&notes::application_created(application), by)?;
    changed(tx, &application.realm, &application.client_id)?;
    Ok(Creation::Created)
}

pub(super) fn change(
    tx: &Tx<'_>,
    realm: &RealmName,
    client_id: &ClientId,
    edit: &ApplicationEdit,
    by: &By,
) -> Result<Edit, StoreError> {
    let done = tx.execute(
        "UPDATE applications SET name = ?3, redirect_uris = ?4, scopes = ?5, grants = ?6, state = ?7 \
         WHERE realm = ?1 AND client_id = ?2",
        params![
            realm,
            client_id,
            edit.name,
            Json(&edit.redirect_uris),
            Spaced(&edit.scopes),
            Spaced(&edit.grants),
            edit.state,
        ],
    )?;
    if done == 0 {
        return Ok(Edit::Unknown);
    }
    changed(tx, realm, client_id)?;
    tx.note(&notes::application_changed(realm, client_id, edit), by)?;
    Ok(Edit::Done)
}

pub(super) fn rotate_secret(
    tx: &Tx<'_>,
    realm: &RealmName,
    client_id: &ClientId,
    secret: Digest,
    by: &By,
) -> Result<Edit, StoreError> {
    let done = tx.execute(
        "UPDATE applications SET secret = ?3 WHERE realm = ?1 AND client_id = ?2",
        params![realm, client_id, secret],
    )?;
    if done == 0 {
        return Ok(Edit::Unknown);
    }
    changed(tx, realm, client_id)?;
    tx.note(&notes::secret_rotated(realm, client_id), by)?;
    Ok(Edit::Done)
}

pub(super) fn delete(
    tx: &Tx<'_>,
    realm: &RealmName,
    client_id: &ClientId,
    by: &By,
) -> Result<Edit, StoreError> {
    let gone = tx.execute(
        "DELETE FROM applications WHERE realm = ?1 AND client_id = ?2",
        params![realm, client_id],
    )?;
    if gone == 0 {
        return Ok(Edit::Unknown);
    }
    let revoked = tokens::revoke_held_by(tx, realm, &Holder::Application(client_id.clone()), by.at)?;
    changed(tx, realm, client_id)?;
    tx.note(&notes::application_deleted(realm, client_id, revoked), by)?;
    Ok(Edit::Done)
}

fn changed(tx: &Tx<'_>, realm: &RealmName, client_id: &ClientId) -> Result<(), StoreError> {
    tx.tell(Change::ApplicationChanged {
        realm: realm.clone(),
        client_id: client_id.clone(),
    })
}

const CUSTOMER: &str = "id, name, region, quotas, tenants, created_at, uuid";

fn customer_of(row: &Row<'_>) -> rusqlite::Result<CustomerRecord> {
    Ok(CustomerRecord {
        id: row.get(0)?,
        name: row.get(1)?,
        region: row.get(2)?,
        quotas: quotas(row.get::<_, Json<Vec<HeldQuota>>>(3)?.0),
        tenants: row.get::<_, Json<_>>(4)?.0,
        created_at: row.get(5)?,
        uuid: row.get(6)?,
    })
}

pub(super) fn customer(
    connection: &Connection,
    id: &CustomerId,
) -> Result<Option<CustomerRecord>, StoreError> {
    let sql = format!("SELECT {CUSTOMER} FROM customers WHERE id = ?1");
    first(connection, &sql, params![id], customer_of)
}

pub(super) fn customers(
    connection: &Connection,
    paging: &Paging<CustomerId>,
) -> Result<CustomerPage, StoreError> {
    let sql = format!("SELECT {CUSTOMER} FROM customers WHERE id > ?1 ORDER BY id LIMIT ?2");
    let after = paging.after.as_ref().map_or("", CustomerId::as_str);
    let customers = all(
        connection,
        &sql,
        params![after, rows_of(paging.size)],
        customer_of,
    )?;
    Ok(page(customers, paging.size, |customer| customer.id.clone()))
}

pub(super) fn put_customer(tx: &Tx<'_>, customer: &CustomerRecord, by: &By) -> Result<Written, StoreError> {
    let before: Option<UnixTime> = tx.first(
        "SELECT created_at FROM customers WHERE id = ?1",
        params![customer.id],
        |row| row.get(0),
    )?;
    if let Some(uuid) = &customer.uuid {
        let other: Option<CustomerId> = tx.first(
            "SELECT id FROM customers WHERE uuid = ?1 AND id <> ?2",
            params![uuid, customer.id],
            |row| row.get(0),
        )?;
        if other.is_some() {
            return Ok(Written::Taken);
        }
    }
    let sql = format!("INSERT OR REPLACE INTO customers ({CUSTOMER}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)");
    tx.execute(
        &sql,
        params![
            customer.id,
            customer.name,
            customer.region,
            held_quotas(&customer.quotas),
            Json(&customer.tenants),
            before.unwrap_or(customer.created_at),
            customer.uuid,
        ],
    )?;
    tx.note(&notes::customer_written(customer), by)?;
    tx.tell(Change::CustomerChanged(customer.id.clone()))?;
    Ok(match before {
        Some(_) => Written::Replaced,
        None => Written::Created,
    })
}

pub(super) fn delete_customer(tx: &Tx<'_>, id: &CustomerId, by: &By) -> Result<Edit, StoreError> {
    if tx.execute("DELETE FROM customers WHERE id = ?1", params![id])? == 0 {
        return Ok(Edit::Unknown);
    }
    tx.note(&notes::customer_deleted(id), by)?;
    tx.tell(Change::CustomerChanged(id.clone()))?;
    Ok(Edit::Done)
}
