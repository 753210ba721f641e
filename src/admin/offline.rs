//! Tokens that an operator makes, for a user or an application that has nobody to go through the steps of a grant.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use super::control::{Control, Refusal, user_of};
use crate::accounts::Realm;
use crate::base::clock::UnixTime;
use crate::base::digest::Digest;
use crate::base::token_value::{Shape, TokenValue};
use crate::identity::{ClientId, FamilyId, Scope};
use crate::store::model::{AccessKey, ApplicationState, NewAccess, NewFamily, NewTokens, Origin, UserState};

/// A day.
const DAY: u64 = 86_400;
/// How long such a token holds, when nothing is said: 30 days.
const USUAL: u64 = 30 * DAY;
/// And at most: a year. Nobody remembers what was given out longer ago.
const LONGEST: u64 = 366 * DAY;
/// At least: a minute.
const SHORTEST: u64 = 60;

/// A token to make.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct New {
    application: ClientId,
    /// Id or name; without one the application acts for itself.
    user: Option<String>,
    /// Without any: all that the application has.
    scopes: Option<Vec<Scope>>,
    /// Seconds.
    lifetime: Option<u64>,
}

/// The answer that makes it: the only place in which its text is.
#[derive(Debug, Serialize)]
pub(super) struct Made {
    id: FamilyId,
    token: String,
    expires_at: i64,
    scopes: Vec<Scope>,
}

/// Makes an opaque token. A signed one could not be long-lived: it is good without anybody being asked.
pub(super) async fn create(
    State(control): State<Control>,
    Path(realm): Path<String>,
    Json(new): Json<New>,
) -> Result<(StatusCode, Json<Made>), Refusal> {
    let realm = control.realm_named(&realm)?;
    let lifetime = new.lifetime.unwrap_or(USUAL);
    if !(SHORTEST..=LONGEST).contains(&lifetime) {
        return Err(Refusal::bad(format!(
            "`lifetime` is from {SHORTEST} to {LONGEST} seconds"
        )));
    }
    let by = control.by();
    let expires_at = by.at.plus(Duration::from_secs(lifetime));
    let family = family(&realm, &new, expires_at).await?;
    let token = TokenValue::random(Shape::Base64Url);
    let tokens = NewTokens {
        access: NewAccess {
            key: AccessKey::Opaque(Digest::of(token.reveal())),
            expires_at,
            scopes: None,
        },
        refresh: None,
    };
    let made = Made {
        id: family.id,
        token: token.reveal().to_owned(),
        expires_at: expires_at.0,
        scopes: family.scopes.clone(),
    };
    realm.accounts().store().issue(family, tokens, by).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// The grant that stands behind it: nobody gets more by it than is theirs now.
async fn family(realm: &Realm, new: &New, ends_at: UnixTime) -> Result<NewFamily, Refusal> {
    let client = realm.application(&new.application).await?;
    let client = client.ok_or_else(|| Refusal::unknown("application"))?;
    let application = &client.application;
    if application.state != ApplicationState::Active {
        return Err(Refusal::conflict("the application is switched off"));
    }
    let account = match &new.user {
        Some(user) => {
            let account = realm.user(user_of(realm, user).await?).await?;
            let account = account.ok_or_else(|| Refusal::unknown("user"))?;
            if account.state != UserState::Active {
                return Err(Refusal::conflict("the user is not active"));
            }
            Some(account)
        }
        None => None,
    };
    let scopes = match &new.scopes {
        None => application.scopes.clone(),
        Some(asked) => match asked.iter().find(|scope| !application.scopes.contains(scope)) {
            Some(foreign) => {
                return Err(Refusal::bad(format!(
                    "the application has no scope `{}`",
                    foreign.as_str()
                )));
            }
            None => asked.clone(),
        },
    };
    Ok(NewFamily {
        id: FamilyId::random(),
        realm: realm.name().clone(),
        client_id: application.client_id.clone(),
        user: account.as_ref().map(|account| account.id),
        customer: match &account {
            Some(account) => account.customer.clone(),
            None => application.customer.clone(),
        },
        tenant: application.tenant.clone(),
        scopes,
        roles: match &account {
            Some(account) => account.roles.clone(),
            None => client.roles.clone().unwrap_or_default(),
        },
        origin: Origin::Offline,
        ends_at: Some(ends_at),
    })
}
