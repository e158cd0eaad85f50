//! A model server that takes no time: one request, one answer, and the moments at which it was asked and had answered.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};

/// When it was asked, and when it had answered.
pub(crate) type Asked = (Instant, Instant);

/// Listens; `answer` makes a body for a path, `tell` hears of each one.
pub(crate) fn serve(
    answer: impl Fn(&str) -> Value + Send + Sync + 'static,
    tell: impl Fn(Asked) + Send + Sync + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let both = Arc::new((answer, tell));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let both = Arc::clone(&both);
            std::thread::spawn(move || one(stream, &both.0, &both.1));
        }
    });
    address
}

/// The answer of a server of chat completions.
pub(crate) fn chat(text: &str) -> Value {
    let choice =
        json!({ "index": 0, "message": { "role": "assistant", "content": text }, "finish_reason": "stop" });
    let usage = json!({ "prompt_tokens": 1, "completion_tokens": 1 });
    json!({ "id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice], "usage": usage })
}

/// One request and its answer.
fn one(mut stream: TcpStream, answer: &impl Fn(&str) -> Value, tell: &impl Fn(Asked)) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut line, mut length, mut chunked, mut path) = (String::new(), 0, false, String::new());
    let asked = loop {
        line.clear();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        if path.is_empty() {
            path = line.split(' ').nth(1).unwrap_or("/").to_owned();
        }
        let header = line.trim().to_ascii_lowercase();
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        chunked |= header.starts_with("transfer-encoding:") && header.contains("chunked");
        if header.is_empty() {
            break Instant::now();
        }
    };
    while chunked {
        line.clear();
        reader.read_line(&mut line).unwrap();
        let size = usize::from_str_radix(line.trim(), 16).unwrap();
        reader.read_exact(&mut vec![0; size + 2]).unwrap();
        chunked = size > 0;
    }
    reader.read_exact(&mut vec![0; length]).unwrap();
    let body = answer(&path).to_string();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    tell((asked, Instant::now()));
}
