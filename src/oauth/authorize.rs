//! The authorization endpoint in a browser (RFC 6749 section 4.1.1): who is there, then whether the application may, then
//! back to the application with a code. Works without scripts.
//!
//! GET shows, POST decides. The form of the consent page carries a proof that only the session and this very request give, so
//! that neither another site nor another tab with another request can press its button.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::SET_COOKIE;
use http::{Method, Response, StatusCode};

use super::answers::bug;
use super::asked::{self, Asked};
use super::authorization::{AnsweredBy, AuthorizationRefused, AuthorizationRequest, Consent};
use super::authorize_step::scope;
use super::errors::OAuthError;
use super::pages::{self, Notice, Question};
use super::service::TokenService;
use super::sign_in::{LONGEST_BODY, not_stored, set_cookies};
use crate::accounts::{Account, Directory, Opening, Outcome, Realm};
use crate::base::digest::Digest;
use crate::base::secret::Secret;
use crate::config::plan::SessionPlan;
use crate::http::body::Body;
use crate::http::cookie;
use crate::http::form::{self, Bounds, Parameters};
use crate::http::origin::{self, Source};
use crate::rejection::{BadRequest, Rejection};
use crate::store::model::{Actor, By, UserState};

/// Values of one cookie that are looked up.
const MOST_COOKIES: usize = 4;

/// The endpoint.
#[derive(Debug)]
pub struct Authorize {
    service: Arc<TokenService>,
    realm: Arc<Realm>,
    session: SessionPlan,
    directory: Arc<Directory>,
}

/// Somebody with a session.
struct Visitor {
    account: Arc<Account>,
    session: Digest,
    proof: String,
}

impl Authorize {
    /// The endpoint of `service`, for users of `realm` with sessions in these cookies.
    pub fn new(
        service: Arc<TokenService>,
        realm: Arc<Realm>,
        session: SessionPlan,
        directory: Arc<Directory>,
    ) -> Authorize {
        Authorize {
            service,
            realm,
            session,
            directory,
        }
    }

    /// Answers a request.
    ///
    /// # Errors
    /// [`Rejection::CsrfFailed`] for a form that no page of ours sent, [`Rejection::BadRequest`] for one that is none,
    /// [`Rejection::StoreUnavailable`].
    pub async fn answer(&self, asked: &Asked<'_>, body: Body) -> Result<Response<Bytes>, Rejection> {
        // The target and the client are looked at first: to an address that is not registered nothing is sent at all.
        let query = asked.query.unwrap_or_default();
        let request = match self
            .service
            .authorization_request(query, AnsweredBy::Redirect)
            .await
        {
            Ok(request) => request,
            Err(AuthorizationRefused::Shown(refused)) => {
                return Ok(pages::refused(StatusCode::BAD_REQUEST, refused.description));
            }
            Err(AuthorizationRefused::Sent { location, refused: _ }) => {
                return Ok(pages::see_other(&location));
            }
            Err(AuthorizationRefused::Rejected(rejection)) => return Err(rejection),
        };
        if *asked.method == Method::POST {
            self.decide(asked, body, &request).await
        } else {
            self.show(asked, &request).await
        }
    }

    async fn show(
        &self,
        asked: &Asked<'_>,
        request: &AuthorizationRequest,
    ) -> Result<Response<Bytes>, Rejection> {
        let Some(visitor) = self.visitor(asked).await? else {
            return Ok(pages::sign_in(&request.client.application.name, "", Notice::None));
        };
        Ok(pages::consent(&Question {
            application: &request.client.application.name,
            account: visitor.account.name.as_str(),
            scopes: request
                .scopes
                .iter()
                .map(crate::identity::Scope::as_str)
                .collect(),
            redirect_uri: &self.denied(request)?,
            proof: &visitor.proof,
        }))
    }

    async fn decide(
        &self,
        asked: &Asked<'_>,
        body: Body,
        request: &AuthorizationRequest,
    ) -> Result<Response<Bytes>, Rejection> {
        match origin::source(asked.headers, asked.scheme, asked.authority) {
            Source::Foreign => return Err(Rejection::CsrfFailed("a form of another site")),
            Source::Same | Source::Unsaid => {}
        }
        let unreadable = || Rejection::BadRequest(BadRequest::Parameters);
        if !form::is_form(asked.headers) {
            return Err(unreadable());
        }
        let bytes = asked::whole(body, LONGEST_BODY).await?;
        let fields = Parameters::read(&bytes, Bounds::USUAL).map_err(|_| unreadable())?;
        if fields.repeated().is_some() {
            return Err(unreadable());
        }
        let field = |name: &str| fields.single(name).map_err(|_| unreadable());
        match field("step")? {
            Some("sign-in") => {
                let (name, password) = (field("username")?, field("password")?);
                let (name, password) = (name.unwrap_or_default(), password.unwrap_or_default());
                self.sign_in(asked, request, name, password).await
            }
            Some("consent") => {
                // Without a session there is nobody to decide: the page that follows asks who is there.
                let Some(visitor) = self.visitor(asked).await? else {
                    return Ok(pages::see_other(&self.here(asked)));
                };
                let proof = field("proof")?.unwrap_or_default();
                if !Digest::of(proof).matches(&Digest::of(&visitor.proof)) {
                    return Err(Rejection::CsrfFailed(
                        "the form is of another session or another request",
                    ));
                }
                match field("decision")? {
                    Some("allow") => self.allow(asked, request, &visitor).await,
                    Some("deny") => Ok(pages::see_other(&self.denied(request)?)),
                    Some("switch") => self.leave(asked, &visitor).await,
                    Some(_) | None => Err(unreadable()),
                }
            }
            Some(_) | None => Err(unreadable()),
        }
    }

    async fn sign_in(
        &self,
        asked: &Asked<'_>,
        request: &AuthorizationRequest,
        name: &str,
        password: &str,
    ) -> Result<Response<Bytes>, Rejection> {
        let password = Secret::new(password.as_bytes().to_vec());
        let again = |notice| Ok(pages::sign_in(&request.client.application.name, name, notice));
        let account = match self.realm.sign_in(name, None, password, asked.now).await {
            Outcome::Welcome(account) => account,
            Outcome::Wrong | Outcome::Locked { .. } => return again(Notice::Wrong),
            Outcome::NotActive(_) => return again(Notice::Inactive),
            Outcome::Overloaded | Outcome::StoreDown => return again(Notice::Later),
        };
        let new = Opening {
            account: &account,
            client_id: Some(request.client.application.client_id.clone()),
            replaces: self.visitor(asked).await?.map(|visitor| visitor.session),
        };
        let opened = self
            .realm
            .open_session(new, asked.now)
            .await
            .map_err(not_stored)?;
        let mut answer = pages::see_other(&self.here(asked));
        for field in set_cookies(&self.session, asked.scheme, &opened)? {
            answer.headers_mut().append(SET_COOKIE, field);
        }
        Ok(answer)
    }

    async fn allow(
        &self,
        asked: &Asked<'_>,
        request: &AuthorizationRequest,
        visitor: &Visitor,
    ) -> Result<Response<Bytes>, Rejection> {
        let account = &visitor.account;
        let bound = request.client.application.tenant.as_ref();
        let Ok(scope) = scope(account, None, bound, &self.directory) else {
            return Ok(pages::see_other(&self.denied(request)?));
        };
        let consent = Consent {
            user: account.id,
            customer: account.customer.clone(),
            tenant: scope.tenant,
            roles: scope.roles,
        };
        let code = self.service.grant_code(request, consent, asked.now).await?;
        let location = self.service.code_location(request, &code);
        Ok(pages::see_other(&location.ok_or_else(nowhere)?))
    }

    /// Ends the session, and asks anew who is there.
    async fn leave(&self, asked: &Asked<'_>, visitor: &Visitor) -> Result<Response<Bytes>, Rejection> {
        let by = By::new(Actor::User(visitor.account.id), asked.now);
        let store = self.realm.accounts().store();
        let ended = store.end_session(self.realm.name().clone(), visitor.session, by);
        ended.await.map_err(not_stored)?;
        Ok(pages::see_other(&self.here(asked)))
    }

    /// Back to the application with a no.
    fn denied(&self, request: &AuthorizationRequest) -> Result<String, Rejection> {
        let location = self.service.refusal_of(request, OAuthError::AccessDenied.into());
        location.ok_or_else(nowhere)
    }

    /// Who has a live session of an account in use.
    async fn visitor(&self, asked: &Asked<'_>) -> Result<Option<Visitor>, Rejection> {
        let (store, realm) = (self.realm.accounts().store(), self.realm.name());
        for name in &self.session.read {
            for value in cookie::values(asked.headers, name).take(MOST_COOKIES) {
                let digest = Digest::of_bytes(value);
                let found = store
                    .session(realm.clone(), digest, asked.now)
                    .await
                    .map_err(not_stored)?;
                let Some(session) = found else { continue };
                let account = self.realm.user(session.user).await.map_err(not_stored)?;
                let Some(account) = account.filter(|account| account.state == UserState::Active) else {
                    continue;
                };
                let locked = store.locked_until(realm.clone(), account.key.clone(), asked.now);
                if locked.await.map_err(not_stored)?.is_some() {
                    continue;
                }
                return Ok(Some(Visitor {
                    account,
                    session: digest,
                    proof: proof(value, asked.query.unwrap_or_default()),
                }));
            }
        }
        Ok(None)
    }

    /// The page itself, to be asked for anew: no more than its query, so that no name of a host can slip in.
    fn here(&self, asked: &Asked<'_>) -> String {
        format!("?{}", asked.query.unwrap_or_default())
    }
}

/// A request that is answered by redirect has somewhere to go.
fn nowhere() -> Rejection {
    bug(&"an authorization request has no redirection URI")
}

/// Shows that the consent page was made for this session and this request. Who has not the session's id cannot make it; the
/// id cannot be had from it.
fn proof(session: &[u8], query: &str) -> String {
    let parts = [b"consent\n".as_slice(), session, b"\n", query.as_bytes()].concat();
    URL_SAFE_NO_PAD.encode(Digest::of_bytes(&parts).as_bytes())
}
