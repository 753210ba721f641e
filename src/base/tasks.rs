//! Background tasks with a name: the only place that spawns.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Spawns `task` on the current runtime under `name`; a panic in it is logged with that name and does not spread.
pub fn spawn<F>(name: &'static str, task: F) -> tokio::task::JoinHandle<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    tokio::spawn(Named {
        task,
        note: PanicNote { name },
    })
}

/// Runs `work` to its end even if whoever waits for it leaves, as a request's future does with its client. `None` if it panicked
/// or the runtime ended.
pub async fn carry_through<F>(name: &'static str, work: F) -> Option<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    let (tell, told) = tokio::sync::oneshot::channel();
    drop(spawn(name, async move {
        // Nobody may be left to be told.
        let _ = tell.send(work.await);
    }));
    told.await.ok()
}

pin_project_lite::pin_project! {
    /// A task and its name. Written out: an `async` block around `task` would keep room for it twice, and there is one
    /// for each open connection.
    struct Named<F> {
        #[pin]
        task: F,
        note: PanicNote,
    }
}

impl<F: Future<Output = ()>> Future for Named<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().task.poll(cx)
    }
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
