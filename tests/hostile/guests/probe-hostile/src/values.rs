//! What crosses the border: too much of it, and things that are not what they are called.

use std::io::Write as _;
use std::sync::atomic::{AtomicU32, Ordering};

use razar_sdk::log::{self, Level};
use razar_sdk::values::Store;
use razar_sdk::{PluginError, PluginErrorKind, Report};

use crate::raw::wasi::config::store;
use crate::raw::wasi::random::random as source;
use crate::say;

const PIECE: usize = 256 << 10;

pub(crate) fn alloc(bytes: usize) -> Report {
    let all: Vec<Vec<u8>> = (0..bytes.div_ceil(PIECE)).map(|_| vec![1; PIECE]).collect();
    say(&format!("has {} MiB", (all.len() * PIECE) >> 20))
}

pub(crate) fn error(bytes: usize) -> PluginError {
    PluginError {
        kind: PluginErrorKind::Internal,
        message: "x".repeat(bytes),
        retry_after_ms: Some(u32::MAX),
        extensions: Vec::new(),
    }
}

pub(crate) fn kind(text: String) -> PluginError {
    PluginError { kind: PluginErrorKind::Other(text), ..error(1) }
}

pub(crate) fn empty(n: usize) -> Report {
    Report { extensions: vec![(String::new(), String::new()); n], ..say("empty") }
}

pub(crate) fn numbers() -> Report {
    let mut report = say("numbers");
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, f64::MAX, f64::MIN_POSITIVE] {
        report = report.measure("number", value, "\u{1b}[31m");
    }
    report
}

pub(crate) fn random(bytes: u64) -> Report {
    say(&format!("{} random bytes", source::get_random_bytes(bytes).len()))
}

pub(crate) fn pass(bytes: usize) -> Report {
    let key = "x".repeat(bytes);
    say(&format!("passed, found {}", store::get(&key).is_ok_and(|value| value.is_some())))
}

pub(crate) fn print(bytes: usize) -> Report {
    let chunk = vec![b'a'; 64 << 10];
    let (mut out, mut left) = (std::io::stdout().lock(), bytes);
    while left > 0 {
        let part = left.min(chunk.len());
        if out.write_all(&chunk[..part]).is_err() {
            return say("the pipe is closed");
        }
        left -= part;
    }
    say("printed")
}

pub(crate) fn lines(n: usize) -> Report {
    let (text, mut out) = ("a\n".repeat(1024), std::io::stderr().lock());
    for _ in 0..n / 1024 {
        let _ = out.write_all(text.as_bytes());
    }
    say("printed")
}

pub(crate) fn messages(bytes: usize) -> Report {
    let text = "a".repeat(4_000);
    for _ in 0..bytes / text.len() {
        log::say(Level::Info, &text);
    }
    say("said")
}

pub(crate) fn count() -> Report {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    say(&format!("call {} of this memory", CALLS.fetch_add(1, Ordering::Relaxed) + 1))
}

pub(crate) fn keep(store: &str, keys: usize, bytes: usize) -> Report {
    let value = vec![b'v'; bytes];
    let kept = Store::open(store)
        .map_or(0, |store| (0..keys).filter(|key| store.set(&format!("key-{key}"), &value).is_ok()).count());
    say(&format!("kept {kept} of {keys}"))
}
