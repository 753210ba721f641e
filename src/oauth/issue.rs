//! Making tokens: drawn, stored, and only then shown.
//!
//! Nothing leaves here that the store has not written down: a token that the client has and the gateway does not know after a
//! crash would be worse than none.

use zeroize::Zeroizing;

use super::answers::{bug, unavailable};
use super::service::TokenService;
use crate::base::clock::UnixTime;
use crate::base::digest::Digest;
use crate::base::token_value::{Shape, TokenValue};
use crate::identity::{ClientId, CustomerId, FamilyId, Jti, Role, Scope, SubjectId, TenantId, UserId};
use crate::jose::access_token::{self, AccessClaims};
use crate::jose::compact;
use crate::rejection::Rejection;
use crate::store::model::{
    AccessKey, By, Family, NewAccess, NewFamily, NewRefresh, NewTokens, NextTokens, Origin,
};
use crate::store::outcome::Issued;

/// Letters and digits of a token: those of the example that clients were written against, 190 random bits.
const LETTERS: u8 = 32;

/// For whom and what tokens are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// To whom they are given.
    pub client_id: ClientId,
    /// Who gave the grant; `None` where the client acts for itself.
    pub user: Option<UserId>,
    /// Whose quota is charged.
    pub customer: Option<CustomerId>,
    /// Whose data is touched unless a call selects another tenant.
    pub tenant: Option<TenantId>,
    /// What they allow.
    pub scopes: Vec<Scope>,
    /// The user's own roles as of the grant, or the client's; what they are in a tenant is looked up when it matters.
    pub roles: Vec<Role>,
    /// By what they come to be.
    pub origin: Origin,
    /// One of the service's audiences; `None`: all of them.
    pub audience: Option<String>,
    /// Their end at the latest, however long tokens of the service hold otherwise.
    pub until: Option<UnixTime>,
    /// With a refresh token, where the service has any?
    pub refreshing: Refreshing,
}

/// Does a refresh token go with the access token?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refreshing {
    /// Yes.
    With,
    /// No.
    Without,
}

/// Tokens that were stored: the only place in which their text is. `Debug` does not show it.
pub struct Tokens {
    /// The access token.
    pub access: Zeroizing<String>,
    /// From when on it is no good.
    pub expires_at: UnixTime,
    /// How long it is good from the answer on, in seconds.
    pub expires_in: i64,
    /// The refresh token.
    pub refresh: Option<TokenValue>,
    /// What the access token allows.
    pub scopes: Vec<Scope>,
    /// The grant that they belong to.
    pub family: FamilyId,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokens")
            .field("family", &self.family)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// An access token that is not stored yet.
pub(super) enum Drawn {
    Opaque(TokenValue),
    /// It is signed when the store has said for how long it is.
    Jwt(Jti),
}

/// What an access token says beyond its family.
#[derive(Debug, Default)]
pub(super) struct Says {
    /// Its scopes.
    pub(super) scopes: Vec<Scope>,
    /// One of the service's audiences; `None`: all of them.
    pub(super) audience: Option<String>,
}

/// What is drawn for one answer.
pub(super) struct Draft {
    access: Drawn,
    refresh: Option<TokenValue>,
    now: UnixTime,
}

impl TokenService {
    /// Issues tokens without a code: for a sign-in, by an administrator, for a client's own credentials.
    ///
    /// # Errors
    /// [`Rejection::StoreUnavailable`]; [`Rejection::Internal`]; [`Rejection::AccountInactive`] for somebody who may not have
    /// tokens, where they are signed.
    pub async fn issue(&self, grant: Grant, by: By) -> Result<Tokens, Rejection> {
        let draft = self.draft(grant.refreshing, by.at);
        let says = Says {
            scopes: grant.scopes.clone(),
            audience: grant.audience,
        };
        let family = NewFamily {
            id: FamilyId::random(),
            realm: self.realm().name().clone(),
            client_id: grant.client_id,
            user: grant.user,
            customer: grant.customer,
            tenant: grant.tenant,
            scopes: grant.scopes,
            roles: grant.roles,
            origin: grant.origin,
            ends_at: grant.until,
        };
        let tokens = self.first(&draft);
        let issued = self
            .store()
            .issue(family, tokens, by)
            .await
            .map_err(|error| unavailable(&error))?;
        self.finished(draft, &issued, says).await
    }

    /// Draws what an answer carries.
    pub(super) fn draft(&self, refreshing: Refreshing, now: UnixTime) -> Draft {
        let text = || TokenValue::random(Shape::Alphanumeric(LETTERS));
        Draft {
            access: match self.signing() {
                None => Drawn::Opaque(text()),
                Some(_) => Drawn::Jwt(Jti::random()),
            },
            refresh: match (refreshing, self.plan().refresh) {
                (Refreshing::With, Some(_)) => Some(text()),
                (Refreshing::With, None) | (Refreshing::Without, _) => None,
            },
            now,
        }
    }

    /// The first tokens of a family, as the store keeps them.
    pub(super) fn first(&self, draft: &Draft) -> NewTokens {
        NewTokens {
            access: self.new_access(draft, None),
            refresh: draft
                .refresh
                .as_ref()
                .and_then(|text| self.new_refresh(text, draft.now)),
        }
    }

    /// The next ones, with `scopes` where the access token has fewer than the family. `None` when the service has no refresh
    /// tokens.
    pub(super) fn next(&self, draft: &Draft, scopes: Option<Vec<Scope>>) -> Option<NextTokens> {
        Some(NextTokens {
            access: self.new_access(draft, scopes),
            refresh: self.new_refresh(draft.refresh.as_ref()?, draft.now)?,
        })
    }

    fn new_access(&self, draft: &Draft, scopes: Option<Vec<Scope>>) -> NewAccess {
        NewAccess {
            key: match &draft.access {
                Drawn::Opaque(text) => AccessKey::Opaque(Digest::of(text.reveal())),
                Drawn::Jwt(id) => AccessKey::Jwt(id.clone()),
            },
            expires_at: draft.now.plus(self.plan().access.lifetime),
            scopes,
        }
    }

    fn new_refresh(&self, text: &TokenValue, now: UnixTime) -> Option<NewRefresh> {
        Some(NewRefresh {
            digest: Digest::of(text.reveal()),
            expires_at: now.plus(self.plan().refresh?.lifetime),
        })
    }

    /// The tokens as the client gets them, after the store has them.
    ///
    /// A signed token says who stands behind it at this moment, since whoever reads it can look nothing up.
    ///
    /// # Errors
    /// [`Rejection::AccountInactive`] when nobody does any more; then the tokens are good for nothing anyway.
    pub(super) async fn finished(
        &self,
        draft: Draft,
        issued: &Issued,
        says: Says,
    ) -> Result<Tokens, Rejection> {
        let expires_at = issued.access_expires_at;
        let access = match draft.access {
            Drawn::Opaque(text) => Zeroizing::new(text.reveal().to_owned()),
            Drawn::Jwt(id) => {
                let family = &issued.family;
                let holder = self.holder(family).await.map_err(|error| unavailable(&error))?;
                let holder = holder.ok_or(Rejection::AccountInactive(
                    "nobody stands behind the grant any more",
                ))?;
                let claims = AccessClaims {
                    issuer: self.issuer().to_owned(),
                    audience: match says.audience {
                        Some(one) => vec![one],
                        None => self.plan().audience.clone(),
                    },
                    subject: subject(family)?,
                    client_id: family.client_id.clone(),
                    id,
                    issued_at: draft.now,
                    expires_at,
                    scopes: says.scopes.clone(),
                    roles: holder.roles,
                    customer: holder.customer,
                    tenant: holder.tenant,
                    family: family.id,
                };
                self.signed(&claims)?
            }
        };
        Ok(Tokens {
            access,
            expires_at,
            expires_in: expires_at.0.saturating_sub(draft.now.0).max(0),
            refresh: draft.refresh,
            scopes: says.scopes,
            family: issued.family.id,
        })
    }

    fn signed(&self, claims: &AccessClaims) -> Result<Zeroizing<String>, Rejection> {
        let Some(signing) = self.signing() else {
            return Err(bug(&"a token was to be signed and there are no keys"));
        };
        let token = signing
            .keys
            .sign(access_token::TYPE, &claims.members())
            .map(Zeroizing::new)
            .map_err(|error| bug(&format_args!("an access token was not signed: {error}")))?;
        if token.len() > compact::LONGEST {
            // It would be refused wherever it is shown, here first.
            return Err(bug(&format_args!(
                "an access token has {} bytes, for so many roles or scopes; {} are taken",
                token.len(),
                compact::LONGEST
            )));
        }
        Ok(token)
    }
}

/// `sub`: the user; the client where it acts for itself (RFC 9068 section 2.2).
pub(super) fn subject(family: &Family) -> Result<SubjectId, Rejection> {
    let text = match family.user {
        Some(user) => user.to_string(),
        None => family.client_id.as_str().to_owned(),
    };
    // Both grammars are part of this one.
    SubjectId::try_from(text.as_str()).map_err(|error| bug(&format_args!("no subject: {error}")))
}
