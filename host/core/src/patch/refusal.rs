//! Why a proposal is not taken: closed, each reason with a stable code. A refusal is an answer for whoever proposed and a
//! line for the operator; it repeats only a little of what was proposed, and that made visible.

use std::fmt;

use super::protect::Protected;
use crate::grant::visible;

/// At most so many characters of a foreign text are repeated.
const SHOWN: usize = 120;

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident, $code:literal, $remedy:literal;)*) => {
        /// Why: the first thing found wrong, in the order of evaluation that [`crate::patch`] gives.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason {
            $($(#[$doc])* $name,)*
            /// The path is nobody's to change by a proposal.
            Protected(Protected),
        }

        impl Reason {
            /// Every reason there is.
            pub fn all() -> impl Iterator<Item = Self> {
                [$(Self::$name,)*].into_iter().chain(Protected::ALL.into_iter().map(Self::Protected))
            }

            /// The word in logs, labels and scripts; it never changes.
            pub const fn code(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)*
                    Self::Protected(what) => what.code(),
                }
            }

            /// What to do about it.
            pub const fn remedy(self) -> &'static str {
                match self {
                    $(Self::$name => $remedy,)*
                    Self::Protected(what) => what.remedy(),
                }
            }
        }
    };
}

reasons! {
    // The text of the proposal.
    /// Beyond a limit on proposals.
    TooLarge, "too-large", "propose the smallest change that repairs the component";
    /// The diff is not UTF-8 text.
    NotUtf8, "not-utf8", "write the diff as UTF-8 text";
    /// There is nothing in it.
    Empty, "empty", "propose at least one change";
    /// It has text before the diff that a patch program could take for a diff.
    Prose, "prose", "begin with the line `--- a/FILE`, or with `diff --git`";
    /// A line that has no place in a unified diff.
    Malformed, "malformed", "write a unified diff of `---`, `+++` and `@@` lines, and nothing after it";
    /// It moves a file.
    Rename, "rename", "change files in place; a repair does not move them";
    /// It copies a file.
    Copy, "copy", "write the new file as an addition";
    /// It changes the mode of a file.
    Mode, "mode", "change contents only";
    /// It makes a file that can be run.
    Executable, "executable", "new files have the mode 100644";
    /// It makes or changes a symbolic link.
    SymbolicLink, "symlink", "change regular files only";
    /// It makes or changes a submodule.
    Submodule, "submodule", "change regular files only";
    /// It carries bytes that are no text.
    Binary, "binary", "change text files only";
    /// It has changes of files and no hunk.
    NoHunks, "no-hunks", "write the changed lines as `@@` hunks";
    /// The `@@` line cannot be read.
    HunkHeader, "hunk-header", "write `@@ -LINE,COUNT +LINE,COUNT @@`";
    /// The `@@` line announces other numbers of lines than follow.
    HunkCounts, "hunk-counts", "let the numbers of the `@@` line be those of the lines below it";
    /// Hunks are out of order or overlap.
    HunkOrder, "hunk-order", "write the hunks in the order of the file, each line in one of them";
    /// The line in the new file is not where the hunks before it put it.
    HunkPosition, "hunk-position", "let the second position be the first plus what earlier hunks add and remove";
    /// Nothing of the file as it is stands in the hunk, so nothing shows that it belongs there.
    NoContext, "no-context", "write at least one unchanged or removed line into every hunk";
    /// It has no effect.
    NoChange, "no-change", "leave out what changes nothing";
    /// The marker of a missing line end is misplaced, or missing.
    NoNewline, "no-newline", "put `\\ No newline at end of file` below the last line of the file, where it has no line end";
    /// Two headers name different files.
    HeaderMismatch, "header-mismatch", "name one file in all headers of its change";
    /// `/dev/null` where it means nothing.
    DevNull, "dev-null", "write `--- /dev/null` for a new file, `+++ /dev/null` for a deleted one";
    /// Two readers of diffs do not read the same in it.
    Disputed, "disputed", "write the diff as `git diff` does";
    // Its paths.
    /// From the root.
    AbsolutePath, "absolute-path", "write paths relative to the component's directory";
    /// Up.
    ParentPath, "parent-path", "write paths below the component's directory, without `..`";
    /// In quotes.
    QuotedPath, "quoted-path", "write the path plainly; files whose names need quotes cannot be changed";
    /// With something in it that some file system takes for something else.
    UnsafePath, "unsafe-path", "use plain ASCII names without `:`, `*`, `?`, `<`, `>`, `|`, `\\` and quotes";
    /// The prefix `a/` or `b/` is also a directory of the component.
    AmbiguousPath, "ambiguous-path", "propose the whole file instead of a diff";
    /// A file is changed twice.
    DuplicateFile, "duplicate-file", "put all changes of a file into one";
    /// Differs from another path in case only.
    CaseCollision, "case-collision", "use the spelling the file has";
    /// Not below what may be patched.
    Outside, "outside", "change files below the component's `patch.roots` only";
    /// Nothing of the component may be patched.
    NotPatchable, "not-patchable", "name what may be patched: `\"patch\": { \"roots\": [\"src\"] }`";
    // What lies there.
    /// On the way there is a symbolic link, or it is one.
    ThroughLink, "through-symlink", "change the file where it really is, if that is inside the component";
    /// There is something else than a file, or a file where a directory would have to be.
    NotAFile, "not-a-file", "change regular files only";
    /// It needs a directory that is not there.
    NewDirectory, "new-directory", "put new files into directories that exist";
    /// It is not there.
    MissingFile, "missing-file", "name a file of the component; a new one comes from `/dev/null`";
    /// It is there already.
    AlreadyExists, "already-exists", "write the change against the file as it is";
    /// Not what it was when the proposal was thought out.
    Stale, "stale", "read the files again and propose anew";
    /// The target is no text.
    BinaryTarget, "binary-target", "only text files can be patched";
    /// The target, or what it would become, is not UTF-8.
    Encoding, "encoding", "only UTF-8 files can be patched";
    /// The lines of the hunk are not the lines of the file at that place.
    Context, "context", "read the file again; a hunk applies at exactly the line it names, or not at all";
    /// The line ends are not those of the file.
    LineEndings, "line-endings", "keep the line ends that the file has";
    // What it would become.
    /// Control characters, or characters without width that hide what is read.
    HiddenCharacters, "hidden-characters", "write such characters as escapes";
    /// A file grows beyond what a source file is.
    FileTooLarge, "file-too-large", "keep data out of sources";
    /// It deletes a file.
    DeletesFile, "deletes-file", "an operator allows it with `\"patch\": { \"deletions\": true }`";
    /// It leaves nothing of a file.
    EmptiesFile, "empties-file", "an operator allows it with `\"patch\": { \"deletions\": true }`";
    /// Fewer tests than before.
    RemovesTests, "removes-tests", "repair the component; its tests stay as they are";
    /// Tests that would not be run any more.
    SkipsTests, "skips-tests", "repair the component; its tests are all run";
    /// Code that would reach for whatever runs the tests.
    SteersTests, "steers-tests", "keep test runners out of the component's own code";
    /// A new module that would be loaded instead of one of the language's own.
    ShadowsModule, "shadows-module", "give the module a name that the language's library does not have";
    /// The result differs from what the proposal says it changes.
    Unannounced, "unannounced", "this is a fault of the host; report it with the proposal";
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// One proposal that is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    reason: Reason,
    file: Option<String>,
    line: Option<u32>,
    what: String,
}

impl Refusal {
    pub(super) fn new(reason: Reason, what: impl Into<String>) -> Self {
        Self { reason, file: None, line: None, what: what.into() }
    }

    pub(super) fn of(mut self, file: &str) -> Self {
        self.file = Some(shown(file));
        self
    }

    pub(super) fn at(mut self, line: u32) -> Self {
        self.line = Some(line);
        self
    }

    pub(super) fn at_some(mut self, line: Option<u32>) -> Self {
        self.line = self.line.or(line);
        self
    }

    /// Why.
    pub const fn reason(&self) -> Reason {
        self.reason
    }

    /// The stable word for it.
    pub const fn code(&self) -> &'static str {
        self.reason.code()
    }

    /// The file it is about, as the proposal named it: bounded and visible.
    pub fn file(&self) -> Option<&str> {
        self.file.as_deref()
    }

    /// The line of the diff, counted from 1.
    pub const fn line(&self) -> Option<u32> {
        self.line
    }

    /// What is wrong: lower case, no full stop.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// What to do about it.
    pub const fn remedy(&self) -> &'static str {
        self.reason.remedy()
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{file}: ")?;
        }
        if let Some(line) = self.line {
            write!(f, "line {line} of the diff: ")?;
        }
        write!(f, "{} ({})", self.what, self.code())
    }
}

impl std::error::Error for Refusal {}

/// A piece of a foreign text: bounded, on one line, without anything that could draw on a terminal.
pub(super) fn shown(text: &str) -> String {
    let seen = visible(&text.chars().take(SHOWN + 1).collect::<String>());
    match seen.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", seen.get(..end).unwrap_or_default()),
        None => seen,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_reason_has_a_code_of_its_own_and_a_remedy() {
        let mut seen = BTreeSet::new();
        for reason in Reason::all() {
            let code = reason.code();
            assert!(code.bytes().all(|b| b.is_ascii_lowercase() || b == b'-' || b == b'8'), "{code}");
            assert!(seen.insert(code), "{code} twice");
            assert!(!reason.remedy().is_empty() && !reason.remedy().ends_with('.'), "{code}");
        }
        assert!(seen.len() > 50, "{seen:?}");
    }

    #[test]
    fn a_refusal_repeats_little_and_draws_nothing() {
        let refusal = Refusal::new(Reason::UnsafePath, format!("`{}`", shown("a\u{1b}[2J\u{202e}")))
            .of(&"x".repeat(9_999));
        let said = refusal.to_string();
        assert!(said.len() < 500 && !said.chars().any(crate::grant::is_deceptive), "{said:?}");
        assert!(said.ends_with("(unsafe-path)"));
    }

    #[test]
    fn what_is_written_longer_than_it_is_counts_as_it_is_written() {
        let odd = "\u{1e}".repeat(9_999);
        assert_eq!(shown(&odd).chars().count(), SHOWN + 1);
        assert_eq!(shown("abc"), "abc");
        assert_eq!(shown(&"é".repeat(SHOWN)), "é".repeat(SHOWN));
    }
}
