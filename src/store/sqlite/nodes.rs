//! Nodes and enrolment tokens in the file.

use rusqlite::{Connection, Row, params};

use super::applications;
use super::log::{page, rows_of};
use super::touches::Touches;
use super::transaction::{Tx, all, first};
use super::values::Spaced;
use super::values::Words;
use crate::base::clock::UnixTime;
use crate::identity::{EnrolmentId, NodeUuid, RealmName};
use crate::store::backend::{Paging, TenantFilter};
use crate::store::error::StoreError;
use crate::store::model::{By, Enrolment, Joining, NewNode, Node, Used};
use crate::store::notes;
use crate::store::outcome::{Creation, Edit, EnrolmentPage, Joined, NodePage};
use crate::store::rules;

const ENROLMENT: &str = "realm, id, digest, hint, metadata, customer, tenant, scopes, created_at, created_by, expires_at, \
                         node, used_at";

const NODE: &str = "realm, uuid, id, customer, tenant, metadata, joined_at, let_in_by, last_seen";

fn enrolment_of(row: &Row<'_>) -> rusqlite::Result<Enrolment> {
    let node: Option<NodeUuid> = row.get(11)?;
    let at: Option<UnixTime> = row.get(12)?;
    Ok(Enrolment {
        realm: row.get(0)?,
        id: row.get(1)?,
        digest: row.get(2)?,
        hint: row.get(3)?,
        metadata: row.get(4)?,
        customer: row.get(5)?,
        tenant: row.get(6)?,
        scopes: row.get::<_, Words<_>>(7)?.0,
        created_at: row.get(8)?,
        created_by: row.get(9)?,
        expires_at: row.get(10)?,
        used: node.zip(at).map(|(node, at)| Used { node, at }),
    })
}

fn node_of(row: &Row<'_>) -> rusqlite::Result<Node> {
    Ok(Node {
        realm: row.get(0)?,
        uuid: row.get(1)?,
        id: row.get(2)?,
        customer: row.get(3)?,
        tenant: row.get(4)?,
        metadata: row.get(5)?,
        joined_at: row.get(6)?,
        let_in_by: row.get(7)?,
        last_seen: row.get(8)?,
    })
}

pub(super) fn create(tx: &Tx<'_>, enrolment: &Enrolment, by: &By) -> Result<Creation, StoreError> {
    let sql = format!(
        "INSERT INTO enrolments ({ENROLMENT}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, NULL, NULL) \
         ON CONFLICT DO NOTHING"
    );
    let created = tx.execute(
        &sql,
        params![
            enrolment.realm,
            enrolment.id,
            enrolment.digest,
            enrolment.hint,
            enrolment.metadata,
            enrolment.customer,
            enrolment.tenant,
            Spaced(&enrolment.scopes),
            enrolment.created_at,
            enrolment.created_by,
            enrolment.expires_at,
        ],
    )?;
    if created == 0 {
        return Ok(Creation::Exists);
    }
    tx.note(&notes::enrolment_created(enrolment), by)?;
    Ok(Creation::Created)
}

pub(super) fn by_id(
    connection: &Connection,
    realm: &RealmName,
    id: EnrolmentId,
) -> Result<Option<Enrolment>, StoreError> {
    let sql = format!("SELECT {ENROLMENT} FROM enrolments WHERE realm = ?1 AND id = ?2");
    first(connection, &sql, params![realm, id], enrolment_of)
}

pub(super) fn list(
    connection: &Connection,
    filter: &TenantFilter,
    paging: &Paging<EnrolmentId>,
) -> Result<EnrolmentPage, StoreError> {
    let sql = format!(
        "SELECT {ENROLMENT} FROM enrolments WHERE realm = ?1 AND tenant IS ?2 AND (?3 IS NULL OR id > ?3) \
         ORDER BY id LIMIT ?4"
    );
    let values = params![filter.realm, filter.tenant, paging.after, rows_of(paging.size)];
    let found = all(connection, &sql, values, enrolment_of)?;
    Ok(page(found, paging.size, |enrolment| enrolment.id))
}

pub(super) fn delete(tx: &Tx<'_>, realm: &RealmName, id: EnrolmentId, by: &By) -> Result<Edit, StoreError> {
    let gone = tx.execute(
        "DELETE FROM enrolments WHERE realm = ?1 AND id = ?2",
        params![realm, id],
    )?;
    if gone == 0 {
        return Ok(Edit::Unknown);
    }
    tx.note(&notes::enrolment_deleted(realm, id), by)?;
    Ok(Edit::Done)
}

/// Uses up a token and lets its node in, or neither.
/// Why nobody joins by this token, as far as one can tell by looking.
pub(super) fn refused(
    connection: &Connection,
    joining: &Joining,
    now: UnixTime,
) -> Result<Option<Joined>, StoreError> {
    Ok(rules::enrolment_at(by_token(connection, joining)?, now).err())
}

fn by_token(connection: &Connection, joining: &Joining) -> Result<Option<Enrolment>, StoreError> {
    let sql = format!("SELECT {ENROLMENT} FROM enrolments WHERE realm = ?1 AND digest = ?2");
    first(
        connection,
        &sql,
        params![joining.realm, joining.token],
        enrolment_of,
    )
}

pub(super) fn join(tx: &Tx<'_>, joining: &Joining, now: UnixTime) -> Result<Joined, StoreError> {
    let enrolment = match rules::enrolment_at(by_token(tx.connection(), joining)?, now) {
        Ok(enrolment) => enrolment,
        Err(outcome) => return Ok(outcome),
    };
    let new = rules::joining_node(joining, &enrolment, now);
    let by = By::new(enrolment.created_by.clone(), now);
    let joined = let_in(tx, new, &by)?;
    if let Joined::In(node) = &joined {
        tx.execute(
            "UPDATE enrolments SET node = ?3, used_at = ?4 WHERE realm = ?1 AND id = ?2",
            params![enrolment.realm, enrolment.id, node.uuid, now],
        )?;
    }
    Ok(joined)
}

/// Lets a node in. One that was in before, in the same tenant, keeps its identifier and loses its old secret and tokens.
pub(super) fn let_in(tx: &Tx<'_>, new: NewNode, by: &By) -> Result<Joined, StoreError> {
    let NewNode {
        mut node,
        secret,
        scopes,
    } = new;
    let before = held(tx.connection(), &node.realm, &node.uuid)?;
    if let Some(before) = before {
        if before.tenant != node.tenant || before.customer != node.customer {
            return Ok(Joined::Taken);
        }
        node.id = before.id;
        applications::delete(tx, &node.realm, &node.client_id(), by)?;
    }
    match applications::create(tx, &node.application(secret, scopes), by)? {
        Creation::Created => {}
        Creation::Exists => return Ok(Joined::Taken),
    }
    let sql = format!(
        "INSERT OR REPLACE INTO nodes ({NODE}, mark) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"
    );
    tx.execute(
        &sql,
        params![
            node.realm,
            node.uuid,
            node.id,
            node.customer,
            node.tenant,
            node.metadata,
            node.joined_at,
            node.let_in_by,
            node.last_seen,
            Node::mark(&node.realm, &node.uuid),
        ],
    )?;
    tx.note(&notes::node_joined(&node), by)?;
    Ok(Joined::In(Box::new(node)))
}

fn held(connection: &Connection, realm: &RealmName, uuid: &NodeUuid) -> Result<Option<Node>, StoreError> {
    let sql = format!("SELECT {NODE} FROM nodes WHERE realm = ?1 AND uuid = ?2");
    first(connection, &sql, params![realm, uuid], node_of)
}

/// With what is not written down yet.
fn seen(touches: &Touches, mut node: Node) -> Node {
    let mark = Node::mark(&node.realm, &node.uuid);
    let stored = node.last_seen.unwrap_or(UnixTime(i64::MIN));
    let seen = touches.last_seen(&mark, stored);
    node.last_seen = (seen.0 != i64::MIN).then_some(seen);
    node
}

pub(super) fn node(
    connection: &Connection,
    touches: &Touches,
    realm: &RealmName,
    uuid: &NodeUuid,
) -> Result<Option<Node>, StoreError> {
    Ok(held(connection, realm, uuid)?.map(|node| seen(touches, node)))
}

pub(super) fn nodes(
    connection: &Connection,
    touches: &Touches,
    filter: &TenantFilter,
    paging: &Paging<NodeUuid>,
) -> Result<NodePage, StoreError> {
    let sql = format!(
        "SELECT {NODE} FROM nodes WHERE realm = ?1 AND tenant IS ?2 AND uuid > ?3 ORDER BY uuid LIMIT ?4"
    );
    let after = paging.after.as_ref().map_or("", NodeUuid::as_str);
    let values = params![filter.realm, filter.tenant, after, rows_of(paging.size)];
    let found = all(connection, &sql, values, node_of)?;
    let found = found.into_iter().map(|node| seen(touches, node)).collect();
    Ok(page(found, paging.size, |node: &Node| node.uuid.clone()))
}

pub(super) fn remove(tx: &Tx<'_>, of: &TenantFilter, uuid: &NodeUuid, by: &By) -> Result<Edit, StoreError> {
    let realm = &of.realm;
    let held = held(tx.connection(), realm, uuid)?;
    let Some(node) = held.filter(|node| node.tenant == of.tenant) else {
        return Ok(Edit::Unknown);
    };
    tx.execute(
        "DELETE FROM nodes WHERE realm = ?1 AND uuid = ?2",
        params![realm, uuid],
    )?;
    applications::delete(tx, realm, &node.client_id(), by)?;
    tx.note(&notes::node_removed(&node), by)?;
    Ok(Edit::Done)
}
