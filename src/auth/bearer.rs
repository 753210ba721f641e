//! Bearer tokens in the `Authorization` field (RFC 6750 section 2.1) and nowhere else: the body and the query (sections 2.2
//! and 2.3) end up in logs and caches.
//!
//! Several authorities may be asked on one route. Which of them is asked is said by the token: a signed one names its issuer;
//! an opaque one is looked for among our own; what is left goes to the one whose tokens are asked about.

use std::sync::Arc;

use http::HeaderMap;

use super::introspection::Introspection;
use super::jwt::Issuer;
use super::known::Known;
use super::opaque::{Found, OwnTokens, is_signed};
use super::presented::Presented;
use crate::base::clock::{Clock, UnixTime};
use crate::base::digest::Digest;
use crate::http::authorization::{BadAuthorization, bearer};
use crate::jose::compact;
use crate::rejection::{BadRequest, Rejection};

/// What the log says of a credential that is none.
const NO_TOKEN: &str = "the bearer credential is not a token";

/// Who vouches for bearer tokens.
#[derive(Debug, Clone)]
pub enum Authority {
    /// Signed tokens of somebody else.
    Issuer(Arc<Issuer>),
    /// Our own.
    Own(Arc<OwnTokens>),
    /// Tokens of somebody else that are asked about.
    Introspection(Arc<Introspection>),
}

impl Authority {
    /// Are both the very same?
    pub(super) fn is(&self, other: &Authority) -> bool {
        match (self, other) {
            (Authority::Issuer(own), Authority::Issuer(other)) => Arc::ptr_eq(own, other),
            (Authority::Own(own), Authority::Own(other)) => Arc::ptr_eq(own, other),
            (Authority::Introspection(own), Authority::Introspection(other)) => Arc::ptr_eq(own, other),
            (Authority::Issuer(_) | Authority::Own(_) | Authority::Introspection(_), _) => false,
        }
    }
}

/// The authorities of one route.
#[derive(Debug, Clone)]
pub(super) struct Bearer {
    authorities: Box<[Authority]>,
}

impl Bearer {
    pub(super) fn new(authorities: Vec<Authority>) -> Bearer {
        Bearer {
            authorities: authorities.into(),
        }
    }

    /// The caller; `None` when there is no credential of this scheme.
    pub(super) async fn identify(
        &self,
        presented: &Presented<'_>,
        clock: &Clock,
    ) -> Result<Option<Arc<Known>>, Rejection> {
        let Some(token) = token(presented.headers)? else {
            return Ok(None);
        };
        let digest = Digest::of_bytes(token);
        if let Some(known) = self.recall(digest, clock.unix())? {
            return Ok(Some(known));
        }
        // A b64token is ASCII, so this cannot fail; if it did, the token would be refused.
        let Ok(token) = std::str::from_utf8(token) else {
            return Err(Rejection::CredentialsInvalid(NO_TOKEN));
        };
        self.verify(token, digest, clock).await.map(Some)
    }

    /// The caller of a token, whatever it stood in. `digest` is the token's.
    pub(super) async fn by_token(
        &self,
        token: &str,
        digest: Digest,
        clock: &Clock,
    ) -> Result<Arc<Known>, Rejection> {
        match self.recall(digest, clock.unix())? {
            Some(known) => Ok(known),
            None => self.verify(token, digest, clock).await,
        }
    }

    // A part of every request, and called from two places.
    #[inline]
    fn recall(&self, digest: Digest, now: UnixTime) -> Result<Option<Arc<Known>>, Rejection> {
        for authority in &self.authorities {
            let known = match authority {
                Authority::Issuer(issuer) => issuer.recall(digest, now)?,
                Authority::Own(own) => own.recall(digest, now)?,
                Authority::Introspection(introspection) => introspection.recall(digest, now)?,
            };
            if known.is_some() {
                return Ok(known);
            }
        }
        Ok(None)
    }

    async fn verify(&self, token: &str, digest: Digest, clock: &Clock) -> Result<Arc<Known>, Rejection> {
        match self.authorities.as_ref() {
            [Authority::Issuer(only)] => only.verify(token, digest, clock).await,
            // Rare: not a part of every request's future.
            _ => Box::pin(self.look_up(token, digest, clock)).await,
        }
    }

    async fn look_up(&self, token: &str, digest: Digest, clock: &Clock) -> Result<Arc<Known>, Rejection> {
        if is_signed(token) {
            match self.signer(token) {
                Some(Authority::Issuer(issuer)) => return issuer.verify(token, digest, clock).await,
                Some(Authority::Own(own)) => return own_token(own, token, digest, clock).await,
                Some(Authority::Introspection(_)) | None => {}
            }
        } else {
            for authority in &self.authorities {
                let Authority::Own(own) = authority else { continue };
                match own.look_up(token, digest, clock.unix()).await? {
                    Found::Known(known) => return Ok(known),
                    Found::Unknown => {}
                }
            }
        }
        let asked = self.authorities.iter().find_map(|authority| match authority {
            Authority::Introspection(introspection) => Some(introspection),
            Authority::Issuer(_) | Authority::Own(_) => None,
        });
        match asked {
            Some(introspection) => introspection.ask(token, digest, clock).await,
            None => Err(self.refuse_unknown(token)),
        }
    }

    /// Who is to verify a signed token: the only one there is, else the one that its own `iss` names, whose keys then have
    /// to agree.
    fn signer(&self, token: &str) -> Option<&Authority> {
        let signs = |authority: &&Authority| match authority {
            Authority::Issuer(_) => true,
            Authority::Own(own) => own.issuer().is_some(),
            Authority::Introspection(_) => false,
        };
        let mut signers = self.authorities.iter().filter(signs);
        if let (Some(only), None) = (signers.next(), signers.next())
            && self.authorities.len() == 1
        {
            return Some(only);
        }
        let named = compact::unverified_issuer(token)?;
        self.authorities.iter().find(|authority| match authority {
            Authority::Issuer(issuer) => issuer.issuer() == named,
            Authority::Own(own) => own.issuer() == Some(named.as_str()),
            Authority::Introspection(_) => false,
        })
    }

    fn refuse_unknown(&self, token: &str) -> Rejection {
        let own = self.authorities.iter().find_map(|authority| match authority {
            Authority::Own(own) => Some(own),
            Authority::Issuer(_) | Authority::Introspection(_) => None,
        });
        match own {
            Some(own) if !is_signed(token) => own.refuse_unknown(),
            Some(_) | None => Rejection::CredentialsInvalid("the token is of no known issuer"),
        }
    }
}

async fn own_token(
    own: &OwnTokens,
    token: &str,
    digest: Digest,
    clock: &Clock,
) -> Result<Arc<Known>, Rejection> {
    match own.look_up(token, digest, clock.unix()).await? {
        Found::Known(known) => Ok(known),
        Found::Unknown => Err(own.refuse_unknown()),
    }
}

/// The one bearer token of a request.
fn token(headers: &HeaderMap) -> Result<Option<&[u8]>, Rejection> {
    let token = match bearer(headers) {
        Ok(Some(token)) => token,
        // An "unsupported authentication method" gets a challenge without an error (RFC 6750 section 3.1).
        Ok(None) | Err(BadAuthorization::Scheme) => return Ok(None),
        // `invalid_request`: "uses more than one method for including an access token, or is otherwise malformed".
        Err(BadAuthorization::Repeated) => return Err(Rejection::BadRequest(BadRequest::Field)),
        // `invalid_token`: "expired, revoked, malformed".
        Err(BadAuthorization::Malformed) => {
            return Err(Rejection::CredentialsInvalid(NO_TOKEN));
        }
    };
    // Before anything is computed over it.
    if token.len() > compact::LONGEST {
        return Err(Rejection::CredentialsInvalid("the token is too long"));
    }
    Ok(Some(token))
}
