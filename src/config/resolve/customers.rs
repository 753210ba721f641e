//! `customers:`.

use std::collections::HashMap;

use super::limits::{Quotas, quotas};
use super::material;
use super::scope::Scope;
use crate::config::node::Mark;
use crate::config::plan::{CustomerPlan, LimitPlan, RegionRef};
use crate::config::raw::{RawCustomer, RawTenant};
use crate::config::read::{At, Named};
use crate::identity::{RegionName, TenantGrant};

pub(super) fn resolve(
    raw: &Named<RawCustomer>,
    plans: &HashMap<String, Quotas>,
    limits: &[LimitPlan],
    scope: &mut Scope<'_>,
) -> Vec<CustomerPlan> {
    let mut uuids: HashMap<&str, Mark> = HashMap::new();
    for (_, customer) in &raw.0 {
        let Some(at) = &customer.uuid else { continue };
        if let Some(first) = uuids.insert(at.value.0.as_str(), at.mark) {
            let hint = format!("the first is at {}", scope.other_place(at.mark, first));
            scope.error(
                "duplicate",
                at.mark,
                format!("two customers have the UUID `{}`", at.value.0),
                hint,
            );
        }
    }
    raw.0
        .iter()
        .filter_map(|(id, customer)| one(id, customer, plans, limits, scope))
        .collect()
}

fn one(
    id: &At<String>,
    raw: &RawCustomer,
    plans: &HashMap<String, Quotas>,
    limits: &[LimitPlan],
    scope: &mut Scope<'_>,
) -> Option<CustomerPlan> {
    let mut own = Vec::new();
    if let Some(plan) = &raw.plan
        && scope.plans.find(plan, scope.findings).is_some()
    {
        own.extend(plans.get(&plan.value).into_iter().flatten().copied());
    }
    for (limit, quota) in quotas(&raw.limits, limits, scope) {
        own.retain(|(other, _)| *other != limit);
        own.push((limit, quota));
    }
    let region = raw
        .region
        .as_ref()
        .and_then(|name| scope.regions.find(name, scope.findings))
        .map(RegionRef::new);
    let tenants = raw
        .tenants
        .0
        .iter()
        .filter_map(|(id, tenant)| grant(id, tenant, scope))
        .collect();
    Some(CustomerPlan {
        id: material::name(id, "customer", scope)?,
        uuid: raw.uuid.as_ref().map(|at| at.value.0.clone()),
        region,
        quotas: own,
        tenants,
    })
}

/// What a provider or a user may do at a tenant.
pub(super) fn grant(id: &At<String>, raw: &RawTenant, scope: &mut Scope<'_>) -> Option<TenantGrant> {
    let region = raw
        .region
        .as_ref()
        .filter(|name| scope.regions.find(name, scope.findings).is_some())
        .and_then(|name| RegionName::try_from(name.value.as_str()).ok());
    Some(TenantGrant {
        tenant: material::name(id, "tenant", scope)?,
        region,
        roles: raw
            .roles
            .as_ref()
            .map(|roles| roles.0.iter().map(|role| role.0.clone()).collect()),
    })
}
