//! Floor 1: the words for who calls, for whom, and from where. Plain data.

pub mod ids;
pub mod principal;
pub mod scopes;

pub use ids::{
    AccountKey, AccountName, ApiName, BadId, ClientId, CustomerId, FamilyId, IssuerName, Jti, LimitName,
    RealmName, RegionName, Role, RouteName, Scope, SubjectId, TenantId, UserId,
};
pub use principal::{CredentialKind, Identity, TenantGrant};
