//! Users and applications in one form, whether the file knows them or the store.

use std::sync::Arc;

use http::HeaderValue;

use super::directory::{Grant, Grants, header, joined};
use crate::base::clock::UnixTime;
use crate::config::plan::{ApplicationPlan, UserPlan};
use crate::identity::{AccountKey, AccountName, CustomerId, RealmName, Role, TenantGrant, TenantId, UserId};
use crate::store::model::{Actor, Application, ApplicationState, Reach, User, UserState};

/// A user as of a moment: whoever keeps it holds a mark of it ([`super::standing`]).
#[derive(Debug)]
pub struct Account {
    /// The world of accounts.
    pub realm: RealmName,
    /// Never changes.
    pub id: UserId,
    /// The name as it was given.
    pub name: AccountName,
    /// The name in its normal form, by which failed attempts are counted.
    pub key: AccountKey,
    /// Where the account stands. Users of the file are active.
    pub state: UserState,
    /// Who pays for its calls.
    pub customer: Option<CustomerId>,
    /// Roles outside of any tenant's.
    pub roles: Vec<Role>,
    /// Whose data a call touches that names no tenant.
    pub default_tenant: Option<TenantId>,
    /// Tenants beyond the customer's own grants. Roles in every tenant are among those of each grant that lists any.
    pub grants: Grants,
    /// For a superuser: what it may do in every tenant, also in those to come.
    pub every_tenant: Option<EveryTenant>,
}

/// Roles in every tenant there is.
#[derive(Debug)]
pub struct EveryTenant {
    /// The roles.
    pub roles: Vec<Role>,
    /// The same as a header value; `None` when there are none.
    pub value: Option<HeaderValue>,
}

impl EveryTenant {
    fn new(roles: Vec<Role>) -> EveryTenant {
        let text = joined(roles.iter().map(|role| role.as_str()));
        EveryTenant {
            value: header(&text).filter(|value| !value.is_empty()),
            roles,
        }
    }
}

impl Account {
    /// A user of the store.
    pub fn of_store(user: User) -> Account {
        let every = match user.access.reach {
            Reach::Granted => None,
            Reach::Every => Some(user.access.roles.clone()),
        };
        Account {
            grants: grants(user.access.tenants, every.as_deref()),
            every_tenant: every.map(EveryTenant::new),
            realm: user.realm,
            id: user.id,
            name: user.name,
            key: user.key,
            state: user.state,
            customer: user.access.customer,
            roles: user.access.roles,
            default_tenant: user.access.default_tenant,
        }
    }

    /// A user of the file. `None` for a name that is too long for a key, which the configuration excludes.
    pub fn of_file(realm: &RealmName, plan: &UserPlan) -> Option<Account> {
        Some(Account {
            realm: realm.clone(),
            id: plan.id,
            name: plan.name.clone(),
            key: AccountKey::try_from(plan.key.as_str()).ok()?,
            state: UserState::Active,
            customer: plan.customer.clone(),
            roles: plan.roles.clone(),
            default_tenant: plan.default_tenant.clone(),
            grants: grants(plan.tenants.clone(), plan.every_tenant.as_deref()),
            every_tenant: plan.every_tenant.clone().map(EveryTenant::new),
        })
    }
}

/// Who has roles everywhere has them also where others are granted.
fn grants(tenants: Vec<TenantGrant>, every: Option<&[Role]>) -> Grants {
    let widened = tenants.into_iter().map(|mut grant| {
        if let (Some(roles), Some(every)) = (&mut grant.roles, every) {
            for role in every {
                if !roles.contains(role) {
                    roles.push(role.clone());
                }
            }
        }
        grant
    });
    Grants::new(widened.collect())
}

/// An application (OAuth client) as of a moment.
#[derive(Debug)]
pub struct Client {
    /// Its record. One of the file looks as if the system had made it in 1970.
    pub application: Application,
    /// Roles of tokens that it gets by its own credentials. The store knows none: then those hold that were granted.
    pub roles: Option<Vec<Role>>,
    /// The owner by name, where the file names one whose identifier is not known yet.
    pub(super) owner_key: Option<AccountKey>,
}

impl Client {
    /// An application of the store.
    pub fn of_store(application: Application) -> Client {
        Client {
            application,
            roles: None,
            owner_key: None,
        }
    }

    /// An application of the file.
    pub fn of_file(realm: &RealmName, plan: &ApplicationPlan) -> Client {
        Client {
            application: Application {
                realm: realm.clone(),
                client_id: plan.client_id.clone(),
                name: plan.name.clone(),
                secret: plan.secret,
                redirect_uris: plan.redirect_uris.clone(),
                owner: None,
                customer: plan.customer.clone(),
                tenant: plan.tenant.clone(),
                scopes: plan.scopes.clone(),
                grants: plan.grants.clone(),
                state: ApplicationState::Active,
                created_at: UnixTime(0),
                created_by: Actor::System,
            },
            roles: Some(plan.roles.clone()),
            owner_key: plan
                .owner
                .as_ref()
                .and_then(|owner| AccountKey::try_from(owner.as_str()).ok()),
        }
    }
}

/// By what somebody may act on a tenant, and so with which roles.
#[derive(Debug)]
pub enum Right {
    /// A grant: its roles if it lists any, else the credential's.
    Granted(Arc<Grant>),
    /// The account's [`Account::every_tenant`].
    Everywhere,
    /// The tenant is the customer itself: the credential's roles.
    Home,
}
