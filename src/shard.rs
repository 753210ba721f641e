//! What one worker owns: its number and its own handle on the view.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::base::clock::Clock;
use crate::base::random::Ids;
use crate::snapshot::View;

/// One worker's handle on what all share. A request clones the shard's own `Arc`, so the reference count it touches
/// lives in that core's cache.
#[derive(Debug)]
pub struct Shard {
    number: usize,
    clock: Clock,
    ids: Arc<Ids>,
    view: ArcSwap<Held>,
}

/// A shard's own allocation around the shared view; the count on it is the shard's alone.
#[derive(Debug)]
pub struct Held(Arc<View>);

impl std::ops::Deref for Held {
    type Target = View;
    fn deref(&self) -> &View {
        &self.0
    }
}

impl Shard {
    /// A shard that sees `view`.
    pub fn new(number: usize, clock: Clock, ids: Arc<Ids>, view: Arc<View>) -> Shard {
        Shard {
            number,
            clock,
            ids,
            view: ArcSwap::from_pointee(Held(view)),
        }
    }

    /// Its number, from 0: index of its pool slots.
    pub fn number(&self) -> usize {
        self.number
    }

    /// The clock.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Where request ids come from.
    pub fn ids(&self) -> &Ids {
        &self.ids
    }

    /// The view of now. A request asks once and keeps it to its end.
    pub fn view(&self) -> Arc<Held> {
        self.view.load_full()
    }

    /// Lets requests from now on see `view`.
    pub fn renew(&self, view: Arc<View>) {
        self.view.store(Arc::new(Held(view)));
    }
}
