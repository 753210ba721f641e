//! The token list, which never shows a token; revoking; and the audit log.

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use super::control::{Control, Query, Refusal, user_of};
use super::users::Page;
use crate::base::clock::UnixTime;
use crate::base::digest::Digest;
use crate::identity::{ClientId, CustomerId, FamilyId, Role, Scope, TenantId, UserId};
use crate::jose::compact;
use crate::store::backend::{AuditFilter, FamilyFilter, Holder, Paging, Which};
use crate::store::model::{AccessKey, AuditEntry, Family};
use crate::store::outcome::{Access, FamilyPlace, Revocation};

/// What one grant gave, as it is shown.
#[derive(Debug, Serialize)]
pub(super) struct Shown {
    id: FamilyId,
    user: Option<UserId>,
    application: ClientId,
    customer: Option<CustomerId>,
    tenant: Option<TenantId>,
    scopes: Vec<Scope>,
    roles: Vec<Role>,
    origin: &'static str,
    generated_at: i64,
    expires_at: i64,
    revoked_at: Option<i64>,
}

impl From<Family> for Shown {
    fn from(family: Family) -> Shown {
        Shown {
            id: family.id,
            user: family.user,
            application: family.client_id,
            customer: family.customer,
            tenant: family.tenant,
            scopes: family.scopes,
            roles: family.roles,
            origin: family.origin.as_str(),
            generated_at: family.created_at.0,
            expires_at: family.expires_at.0,
            revoked_at: family.revoked_at.map(|at| at.0),
        }
    }
}

fn client(text: &str) -> Result<ClientId, Refusal> {
    ClientId::try_from(text).map_err(|_| Refusal::unknown("application"))
}

pub(super) async fn list(
    State(control): State<Control>,
    Path(realm): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<Page<Shown>>, Refusal> {
    let realm = control.realm_named(&realm)?;
    let asked = Query::read(query.as_deref(), &["user", "application", "all", "after", "size"])?;
    let user = match asked.get("user") {
        Some(user) => Some(user_of(&realm, user).await?),
        None => None,
    };
    let filter = FamilyFilter {
        realm: realm.name().clone(),
        user,
        client_id: asked.get("application").map(client).transpose()?,
        which: match asked.get("all") {
            Some("true") => Which::All,
            Some("false") | None => Which::LiveAt(control.now()),
            Some(_) => return Err(Refusal::bad("`all` is true or false")),
        },
    };
    let paging = Paging {
        after: asked.get("after").map(place).transpose()?,
        size: asked.size()?,
    };
    let page = realm.accounts().store().families(filter, paging).await?;
    Ok(Json(Page {
        items: page.items.into_iter().map(Shown::from).collect(),
        next: page
            .next
            .map(|place| format!("{}.{}", place.created_at.0, place.id)),
    }))
}

fn place(text: &str) -> Result<FamilyPlace, Refusal> {
    let bad = || Refusal::bad("`after` is what `next` was");
    let (at, id) = text.split_once('.').ok_or_else(bad)?;
    Ok(FamilyPlace {
        created_at: UnixTime(at.parse().map_err(|_| bad())?),
        id: FamilyId::try_from(id).map_err(|_| bad())?,
    })
}

pub(super) async fn revoke(
    State(control): State<Control>,
    Path((realm, id)): Path<(String, String)>,
) -> Result<StatusCode, Refusal> {
    let realm = control.realm_named(&realm)?;
    let id = FamilyId::try_from(id.as_str()).map_err(|_| Refusal::unknown("token"))?;
    let store = realm.accounts().store();
    match store
        .revoke_family(realm.name().clone(), id, control.by())
        .await?
    {
        Revocation::Revoked | Revocation::Already => Ok(StatusCode::NO_CONTENT),
        Revocation::WrongClient | Revocation::Unknown => Err(Refusal::unknown("token")),
    }
}

#[derive(Debug, Serialize)]
pub(super) struct Revoked {
    revoked: u32,
}

/// Revokes what a user gave, what an application was given, or what a user gave to an application; nothing else, and not
/// everything.
pub(super) async fn revoke_of(
    State(control): State<Control>,
    Path(realm): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<Revoked>, Refusal> {
    let realm = control.realm_named(&realm)?;
    let asked = Query::read(query.as_deref(), &["user", "application"])?;
    let user = match asked.get("user") {
        Some(user) => Some(user_of(&realm, user).await?),
        None => None,
    };
    let application = asked.get("application").map(client).transpose()?;
    let holder = match (user, application) {
        (Some(user), Some(application)) => Holder::UserAtApplication(user, application),
        (Some(user), None) => Holder::User(user),
        (None, Some(application)) => Holder::Application(application),
        (None, None) => return Err(Refusal::bad("say whose: `user`, `application` or both")),
    };
    let store = realm.accounts().store();
    let revoked = store
        .revoke_families_of(realm.name().clone(), holder, control.by())
        .await?;
    Ok(Json(Revoked { revoked }))
}

/// A token that somebody has in hand: an access token, opaque or signed, or a refresh token.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InHand {
    token: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Ended {
    id: FamilyId,
}

/// Revokes the grant that a token came of, with all its tokens. The token is in the body, since addresses are written down by
/// whatever stands between.
pub(super) async fn revoke_in_hand(
    State(control): State<Control>,
    Path(realm): Path<String>,
    Json(InHand { token }): Json<InHand>,
) -> Result<Json<Ended>, Refusal> {
    let realm = control.realm_named(&realm)?;
    let store = realm.accounts().store();
    let name = || realm.name().clone();
    let digest = Digest::of(&token);
    // Whose signature it has does not matter: who knows its identifier may end it here anyway.
    let key = compact::unverified_id(&token).map_or(AccessKey::Opaque(digest), AccessKey::Jwt);
    let family = match store.access(name(), key, control.now()).await? {
        Access::Live(live) => Some(live.family.id),
        // It may have been refreshed since, and that goes on.
        Access::Expired(family) => Some(family.id),
        Access::Revoked => return Err(Refusal::conflict("the token was revoked before")),
        Access::Unknown => {
            let facts = store.refresh_facts(name(), digest).await?;
            facts.map(|facts| facts.family.id)
        }
    };
    let id = family.ok_or_else(|| Refusal::unknown("token, or it has ended"))?;
    match store.revoke_family(name(), id, control.by()).await? {
        Revocation::Revoked | Revocation::Already => Ok(Json(Ended { id })),
        Revocation::WrongClient | Revocation::Unknown => Err(Refusal::unknown("token")),
    }
}

/// An entry of the audit log.
#[derive(Debug, Serialize)]
pub(super) struct Entry {
    number: u64,
    at: i64,
    by: String,
    realm: Option<String>,
    action: Box<str>,
    subject: Box<str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    detail: Box<str>,
}

impl From<AuditEntry> for Entry {
    fn from(entry: AuditEntry) -> Entry {
        Entry {
            number: entry.seq,
            at: entry.by.at.0,
            by: entry.by.actor.to_string(),
            realm: entry.note.realm.map(|realm| realm.to_string()),
            action: entry.note.action,
            subject: entry.note.subject,
            detail: entry.note.detail,
        }
    }
}

pub(super) async fn audit(
    State(control): State<Control>,
    RawQuery(query): RawQuery,
) -> Result<Json<Page<Entry>>, Refusal> {
    let asked = Query::read(query.as_deref(), &["realm", "subject", "after", "size"])?;
    let realm = match asked.get("realm") {
        Some(realm) => Some(control.realm_named(realm)?.name().clone()),
        None => None,
    };
    let filter = AuditFilter {
        realm,
        subject: asked.get("subject").map(Box::from),
    };
    let paging = Paging {
        after: asked
            .get("after")
            .map(str::parse)
            .transpose()
            .map_err(|_| Refusal::bad("`after` is no number"))?,
        size: asked.size()?,
    };
    let page = control.open_store()?.audit_entries(filter, paging).await?;
    Ok(Json(Page {
        items: page.items.into_iter().map(Entry::from).collect(),
        next: page.next.map(|number| number.to_string()),
    }))
}
