//! What the operations write into the audit log: one sentence for each, the same for every backend.

use super::backend::Holder;
use super::model::{
    AccessKey, Application, ApplicationEdit, AuditNote, CustomerRecord, Enrolment, Family, Node,
    RemoteSession, Session, User, UserAccess, UserState,
};
use crate::base::clock::UnixTime;
use crate::identity::{AccountKey, ClientId, CustomerId, EnrolmentId, FamilyId, RealmName, TenantId, UserId};

fn note(
    realm: &RealmName,
    action: &str,
    subject: impl std::fmt::Display,
    detail: impl Into<String>,
) -> AuditNote {
    AuditNote {
        realm: Some(realm.clone()),
        action: Box::from(action),
        subject: subject.to_string().into_boxed_str(),
        detail: detail.into().into_boxed_str(),
    }
}

pub(super) fn user_created(user: &User) -> AuditNote {
    let detail = format!("{} ({})", user.name, user.state);
    note(&user.realm, "user.create", user.id, detail)
}

pub(super) fn password_set(realm: &RealmName, user: UserId, state: UserState) -> AuditNote {
    note(realm, "user.password", user, state.as_str())
}

pub(super) fn state_changed(realm: &RealmName, user: UserId, from: UserState, to: UserState) -> AuditNote {
    note(realm, "user.state", user, format!("{from} -> {to}"))
}

pub(super) fn access_changed(realm: &RealmName, user: UserId, access: &UserAccess) -> AuditNote {
    let customer = access.customer.as_ref().map_or("none", CustomerId::as_str);
    let roles: Vec<&str> = access.roles.iter().map(|role| role.as_str()).collect();
    let tenants: Vec<&str> = access.tenants.iter().map(|grant| grant.tenant.as_str()).collect();
    let detail = format!(
        "customer {customer}; roles {}; reach {}; tenants {}",
        roles.join(" "),
        access.reach,
        tenants.join(" ")
    );
    note(realm, "user.access", user, detail)
}

pub(super) fn user_deleted(user: &User) -> AuditNote {
    note(&user.realm, "user.delete", user.id, user.name.as_str())
}

pub(super) fn application_created(application: &Application) -> AuditNote {
    let tenant = application
        .tenant
        .as_ref()
        .map_or_else(String::new, |tenant| format!(" for tenant {tenant}"));
    let detail = format!("{}{tenant}", application.name);
    note(
        &application.realm,
        "application.create",
        &application.client_id,
        detail,
    )
}

pub(super) fn application_changed(
    realm: &RealmName,
    client_id: &ClientId,
    edit: &ApplicationEdit,
) -> AuditNote {
    let detail = format!("{} ({})", edit.name, edit.state);
    note(realm, "application.change", client_id, detail)
}

pub(super) fn secret_rotated(realm: &RealmName, client_id: &ClientId) -> AuditNote {
    note(realm, "application.secret", client_id, "")
}

pub(super) fn application_deleted(realm: &RealmName, client_id: &ClientId, revoked: u32) -> AuditNote {
    let detail = format!("{revoked} families revoked");
    note(realm, "application.delete", client_id, detail)
}

pub(super) fn enrolment_created(enrolment: &Enrolment) -> AuditNote {
    note(
        &enrolment.realm,
        "enrolment.create",
        enrolment.id,
        of_tenant(enrolment.tenant.as_ref()),
    )
}

pub(super) fn enrolment_deleted(realm: &RealmName, id: EnrolmentId) -> AuditNote {
    note(realm, "enrolment.delete", id, "")
}

pub(super) fn node_joined(node: &Node) -> AuditNote {
    note(
        &node.realm,
        "node.join",
        &node.uuid,
        of_tenant(node.tenant.as_ref()),
    )
}

pub(super) fn node_removed(node: &Node) -> AuditNote {
    note(
        &node.realm,
        "node.remove",
        &node.uuid,
        of_tenant(node.tenant.as_ref()),
    )
}

fn of_tenant(tenant: Option<&TenantId>) -> String {
    tenant.map_or_else(String::new, |tenant| format!("tenant {tenant}"))
}

pub(super) fn remote_opened(session: &RemoteSession) -> AuditNote {
    remote("session.open", session)
}

pub(super) fn remote_ended(session: &RemoteSession) -> AuditNote {
    remote("session.end", session)
}

fn remote(action: &str, session: &RemoteSession) -> AuditNote {
    AuditNote {
        realm: None,
        action: Box::from(action),
        subject: Box::from(session.sign_in.as_str()),
        detail: Box::from("signed in elsewhere"),
    }
}

pub(super) fn customer_written(customer: &CustomerRecord) -> AuditNote {
    AuditNote {
        realm: None,
        action: Box::from("customer.put"),
        subject: Box::from(customer.id.as_str()),
        detail: Box::from(customer.name.as_str()),
    }
}

pub(super) fn customer_deleted(id: &CustomerId) -> AuditNote {
    AuditNote {
        realm: None,
        action: Box::from("customer.delete"),
        subject: Box::from(id.as_str()),
        detail: Box::from(""),
    }
}

pub(super) fn locked(realm: &RealmName, key: &AccountKey, until: UnixTime) -> AuditNote {
    note(realm, "account.lock", key, format!("until {}", until.0))
}

pub(super) fn unlocked(realm: &RealmName, key: &AccountKey) -> AuditNote {
    note(realm, "account.unlock", key, "")
}

pub(super) fn session_opened(session: &Session) -> AuditNote {
    let client = session.client_id.as_ref().map_or("", ClientId::as_str);
    note(&session.realm, "session.open", session.user, client)
}

pub(super) fn session_ended(session: &Session) -> AuditNote {
    note(&session.realm, "session.end", session.user, "")
}

pub(super) fn sessions_ended(realm: &RealmName, user: UserId, ended: u32) -> AuditNote {
    note(realm, "session.end", user, format!("{ended} sessions"))
}

pub(super) fn issued(family: &Family) -> AuditNote {
    let user = family
        .user
        .map_or_else(|| "itself".to_owned(), |user| user.to_string());
    let detail = format!("{} to {} for {user}", family.origin, family.client_id);
    note(&family.realm, "token.issue", family.id, detail)
}

pub(super) fn family_revoked(realm: &RealmName, family: FamilyId) -> AuditNote {
    note(realm, "token.revoke", family, "")
}

pub(super) fn families_revoked(realm: &RealmName, holder: &Holder, revoked: u32) -> AuditNote {
    let detail = format!("{revoked} families");
    match holder {
        Holder::User(user) => note(realm, "token.revoke", user, detail),
        Holder::Application(client) => note(realm, "token.revoke", client, detail),
        Holder::UserAtApplication(user, client) => {
            note(realm, "token.revoke", user, format!("{detail} at {client}"))
        }
    }
}

/// The `jti` is no secret; of an opaque token's digest the log has no use.
pub(super) fn access_revoked(realm: &RealmName, key: &AccessKey, family: Option<FamilyId>) -> AuditNote {
    let subject = family.map_or_else(|| "unknown".to_owned(), |family| family.to_string());
    match key {
        AccessKey::Opaque(_) => note(realm, "token.revoke", subject, "one access token"),
        AccessKey::Jwt(jti) => note(realm, "token.revoke", subject, format!("jti {jti}")),
    }
}

pub(super) fn code_reused(realm: &RealmName, family: FamilyId) -> AuditNote {
    note(
        realm,
        "code.reuse",
        family,
        "a code was presented twice; the family is revoked",
    )
}

pub(super) fn refresh_reused(realm: &RealmName, family: FamilyId) -> AuditNote {
    note(
        realm,
        "refresh.reuse",
        family,
        "a refresh token was used again; the family is revoked",
    )
}
