//! The sign-in endpoint: name and password in, a session or an access token out.
//!
//! Each sign-in gets an id of its own, whatever the request brings, so that nobody can know it before (session fixation); a
//! session that the request came with ends by it.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use http::Response;
use http::header::SET_COOKIE;

use super::answers::{bug, planned, unavailable};
use super::asked::{self, Asked};
use super::client;
use super::issue::{Grant, Refreshing};
use super::service::TokenService;
use crate::accounts::{Account, Opened, Opening, Realm};
use crate::base::clock::UnixTime;
use crate::base::digest::Digest;
use crate::base::json_template::Filling;
use crate::base::secret::Secret;
use crate::base::token_value::TokenValue;
use crate::config::plan::{SessionPlan, SignInField, SignInFields, SignInPlan};
use crate::http::body::Body;
use crate::http::cookie;
use crate::http::form::{self, Bounds, Parameters};
use crate::http::origin::{self, Scheme, Source};
use crate::identity::{ClientId, Role};
use crate::rejection::{BadRequest, Rejection};
use crate::store::StoreError;
use crate::store::model::{AccessKey, Actor, ApplicationState, By, Origin, UserState};
use crate::store::outcome::Access;

/// A body of a sign-in has a name, a password (1 KiB at most) and little else.
pub const LONGEST_BODY: u64 = 16 << 10;

/// Values of one cookie that are looked up to find the session that a sign-in replaces.
const MOST_COOKIES: usize = 4;

/// What a family is given to where a sign-in names no application.
pub const NO_CLIENT: &str = "sign-in";

/// A sign-in endpoint.
#[derive(Debug)]
pub struct SignIn {
    plan: SignInPlan,
    realm: Arc<Realm>,
    gives: Gives,
}

/// What a success gives.
#[derive(Debug)]
pub enum Gives {
    /// A session, in these cookies.
    Session(Box<SessionPlan>),
    /// An access token of this service.
    Token(Arc<TokenService>),
}

/// Who somebody says to be.
struct Said {
    username: String,
    domain: Option<String>,
    proof: Proof,
}

enum Proof {
    Password(Secret),
    Token(Secret),
}

impl SignIn {
    /// The endpoint of `plan` for users of `realm`.
    pub fn new(plan: SignInPlan, realm: Arc<Realm>, gives: Gives) -> SignIn {
        SignIn { plan, realm, gives }
    }

    /// Answers a request.
    ///
    /// # Errors
    /// [`Rejection::BadRequest`] for a body that is not as the plan says, [`Rejection::ClientUnknown`],
    /// [`Rejection::SignInFailed`], [`Rejection::LockedOut`], [`Rejection::AccountInactive`], [`Rejection::RoleMissing`],
    /// [`Rejection::CsrfFailed`] for a form of another site, [`Rejection::Overloaded`], [`Rejection::StoreUnavailable`].
    pub async fn answer(&self, asked: &Asked<'_>, body: Body) -> Result<Response<Bytes>, Rejection> {
        let said = self.read(asked, body).await?;
        let client = self.client(asked).await?;
        let domain = said.domain.as_deref();
        let account = match said.proof {
            Proof::Password(password) => {
                let outcome = self
                    .realm
                    .sign_in(&said.username, domain, password, asked.now)
                    .await;
                outcome.into_result(asked.now)?
            }
            Proof::Token(token) => self.by_token(&said.username, domain, &token, asked.now).await?,
        };
        if !has_any(&account, &self.plan.roles) {
            return Err(Rejection::RoleMissing);
        }
        match &self.gives {
            Gives::Session(plan) => {
                let opened = self.open(plan, asked, &account, client).await?;
                self.with_session(plan, asked, &account, &opened)
            }
            Gives::Token(service) => self.with_token(service, asked, &account, client).await,
        }
    }

    async fn read(&self, asked: &Asked<'_>, body: Body) -> Result<Said, Rejection> {
        let bytes = asked::whole(body, LONGEST_BODY).await?;
        match (&self.plan.json, &self.plan.form) {
            (Some(fields), _) if asked::is_json(asked.headers) => {
                let members = asked::members(asked.headers, &bytes)?;
                said(fields, |pointer| asked::text_at(&members, pointer))
            }
            (_, Some(fields)) if form::is_form(asked.headers) => {
                // A page of another site can send a form, with this site's cookies, and sign a visitor in as somebody else.
                match origin::source(asked.headers, asked.scheme, asked.authority) {
                    Source::Foreign => return Err(Rejection::CsrfFailed("a form of another site")),
                    Source::Same | Source::Unsaid => {}
                }
                let bounds = Bounds {
                    bytes: bytes.len(),
                    ..Bounds::USUAL
                };
                let parameters = Parameters::read(&bytes, bounds).map_err(|_| unreadable())?;
                if parameters.repeated().is_some() {
                    return Err(unreadable());
                }
                said(fields, |name| parameters.single(name).map_err(|_| unreadable()))
            }
            (Some(_) | None, Some(_) | None) => Err(unreadable()),
        }
    }

    /// The application that the request is for, where the plan asks for one.
    async fn client(&self, asked: &Asked<'_>) -> Result<Option<ClientId>, Rejection> {
        let Some(source) = &self.plan.client else {
            return Ok(None);
        };
        let named = client::named(source, asked.query, asked.headers)?;
        let client = named.ok_or(Rejection::ClientUnknown("the request names none"))?;
        match self.realm.application(&client).await.map_err(not_stored)? {
            Some(known) if known.application.state == ApplicationState::Active => Ok(Some(client)),
            Some(_) => Err(Rejection::ClientUnknown("it is switched off")),
            None => Err(Rejection::ClientUnknown("there is none of that name")),
        }
    }

    /// The account behind an opaque access token of the realm, if it is the one that is named.
    async fn by_token(
        &self,
        username: &str,
        domain: Option<&str>,
        token: &Secret,
        now: UnixTime,
    ) -> Result<Arc<Account>, Rejection> {
        let key = AccessKey::Opaque(Digest::of_bytes(token.reveal()));
        let store = self.realm.accounts().store();
        let found = store
            .access(self.realm.name().clone(), key, now)
            .await
            .map_err(not_stored)?;
        let user = match found {
            Access::Live(live) => live.family.user,
            Access::Expired(_) | Access::Revoked | Access::Unknown => None,
        };
        let user = user.ok_or(Rejection::SignInFailed)?;
        let account = self.realm.user(user).await.map_err(not_stored)?;
        let account = account.ok_or(Rejection::SignInFailed)?;
        if self.realm.key_of(username, domain) != Some(account.key.clone()) {
            return Err(Rejection::SignInFailed);
        }
        let locked = store.locked_until(self.realm.name().clone(), account.key.clone(), now);
        if let Some(until) = locked.await.map_err(not_stored)? {
            return Err(Rejection::LockedOut {
                retry_after_seconds: until.since(now).as_secs().max(1),
            });
        }
        match account.state {
            UserState::Active => Ok(account),
            UserState::Pending | UserState::Activated | UserState::Rejected | UserState::Disabled => {
                Err(Rejection::AccountInactive("it may not sign in"))
            }
        }
    }

    async fn open(
        &self,
        plan: &SessionPlan,
        asked: &Asked<'_>,
        account: &Account,
        client_id: Option<ClientId>,
    ) -> Result<Opened, Rejection> {
        let replaces = self.session_of(plan, asked).await?;
        let new = Opening {
            account,
            client_id,
            replaces,
        };
        self.realm.open_session(new, asked.now).await.map_err(not_stored)
    }

    /// The live session that the request came with.
    async fn session_of(&self, plan: &SessionPlan, asked: &Asked<'_>) -> Result<Option<Digest>, Rejection> {
        for name in &plan.read {
            for value in cookie::values(asked.headers, name).take(MOST_COOKIES) {
                let digest = Digest::of_bytes(value);
                let store = self.realm.accounts().store();
                let found = store.session(self.realm.name().clone(), digest, asked.now).await;
                if found.map_err(not_stored)?.is_some() {
                    return Ok(Some(digest));
                }
            }
        }
        Ok(None)
    }

    fn with_session(
        &self,
        plan: &SessionPlan,
        asked: &Asked<'_>,
        account: &Account,
        opened: &Opened,
    ) -> Result<Response<Bytes>, Rejection> {
        let csrf = plan.csrf.as_ref().map(|_| &opened.csrf);
        let mut answer = planned(&self.plan.answer, |field| match field {
            SignInField::Token | SignInField::TokenType => Filling::Absent,
            SignInField::ExpiresIn => seconds_until(opened.expires_at, asked.now),
            SignInField::ExpiresAt => Filling::Text(Cow::Owned(opened.expires_at.rfc3339())),
            SignInField::User => Filling::Text(Cow::Borrowed(account.name.as_str())),
            SignInField::Csrf => csrf.map_or(Filling::Absent, |csrf| Filling::Text(csrf.reveal().into())),
        });
        for field in set_cookies(plan, asked.scheme, opened)? {
            answer.headers_mut().append(SET_COOKIE, field);
        }
        Ok(answer)
    }

    async fn with_token(
        &self,
        service: &TokenService,
        asked: &Asked<'_>,
        account: &Account,
        client: Option<ClientId>,
    ) -> Result<Response<Bytes>, Rejection> {
        let nobody = || ClientId::try_from(NO_CLIENT).map_err(|bad| bug(&bad));
        let grant = Grant {
            client_id: client.map_or_else(nobody, Ok)?,
            user: Some(account.id),
            customer: account.customer.clone(),
            tenant: None,
            scopes: service.plan().scopes.scopes().cloned().collect(),
            roles: account.roles.clone(),
            origin: Origin::SignIn,
            audience: None,
            until: None,
            refreshing: Refreshing::Without,
        };
        let by = By::new(Actor::User(account.id), asked.now);
        let tokens = service.issue(grant, by).await?;
        let answer = planned(&self.plan.answer, |field| match field {
            SignInField::Token => Filling::Text(tokens.access.as_str().into()),
            SignInField::TokenType => Filling::Text("Bearer".into()),
            SignInField::ExpiresIn => Filling::Number(tokens.expires_in),
            SignInField::ExpiresAt => Filling::Text(Cow::Owned(tokens.expires_at.rfc3339())),
            SignInField::User => Filling::Text(Cow::Borrowed(account.name.as_str())),
            SignInField::Csrf => Filling::Absent,
        });
        Ok(answer)
    }
}

/// Has the account one of `roles`, outside of any tenant's or in every one? True for no roles at all.
fn has_any(account: &Account, roles: &[Role]) -> bool {
    let everywhere = account.every_tenant.iter().flat_map(|every| &every.roles);
    let mut own = account.roles.iter().chain(everywhere);
    roles.is_empty() || own.any(|role| roles.contains(role))
}

/// The cookies of a new session, each a field of its own: clients take one with two cookies in it for one cookie.
pub(super) fn set_cookies(
    plan: &SessionPlan,
    scheme: Scheme,
    opened: &Opened,
) -> Result<Vec<http::HeaderValue>, Rejection> {
    let template = |cookie: &crate::config::plan::SessionCookie, value: &TokenValue| {
        // What is random is letters, digits, `-` and `_`.
        cookie.by(scheme).set(value.reveal()).map_err(|bad| bug(&bad))
    };
    let mut fields = vec![template(&plan.cookie, &opened.id)?];
    if let Some(csrf) = &plan.csrf {
        fields.push(template(&csrf.cookie, &opened.csrf)?);
    }
    Ok(fields)
}

/// Who a request says to be, with `value` for where it says so.
fn said<'b, P>(
    fields: &SignInFields<P>,
    value: impl Fn(&P) -> Result<Option<&'b str>, Rejection>,
) -> Result<Said, Rejection>
where
    P: 'b,
{
    let username = value(&fields.username)?.ok_or_else(unreadable)?.to_owned();
    let password = value(&fields.password)?;
    let token = fields.token.as_ref().map(&value).transpose()?.flatten();
    let domain = fields.domain.as_ref().map(&value).transpose()?.flatten();
    let secret = |text: &str| Secret::new(text.as_bytes().to_vec());
    Ok(Said {
        username,
        domain: domain.map(str::to_owned),
        proof: match (password, token) {
            (Some(password), None) => Proof::Password(secret(password)),
            (None, Some(token)) => Proof::Token(secret(token)),
            (Some(_), Some(_)) | (None, None) => return Err(unreadable()),
        },
    })
}

fn seconds_until(end: UnixTime, now: UnixTime) -> Filling<'static> {
    Filling::Number(i64::try_from(end.since(now).as_secs()).unwrap_or(i64::MAX))
}

fn unreadable() -> Rejection {
    Rejection::BadRequest(BadRequest::Parameters)
}

pub(super) fn not_stored(cause: StoreError) -> Rejection {
    unavailable(&cause)
}
