//! For tests of agents: a real server on loopback that answers what a test says and remembers what it was asked, and a failure to
//! ask about. Not part of any component.

use std::io::{self, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use razar_sdk::ToolSchema;
use razar_sdk::agent::{Brief, Failure, FailureClass, Situation};
use serde_json::{Value, json};

/// One answer.
#[derive(Debug, Clone)]
pub struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl Reply {
    /// A good answer.
    pub fn ok(document: Value) -> Self {
        Self::of(200, document)
    }

    /// Any answer in JSON.
    pub fn of(status: u16, document: Value) -> Self {
        Self::text(status, document.to_string()).with("content-type", "application/json")
    }

    /// Any answer.
    pub fn text(status: u16, body: impl Into<String>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }

    /// With one more header.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// What a server was asked.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The path, with the query.
    pub path: String,
    /// The request's first line and headers, in lower case.
    pub head: String,
    /// The body, or null if it was not JSON.
    pub body: Value,
}

/// A server that gives one answer to each connection, in this order, and then none.
#[derive(Debug)]
pub struct Scripted {
    origin: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Scripted {
    /// Listens when this returns.
    pub fn answer(replies: Vec<Reply>) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let origin = format!("http://{}", listener.local_addr()?);
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        thread::spawn(move || {
            for reply in replies {
                // Who goes away in the middle is not answered.
                if exchange(&listener, &reply, &log).is_err() {
                    return;
                }
            }
        });
        Ok(Self { origin, asked })
    }

    /// The URL of a path there.
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    /// Everything it was asked so far. It is noted before it is answered.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn exchange(listener: &TcpListener, reply: &Reply, log: &Mutex<Vec<Asked>>) -> io::Result<()> {
    let (mut stream, _) = listener.accept()?;
    let mut request = Vec::new();
    let body_at = loop {
        if let Some(at) = request.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        more(&mut stream, &mut request)?;
    };
    let head = String::from_utf8_lossy(request.get(..body_at).unwrap_or_default()).into_owned();
    let lower = head.to_lowercase();
    let length = lower.lines().find_map(|line| line.strip_prefix("content-length: "));
    let end = body_at + length.and_then(|length| length.trim().parse().ok()).unwrap_or(0);
    while request.len() < end {
        more(&mut stream, &mut request)?;
    }
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let body = serde_json::from_slice(request.get(body_at..end).unwrap_or_default()).unwrap_or(Value::Null);
    log.lock().unwrap_or_else(PoisonError::into_inner).push(Asked { path, head: lower, body });
    let headers: String = reply.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let (status, body) = (reply.status, &reply.body);
    write!(stream, "HTTP/1.1 {status} X\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}

fn more(stream: &mut impl io::Read, request: &mut Vec<u8>) -> io::Result<()> {
    let mut bytes = [0; 4096];
    let read = stream.read(&mut bytes)?;
    if read == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    request.extend_from_slice(bytes.get(..read).unwrap_or_default());
    Ok(())
}

/// A chat completion that says this, for eleven tokens and two.
pub fn chat(text: &str) -> Value {
    let message = json!({ "role": "assistant", "content": text });
    json!({ "model": "m-1", "choices": [{ "message": message, "finish_reason": "stop" }],
            "usage": { "prompt_tokens": 11, "completion_tokens": 2 } })
}

/// A component with a wrong name in it, and one tool.
pub fn brief() -> Brief {
    let tool = ToolSchema {
        name: "read".to_owned(),
        description: "Reads a file".to_owned(),
        input_schema: r#"{"type":"object"}"#.to_owned(),
        extensions: Vec::new(),
    };
    Brief {
        situation: Situation::Failure(failure()),
        actions: Vec::new(),
        tools: vec![tool],
        extensions: vec![("timeout-ms".to_owned(), "20000".to_owned())],
    }
}

/// What is wrong with it.
pub fn failure() -> Failure {
    Failure {
        incident: "i".to_owned(),
        component: "web".to_owned(),
        layer: String::new(),
        class: FailureClass::Logic,
        error: "NameError: nane".to_owned(),
        log_tail: String::new(),
        history: Vec::new(),
        sources: Vec::new(),
        versions: Vec::new(),
        extensions: Vec::new(),
    }
}
