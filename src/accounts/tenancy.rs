//! Who may act on which tenant: a grant to the user, roles in every tenant, a grant to the user's customer (a provider), or the
//! customer's own data.

use super::account::{Account, Right};
use super::directory::{Directory, Found};
use crate::identity::{CustomerId, TenantId};

/// By what `account`, or an application of `customer`, may act on `tenant`; `None` when it may not. What is granted to the user
/// comes before what is granted to the whole customer: it is the narrower word.
pub fn right(
    account: Option<&Account>,
    customer: Option<&CustomerId>,
    directory: &Directory,
    tenant: &TenantId,
) -> Option<Right> {
    let found = customer.and_then(|customer| directory.customer(customer));
    right_of(account, customer, found.as_ref(), tenant)
}

/// The same, when the customer was looked up already.
pub fn right_of(
    account: Option<&Account>,
    customer: Option<&CustomerId>,
    found: Option<&Found<'_>>,
    tenant: &TenantId,
) -> Option<Right> {
    if let Some(grant) = account.and_then(|account| account.grants.of(tenant)) {
        return Some(Right::Granted(grant.clone()));
    }
    // At home the account's own roles hold, also of one that has others everywhere.
    let is_home = customer.is_some_and(|customer| customer.as_str() == tenant.as_str());
    if is_home {
        return Some(Right::Home);
    }
    if account.is_some_and(|account| account.every_tenant.is_some()) {
        return Some(Right::Everywhere);
    }
    found
        .and_then(|customer| customer.grant(tenant))
        .map(|grant| Right::Granted(grant.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::UnixTime;
    use crate::config::plan::CustomerPlan;
    use crate::identity::{AccountKey, AccountName, RealmName, Role, TenantGrant, UserId};
    use crate::store::model::{Reach, User, UserAccess, UserState};

    fn id<I: for<'t> TryFrom<&'t str>>(text: &str) -> I {
        I::try_from(text).unwrap_or_else(|_| panic!("{text:?}"))
    }

    fn grant(tenant: &str, roles: &[&str]) -> TenantGrant {
        TenantGrant {
            tenant: id(tenant),
            region: None,
            roles: Some(roles.iter().map(|role| id(role)).collect()),
        }
    }

    fn account(reach: Reach) -> Account {
        Account::of_store(User {
            realm: id::<RealmName>("central"),
            id: UserId::random(),
            name: id::<AccountName>("alice"),
            key: id::<AccountKey>("alice"),
            state: UserState::Active,
            password: None,
            access: UserAccess {
                customer: Some(id("msp")),
                roles: vec![id::<Role>("admin")],
                tenants: vec![grant("own", &["viewer"])],
                default_tenant: None,
                reach,
            },
            created_at: UnixTime(0),
            changed_at: UnixTime(0),
        })
    }

    fn directory() -> Directory {
        let customer = CustomerPlan {
            uuid: None,
            id: id("msp"),
            region: None,
            quotas: Vec::new(),
            tenants: vec![grant("own", &["operator"]), grant("shared", &["operator"])],
        };
        Directory::new(&[customer], &[])
    }

    fn roles(account: &Account, tenant: &str) -> Option<String> {
        let found = right(
            Some(account),
            account.customer.as_ref(),
            &directory(),
            &id(tenant),
        )?;
        Some(match found {
            Right::Granted(grant) => grant.roles.as_ref().unwrap().to_str().unwrap().to_owned(),
            Right::Everywhere => "everywhere".to_owned(),
            Right::Home => "home".to_owned(),
        })
    }

    #[test]
    fn the_users_own_grant_comes_before_the_customers() {
        let account = account(Reach::Granted);
        assert_eq!(roles(&account, "own").as_deref(), Some("viewer"));
        assert_eq!(roles(&account, "shared").as_deref(), Some("operator"));
        assert_eq!(roles(&account, "msp").as_deref(), Some("home"));
        assert_eq!(roles(&account, "stranger"), None);
    }

    #[test]
    fn who_may_act_everywhere_has_those_roles_also_where_others_are_granted() {
        let account = account(Reach::Every);
        assert_eq!(roles(&account, "own").as_deref(), Some("viewer admin"));
        assert_eq!(roles(&account, "shared").as_deref(), Some("everywhere"));
        assert_eq!(roles(&account, "stranger").as_deref(), Some("everywhere"));
    }

    #[test]
    fn an_application_has_what_its_customer_has() {
        let customer: CustomerId = id("msp");
        let of = |tenant: &str| right(None, Some(&customer), &directory(), &id(tenant));
        assert!(matches!(of("shared"), Some(Right::Granted(_))));
        assert!(matches!(of("msp"), Some(Right::Home)));
        assert!(of("stranger").is_none());
        assert!(right(None, None, &directory(), &id("msp")).is_none());
    }
}
