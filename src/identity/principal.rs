//! Who is calling, as a verified credential says it.

use serde::{Deserialize, Serialize};

use super::{CustomerId, IssuerName, RegionName, Role, Scope, SubjectId, TenantId};
use crate::base::clock::UnixTime;

/// By which kind of credential the caller was recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CredentialKind {
    /// A JSON Web Token of somebody else in the `Authorization` header (RFC 6750 section 2.1).
    Jwt,
    /// An access token of our own in the `Authorization` header.
    Token,
    /// An access token of our own in another header.
    ApiKey,
    /// A token of somebody else about which its issuer was asked (RFC 7662).
    Introspected,
    /// A session cookie.
    Session,
    /// Name and password (RFC 7617).
    Basic,
    /// A signed URL of our own.
    SignedUrl,
    /// An access token of our own that a node got for itself.
    Node,
}

impl CredentialKind {
    /// The word for logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            CredentialKind::Jwt => "jwt",
            CredentialKind::Token => "token",
            CredentialKind::ApiKey => "api-key",
            CredentialKind::Introspected => "introspected",
            CredentialKind::Session => "session",
            CredentialKind::Basic => "basic",
            CredentialKind::SignedUrl => "signed-url",
            CredentialKind::Node => "node",
        }
    }
}

/// A tenant that a customer may act on, and what it may do there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantGrant {
    /// The tenant.
    pub tenant: TenantId,
    /// Where its data lives, if the directory says so.
    pub region: Option<RegionName>,
    /// The caller's roles in that tenant; `None` keeps the roles of the credential.
    pub roles: Option<Vec<Role>>,
}

/// What one verified credential says. Made once when it is verified, shared by every request that carries it.
///
/// `customer` and `tenant` are different types on purpose: the one pays, the other owns the data.
#[derive(Debug, Clone)]
pub struct Identity {
    /// By which kind of credential.
    pub kind: CredentialKind,
    /// Which issuer of the configuration vouches for it.
    pub issuer: IssuerName,
    /// Who is calling.
    pub subject: SubjectId,
    /// The OAuth client that the token was issued to (`client_id` or `azp`), if it says so.
    pub client: Option<SubjectId>,
    /// Whose quota is charged.
    pub customer: Option<CustomerId>,
    /// Whose data is touched unless the call selects another tenant.
    pub tenant: Option<TenantId>,
    /// Other tenants that the token itself grants.
    pub tenants: Vec<TenantId>,
    /// The home region, if the token names one.
    pub region: Option<RegionName>,
    /// What the token allows.
    pub scopes: Vec<Scope>,
    /// The roles that the token names.
    pub roles: Vec<Role>,
    /// When the credential ends, before leeway.
    pub expires: UnixTime,
}
