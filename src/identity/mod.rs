//! Floor 1: the words for who calls, for whom, and from where. Plain data.

pub mod ids;
pub mod principal;

pub use ids::{
    AccountKey, AccountName, ApiName, ClientId, CustomerId, FamilyId, IssuerName, Jti, LimitName, RealmName,
    RegionName, Role, RouteName, Scope, SubjectId, TenantId, UserId,
};
pub use principal::{CredentialKind, Identity, TenantGrant};
