//! Floor 2: the durable state of the token service: accounts, sessions, codes, tokens, lockout, and who did what.
//!
//! [`Backend`] has operations, each atomic; [`Store`] is the handle that the rest of the program holds. Which kind of store it
//! is, is said by a [`StorePlan`]. See `docs/store.md`.

pub mod backend;
pub mod error;
pub mod feed;
pub mod memory;
pub mod model;
mod notes;
pub mod outcome;
pub mod rules;
pub mod sqlite;

use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;

pub use backend::{Backend, Pending};
pub use error::{Outage, StoreError};
pub use feed::{Feed, Listener, Notice, Subscription};

pub use crate::config::plan::StorePlan;

/// A store that is open. Cheap to clone; the operations are those of [`Backend`], which it derefs to.
#[derive(Debug, Clone)]
pub struct Store {
    backend: Arc<dyn Backend>,
    feed: Feed,
}

impl Store {
    /// Opens the store of a plan.
    ///
    /// # Errors
    /// [`StoreError`], when the file cannot be used.
    pub async fn open(plan: &StorePlan) -> Result<Store, StoreError> {
        match plan {
            StorePlan::Memory => Ok(Store::memory()),
            StorePlan::Sqlite { path } => Store::in_file(path, sqlite::Settings::default()).await,
        }
    }

    /// An empty store in memory.
    pub fn memory() -> Store {
        let feed = Feed::new();
        Store {
            backend: Arc::new(memory::Memory::new(feed.clone())),
            feed,
        }
    }

    /// The store in the file at `path`.
    ///
    /// # Errors
    /// [`StoreError`], when the file cannot be used.
    pub async fn in_file(path: &Path, settings: sqlite::Settings) -> Result<Store, StoreError> {
        let feed = Feed::new();
        let backend = sqlite::Sqlite::open(path, settings, feed.clone()).await?;
        Ok(Store {
            backend: Arc::new(backend),
            feed,
        })
    }

    /// Where changes are told.
    pub fn feed(&self) -> &Feed {
        &self.feed
    }

    /// A queue of what changes from now on.
    pub fn subscribe(&self) -> Subscription {
        self.feed.subscribe()
    }

    /// `listener` is told of every change from now on, on the store's own thread and before the operation is answered.
    pub fn listen(&self, listener: Arc<dyn Listener>) {
        self.feed.listen(listener);
    }
}

impl Deref for Store {
    type Target = dyn Backend;

    fn deref(&self) -> &(dyn Backend + 'static) {
        &*self.backend
    }
}
