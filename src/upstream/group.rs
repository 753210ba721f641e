//! The endpoints that serve a region, as they are at the moment.

use std::sync::Arc;

use super::balance::Chooser;
use super::endpoint::Endpoint;
use crate::config::plan::{Balance, RegionRef};

/// Endpoints among which one is chosen.
pub(super) struct Group {
    pub(super) endpoints: Box<[Arc<Endpoint>]>,
    /// One for each worker.
    choosers: Box<[Chooser]>,
}

impl Group {
    pub(super) fn new(endpoints: Vec<Arc<Endpoint>>, shards: usize, seed: u64) -> Group {
        let choosers = (0..shards.max(1))
            .map(|shard| Chooser::seeded(seed ^ u64::try_from(shard).unwrap_or(0).rotate_left(32)))
            .collect();
        Group {
            endpoints: endpoints.into(),
            choosers,
        }
    }

    /// Where worker `shard` begins; `None` when there is no endpoint at all.
    pub(super) fn first(
        &self,
        shard: usize,
        balance: Balance,
        is_aside: impl Fn(&Endpoint) -> bool,
    ) -> Option<usize> {
        if self.endpoints.is_empty() {
            return None;
        }
        let chooser = self.choosers.get(shard % self.choosers.len().max(1))?;
        Some(chooser.first(balance, self.endpoints.len(), |at| {
            let endpoint = self.endpoints.get(at)?;
            if is_aside(endpoint) {
                return None;
            }
            let shard = endpoint.shard(shard)?;
            Some(shard.in_flight.load(std::sync::atomic::Ordering::Relaxed))
        }))
    }
}

/// All groups of a backend. Replaced as a whole when a name resolves to other addresses.
pub(super) struct Board {
    /// By region; `None` where the backend has no endpoint of its own for the region.
    pub(super) regions: Box<[Option<Group>]>,
    /// Those without a region; `None` if there are none.
    pub(super) anywhere: Option<Group>,
}

impl Board {
    /// The endpoints for a call that belongs to `region`: the region's own, else those that belong to no region.
    pub(super) fn group(&self, region: Option<RegionRef>) -> Option<&Group> {
        region
            .and_then(|region| self.regions.get(region.index()))
            .and_then(Option::as_ref)
            .or(self.anywhere.as_ref())
    }

    /// Every endpoint.
    pub(super) fn endpoints(&self) -> impl Iterator<Item = (Option<usize>, &Arc<Endpoint>)> {
        let regional = self
            .regions
            .iter()
            .enumerate()
            .filter_map(|(at, group)| Some((Some(at), group.as_ref()?)));
        let anywhere = self.anywhere.iter().map(|group| (None, group));
        regional
            .chain(anywhere)
            .flat_map(|(region, group)| group.endpoints.iter().map(move |one| (region, one)))
    }
}
