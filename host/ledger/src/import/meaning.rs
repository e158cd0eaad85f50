//! When a record says it was, and whom it is about. The original writes moments in four dialects; what says nothing
//! that can be understood says nothing.

use razar_core::id::ComponentId;
use razar_core::time::Timestamp;
use serde_json::Value;

use super::sources::{Room, Source};

/// Keys under which the original's writers put a moment, best first.
const MOMENTS: [&str; 7] =
    ["timestamp", "timestamp_iso", "quarantined_at", "last_boot", "last_timestamp", "date", "time"];

/// A component that is in quarantine there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) component: ComponentId,
    pub(super) reason: String,
    pub(super) attempts: u32,
}

/// When a record says it was; the name of a brief says it for the brief.
pub(super) fn when(source: &Source, value: &Value) -> Option<Timestamp> {
    let said = MOMENTS.iter().find_map(|key| moment(value.get(key)?));
    said.or_else(|| stamp(source.file_name()))
}

/// Whom a record is about, when that is a name a component can have.
pub(super) fn component(source: &Source, value: &Value) -> Option<ComponentId> {
    let named = value.get("component").and_then(Value::as_str);
    let entry = || match source.room {
        Room::Quarantine => ["name", "id"].iter().find_map(|key| value.get(key)?.as_str()),
        _ => None,
    };
    named.or_else(entry)?.parse().ok()
}

/// The entry that a file of the quarantine is; a module that was moved there is none.
pub(super) fn entry(source: &Source, value: &Value) -> Option<Entry> {
    if source.room != Room::Quarantine || !value.is_object() || value.get("original_path").is_some() {
        return None;
    }
    let component = component(source, value).or_else(|| source.stem().parse().ok())?;
    let words = ["reason", "error", "diagnostics"].iter().find_map(|key| value.get(key)?.as_str());
    let attempts = value.get("attempts").and_then(Value::as_u64).unwrap_or(0);
    Some(Entry {
        component,
        reason: words.unwrap_or("in quarantine in the original system").to_owned(),
        attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
    })
}

/// One moment, as a number of seconds or as a text.
fn moment(value: &Value) -> Option<Timestamp> {
    match value {
        Value::Number(number) => seconds(number.as_f64()?),
        Value::String(text) => text_moment(text.trim()),
        _ => None,
    }
}

fn seconds(seconds: f64) -> Option<Timestamp> {
    // What is too large for seconds of this century is milliseconds.
    let millis = if seconds > 1e11 { seconds } else { seconds * 1000.0 };
    (0.0..1e15).contains(&millis).then(|| Timestamp(millis.round() as u64))
}

/// ISO 8601 with a zone, without one (then UTC, as the original means it), or a number.
pub(super) fn text_moment(text: &str) -> Option<Timestamp> {
    if let Ok(number) = text.parse::<f64>() {
        return seconds(number);
    }
    let zoned = text.parse::<jiff::Timestamp>().ok();
    let naive = || {
        let civil: jiff::civil::DateTime = text.replacen(',', ".", 1).parse().ok()?;
        civil.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
    };
    let millis = zoned.or_else(naive)?.as_millisecond();
    u64::try_from(millis).ok().map(Timestamp)
}

/// `20261121014137…`: how briefs and their answers are named.
fn stamp(name: &str) -> Option<Timestamp> {
    let digits = name.get(..14).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
    let civil = jiff::civil::DateTime::strptime("%Y%m%d%H%M%S", digits).ok()?;
    let millis = civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_millisecond();
    u64::try_from(millis).ok().map(Timestamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_understood_in_every_dialect() {
        let at = Some(Timestamp(1_795_225_297_273));
        for text in [
            "2026-11-21T01:41:37.273Z",
            "2026-11-21T01:41:37.273+00:00",
            "2026-11-21T03:41:37.273+02:00",
            "2026-11-21T01:41:37.273",
            "2026-11-21T01:41:37.273000",
            "2026-11-21 01:41:37,273",
            "1795225297.273",
            "1795225297273",
        ] {
            assert_eq!(text_moment(text), at, "{text}");
        }
        assert_eq!(moment(&serde_json::json!(1_795_225_297.273)), at);
        assert_eq!(stamp("20261121014137_response.json"), Some(Timestamp(1_795_225_297_000)));
        for nothing in ["", "yesterday", "-5", "1e300", "2026-13-45T99:99:99"] {
            assert_eq!(text_moment(nothing), None, "{nothing}");
        }
        assert_eq!(stamp("99999999999999.json"), None);
    }
}
