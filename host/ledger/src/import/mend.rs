//! JSON that ends too early, as an interrupted write or a full disk leaves it: closed where it ends, or cut back to the
//! last part that is whole. A text or a number that was torn is left out: half a name is somebody else's, half a moment is
//! another one. What the original's language writes and JSON does not know (`NaN`, `Infinity`) becomes null.

use serde_json::Value;

/// Deeper is no record of anybody, and serde_json refuses it.
const MAX_DEPTH: usize = 128;

/// A text that can be read, and what had to be done for it.
#[derive(Debug, PartialEq)]
pub(super) struct Mended {
    pub(super) text: String,
    pub(super) value: Value,
    pub(super) how: &'static str,
}

const ENDED: &str = "missing ends were added";

impl Mended {
    /// It was closed where it ends: nothing was left out.
    pub(super) fn is_closed(&self) -> bool {
        self.how == ENDED
    }
}

/// Repairs a text that cannot be parsed as it is; none when nothing worth keeping can be read.
pub(super) fn mend(text: &str) -> Option<Mended> {
    let scanned = Scan::of(text)?;
    let closed = scanned.closed.then(|| (scanned.out.clone(), "NaN or Infinity became null"));
    let tail = scanned.tail.then_some("text behind it was left out");
    let whole = closed.map(|(text, how)| (text, tail.unwrap_or(how)));
    let ended = (!scanned.closed && scanned.is_between()).then(|| (scanned.ended(), ENDED));
    let cut = (!scanned.closed).then(|| (scanned.cut(), "a torn end was left out"));
    let candidates = [whole, ended, cut].into_iter().flatten();
    let mut readable = candidates.filter_map(|(text, how)| {
        let value: Value = serde_json::from_str(&text).ok()?;
        says(&value).then_some(Mended { text, value, how })
    });
    readable.next()
}

/// Whether anything is left in it.
fn says(value: &Value) -> bool {
    match value {
        Value::Object(members) => !members.is_empty(),
        Value::Array(items) => items.iter().any(says),
        Value::Null => false,
        Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

struct Scan {
    /// The text up to where it makes no sense any more.
    out: String,
    /// What must follow, innermost last.
    open: Vec<char>,
    quoted: bool,
    escaped: bool,
    /// The last place at which everything before is whole, and what must follow there.
    safe: (usize, Vec<char>),
    /// The outermost bracket was closed.
    closed: bool,
    /// Something stood behind that.
    tail: bool,
}

impl Scan {
    fn of(text: &str) -> Option<Self> {
        let text = text.trim();
        if !text.starts_with(['{', '[']) {
            return None;
        }
        let mut scan = Self {
            out: String::with_capacity(text.len() + 8),
            open: Vec::new(),
            quoted: false,
            escaped: false,
            safe: (0, Vec::new()),
            closed: false,
            tail: false,
        };
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            if scan.closed {
                scan.tail = true;
                break;
            }
            let word = (!scan.quoted)
                .then(|| ["-Infinity", "Infinity", "NaN"].iter().find(|w| rest.starts_with(**w)));
            if let Some(Some(word)) = word {
                scan.out.push_str("null");
                rest = rest.get(word.len()..)?;
                continue;
            }
            if !scan.take(c)? {
                break;
            }
            rest = rest.get(c.len_utf8()..)?;
        }
        Some(scan)
    }

    /// One more character; false when it cannot follow.
    fn take(&mut self, c: char) -> Option<bool> {
        if self.quoted {
            match c {
                _ if self.escaped => self.escaped = false,
                '\\' => self.escaped = true,
                '"' => self.quoted = false,
                // No writer leaves a line end in a string: another record begins here.
                '\n' | '\r' => return Some(false),
                _ => {}
            }
            self.out.push(c);
            return Some(true);
        }
        match c {
            '"' => self.quoted = true,
            '{' | '[' => {
                if self.open.len() >= MAX_DEPTH {
                    return None;
                }
                self.open.push(if c == '{' { '}' } else { ']' });
                self.out.push(c);
                self.safe = (self.out.len(), self.open.clone());
                return Some(true);
            }
            '}' | ']' => {
                if self.open.last() != Some(&c) {
                    return Some(false);
                }
                self.open.pop();
                self.closed = self.open.is_empty();
            }
            ',' => self.safe = (self.out.len(), self.open.clone()),
            _ => {}
        }
        self.out.push(c);
        Some(true)
    }

    /// It ends behind something whole: not in a text, a number or a word.
    fn is_between(&self) -> bool {
        !self.quoted && self.out.trim_end().ends_with(['"', '}', ']'])
    }

    /// Closed where it ends.
    fn ended(&self) -> String {
        let mut text = self.out.clone();
        text.extend(self.open.iter().rev());
        text
    }

    /// Cut back to the last whole part.
    fn cut(&self) -> String {
        let (length, open) = &self.safe;
        let mut text = self.out.get(..*length).unwrap_or_default().to_owned();
        text.extend(open.iter().rev());
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_too_early_is_closed_or_cut_back() {
        for (torn, mended) in [
            (r#"{"a": {"b": [1, 2]"#, Some(r#"{"a": {"b": [1, 2]}}"#)),
            (r#"{"a": {"b": [1, 2"#, Some(r#"{"a": {"b": [1]}}"#)),
            (r#"{"a": {"b": "te""#, Some(r#"{"a": {"b": "te"}}"#)),
            (r#"{"a": 1, "b": "te"#, Some(r#"{"a": 1}"#)),
            (r#"{"a": 1, "b": "te\"#, Some(r#"{"a": 1}"#)),
            (r#"{"a": 1, "b": 17952"#, Some(r#"{"a": 1}"#)),
            (r#"{"a": 1, "b": "\u00"#, Some(r#"{"a": 1}"#)),
            (r#"{"a": 1, "b"#, Some(r#"{"a": 1}"#)),
            (r#"{"a": 1, "b":"#, Some(r#"{"a": 1}"#)),
            (r#"{"a": 1, "b": tru"#, Some(r#"{"a": 1}"#)),
            (r#"{"a": 1,"#, Some(r#"{"a": 1}"#)),
            (r#"{"a": NaN, "b": [-Infinity], "c": "NaN"}"#, Some(r#"{"a": null, "b": [null], "c": "NaN"}"#)),
            (r#"{"a": 1}}]"#, Some(r#"{"a": 1}"#)),
            (r#"{"a": [1], "b": 2]"#, Some(r#"{"a": [1]}"#)),
            (r#"[{"a": 1}, {"b"#, Some(r#"[{"a": 1}, {}]"#)),
            ("{", None),
            (r#"{"a": 1"#, None),
            (r#"{"a"#, None),
            ("[[", None),
            ("", None),
            ("plain text", None),
        ] {
            let found = mend(torn).map(|mended| mended.text);
            assert_eq!(found.as_deref(), mended, "{torn}");
        }
        assert!(mend(&"[".repeat(1_000_000)).is_none());
    }

    #[test]
    fn every_cut_of_a_record_is_mended_to_a_part_of_it() {
        let whole = r#"{"agent": "kimi2", "n": [1, {"x": "a\"b"}], "error": "é \\ ", "patched": true}"#;
        let parsed: Value = serde_json::from_str(whole).unwrap();
        for at in (1..whole.len()).filter(|at| whole.is_char_boundary(*at)) {
            let Some(mended) = mend(&whole[..at]) else {
                assert!(at < 18, "{}", &whole[..at]);
                continue;
            };
            for (key, value) in mended.value.as_object().unwrap() {
                let original = &parsed[key];
                let prefix = match (value, original) {
                    (Value::Array(part), Value::Array(all)) => part.len() <= all.len(),
                    (part, all) => part == all,
                };
                assert!(prefix, "{key}: {value} of {original}, cut at {at}");
            }
        }
    }
}
