//! Whether the store of accounts answers: for `/ready`, which must not wait for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::base::tasks;
use crate::store::Store;
use crate::store::backend::PageSize;

/// How often it is asked.
const ASK: Duration = Duration::from_secs(5);

/// Asks the store now and then; ends when it is dropped.
#[derive(Debug)]
pub(super) struct StoreWatch {
    answers: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<()>,
}

impl StoreWatch {
    /// Begins to ask. Must be called in a tokio runtime.
    pub(super) fn start(store: Store) -> StoreWatch {
        let answers = Arc::new(AtomicBool::new(true));
        let told = Arc::clone(&answers);
        let task = tasks::spawn("store watch", async move {
            let mut ask = tokio::time::interval(ASK);
            ask.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                ask.tick().await;
                let answer = store.changes_since(None, PageSize::new(1)).await;
                if let Err(cause) = &answer {
                    tracing::warn!(%cause, "the store of accounts does not answer");
                }
                told.store(answer.is_ok(), Ordering::Relaxed);
            }
        });
        StoreWatch { answers, task }
    }

    /// Did it answer when it was last asked?
    pub(super) fn answers(&self) -> bool {
        self.answers.load(Ordering::Relaxed)
    }
}

impl Drop for StoreWatch {
    fn drop(&mut self) {
        self.task.abort();
    }
}
