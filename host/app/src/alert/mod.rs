//! Tells people who are not looking what they must know at once: a boot that halted, a component that is given up. It reads
//! facts, decides nothing, and nothing waits for it.
//!
//! ```text
//! facts in the ledger ─► told: an alert, or none ─► without secrets ─┬─► file      monitoring/alerts/
//!        ▲                                                           ├─► webhook   RAZAR_ALERT_WEBHOOK
//!        └──── `.sent-<way>`: the newest fact that is dealt with ◄───┴─► mail      RAZAR_ALERT_EMAIL
//! ```
//!
//! The ledger is the queue. Each way has a thread and a position of its own, which moves only after a delivery: whoever dies in
//! between repeats one alert, and none is lost. A way that is set up for the first time begins with what happens from then on.

mod courier;
mod file;
mod mail;
mod settings;
#[cfg(test)]
mod tests;
mod told;
mod webhook;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;

use self::courier::{Courier, position};
use self::told::told;
use crate::drive::Handle;

/// Below the state directory: alerts, one a file.
const DIR: &str = "monitoring/alerts";

/// The end of a host waits so long for what is still to be delivered; the rest is delivered by the next one.
const LAST: Duration = Duration::from_secs(12);

/// Why an alert was not delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fault {
    /// Nobody took it; somebody may later.
    Away(String),
    /// Somebody looked at it and did not want it.
    Refused(String),
}

/// Where alerts go.
trait Way: Send + 'static {
    /// In logs, and in the name of its position.
    fn name(&self) -> &'static str;
    /// Delivers one, within a bounded time.
    fn send(&mut self, alert: &told::Alert) -> Result<(), Fault>;
}

/// Delivers alerts while a host runs.
pub(crate) struct Alerting {
    wakes: Vec<Sender<()>>,
    threads: Vec<JoinHandle<()>>,
    waking: tokio::task::JoinHandle<()>,
}

impl Alerting {
    /// Begins, before the driver does: what it records is noticed. `secrets` are in no alert.
    pub(crate) fn start(state: &Path, driver: &Handle, secrets: BTreeSet<String>) -> Self {
        let (ways, warnings) = settings::ways(|name| std::env::var_os(name), state);
        for warning in warnings {
            tracing::warn!("{warning}");
        }
        position::sweep(state);
        for off in settings::ALL.iter().filter(|name| !ways.iter().any(|way| way.name() == **name)) {
            position::forget(state, off);
        }
        let secrets = Arc::new(secrets);
        let (mut wakes, mut threads) = (Vec::new(), Vec::new());
        for way in ways {
            let name = way.name();
            let (wake, woken) = channel();
            let begun = Courier::new(way, state, Arc::clone(&secrets)).and_then(|courier| {
                let thread = std::thread::Builder::new().name(format!("alert-{name}"));
                thread.spawn(move || courier.run(&woken)).map_err(|error| error.to_string())
            });
            match begun {
                Ok(thread) => {
                    wakes.push(wake);
                    threads.push(thread);
                }
                Err(error) => tracing::error!("alerts are not sent by {name}: {error}"),
            }
        }
        let (mut facts, told_to) = (driver.subscribe(), wakes.clone());
        let waking = tokio::spawn(async move {
            loop {
                match facts.recv().await {
                    Ok(recorded) if told(&recorded).is_none() => {}
                    // One that has gone has said why.
                    Ok(_) | Err(RecvError::Lagged(_)) => {
                        for wake in &told_to {
                            let _ = wake.send(());
                        }
                    }
                    Err(RecvError::Closed) => return,
                }
            }
        });
        Self { wakes, threads, waking }
    }

    /// Delivers what there is, as far as that is possible now.
    pub(crate) async fn finish(self) {
        let Self { wakes, threads, waking } = self;
        waking.abort();
        // Its senders are gone when it is.
        let _ = waking.await;
        drop(wakes);
        let joined =
            tokio::task::spawn_blocking(move || threads.into_iter().for_each(|thread| drop(thread.join())));
        if tokio::time::timeout(LAST, joined).await.is_err() {
            tracing::warn!("the last alerts are not delivered yet; the next start delivers them");
        }
    }
}
