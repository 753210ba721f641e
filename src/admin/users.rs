//! Users of a realm, those of the store: list, create, approve, disable, unlock, delete.

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use super::control::{Control, Query, Refusal, user_of};
use crate::accounts::Realm;
use crate::accounts::password::LONGEST;
use crate::base::secret::Secret;
use crate::identity::{AccountKey, AccountName, CustomerId, Role, TenantGrant, TenantId, UserId};
use crate::store::backend::{Existing, Paging, UserFilter};
use crate::store::model::{Reach, User, UserAccess, UserState};
use crate::store::outcome::{Creation, Edit, PasswordSet, StateChange};

/// A user as it is shown. Nothing of the password.
#[derive(Debug, Serialize)]
pub(super) struct Shown {
    id: UserId,
    name: AccountName,
    state: &'static str,
    customer: Option<CustomerId>,
    roles: Vec<Role>,
    tenants: Vec<TenantGrant>,
    default_tenant: Option<TenantId>,
    every_tenant: bool,
    created_at: i64,
    changed_at: i64,
}

impl From<User> for Shown {
    fn from(user: User) -> Shown {
        Shown {
            id: user.id,
            name: user.name,
            state: user.state.as_str(),
            customer: user.access.customer,
            roles: user.access.roles,
            tenants: user.access.tenants,
            default_tenant: user.access.default_tenant,
            every_tenant: user.access.reach == Reach::Every,
            created_at: user.created_at.0,
            changed_at: user.changed_at.0,
        }
    }
}

/// What a user may do.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Access {
    customer: Option<CustomerId>,
    roles: Vec<Role>,
    tenants: Vec<TenantGrant>,
    default_tenant: Option<TenantId>,
    every_tenant: bool,
}

impl From<Access> for UserAccess {
    fn from(access: Access) -> UserAccess {
        UserAccess {
            customer: access.customer,
            roles: access.roles,
            tenants: access.tenants,
            default_tenant: access.default_tenant,
            reach: if access.every_tenant {
                Reach::Every
            } else {
                Reach::Granted
            },
        }
    }
}

/// A user to create.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct New {
    name: String,
    /// Without one the user is pending.
    password: Option<String>,
    #[serde(default)]
    access: Access,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    state: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Password {
    password: String,
}

/// A part of a list.
#[derive(Debug, Serialize)]
pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
    /// `after` of the next part; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next: Option<String>,
}

fn state(text: &str) -> Result<UserState, Refusal> {
    UserState::parse(text).ok_or_else(|| {
        let known: Vec<&str> = UserState::ALL.iter().map(|state| state.as_str()).collect();
        Refusal::bad(format!("`state` is one of {}", known.join(", ")))
    })
}

pub(super) async fn list(
    State(control): State<Control>,
    Path(realm): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<Page<Shown>>, Refusal> {
    let realm = control.realm_named(&realm)?;
    let asked = Query::read(query.as_deref(), &["state", "customer", "after", "size"])?;
    let customer = asked.get("customer").map(CustomerId::try_from);
    let filter = UserFilter {
        realm: realm.name().clone(),
        customer: customer
            .transpose()
            .map_err(|_| Refusal::bad("`customer` is no identifier"))?,
        state: asked.get("state").map(state).transpose()?,
    };
    let after = asked.get("after").map(AccountKey::try_from);
    let paging = Paging {
        after: after
            .transpose()
            .map_err(|_| Refusal::bad("`after` is no name"))?,
        size: asked.size()?,
    };
    let page = realm.accounts().store().users(filter, paging).await?;
    Ok(Json(Page {
        items: page.items.into_iter().map(Shown::from).collect(),
        next: page.next.map(|key| key.to_string()),
    }))
}

pub(super) async fn create(
    State(control): State<Control>,
    Path(realm): Path<String>,
    Json(new): Json<New>,
) -> Result<(StatusCode, Json<Shown>), Refusal> {
    let realm = control.realm_named(&realm)?;
    let name = AccountName::try_from(new.name.trim()).map_err(|bad| Refusal::bad(format!("`name` {bad}")))?;
    let key = realm
        .key_of(name.as_str(), None)
        .ok_or_else(|| Refusal::bad("`name` is no name"))?;
    realm
        .check_name(name.as_str())
        .map_err(|bad| Refusal::bad(format!("`name`: {bad}")))?;
    // A name of the file hides one of the store, so it could never sign in.
    if realm.user_by_key(&key).await?.is_some() {
        return Err(Refusal::conflict("another user has that name"));
    }
    let password = match new.password {
        Some(text) => Some(hashed(&realm, text).await?),
        None => None,
    };
    let now = control.now();
    let user = User {
        realm: realm.name().clone(),
        id: UserId::random(),
        name,
        key,
        // Whom an operator gives a password need not wait for an operator's approval.
        state: if password.is_some() {
            UserState::Active
        } else {
            UserState::Pending
        },
        password,
        access: new.access.into(),
        created_at: now,
        changed_at: now,
    };
    let created = realm.accounts().store().create_user(user.clone(), control.by());
    match created.await? {
        Creation::Created => Ok((StatusCode::CREATED, Json(Shown::from(user)))),
        Creation::Exists => Err(Refusal::conflict("another user has that name")),
    }
}

async fn hashed(realm: &Realm, text: String) -> Result<Secret, Refusal> {
    if text.is_empty() || text.len() > LONGEST {
        return Err(Refusal::bad(format!("`password` has 1 to {LONGEST} bytes")));
    }
    let hash = realm.accounts().passwords().hash(Secret::new(text.into_bytes()));
    let hash = hash
        .await
        .map_err(|cause| Refusal::conflict(format!("try again later: {cause}")))?;
    Ok(Secret::new(hash.to_phc().into_bytes()))
}

pub(super) async fn show(
    State(control): State<Control>,
    Path((realm, user)): Path<(String, String)>,
) -> Result<Json<Shown>, Refusal> {
    let realm = control.realm_named(&realm)?;
    let id = user_of(&realm, &user).await?;
    let found = realm.accounts().store().user(realm.name().clone(), id).await?;
    found
        .map(|user| Json(Shown::from(user)))
        .ok_or_else(|| Refusal::unknown("user of the store"))
}

pub(super) async fn change_access(
    State(control): State<Control>,
    Path((realm, user)): Path<(String, String)>,
    Json(access): Json<Access>,
) -> Result<StatusCode, Refusal> {
    let realm = control.realm_named(&realm)?;
    let id = user_of(&realm, &user).await?;
    let store = realm.accounts().store();
    edited(
        store
            .change_user_access(realm.name().clone(), id, access.into(), control.by())
            .await?,
    )
}

pub(super) async fn change_state(
    State(control): State<Control>,
    Path((realm, user)): Path<(String, String)>,
    Json(to): Json<Wanted>,
) -> Result<StatusCode, Refusal> {
    let realm = control.realm_named(&realm)?;
    let id = user_of(&realm, &user).await?;
    let to = state(&to.state)?;
    let store = realm.accounts().store();
    match store
        .change_user_state(realm.name().clone(), id, to, control.by())
        .await?
    {
        StateChange::Changed(_) | StateChange::Same => Ok(StatusCode::NO_CONTENT),
        StateChange::NotAllowed(from) => Err(Refusal::conflict(format!(
            "a user that is {from} cannot become {to}"
        ))),
        StateChange::Unknown => Err(Refusal::unknown("user of the store")),
    }
}

pub(super) async fn set_password(
    State(control): State<Control>,
    Path((realm, user)): Path<(String, String)>,
    Json(password): Json<Password>,
) -> Result<StatusCode, Refusal> {
    let realm = control.realm_named(&realm)?;
    let id = user_of(&realm, &user).await?;
    let hash = hashed(&realm, password.password).await?;
    let store = realm.accounts().store();
    let set = store.set_password(realm.name().clone(), id, hash, Existing::End, control.by());
    match set.await? {
        PasswordSet::Set(_) => Ok(StatusCode::NO_CONTENT),
        PasswordSet::Unknown => Err(Refusal::unknown("user of the store")),
    }
}

/// Ends a lock, of a user of the file too.
pub(super) async fn unlock(
    State(control): State<Control>,
    Path((realm, user)): Path<(String, String)>,
) -> Result<StatusCode, Refusal> {
    let realm = control.realm_named(&realm)?;
    let id = user_of(&realm, &user).await?;
    let user = realm.user(id).await?.ok_or_else(|| Refusal::unknown("user"))?;
    let store = realm.accounts().store();
    store
        .clear_attempts(realm.name().clone(), user.key.clone(), control.by())
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn delete(
    State(control): State<Control>,
    Path((realm, user)): Path<(String, String)>,
) -> Result<StatusCode, Refusal> {
    let realm = control.realm_named(&realm)?;
    let id = user_of(&realm, &user).await?;
    let store = realm.accounts().store();
    edited(store.delete_user(realm.name().clone(), id, control.by()).await?)
}

fn edited(edit: Edit) -> Result<StatusCode, Refusal> {
    match edit {
        Edit::Done => Ok(StatusCode::NO_CONTENT),
        Edit::Unknown => Err(Refusal::unknown("user of the store")),
    }
}
