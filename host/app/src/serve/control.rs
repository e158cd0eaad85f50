//! Serves the control socket: each client in a task of its own, bounded in number, bytes and time, so that one that
//! talks nonsense, never reads or never goes costs the others nothing. It changes nothing itself; it asks the driver.

mod session;
#[cfg(test)]
mod tests;
mod timeline;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UnixListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

use super::socket::{self, Bound, SocketError};
use crate::drive::Handle;
use session::Session;

/// How much of the host one side may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// At once: a script in a loop must not take all the file handles the launcher and the probes need.
    pub(crate) clients: usize,
    /// For a whole request to arrive: an open line costs a handle.
    pub(crate) request: Duration,
    /// For an answer to be taken: whoever does not read is sent away.
    pub(crate) answer: Duration,
    /// For the last answers, when the host ends.
    pub(crate) farewell: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            clients: 256,
            request: Duration::from_secs(10),
            answer: Duration::from_secs(10),
            farewell: Duration::from_secs(2),
        }
    }
}

/// The served socket; gone when dropped.
#[derive(Debug)]
pub(crate) struct Control {
    closing: watch::Sender<bool>,
    free: Arc<Semaphore>,
    limits: Limits,
    accepting: JoinHandle<()>,
}

/// What every session needs.
#[derive(Clone)]
struct Shared {
    driver: Handle,
    state: PathBuf,
    wall_lacks: Arc<[String]>,
    limits: Limits,
    closing: watch::Receiver<bool>,
}

impl Shared {
    /// Returns when the host ends.
    async fn closed(&mut self) {
        let _ = self.closing.wait_for(|closing| *closing).await;
    }
}

impl Control {
    /// Serves the socket of a state directory. Must be called within the runtime.
    pub(crate) fn serve(
        driver: Handle,
        state: PathBuf,
        wall_lacks: Arc<[String]>,
        limits: Limits,
    ) -> Result<Self, SocketError> {
        let (listener, bound) = socket::listen(&state)?;
        let path = socket::path(&state);
        let listener = UnixListener::from_std(listener).map_err(|source| SocketError::Io {
            action: "listen on",
            path,
            source,
        })?;
        let (closing, closed) = watch::channel(false);
        let free = Arc::new(Semaphore::new(limits.clients));
        let shared = Shared { driver, state, wall_lacks, limits, closing: closed };
        let accepting = tokio::spawn(accept(listener, bound, shared, Arc::clone(&free)));
        Ok(Self { closing, free, limits, accepting })
    }

    /// Lets those who are being answered have their last lines, then ends.
    pub(crate) async fn close(mut self) {
        self.closing.send_replace(true);
        self.accepting.abort();
        // Only then the socket's file is gone.
        let _ = (&mut self.accepting).await;
        let all = u32::try_from(self.limits.clients).unwrap_or(u32::MAX);
        // Whoever has not read by then finds in the ledger how it ended.
        let _ = tokio::time::timeout(self.limits.farewell, self.free.acquire_many(all)).await;
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: UnixListener, _bound: Bound, shared: Shared, free: Arc<Semaphore>) {
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of file handles: those that serve others come back; turning in a circle would not help them.
                tracing::warn!(%error, "cannot accept a client of the control socket");
                tokio::time::sleep(Duration::from_millis(200)).await;
                continue;
            }
        };
        let Ok(permit) = Arc::clone(&free).try_acquire_owned() else {
            session::turn_away(stream);
            continue;
        };
        let session = Session::new(stream, shared.clone());
        tokio::spawn(async move {
            session.run().await;
            drop(permit);
        });
    }
}
