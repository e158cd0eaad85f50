//! What stands before a diff. People and models explain; what could be read as a diff by somebody else is no explanation.

use super::header::extended;
use super::{Lines, begins_file, quote};
use crate::patch::refusal::{Reason, Refusal};

/// How lines of a diff begin, whichever program writes or reads it: unified, context, git, Subversion, Mercurial, ed.
const MARKS: &[&str] = &[
    "--- ",
    "+++ ",
    "@@",
    "*** ",
    "diff ",
    "index ",
    "Index:",
    "Prereq:",
    "Only in ",
    "Property changes on:",
    "=== ",
    "RCS file:",
    "retrieving revision",
    "# HG changeset",
];

/// Goes to the first line of the diff.
pub(super) fn skip(lines: &mut Lines<'_>) -> Result<(), Refusal> {
    while let Some(line) = lines.peek() {
        if begins_file(line) {
            return Ok(());
        }
        if let Some(reason) = extended(line, None) {
            return Err(lines.refuse(reason, format!("{} stands before any file", quote(line))));
        }
        // Patch programs look through indentation and through the marks of quoted mail.
        let bare = line.trim_start_matches([' ', '\t', '>', '|']);
        if MARKS.iter().any(|mark| bare.starts_with(mark)) || is_ed_command(bare) {
            let what = format!("{} stands before the diff and could be read as part of another", quote(line));
            return Err(lines.refuse(Reason::Prose, what));
        }
        lines.at += 1;
    }
    lines.at = 0;
    Err(Refusal::new(Reason::Malformed, "there is no diff in it: no line begins with `--- `"))
}

/// `3c3`, `12,14d11`, `7a`: commands of plain diffs and of `ed`.
fn is_ed_command(line: &str) -> bool {
    let after = numbers(line);
    let Some(rest) = after.and_then(|rest| rest.strip_prefix(['a', 'c', 'd'])) else { return false };
    rest.trim_end().is_empty() || numbers(rest).is_some_and(|rest| rest.trim_end().is_empty())
}

/// What follows `N` or `N,M`.
fn numbers(line: &str) -> Option<&str> {
    let digits = |text: &'_ str| text.bytes().take_while(u8::is_ascii_digit).count();
    let rest = line.get(digits(line)..).filter(|rest| rest.len() < line.len())?;
    match rest.strip_prefix(',') {
        Some(second) if digits(second) > 0 => second.get(digits(second)..),
        _ => Some(rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn explanations_pass_and_diffs_in_disguise_do_not() {
        let judged = |text: &str| {
            let text = format!("{text}\n--- a/x\n");
            let mut lines = Lines::new(&text);
            skip(&mut lines)
                .map(|()| lines.number())
                .map_err(|refusal| (refusal.code(), refusal.line().unwrap()))
        };
        for prose in [
            "Here is the fix:",
            "- a bullet",
            "+ another",
            "```diff",
            "",
            "3 changes",
            "7 apples",
            "*** emphasis".get(1..).unwrap(),
        ] {
            assert_eq!(judged(prose), Ok(2), "{prose:?}");
        }
        for hidden in [
            "+++ b/x",
            "  --- a/x",
            "> --- a/x",
            "@@ -1 +1 @@",
            "*** a/x",
            "diff -u a b",
            "Index: x",
            "3c3",
            "12,14d11",
            "7a",
            "index 1..2",
            "Only in a: x",
            "\t| +++ x",
        ] {
            assert_eq!(judged(&format!("words\n{hidden}")), Err(("prose", 2)), "{hidden:?}");
        }
        for (line, code) in [
            ("rename from a", "rename"),
            ("Binary files a and b differ", "binary"),
            ("new mode 100755", "mode"),
        ] {
            assert_eq!(judged(line), Err((code, 1)), "{line:?}");
        }
        let nothing = read_nothing("only words\n");
        assert_eq!((nothing.code(), nothing.line()), ("malformed", None));
    }

    fn read_nothing(text: &str) -> Refusal {
        skip(&mut Lines::new(text)).unwrap_err()
    }
}
