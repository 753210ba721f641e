//! Floor 1: the words for who calls, for whom, and from where. Plain data.

pub mod attempts;
pub mod ids;
pub mod principal;
pub mod scopes;

pub use ids::{
    ApiName, BadId, CustomerId, IssuerName, LimitName, RegionName, Role, RouteName, Scope, SubjectId,
    TenantId,
};
pub use principal::{CredentialKind, Identity, TenantGrant};
