//! What a component last said: a bounded look at the end of its captured output. It is data, shown escaped, and is
//! never more than a few lines.

use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use razar_core::grant::LogBegin;
use razar_core::id::ComponentId;

/// Looked at from the end.
const TAIL: u64 = 4_096;

/// Lines kept: the end of a traceback says what went wrong.
const LINES: usize = 2;

/// How lines begin that come after the one that says what went wrong: frames of JavaScript and Java, the versions and
/// the advice of runtimes.
const NOISE: [&str; 4] = ["at ", "Node.js v", "note: run with `RUST_BACKTRACE", "... "];

/// Characters kept of a line.
const WIDTH: usize = 200;

/// Where the launcher keeps what a component prints.
pub(crate) fn output_file(state: &Path, component: &ComponentId) -> PathBuf {
    state.join("logs/services").join(format!("{component}.log"))
}

/// The last lines of the instance whose part of the log begins there, joined; empty when it has said nothing.
pub(crate) async fn last_words(state: &Path, component: &ComponentId, begin: LogBegin) -> String {
    let file = output_file(state, component);
    tokio::task::spawn_blocking(move || tail(&file, begin).unwrap_or_default()).await.unwrap_or_default()
}

/// The same of any file.
pub(crate) fn tail(file: &Path, begin: LogBegin) -> std::io::Result<String> {
    let mut file = std::fs::File::open(file)?;
    let meta = file.metadata()?;
    let first = begin.within(meta.dev(), meta.ino(), meta.len());
    file.seek(SeekFrom::Start(meta.len().saturating_sub(TAIL).max(first)))?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    // Python underlines with carets; they say nothing without the line above. Nor do frames of a stack, nor advice.
    let says = |line: &&str| {
        line.chars().any(char::is_alphanumeric) && !NOISE.iter().any(|noise| line.starts_with(noise))
    };
    let mut lines: Vec<&str> = text.lines().map(str::trim).filter(says).collect();
    lines.drain(..lines.len().saturating_sub(LINES));
    let lines = lines.iter().map(|line| {
        line.chars().take(WIDTH).map(|c| if c.is_control() { ' ' } else { c }).collect::<String>()
    });
    Ok(lines.collect::<Vec<_>>().join(" | "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_lines_and_no_control_characters() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("x.log");
        let many: String = (0..2_000).map(|i| format!("line {i}\n")).collect();
        std::fs::write(&file, format!("{many}\n\u{1b}[31mKeyError: 'x'\n")).unwrap();
        let words = tail(&file, LogBegin::default()).unwrap();
        assert_eq!(words, "line 1999 |  [31mKeyError: 'x'");
    }

    #[test]
    fn only_what_this_instance_said_and_no_frames() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("x.log");
        std::fs::write(&file, "KeyError: 'an old one'\n").unwrap();
        let meta = std::fs::metadata(&file).unwrap();
        let begin = LogBegin { device: meta.dev(), inode: meta.ino(), offset: meta.len() };
        assert_eq!(tail(&file, begin).unwrap(), "");
        let said = "KeyError: 'an old one'\nError: no\n    at main (x.js:1:2)\n\nNode.js v20.1.0\n";
        std::fs::write(&file, said).unwrap();
        assert_eq!(tail(&file, begin).unwrap(), "Error: no");
    }
}
