//! HTTP over a plain socket, for native tests of plugin logic: HTTP/1.0, so that no answer comes in chunks. No TLS.

use std::time::Instant;

use super::{Exchange, HttpError, Response, Verb};
use crate::tcp::{Connection, TcpError};

/// Longer heads are no answer to a health check.
const MAX_HEAD: usize = 64 * 1024;

pub(super) fn send(request: &Exchange<'_>) -> Result<Response, HttpError> {
    let url = &request.url;
    if url.secure {
        return Err(HttpError::Other("TLS is not available outside of the host".to_owned()));
    }
    let address = match url.authority.rsplit_once(':') {
        Some((_, port)) if port.parse::<u16>().is_ok() => url.authority.to_owned(),
        _ => format!("{}:80", url.authority),
    };
    let mut connection = Connection::open(&address, Instant::now() + request.timeout).map_err(from_tcp)?;
    let framing =
        format!("Content-Type: {}\r\nContent-Length: {}\r\n", request.content_type, request.body.len());
    let (verb, framing) = match request.verb {
        Verb::Get => ("GET", ""),
        Verb::Head => ("HEAD", ""),
        Verb::Post => ("POST", framing.as_str()),
    };
    let head = format!("{verb} {} HTTP/1.0\r\nHost: {}\r\n{framing}\r\n", url.path, url.authority);
    connection.send(head.as_bytes()).map_err(from_tcp)?;
    connection.send(request.body).map_err(from_tcp)?;
    let mut answer = Vec::new();
    let enough = MAX_HEAD + request.max_body + 1;
    loop {
        let head_end = find(&answer, b"\r\n\r\n");
        if let Some(end) = head_end
            && complete(&answer, end, request)
        {
            return respond(&answer, end, request);
        }
        if connection.receive(&mut answer, enough).map_err(from_tcp)? == 0 {
            return match head_end {
                Some(end) => respond(&answer, end, request),
                None => Err(HttpError::Closed),
            };
        }
    }
}

fn complete(answer: &[u8], head_end: usize, request: &Exchange<'_>) -> bool {
    let body = answer.len() - head_end;
    let length = length(answer, head_end).unwrap_or(usize::MAX);
    request.verb == Verb::Head || body >= length || body > request.max_body
}

fn respond(answer: &[u8], head_end: usize, request: &Exchange<'_>) -> Result<Response, HttpError> {
    let line = String::from_utf8_lossy(answer.get(..head_end).unwrap_or_default());
    let status =
        line.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)).and_then(|code| code.parse().ok());
    let status = status.ok_or(HttpError::Protocol)?;
    let mut body = answer.get(head_end..).unwrap_or_default().to_vec();
    if request.verb == Verb::Head {
        body.clear();
    } else if let Some(length) = length(answer, head_end) {
        if body.len() < length && body.len() <= request.max_body {
            return Err(HttpError::Closed);
        }
        body.truncate(length);
    }
    let truncated = body.len() > request.max_body;
    body.truncate(request.max_body);
    let headers = line.lines().skip(1).filter_map(|line| line.split_once(':'));
    let headers = headers.map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()));
    let headers = headers.filter(|(name, _)| request.wanted.contains(&name.as_str())).collect();
    Ok(Response { status, headers, body, truncated })
}

fn length(answer: &[u8], head_end: usize) -> Option<usize> {
    let head = String::from_utf8_lossy(answer.get(..head_end)?).to_lowercase();
    head.lines()
        .find_map(|line| line.strip_prefix("content-length:"))
        .and_then(|value| value.trim().parse().ok())
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle).map(|at| at + needle.len())
}

fn from_tcp(error: TcpError) -> HttpError {
    match error {
        TcpError::Address(problem) => HttpError::Url(problem),
        TcpError::Denied => HttpError::Denied,
        TcpError::Refused => HttpError::Refused,
        TcpError::Unresolved => HttpError::Unresolved,
        TcpError::Unreachable => HttpError::Unreachable,
        TcpError::Timeout => HttpError::Timeout,
        TcpError::Closed => HttpError::Closed,
        TcpError::Other(problem) => HttpError::Other(problem),
    }
}
