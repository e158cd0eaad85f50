//! One hunk: its header, exactly as many lines as it announces, and the marker of a missing line end exactly where one can
//! be.

use super::{Hunk, HunkLine, Lines, Range, Sign, quote};
use crate::patch::refusal::{Reason, Refusal};

const NO_NEWLINE: &str = "\\ No newline at end of file";

/// Reads the hunk that begins here.
pub(super) fn hunk<'t>(lines: &mut Lines<'t>) -> Result<Hunk<'t>, Refusal> {
    let line = lines.number();
    let header = lines.next().unwrap_or_default();
    let refuse = |reason, what: String| Err(Refusal::new(reason, what).at(line));
    if header.ends_with('\r') {
        return refuse(Reason::LineEndings, "the diff's own lines end with CRLF".to_owned());
    }
    let Some((old, new)) = ranges(header) else {
        return refuse(Reason::HunkHeader, format!("{} is no header of a hunk", quote(header)));
    };
    let mut body =
        Body { lines: Vec::new(), old: old.count, new: new.count, old_over: false, new_over: false };
    while body.old > 0 || body.new > 0 {
        let number = lines.number();
        match lines.next() {
            Some(text) => body.take(text, number)?,
            None => {
                let left = format!("{} old and {} new lines are announced and missing", body.old, body.new);
                return refuse(Reason::HunkCounts, left);
            }
        }
    }
    if lines.peek().is_some_and(|line| line.starts_with('\\')) {
        let number = lines.number();
        body.take(lines.next().unwrap_or_default(), number)?;
    }
    if body.lines.iter().all(|line| line.sign == Sign::Context) {
        return refuse(Reason::NoChange, "the hunk adds nothing and removes nothing".to_owned());
    }
    Ok(Hunk { line, old, new, lines: body.lines })
}

/// Whether a hunk may follow these.
pub(super) fn follows<'h, 't: 'h>(
    before: impl DoubleEndedIterator<Item = &'h Hunk<'t>> + Clone,
    next: &Hunk<'_>,
) -> Result<(), Refusal> {
    let refuse = |reason, what: String| Err(Refusal::new(reason, what).at(next.line));
    if let Some(last) = before.clone().next_back() {
        if next.old.before < last.old.before + last.old.count {
            return refuse(Reason::HunkOrder, "the hunk begins before the one above it ends".to_owned());
        }
        if last.lines.iter().any(|line| !line.ended && line.sign != Sign::Added) {
            return refuse(Reason::NoNewline, "the hunk above it has reached the end of the file".to_owned());
        }
    }
    let moved: i64 = before.map(|hunk| i64::from(hunk.new.count) - i64::from(hunk.old.count)).sum();
    let expected = i64::from(next.old.before) + moved;
    if i64::from(next.new.before) != expected {
        let what = format!(
            "its new lines come after {} lines of the new file, and it says {}",
            expected, next.new.before
        );
        return refuse(Reason::HunkPosition, what);
    }
    Ok(())
}

struct Body<'t> {
    lines: Vec<HunkLine<'t>>,
    /// Lines that are announced and have not come.
    old: u32,
    new: u32,
    /// A line without an end has come: there can be none after it.
    old_over: bool,
    new_over: bool,
}

impl<'t> Body<'t> {
    fn take(&mut self, text: &'t str, line: u32) -> Result<(), Refusal> {
        let refuse = |reason, what: &str| Err(Refusal::new(reason, what).at(line));
        let (sign, text) = match text.as_bytes().first() {
            Some(b'\\') => return self.mark(text, line),
            // Some programs write an empty unchanged line without its space.
            None => (Sign::Context, text),
            Some(b' ') => (Sign::Context, text.get(1..).unwrap_or_default()),
            Some(b'-') => (Sign::Removed, text.get(1..).unwrap_or_default()),
            Some(b'+') => (Sign::Added, text.get(1..).unwrap_or_default()),
            Some(_) => {
                let what = format!("{} is no line of a hunk, and more are announced", quote(text));
                return refuse(Reason::HunkCounts, &what);
            }
        };
        let (old, new) = (sign != Sign::Added, sign != Sign::Removed);
        if old && self.old == 0 || new && self.new == 0 {
            return refuse(Reason::HunkCounts, "there are more such lines than the `@@` line announces");
        }
        if old && self.old_over || new && self.new_over {
            return refuse(Reason::NoNewline, "a line without a line end must be the last");
        }
        self.old -= u32::from(old);
        self.new -= u32::from(new);
        self.lines.push(HunkLine { line, sign, text, ended: true });
        Ok(())
    }

    /// The line above has no line end.
    fn mark(&mut self, text: &str, line: u32) -> Result<(), Refusal> {
        let refuse = |what: &str| Err(Refusal::new(Reason::NoNewline, what).at(line));
        if text != NO_NEWLINE {
            return refuse(&format!("{} is not `{NO_NEWLINE}`", quote(text)));
        }
        match self.lines.last_mut() {
            Some(last) if last.ended => {
                last.ended = false;
                self.old_over |= last.sign != Sign::Added;
                self.new_over |= last.sign != Sign::Removed;
                Ok(())
            }
            _ => refuse("the marker belongs to no line"),
        }
    }
}

/// `@@ -L,N +L,N @@`, with a section's name after it or nothing.
fn ranges(header: &str) -> Option<(Range, Range)> {
    let (ranges, section) = header.strip_prefix("@@ -")?.split_once(" @@")?;
    if !section.is_empty() && !section.starts_with(' ') {
        return None;
    }
    let (old, new) = ranges.split_once(" +")?;
    Some((range(old)?, range(new)?))
}

fn range(text: &str) -> Option<Range> {
    let (first, count) = match text.split_once(',') {
        Some((first, count)) => (decimal(first)?, decimal(count)?),
        None => (decimal(text)?, 1),
    };
    // Of no lines, the one before them is named; otherwise the first of them, and there is no line 0.
    let before = if count == 0 { first } else { first.checked_sub(1)? };
    Some(Range { before, count })
}

/// Digits and nothing else: no sign, no space, no number that could overflow a sum.
fn decimal(text: &str) -> Option<u32> {
    let plain = (1..=9).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_to_the_digit() {
        let range = |before, count| Range { before, count };
        for (header, expected) in [
            ("@@ -1,3 +1,4 @@", (range(0, 3), range(0, 4))),
            ("@@ -7 +7 @@ def f():", (range(6, 1), range(6, 1))),
            ("@@ -0,0 +1,2 @@", (range(0, 0), range(0, 2))),
            ("@@ -4 +3,0 @@", (range(3, 1), range(3, 0))),
        ] {
            assert_eq!(ranges(header), Some(expected), "{header}");
        }
        for bad in [
            "@@",
            "@@ -1,3 +1,4",
            "@@ -1,3 +1,4@@",
            "@@ -1,3  +1,4 @@",
            "@@ -0,3 +1,4 @@",
            "@@ -a +1 @@",
            "@@ -+1 +1 @@",
            "@@ -1,-3 +1 @@",
            "@@ -1,3 1,4 @@",
            "@@@ -1 -1 +1 @@@",
            "@@ -1, +1 @@",
            "@@ -9999999999 +1 @@",
            "@@ -1 +1 @@x",
            "@@ - 1 +1 @@",
        ] {
            assert_eq!(ranges(bad), None, "{bad}");
        }
    }
}
