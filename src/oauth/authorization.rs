//! Authorization requests (RFC 6749 section 4.1.1, RFC 7636 section 4.3), and the codes that answer them. Who the user is, and
//! whether the user agrees, is asked elsewhere.

use std::sync::Arc;

use super::answers::unavailable;
use super::errors::{OAuthError, Refused};
use super::parameters::{Parameters, Repeats};
use super::service::TokenService;
use super::{pkce, redirect_uri, scope};
use crate::accounts::Client;
use crate::base::clock::UnixTime;
use crate::base::digest::Digest;
use crate::base::token_value::{Shape, TokenValue};
use crate::identity::{ClientId, CustomerId, GrantType, Role, Scope, TenantId, UserId};
use crate::rejection::Rejection;
use crate::store::model::{ApplicationState, AuthorizationCode};

/// Letters and digits of a code: 256 random bits.
const CODE_LETTERS: u8 = 43;

/// Most bytes of `state`: what comes back in a URL has to fit into one.
const LONGEST_STATE: usize = 2048;

/// How the answer to an authorization request reaches the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnsweredBy {
    /// By sending the browser to the redirection URI, which has to be known therefore.
    Redirect,
    /// By the answer itself, to a program. A redirection URI may be named all the same, and is repeated at the token endpoint
    /// then. What is said twice must be the same.
    Body,
}

/// An authorization request that may be put to the user.
#[derive(Debug, Clone)]
pub struct AuthorizationRequest {
    /// The client.
    pub client: Arc<Client>,
    /// What the user is asked for: the scopes of the request, all of the client's if it names none.
    pub scopes: Vec<Scope>,
    /// What the client gets back as it is.
    pub state: Option<String>,
    /// `redirect_uri` of the request. The token request has to repeat it.
    named: Option<String>,
    /// Where the answer goes; `None` when it is told to a program.
    target: Option<String>,
    challenge: Option<Digest>,
}

/// An authorization request that is not put to the user.
#[derive(Debug)]
pub enum AuthorizationRefused {
    /// The client or the redirection URI is in doubt, or a program is answered:
    ///
    /// > the authorization server SHOULD inform the resource owner of the error and MUST NOT automatically redirect the
    /// > user-agent to the invalid redirection URI (section 4.1.2.1)
    Shown(Refused),
    /// The client is told: the browser goes to this URI, error, `state` and `iss` included.
    Sent {
        /// Where to.
        location: String,
        /// Which error.
        refused: Refused,
    },
    /// It is no OAuth error.
    Rejected(Rejection),
}

/// What the user has agreed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consent {
    /// Who.
    pub user: UserId,
    /// Whose quota will be charged.
    pub customer: Option<CustomerId>,
    /// Whose data the tokens act on, if it is to be one tenant's.
    pub tenant: Option<TenantId>,
    /// The user's own roles as they go into the tokens; what they are in a tenant is looked up when it matters.
    pub roles: Vec<Role>,
}

impl TokenService {
    /// Reads an authorization request from a query, or from a form that has the same parameters.
    ///
    /// # Errors
    /// [`AuthorizationRefused`], which says where the error goes.
    pub async fn authorization_request(
        &self,
        text: &str,
        answered: AnsweredBy,
    ) -> Result<AuthorizationRequest, AuthorizationRefused> {
        let shown = AuthorizationRefused::Shown;
        let parameters = Parameters::of_text(text.as_bytes()).map_err(shown)?;
        let repeats = match answered {
            AnsweredBy::Redirect => Repeats::Never,
            AnsweredBy::Body => Repeats::Alike,
        };
        let one = |name| parameters.once(name, repeats);
        let client = self.client_named(one("client_id").map_err(shown)?).await?;
        let registered = &client.application.redirect_uris;
        let named = one("redirect_uri").map_err(shown)?;
        let target = match (answered, named) {
            (AnsweredBy::Body, None) => None,
            (AnsweredBy::Redirect, _) | (AnsweredBy::Body, Some(_)) => {
                let target = redirect_uri::choose(registered, named).map_err(shown)?;
                Some(target.uri().to_owned())
            }
        };
        let target = target.filter(|_| answered == AnsweredBy::Redirect);
        let named = named.map(str::to_owned);
        // From here on the client may be told, with its state if that is to be had.
        let state = one("state");
        let refused = match self.rest(&client, &parameters, repeats) {
            Ok((scopes, challenge)) => match &state {
                Ok(state) if state.is_some_and(|state| state.len() > LONGEST_STATE) => {
                    OAuthError::InvalidRequest.because("The parameter state is too long")
                }
                Ok(state) => {
                    let state = state.map(str::to_owned);
                    return Ok(AuthorizationRequest {
                        client,
                        scopes,
                        state,
                        named,
                        target,
                        challenge,
                    });
                }
                Err(refused) => *refused,
            },
            Err(refused) => refused,
        };
        let state = state.ok().flatten().filter(|state| state.len() <= LONGEST_STATE);
        Err(match target {
            Some(target) => AuthorizationRefused::Sent {
                location: self.refusal_location(&target, refused, state),
                refused,
            },
            None => AuthorizationRefused::Shown(refused),
        })
    }

    async fn client_named(&self, id: Option<&str>) -> Result<Arc<Client>, AuthorizationRefused> {
        let shown = |why| AuthorizationRefused::Shown(OAuthError::InvalidRequest.because(why));
        let id = id.ok_or_else(|| shown("The parameter client_id is missing"))?;
        let unknown = || shown("The client is unknown");
        let id = ClientId::try_from(id).map_err(|_| unknown())?;
        let found = self.realm().application(&id).await;
        let client = found.map_err(|error| AuthorizationRefused::Rejected(unavailable(&error)))?;
        let usable = |client: &Arc<Client>| match client.application.state {
            ApplicationState::Active => true,
            ApplicationState::Disabled => false,
        };
        client.filter(usable).ok_or_else(unknown)
    }

    /// Everything of a request that the client may be told of.
    fn rest(
        &self,
        client: &Client,
        parameters: &Parameters<'_>,
        repeats: Repeats,
    ) -> Result<(Vec<Scope>, Option<Digest>), Refused> {
        parameters.check_repeated(repeats)?;
        let application = &client.application;
        let kind = parameters.required("response_type", "The parameter response_type is missing")?;
        if kind != "code" {
            return Err(OAuthError::UnsupportedResponseType.into());
        }
        if parameters
            .get("response_mode")
            .is_some_and(|mode| mode != "query")
        {
            return Err(OAuthError::InvalidRequest.because("The response mode is not supported"));
        }
        if !application.grants.contains(&GrantType::AuthorizationCode) {
            return Err(OAuthError::UnauthorizedClient.into());
        }
        let scopes = match parameters.get("scope") {
            None => application.scopes.clone(),
            requested => scope::granted(requested, &application.scopes, &application.scopes)?,
        };
        let challenge = pkce::challenge(
            parameters.get("code_challenge"),
            parameters.get("code_challenge_method"),
        )?;
        if challenge.is_none() && self.needs_pkce(application.secret.as_ref()) {
            return Err(OAuthError::InvalidRequest.because("The code challenge is missing"));
        }
        Ok((scopes, challenge))
    }

    /// Makes a code for a request that the user has agreed to. It is stored when it is returned.
    ///
    /// # Errors
    /// [`Rejection::StoreUnavailable`]; [`Rejection::Internal`]. In a redirect this is `temporarily_unavailable`
    /// ([`TokenService::refusal_of`]).
    pub async fn grant_code(
        &self,
        request: &AuthorizationRequest,
        consent: Consent,
        now: UnixTime,
    ) -> Result<TokenValue, Rejection> {
        let code = TokenValue::random(Shape::Alphanumeric(CODE_LETTERS));
        let stored = AuthorizationCode {
            digest: Digest::of(code.reveal()),
            realm: self.realm().name().clone(),
            client_id: request.client.application.client_id.clone(),
            user: consent.user,
            customer: consent.customer,
            tenant: consent.tenant,
            scopes: request.scopes.clone(),
            roles: consent.roles,
            redirect_uri: request.named.clone(),
            challenge: request.challenge,
            issued_at: now,
            expires_at: now.plus(self.plan().code_lifetime),
        };
        self.store()
            .store_code(stored)
            .await
            .map_err(|error| unavailable(&error))?;
        Ok(code)
    }

    /// Where the browser is sent with a code: `code`, `state` and `iss` (RFC 6749 section 4.1.2, RFC 9207 section 2). `None`
    /// for a request that is answered by its body.
    pub fn code_location(&self, request: &AuthorizationRequest, code: &TokenValue) -> Option<String> {
        let target = request.target.as_deref()?;
        let mut parameters = vec![("code", code.reveal())];
        parameters.extend(request.state.as_deref().map(|state| ("state", state)));
        parameters.push(("iss", self.issuer()));
        Some(redirect_uri::with_parameters(target, &parameters))
    }

    /// Where the browser is sent when the user says no, or something is out of order: `error` and its like, `state` and `iss`
    /// (RFC 6749 section 4.1.2.1, RFC 9207 section 2). `None` for a request that is answered by its body.
    pub fn refusal_of(&self, request: &AuthorizationRequest, refused: Refused) -> Option<String> {
        let target = request.target.as_deref()?;
        Some(self.refusal_location(target, refused, request.state.as_deref()))
    }

    fn refusal_location(&self, target: &str, refused: Refused, state: Option<&str>) -> String {
        let mut parameters = vec![
            ("error", refused.error.as_str()),
            ("error_description", refused.description),
        ];
        parameters.extend(state.map(|state| ("state", state)));
        parameters.push(("iss", self.issuer()));
        redirect_uri::with_parameters(target, &parameters)
    }
}
