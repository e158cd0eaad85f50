//! HTTP for guests: `wasi:http/outgoing-handler`, through one gate.
//!
//! ```text
//! method, URL, rule ─► quota ─► secret ─► resolve ─► every address ─► dial the checked one ─► TLS by the URL's host
//!      (permit)                                        (permit)              │
//! guest ◄─ bounded, scrubbed body ◄─ scrubbed header ◄─ no redirect followed ◄┘
//! ```
//!
//! The host alone says `Host`, frames the message and knows the secret. Nothing here reads a proxy variable, follows a
//! redirect, decompresses, keeps a connection for the next call, or resolves a name twice.

mod body;
mod dial;
mod headers;
mod scrub;
mod send;
mod taped;
#[cfg(test)]
mod tests;
mod tls;

use std::sync::Arc;

use http::{HeaderName, Request};
use razar_core::grant::{EffectiveGrant, Limits};
use tokio::time::Instant;
use wasmtime_wasi_http::p2::bindings::http::types::ErrorCode;
use wasmtime_wasi_http::{
    Error, ForbiddenHeaderFilter, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpHooks,
};

pub use self::scrub::{Needles, Scrub};
pub use self::tls::{Tls, TlsError};
use super::journal::Journal;
use super::resolve::Resolver;
use super::secret::Secrets;

/// The largest piece of a request body a guest hands over at once: what the host buffers per request.
const CHUNK: usize = 64 * 1024;

/// What all calls share.
pub struct HttpShared {
    /// From names to addresses.
    pub resolver: Arc<dyn Resolver>,
    /// Whom to trust.
    pub tls: Tls,
    /// What only the host knows.
    pub secrets: Secrets,
}

/// The gate of one call.
pub struct HttpBroker(Arc<Call>);

struct Call {
    shared: Arc<HttpShared>,
    grant: Arc<EffectiveGrant>,
    limits: Limits,
    deadline: Instant,
    journal: Arc<Journal>,
}

impl HttpBroker {
    /// A gate that closes at `deadline`, the end of the call.
    pub fn new(
        shared: Arc<HttpShared>,
        grant: Arc<EffectiveGrant>,
        limits: Limits,
        deadline: Instant,
        journal: Arc<Journal>,
    ) -> Self {
        Self(Arc::new(Call { shared, grant, limits, deadline, journal }))
    }

    /// The context wasmtime wants beside the hooks, with its header limit closed.
    pub fn context(limits: &Limits) -> WasiHttpCtx {
        let mut context = WasiHttpCtx::new();
        context.set_field_size_limit(usize::try_from(limits.headers.0).unwrap_or(usize::MAX));
        context
    }
}

/// What comes back: a response, and the work that keeps its body flowing.
type Reply = (http::Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>);

impl WasiHttpHooks for HttpBroker {
    fn is_forbidden_header(&mut self, name: &HeaderName) -> bool {
        headers::is_forbidden(name)
    }

    fn forbidden_header_filter(&mut self) -> ForbiddenHeaderFilter {
        headers::filter()
    }

    fn set_host_header(&mut self) -> bool {
        false
    }

    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Result<Reply, Error>> + Send> {
        let (call, options) = (Arc::clone(&self.0), options.unwrap_or_default());
        match self.0.journal.tape() {
            None => Box::new(send::send(call, request, options)),
            Some(tape) => taped::send(call, request, options, tape),
        }
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        CHUNK
    }

    fn p2_error_from_hyper(&mut self, _: &hyper::Error) -> ErrorCode {
        ErrorCode::HttpProtocolError
    }

    fn p2_error_from_connect(&mut self, _: &std::io::Error) -> ErrorCode {
        ErrorCode::ConnectionRefused
    }

    fn p2_error_from_tls(&mut self, _: &std::io::Error) -> ErrorCode {
        ErrorCode::TlsProtocolError
    }
}
