//! The customers of the configuration, and beside them those of the store, as an index that is read without locks and without
//! allocation. The part of the file never changes; another file makes another index. The part of the store is
//! [`super::customers`].

use std::collections::HashMap;
use std::sync::Arc;

use http::HeaderValue;

use super::customers::{Customers, StoredCustomer};
use crate::base::units::Quota;
use crate::config::plan::{CustomerPlan, LimitPlan, LimitRef, RegionPlan, RegionRef};
use crate::identity::{CustomerId, LimitName, RegionName, TenantGrant, TenantId, TenantUuid};
use crate::store::StoreError;

type Index<T> = HashMap<Box<str>, T, foldhash::fast::RandomState>;

/// All customers that one configuration and the store know. Customers that are not listed are not unknown: they have every
/// limit's own quota, no home region and no tenants but themselves. One of the file hides one of the store.
#[derive(Debug, Default)]
pub struct Directory {
    customers: Index<Customer>,
    regions: Index<RegionRef>,
    /// Tenants of the file by their UUID.
    by_uuid: Index<TenantId>,
    limits: Vec<LimitName>,
    stored: Option<Arc<Customers>>,
}

/// A customer of the configuration.
#[derive(Debug)]
pub struct Customer {
    /// Home region.
    pub region: Option<RegionRef>,
    /// Quotas that differ from the limit's own.
    pub quotas: Vec<(LimitRef, Quota)>,
    grants: Grants,
    uuid: Option<HeaderValue>,
}

/// What is known of a customer, by whom ever.
#[derive(Debug)]
pub enum Found<'d> {
    /// The configuration.
    File(&'d Customer),
    /// The store.
    Stored(Arc<StoredCustomer>),
}

/// A tenant that somebody may act on, with what a request needs of it ready to use.
#[derive(Debug)]
pub struct Grant {
    /// The grant.
    pub grant: TenantGrant,
    /// The tenant's identifier as a header value.
    pub value: HeaderValue,
    /// The roles in the tenant, separated by spaces; `None` when the credential's roles hold. Empty when the grant lists
    /// none.
    pub roles: Option<HeaderValue>,
}

impl Grant {
    /// The grant, ready; `None` for an identifier that is no header value, which the grammar excludes.
    pub fn new(grant: TenantGrant) -> Option<Grant> {
        let roles = grant
            .roles
            .as_ref()
            .and_then(|roles| header(&joined(roles.iter().map(|role| role.as_str()))));
        Some(Grant {
            value: header(grant.tenant.as_str())?,
            roles,
            grant,
        })
    }
}

/// Grants by tenant.
#[derive(Debug, Default)]
pub struct Grants(Index<Arc<Grant>>);

impl Grants {
    /// An index of `grants`. Of two for one tenant the later one counts.
    pub fn new(grants: Vec<TenantGrant>) -> Grants {
        let ready = grants.into_iter().filter_map(Grant::new);
        Grants(
            ready
                .map(|grant| (Box::from(grant.grant.tenant.as_str()), Arc::new(grant)))
                .collect(),
        )
    }

    /// The grant for a tenant, if there is one.
    pub fn of(&self, tenant: &TenantId) -> Option<&Arc<Grant>> {
        self.0.get(tenant.as_str())
    }
}

impl Directory {
    /// The index of `customers`. A grant's region that is not among `regions` counts as not given; the configuration
    /// does not let that happen.
    pub fn new(customers: &[CustomerPlan], regions: &[RegionPlan]) -> Directory {
        let by_uuid = customers.iter().filter_map(|customer| {
            let tenant = TenantId::try_from(customer.id.as_str()).ok()?;
            Some((Box::from(customer.uuid.as_ref()?.as_str()), tenant))
        });
        let by_uuid = by_uuid.collect();
        let customers = customers.iter().map(|customer| {
            let known = Customer {
                region: customer.region,
                quotas: customer.quotas.clone(),
                grants: Grants::new(customer.tenants.clone()),
                uuid: customer.uuid.as_ref().and_then(|uuid| header(uuid.as_str())),
            };
            (Box::from(customer.id.as_str()), known)
        });
        let regions = regions
            .iter()
            .enumerate()
            .map(|(index, region)| (Box::from(region.name.as_str()), RegionRef::new(index)));
        Directory {
            customers: customers.collect(),
            regions: regions.collect(),
            by_uuid,
            limits: Vec::new(),
            stored: None,
        }
    }

    /// The same, and beside it the customers of a store, whose quotas name `limits`.
    #[must_use]
    pub fn beside(mut self, stored: Arc<Customers>, limits: &[LimitPlan]) -> Directory {
        self.limits = limits.iter().map(|limit| limit.name.clone()).collect();
        self.stored = Some(stored);
        self
    }

    /// Is this customer one of the file?
    pub fn is_of_file(&self, id: &CustomerId) -> bool {
        self.customers.contains_key(id.as_str())
    }

    /// Has a customer of the file this UUID?
    pub fn is_uuid_of_file(&self, uuid: &TenantUuid) -> bool {
        self.by_uuid.contains_key(uuid.as_str())
    }

    /// The tenant of that UUID.
    pub fn tenant_of(&self, uuid: &TenantUuid) -> Option<TenantId> {
        match self.by_uuid.get(uuid.as_str()) {
            Some(tenant) => Some(tenant.clone()),
            None => {
                let id = self.stored.as_ref()?.of_uuid(uuid)?;
                // One of the file hides one of the store, with its UUID.
                let hidden = self.customers.contains_key(id.as_str());
                TenantId::try_from(id.as_str()).ok().filter(|_| !hidden)
            }
        }
    }

    /// The UUID of a tenant, where it has one.
    pub fn uuid_of(&self, tenant: &TenantId) -> Option<HeaderValue> {
        match self.customers.get(tenant.as_str()) {
            Some(customer) => customer.uuid.clone(),
            None => {
                let stored = self.stored.as_ref()?;
                let id = CustomerId::try_from(tenant.as_str()).ok()?;
                stored.get(&id)?.uuid.clone()
            }
        }
    }

    /// Brings everything up to date that is known: a UUID does not say whose it is.
    ///
    /// # Errors
    /// [`StoreError`], when the store cannot say.
    pub async fn settle_all(&self) -> Result<(), StoreError> {
        match &self.stored {
            Some(stored) => stored.settle_all().await,
            None => Ok(()),
        }
    }

    /// Is there a region of this name?
    pub fn has_region(&self, name: &RegionName) -> bool {
        self.regions.contains_key(name.as_str())
    }

    /// Is there a limit of this name, for customers of the store?
    pub fn has_limit(&self, name: &LimitName) -> bool {
        self.limits.contains(name)
    }

    /// What is known of a customer.
    pub fn customer(&self, id: &CustomerId) -> Option<Found<'_>> {
        match self.customers.get(id.as_str()) {
            Some(customer) => Some(Found::File(customer)),
            None => self.stored.as_ref()?.get(id).map(Found::Stored),
        }
    }

    /// The home region of the customer that has the same identifier as `tenant`: a tenant is often a customer as well.
    pub fn home_of(&self, tenant: &TenantId) -> Option<RegionRef> {
        match self.customers.get(tenant.as_str()) {
            Some(customer) => customer.region,
            None => {
                // Asked first: an identifier of the other type costs an allocation.
                let stored = self.stored.as_ref()?;
                let id = CustomerId::try_from(tenant.as_str()).ok()?;
                self.region_named(stored.get(&id)?.region.as_ref())
            }
        }
    }

    /// Where a granted tenant's data lives: the grant's region, else the tenant's own home region as a customer.
    pub fn region_of(&self, grant: &Grant) -> Option<RegionRef> {
        self.region_named(grant.grant.region.as_ref())
            .or_else(|| self.home_of(&grant.grant.tenant))
    }

    /// The home region of a customer.
    pub fn region_of_customer(&self, customer: &Found<'_>) -> Option<RegionRef> {
        match customer {
            Found::File(customer) => customer.region,
            Found::Stored(customer) => self.region_named(customer.region.as_ref()),
        }
    }

    /// The quota of a customer under a limit, if it has one of its own.
    pub fn quota_of(&self, customer: &CustomerId, limit: LimitRef) -> Option<Quota> {
        match self.customer(customer)? {
            Found::File(customer) => {
                let mut quotas = customer.quotas.iter();
                quotas.find(|(own, _)| *own == limit).map(|(_, quota)| *quota)
            }
            Found::Stored(customer) => {
                let name = self.limits.get(limit.index())?;
                let mut quotas = customer.quotas.iter();
                quotas.find(|(own, _)| own == name).map(|(_, quota)| *quota)
            }
        }
    }

    /// Which state of the store's customers this is; what was derived from another is derived anew.
    pub fn generation(&self) -> u64 {
        self.stored.as_ref().map_or(0, |stored| stored.generation())
    }

    /// Is everything that is known up to date? Two loads; then [`Directory::settle`] has nothing to do.
    pub fn is_settled(&self) -> bool {
        self.stored.as_ref().is_none_or(|stored| stored.is_settled())
    }

    /// Brings up to date what is known of a customer and of a tenant as a customer.
    ///
    /// # Errors
    /// [`StoreError`], when the store cannot say.
    pub async fn settle(
        &self,
        customer: Option<&CustomerId>,
        tenant: Option<&TenantId>,
    ) -> Result<(), StoreError> {
        let Some(stored) = &self.stored else {
            return Ok(());
        };
        let tenant = tenant.and_then(|tenant| CustomerId::try_from(tenant.as_str()).ok());
        let ids = customer.into_iter().chain(&tenant);
        let of_store = ids.filter(|id| !self.customers.contains_key(id.as_str()));
        stored.settle(of_store).await
    }

    fn region_named(&self, name: Option<&RegionName>) -> Option<RegionRef> {
        self.regions.get(name?.as_str()).copied()
    }

    /// Customers of the configuration.
    pub fn len(&self) -> usize {
        self.customers.len()
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.customers.is_empty()
    }
}

impl Found<'_> {
    /// The grant for a tenant, if there is one.
    pub fn grant(&self, tenant: &TenantId) -> Option<&Arc<Grant>> {
        match self {
            Found::File(customer) => customer.grants.of(tenant),
            Found::Stored(customer) => customer.grant(tenant),
        }
    }
}

/// Words separated by single spaces.
pub fn joined<'w>(words: impl Iterator<Item = &'w str>) -> String {
    words.collect::<Vec<_>>().join(" ")
}

/// A header value of an identifier: their grammars are visible ASCII, so this always succeeds.
pub(super) fn header(text: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Role;

    fn customer(id: &str, region: Option<usize>, tenants: Vec<TenantGrant>) -> CustomerPlan {
        CustomerPlan {
            id: CustomerId::try_from(id).unwrap(),
            uuid: None,
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
        let region = |tenant: &str| directory.region_of(of(tenant).unwrap());
        assert_eq!(region("a"), Some(RegionRef::new(1)));
        assert_eq!(of("a").unwrap().roles.as_ref().unwrap(), "admin viewer");
        assert_eq!(region("b"), Some(RegionRef::new(1)));
        assert_eq!(of("b").unwrap().roles, None);
        assert_eq!(region("c"), None);
        assert_eq!(of("c").unwrap().roles.as_ref().unwrap(), "");
        assert!(of("msp").is_none() && of("d").is_none());
        assert!(directory.customer(&CustomerId::try_from("a").unwrap()).is_none());
    }
}
