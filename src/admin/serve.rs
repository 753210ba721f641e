//! The admin listener's own thread and runtime: a probe is answered also when every worker is busy.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::sync::{Semaphore, oneshot};

use super::routes::{AdminState, router};
use crate::base::tasks;

/// Connections served at once. More wait in the system's queue, which is bounded too.
const CONNECTIONS: usize = 64;
/// A whole connection. It carries one request, so this bounds slow senders and slow readers alike.
const DEADLINE: Duration = Duration::from_secs(10);
/// The head of its request: short, so that clients that say nothing give their slots back soon.
const HEAD_DEADLINE: Duration = Duration::from_secs(2);
/// Bytes of a request's head.
const HEAD: usize = 16 << 10;
/// Before the next try when the system gives no connection, as when file descriptors have run out.
const PAUSE: Duration = Duration::from_millis(100);

/// Why there is no admin listener.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The address cannot be had.
    #[error("the admin address {address} cannot be listened on: {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The system gives no thread or no event queue.
    #[error("the admin listener cannot start: {0}")]
    Start(#[source] io::Error),
}

/// A running admin listener. It ends when this is dropped.
#[derive(Debug)]
pub struct Handle {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Handle {
    /// The address it listens on, with the port that the system chose if that was 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops listening, cuts what is under way, and waits for the thread.
    pub fn stop(mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the admin thread panicked");
        }
    }
}

/// Listens on `address` and answers from `state`, on a thread of its own.
///
/// # Errors
/// The address is taken or not ours, or the system gives no thread.
pub fn serve(address: SocketAddr, state: AdminState) -> Result<Handle, AdminError> {
    let bind = |source| AdminError::Bind { address, source };
    let listener = TcpListener::bind(address).map_err(bind)?;
    listener.set_nonblocking(true).map_err(bind)?;
    let address = listener.local_addr().map_err(bind)?;
    if !address.ip().is_loopback() {
        tracing::warn!(%address, "the admin listener can be reached from other machines, and asks nobody who they are");
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(AdminError::Start)?;
    let (stop, stopped) = oneshot::channel();
    let thread = std::thread::Builder::new()
        .name("admin".to_owned())
        .spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = accept(listener, state) => {}
                    // The other end is dropped to stop.
                    _ = stopped => {}
                }
            });
            // Not waiting for connections: each has a deadline, and nothing here needs to be finished.
            runtime.shutdown_background();
        })
        .map_err(AdminError::Start)?;
    Ok(Handle {
        address,
        stop: Some(stop),
        thread: Some(thread),
    })
}

async fn accept(listener: TcpListener, state: AdminState) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "the admin listener cannot be watched");
            return;
        }
    };
    let service = TowerToHyperService::new(router(state));
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
            return;
        };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "the admin listener could not accept");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let service = service.clone();
        tasks::spawn("admin connection", async move {
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_DEADLINE)
                .max_buf_size(HEAD)
                .keep_alive(false)
                .serve_connection(TokioIo::new(stream), service);
            // What a client does wrong here is its own affair; a line for each would let it fill the log.
            match tokio::time::timeout(DEADLINE, connection).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(%error, "an admin connection ended early"),
                Err(_) => tracing::debug!("an admin connection took too long"),
            }
            drop(slot);
        });
    }
}
