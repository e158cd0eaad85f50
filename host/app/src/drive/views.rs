//! The files operators read are written beside the loop, never in it: a slow disk must not delay a relaunch. What a
//! crash leaves unwritten is completed from the facts at the next start.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use razar_core::fact::Recorded;
use razar_ledger::Views;

/// Facts so close together are written together: each write waits for the disk several times, and the commits of the
/// facts wait for the same disk.
const TOGETHER: Duration = Duration::from_millis(50);

/// Between two attempts to write what could not be written: no fact may come for hours.
const RETRY: Duration = Duration::from_secs(1);

/// A thread that owns the views.
pub(crate) struct ViewWriter {
    recorded: Option<Sender<Vec<Recorded>>>,
    thread: Option<JoinHandle<()>>,
}

impl ViewWriter {
    /// Takes the views over.
    pub(crate) fn start(views: Views) -> std::io::Result<Self> {
        let (recorded, received) = channel();
        let thread =
            std::thread::Builder::new().name("views".to_owned()).spawn(move || write(views, &received))?;
        Ok(Self { recorded: Some(recorded), thread: Some(thread) })
    }

    /// Shows committed facts, soon.
    pub(crate) fn show(&self, recorded: Vec<Recorded>) {
        if let Some(sender) = &self.recorded {
            // A writer that has gone is made good by the next start.
            let _ = sender.send(recorded);
        }
    }

    /// Waits until everything shown is written.
    pub(crate) fn finish(&mut self) {
        drop(self.recorded.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the files for operators were not completed; the next start completes them");
        }
    }
}

fn write(mut views: Views, received: &Receiver<Vec<Recorded>>) {
    let mut behind = false;
    loop {
        let patience = if behind { RETRY } else { Duration::MAX };
        let mut over = false;
        let mut recorded = match received.recv_timeout(patience) {
            Ok(recorded) => recorded,
            Err(RecvTimeoutError::Timeout) => Vec::new(),
            Err(RecvTimeoutError::Disconnected) if !behind => return,
            // Nobody comes after this one but the next host.
            Err(RecvTimeoutError::Disconnected) => {
                over = true;
                Vec::new()
            }
        };
        let until = Instant::now() + TOGETHER;
        while let Ok(more) = received.recv_timeout(until.saturating_duration_since(Instant::now())) {
            recorded.extend(more);
        }
        let now = match views.project(&recorded) {
            Ok(behind) => behind.first().map(ToString::to_string),
            Err(error) => Some(error.to_string()),
        };
        // Said when it begins and when it ends, not with every file that joins.
        match &now {
            Some(now) if !behind => tracing::warn!("a file for operators is behind: {now}"),
            None if behind => tracing::warn!("all files for operators are up to date again"),
            _ => {}
        }
        behind = now.is_some();
        if over {
            return;
        }
    }
}
