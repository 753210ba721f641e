//! What the admin listener answers.

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, patch, post, put};
use axum::{Json, Router};
use serde::Serialize;

use super::control::{Control, guard};
use super::{applications, customers, offline, tokens, users};

/// Whether the gateway should be sent traffic now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Readiness {
    /// Why not; ready if empty.
    pub reasons: Vec<Reason>,
}

impl Readiness {
    /// Ready.
    pub fn ready() -> Readiness {
        Readiness::default()
    }

    /// Not ready, for one reason.
    pub fn not(code: &'static str, detail: impl Into<String>) -> Readiness {
        Readiness {
            reasons: vec![Reason {
                code,
                detail: detail.into(),
            }],
        }
    }
}

/// One reason why the gateway should not be sent traffic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// A word for programs: `starting`, `keys_missing`, `draining`.
    pub code: &'static str,
    /// A sentence for people. No secrets: the admin listener asks nobody who they are.
    pub detail: String,
}

/// What the admin listener needs of the rest. Closures, so that it knows nothing of the floors above.
#[derive(Clone)]
pub struct AdminState {
    /// Asked for each `/ready`. Must not block.
    pub readiness: Arc<dyn Fn() -> Readiness + Send + Sync>,
    /// Asked for each `/metrics`: the text exposition format 0.0.4.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// What the operator's endpoints work on; `None`: there are none.
    pub control: Option<Control>,
}

/// All paths, with what they are for: the listing at `/`.
const PATHS: [(&str, &str); 4] = [
    (
        "/live",
        "200 as long as the process runs: restart it if this fails",
    ),
    ("/ready", "200 if traffic may come, else 503 with the reasons"),
    (
        "/metrics",
        "all metrics, for Prometheus (text exposition format 0.0.4)",
    ),
    ("/version", "which version runs"),
];

/// The content type of the text exposition format.
const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Bytes of a body.
const BODY: usize = 64 << 10;

pub(super) fn router(state: AdminState) -> Router {
    let operators = state.control.clone().map_or_else(Router::new, operators);
    Router::new()
        .route("/", get(listing))
        .route("/live", get(live))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .route("/version", get(version))
        .with_state(state)
        .merge(operators)
        .layer(axum::middleware::map_response(fence))
}

/// What an operator may see and change.
fn operators(control: Control) -> Router {
    Router::new()
        .route("/v1/realms", get(realms))
        .route("/v1/realms/{realm}/users", get(users::list).post(users::create))
        .route(
            "/v1/realms/{realm}/users/{user}",
            get(users::show).delete(users::delete),
        )
        .route(
            "/v1/realms/{realm}/users/{user}/access",
            put(users::change_access),
        )
        .route("/v1/realms/{realm}/users/{user}/state", put(users::change_state))
        .route(
            "/v1/realms/{realm}/users/{user}/password",
            put(users::set_password),
        )
        .route("/v1/realms/{realm}/users/{user}/lock", delete(users::unlock))
        .route(
            "/v1/realms/{realm}/applications",
            get(applications::list).post(applications::create),
        )
        .route(
            "/v1/realms/{realm}/applications/{application}",
            get(applications::show).delete(applications::delete),
        )
        .route(
            "/v1/realms/{realm}/applications/{application}",
            patch(applications::change),
        )
        .route(
            "/v1/realms/{realm}/applications/{application}/secret",
            post(applications::new_secret),
        )
        .route(
            "/v1/realms/{realm}/tokens",
            get(tokens::list).post(offline::create).delete(tokens::revoke_of),
        )
        .route("/v1/realms/{realm}/tokens/revoke", post(tokens::revoke_in_hand))
        .route("/v1/realms/{realm}/tokens/{token}", delete(tokens::revoke))
        .route("/v1/customers", get(customers::list))
        .route(
            "/v1/customers/{customer}",
            get(customers::show).put(customers::put).delete(customers::delete),
        )
        .route("/v1/audit", get(tokens::audit))
        .layer(DefaultBodyLimit::max(BODY))
        .layer(axum::middleware::from_fn_with_state(control.clone(), guard))
        .with_state(control)
}

async fn realms(State(control): State<Control>) -> Response {
    let names: Vec<String> = (control.realms)().iter().map(ToString::to_string).collect();
    Json(names).into_response()
}

/// A probe's answer is true now and not later, and a browser that is led here must not guess at types.
async fn fence(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}

async fn listing() -> String {
    let mut text = format!("tollgate {}\n\n", env!("CARGO_PKG_VERSION"));
    for (path, what) in PATHS {
        text.push_str(&format!("{path:<10} {what}\n"));
    }
    text
}

async fn live() -> Response {
    #[derive(Serialize)]
    struct Live {
        status: &'static str,
    }
    Json(Live { status: "live" }).into_response()
}

async fn ready(State(state): State<AdminState>) -> Response {
    #[derive(Serialize)]
    struct Ready {
        status: &'static str,
        reasons: Vec<Reason>,
    }
    let reasons = (state.readiness)().reasons;
    let (code, status) = if reasons.is_empty() {
        (StatusCode::OK, "ready")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not_ready")
    };
    (code, Json(Ready { status, reasons })).into_response()
}

async fn metrics(State(state): State<AdminState>) -> Response {
    ([(header::CONTENT_TYPE, EXPOSITION)], (state.metrics)()).into_response()
}

async fn version() -> Response {
    #[derive(Serialize)]
    struct Version {
        name: &'static str,
        version: &'static str,
    }
    Json(Version {
        name: "tollgate",
        version: env!("CARGO_PKG_VERSION"),
    })
    .into_response()
}
