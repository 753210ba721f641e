//! A limit, compiled for one view: its rule, the rules of customers that have their own, and its buckets.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::bucket::Bucket;
use super::fields::Looks;
use super::table::Table;
use crate::accounts::directory::Directory;
use crate::base::units::Quota;
use crate::config::plan::{LimitFields, LimitKey, LimitPlan, LimitRef};
use crate::identity::{CustomerId, LimitName};
use crate::telemetry::metrics::LimitMetrics;

/// A named limit of one view. Its buckets are in a [`Table`] that the views pass on.
pub struct Limit {
    /// Unlike any other limit's of this process, of this view or another.
    pub(super) id: u64,
    /// Which set of quotas of the table this is.
    pub(super) generation: u64,
    pub(super) table: Arc<Table>,
    pub(super) per: Vec<LimitKey>,
    pub(super) looks: Looks,
    pub(super) always: bool,
    name: LimitName,
    reference: LimitRef,
    directory: Arc<Directory>,
    /// For whoever has no quota of its own.
    rule: Arc<Rule>,
    /// Quotas of customers that have one, each once. Few: customers of one plan share a quota.
    own: Mutex<Vec<Arc<Rule>>>,
    metrics: Option<Arc<LimitMetrics>>,
}

/// A quota, ready for use and for show.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) quota: Quota,
    pub(super) bucket: Bucket,
    pub(super) shown: super::fields::Shown,
}

/// Source of ids for limits and scopes.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// A number that was not given out before.
pub(super) fn next_id() -> u64 {
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl Limit {
    /// Compiles `plan`, the limit that customers' own quotas call `reference`. `table` holds its buckets: the
    /// one of the limit of the same name in the view before, if there was one, so that no bucket is refilled
    /// by a reload.
    pub fn new(plan: &LimitPlan, reference: LimitRef, table: Arc<Table>, directory: Arc<Directory>) -> Limit {
        Limit {
            id: next_id(),
            generation: table.renew(),
            table,
            per: plan.per.clone(),
            looks: Looks::new(&plan.name, &plan.legacy),
            always: plan.fields == LimitFields::Always,
            name: plan.name.clone(),
            reference,
            directory,
            rule: Arc::new(Rule::new(&plan.name, plan.quota)),
            own: Mutex::new(Vec::new()),
            metrics: None,
        }
    }

    /// Counts its refusals in `metrics`.
    #[must_use]
    pub fn measured(mut self, metrics: Arc<LimitMetrics>) -> Limit {
        self.metrics = Some(metrics);
        self
    }

    /// Its name.
    pub fn name(&self) -> &LimitName {
        &self.name
    }

    /// Its buckets, for the next view.
    pub fn table(&self) -> &Arc<Table> {
        &self.table
    }

    /// Is it spent before authentication? Only a limit whose keys need no caller can be.
    pub fn before_authentication(&self) -> bool {
        self.per
            .iter()
            .all(|part| matches!(part, LimitKey::Address | LimitKey::Route))
    }

    /// Notes that it refused a call.
    pub(super) fn note_refusal(&self) {
        if let Some(metrics) = &self.metrics {
            metrics.refusals.inc();
        }
    }

    /// Which state of the customers the rules of now come from.
    pub(super) fn customers(&self) -> u64 {
        self.directory.generation()
    }

    /// The rule for `payer`: its own if the directory has one for this limit and buckets are per customer (a
    /// bucket that several customers share can have only one rule).
    pub(super) fn rule_for(&self, payer: Option<&CustomerId>) -> Arc<Rule> {
        let own = payer
            .filter(|_| self.per.contains(&LimitKey::Customer))
            .and_then(|payer| self.directory.quota_of(payer, self.reference))
            .filter(|quota| *quota != self.rule.quota);
        let Some(quota) = own else {
            return Arc::clone(&self.rule);
        };
        let mut rules = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(rule) = rules.iter().find(|rule| rule.quota == quota) {
            return Arc::clone(rule);
        }
        let rule = Arc::new(Rule::new(&self.name, quota));
        rules.push(Arc::clone(&rule));
        rule
    }
}

impl std::fmt::Debug for Limit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Limit")
            .field("name", &self.name)
            .field("per", &self.per)
            .field("rule", &self.rule)
            .finish_non_exhaustive()
    }
}

impl Rule {
    fn new(name: &LimitName, quota: Quota) -> Rule {
        let bucket = Bucket::new(quota);
        Rule {
            quota,
            bucket,
            shown: super::fields::Shown::new(name, &bucket),
        }
    }
}
