//! Takes secrets out of recordings, as out of prompts. A recording has one mark for all of them, so that a guest that is played
//! says the same, whatever number a mark would have had.

use std::collections::BTreeSet;

use razar_core::redact::{Kind, Redactor};
use razar_runtime::tape::recording::Came;
use serde_json::Value;

use super::calls::{Call, Calls, MAX_DOCUMENT};

/// What stands where a secret was.
const MARK: &str = "[redacted]";

/// Shorter values are no secrets; the redactor's own bound.
const SHORTEST: usize = 6;

/// Knows the secrets of one component's host.
pub(crate) struct Cleaner {
    redactor: Redactor,
    known: Vec<String>,
}

impl Cleaner {
    pub(crate) fn new(secrets: BTreeSet<String>) -> Self {
        let redactor = Redactor::new(&secrets);
        let mut known: Vec<String> = secrets.iter().map(|secret| secret.trim().to_owned()).collect();
        known.retain(|secret| secret.len() >= SHORTEST);
        known.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self { redactor, known }
    }

    /// A text without secrets.
    pub(crate) fn text(&mut self, came: Came<'_>, text: &str) -> String {
        let (from, kind) = match came {
            // Of this nothing but a digest is kept, and what has only the shape of a secret is in it as the guest was given it.
            Came::Said => {
                return self.known.iter().fold(text.to_owned(), |text, secret| text.replace(secret, MARK));
            }
            Came::Answer => ("an answer", Kind::Program),
            Came::File(path) => (path, Kind::of(path)),
        };
        let clean = self.redactor.redact(from, kind, text);
        if clean == text {
            return clean;
        }
        // Marks that were there before are what somebody was shown.
        let before: BTreeSet<&str> = marks(text).collect();
        let new: BTreeSet<&str> = marks(&clean).filter(|mark| !before.contains(mark)).collect();
        new.into_iter().fold(clean.clone(), |text, mark| text.replace(mark, MARK))
    }

    /// One call without secrets: what came in, and what it said.
    pub(crate) fn call(&mut self, call: &mut Call) {
        call.redacted = call.recording.redact(&mut |came, text| self.text(came, text));
        self.value(&mut call.end);
        // What it was asked may hold what it was told before.
        let asked = serde_json::to_value(&call.asked).ok().and_then(|before| {
            let mut clean = before.clone();
            self.value(&mut clean);
            (clean != before).then(|| serde_json::from_value(clean).ok())?
        });
        if let Some(asked) = asked {
            (call.asked, call.redacted) = (asked, true);
        }
    }

    /// All texts of a value.
    pub(crate) fn value(&mut self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.text(Came::Answer, text),
            Value::Array(values) => values.iter_mut().for_each(|value| self.value(value)),
            Value::Object(map) => map.values_mut().for_each(|value| self.value(value)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// The last look at a document before it is kept: none of what is known to be secret may be in it, in no spelling that JSON
    /// gives it.
    pub(crate) fn is_clean(&self, written: &[u8]) -> bool {
        let text = String::from_utf8_lossy(written);
        let spelled = |secret: &String| {
            let json = Value::String(secret.clone()).to_string();
            let inner = json.trim_matches('"');
            text.contains(secret.as_str()) || text.contains(inner) || text.contains(&hex(secret))
        };
        !self.known.iter().any(spelled)
    }

    /// The document as it is kept; none if a secret is left in it after all.
    pub(crate) fn written(&mut self, mut calls: Calls) -> Option<Vec<u8>> {
        calls.calls.iter_mut().for_each(|call| self.call(call));
        if let Some(trial) = &mut calls.trial
            && let Ok(mut value) = serde_json::to_value(&trial.evidence)
        {
            self.value(&mut value);
            trial.evidence = serde_json::from_value(value).ok()?;
        }
        let written = calls.write().ok()?;
        (written.len() <= MAX_DOCUMENT && self.is_clean(&written)).then_some(written)
    }
}

/// Bytes that are no text are kept as digits.
fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn marks(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices("[redacted-").filter_map(|(at, _)| {
        let rest = text.get(at..)?;
        rest.get(..=rest.find(']')?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_has_one_mark_and_marks_that_were_shown_stay() {
        let mut cleaner = Cleaner::new(["c4nary-key-0123456789".to_owned(), "short".to_owned()].into());
        let told = "x = '[redacted-1]'\ny = 'c4nary-key-0123456789'\n";
        assert_eq!(cleaner.text(Came::File("a.py"), told), "x = '[redacted-1]'\ny = '[redacted]'\n");
        assert_eq!(cleaner.text(Came::Answer, "a short word"), "a short word");
        assert_eq!(cleaner.text(Came::Said, "k=c4nary-key-0123456789"), "k=[redacted]");
        assert_eq!(cleaner.text(Came::Said, "password = 'x'"), "password = 'x'");
        assert!(!cleaner.is_clean(b"\"c4nary-key-0123456789\"") && cleaner.is_clean(b"\"short\""));
        assert!(!cleaner.is_clean(hex("c4nary-key-0123456789").as_bytes()));
    }
}
