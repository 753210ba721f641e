//! Applications of a realm, those of the store: list, register, switch off, delete. A secret is shown once, when it is made.

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use super::control::{Control, Query, Refusal, user_of};
use super::users::Page;
use crate::base::digest::Digest;
use crate::base::token_value::{Shape, TokenValue};
use crate::http::redirect_uri::{self, PrivateUseSchemes};
use crate::identity::{ClientId, CustomerId, GrantType, Scope, TenantId, UserId};
use crate::store::backend::{ApplicationFilter, Paging};
use crate::store::model::{Application, ApplicationEdit, ApplicationState};
use crate::store::outcome::{Creation, Edit};

/// An application as it is shown.
#[derive(Debug, Serialize)]
pub(super) struct Shown {
    client_id: ClientId,
    name: String,
    /// Has it a secret?
    confidential: bool,
    redirect_uris: Vec<String>,
    owner: Option<UserId>,
    customer: Option<CustomerId>,
    tenant: Option<TenantId>,
    scopes: Vec<Scope>,
    grants: Vec<&'static str>,
    state: &'static str,
    created_at: i64,
    created_by: String,
    /// Only in the answer that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<String>,
}

impl From<Application> for Shown {
    fn from(application: Application) -> Shown {
        Shown {
            client_id: application.client_id,
            name: application.name,
            confidential: application.secret.is_some(),
            redirect_uris: application.redirect_uris,
            owner: application.owner,
            customer: application.customer,
            tenant: application.tenant,
            scopes: application.scopes,
            grants: application.grants.iter().map(|grant| grant.as_str()).collect(),
            state: application.state.as_str(),
            created_at: application.created_at.0,
            created_by: application.created_by.to_string(),
            client_secret: None,
        }
    }
}

/// An application to register.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct New {
    name: String,
    /// A public client (RFC 6749 section 2.1) has no secret.
    #[serde(default)]
    public: bool,
    #[serde(default)]
    redirect_uris: Vec<String>,
    owner: Option<String>,
    customer: Option<CustomerId>,
    tenant: Option<TenantId>,
    #[serde(default)]
    scopes: Vec<Scope>,
    grants: Vec<String>,
}

/// What may be changed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Change {
    name: Option<String>,
    redirect_uris: Option<Vec<String>>,
    scopes: Option<Vec<Scope>>,
    grants: Option<Vec<String>>,
    state: Option<String>,
}

fn grants(words: &[String]) -> Result<Vec<GrantType>, Refusal> {
    let grant = |word: &String| {
        GrantType::parse(word).ok_or_else(|| {
            let known: Vec<&str> = GrantType::ALL.iter().map(|grant| grant.as_str()).collect();
            Refusal::bad(format!("`grants` are of {}", known.join(", ")))
        })
    };
    words.iter().map(grant).collect()
}

fn checked(uris: Vec<String>) -> Result<Vec<String>, Refusal> {
    for uri in &uris {
        redirect_uri::check(uri, PrivateUseSchemes::Allowed)
            .map_err(|bad| Refusal::bad(format!("`redirect_uris`: `{uri}`: {bad}")))?;
    }
    Ok(uris)
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
    let asked = Query::read(query.as_deref(), &["owner", "after", "size"])?;
    let owner = match asked.get("owner") {
        Some(owner) => Some(user_of(&realm, owner).await?),
        None => None,
    };
    let filter = ApplicationFilter {
        realm: realm.name().clone(),
        owner,
    };
    let paging = Paging {
        after: asked.get("after").map(client).transpose()?,
        size: asked.size()?,
    };
    let page = realm.accounts().store().applications(filter, paging).await?;
    Ok(Json(Page {
        items: page.items.into_iter().map(Shown::from).collect(),
        next: page.next.map(|client| client.to_string()),
    }))
}

pub(super) async fn create(
    State(control): State<Control>,
    Path(realm): Path<String>,
    Json(new): Json<New>,
) -> Result<(StatusCode, Json<Shown>), Refusal> {
    let realm = control.realm_named(&realm)?;
    let owner = match &new.owner {
        Some(owner) => Some(user_of(&realm, owner).await?),
        None => None,
    };
    let secret = (!new.public).then(|| TokenValue::random(Shape::Hex));
    let by = control.by();
    let application = Application {
        realm: realm.name().clone(),
        client_id: ClientId::random(),
        name: new.name,
        secret: secret.as_ref().map(|secret| Digest::of(secret.reveal())),
        redirect_uris: checked(new.redirect_uris)?,
        owner,
        customer: new.customer,
        tenant: new.tenant,
        scopes: new.scopes,
        grants: grants(&new.grants)?,
        state: ApplicationState::Active,
        created_at: by.at,
        created_by: by.actor.clone(),
    };
    let store = realm.accounts().store();
    match store.create_application(application.clone(), by).await? {
        Creation::Created => {
            let mut shown = Shown::from(application);
            shown.client_secret = secret.map(|secret| secret.reveal().to_owned());
            Ok((StatusCode::CREATED, Json(shown)))
        }
        Creation::Exists => Err(Refusal::conflict("try again")),
    }
}

pub(super) async fn show(
    State(control): State<Control>,
    Path((realm, application)): Path<(String, String)>,
) -> Result<Json<Shown>, Refusal> {
    let realm = control.realm_named(&realm)?;
    let found = realm.application(&client(&application)?).await?;
    found
        .map(|client| Json(Shown::from(client.application.clone())))
        .ok_or_else(|| Refusal::unknown("application"))
}

pub(super) async fn change(
    State(control): State<Control>,
    Path((realm, application)): Path<(String, String)>,
    Json(change): Json<Change>,
) -> Result<StatusCode, Refusal> {
    let realm = control.realm_named(&realm)?;
    let client = client(&application)?;
    let store = realm.accounts().store();
    let found = store.application(realm.name().clone(), client.clone()).await?;
    let now = found.ok_or_else(|| Refusal::unknown("application of the store"))?;
    let state = match &change.state {
        Some(word) => {
            ApplicationState::parse(word).ok_or_else(|| Refusal::bad("`state` is active or disabled"))?
        }
        None => now.state,
    };
    let edit = ApplicationEdit {
        name: change.name.unwrap_or(now.name),
        redirect_uris: match change.redirect_uris {
            Some(uris) => checked(uris)?,
            None => now.redirect_uris,
        },
        scopes: change.scopes.unwrap_or(now.scopes),
        grants: match change.grants {
            Some(words) => grants(&words)?,
            None => now.grants,
        },
        state,
    };
    edited(
        store
            .change_application(realm.name().clone(), client, edit, control.by())
            .await?,
    )
}

pub(super) async fn new_secret(
    State(control): State<Control>,
    Path((realm, application)): Path<(String, String)>,
) -> Result<Json<serde_json::Value>, Refusal> {
    let realm = control.realm_named(&realm)?;
    let secret = TokenValue::random(Shape::Hex);
    let digest = Digest::of(secret.reveal());
    let client = client(&application)?;
    let store = realm.accounts().store();
    edited(
        store
            .rotate_secret(realm.name().clone(), client, digest, control.by())
            .await?,
    )?;
    Ok(Json(serde_json::json!({ "client_secret": secret.reveal() })))
}

pub(super) async fn delete(
    State(control): State<Control>,
    Path((realm, application)): Path<(String, String)>,
) -> Result<StatusCode, Refusal> {
    let realm = control.realm_named(&realm)?;
    let client = client(&application)?;
    let store = realm.accounts().store();
    edited(
        store
            .delete_application(realm.name().clone(), client, control.by())
            .await?,
    )
}

fn edited(edit: Edit) -> Result<StatusCode, Refusal> {
    match edit {
        Edit::Done => Ok(StatusCode::NO_CONTENT),
        Edit::Unknown => Err(Refusal::unknown("application of the store")),
    }
}
