//! One line in the host's log for a call that went wrong: who, which code, how it ended, what it was refused, what it
//! printed. The words are a guest's as often as not, so every part is escaped and bounded; and a plugin that goes wrong
//! all the time says so once a minute for each kind of end, with a count of the others. It never judges a plugin.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::broker::log::escaped;
use crate::guard::{self, Guard};
use crate::outcome::{CallReport, Outcome, PluginFailure};
use crate::plugin::Shared;

/// Bytes of the line's text, beside the plugin's name and digest.
pub const MAX_TEXT: usize = 1_024;

/// Bytes of any text a guest may have had its hand in, wherever an operator reads it.
pub(crate) const MAX_WORDS: usize = 400;

/// Refusals that are written out.
const SHOWN: usize = 3;

/// Between two lines about the same kind of end of the same plugin.
const PERIOD: Duration = Duration::from_secs(60);

/// What has been said about one plugin, by kind of end: the kinds are a closed list.
#[derive(Debug, Default)]
pub(crate) struct Incidents(Mutex<BTreeMap<&'static str, Told>>);

#[derive(Debug)]
struct Told {
    at: Instant,
    unsaid: u64,
}

impl Incidents {
    /// Whether a line is due now, and how many calls of this kind went without one.
    fn due(&self, kind: &'static str, now: Instant) -> Option<u64> {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match told.get_mut(kind) {
            Some(told) if now.saturating_duration_since(told.at) < PERIOD => {
                told.unsaid = told.unsaid.saturating_add(1);
                None
            }
            Some(told) => {
                told.at = now;
                Some(std::mem::take(&mut told.unsaid))
            }
            None => {
                told.insert(kind, Told { at: now, unsaid: 0 });
                Some(0)
            }
        }
    }
}

/// Writes the line, if there is something to write and it is due.
pub(crate) fn tell<T>(plugin: &Shared, report: &CallReport<T>) {
    let Some(kind) = kind(report) else { return };
    let Some(unsaid) = plugin.incidents.due(kind, Instant::now()) else { return };
    let digest = plugin.digest.hex().chars().take(12).collect::<String>();
    let text = text(report);
    tracing::warn!(plugin = %plugin.id, digest, outcome = kind, unsaid, "{text}");
}

/// What kind of end it was. Nothing when all is well, and when the host itself is closing.
fn kind<T>(report: &CallReport<T>) -> Option<&'static str> {
    match &report.outcome {
        Outcome::Failed(PluginFailure::Cancelled) => None,
        Outcome::Failed(failure) => Some(failure.as_str()),
        Outcome::Reply(_) | Outcome::Refused(_) if report.record.refusals > 0 => Some("refused"),
        Outcome::Reply(_) | Outcome::Refused(_) if report.log.dropped > 0 => Some("flood"),
        Outcome::Reply(_) | Outcome::Refused(_) => None,
    }
}

/// How it ended, what it was refused, what it printed.
fn text<T>(report: &CallReport<T>) -> String {
    let mut parts = Vec::new();
    if let Outcome::Failed(failure) = &report.outcome {
        parts.push(words(&failure.to_string()));
    }
    let record = &report.record;
    if record.refusals > 0 {
        let shown = record.refused.iter().take(SHOWN).map(ToString::to_string).collect::<Vec<_>>().join(", ");
        parts.push(format!("refused {} times: {}", record.refusals, cut(&escaped(shown.as_bytes()), 300)));
    }
    if !report.log.is_empty() {
        // Escaped when it was kept.
        parts.push(format!("printed: {}", cut(&report.log.to_string(), 240)));
    }
    cut(&parts.join("; "), MAX_TEXT)
}

/// A text that a guest may have had its hand in, as part of a line that an operator reads.
pub(crate) fn words(text: &str) -> String {
    cut(&visible(text), MAX_WORDS)
}

/// Without what ends a line or moves a cursor; backslashes stay, because these are messages and not data.
fn visible(text: &str) -> String {
    text.split('\\').map(|part| escaped(part.as_bytes())).collect::<Vec<_>>().join("\\")
}

/// At most so many bytes, the end marked when there was more.
fn cut(text: &str, most: usize) -> String {
    if text.len() <= most || !guard::on(Guard::Bound) {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(most.saturating_sub('…'.len_utf8()));
    format!("{}…", text.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_kind_of_end_is_said_once_a_minute_with_a_count() {
        let (incidents, start) = (Incidents::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        for (kind, seconds, due) in [
            ("trap", 0, Some(0)),
            ("trap", 1, None),
            ("trap", 59, None),
            ("deadline", 59, Some(0)),
            ("trap", 60, Some(2)),
            ("trap", 61, None),
            ("trap", 600, Some(1)),
        ] {
            assert_eq!(incidents.due(kind, at(seconds)), due, "{kind} at {seconds} s");
        }
    }

    #[test]
    fn words_are_one_bounded_line() {
        assert_eq!(words("plain `\\x` words"), "plain `\\x` words");
        assert_eq!(words("a\r\n\u{1b}[2Jb\u{202e}"), "a\\r\\n\\u{1b}[2Jb\\u{202e}");
        for text in ["ä".repeat(10_000), "\n".repeat(10_000), "x".repeat(MAX_WORDS + 1)] {
            let words = words(&text);
            assert!(words.len() <= MAX_WORDS && words.ends_with('…'), "{}", words.len());
            assert!(!words.chars().any(char::is_control));
        }
        assert_eq!(words(&"x".repeat(MAX_WORDS)), "x".repeat(MAX_WORDS));
    }
}
