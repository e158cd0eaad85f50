//! A unified diff, read strictly: what it says is read once here and once by a well-kept library, and both must agree. It
//! looks at no file and repairs nothing.
//!
//! ```text
//! patch  := prose* file+ blank*
//! file   := git? "--- " name "+++ " name hunk+
//! git    := "diff --git a/P b/P" ("new file mode 100644" | "deleted file mode 100644")? ("index H..H" mode?)?
//! hunk   := "@@ -L,N +L,N @@" (" " context | "-" removed | "+" added | "\ No newline at end of file")*
//! ```
//!
//! Prose is what stands before the first line that begins with `--- ` or `diff --git `; a line of it that a patch program
//! could take for a line of a diff is refused (`prose.rs` has the list). After the first file there is no prose.

mod header;
mod hunk;
mod prose;
mod second;

use super::path::FilePath;
use super::refusal::{Reason, Refusal, shown};

/// What a file's headers say of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Create,
    Modify,
    Delete,
}

/// The changes of one file.
#[derive(Debug)]
pub(super) struct FileDiff<'t> {
    pub(super) path: FilePath,
    pub(super) kind: Kind,
    /// The prefix that was taken off where the other side is `/dev/null`, so that nothing else shows that it is one.
    pub(super) stripped: Option<&'static str>,
    /// Of the line `--- `.
    pub(super) line: u32,
    pub(super) hunks: Vec<Hunk<'t>>,
}

/// Lines that are changed, and lines around them.
#[derive(Debug)]
pub(super) struct Hunk<'t> {
    /// Of its header.
    pub(super) line: u32,
    pub(super) old: Range,
    pub(super) new: Range,
    pub(super) lines: Vec<HunkLine<'t>>,
}

/// Lines of a file: how many come before them, and how many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) before: u32,
    pub(super) count: u32,
}

/// What a line of a hunk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    Context,
    Removed,
    Added,
}

/// One line of a hunk.
#[derive(Debug)]
pub(super) struct HunkLine<'t> {
    /// Its own number in the diff.
    pub(super) line: u32,
    pub(super) sign: Sign,
    /// Without its line feed.
    pub(super) text: &'t str,
    /// Whether the line in the file ends with a line feed.
    pub(super) ended: bool,
}

/// Most files one proposal changes: a repair is small.
pub(super) const MAX_FILES: usize = 32;
/// Most hunks of one diff.
const MAX_HUNKS: usize = 512;

/// Reads a diff.
pub(super) fn read(text: &str) -> Result<Vec<FileDiff<'_>>, Refusal> {
    if text.trim().is_empty() {
        return Err(Refusal::new(Reason::Empty, "the diff is empty"));
    }
    let mut lines = Lines::new(text);
    prose::skip(&mut lines)?;
    let (mut files, mut hunks) = (Vec::new(), 0);
    while !lines.at_end() {
        let begun = lines.at;
        let file = header::file(&mut lines)?;
        second::agrees(&lines, begun, &file)?;
        hunks += file.hunks.len();
        if files.len() == MAX_FILES {
            return Err(Refusal::new(Reason::TooLarge, format!("it changes more than {MAX_FILES} files")));
        }
        if hunks > MAX_HUNKS {
            return Err(Refusal::new(Reason::TooLarge, format!("it has more than {MAX_HUNKS} hunks")));
        }
        files.push(file);
    }
    Ok(files)
}

/// The lines of a diff, and the one that is read next.
struct Lines<'t> {
    lines: Vec<&'t str>,
    at: usize,
}

impl<'t> Lines<'t> {
    fn new(text: &'t str) -> Self {
        // A last line without a line feed is a line: whoever quotes a diff may have cut that off.
        Self { lines: text.strip_suffix('\n').unwrap_or(text).split('\n').collect(), at: 0 }
    }

    /// Nothing is left, or nothing but empty lines.
    fn at_end(&self) -> bool {
        self.lines.iter().skip(self.at).all(|line| line.is_empty())
    }

    fn peek(&self) -> Option<&'t str> {
        self.lines.get(self.at).copied()
    }

    fn next(&mut self) -> Option<&'t str> {
        let line = self.peek()?;
        self.at += 1;
        Some(line)
    }

    /// The number of the line that is read next.
    fn number(&self) -> u32 {
        number(self.at)
    }

    fn refuse(&self, reason: Reason, what: impl Into<String>) -> Refusal {
        Refusal::new(reason, what).at(self.number())
    }
}

/// Diffs are bounded far below the largest number.
fn number(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX).saturating_add(1)
}

/// Whether a file's change begins here.
fn begins_file(line: &str) -> bool {
    line.starts_with("--- ") || line.starts_with("diff --git ")
}

/// A line of the diff in backticks.
fn quote(line: &str) -> String {
    format!("`{}`", shown(line))
}
