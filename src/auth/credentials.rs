//! What a route asks for before it lets a request on: nothing, or a credential of one of its kinds.
//!
//! The first kind of the list that a request brings decides. If that credential is wrong the request is refused, whatever
//! else it brings: a fall-through would make a stolen or stale credential beside a good one go unnoticed, and would let a
//! program believe that its password works when a cookie did.

use std::sync::Arc;

use http::HeaderValue;

use super::api_key::ApiKey;
use super::basic::Logins;
use super::bearer::{Authority, Bearer};
use super::csrf::Renewal;
use super::jwt::Issuer;
use super::known::Known;
use super::presented::Presented;
use super::remote::RemoteSessions;
use super::session::SessionCookies;
use super::signed_url::SignedUrls;
use crate::base::clock::Clock;
use crate::http::form;
use crate::identity::Identity;
use crate::rejection::Rejection;

/// A route's credentials, compiled.
#[derive(Debug, Clone)]
pub struct Credentials {
    kind: Kind,
    /// Where browsers sign in.
    sign_in_at: Option<Box<str>>,
}

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
    SignedIn(Arc<RemoteSessions>),
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
    /// A session of somebody who signed in elsewhere.
    SignedIn(Arc<RemoteSessions>),
}

/// Who is calling. Only [`Credentials`] make one.
#[derive(Debug, Clone)]
pub struct Caller {
    who: Who,
    /// The `Authorization` that goes to the backend in the caller's name.
    bearer: Option<Arc<HeaderValue>>,
}

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
        match &self.who {
            Who::Anonymous => None,
            Who::Known(known) => Some(known),
        }
    }

    #[cfg(test)]
    pub(super) fn known_as(known: Option<Known>) -> Caller {
        Caller::of(known.map_or(Who::Anonymous, |known| Who::Known(Arc::new(known))))
    }

    fn of(who: Who) -> Caller {
        Caller { who, bearer: None }
    }

    pub(super) fn into_known(self) -> Option<(Arc<Known>, Option<Arc<HeaderValue>>)> {
        match self.who {
            Who::Anonymous => None,
            Who::Known(known) => Some((known, self.bearer)),
        }
    }
}

impl Credentials {
    /// Anybody may call; a credential that is there is not looked at.
    pub fn public() -> Credentials {
        Credentials {
            kind: Kind::Public,
            sign_in_at: None,
        }
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
                Accepted::Session(_)
                | Accepted::Basic(_)
                | Accepted::ApiKey(_)
                | Accepted::SignedUrl(_)
                | Accepted::SignedIn(_) => None,
            })
            .collect();
        let sign_in_at = accepted.iter().find_map(|one| match one {
            Accepted::SignedIn(sessions) => sessions.plan().begin.as_deref().map(Box::from),
            Accepted::Bearer(_)
            | Accepted::Session(_)
            | Accepted::Basic(_)
            | Accepted::ApiKey(_)
            | Accepted::SignedUrl(_) => None,
        });
        let kinds = accepted.into_iter().filter_map(|one| match one {
            Accepted::Bearer(_) if authorities.is_empty() => None,
            Accepted::Bearer(_) => Some(Authenticator::Bearer(Bearer::new(std::mem::take(
                &mut authorities,
            )))),
            Accepted::Session(session) => Some(Authenticator::Session(session)),
            Accepted::Basic(logins) => Some(Authenticator::Basic(logins)),
            Accepted::ApiKey(key) => Some(Authenticator::ApiKey(key)),
            Accepted::SignedUrl(urls) => Some(Authenticator::SignedUrl(urls)),
            Accepted::SignedIn(sessions) => Some(Authenticator::SignedIn(sessions)),
        });
        Credentials {
            kind: Kind::Required(kinds.collect()),
            sign_in_at,
        }
    }

    /// What is to be done after the call of a caller who was recognised here, once its answer is there. Usually nothing.
    pub fn renewal(&self, caller: &Caller, presented: &Presented<'_>) -> Option<Renewal> {
        let session = caller.known()?.own()?.session()?;
        match &self.kind {
            Kind::Public => None,
            Kind::Required(authenticators) => authenticators.iter().find_map(|one| match one {
                Authenticator::Session(cookies) => cookies.renewal(presented, session),
                Authenticator::Bearer(_)
                | Authenticator::Basic(_)
                | Authenticator::ApiKey(_)
                | Authenticator::SignedUrl(_)
                | Authenticator::SignedIn(_) => None,
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
        let authenticators = match &self.kind {
            Kind::Public => return Ok(Caller::of(Who::Anonymous)),
            Kind::Required(authenticators) => authenticators,
        };
        let mut ended = None;
        for authenticator in authenticators {
            let known = match authenticator {
                // A session that has ended decides, except beside another sign-in of the same api: its cookie stays where it is.
                _ if ended.is_some() && !matches!(authenticator, Authenticator::SignedIn(_)) => None,
                Authenticator::Bearer(bearer) => bearer.identify(presented, clock).await?,
                Authenticator::Session(session) => session.identify(presented, clock.unix()).await?,
                Authenticator::Basic(logins) => logins.identify(presented, clock.unix()).await?,
                Authenticator::ApiKey(key) => key.identify(presented, clock.unix()).await?,
                Authenticator::SignedUrl(urls) => urls.identify(presented, clock.unix())?,
                // Its state is large, and few routes take such sessions.
                Authenticator::SignedIn(sessions) => {
                    match Box::pin(sessions.identify(presented, clock)).await {
                        Ok(Some((known, bearer))) => {
                            return Ok(Caller {
                                who: Who::Known(known),
                                bearer,
                            });
                        }
                        Ok(None) => None,
                        Err(refusal @ Rejection::SessionEnded(_)) => {
                            ended.get_or_insert(refusal);
                            None
                        }
                        Err(refusal) => return Err(refusal),
                    }
                }
            };
            if let Some(known) = known {
                return Ok(Caller::of(Who::Known(known)));
            }
        }
        Err(self.instead(ended.unwrap_or(Rejection::CredentialsMissing), presented))
    }

    /// A browser that opens a page is sent to sign in; a program is told that it has to.
    fn instead(&self, refusal: Rejection, presented: &Presented<'_>) -> Rejection {
        match (&self.sign_in_at, &refusal) {
            (Some(at), Rejection::CredentialsMissing | Rejection::SessionEnded(_)) if presented.is_page() => {
                let mut to = presented.path.to_owned();
                if let Some(query) = presented.query {
                    to.push('?');
                    to.push_str(query);
                }
                let location = format!("{at}?return_to={}", form::encoded(&to));
                match HeaderValue::try_from(location) {
                    Ok(location) => Rejection::SignInNeeded { location },
                    Err(_) => refusal,
                }
            }
            _ => refusal,
        }
    }
}
