//! HTTP of a call with a tape: what the guest sent and what it was told is written down, after everything was scrubbed; or it is
//! told again what it was told then, without a connection. A guest that asks for something else is told nothing more.

use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame};
use http_body_util::BodyExt as _;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody};

use super::{Call, Reply, send};
use crate::tape::recording::{Answer, BodyEnd, Data, Exchange, Fault, Sent, told};
use crate::tape::{Playing, Tape};

/// What a look in vain takes of a tape's room.
const PAUSE: usize = 16;

/// What a request takes of it, besides its words.
const EXCHANGE: usize = 512;

/// What one of its headers takes, besides its words.
const HEADER: usize = 128;

/// Sends and writes down, or answers from the tape. The request's place among the others is taken before anything is awaited.
pub(super) fn send(
    call: Arc<Call>,
    request: Request<WasiBody>,
    options: RequestOptions,
    tape: &Tape,
) -> Box<dyn Future<Output = Result<Reply, Error>> + Send> {
    let tape = tape.clone();
    if let Some(playing) = tape.playing() {
        let index = {
            let mut at = playing.at();
            at.exchanges += 1;
            at.exchanges - 1
        };
        return Box::new(played(tape, index, request));
    }
    let (method, url) = (request.method().to_string(), request.uri().to_string());
    let headers = told(request.headers());
    let said: usize = headers.iter().map(|(name, value)| HEADER + name.len() + value.len()).sum();
    let mut index = usize::MAX;
    tape.write(EXCHANGE + method.len() + url.len() + said, |writing| {
        let exchanges = &mut writing.recording.exchanges;
        index = exchanges.len();
        let headers = headers.into_iter().map(|(name, value)| (name, Sent::all(value))).collect();
        exchanges.push(Exchange { method, url, headers, sent: Sent::default(), answer: Answer::Never });
    });
    Box::new(recorded(call, request, options, tape, index))
}

async fn recorded(
    call: Arc<Call>,
    request: Request<WasiBody>,
    options: RequestOptions,
    tape: Tape,
    index: usize,
) -> Result<Reply, Error> {
    let length = request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let left = length.unwrap_or(u64::MAX);
    let request = request.map(|inner| Outgoing { inner, tape: tape.clone(), index, left }.boxed_unsync());
    let answered = send::send(call, request, options).await;
    let answer = match &answered {
        Err(error) => Answer::Failed(fault(error)),
        Ok((response, _)) => Answer::Response {
            status: response.status().as_u16(),
            headers: headers(response.headers()),
            body: Vec::new(),
            end: BodyEnd::Open,
        },
    };
    let bytes = match &answer {
        Answer::Response { headers, .. } => {
            headers.iter().map(|(name, value)| name.len() + value.0.len()).sum()
        }
        Answer::Failed(_) | Answer::Never => 0,
    };
    on(&tape, index, bytes, |exchange| exchange.answer = answer);
    let (response, io) = answered?;
    Ok((response.map(|inner| Incoming { inner, tape, index }.boxed_unsync()), io))
}

fn headers(headers: &HeaderMap) -> Vec<(String, Data)> {
    headers
        .iter()
        .map(|(name, value)| (name.to_string(), Data(Bytes::copy_from_slice(value.as_bytes()))))
        .collect()
}

fn on(tape: &Tape, index: usize, bytes: usize, what: impl FnOnce(&mut Exchange)) {
    tape.write(bytes, |writing| {
        if let Some(exchange) = writing.recording.exchanges.get_mut(index) {
            what(exchange);
        }
    });
}

/// A request's body on its way out. Nobody asks for its end once as much is sent as was announced.
struct Outgoing {
    inner: WasiBody,
    tape: Tape,
    index: usize,
    left: u64,
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(data) = frame.data_ref() {
                    on(&self.tape, self.index, data.len(), |exchange| exchange.sent.push(data));
                    self.left = self.left.saturating_sub(data.len() as u64);
                }
                if self.left == 0 || self.inner.is_end_stream() {
                    on(&self.tape, self.index, 0, |exchange| exchange.sent.whole = true);
                }
            }
            Poll::Ready(None) => on(&self.tape, self.index, 0, |exchange| exchange.sent.whole = true),
            Poll::Ready(Some(Err(_))) | Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        let over = self.inner.is_end_stream();
        if over {
            on(&self.tape, self.index, 0, |exchange| exchange.sent.whole = true);
        }
        over
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.inner.size_hint()
    }
}

/// A response's body on its way in: already bounded and scrubbed.
struct Incoming {
    inner: WasiBody,
    tape: Tape,
    index: usize,
}

impl Body for Incoming {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        let Poll::Ready(frame) = &polled else {
            // A guest that looks in vain looks again later, and may read a clock in between.
            on(&self.tape, self.index, PAUSE, |exchange| {
                if let Answer::Response { body, .. } = &mut exchange.answer {
                    body.push(Data::default());
                }
            });
            return polled;
        };
        let bytes = match frame {
            Some(Ok(frame)) => frame.data_ref().map_or(0, Bytes::len),
            _ => 0,
        };
        on(&self.tape, self.index, bytes, |exchange| {
            let Answer::Response { body, end, .. } = &mut exchange.answer else { return };
            match frame {
                Some(Ok(frame)) => {
                    body.extend(frame.data_ref().map(|data| Data(Bytes::copy_from_slice(data))))
                }
                Some(Err(error)) => *end = BodyEnd::Failed(fault(error)),
                None => *end = BodyEnd::Whole,
            }
        });
        polled
    }

    fn is_end_stream(&self) -> bool {
        let over = self.inner.is_end_stream();
        if over {
            on(&self.tape, self.index, 0, |exchange| {
                if let Answer::Response { end, .. } = &mut exchange.answer {
                    *end = BodyEnd::Whole;
                }
            });
        }
        over
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.inner.size_hint()
    }
}

async fn played(tape: Tape, index: usize, request: Request<WasiBody>) -> Result<Reply, Error> {
    let Some(playing) = tape.playing() else { return Err(Error::InternalError(None)) };
    let (parts, body) = request.into_parts();
    let asked = format!("{} {}", parts.method, parts.uri);
    let Some(then) = playing.recording.exchanges.get(index) else {
        return playing
            .never_beyond(|| format!("it sends request {}, `{asked}`, which it had not sent", index + 1))
            .await;
    };
    let was = format!("{} {}", then.method, then.url);
    if asked != was {
        return playing.never(|| format!("request {} is `{asked}` and was `{was}`", index + 1)).await;
    }
    if let Some(other) = other_header(&told(&parts.headers), &then.headers) {
        return playing.never(|| format!("request {}, `{asked}`, {other}", index + 1)).await;
    }
    let sent = sent_again(body, &then.sent).await;
    if !then.sent.is(&sent) {
        let (number, length, was) = (index + 1, sent.len(), then.sent.length);
        return playing
            .never(|| {
                format!("the body of request {number}, `{asked}`, is another one: {length} bytes, were {was}")
            })
            .await;
    }
    match &then.answer {
        Answer::Never => std::future::pending().await,
        Answer::Failed(fault) => Err(error(fault)),
        Answer::Response { status, headers, body, end } => {
            let body = Again { pieces: body.iter().cloned().collect(), end: Some(end.clone()) };
            response(*status, headers, body, playing).await
        }
    }
}

/// The first header that is another one than it was, in words.
fn other_header(now: &BTreeMap<String, Bytes>, then: &BTreeMap<String, Sent>) -> Option<String> {
    let mut names = now.keys().chain(then.keys());
    names.find_map(|name| match (now.get(name), then.get(name)) {
        (Some(value), Some(sent)) if sent.is(value) => None,
        (Some(_), Some(_)) => Some(format!("has another header `{name}`")),
        (Some(_), None) => Some(format!("has a header `{name}`, which it had not")),
        (None, _) => Some(format!("has no header `{name}`, which it had")),
    })
}

/// What is sent now: all of it, or as much as had been sent when nobody wanted more.
async fn sent_again(mut body: WasiBody, then: &Sent) -> Vec<u8> {
    let enough = if then.whole { usize::MAX } else { usize::try_from(then.length).unwrap_or(usize::MAX) };
    let mut sent = Vec::new();
    while sent.len() < enough {
        let Some(Ok(frame)) = body.frame().await else { break };
        sent.extend(frame.data_ref().into_iter().flatten());
    }
    sent.truncate(enough);
    sent
}

async fn response(
    status: u16,
    headers: &[(String, Data)],
    body: Again,
    playing: &Playing,
) -> Result<Reply, Error> {
    let mut builder = Response::builder().status(status);
    for (name, value) in headers {
        builder = builder.header(name.as_str(), &*value.0);
    }
    match builder.body(body.boxed_unsync()) {
        Ok(response) => Ok((response, Box::new(async { Ok(()) }))),
        Err(_) => playing.never(|| "a response of the recording is none".to_owned()).await,
    }
}

/// A response's body as it came then.
struct Again {
    pieces: VecDeque<Data>,
    end: Option<BodyEnd>,
}

impl Body for Again {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if let Some(piece) = self.pieces.pop_front() {
            if piece.0.is_empty() {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            return Poll::Ready(Some(Ok(Frame::data(piece.0))));
        }
        match &self.end {
            // Nothing more came then either.
            Some(BodyEnd::Open) => Poll::Pending,
            Some(BodyEnd::Failed(fault)) => {
                let error = error(fault);
                self.end = None;
                Poll::Ready(Some(Err(error)))
            }
            Some(BodyEnd::Whole) | None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty() && self.end.as_ref().is_none_or(|end| *end == BodyEnd::Whole)
    }
}

macro_rules! faults {
    ($($variant:ident = $name:literal),* $(,)?) => {
        /// An error by its name. One that nobody here makes is told as an internal one.
        fn fault(error: &Error) -> Fault {
            let (name, number) = match error {
                $(Error::$variant => ($name, None),)*
                Error::HttpRequestBodySize(limit) => ("request-body-size", *limit),
                Error::HttpResponseBodySize(limit) => ("response-body-size", *limit),
                Error::HttpResponseHeaderSectionSize(limit) => ("response-header-size", limit.map(u64::from)),
                Error::HttpResponseContentCoding(_) => ("content-coding", None),
                Error::DnsError { .. } => ("dns-error", None),
                _ => ("internal-error", None),
            };
            Fault { name: name.to_owned(), number }
        }

        fn error(fault: &Fault) -> Error {
            match fault.name.as_str() {
                $($name => Error::$variant,)*
                "request-body-size" => Error::HttpRequestBodySize(fault.number),
                "response-body-size" => Error::HttpResponseBodySize(fault.number),
                "response-header-size" => {
                    Error::HttpResponseHeaderSectionSize(fault.number.and_then(|limit| u32::try_from(limit).ok()))
                }
                "content-coding" => Error::HttpResponseContentCoding(None),
                "dns-error" => Error::DnsError { rcode: Some("NXDOMAIN".to_owned()), info_code: None },
                _ => Error::InternalError(None),
            }
        }

        #[cfg(test)]
        const PLAIN: &[&str] = &[$($name),*];
    };
}

faults! {
    DnsTimeout = "dns-timeout",
    DestinationNotFound = "destination-not-found",
    DestinationUnavailable = "destination-unavailable",
    DestinationIpProhibited = "destination-ip-prohibited",
    DestinationIpUnroutable = "destination-ip-unroutable",
    ConnectionRefused = "connection-refused",
    ConnectionTerminated = "connection-terminated",
    ConnectionTimeout = "connection-timeout",
    ConnectionReadTimeout = "connection-read-timeout",
    ConnectionWriteTimeout = "connection-write-timeout",
    ConnectionLimitReached = "connection-limit-reached",
    TlsProtocolError = "tls-protocol-error",
    TlsCertificateError = "tls-certificate-error",
    HttpRequestDenied = "request-denied",
    HttpRequestUriInvalid = "request-uri-invalid",
    HttpResponseIncomplete = "response-incomplete",
    HttpResponseTimeout = "response-timeout",
    HttpProtocolError = "protocol-error",
    ConfigurationError = "configuration-error",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_comes_back_as_it_was() {
        for name in PLAIN {
            let kept = Fault { name: (*name).to_owned(), number: None };
            assert_eq!(fault(&error(&kept)), kept);
        }
        for made in [
            Error::HttpRequestBodySize(Some(7)),
            Error::HttpResponseBodySize(None),
            Error::HttpResponseHeaderSectionSize(Some(9)),
            Error::HttpResponseContentCoding(None),
            Error::DnsError { rcode: Some("NXDOMAIN".to_owned()), info_code: None },
        ] {
            assert_eq!(format!("{:?}", error(&fault(&made))), format!("{made:?}"));
        }
    }
}
