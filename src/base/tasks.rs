//! Background tasks with a name: the only place that spawns.

use std::future::Future;

/// Spawns `task` on the current runtime under `name`; a panic in it is logged with that name and does not spread.
pub fn spawn<F>(name: &'static str, task: F) -> tokio::task::JoinHandle<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    tokio::spawn(async move {
        let guard = PanicNote { name };
        task.await;
        std::mem::drop(guard);
    })
}

struct PanicNote {
    name: &'static str,
}

impl Drop for PanicNote {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!(task = self.name, "a background task panicked");
        }
    }
}
