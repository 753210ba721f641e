//! The authorization endpoint for programs: the request of RFC 6749 section 4.1.1, answered with the code as JSON instead of
//! a redirect. The session of a user, with its CSRF value, stands for what the user would click.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use http::header::SET_COOKIE;
use http::{HeaderValue, Response};

use super::answers::planned;
use super::asked::{self, Asked};
use super::authorization::{AnsweredBy, AuthorizationRefused, Consent};
use super::errors::OAuthError;
use super::service::TokenService;
use crate::accounts::{Account, Directory, Realm, Right, tenancy};
use crate::base::digest::Digest;
use crate::base::json_template::Filling;
use crate::config::plan::{AuthorizeStepPlan, CodeField, SessionCookie, SessionPlan};
use crate::http::body::Body;
use crate::http::cookie;
use crate::identity::{Role, TenantId};
use crate::rejection::{BadRequest, Rejection};

/// A body names a customer and nothing else.
const LONGEST_BODY: u64 = 16 << 10;

/// The endpoint.
#[derive(Debug)]
pub struct AuthorizeStep {
    plan: AuthorizeStepPlan,
    service: Arc<TokenService>,
    realm: Arc<Realm>,
    directory: Arc<Directory>,
    /// The cookies that are set again.
    repeats: Option<SessionPlan>,
}

/// Whose data a grant is for, and what may be done there.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Scope {
    /// `None`: the user's own.
    pub(super) tenant: Option<TenantId>,
    /// The user's roles there.
    pub(super) roles: Vec<Role>,
}

impl AuthorizeStep {
    /// The endpoint of `plan`.
    pub fn new(
        plan: AuthorizeStepPlan,
        service: Arc<TokenService>,
        realm: Arc<Realm>,
        directory: Arc<Directory>,
        repeats: Option<SessionPlan>,
    ) -> AuthorizeStep {
        AuthorizeStep {
            plan,
            service,
            realm,
            directory,
            repeats,
        }
    }

    /// Answers a request.
    ///
    /// # Errors
    /// [`Rejection::RoleMissing`] for a caller that is no user of the realm, [`Rejection::ClientUnknown`],
    /// [`Rejection::BadRequest`] for any other parameter, [`Rejection::TenantForbidden`] without a grant for the tenant named,
    /// [`Rejection::StoreUnavailable`].
    pub async fn answer(&self, asked: &Asked<'_>, body: Body) -> Result<Response<Bytes>, Rejection> {
        let account = user_of(asked, &self.realm)?;
        let named = match &self.plan.customer {
            Some(pointer) => named_tenant(asked, body, pointer).await?,
            None => None,
        };
        let query = asked.query.unwrap_or_default();
        let request = self.service.authorization_request(query, AnsweredBy::Body).await;
        let request = request.map_err(refusal)?;
        let scope = scope(
            account,
            named,
            request.client.application.tenant.as_ref(),
            &self.directory,
        )?;
        let consent = Consent {
            user: account.id,
            customer: account.customer.clone(),
            tenant: scope.tenant,
            roles: scope.roles,
        };
        let code = self.service.grant_code(&request, consent, asked.now).await?;
        let lifetime = self.service.code_lifetime().as_secs();
        let mut answer = planned(&self.plan.answer, |field| match field {
            CodeField::Code => Filling::Text(Cow::Borrowed(code.reveal())),
            CodeField::ExpiresIn => Filling::Number(i64::try_from(lifetime).unwrap_or(i64::MAX)),
            CodeField::State => match &request.state {
                Some(state) => Filling::Text(Cow::Borrowed(state)),
                None => Filling::Absent,
            },
            CodeField::Iss => Filling::Text(Cow::Borrowed(self.service.issuer())),
        });
        for field in self.repeats.iter().flat_map(|plan| repeated(plan, asked)) {
            answer.headers_mut().append(SET_COOKIE, field);
        }
        Ok(answer)
    }
}

/// The cookies of the session that the request came by, as they are. What the client sent is known to be the session's: its id
/// by which it was found, and its CSRF value, which is compared before this endpoint is asked.
fn repeated(plan: &SessionPlan, asked: &Asked<'_>) -> Vec<HeaderValue> {
    let Some(own) = asked.permit.known().and_then(|known| known.own()) else {
        return Vec::new();
    };
    let is = |digest: Option<Digest>, value: &[u8]| digest == Some(Digest::of_bytes(value));
    let again = |cookie: &SessionCookie, value: &[u8]| {
        let template = cookie.by(asked.scheme);
        template.set(std::str::from_utf8(value).ok()?).ok()
    };
    let mut names = plan.read.iter();
    let id =
        names.find_map(|name| cookie::values(asked.headers, name).find(|value| is(own.session(), value)));
    let csrf = plan.csrf.as_ref().and_then(|csrf| {
        let mut values = csrf.headers.iter().flat_map(|name| asked.headers.get_all(name));
        let value = values.find(|value| is(own.csrf().copied(), value.as_bytes()))?;
        again(&csrf.cookie, value.as_bytes())
    });
    let id = id.and_then(|value| again(&plan.cookie, value));
    id.into_iter().chain(csrf).collect()
}

/// This is no endpoint of the RFC, so its errors have the look of the api.
fn refusal(refused: AuthorizationRefused) -> Rejection {
    let refused = match refused {
        AuthorizationRefused::Rejected(rejection) => return rejection,
        AuthorizationRefused::Shown(refused) | AuthorizationRefused::Sent { refused, .. } => refused,
    };
    match refused.error {
        OAuthError::InvalidClient => Rejection::ClientUnknown(refused.description),
        OAuthError::UnauthorizedClient => Rejection::ClientUnknown("it may not ask for codes"),
        OAuthError::InvalidRequest
        | OAuthError::InvalidGrant
        | OAuthError::UnsupportedGrantType
        | OAuthError::InvalidScope
        | OAuthError::AccessDenied
        | OAuthError::UnsupportedResponseType
        | OAuthError::ServerError
        | OAuthError::TemporarilyUnavailable
        | OAuthError::UnsupportedTokenType
        | OAuthError::InvalidTarget
        | OAuthError::InvalidToken
        | OAuthError::InsufficientScope => Rejection::BadRequest(BadRequest::Parameters),
    }
}

/// The user of the realm who asks: applications grant nothing.
pub fn user_of<'r>(asked: &Asked<'r>, realm: &Realm) -> Result<&'r Account, Rejection> {
    let own = asked.permit.known().and_then(|known| known.own());
    own.filter(|own| own.realm() == realm.name())
        .and_then(|own| own.account())
        .map(|account| &**account)
        .ok_or(Rejection::RoleMissing)
}

/// What the JSON body names at `pointer`. No body at all names nothing.
pub(super) async fn named_tenant(
    asked: &Asked<'_>,
    body: Body,
    pointer: &[String],
) -> Result<Option<TenantId>, Rejection> {
    let bytes = asked::whole(body, LONGEST_BODY).await?;
    if bytes.is_empty() {
        return Ok(None);
    }
    let members = asked::members(asked.headers, &bytes)?;
    let text = asked::text_at(&members, pointer)?;
    text.map(TenantId::try_from)
        .transpose()
        .map_err(|_| Rejection::TenantInvalid)
}

/// Whose data the grant of `account` is for: what is named, else what the application is bound to, else the user's own.
///
/// # Errors
/// [`Rejection::TenantForbidden`] for a tenant without a grant, and for another one than the application's.
pub(super) fn scope(
    account: &Account,
    named: Option<TenantId>,
    bound: Option<&TenantId>,
    directory: &Directory,
) -> Result<Scope, Rejection> {
    let tenant = match (named, bound) {
        (Some(named), Some(bound)) if named != *bound => return Err(Rejection::TenantForbidden),
        (Some(tenant), _) => Some(tenant),
        (None, bound) => bound.cloned(),
    };
    let customer = account.customer.as_ref();
    let Some(tenant) = tenant else {
        return Ok(Scope {
            tenant: None,
            roles: account.roles.clone(),
        });
    };
    let own = || account.roles.clone();
    let (tenant, roles) = match tenancy::right(Some(account), customer, directory, &tenant) {
        None => return Err(Rejection::TenantForbidden),
        Some(Right::Home) => (None, own()),
        Some(Right::Everywhere) => {
            let every = account.every_tenant.as_ref();
            (
                Some(tenant),
                every.map_or_else(Vec::new, |every| every.roles.clone()),
            )
        }
        Some(Right::Granted(grant)) => (Some(tenant), grant.grant.roles.clone().unwrap_or_else(own)),
    };
    Ok(Scope { tenant, roles })
}
