//! Applications: OAuth clients that were registered at run time.

use super::{Actor, words};
use crate::base::clock::UnixTime;
use crate::base::digest::Digest;
use crate::identity::{ClientId, CustomerId, GrantType, RealmName, Scope, TenantId, UserId};

words! {
    /// Whether an application may be used.
    ApplicationState {
        /// It may.
        Active = "active",
        /// It may not, and its tokens do not work while it is so. They work again afterwards; deleting it ends them.
        Disabled = "disabled",
    }
}

/// An OAuth client of one realm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Application {
    /// The world of accounts.
    pub realm: RealmName,
    /// Its identifier, unique in the realm.
    pub client_id: ClientId,
    /// For people.
    pub name: String,
    /// Digest of the client secret; `None` is a public client (RFC 6749 section 2.1).
    pub secret: Option<Digest>,
    /// Exact redirection URIs.
    pub redirect_uris: Vec<String>,
    /// The user it belongs to.
    pub owner: Option<UserId>,
    /// The customer that pays for calls by its own credentials.
    pub customer: Option<CustomerId>,
    /// The tenant it was made for: it acts there and nowhere else.
    pub tenant: Option<TenantId>,
    /// Scopes it may ask for.
    pub scopes: Vec<Scope>,
    /// Grants it may use.
    pub grants: Vec<GrantType>,
    /// Whether it may be used.
    pub state: ApplicationState,
    /// When it was created.
    pub created_at: UnixTime,
    /// By whom.
    pub created_by: Actor,
}

/// What may be changed of an application, replaced as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplicationEdit {
    /// For people.
    pub name: String,
    /// Exact redirection URIs.
    pub redirect_uris: Vec<String>,
    /// Scopes it may ask for.
    pub scopes: Vec<Scope>,
    /// Grants it may use.
    pub grants: Vec<GrantType>,
    /// Whether it may be used.
    pub state: ApplicationState,
}
