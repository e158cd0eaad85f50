//! HTTP over `wasi:http`. The host checks the address, sets `Host`, bounds the answer, and ends the call at its deadline; this
//! side only asks, waits within its budget and reads what it wants.

use std::time::Instant;

use super::{HttpError, Method, Request, Response, Url};
use crate::bindings::wasi_http::wasi::clocks::monotonic_clock;
use crate::bindings::wasi_http::wasi::http::outgoing_handler;
use crate::bindings::wasi_http::wasi::http::types::{
    ErrorCode, Fields, IncomingBody, IncomingResponse, Method as WasiMethod, OutgoingRequest, RequestOptions,
    Scheme,
};
use crate::bindings::wasi_http::wasi::io::poll::{self, Pollable};
use crate::bindings::wasi_http::wasi::io::streams::{InputStream, StreamError};

pub(super) fn send(request: &Request<'_>, url: &Url<'_>) -> Result<Response, HttpError> {
    let deadline = Instant::now() + request.timeout;
    let pending = outgoing_handler::handle(outgoing(request, url)?, Some(options(request))).map_err(named)?;
    wait(&pending.subscribe(), deadline)?;
    let response = match pending.get() {
        Some(Ok(Ok(response))) => response,
        Some(Ok(Err(code))) => return Err(named(code)),
        Some(Err(())) | None => return Err(HttpError::Closed),
    };
    let status = response.status();
    if request.method == Method::Head {
        return Ok(Response { status, body: Vec::new(), truncated: false });
    }
    let (body, truncated) = read(&response, request.max_body, deadline)?;
    Ok(Response { status, body, truncated })
}

fn outgoing(request: &Request<'_>, url: &Url<'_>) -> Result<OutgoingRequest, HttpError> {
    let outgoing = OutgoingRequest::new(Fields::new());
    let method = match request.method {
        Method::Get => WasiMethod::Get,
        Method::Head => WasiMethod::Head,
    };
    let scheme = if url.secure { Scheme::Https } else { Scheme::Http };
    let malformed = |()| HttpError::Url("address is not a valid URL");
    outgoing.set_method(&method).map_err(malformed)?;
    outgoing.set_scheme(Some(&scheme)).map_err(malformed)?;
    outgoing.set_authority(Some(url.authority)).map_err(malformed)?;
    outgoing.set_path_with_query(Some(&url.path)).map_err(malformed)?;
    Ok(outgoing)
}

/// Asks the host for the same limits; one that does not support them leaves it at the poll below.
fn options(request: &Request<'_>) -> RequestOptions {
    let options = RequestOptions::new();
    let limit = u64::try_from(request.timeout.as_nanos()).unwrap_or(u64::MAX);
    let _ = options.set_connect_timeout(Some(limit));
    let _ = options.set_first_byte_timeout(Some(limit));
    let _ = options.set_between_bytes_timeout(Some(limit));
    options
}

fn read(response: &IncomingResponse, most: usize, deadline: Instant) -> Result<(Vec<u8>, bool), HttpError> {
    let incoming: IncomingBody = response.consume().map_err(|()| HttpError::Closed)?;
    let stream: InputStream = incoming.stream().map_err(|()| HttpError::Closed)?;
    let mut body = Vec::new();
    while body.len() <= most {
        let want = (most - body.len()).saturating_add(1).min(16 * 1024);
        match stream.read(want as u64) {
            Ok(bytes) if bytes.is_empty() => wait(&stream.subscribe(), deadline)?,
            Ok(bytes) => body.extend_from_slice(&bytes),
            Err(StreamError::Closed) => return Ok((body, false)),
            Err(StreamError::LastOperationFailed(_)) => return Err(HttpError::Closed),
        }
    }
    body.truncate(most);
    Ok((body, true))
}

fn wait(ready: &Pollable, deadline: Instant) -> Result<(), HttpError> {
    let left = deadline.saturating_duration_since(Instant::now());
    let timer = monotonic_clock::subscribe_duration(u64::try_from(left.as_nanos()).unwrap_or(u64::MAX));
    if poll::poll(&[ready, &timer]).contains(&0) { Ok(()) } else { Err(HttpError::Timeout) }
}

fn named(code: ErrorCode) -> HttpError {
    match code {
        ErrorCode::HttpRequestDenied | ErrorCode::DestinationIpProhibited => HttpError::Denied,
        ErrorCode::ConnectionRefused => HttpError::Refused,
        ErrorCode::DnsError(_) | ErrorCode::DestinationNotFound => HttpError::Unresolved,
        ErrorCode::DestinationUnavailable | ErrorCode::DestinationIpUnroutable => HttpError::Unreachable,
        ErrorCode::DnsTimeout
        | ErrorCode::ConnectionTimeout
        | ErrorCode::ConnectionReadTimeout
        | ErrorCode::ConnectionWriteTimeout
        | ErrorCode::HttpResponseTimeout => HttpError::Timeout,
        ErrorCode::ConnectionTerminated | ErrorCode::HttpResponseIncomplete => HttpError::Closed,
        ErrorCode::TlsProtocolError | ErrorCode::TlsCertificateError | ErrorCode::TlsAlertReceived(_) => {
            HttpError::Tls
        }
        ErrorCode::HttpProtocolError => HttpError::Protocol,
        ErrorCode::HttpRequestUriInvalid | ErrorCode::HttpRequestUriTooLong => {
            HttpError::Url("address is not a valid URL")
        }
        ErrorCode::ConnectionLimitReached => HttpError::Other("too many connections".to_owned()),
        ErrorCode::HttpResponseBodySize(_) => HttpError::Other("answer is too large".to_owned()),
        _ => HttpError::Other("request failed".to_owned()),
    }
}
