//! The customers of the configuration as an index that is read without locks and without allocation.

use std::collections::HashMap;
use std::sync::Arc;

use http::HeaderValue;

use crate::base::units::Quota;
use crate::config::plan::{CustomerPlan, LimitRef, RegionPlan, RegionRef};
use crate::identity::{CustomerId, RegionName, TenantGrant, TenantId};

type Index<T> = HashMap<Box<str>, T, foldhash::fast::RandomState>;

/// All customers of one configuration. Customers that are not listed are not unknown: they have every limit's own quota,
/// no home region and no tenants but themselves.
#[derive(Debug, Default)]
pub struct Directory {
    customers: Index<Customer>,
}

/// A customer of the configuration.
#[derive(Debug)]
pub struct Customer {
    /// Home region.
    pub region: Option<RegionRef>,
    /// Quotas that differ from the limit's own.
    pub quotas: Vec<(LimitRef, Quota)>,
    grants: Index<Arc<Grant>>,
}

/// A tenant that a customer may act on, with what a request needs of it ready to use.
#[derive(Debug)]
pub struct Grant {
    /// The grant.
    pub grant: TenantGrant,
    /// Where the tenant's data lives: the grant's region, else the tenant's own home region as a customer.
    pub region: Option<RegionRef>,
    /// The tenant's identifier as a header value.
    pub value: HeaderValue,
    /// The roles in the tenant, separated by spaces; `None` when the credential's roles hold. Empty when the grant lists
    /// none.
    pub roles: Option<HeaderValue>,
}

impl Directory {
    /// The index of `customers`. A grant's region that is not among `regions` counts as not given; the configuration
    /// does not let that happen.
    pub fn new(customers: &[CustomerPlan], regions: &[RegionPlan]) -> Directory {
        let region = |name: &RegionName| {
            regions
                .iter()
                .position(|region| region.name == *name)
                .map(RegionRef::new)
        };
        let homes: HashMap<&str, RegionRef> = customers
            .iter()
            .filter_map(|customer| Some((customer.id.as_str(), customer.region?)))
            .collect();
        let grant = |grant: &TenantGrant| {
            let tenant = grant.tenant.as_str();
            let region = grant
                .region
                .as_ref()
                .and_then(region)
                .or_else(|| homes.get(tenant).copied());
            let roles = grant
                .roles
                .as_ref()
                .and_then(|roles| header(&joined(roles.iter().map(|role| role.as_str()))));
            let value = header(tenant)?;
            Some((
                Box::from(tenant),
                Arc::new(Grant {
                    grant: grant.clone(),
                    region,
                    value,
                    roles,
                }),
            ))
        };
        let customers = customers.iter().map(|customer| {
            let known = Customer {
                region: customer.region,
                quotas: customer.quotas.clone(),
                grants: customer.tenants.iter().filter_map(grant).collect(),
            };
            (Box::from(customer.id.as_str()), known)
        });
        Directory {
            customers: customers.collect(),
        }
    }

    /// What is known of a customer.
    pub fn customer(&self, id: &CustomerId) -> Option<&Customer> {
        self.customers.get(id.as_str())
    }

    /// The home region of the customer that has the same identifier as `tenant`: a tenant is often a customer as well.
    pub fn home_of(&self, tenant: &TenantId) -> Option<RegionRef> {
        self.customers.get(tenant.as_str())?.region
    }

    /// Customers in all.
    pub fn len(&self) -> usize {
        self.customers.len()
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.customers.is_empty()
    }
}

impl Customer {
    /// The grant for a tenant, if there is one.
    pub fn grant(&self, tenant: &TenantId) -> Option<&Arc<Grant>> {
        self.grants.get(tenant.as_str())
    }

    /// The quota of this customer under a limit, if it has one of its own.
    pub fn quota(&self, limit: LimitRef) -> Option<Quota> {
        self.quotas
            .iter()
            .find(|(own, _)| *own == limit)
            .map(|(_, quota)| *quota)
    }
}

/// Words separated by single spaces.
pub fn joined<'w>(words: impl Iterator<Item = &'w str>) -> String {
    words.collect::<Vec<_>>().join(" ")
}

/// A header value of an identifier: their grammars are visible ASCII, so this always succeeds.
fn header(text: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Role;

    fn customer(id: &str, region: Option<usize>, tenants: Vec<TenantGrant>) -> CustomerPlan {
        CustomerPlan {
            id: CustomerId::try_from(id).unwrap(),
            region: region.map(RegionRef::new),
            quotas: Vec::new(),
            tenants,
        }
    }

    fn grant(tenant: &str, region: Option<&str>, roles: Option<&[&str]>) -> TenantGrant {
        TenantGrant {
            tenant: TenantId::try_from(tenant).unwrap(),
            region: region.map(|name| RegionName::try_from(name).unwrap()),
            roles: roles.map(|roles| roles.iter().map(|role| Role::try_from(*role).unwrap()).collect()),
        }
    }

    #[test]
    fn a_grant_knows_the_tenants_region_from_itself_or_from_the_tenant_as_a_customer() {
        let regions: Vec<RegionPlan> = ["us-1", "eu-1"]
            .into_iter()
            .map(|name| RegionPlan {
                name: RegionName::try_from(name).unwrap(),
                hosts: Vec::new(),
            })
            .collect();
        let directory = Directory::new(
            &[
                customer(
                    "msp",
                    Some(0),
                    vec![
                        grant("a", Some("eu-1"), Some(&["admin", "viewer"])),
                        grant("b", None, None),
                        grant("c", None, Some(&[])),
                    ],
                ),
                customer("b", Some(1), vec![]),
            ],
            &regions,
        );
        let msp = directory.customer(&CustomerId::try_from("msp").unwrap()).unwrap();
        let of = |tenant: &str| msp.grant(&TenantId::try_from(tenant).unwrap());
        assert_eq!(of("a").unwrap().region, Some(RegionRef::new(1)));
        assert_eq!(of("a").unwrap().roles.as_ref().unwrap(), "admin viewer");
        assert_eq!(of("b").unwrap().region, Some(RegionRef::new(1)));
        assert_eq!(of("b").unwrap().roles, None);
        assert_eq!(of("c").unwrap().region, None);
        assert_eq!(of("c").unwrap().roles.as_ref().unwrap(), "");
        assert!(of("msp").is_none() && of("d").is_none());
        assert!(directory.customer(&CustomerId::try_from("a").unwrap()).is_none());
    }
}
