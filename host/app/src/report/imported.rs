//! Records of the original system as lines of the timeline: in the words and at the moment they have themselves. They
//! were written by another program, so nothing in them is more than text.

use razar_core::fact::{Fact, Recorded};
use serde_json::Value;

use super::words::{Event, SYSTEM};

/// Words of a line; longer ones say nothing an operator could take in at once.
const MAX_WORD: usize = 64;

/// Keys under which the original puts what happened, how it went and why.
const EVENT: [&str; 3] = ["event", "step", "action"];
const STATUS: [&str; 2] = ["status", "outcome"];
const DETAILS: [&str; 6] = ["details", "error", "reason", "message", "acknowledgement", "diff"];

/// The line about a record, if the fact is one.
pub(super) fn event(recorded: &Recorded) -> Option<Event> {
    let Fact::Imported { source, record, text, when, component, .. } = &recorded.fact else { return None };
    let value: Value = serde_json::from_str(text).unwrap_or_default();
    let word = |keys: &[&str]| {
        let found = keys.iter().find_map(|key| value.get(key)?.as_str());
        found.map(|word| word.chars().take(MAX_WORD).collect::<String>())
    };
    let said = match DETAILS.iter().find_map(|key| value.get(key)?.as_str()) {
        Some(details) => details,
        // No JSON: the line itself says it.
        None if value.is_null() => text,
        None => "",
    };
    let place = format!("from {source}, record {record}");
    let details = if said.is_empty() { place } else { format!("{said} ({place})") };
    Some(Event {
        seq: recorded.seq,
        at: when.unwrap_or(recorded.at).0,
        event: word(&EVENT).unwrap_or_else(|| "imported".to_owned()),
        component: component.as_ref().map_or_else(|| SYSTEM.to_owned(), ToString::to_string),
        status: word(&STATUS).unwrap_or_else(|| "imported".to_owned()),
        details: Some(details),
    })
}

#[cfg(test)]
mod tests {
    use razar_core::id::Digest;
    use razar_core::time::Timestamp;

    use super::*;

    #[test]
    fn a_record_is_told_in_its_own_words_at_its_own_moment() {
        let told = |text: &str, when: Option<u64>, component: Option<&str>| {
            let fact = Fact::Imported {
                source: "logs/razar.log".to_owned(),
                record: 7,
                digest: Digest::of(text.as_bytes()),
                text: text.to_owned(),
                when: when.map(Timestamp),
                component: component.map(|name| name.parse().unwrap()),
                repair: None,
            };
            event(&Recorded { seq: 3, at: Timestamp(2_000), fact }).unwrap().line()
        };
        assert_eq!(
            told(r#"{"event": "error", "status": "fail", "details": "a\nb"}"#, Some(1_000), Some("web")),
            "1970-01-01T00:00:01.000+00:00 error web: fail - a\\nb (from logs/razar.log, record 7)"
        );
        assert_eq!(
            told("INFO Launching \u{1b}[2J", None, None),
            "1970-01-01T00:00:02.000+00:00 imported system: imported - INFO Launching \\u{1b}[2J (from logs/razar.log, record 7)"
        );
        assert_eq!(
            told(r#"{"name": "x"}"#, None, None),
            "1970-01-01T00:00:02.000+00:00 imported system: imported - from logs/razar.log, record 7"
        );
        let fact = Fact::Reinstated { component: "web".parse().unwrap() };
        assert_eq!(event(&Recorded { seq: 1, at: Timestamp(1), fact }), None);
    }
}
