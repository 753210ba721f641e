//! `limits:` and `plans:`.

use std::collections::HashMap;
use std::num::NonZeroU32;

use super::material;
use super::scope::Scope;
use crate::base::units::Quota;
use crate::config::plan::{LegacyLimitHeaders, LimitFields, LimitKey, LimitPlan, LimitRef};
use crate::config::raw::{RawLimit, RawLimitFields, RawLimitKey, RawQuota};
use crate::config::read::{At, Named};
use crate::config::text::Rate;

/// Quotas by limit: a plan's, or a customer's own.
pub(super) type Quotas = Vec<(LimitRef, Quota)>;

pub(super) fn resolve(raw: &Named<RawLimit>, scope: &mut Scope<'_>) -> Vec<LimitPlan> {
    raw.0
        .iter()
        .filter_map(|(name, limit)| one(name, limit, scope))
        .collect()
}

fn one(name: &At<String>, raw: &RawLimit, scope: &mut Scope<'_>) -> Option<LimitPlan> {
    let mut per: Vec<LimitKey> = Vec::new();
    for key in &raw.per.value.0 {
        let plan = match key.value {
            RawLimitKey::Customer => LimitKey::Customer,
            RawLimitKey::Tenant => LimitKey::Tenant,
            RawLimitKey::Subject => LimitKey::Subject,
            RawLimitKey::Client => LimitKey::Client,
            RawLimitKey::Address => LimitKey::Address,
            RawLimitKey::Route => LimitKey::Route,
        };
        if per.contains(&plan) {
            scope.error(
                "duplicate",
                key.mark,
                "this stands in `per` twice",
                "remove one of them",
            );
        } else {
            per.push(plan);
        }
    }
    if per.is_empty() {
        scope.error(
            "empty-list",
            raw.per.mark,
            "`per` is empty: one bucket for everybody lets one caller lock out all others",
            "write `per: customer`, or `per: route` for one bucket a route",
        );
    }
    Some(LimitPlan {
        name: material::name(name, "limit", scope)?,
        quota: quota(&raw.rate, raw.burst),
        per,
        legacy: LegacyLimitHeaders {
            limit: raw.legacy.limit.as_ref().map(|name| name.0.clone()),
            remaining: raw.legacy.remaining.as_ref().map(|name| name.0.clone()),
            reset: raw.legacy.reset.as_ref().map(|name| name.0.clone()),
        },
        fields: match raw.fields {
            RawLimitFields::Refused => LimitFields::Refused,
            RawLimitFields::Always => LimitFields::Always,
        },
    })
}

fn quota(rate: &Rate, burst: Option<u32>) -> Quota {
    let (tokens, per) = rate.0;
    Quota {
        tokens,
        per,
        burst: burst.and_then(NonZeroU32::new).unwrap_or(tokens),
    }
}

/// The plans, by name.
pub(super) fn plans(
    raw: &Named<Named<RawQuota>>,
    limits: &[LimitPlan],
    scope: &mut Scope<'_>,
) -> HashMap<String, Quotas> {
    raw.0
        .iter()
        .map(|(name, own)| (name.value.clone(), quotas(own, limits, scope)))
        .collect()
}

/// What a plan or a customer says about limits.
pub(super) fn quotas(raw: &Named<RawQuota>, limits: &[LimitPlan], scope: &mut Scope<'_>) -> Quotas {
    let mut found = Vec::new();
    for (name, own) in &raw.0 {
        let Some(index) = scope.limits.find(name, scope.findings) else {
            continue;
        };
        if limits
            .get(index)
            .is_some_and(|limit| !limit.per.contains(&LimitKey::Customer))
        {
            scope.error(
                "contradiction",
                name.mark,
                format!(
                    "the limit `{}` is not `per: customer`, so no customer can have a quota of its own",
                    name.value
                ),
                "remove it here, or add `customer` to the limit's `per`",
            );
        }
        found.push((LimitRef::new(index), quota(&own.rate, own.burst)));
    }
    found
}
