//! Requests, put together by hand.

use razar_sdk::Report;
use serde::Deserialize;

use crate::raw::wasi::http::outgoing_handler;
use crate::raw::wasi::http::types::{
    ErrorCode, Fields, IncomingResponse, Method, OutgoingBody, OutgoingRequest, Scheme,
};
use crate::raw::wasi::io::streams::StreamError;
use crate::say;

/// What is read of an answer's body before it is cut in the report.
const SHOWN: usize = 600;

/// One request.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Wish {
    method: String,
    scheme: String,
    authority: String,
    path: String,
    headers: Vec<[String; 2]>,
    body: usize,
    /// Bytes of one more header.
    pad: usize,
    /// Requests like this one, sent one after the other.
    times: u32,
}

impl Default for Wish {
    fn default() -> Self {
        Self {
            method: "GET".to_owned(),
            scheme: "http".to_owned(),
            authority: String::new(),
            path: "/".to_owned(),
            headers: Vec::new(),
            body: 0,
            pad: 0,
            times: 1,
        }
    }
}

/// Sends them and says what came back of each.
pub(crate) fn send(wishes: Vec<Wish>) -> Report {
    let mut said = Vec::new();
    for wish in &wishes {
        for _ in 0..wish.times {
            said.push(one(wish).unwrap_or_else(|why| why));
        }
    }
    said.dedup();
    say(&said.join("; "))
}

fn one(wish: &Wish) -> Result<String, String> {
    let fields = Fields::new();
    for [name, value] in &wish.headers {
        fields.append(name, value.as_bytes()).map_err(|error| format!("header {name}: {error:?}"))?;
    }
    if wish.pad > 0 {
        let value = vec![b'p'; wish.pad];
        fields.append("x-pad", &value).map_err(|error| format!("header x-pad: {error:?}"))?;
    }
    let request = OutgoingRequest::new(fields);
    let method = match wish.method.as_str() {
        "GET" => Method::Get,
        "POST" => Method::Post,
        "CONNECT" => Method::Connect,
        "TRACE" => Method::Trace,
        other => Method::Other(other.to_owned()),
    };
    let scheme = match wish.scheme.as_str() {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        other => Scheme::Other(other.to_owned()),
    };
    request.set_method(&method).map_err(|()| "method refused".to_owned())?;
    request.set_scheme(Some(&scheme)).map_err(|()| "scheme refused".to_owned())?;
    request.set_authority(Some(&wish.authority)).map_err(|()| "authority refused".to_owned())?;
    request.set_path_with_query(Some(&wish.path)).map_err(|()| "path refused".to_owned())?;
    let body = request.body().map_err(|()| "no body".to_owned())?;
    let pending = outgoing_handler::handle(request, None).map_err(|code| named(&code))?;
    let sent = write(body, wish.body);
    pending.subscribe().block();
    match pending.get() {
        Some(Ok(Ok(response))) => read(response),
        Some(Ok(Err(code))) => Err(named(&code)),
        Some(Err(())) | None => Err(format!("nothing, {sent:?}")),
    }
}

/// The code's own name, without its numbers.
fn named(code: &ErrorCode) -> String {
    let text = format!("{code:?}");
    let name = text.trim_start_matches("ErrorCode::");
    name.split('(').next().unwrap_or(name).to_owned()
}

fn write(body: OutgoingBody, bytes: usize) -> Result<(), String> {
    let stream = body.write().map_err(|()| "no stream".to_owned())?;
    let chunk = [b'b'; 4096];
    let mut left = bytes;
    while left > 0 {
        let part = left.min(chunk.len());
        stream.blocking_write_and_flush(&chunk[..part]).map_err(|error| format!("{error:?}"))?;
        left -= part;
    }
    drop(stream);
    OutgoingBody::finish(body, None).map_err(|code| named(&code))
}

fn read(response: IncomingResponse) -> Result<String, String> {
    let status = response.status();
    let echoed =
        response.headers().get("x-echo").first().map(|value| String::from_utf8_lossy(value).into_owned());
    let incoming = response.consume().map_err(|()| "no body".to_owned())?;
    let stream = incoming.stream().map_err(|()| "no stream".to_owned())?;
    let (mut text, mut total) = (Vec::new(), 0_usize);
    let end = loop {
        match stream.blocking_read(64 << 10) {
            Ok(bytes) => {
                total += bytes.len();
                text.extend(bytes.into_iter().take(SHOWN.saturating_sub(text.len())));
            }
            Err(StreamError::Closed) => break "",
            Err(StreamError::LastOperationFailed(_)) => break ", then cut",
        }
    };
    let text = String::from_utf8_lossy(&text).into_owned();
    let shown = if total > SHOWN { String::new() } else { format!(" `{text}`") };
    let echoed = echoed.map(|value| format!(" x-echo {value}")).unwrap_or_default();
    Ok(format!("{status}{echoed}, {total} bytes{end}{shown}"))
}
