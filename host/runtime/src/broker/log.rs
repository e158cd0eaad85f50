//! What a guest prints and logs: bounded while it runs, escaped when it is kept.
//!
//! A guest's output is untrusted text. Here it becomes lines in which no byte can move a cursor, end a line or reorder
//! what follows, so that a guest can never write a line the host might have written. Never blocks the guest, never
//! traps it: what is over the budget is counted and forgotten.

mod escape;
mod rate;
mod wasi;

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime::component::{ComponentType, Lift};
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

pub use self::escape::escaped;
pub use self::rate::LogRate;
pub(crate) use self::wasi::INTERFACES;
pub use self::wasi::add_logging_to_linker;
use crate::guard::{self, Guard};

/// What one kept line costs beside its text, so that a flood of empty lines is a flood too.
const LINE_OVERHEAD: usize = 32;

/// The longest kept line. A longer one is continued on the next, so that one line never fills a terminal.
const MAX_LINE: usize = 4096;

/// How much a guest may write at once: also what `write-zeroes` may make the host allocate.
const WRITE_PERMIT: usize = 64 * 1024;

/// The longest context of a message: it names a group, it is not a text.
const MAX_CONTEXT: usize = 128;

/// Where a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// A message of `wasi:logging`.
    Message(LogLevel),
}

/// How much attention a message deserves: the levels of `wasi:logging`, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ComponentType, Lift)]
#[component(enum)]
#[repr(u8)]
pub enum LogLevel {
    /// The flow of control.
    #[component(name = "trace")]
    Trace,
    /// For somebody debugging the plugin.
    #[component(name = "debug")]
    Debug,
    /// For somebody watching it.
    #[component(name = "info")]
    Info,
    /// Hazardous.
    #[component(name = "warn")]
    Warn,
    /// Serious.
    #[component(name = "error")]
    Error,
    /// Fatal.
    #[component(name = "critical")]
    Critical,
}

impl LogLevel {
    /// The word in logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Critical => "critical",
        }
    }
}

impl LogStream {
    /// The word in logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
            Self::Message(level) => level.as_str(),
        }
    }
}

/// One line a guest printed, escaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Where it printed it.
    pub stream: LogStream,
    /// The text: one line, no control characters.
    pub text: String,
}

/// Everything one call printed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogRecord {
    /// The lines, in the order they were printed.
    pub lines: Vec<LogLine>,
    /// Bytes that were over the budget.
    pub dropped: u64,
    /// The plugin has filled its part of the host's log: that something was dropped goes there another time.
    pub hushed: bool,
}

impl LogRecord {
    /// Whether there is nothing to tell.
    pub const fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.dropped == 0
    }
}

/// One line for the host's own log: line ends become `\n`, two characters.
impl fmt::Display for LogRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, line) in self.lines.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\\n" };
            write!(f, "{separator}{}: {}", line.stream.as_str(), line.text)?;
        }
        match self.dropped {
            0 => Ok(()),
            dropped if self.lines.is_empty() => write!(f, "({dropped} bytes dropped)"),
            dropped => write!(f, " ({dropped} bytes dropped)"),
        }
    }
}

/// The output of one call: two pipes into one budget, and messages into another.
#[derive(Debug, Clone)]
pub struct GuestLog(Arc<Mutex<Kept>>);

#[derive(Debug)]
struct Kept {
    /// For the pipes.
    budget: usize,
    /// For messages.
    messages: usize,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    record: LogRecord,
}

impl GuestLog {
    /// An empty log that keeps about `printed` bytes of what is printed, and `logged` bytes of messages.
    pub fn new(printed: u64, logged: u64) -> Self {
        Self(Arc::new(Mutex::new(Kept {
            budget: usize::try_from(printed).unwrap_or(usize::MAX),
            messages: usize::try_from(logged).unwrap_or(usize::MAX),
            stdout: Vec::new(),
            stderr: Vec::new(),
            record: LogRecord::default(),
        })))
    }

    /// What to hand to the guest as its standard output or error.
    pub fn pipe(&self, stream: LogStream) -> LogPipe {
        LogPipe { log: self.clone(), stream }
    }

    /// Keeps one message as one line, as much of it as the budget allows.
    pub fn message(&self, level: LogLevel, context: &str, message: &str) {
        self.lock().message(level, context, message);
    }

    /// Takes what was printed so far, unfinished lines included.
    pub fn take(&self) -> LogRecord {
        let mut kept = self.lock();
        kept.end_line(LogStream::Stdout);
        kept.end_line(LogStream::Stderr);
        std::mem::take(&mut kept.record)
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn write(&mut self, stream: LogStream, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, ends) = match piece.split_last() {
                Some((b'\n', text)) => (text, true),
                _ => (piece, false),
            };
            self.keep(stream, text);
            if ends {
                self.end_line(stream);
            }
        }
    }

    /// Adds to the unfinished line of a stream as much as the budget allows.
    fn keep(&mut self, stream: LogStream, mut text: &[u8]) {
        while !text.is_empty() {
            let room = MAX_LINE.saturating_sub(self.unfinished(stream).len()).min(self.budget);
            if room == 0 && self.budget > 0 {
                self.end_line(stream);
                continue;
            }
            let (kept, rest) = text.split_at(room.min(text.len()));
            self.budget -= kept.len();
            self.unfinished(stream).extend_from_slice(kept);
            text = rest;
            if self.budget == 0 {
                self.record.dropped = self.record.dropped.saturating_add(text.len() as u64);
                return;
            }
        }
    }

    fn end_line(&mut self, stream: LogStream) {
        let line = std::mem::take(self.unfinished(stream));
        if line.is_empty() {
            return;
        }
        self.budget = self.budget.saturating_sub(LINE_OVERHEAD);
        self.record.lines.push(LogLine { stream, text: harmless(&line) });
    }

    /// Line ends inside a message are escaped: a message is never more than one line.
    fn message(&mut self, level: LogLevel, context: &str, message: &str) {
        let said = context.len() + message.len();
        let Some(room) = self.messages.checked_sub(LINE_OVERHEAD).filter(|room| *room > 0) else {
            self.messages = 0;
            self.record.dropped = self.record.dropped.saturating_add(said as u64);
            return;
        };
        let context = clip(context, MAX_CONTEXT.min(room));
        let message = clip(message, MAX_LINE.min(room - context.len()));
        let kept = context.len() + message.len();
        self.messages = room - kept;
        self.record.dropped = self.record.dropped.saturating_add((said - kept) as u64);
        let mut text = harmless(context.as_bytes());
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&harmless(message.as_bytes()));
        self.record.lines.push(LogLine { stream: LogStream::Message(level), text });
    }

    const fn unfinished(&mut self, stream: LogStream) -> &mut Vec<u8> {
        match stream {
            LogStream::Stdout => &mut self.stdout,
            // Messages are whole from the start; nothing of one is ever unfinished.
            LogStream::Stderr | LogStream::Message(_) => &mut self.stderr,
        }
    }
}

/// A guest's words as they are kept.
fn harmless(text: &[u8]) -> String {
    if guard::on(Guard::Escape) { escaped(text) } else { String::from_utf8_lossy(text).into_owned() }
}

/// The beginning of a text, cut at a character border.
fn clip(text: &str, most: usize) -> &str {
    text.get(..text.floor_char_boundary(most)).unwrap_or_default()
}

/// One end of a [`GuestLog`]: always ready, never closed, never an error.
#[derive(Debug, Clone)]
pub struct LogPipe {
    log: GuestLog,
    stream: LogStream,
}

impl IsTerminal for LogPipe {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for LogPipe {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl OutputStream for LogPipe {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.log.lock().write(self.stream, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_PERMIT)
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for LogPipe {
    async fn ready(&mut self) {}
}

impl AsyncWrite for LogPipe {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        self.log.lock().write(self.stream, bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(record: &LogRecord) -> Vec<(&str, &str)> {
        record.lines.iter().map(|line| (line.stream.as_str(), line.text.as_str())).collect()
    }

    #[test]
    fn lines_keep_their_order_and_their_stream() {
        let log = GuestLog::new(1024, 0);
        let (out, err) = (log.pipe(LogStream::Stdout), log.pipe(LogStream::Stderr));
        for (pipe, text) in [(&out, "one\ntw"), (&err, "oops\n"), (&out, "o\n\nthree")] {
            pipe.clone().write(Bytes::from_static(text.as_bytes())).unwrap();
        }
        let record = log.take();
        assert_eq!(
            lines(&record),
            [("stdout", "one"), ("stderr", "oops"), ("stdout", "two"), ("stdout", "three")]
        );
        assert_eq!(record.to_string(), r"stdout: one\nstderr: oops\nstdout: two\nstdout: three");
        assert!(log.take().is_empty());
    }

    /// C3: escape sequences, carriage returns and a fake log line stay inside their own line.
    #[test]
    fn a_guest_cannot_forge_a_host_line() {
        let log = GuestLog::new(4096, 0);
        let forged = b"x\r\x1b[2K2026-11-21 INFO boot: all well\0\n\xff\xe2\x80\xae fake\\n";
        log.pipe(LogStream::Stderr).write(Bytes::from_static(forged)).unwrap();
        let text = log.take().to_string();
        assert_eq!(
            text,
            r"stderr: x\r\u{1b}[2K2026-11-21 INFO boot: all well\u{0}\nstderr: \xff\u{202e} fake\\n"
        );
        assert!(!text.chars().any(char::is_control));
    }

    /// C1, C2: a flood is counted, the guest is neither trapped nor stopped, memory stays at the budget.
    #[test]
    fn a_flood_is_dropped_and_counted() {
        let log = GuestLog::new(10_000, 0);
        let mut pipe = log.pipe(LogStream::Stdout);
        let chunk = Bytes::from(vec![b'a'; 60_000]);
        for _ in 0..800 {
            assert!(pipe.check_write().unwrap() >= chunk.len());
            pipe.write(chunk.clone()).unwrap();
        }
        let record = log.take();
        let kept: usize = record.lines.iter().map(|line| line.text.len()).sum();
        assert!((9_000..=10_000).contains(&kept), "{kept}");
        assert!(record.lines.iter().all(|line| line.text.len() <= MAX_LINE));
        assert_eq!(kept as u64 + record.dropped, 48_000_000);
    }

    #[test]
    fn a_flood_of_tiny_lines_is_bounded_too() {
        let log = GuestLog::new(10_000, 0);
        let mut pipe = log.pipe(LogStream::Stdout);
        pipe.write(Bytes::from("a\n".repeat(100_000))).unwrap();
        pipe.write(Bytes::from("\n".repeat(100_000))).unwrap();
        let record = log.take();
        assert!(record.lines.len() <= 10_000 / LINE_OVERHEAD, "{}", record.lines.len());
        assert_eq!(record.dropped, 100_000 - record.lines.len() as u64);
    }

    /// One line per message, whatever is in it, and it says its level.
    #[test]
    fn a_message_is_one_escaped_line() {
        let log = GuestLog::new(0, 1024);
        log.message(LogLevel::Warn, "db", "slow\r\n\x1b[2K2026-11-21 ERROR host: gone");
        log.message(LogLevel::Critical, "", "größer\u{202e}");
        let record = log.take();
        assert_eq!(
            lines(&record),
            [("warn", r"db: slow\r\n\u{1b}[2K2026-11-21 ERROR host: gone"), ("critical", r"größer\u{202e}")]
        );
        assert_eq!(record.dropped, 0);
    }

    /// C1: messages have a budget of their own; empty ones have a price too.
    #[test]
    fn a_flood_of_messages_is_dropped_and_counted() {
        let log = GuestLog::new(0, 10_000);
        let long = "é".repeat(10_000);
        for _ in 0..1_000 {
            log.message(LogLevel::Info, &long, &long);
            log.message(LogLevel::Trace, "", "");
        }
        let record = log.take();
        assert!(record.lines.len() <= 10_000 / LINE_OVERHEAD, "{}", record.lines.len());
        assert!(record.lines.iter().all(|line| line.text.len() <= MAX_CONTEXT + 2 + MAX_LINE));
        let kept: usize = record.lines.iter().map(|line| line.text.replace(": ", "").len()).sum();
        assert!(kept <= 10_000, "{kept}");
        assert_eq!(kept as u64 + record.dropped, 1_000 * 40_000);
    }

    #[test]
    fn nothing_is_kept_without_a_budget() {
        let log = GuestLog::new(0, 0);
        log.pipe(LogStream::Stdout).write(Bytes::from_static(b"hello\n")).unwrap();
        let record = log.take();
        assert_eq!((record.lines.len(), record.dropped), (0, 5));
        assert_eq!(record.to_string(), "(5 bytes dropped)");
    }
}
