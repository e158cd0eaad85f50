//! Where the parts of a JSON text begin and end, so that a record can be kept as it was written. The text is valid
//! JSON: whoever calls has parsed it.

use std::ops::Range;

/// The elements of an array.
pub(super) fn items(text: &str) -> Vec<Range<usize>> {
    parts(text, b'[')
}

/// The values of an object's members that are called one of these names, with the name.
pub(super) fn members<'a>(text: &str, names: &[&'a str]) -> Vec<(&'a str, Range<usize>)> {
    let mut found = Vec::new();
    for member in parts(text, b'{') {
        let Some(words) = text.get(member.clone()) else { continue };
        let Some(colon) = colon(words) else { continue };
        let key: Option<String> = words.get(..colon).and_then(|key| serde_json::from_str(key.trim()).ok());
        let Some(name) = names.iter().find(|name| key.as_deref() == Some(**name)) else { continue };
        found.push((*name, trimmed(text, member.start + colon + 1..member.end)));
    }
    found
}

/// What stands between the commas of the outermost brackets.
fn parts(text: &str, opening: u8) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let (mut depth, mut start, mut quoted, mut escaped) = (0_usize, None, false, false);
    for (at, byte) in text.bytes().enumerate() {
        if quoted {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => quoted = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => quoted = true,
            b'{' | b'[' => {
                if depth == 0 {
                    if byte != opening {
                        return parts;
                    }
                    start = Some(at + 1);
                }
                depth += 1;
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    parts.extend(start.take().map(|start| trimmed(text, start..at)));
                }
            }
            b',' if depth == 1 => parts.extend(start.replace(at + 1).map(|start| trimmed(text, start..at))),
            _ => {}
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

/// The colon behind a member's name.
fn colon(member: &str) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in member.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b':' if !quoted => return Some(at),
            _ => {}
        }
    }
    None
}

fn trimmed(text: &str, part: Range<usize>) -> Range<usize> {
    let words = text.get(part.clone()).unwrap_or_default();
    let start = part.start + (words.len() - words.trim_start().len());
    start..start + words.trim().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_found_as_they_are_written() {
        let text = r#" [ {"a": [1, 2]}, "x, ]\" y" ,3, [] ] "#;
        let found: Vec<_> = items(text).into_iter().map(|part| &text[part]).collect();
        assert_eq!(found, [r#"{"a": [1, 2]}"#, r#""x, ]\" y""#, "3", "[]"]);
        assert!(items("[]").is_empty() && items("{\"a\": 1}").is_empty());
        let text = r#"{"events": [1,2], "b:c": {"events": 3}, "history" : {"x": ":"} }"#;
        let found: Vec<_> = members(text, &["events", "history"])
            .into_iter()
            .map(|(name, part)| (name, &text[part]))
            .collect();
        assert_eq!(found, [("events", "[1,2]"), ("history", r#"{"x": ":"}"#)]);
    }
}
