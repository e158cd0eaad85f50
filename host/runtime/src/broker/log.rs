//! What a guest prints: bounded while it runs, escaped when it is kept.
//!
//! A guest's output is untrusted text. Here it becomes lines in which no byte can move a cursor, end a line or reorder
//! what follows, so that a guest can never write a line the host might have written. Never blocks the guest, never
//! traps it: what is over the budget is counted and forgotten.

mod escape;
mod rate;

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

pub use self::escape::escaped;
pub use self::rate::LogRate;
use crate::guard::{self, Guard};

/// What one kept line costs beside its text, so that a flood of empty lines is a flood too.
const LINE_OVERHEAD: usize = 32;

/// The longest kept line. A longer one is continued on the next, so that one line never fills a terminal.
const MAX_LINE: usize = 4096;

/// How much a guest may write at once: also what `write-zeroes` may make the host allocate.
const WRITE_PERMIT: usize = 64 * 1024;

/// Where a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl LogStream {
    /// The word in logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
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

/// The output of one call: two pipes into one budget.
#[derive(Debug, Clone)]
pub struct GuestLog(Arc<Mutex<Kept>>);

#[derive(Debug)]
struct Kept {
    budget: usize,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    record: LogRecord,
}

impl GuestLog {
    /// An empty log that keeps about `budget` bytes.
    pub fn new(budget: u64) -> Self {
        Self(Arc::new(Mutex::new(Kept {
            budget: usize::try_from(budget).unwrap_or(usize::MAX),
            stdout: Vec::new(),
            stderr: Vec::new(),
            record: LogRecord::default(),
        })))
    }

    /// What to hand to the guest as its standard output or error.
    pub fn pipe(&self, stream: LogStream) -> LogPipe {
        LogPipe { log: self.clone(), stream }
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
        let text = match guard::on(Guard::Escape) {
            true => escaped(&line),
            false => String::from_utf8_lossy(&line).into_owned(),
        };
        self.record.lines.push(LogLine { stream, text });
    }

    const fn unfinished(&mut self, stream: LogStream) -> &mut Vec<u8> {
        match stream {
            LogStream::Stdout => &mut self.stdout,
            LogStream::Stderr => &mut self.stderr,
        }
    }
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
        let log = GuestLog::new(1024);
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
        let log = GuestLog::new(4096);
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
        let log = GuestLog::new(10_000);
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
        let log = GuestLog::new(10_000);
        let mut pipe = log.pipe(LogStream::Stdout);
        pipe.write(Bytes::from("a\n".repeat(100_000))).unwrap();
        pipe.write(Bytes::from("\n".repeat(100_000))).unwrap();
        let record = log.take();
        assert!(record.lines.len() <= 10_000 / LINE_OVERHEAD, "{}", record.lines.len());
        assert_eq!(record.dropped, 100_000 - record.lines.len() as u64);
    }

    #[test]
    fn nothing_is_kept_without_a_budget() {
        let log = GuestLog::new(0);
        log.pipe(LogStream::Stdout).write(Bytes::from_static(b"hello\n")).unwrap();
        let record = log.take();
        assert_eq!((record.lines.len(), record.dropped), (0, 5));
        assert_eq!(record.to_string(), "(5 bytes dropped)");
    }
}
