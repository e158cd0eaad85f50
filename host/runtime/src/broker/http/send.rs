//! One request from the guest's wish to the response's header.

use std::future::poll_fn;
use std::io::ErrorKind;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HOST};
use http::{HeaderName, HeaderValue, Request, Response, Uri};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use razar_core::grant::{DenyReason, HttpPermit, Use};
use tokio::time::{Instant, timeout_at};
use wasmtime_wasi_http::io::TokioIo;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody};

use super::body::{BoundedBody, ReplyBody};
use super::dial::{Stream, dial};
use super::scrub::Needles;
use super::{Call, Reply, headers};
use crate::broker::journal::Refused;
use crate::guard::{self, Guard};

/// The smallest read buffer hyper accepts.
const MIN_BUFFER: u64 = 8 * 1024;

type Connection = http1::Connection<TokioIo<Stream>, BoundedBody>;

/// Writes the refusal down and says it in the guest's words.
pub(super) fn refuse(call: &Call, refused: Refused) -> Error {
    let error = match &refused {
        Refused::Denied(denied) => match denied.reason() {
            DenyReason::Address(_) | DenyReason::OtherAddress => Error::DestinationIpProhibited,
            DenyReason::NoAddress => Error::DestinationNotFound,
            _ => Error::HttpRequestDenied,
        },
        Refused::Requests { .. } | Refused::Quota(_) | Refused::Disk { .. } | Refused::Files { .. } => {
            Error::ConnectionLimitReached
        }
        Refused::Secret(_) => Error::ConfigurationError,
        Refused::RequestBody { limit } => Error::HttpRequestBodySize(Some(*limit)),
        Refused::ResponseBody { limit } => Error::HttpResponseBodySize(Some(*limit)),
        Refused::ResponseHeader { limit } => {
            Error::HttpResponseHeaderSectionSize(Some(u32::try_from(*limit).unwrap_or(u32::MAX)))
        }
        Refused::Encoded => Error::HttpResponseContentCoding(None),
    };
    call.journal.refuse(refused);
    error
}

/// The whole way of one request. Everything that can be refused without the network is refused first.
pub(super) async fn send(
    call: Arc<Call>,
    request: Request<WasiBody>,
    options: RequestOptions,
) -> Result<Reply, Error> {
    let permit = call
        .grant
        .permit_http(request.method().as_str(), &request.uri().to_string())
        .map_err(|denied| refuse(&call, Refused::Denied(denied)))?;
    call.journal.uses(Use::Http(permit.method(), permit.url().clone()));
    call.journal.request(call.limits.requests).map_err(|refused| refuse(&call, refused))?;
    let now = Instant::now();
    let end = call.deadline.min(now + call.limits.request_time.into());
    let until =
        |option: Option<std::time::Duration>, from: Instant| option.map_or(end, |span| end.min(from + span));

    let (request, needles) = prepare(&call, &permit, request)?;
    let stream = dial(&call, &permit, until(options.connect_timeout, now)).await?;
    let limit = call.limits.headers.0.max(MIN_BUFFER);
    let (mut sender, mut connection) = http1::Builder::new()
        .max_buf_size(usize::try_from(limit).unwrap_or(usize::MAX))
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| wire(&call, &error))?;

    let first_byte = until(options.first_byte_timeout, Instant::now());
    let answer = drive(sender.send_request(request), &mut connection);
    let mut response = timeout_at(first_byte, answer)
        .await
        .map_err(|_| Error::HttpResponseTimeout)?
        .map_err(|error| wire(&call, &error))?;
    if let Some(needles) = &needles {
        clean(&call, &mut response, needles)?;
    }
    let between = options.between_bytes_timeout.unwrap_or(std::time::Duration::MAX);
    let response =
        response.map(|body| ReplyBody::new(body, Arc::clone(&call), needles, end, between).boxed_unsync());
    let io =
        async move { timeout_at(end, connection).await.map_or(Ok(()), |ended| ended.map_err(Error::from)) };
    Ok((response, Box::new(io)))
}

/// What goes on the wire: the permit's URL, the guest's harmless headers, the host's own.
fn prepare(
    call: &Arc<Call>,
    permit: &HttpPermit,
    request: Request<WasiBody>,
) -> Result<(Request<BoundedBody>, Option<Needles>), Error> {
    let url = permit.url();
    let (mut parts, body) = request.into_parts();
    parts.uri = Uri::try_from(url.path_and_query()).map_err(|_| Error::HttpRequestUriInvalid)?;
    headers::strip(&mut parts.headers);
    let host = HeaderValue::try_from(url.authority()).map_err(|_| Error::HttpRequestUriInvalid)?;
    parts.headers.insert(HOST, host);
    let needles = match permit.secret() {
        None => None,
        Some(secret) => {
            let header =
                call.shared.secrets.header(secret).map_err(|error| refuse(call, Refused::Secret(error)))?;
            let name = HeaderName::try_from(secret.header()).map_err(|_| Error::ConfigurationError)?;
            parts.headers.insert(name, header.value);
            // What is compressed cannot be scrubbed.
            parts.headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
            guard::on(Guard::Scrub).then_some(header.needles)
        }
    };
    Ok((Request::from_parts(parts, BoundedBody::new(body, Arc::clone(call))), needles))
}

/// Waits for the response's header while keeping the connection moving.
async fn drive(
    answer: impl Future<Output = hyper::Result<Response<Incoming>>>,
    connection: &mut Connection,
) -> hyper::Result<Response<Incoming>> {
    let mut answer = pin!(answer);
    let mut ended = false;
    poll_fn(|cx| {
        if let Poll::Ready(response) = answer.as_mut().poll(cx) {
            return Poll::Ready(response);
        }
        if !ended && let Poll::Ready(result) = Pin::new(&mut *connection).poll(cx) {
            ended = true;
            if let Err(error) = result {
                return Poll::Ready(Err(error));
            }
        }
        // The connection may just have brought it: no need to be woken for that.
        answer.as_mut().poll(cx)
    })
    .await
}

/// Takes the secret out of the header; refuses what it cannot be taken out of.
fn clean(call: &Call, response: &mut Response<Incoming>, needles: &Needles) -> Result<(), Error> {
    let plain = response
        .headers()
        .get_all(CONTENT_ENCODING)
        .iter()
        .all(|value| value.as_bytes().eq_ignore_ascii_case(b"identity"));
    if !plain && guard::on(Guard::Encoded) {
        return Err(refuse(call, Refused::Encoded));
    }
    needles.clean_headers(response.headers_mut());
    Ok(())
}

/// What went wrong on the wire, in the guest's words.
pub(super) fn wire(call: &Call, error: &hyper::Error) -> Error {
    let source = std::error::Error::source(error);
    let cut = source.and_then(|source| source.downcast_ref::<std::io::Error>());
    if let Some(own) = source.and_then(|source| source.downcast_ref::<Error>()) {
        return match own {
            Error::HttpRequestBodySize(limit) => Error::HttpRequestBodySize(*limit),
            _ => Error::HttpProtocolError,
        };
    }
    if error.is_parse_too_large() {
        refuse(call, Refused::ResponseHeader { limit: call.limits.headers.0 })
    } else if error.is_timeout() {
        Error::HttpResponseTimeout
    } else if error.is_incomplete_message() || cut.is_some_and(|cut| cut.kind() == ErrorKind::UnexpectedEof) {
        Error::HttpResponseIncomplete
    } else if error.is_parse() {
        Error::HttpProtocolError
    } else {
        Error::ConnectionTerminated
    }
}
