//! The buckets of one verified identity, remembered beside it, so that a warm call finds them without hashing
//! or locking.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

use super::limit::{Limit, Rule};
use super::table::Cell;

/// Buckets remembered for one identity at most. More are looked up for each call, which is slower and as
/// right.
const MOST: usize = 16;

/// What is remembered for one identity. Read at every call, changed when it calls a route with other limits
/// for the first time, or the first time after a reload.
#[derive(Debug, Default)]
pub(super) struct Handles(ArcSwap<Vec<Handle>>);

/// A bucket, with the rule by which this identity spends from it.
#[derive(Debug, Clone)]
pub(super) struct Handle {
    /// Of which limit, on which route if the route is part of the key:
    /// [`Scoped::scope`](super::admission::Scoped).
    pub(super) scope: u64,
    /// The limit's table and its set of quotas, to tell what a reload has made stale.
    table: u64,
    generation: u64,
    /// The state of the customers that the rule comes from.
    pub(super) customers: u64,
    pub(super) cell: Cell,
    pub(super) rule: Arc<Rule>,
}

impl Handle {
    pub(super) fn new(scope: u64, limit: &Limit, customers: u64, cell: Cell, rule: Arc<Rule>) -> Handle {
        Handle {
            scope,
            customers,
            table: limit.table.id(),
            generation: limit.generation,
            cell,
            rule,
        }
    }
}

impl Handles {
    /// What is remembered now.
    pub(super) fn load(&self) -> Guard<Arc<Vec<Handle>>> {
        self.0.load()
    }

    /// Remembers `new`, and forgets what older sets of quotas of the same table have left.
    pub(super) fn remember(&self, new: &Handle) {
        self.0.rcu(|known| {
            let mut next: Vec<Handle> = known
                .iter()
                .filter(|old| {
                    old.scope != new.scope && (old.table != new.table || old.generation >= new.generation)
                })
                .cloned()
                .collect();
            if next.len() < MOST {
                next.push(new.clone());
            }
            next
        });
    }
}
