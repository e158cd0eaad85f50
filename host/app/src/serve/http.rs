//! `/metrics` for Prometheus, `/healthz` and `/readyz` for whoever restarts or routes. It only looks, answers nothing
//! but `GET` and `HEAD`, and bounds every client in bytes, time and number. It says nothing that the operator did not
//! configure: names and states.

use std::ffi::OsStr;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use razar_core::supervisor::{Stage, Status};
use serde::Serialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::metrics::Metrics;
use crate::drive::{Handle, LOST, Snapshot};
use crate::report::stage_word;

/// Where the port may be said.
pub(crate) const PORT_VARIABLE: &str = "RAZAR_METRICS_PORT";
/// The port operators' dashboards know.
pub(crate) const DEFAULT_PORT: u16 = 9360;

/// How much of the host its readers may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Connections at once: each costs a handle and a buffer.
    pub(crate) clients: usize,
    /// For the head of a request to arrive: an attacker sends one byte a minute.
    pub(crate) head: Duration,
    /// For a connection as a whole; a scraper makes a new one.
    pub(crate) connection: Duration,
    /// For the driver to answer.
    pub(crate) look: Duration,
    /// Bytes of a request's head.
    pub(crate) bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            clients: 64,
            head: Duration::from_secs(5),
            connection: Duration::from_secs(300),
            look: Duration::from_secs(2),
            bytes: 16 * 1024,
        }
    }
}

/// Why nothing is served; the host goes on without.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpError {
    /// Somebody else listens there.
    #[error("`{0}` is in use, so there are no metrics: free it, or set `{PORT_VARIABLE}` to another port")]
    InUse(SocketAddr),
    /// The system says no.
    #[error("cannot listen on `{address}`, so there are no metrics: {source}; set `{PORT_VARIABLE}`")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What it said.
        source: io::Error,
    },
}

/// The port that the environment says, and a warning when it says none that is one.
pub(crate) fn port(value: Option<&OsStr>) -> (u16, Option<String>) {
    let (port, warning) =
        crate::environment::parse(PORT_VARIABLE, value, &DEFAULT_PORT.to_string(), |text| text.parse().ok());
    (port.unwrap_or(DEFAULT_PORT), warning)
}

/// The served port; closed when dropped.
#[derive(Debug)]
pub(crate) struct Http {
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

#[derive(Clone)]
struct Served {
    driver: Handle,
    metrics: Arc<Metrics>,
    limits: Limits,
}

impl Http {
    /// Serves an address; port 0 takes a free one.
    pub(crate) async fn serve(
        address: SocketAddr,
        driver: Handle,
        metrics: Arc<Metrics>,
        limits: Limits,
    ) -> Result<Self, HttpError> {
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => HttpError::InUse(address),
            _ => HttpError::Listen { address, source },
        };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().unwrap_or(address);
        let served = Served { driver, metrics, limits };
        Ok(Self { address, accepting: tokio::spawn(accept(listener, served)) })
    }

    /// Where it is served.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Http {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, served: Served) {
    let limits = served.limits;
    let free = Arc::new(Semaphore::new(limits.clients));
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .with_state(served);
    loop {
        // Whoever comes when all are taken waits in the kernel's queue.
        let Ok(permit) = Arc::clone(&free).acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a reader of the metrics");
                tokio::time::sleep(Duration::from_millis(200)).await;
                continue;
            }
        };
        let router = router.clone();
        tokio::spawn(async move {
            // However the reader behaved, there is nothing to do about it.
            let _ = timeout(limits.connection, connection(stream, router, limits)).await;
            drop(permit);
        });
    }
}

async fn connection(stream: TcpStream, router: Router, limits: Limits) -> Result<(), hyper::Error> {
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(limits.bytes)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        .await
}

async fn metrics(State(served): State<Served>) -> Response {
    let snapshot = look(&served).await;
    match served.metrics.render(snapshot.as_ref()) {
        Ok(text) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

async fn healthz(State(served): State<Served>) -> Response {
    match look(&served).await {
        Some(snapshot) if snapshot.lost => {
            (StatusCode::SERVICE_UNAVAILABLE, format!("{LOST}\n")).into_response()
        }
        Some(_) => "ok\n".into_response(),
        None => (StatusCode::SERVICE_UNAVAILABLE, "the driver does not answer\n").into_response(),
    }
}

async fn readyz(State(served): State<Served>) -> Response {
    let readiness = Readiness::of(look(&served).await.as_ref());
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    // Names, words and a flag: there is nothing that JSON could not say.
    let body = serde_json::to_vec(&readiness).unwrap_or_default();
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

async fn look(served: &Served) -> Option<Snapshot> {
    timeout(served.limits.look, served.driver.look()).await.ok()?.ok()
}

/// What `/readyz` says.
#[derive(Debug, Serialize)]
struct Readiness {
    ready: bool,
    stage: &'static str,
    /// Vital and not ready.
    missing: Vec<Missing>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stuck: Option<String>,
}

#[derive(Debug, Serialize)]
struct Missing {
    component: String,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl Readiness {
    fn of(snapshot: Option<&Snapshot>) -> Self {
        let Some(snapshot) = snapshot else {
            return Self { ready: false, stage: "not answering", missing: Vec::new(), stuck: None };
        };
        let stage = snapshot.boot.as_ref().map(|boot| boot.stage);
        let missing: Vec<Missing> = snapshot
            .components
            .iter()
            .filter(|summary| summary.vital && summary.status != Status::Ready)
            .map(|summary| Missing {
                component: summary.id.to_string(),
                state: summary.status.as_str(),
                reason: summary.reason.clone(),
            })
            .collect();
        Self {
            ready: stage == Some(Stage::Up) && missing.is_empty() && snapshot.stuck.is_none(),
            stage: stage.map_or("not booted", stage_word),
            missing,
            stuck: snapshot.stuck.clone(),
        }
    }
}
