//! Who may change accounts through the admin listener, and what all of those endpoints share.
//!
//! The probes ask nobody who they are. Everything under `/v1/` asks for the operator's token, and is not there at all where the
//! configuration has none.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::accounts::Realm;
use crate::accounts::directory::Directory;
use crate::base::clock::{Clock, UnixTime};
use crate::base::digest::Digest;
use crate::http::authorization;
use crate::http::form::{Bounds, Parameters};
use crate::identity::{RealmName, UserId};
use crate::store::backend::PageSize;
use crate::store::model::{Actor, By};
use crate::store::{Store, StoreError};

/// Finds a realm by its name, as it is now.
pub(super) type FindRealm = Arc<dyn Fn(&RealmName) -> Option<Arc<Realm>> + Send + Sync>;

/// What the endpoints of `/v1/` work on. Closures, since a reload makes other realms.
#[derive(Clone)]
pub struct Control {
    /// The digest of the operator's token.
    pub token: Digest,
    /// Where time comes from.
    pub clock: Clock,
    /// The realm of that name, as of now.
    pub realm: FindRealm,
    /// Names of all realms.
    pub realms: Arc<dyn Fn() -> Vec<RealmName> + Send + Sync>,
    /// Whom the file and the store know as of now.
    pub directory: Arc<dyn Fn() -> Arc<Directory> + Send + Sync>,
    /// The store, if there are realms.
    pub store: Arc<dyn Fn() -> Option<Store> + Send + Sync>,
}

/// Why an endpoint does not do what was asked.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    code: &'static str,
    detail: String,
}

impl Refusal {
    /// What was sent is not what is needed.
    pub(super) fn bad(detail: impl Into<String>) -> Refusal {
        Refusal {
            status: StatusCode::BAD_REQUEST,
            code: "bad_request",
            detail: detail.into(),
        }
    }

    /// There is no such thing.
    pub(super) fn unknown(what: &str) -> Refusal {
        Refusal {
            status: StatusCode::NOT_FOUND,
            code: "unknown",
            detail: format!("there is no such {what}"),
        }
    }

    /// What is there is in the way.
    pub(super) fn conflict(detail: impl Into<String>) -> Refusal {
        Refusal {
            status: StatusCode::CONFLICT,
            code: "conflict",
            detail: detail.into(),
        }
    }
}

impl From<StoreError> for Refusal {
    fn from(cause: StoreError) -> Refusal {
        tracing::warn!(%cause, "the store did not do what an operator asked");
        Refusal {
            status: StatusCode::SERVICE_UNAVAILABLE,
            code: "store_unavailable",
            detail: "the store of accounts does not answer".to_owned(),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        #[derive(Serialize)]
        struct Said {
            code: &'static str,
            detail: String,
        }
        let said = Said {
            code: self.code,
            detail: self.detail,
        };
        (self.status, Json(said)).into_response()
    }
}

impl Control {
    pub(super) fn now(&self) -> UnixTime {
        self.clock.unix()
    }

    /// The operator, now.
    pub(super) fn by(&self) -> By {
        By::new(Actor::Operator("admin".into()), self.now())
    }

    pub(super) fn realm_named(&self, name: &str) -> Result<Arc<Realm>, Refusal> {
        let name = RealmName::try_from(name).map_err(|_| Refusal::unknown("realm"))?;
        (self.realm)(&name).ok_or_else(|| Refusal::unknown("realm"))
    }

    pub(super) fn open_store(&self) -> Result<Store, Refusal> {
        (self.store)().ok_or_else(|| Refusal::unknown("realm"))
    }
}

/// The parameters of a query, each known and there once.
#[derive(Debug, Default)]
pub(super) struct Query(HashMap<String, String>);

impl Query {
    pub(super) fn read(text: Option<&str>, known: &[&str]) -> Result<Query, Refusal> {
        let text = text.unwrap_or_default().as_bytes();
        let parameters =
            Parameters::read(text, Bounds::USUAL).map_err(|bad| Refusal::bad(format!("the query: {bad}")))?;
        if let Some(name) = parameters.repeated() {
            return Err(Refusal::bad(format!("`{name}` is there twice")));
        }
        if let Some((name, _)) = parameters.iter().find(|(name, _)| !known.contains(name)) {
            return Err(Refusal::bad(format!(
                "there is no parameter `{name}`, but {}",
                known.join(", ")
            )));
        }
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Ok(Query(parameters.iter().map(owned).collect()))
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// `size`, 1 to 1,000, usually 100.
    pub(super) fn size(&self) -> Result<PageSize, Refusal> {
        let size = self.get("size").map_or(Ok(100), str::parse);
        size.map(PageSize::new)
            .map_err(|_| Refusal::bad("`size` is no number"))
    }
}

/// A user of a realm by id (32 hexadecimal digits) or by name.
pub(super) async fn user_of(realm: &Realm, text: &str) -> Result<UserId, Refusal> {
    if let Ok(id) = UserId::try_from(text) {
        return Ok(id);
    }
    let key = realm.key_of(text, None).ok_or_else(|| Refusal::unknown("user"))?;
    let user = realm.user_by_key(&key).await?;
    user.map(|user| user.id).ok_or_else(|| Refusal::unknown("user"))
}

/// Lets the operator in and nobody else.
pub(super) async fn guard(State(control): State<Control>, request: Request, next: Next) -> Response {
    let presented = authorization::bearer(request.headers()).ok().flatten();
    if presented.is_some_and(|token| Digest::of_bytes(token).matches(&control.token)) {
        return next.run(request).await;
    }
    let mut answer = Refusal {
        status: StatusCode::UNAUTHORIZED,
        code: "unauthorized",
        detail: "the operator's token is needed: `Authorization: Bearer …`".to_owned(),
    }
    .into_response();
    let challenge = HeaderValue::from_static("Bearer realm=\"tollgate admin\"");
    answer.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    answer
}
