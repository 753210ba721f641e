//! Authorization codes, and the families of tokens that come of them.

use super::words;
use crate::base::clock::UnixTime;
use crate::base::digest::Digest;
use crate::identity::{ClientId, CustomerId, FamilyId, Jti, RealmName, Role, Scope, TenantId, UserId};

/// An authorization code (RFC 6749 section 4.1.2), not redeemed yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorizationCode {
    /// Digest of the code.
    pub digest: Digest,
    /// The world of accounts.
    pub realm: RealmName,
    /// The client it was given to.
    pub client_id: ClientId,
    /// The user who gave the grant.
    pub user: UserId,
    /// Whose quota will be charged.
    pub customer: Option<CustomerId>,
    /// Whose data the tokens act on.
    pub tenant: Option<TenantId>,
    /// What was granted.
    pub scopes: Vec<Scope>,
    /// The user's roles as they go into the tokens.
    pub roles: Vec<Role>,
    /// `redirect_uri` of the authorization request, if it had one.
    pub redirect_uri: Option<String>,
    /// `code_challenge` of method S256 (RFC 7636 section 4.2): the digest of the verifier.
    pub challenge: Option<Digest>,
    /// When it was given out.
    pub issued_at: UnixTime,
    /// From when on it is no good.
    pub expires_at: UnixTime,
}

words! {
    /// By what a family came to be.
    Origin {
        /// An authorization code.
        Code = "code",
        /// The client's own credentials.
        ClientCredentials = "client_credentials",
        /// Token exchange.
        Exchange = "exchange",
        /// Signing in with a password.
        SignIn = "sign_in",
        /// Made by an administrator.
        Offline = "offline",
    }
}

/// One grant to one client: everything that was issued by it and by refreshing it. The token list shows families.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Family {
    /// The token's id in the token list.
    pub id: FamilyId,
    /// The world of accounts.
    pub realm: RealmName,
    /// The client it was given to.
    pub client_id: ClientId,
    /// The user who gave the grant; `None` where the client acts for itself.
    pub user: Option<UserId>,
    /// Whose quota is charged.
    pub customer: Option<CustomerId>,
    /// Whose data is touched unless the call selects another tenant.
    pub tenant: Option<TenantId>,
    /// What was granted.
    pub scopes: Vec<Scope>,
    /// Roles as of the grant.
    pub roles: Vec<Role>,
    /// By what it came to be.
    pub origin: Origin,
    /// When.
    pub created_at: UnixTime,
    /// When the last of its tokens ends. Grows by refreshing, up to `ends_at`.
    pub expires_at: UnixTime,
    /// Its end, however often it is refreshed. No token of it is good for longer.
    pub ends_at: Option<UnixTime>,
    /// When it was revoked.
    pub revoked_at: Option<UnixTime>,
}

impl Family {
    /// Can a token of it be good at `now`?
    pub fn is_live(&self, now: UnixTime) -> bool {
        self.revoked_at.is_none() && now < self.expires_at
    }
}

/// A family to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFamily {
    /// Its id, drawn by the caller.
    pub id: FamilyId,
    /// The world of accounts.
    pub realm: RealmName,
    /// The client it is given to.
    pub client_id: ClientId,
    /// The user who gave the grant.
    pub user: Option<UserId>,
    /// Whose quota is charged.
    pub customer: Option<CustomerId>,
    /// Whose data is touched unless the call selects another tenant.
    pub tenant: Option<TenantId>,
    /// What is granted.
    pub scopes: Vec<Scope>,
    /// Roles.
    pub roles: Vec<Role>,
    /// By what it comes to be.
    pub origin: Origin,
    /// Its end, however often it is refreshed.
    pub ends_at: Option<UnixTime>,
}

/// How an access token is known to the store.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AccessKey {
    /// An opaque token, by its digest.
    Opaque(Digest),
    /// A JSON Web Token, by its `jti`. For one of a foreign issuer the caller makes a name of issuer and `jti`.
    Jwt(Jti),
}

/// An access token to store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAccess {
    /// How it is known.
    pub key: AccessKey,
    /// Its end; cut to the family's.
    pub expires_at: UnixTime,
    /// Scopes, where it has fewer than the family (RFC 6749 section 6).
    pub scopes: Option<Vec<Scope>>,
}

/// A refresh token to store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewRefresh {
    /// Its digest.
    pub digest: Digest,
    /// Its end; cut to the family's.
    pub expires_at: UnixTime,
}

/// What one answer of the token endpoint carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTokens {
    /// The access token.
    pub access: NewAccess,
    /// The refresh token. A family that was issued without one cannot be refreshed.
    pub refresh: Option<NewRefresh>,
}

/// What the answer to a refresh carries: each refresh token is good once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextTokens {
    /// The access token.
    pub access: NewAccess,
    /// The next refresh token.
    pub refresh: NewRefresh,
}

/// What the redemption of a code creates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstTokens {
    /// The family's id, drawn by the caller.
    pub family: FamilyId,
    /// The family's end, however often it is refreshed.
    pub ends_at: Option<UnixTime>,
    /// Its first tokens.
    pub tokens: NewTokens,
}

/// An access token that is good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveAccess {
    /// What it belongs to.
    pub family: Family,
    /// When it was issued.
    pub issued_at: UnixTime,
    /// From when on it is no good.
    pub expires_at: UnixTime,
    /// Its scopes: the family's, or fewer.
    pub scopes: Vec<Scope>,
}

words! {
    /// Where a refresh token stands in its family.
    RefreshState {
        /// The one that may be used.
        Current = "current",
        /// It was used.
        Used = "used",
        /// Its predecessor was used once more within the grace period, and it was replaced.
        Replaced = "replaced",
    }
}

/// What is known of a refresh token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefreshFacts {
    /// What it belongs to.
    pub family: Family,
    /// 0 for the first of a family, one more for each refresh.
    pub generation: u32,
    /// When it was issued.
    pub issued_at: UnixTime,
    /// From when on it is no good.
    pub expires_at: UnixTime,
    /// Where it stands.
    pub state: RefreshState,
}

impl RefreshFacts {
    /// Would it be taken at `now`?
    pub fn is_live(&self, now: UnixTime) -> bool {
        self.state == RefreshState::Current && now < self.expires_at && self.family.is_live(now)
    }
}
