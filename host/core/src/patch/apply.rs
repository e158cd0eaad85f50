//! Puts hunks into a text: each at exactly the line it names, or not at all. Nothing is searched for, and nothing is left
//! out because it almost fits.

use super::refusal::{Reason, Refusal, shown};
use super::unified::{Hunk, HunkLine, Sign};

/// What the lines of a text end with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LineEnds {
    /// No line of it ends.
    None,
    /// Line feeds alone.
    Lf,
    /// A carriage return before each line feed.
    CrLf,
    /// Both.
    Mixed,
}

impl LineEnds {
    pub(super) fn of(text: &str) -> Self {
        let feeds = text.bytes().filter(|byte| *byte == b'\n').count();
        match (text.matches("\r\n").count(), feeds) {
            (_, 0) => Self::None,
            (0, _) => Self::Lf,
            (returns, feeds) if returns == feeds => Self::CrLf,
            _ => Self::Mixed,
        }
    }

    /// Whether a text with these line ends may get lines with those.
    pub(super) const fn takes(self, other: Self) -> bool {
        match self {
            Self::None | Self::Mixed => true,
            Self::Lf => matches!(other, Self::None | Self::Lf),
            Self::CrLf => matches!(other, Self::None | Self::CrLf),
        }
    }
}

/// The text with these hunks in it, which are in order and do not overlap.
pub(super) fn apply(base: &str, hunks: &[Hunk<'_>]) -> Result<String, Refusal> {
    let lines: Vec<&str> = base.split_inclusive('\n').collect();
    let ends = LineEnds::of(base);
    let mut result = String::with_capacity(base.len());
    let mut taken = 0;
    for hunk in hunks {
        let refuse = |reason, what: String| Err(Refusal::new(reason, what).at(hunk.line));
        let (begin, count) = (hunk.old.before as usize, hunk.old.count as usize);
        if count == 0 && !lines.is_empty() {
            return refuse(Reason::NoContext, "no line of the file stands in the hunk".to_owned());
        }
        let (Some(skipped), Some(old)) = (lines.get(taken..begin), lines.get(begin..begin + count)) else {
            let what = format!("the hunk reaches line {}, and the file has {}", begin + count, lines.len());
            return refuse(Reason::Context, what);
        };
        push_all(&mut result, skipped.iter().copied(), hunk.line)?;
        let mut old = old.iter();
        for line in &hunk.lines {
            if line.sign != Sign::Added {
                // As many as were counted; none is missing.
                matches(line, old.next().copied().unwrap_or_default())?;
            }
            if line.sign != Sign::Removed {
                push(&mut result, line.text, line.line)?;
                if line.ended {
                    result.push('\n');
                }
            }
            let own = if line.text.ends_with('\r') { LineEnds::CrLf } else { LineEnds::Lf };
            if line.sign == Sign::Added && line.ended && !ends.takes(own) {
                let what = format!("it ends with {}, the lines of the file do not", end(line.text));
                return Err(Refusal::new(Reason::LineEndings, what).at(line.line));
            }
        }
        taken = begin + count;
    }
    let line = hunks.last().map_or(0, |hunk| hunk.line);
    push_all(&mut result, lines.get(taken..).unwrap_or_default().iter().copied(), line)?;
    Ok(result)
}

fn push_all<'l>(result: &mut String, lines: impl Iterator<Item = &'l str>, at: u32) -> Result<(), Refusal> {
    lines.into_iter().try_for_each(|line| push(result, line, at))
}

/// Nothing comes after a line that has no end.
fn push(result: &mut String, line: &str, at: u32) -> Result<(), Refusal> {
    if !result.is_empty() && !result.ends_with('\n') {
        let what = "a line comes after one that is marked as having no line end";
        return Err(Refusal::new(Reason::NoNewline, what).at(at));
    }
    result.push_str(line);
    Ok(())
}

/// Whether the file has exactly this line there; if not, in what it differs.
fn matches(line: &HunkLine<'_>, found: &str) -> Result<(), Refusal> {
    let (text, ended) = found.strip_suffix('\n').map_or((found, false), |text| (text, true));
    if text == line.text && ended == line.ended {
        return Ok(());
    }
    let refuse = |reason, what: String| Err(Refusal::new(reason, what).at(line.line));
    if text == line.text {
        let what = match ended {
            true => "it is marked as having no line end, and the line of the file has one",
            false => "the line of the file has no line end, and no marker says so",
        };
        return refuse(Reason::NoNewline, what.to_owned());
    }
    if text.trim_end_matches('\r') == line.text.trim_end_matches('\r') {
        let what = format!("it ends with {}, the line of the file with {}", end(line.text), end(text));
        return refuse(Reason::LineEndings, what);
    }
    refuse(Reason::Context, format!("the file has `{}` there, not `{}`", shown(text), shown(line.text)))
}

const fn end(text: &str) -> &'static str {
    match text.as_bytes() {
        [.., b'\r'] => "CRLF",
        _ => "LF",
    }
}
