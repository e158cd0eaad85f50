//! What others may ask of a running host: operators over the control socket, Prometheus and load balancers over HTTP,
//! the service manager over its datagram socket. Every one of them sends to the driver and changes nothing itself, is
//! bounded in bytes, time and number, and can fail without the stack noticing.
//!
//! | file | owns |
//! |---|---|
//! | `wire` | the words of the control socket |
//! | `socket` | where it lies, and who may have it |
//! | `control` | serving it |
//! | `http` | `/metrics`, `/healthz`, `/readyz` |
//! | `metrics` | every metric by name |
//! | `notify` | the service manager |

pub(crate) mod control;
pub(crate) mod http;
pub(crate) mod metrics;
pub(crate) mod notify;
pub(crate) mod socket;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
pub(crate) mod wire;

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use tokio::task::JoinHandle;

use crate::drive::Handle;
use control::Control;
use http::Http;
use metrics::Metrics;
use notify::Notifier;

/// Everything that is served; what cannot be is said once, and the host goes on without.
pub(crate) struct Served {
    control: Option<Control>,
    http: Option<Http>,
    notifying: Option<JoinHandle<()>>,
    counting: JoinHandle<()>,
}

/// Begins to serve a running driver.
pub(crate) async fn start(
    state: &Path,
    address: IpAddr,
    driver: &Handle,
    metrics: &Arc<Metrics>,
    wall_lacks: Vec<String>,
) -> Served {
    let counting = {
        let (metrics, facts) = (Arc::clone(metrics), driver.subscribe());
        tokio::spawn(async move { metrics.follow(facts).await })
    };
    let control =
        Control::serve(driver.clone(), state.to_owned(), wall_lacks.into(), control::Limits::default());
    let (port, warning) = http::port(std::env::var_os(http::PORT_VARIABLE).as_deref());
    if let Some(warning) = warning {
        tracing::warn!("{warning}");
    }
    let address = SocketAddr::new(address, port);
    let http = Http::serve(address, driver.clone(), Arc::clone(metrics), http::Limits::default()).await;
    if let Ok(http) = &http {
        tracing::info!("metrics and health are served on http://{}", http.address());
    }
    let notifier = Notifier::from_environment(|name| std::env::var_os(name), std::process::id());
    Served {
        control: control.map_err(|error| tracing::warn!("commands are not heard: {error}")).ok(),
        http: http.map_err(|error| tracing::warn!("{error}")).ok(),
        notifying: notifier
            .map_err(|error| tracing::warn!("the service manager cannot be told anything: {error}"))
            .ok()
            .flatten()
            .map(|notifier| tokio::spawn(notifier.run(driver.clone()))),
        counting,
    }
}

impl Served {
    /// Lets everybody have their last answers.
    pub(crate) async fn finish(self) {
        if let Some(control) = self.control {
            control.close().await;
        }
        drop(self.http);
        self.notifying.inspect(JoinHandle::abort);
        self.counting.abort();
    }
}
