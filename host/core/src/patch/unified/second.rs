//! The second opinion: a well-kept library reads the same lines, and must find the same hunks in them. It only compares;
//! the library's own way of applying looks for a hunk's place when it is not where it says, and is not used.

use diffy::{Line, Patch};

use super::{FileDiff, Lines, Range, Sign, number};
use crate::patch::refusal::{Reason, Refusal};

/// Compares what was read between `begun` and here.
pub(super) fn agrees(lines: &Lines<'_>, begun: usize, file: &FileDiff<'_>) -> Result<(), Refusal> {
    let read = lines.lines.get(begun..lines.at).unwrap_or_default();
    let mut text = read.join("\n");
    text.push('\n');
    let same = Patch::from_str(&text).is_ok_and(|patch| same(&patch, file));
    if same {
        return Ok(());
    }
    let what = "another reader of diffs finds something else in it";
    Err(Refusal::new(Reason::Disputed, what).of(file.path.as_str()).at(number(begun)))
}

fn same(patch: &Patch<'_, str>, file: &FileDiff<'_>) -> bool {
    let names = [patch.original(), patch.modified()].into_iter().flatten();
    let mut names = names.filter(|name| *name != "/dev/null");
    let path = file.path.as_str();
    let is_path = |name: &str| {
        name == path || name.strip_prefix("a/") == Some(path) || name.strip_prefix("b/") == Some(path)
    };
    names.all(is_path)
        && patch.hunks().len() == file.hunks.len()
        && patch.hunks().iter().zip(&file.hunks).all(|(theirs, ours)| {
            range(theirs.old_range().start(), theirs.old_range().len()) == Some(ours.old)
                && range(theirs.new_range().start(), theirs.new_range().len()) == Some(ours.new)
                && theirs.lines().len() == ours.lines.len()
                && theirs.lines().iter().zip(&ours.lines).all(|(theirs, ours)| {
                    let (sign, text) = match theirs {
                        Line::Context(text) => (Sign::Context, *text),
                        Line::Delete(text) => (Sign::Removed, *text),
                        Line::Insert(text) => (Sign::Added, *text),
                    };
                    let ended = text.strip_suffix('\n');
                    sign == ours.sign && ended.is_some() == ours.ended && ended.unwrap_or(text) == ours.text
                })
        })
}

fn range(first: usize, count: usize) -> Option<Range> {
    let (first, count) = (u32::try_from(first).ok()?, u32::try_from(count).ok()?);
    let before = if count == 0 { first } else { first.checked_sub(1)? };
    Some(Range { before, count })
}
