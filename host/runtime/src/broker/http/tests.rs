//! The gate against real servers on loopback. Each hostile case carries its number in the corpus.

mod refusals;
mod replies;
mod secrets;
mod server;
mod time;
mod tls;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use razar_core::grant::{CallScope, Grant, HttpGrant, Limits, Role, SecretRef, SecretSource, StandingGrant};
use tokio::time::Instant;
use wasmtime_wasi_http::{Error, RequestOptions, WasiHttpHooks as _};

use super::{HttpBroker, HttpShared, Tls};
use crate::broker::journal::{CallRecord, Journal};
use crate::broker::resolve::FixedResolver;
use crate::broker::secret::Secrets;

const SECRET: &str = "sk-0123456789abcdef";

/// One call, described.
struct Setup {
    grant: Grant,
    scope: CallScope,
    limits: Limits,
    names: Vec<(String, Vec<IpAddr>)>,
    time: Duration,
    tls: Tls,
}

impl Setup {
    /// A plugin that asks for exactly what it is granted.
    fn new(rules: &[&str]) -> Self {
        let http = rules.iter().map(|rule| HttpGrant { rule: rule.parse().unwrap(), secret: None }).collect();
        Self {
            grant: Grant { http, ..Grant::default() },
            scope: CallScope::default(),
            limits: Limits::defaults(Role::Probe),
            names: Vec::new(),
            time: Duration::from_secs(20),
            tls: Tls::public().unwrap(),
        }
    }

    /// A probe of the component that listens there.
    fn target(target: &str) -> Self {
        let mut setup = Self::new(&["GET,HEAD,POST {target}"]);
        setup.scope = CallScope::about(target.parse().unwrap());
        setup
    }

    fn name(mut self, name: &str, addresses: &[&str]) -> Self {
        self.names
            .push((name.to_owned(), addresses.iter().map(|address| address.parse().unwrap()).collect()));
        self
    }

    fn limit(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        change(&mut self.limits);
        self
    }

    fn secret(mut self, header: &str, format: &str) -> Self {
        let source = SecretSource::Env("KEY".to_owned());
        for grant in &mut self.grant.http {
            grant.secret = Some(SecretRef::new(source.clone(), header, format).unwrap());
        }
        self
    }

    fn begin(self) -> Guest {
        let request = razar_core::grant::Request {
            http: self.grant.http.iter().map(|grant| grant.rule.clone()).collect(),
            ..Default::default()
        };
        let standing = Arc::new(StandingGrant::new(Role::Probe, &request, &self.grant));
        let journal = Arc::new(Journal::new());
        let shared = HttpShared {
            resolver: Arc::new(self.names.into_iter().collect::<FixedResolver>()),
            tls: self.tls,
            secrets: Secrets::new(|name| (name == "KEY").then(|| SECRET.to_owned())),
        };
        let broker = HttpBroker::new(
            Arc::new(shared),
            Arc::new(standing.for_call(self.scope)),
            self.limits,
            Instant::now() + self.time,
            Arc::clone(&journal),
        );
        Guest { broker, journal, options: RequestOptions::default() }
    }
}

/// The guest's side of the gate.
struct Guest {
    broker: HttpBroker,
    journal: Arc<Journal>,
    options: RequestOptions,
}

/// What the guest gets to see.
#[derive(Debug)]
struct Seen {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Guest {
    async fn get(&mut self, url: &str) -> Result<Seen, Error> {
        self.send(request(Method::GET, url)).await
    }

    async fn send(&mut self, request: Request<Bytes>) -> Result<Seen, Error> {
        let request = request.map(|body| Full::new(body).map_err(|never| match never {}).boxed_unsync());
        let sent = self.broker.send_request(request, Some(self.options), Box::new(async { Ok(()) }));
        let (response, io) = Box::into_pin(sent).await?;
        let io = tokio::spawn(Box::into_pin(io));
        let (parts, body) = response.into_parts();
        let body = body.collect().await;
        io.abort();
        Ok(Seen { status: parts.status, headers: parts.headers, body: body?.to_bytes().to_vec() })
    }

    fn record(&self) -> CallRecord {
        self.journal.record()
    }
}

fn request(method: Method, url: &str) -> Request<Bytes> {
    Request::builder().method(method).uri(url).body(Bytes::new()).unwrap()
}

fn url(address: SocketAddr, path: &str) -> String {
    format!("http://{address}{path}")
}
