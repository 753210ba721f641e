//! Floor 1: the words for who calls, for whom, and from where. Plain data.

mod grant_type;
pub mod ids;
pub mod name;
pub mod password;
pub mod principal;
pub mod scopes;

pub use grant_type::GrantType;
pub use ids::{
    AccountKey, AccountName, ApiName, BadId, ClientId, CustomerId, EnrolmentId, FamilyId, IssuerName, Jti,
    LimitName, NodeId, NodeUuid, RealmName, RegionName, Role, RouteName, Scope, SubjectId, TenantId,
    TenantUuid, UserId,
};
pub use name::UserName;
pub use password::StoredPassword;
pub use principal::{CredentialKind, Identity, TenantGrant};
