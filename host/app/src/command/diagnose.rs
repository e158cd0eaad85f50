//! `diagnose`: which class of failure a log tells of, which line says so, and what usually helps. It asks the one classifier
//! there is, reads a bounded part of the log, and changes nothing.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};
use std::path::Path;

use razar_core::failure::FailureClass;
use serde_json::json;

use super::{Exit, complain, say};
use crate::cli::{Diagnose, Output};
use crate::report::escape;

/// What is looked at of a log, from its end: a day of a talkative service.
const END: u64 = 64 << 20;

/// Of what has no end that one could look for: somebody may have named a device.
const STREAM: u64 = 1 << 30;

/// What one read takes.
const PIECE: usize = 64 << 10;

pub(super) fn diagnose(arguments: &Diagnose) -> Exit {
    let (file, output) = (&arguments.file, arguments.output);
    let log = match read(file, END, STREAM) {
        Ok(log) => log,
        Err(error) => {
            complain(output, &escape::line(&format!("cannot read `{}`: {error}", file.display())));
            return Exit::Usage;
        }
    };
    let text = String::from_utf8_lossy(&log.bytes);
    let telling = FailureClass::told_by(&text);
    let class = telling.map_or(FailureClass::External, |telling| telling.class);
    // Nobody has counted the lines that were left out.
    let number = telling.map(|telling| telling.number).filter(|_| log.left_out == 0);
    if output == Output::Json {
        say(&json!({
            "log": file.display().to_string(), "class": class.as_str(), "hint": class.hint(),
            "line": number, "words": telling.map(|telling| telling.words),
            "said": telling.map(|telling| escape::line(telling.line)),
            "bytes": log.bytes.len(), "left_out": log.left_out,
        })
        .to_string());
        return Exit::Done;
    }
    say(&format!("class: {}", class.as_str()));
    match telling {
        Some(telling) => {
            let place = number.map_or_else(|| "a line".to_owned(), |number| format!("line {number}"));
            say(&format!("because: {place} says: {}", escape::line(telling.line)));
        }
        None => say("because: no line names a dependency, a fault of the program, or anything outside of it"),
    }
    say(&format!("hint: {}", class.hint()));
    if log.left_out > 0 {
        say(&format!("read: the last {} bytes; {} before them were not", log.bytes.len(), log.left_out));
    }
    Exit::Done
}

/// The end of a log.
#[derive(Debug, PartialEq, Eq)]
struct Log {
    bytes: Vec<u8>,
    /// Bytes before them.
    left_out: u64,
}

/// The last bytes of a file, or of what comes out of a pipe until it is closed; from the beginning of a line on.
fn read(file: &Path, end: u64, stream: u64) -> io::Result<Log> {
    let mut log = if file.as_os_str() == "-" {
        end_of_stream(io::stdin().lock(), end, stream)?
    } else {
        let mut file = File::open(file)?;
        let found = file.metadata()?;
        if found.is_file() {
            let left_out = found.len().saturating_sub(end);
            file.seek(SeekFrom::Start(left_out))?;
            let mut bytes = Vec::new();
            file.take(end).read_to_end(&mut bytes)?;
            Log { bytes, left_out }
        } else {
            end_of_stream(file, end, stream)?
        }
    };
    if log.left_out > 0
        && let Some(at) = log.bytes.iter().position(|byte| *byte == b'\n')
    {
        log.left_out += at as u64 + 1;
        log.bytes.drain(..=at);
    }
    Ok(log)
}

fn end_of_stream(mut from: impl Read, end: u64, most: u64) -> io::Result<Log> {
    let (mut pieces, mut kept, mut left_out) = (VecDeque::<Vec<u8>>::new(), 0_u64, 0_u64);
    loop {
        let mut piece = Vec::with_capacity(PIECE);
        let length = from.by_ref().take(PIECE as u64).read_to_end(&mut piece)? as u64;
        if length == 0 {
            break;
        }
        kept += length;
        pieces.push_back(piece);
        if kept + left_out > most {
            return Err(io::Error::other(format!(
                "it goes on after {most} bytes: pass on its end, for instance with `tail --bytes 64M`"
            )));
        }
        while pieces.front().is_some_and(|first| kept - first.len() as u64 >= end) {
            let first = pieces.pop_front().map_or(0, |first| first.len() as u64);
            kept -= first;
            left_out += first;
        }
    }
    let mut bytes: Vec<u8> = pieces.into_iter().flatten().collect();
    let surplus = (bytes.len() as u64).saturating_sub(end);
    bytes.drain(..usize::try_from(surplus).unwrap_or(0));
    Ok(Log { bytes, left_out: left_out + surplus })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_log_the_end_is_read_from_the_beginning_of_a_line() {
        let text: String = (0..30_000).map(|line| format!("line {line}\n")).collect();
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("log");
        std::fs::write(&file, &text).unwrap();
        for end in [1, 7, 1_000, 100_000, 10_000_000] {
            let of_file = read(&file, end, STREAM).unwrap();
            assert!(of_file.bytes.len() as u64 <= end && text.as_bytes().ends_with(&of_file.bytes));
            assert_eq!(of_file.left_out, (text.len() - of_file.bytes.len()) as u64);
            assert!(of_file.bytes.is_empty() || of_file.bytes.starts_with(b"line "), "{end}");
            let streamed = end_of_stream(text.as_bytes(), end, STREAM).unwrap();
            assert!(streamed.bytes.ends_with(&of_file.bytes), "{end}");
            assert_eq!(streamed.left_out, (text.len() - streamed.bytes.len()) as u64);
        }
    }

    #[test]
    fn what_has_no_end_is_refused_with_a_remedy() {
        let said = read(Path::new("/dev/zero"), 1 << 10, 1 << 20).unwrap_err().to_string();
        assert!(said.contains("goes on after 1048576 bytes") && said.contains("tail --bytes"), "{said}");
        assert!(read(Path::new("/"), 1, 1).is_err(), "a directory");
    }
}
