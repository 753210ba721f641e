//! Who is told of changes, at the moment of their commit and before the operation that made them is answered.
//!
//! Two ways to listen. A [`Listener`] is called in order, on the thread that committed: when the answer to a revocation is
//! there, every listener has it. A [`Subscription`] is a queue for tasks; whoever does not keep up is told to read everything
//! anew.

use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::broadcast::{self, error::RecvError};

use super::model::Change;

/// Changes that a subscription may lag behind before it is told to reload. A change is about 64 bytes.
const WAITING: usize = 4_096;

/// Is told of every change, in the order of the commits.
pub trait Listener: Send + Sync + std::fmt::Debug {
    /// These changes were committed. Called on the store's own thread, which does nothing else meanwhile: no waiting, no
    /// operations of the store.
    fn changed(&self, changes: &[Change]);

    /// Changes were missed: nothing that was remembered may be believed.
    fn reload(&self);
}

/// What a subscription says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// This was changed.
    Changed(Change),
    /// Changes were missed: nothing that was remembered may be believed.
    Reload,
}

/// Where changes are given out.
#[derive(Debug, Clone)]
pub struct Feed {
    sender: broadcast::Sender<Notice>,
    listeners: Arc<RwLock<Vec<Arc<dyn Listener>>>>,
}

impl Feed {
    pub(super) fn new() -> Feed {
        Feed {
            sender: broadcast::Sender::new(WAITING),
            listeners: Arc::default(),
        }
    }

    /// From now on `listener` is told.
    pub fn listen(&self, listener: Arc<dyn Listener>) {
        self.listeners
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .push(listener);
    }

    /// A queue of what changes from now on.
    pub fn subscribe(&self) -> Subscription {
        Subscription(self.sender.subscribe())
    }

    pub(super) fn publish(&self, changes: &[Change]) {
        if changes.is_empty() {
            return;
        }
        for listener in self.listeners().iter() {
            listener.changed(changes);
        }
        for change in changes {
            // Nobody listens: nobody needs to know.
            drop(self.sender.send(Notice::Changed(change.clone())));
        }
    }

    pub(super) fn publish_reload(&self) {
        for listener in self.listeners().iter() {
            listener.reload();
        }
        drop(self.sender.send(Notice::Reload));
    }

    fn listeners(&self) -> std::sync::RwLockReadGuard<'_, Vec<Arc<dyn Listener>>> {
        self.listeners.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A queue of changes, bounded.
#[derive(Debug)]
pub struct Subscription(broadcast::Receiver<Notice>);

impl Subscription {
    /// The next change; waits for it. `None` when the store is gone.
    pub async fn next(&mut self) -> Option<Notice> {
        match self.0.recv().await {
            Ok(notice) => Some(notice),
            Err(RecvError::Lagged(_)) => Some(Notice::Reload),
            Err(RecvError::Closed) => None,
        }
    }
}
