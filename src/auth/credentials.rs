//! What a route asks for before it lets a request on: nothing, or a bearer token of one of its issuers.

use std::sync::Arc;

use http::HeaderMap;

use super::jwt::Issuer;
use super::known::Known;
use crate::base::clock::Clock;
use crate::base::digest::Digest;
use crate::http::authorization::{BadAuthorization, bearer};
use crate::identity::Identity;
use crate::jose::compact;
use crate::rejection::{BadRequest, Rejection};

/// A route's credentials, compiled.
#[derive(Debug, Clone)]
pub struct Credentials(Kind);

#[derive(Debug, Clone)]
enum Kind {
    Public,
    Required(Vec<Authenticator>),
}

/// One way to be recognised. Each answers with a caller, with "not mine", or with a refusal.
#[derive(Debug, Clone)]
enum Authenticator {
    Bearer(Bearer),
}

/// Bearer tokens in the `Authorization` field (RFC 6750 section 2.1) and nowhere else: the body and the query (sections
/// 2.2 and 2.3) end up in logs and caches.
#[derive(Debug, Clone)]
struct Bearer {
    issuers: Vec<Arc<Issuer>>,
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
        Credentials(Kind::Required(vec![Authenticator::Bearer(Bearer { issuers })]))
    }

    /// Recognises the caller. For a token that is remembered this neither waits nor allocates.
    ///
    /// # Errors
    /// [`Rejection::CredentialsMissing`] without a credential of the right kind, [`Rejection::BadRequest`] for two,
    /// [`Rejection::CredentialsInvalid`] and [`Rejection::TokenExpired`] for a bad one,
    /// [`Rejection::AuthorityUnavailable`] when there are no keys to tell.
    pub async fn identify(&self, headers: &HeaderMap, clock: &Clock) -> Result<Caller, Rejection> {
        let authenticators = match &self.0 {
            Kind::Public => return Ok(Caller(Who::Anonymous)),
            Kind::Required(authenticators) => authenticators,
        };
        for authenticator in authenticators {
            let known = match authenticator {
                Authenticator::Bearer(bearer) => bearer.identify(headers, clock).await?,
            };
            if let Some(known) = known {
                return Ok(Caller(Who::Known(known)));
            }
        }
        Err(Rejection::CredentialsMissing)
    }
}

impl Bearer {
    async fn identify(&self, headers: &HeaderMap, clock: &Clock) -> Result<Option<Arc<Known>>, Rejection> {
        let token = match bearer(headers) {
            Ok(Some(token)) => token,
            // An "unsupported authentication method" gets a challenge without an error (RFC 6750 section 3.1).
            Ok(None) | Err(BadAuthorization::Scheme) => return Ok(None),
            // `invalid_request`: "uses more than one method for including an access token, or is otherwise malformed".
            Err(BadAuthorization::Repeated) => return Err(Rejection::BadRequest(BadRequest::Field)),
            // `invalid_token`: "expired, revoked, malformed".
            Err(BadAuthorization::Malformed) => {
                return Err(Rejection::CredentialsInvalid(
                    "the bearer credential is not a token",
                ));
            }
        };
        // Before anything is computed over it.
        if token.len() > compact::LONGEST {
            return Err(Rejection::CredentialsInvalid("the token is too long"));
        }
        let digest = Digest::of(token);
        let now = clock.unix();
        for issuer in &self.issuers {
            if let Some(known) = issuer.recall(digest, now)? {
                return Ok(Some(known));
            }
        }
        self.choose(token)?.verify(token, digest, clock).await.map(Some)
    }

    /// With several issuers the token's own `iss` says which is asked; that issuer's keys then have to agree.
    fn choose(&self, token: &str) -> Result<&Arc<Issuer>, Rejection> {
        if let [only] = self.issuers.as_slice() {
            return Ok(only);
        }
        let named = compact::unverified_issuer(token);
        self.issuers
            .iter()
            .find(|issuer| named.as_deref() == Some(issuer.issuer()))
            .ok_or(Rejection::CredentialsInvalid("the token is of no known issuer"))
    }
}
