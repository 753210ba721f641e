//! What a route asks for before it lets a request on: nothing, or a credential of one of its kinds.
//!
//! The first kind of the list that a request brings decides. If that credential is wrong the request is refused, whatever
//! else it brings: a fall-through would make a stolen or stale credential beside a good one go unnoticed, and would let a
//! program believe that its password works when a cookie did.

use std::sync::Arc;

use super::api_key::ApiKey;
use super::basic::Logins;
use super::bearer::{Authority, Bearer};
use super::csrf::Renewal;
use super::jwt::Issuer;
use super::known::Known;
use super::presented::Presented;
use super::session::SessionCookies;
use super::signed_url::SignedUrls;
use crate::base::clock::Clock;
use crate::identity::Identity;
use crate::rejection::Rejection;

/// A route's credentials, compiled.
#[derive(Debug, Clone)]
pub struct Credentials(Kind);

#[derive(Debug, Clone)]
enum Kind {
    Public,
    Required(Box<[Authenticator]>),
}

/// One way to be recognised. Each answers with a caller, with "not mine", or with a refusal.
#[derive(Debug, Clone)]
enum Authenticator {
    Bearer(Bearer),
    Session(SessionCookies),
    Basic(Arc<Logins>),
    ApiKey(ApiKey),
    SignedUrl(SignedUrls),
}

/// One entry of a route's list.
#[derive(Debug, Clone)]
pub enum Accepted {
    /// A bearer token. All of a list are one kind.
    Bearer(Authority),
    /// A session cookie.
    Session(SessionCookies),
    /// Name and password.
    Basic(Arc<Logins>),
    /// A token in another header.
    ApiKey(ApiKey),
    /// A signed URL.
    SignedUrl(SignedUrls),
}

/// Who is calling. Only [`Credentials`] make one.
#[derive(Debug, Clone)]
pub struct Caller(Who);

#[derive(Debug, Clone)]
enum Who {
    Anonymous,
    Known(Arc<Known>),
}

impl Caller {
    /// What the credential says; `None` for anybody.
    pub fn identity(&self) -> Option<&Identity> {
        self.known().map(|known| &known.identity)
    }

    /// The verified caller; `None` for anybody.
    pub fn known(&self) -> Option<&Arc<Known>> {
        match &self.0 {
            Who::Anonymous => None,
            Who::Known(known) => Some(known),
        }
    }

    #[cfg(test)]
    pub(super) fn known_as(known: Option<Known>) -> Caller {
        Caller(known.map_or(Who::Anonymous, |known| Who::Known(Arc::new(known))))
    }

    pub(super) fn into_known(self) -> Option<Arc<Known>> {
        match self.0 {
            Who::Anonymous => None,
            Who::Known(known) => Some(known),
        }
    }
}

impl Credentials {
    /// Anybody may call; a credential that is there is not looked at.
    pub fn public() -> Credentials {
        Credentials(Kind::Public)
    }

    /// A bearer token of one of `issuers`.
    pub fn bearer(issuers: Vec<Arc<Issuer>>) -> Credentials {
        let accepted = issuers.into_iter().map(Authority::Issuer).map(Accepted::Bearer);
        Credentials::of(accepted.collect())
    }

    /// One of these, looked for in this order. Bearer tokens are looked for where the first of them stands.
    pub fn of(accepted: Vec<Accepted>) -> Credentials {
        let mut authorities: Vec<Authority> = accepted
            .iter()
            .filter_map(|one| match one {
                Accepted::Bearer(authority) => Some(authority.clone()),
                Accepted::Session(_) | Accepted::Basic(_) | Accepted::ApiKey(_) | Accepted::SignedUrl(_) => {
                    None
                }
            })
            .collect();
        let kinds = accepted.into_iter().filter_map(|one| match one {
            Accepted::Bearer(_) if authorities.is_empty() => None,
            Accepted::Bearer(_) => Some(Authenticator::Bearer(Bearer::new(std::mem::take(
                &mut authorities,
            )))),
            Accepted::Session(session) => Some(Authenticator::Session(session)),
            Accepted::Basic(logins) => Some(Authenticator::Basic(logins)),
            Accepted::ApiKey(key) => Some(Authenticator::ApiKey(key)),
            Accepted::SignedUrl(urls) => Some(Authenticator::SignedUrl(urls)),
        });
        Credentials(Kind::Required(kinds.collect()))
    }

    /// What is to be done after the call of a caller who was recognised here, once its answer is there. Usually nothing.
    pub fn renewal(&self, caller: &Caller, presented: &Presented<'_>) -> Option<Renewal> {
        let session = caller.known()?.own()?.session()?;
        match &self.0 {
            Kind::Public => None,
            Kind::Required(authenticators) => authenticators.iter().find_map(|one| match one {
                Authenticator::Session(cookies) => cookies.renewal(presented, session),
                Authenticator::Bearer(_)
                | Authenticator::Basic(_)
                | Authenticator::ApiKey(_)
                | Authenticator::SignedUrl(_) => None,
            }),
        }
    }

    /// Recognises the caller. For a credential that is remembered this neither waits nor allocates.
    ///
    /// # Errors
    /// [`Rejection::CredentialsMissing`] without a credential of a kind that is asked for, [`Rejection::BadRequest`] for two
    /// in one place; for a bad one [`Rejection::CredentialsInvalid`], [`Rejection::TokenExpired`],
    /// [`Rejection::SessionEnded`], [`Rejection::SignInFailed`], [`Rejection::LockedOut`], [`Rejection::AccountSuspended`],
    /// [`Rejection::AccountInactive`]; [`Rejection::CsrfFailed`];
    /// [`Rejection::AuthorityUnavailable`], [`Rejection::StoreUnavailable`] and [`Rejection::Overloaded`] when nobody can
    /// tell.
    pub async fn identify(&self, presented: &Presented<'_>, clock: &Clock) -> Result<Caller, Rejection> {
        let authenticators = match &self.0 {
            Kind::Public => return Ok(Caller(Who::Anonymous)),
            Kind::Required(authenticators) => authenticators,
        };
        for authenticator in authenticators {
            let known = match authenticator {
                Authenticator::Bearer(bearer) => bearer.identify(presented, clock).await?,
                Authenticator::Session(session) => session.identify(presented, clock.unix()).await?,
                Authenticator::Basic(logins) => logins.identify(presented, clock.unix()).await?,
                Authenticator::ApiKey(key) => key.identify(presented, clock.unix()).await?,
                Authenticator::SignedUrl(urls) => urls.identify(presented, clock.unix())?,
            };
            if let Some(known) = known {
                return Ok(Caller(Who::Known(known)));
            }
        }
        Err(Rejection::CredentialsMissing)
    }
}
