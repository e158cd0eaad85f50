//! What a component last said: a bounded look at the end of its captured output. It is data, shown escaped, and is
//! never more than a few lines.

use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use razar_core::id::ComponentId;

/// Looked at from the end.
const TAIL: u64 = 4_096;

/// Lines kept: the end of a traceback says what went wrong.
const LINES: usize = 2;

/// Characters kept of a line.
const WIDTH: usize = 200;

/// Where the launcher keeps what a component prints.
pub(crate) fn output_file(state: &Path, component: &ComponentId) -> PathBuf {
    state.join("logs/services").join(format!("{component}.log"))
}

/// The last lines, joined; empty when there are none.
pub(crate) async fn last_words(state: &Path, component: &ComponentId) -> String {
    let file = output_file(state, component);
    tokio::task::spawn_blocking(move || tail(&file).unwrap_or_default()).await.unwrap_or_default()
}

fn tail(file: &Path) -> std::io::Result<String> {
    let mut file = std::fs::File::open(file)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    // Python underlines with carets; they say nothing without the line above.
    let says = |line: &&str| line.chars().any(char::is_alphanumeric);
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
        let words = tail(&file).unwrap();
        assert_eq!(words, "line 1999 |  [31mKeyError: 'x'");
    }
}
