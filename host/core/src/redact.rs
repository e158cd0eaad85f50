//! Takes secrets out of text before it leaves the host, and puts them back into what comes back. Pure: it knows the secrets it
//! is told, and shapes of others from one table. It never decides who may see a text.
//!
//! A secret becomes a mark, `[redacted-3]`, and every line stays a line, so that line numbers stay true. A mark that is written
//! into the very file it was taken from becomes the secret again; anywhere else it is refused: a model cannot move a
//! secret that it has never seen.

mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
/// Values shorter than this are no known secret: taking them out would take out ordinary words.
const SHORTEST: usize = 6;

/// What sort of text it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A log, a message, a configuration: what follows `password=` is a password.
    Words,
    /// A program: what follows `password =` is an expression, and only text in quotes is a password.
    Program,
}

impl Kind {
    /// Of a file, by the ending of its name.
    pub fn of(path: &str) -> Self {
        let name = path.rsplit('/').next().unwrap_or(path);
        let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending).to_ascii_lowercase();
        if PROGRAMS.contains(&ending.as_str()) { Self::Program } else { Self::Words }
    }
}

/// Endings of programs.
const PROGRAMS: [&str; 38] = [
    "py", "pyi", "rs", "js", "mjs", "cjs", "jsx", "ts", "tsx", "go", "java", "kt", "scala", "rb", "php",
    "pl", "c", "h", "cc", "cpp", "hpp", "cs", "swift", "m", "lua", "r", "jl", "ex", "exs", "erl", "clj",
    "hs", "ml", "vue", "svelte", "sql", "sh", "html",
];

/// Whether a variable of this name holds a secret: `DB_PASSWORD`, `KIMI2_API_KEY`, `authToken`.
pub fn is_secret_name(name: &str) -> bool {
    table::NAME.as_ref().is_some_and(|pattern| pattern.is_match(name))
}

/// Takes secrets out of the texts of one errand, and remembers which mark stands for what.
#[derive(Default)]
pub struct Redactor {
    /// Each in every spelling, the longest first.
    known: Vec<String>,
    /// By number; what each stands for, and the text it was taken from.
    marks: BTreeMap<usize, (String, String)>,
    /// Numbers that a text had before anything was taken out of it.
    native: BTreeMap<String, BTreeSet<usize>>,
}

/// Says how much was taken out, never what.
impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redactor")
            .field("known", &self.known.len())
            .field("marks", &self.marks.len())
            .finish()
    }
}

/// A mark that stands for nothing in the text it is in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`[redacted-{0}]` stands for a secret of another file, or for none")]
pub struct StrayMark(pub usize);

/// What opens and closes a mark.
const MARK: (&str, &str) = ("[redacted-", "]");

impl Redactor {
    /// Knows these secrets besides the shapes of the table.
    pub fn new<S: AsRef<str>>(secrets: impl IntoIterator<Item = S>) -> Self {
        let mut known = BTreeSet::new();
        for secret in secrets {
            let secret = secret.as_ref().trim();
            if secret.len() >= SHORTEST {
                known.extend(table::spellings(secret));
            }
            // A key file has many lines, and each of them is a part of it.
            let lines = secret.lines().map(str::trim).filter(|line| line.len() >= 16);
            known.extend(
                lines.filter(|line| *line != secret && !line.starts_with("-----")).map(str::to_owned),
            );
        }
        let mut known: Vec<String> = known.into_iter().collect();
        known.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self { known, ..Self::default() }
    }

    /// `text` without secrets. `from` is the path of the file it is, or a word for what else it is.
    pub fn redact(&mut self, from: &str, kind: Kind, text: &str) -> String {
        let native: BTreeSet<usize> = marks(text).map(|(_, number)| number).collect();
        let mut clean = String::with_capacity(text.len());
        let mut at = 0;
        let mut given: BTreeMap<&str, usize> = BTreeMap::new();
        for span in self.spans(kind, text) {
            let Some(secret) = text.get(span.clone()) else { continue };
            let number = match given.get(secret) {
                Some(number) => *number,
                None => {
                    let next = self.marks.last_key_value().map_or(1, |(last, _)| last + 1);
                    // A number that the text has of its own would stand for two things.
                    let number = (next..).find(|number| !native.contains(number)).unwrap_or(next);
                    self.marks.insert(number, (from.to_owned(), secret.to_owned()));
                    given.insert(secret, number);
                    number
                }
            };
            clean.push_str(text.get(at..span.start).unwrap_or_default());
            clean.push_str(&format!("[redacted-{number}]"));
            at = span.end;
        }
        clean.push_str(text.get(at..).unwrap_or_default());
        self.native.entry(from.to_owned()).or_default().extend(native);
        clean
    }

    /// `text` with the secrets of these files where their marks are: what a change to them says.
    pub fn restore(&self, files: &[&str], text: &str) -> Result<String, StrayMark> {
        let mut whole = String::with_capacity(text.len());
        let mut at = 0;
        for (mark, number) in marks(text) {
            whole.push_str(text.get(at..mark.start).unwrap_or_default());
            at = mark.end;
            match self.marks.get(&number) {
                Some((from, secret)) if files.contains(&from.as_str()) => whole.push_str(secret),
                _ if files
                    .iter()
                    .any(|file| self.native.get(*file).is_some_and(|own| own.contains(&number))) =>
                {
                    whole.push_str(text.get(mark).unwrap_or_default());
                }
                _ => return Err(StrayMark(number)),
            }
        }
        whole.push_str(text.get(at..).unwrap_or_default());
        Ok(whole)
    }

    /// How many secrets were taken out.
    pub fn count(&self) -> usize {
        self.marks.len()
    }

    /// Where secrets are, in order, each within one line, none touching another.
    fn spans(&self, kind: Kind, text: &str) -> Vec<Range<usize>> {
        let mut found: Vec<Range<usize>> = Vec::new();
        for secret in &self.known {
            found.extend(text.match_indices(secret.as_str()).map(|(at, _)| at..at + secret.len()));
        }
        for row in table::ROWS.iter().filter(|row| row.holds_in(kind)) {
            found.extend(row.find(text));
        }
        found.sort_by_key(|span| (span.start, std::cmp::Reverse(span.end)));
        let mut apart: Vec<Range<usize>> = Vec::new();
        for span in found {
            match apart.last_mut() {
                Some(last) if span.start <= last.end => last.end = last.end.max(span.end),
                _ => apart.push(span),
            }
        }
        apart.into_iter().flat_map(|span| by_line(text, span)).collect()
    }
}

/// Every mark in a text: where it is, and its number.
fn marks(text: &str) -> impl Iterator<Item = (Range<usize>, usize)> + '_ {
    let (opens, closes) = MARK;
    text.match_indices(opens).filter_map(move |(at, _)| {
        let rest = text.get(at + opens.len()..)?;
        let digits = rest.get(..rest.find(closes)?)?;
        let plain = !digits.is_empty() && digits.len() <= 9 && digits.bytes().all(|b| b.is_ascii_digit());
        let end = at + opens.len() + digits.len() + closes.len();
        // `[redacted-07]` is nobody's mark.
        let number =
            digits.parse().ok().filter(|_| plain && !(digits.len() > 1 && digits.starts_with('0')))?;
        Some((at..end, number))
    })
}

/// The parts of a span on each of its lines, without blank ends.
fn by_line(text: &str, span: Range<usize>) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let mut at = span.start;
    for line in text.get(span).unwrap_or_default().split_inclusive('\n') {
        let inner = line.trim();
        let begin = at + (line.len() - line.trim_start().len());
        if !inner.is_empty() {
            parts.push(begin..begin + inner.len());
        }
        at += line.len();
    }
    parts
}

#[cfg(test)]
mod tests;
