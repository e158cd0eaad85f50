//! HTTP over `wasi:http`. The host checks the address, sets `Host`, bounds the answer, and ends the call at its deadline; this
//! side only asks, waits within its budget and reads what it wants.

use std::time::Instant;

use super::{Exchange, HttpError, Response, Verb};
use crate::bindings::wasi_http::wasi::clocks::monotonic_clock;
use crate::bindings::wasi_http::wasi::http::outgoing_handler;
use crate::bindings::wasi_http::wasi::http::types::{
    ErrorCode, Fields, IncomingBody, IncomingResponse, Method as WasiMethod, OutgoingBody, OutgoingRequest,
    RequestOptions, Scheme, http_error_code,
};
use crate::bindings::wasi_http::wasi::io::poll::{self, Pollable};
use crate::bindings::wasi_http::wasi::io::streams::{InputStream, StreamError};

/// What is handed over at once: what one check of the stream may permit, at the least.
const PIECE: usize = 4096;

pub(super) fn send(request: &Exchange<'_>) -> Result<Response, HttpError> {
    let deadline = Instant::now() + request.timeout;
    let outgoing = outgoing(request)?;
    let body = match request.verb {
        Verb::Post => Some(outgoing.body().map_err(|()| HttpError::Closed)?),
        Verb::Get | Verb::Head => None,
    };
    let pending = outgoing_handler::handle(outgoing, Some(options(request))).map_err(named)?;
    let written = body.map_or(Ok(()), |body| write(body, request.body, deadline));
    if written == Err(HttpError::Timeout) {
        return Err(HttpError::Timeout);
    }
    // A server may answer before it has read everything, and a request that failed says why; so the answer comes first.
    wait(&pending.subscribe(), deadline)?;
    let response = match pending.get() {
        Some(Ok(Ok(response))) => response,
        Some(Ok(Err(code))) => return Err(named(code)),
        Some(Err(())) | None => return Err(HttpError::Closed),
    };
    let status = response.status();
    let headers = headers(&response, request.wanted);
    if request.verb == Verb::Head {
        return Ok(Response { status, headers, ..Response::default() });
    }
    let (body, truncated) = read(&response, request.max_body, deadline)?;
    Ok(Response { status, headers, body, truncated })
}

fn headers(response: &IncomingResponse, wanted: &[&str]) -> Vec<(String, String)> {
    if wanted.is_empty() {
        return Vec::new();
    }
    let headers = response.headers();
    let first = |name: &&str| {
        let value = headers.get(name).into_iter().next()?;
        Some(((*name).to_owned(), String::from_utf8_lossy(&value).into_owned()))
    };
    wanted.iter().filter_map(first).collect()
}

fn outgoing(request: &Exchange<'_>) -> Result<OutgoingRequest, HttpError> {
    let fields = Fields::new();
    if request.verb == Verb::Post {
        let unfit = |_| HttpError::Other("the host does not take the request's headers".to_owned());
        fields.append("content-type", request.content_type.as_bytes()).map_err(unfit)?;
        fields.append("content-length", request.body.len().to_string().as_bytes()).map_err(unfit)?;
    }
    let outgoing = OutgoingRequest::new(fields);
    let method = match request.verb {
        Verb::Get => WasiMethod::Get,
        Verb::Head => WasiMethod::Head,
        Verb::Post => WasiMethod::Post,
    };
    let url = &request.url;
    let scheme = if url.secure { Scheme::Https } else { Scheme::Http };
    let malformed = |()| HttpError::Url("address is not a valid URL");
    outgoing.set_method(&method).map_err(malformed)?;
    outgoing.set_scheme(Some(&scheme)).map_err(malformed)?;
    outgoing.set_authority(Some(url.authority)).map_err(malformed)?;
    outgoing.set_path_with_query(Some(&url.path)).map_err(malformed)?;
    Ok(outgoing)
}

/// Hands the body over as fast as the host takes it.
fn write(body: OutgoingBody, mut bytes: &[u8], deadline: Instant) -> Result<(), HttpError> {
    {
        let stream = body.write().map_err(|()| HttpError::Closed)?;
        while !bytes.is_empty() {
            let room = stream.check_write().map_err(|_| HttpError::Closed)?;
            let room = usize::try_from(room).unwrap_or(PIECE);
            if room == 0 {
                wait(&stream.subscribe(), deadline)?;
                continue;
            }
            let (piece, rest) = bytes.split_at(room.min(bytes.len()));
            stream.write(piece).map_err(|_| HttpError::Closed)?;
            bytes = rest;
        }
        stream.flush().map_err(|_| HttpError::Closed)?;
    }
    OutgoingBody::finish(body, None).map_err(named)
}

/// Asks the host for the same limits; one that does not support them leaves it at the poll below.
fn options(request: &Exchange<'_>) -> RequestOptions {
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
            Err(StreamError::LastOperationFailed(error)) => {
                return Err(http_error_code(&error).map_or(HttpError::Closed, named));
            }
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
        ErrorCode::HttpResponseBodySize(_) | ErrorCode::HttpRequestBodySize(_) => HttpError::TooLarge,
        ErrorCode::ConfigurationError => HttpError::Secret,
        _ => HttpError::Other("request failed".to_owned()),
    }
}
