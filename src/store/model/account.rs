//! Users, and the customers they belong to.

use super::words;
use crate::base::clock::UnixTime;
use crate::base::secret::Secret;
use crate::base::units::Quota;
use crate::identity::{
    AccountKey, AccountName, CustomerId, LimitName, RealmName, RegionName, Role, TenantGrant, TenantId,
    TenantUuid, UserId,
};

words! {
    /// Where a user stands in the life of an account.
    UserState {
        /// Created; no password yet. Cannot sign in.
        Pending = "pending",
        /// The password is set; not yet approved. Cannot sign in.
        Activated = "activated",
        /// Approved. The only state that can sign in and whose sessions and tokens work.
        Active = "active",
        /// Not approved. Cannot sign in.
        Rejected = "rejected",
        /// Switched off. Cannot sign in; sessions and tokens ended when it was.
        Disabled = "disabled",
    }
}

words! {
    /// Which tenants a user may act on.
    Reach {
        /// Those of its grants (and what its customer may reach).
        Granted = "granted",
        /// Every tenant there is: a superuser.
        Every = "every",
    }
}

/// A person with an account in one realm.
#[derive(Debug, Clone, PartialEq)]
pub struct User {
    /// The world of accounts.
    pub realm: RealmName,
    /// Never changes.
    pub id: UserId,
    /// The name as it was given.
    pub name: AccountName,
    /// The name in its normal form: unique in the realm.
    pub key: AccountKey,
    /// Where the account stands.
    pub state: UserState,
    /// The password's hash as a PHC string. `None` while none was chosen.
    pub password: Option<Secret>,
    /// What the user may do.
    pub access: UserAccess,
    /// When it was created.
    pub created_at: UnixTime,
    /// When anything of it last changed.
    pub changed_at: UnixTime,
}

/// What a user may do, replaced as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserAccess {
    /// The customer whose quota the user's calls are charged to.
    pub customer: Option<CustomerId>,
    /// Roles outside of any tenant's.
    pub roles: Vec<Role>,
    /// Tenants, each with the roles there.
    pub tenants: Vec<TenantGrant>,
    /// Whose data a call touches that names no tenant.
    pub default_tenant: Option<TenantId>,
    /// Grants, or every tenant.
    pub reach: Reach,
}

/// A customer that was created at run time. Those of the configuration are not here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomerRecord {
    /// Who.
    pub id: CustomerId,
    /// For people.
    pub name: String,
    /// By what else clients may select it as a tenant. No two customers of a store have the same.
    pub uuid: Option<TenantUuid>,
    /// Home region.
    pub region: Option<RegionName>,
    /// Quotas that differ from the limit's own, by the limit's name. At most one for each name.
    pub quotas: Vec<(LimitName, Quota)>,
    /// Tenants that the customer may act on (it is a provider then).
    pub tenants: Vec<TenantGrant>,
    /// When it was created. Kept when the record is replaced.
    pub created_at: UnixTime,
}
