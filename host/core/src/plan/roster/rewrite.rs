//! The roster with another active agent: every other key, value and their order stay as they are. Written as operators' tools write
//! it: two spaces, no newline at the end.

use std::fmt::Write as _;

use super::MAX_ROSTER;
use crate::plan::json::{self, Node};

/// Who is active in a roster, if it says so.
///
/// # Errors
/// It is no JSON object.
pub fn active(bytes: &[u8]) -> Result<Option<String>, String> {
    let entries = object(bytes)?;
    Ok(entries.into_iter().find_map(|(key, value)| match value {
        Node::Text(name) if key == "active" => Some(name),
        _ => None,
    }))
}

/// The same roster with this active agent; without one, nobody is named.
///
/// # Errors
/// It is no JSON object: it is left alone.
pub fn with_active(bytes: &[u8], name: Option<&str>) -> Result<Vec<u8>, String> {
    let mut entries = object(bytes)?;
    let found = entries.iter().position(|(key, _)| key == "active");
    match (name, found) {
        (Some(name), Some(at)) => {
            if let Some((_, value)) = entries.get_mut(at) {
                *value = Node::Text(name.to_owned());
            }
        }
        (Some(name), None) => entries.push(("active".to_owned(), Node::Text(name.to_owned()))),
        (None, Some(at)) => drop(entries.remove(at)),
        (None, None) => {}
    }
    let mut text = String::new();
    write(&Node::Object(entries), 0, &mut text);
    Ok(text.into_bytes())
}

fn object(bytes: &[u8]) -> Result<Vec<(String, Node)>, String> {
    if bytes.len() > MAX_ROSTER {
        return Err(format!("it has {} bytes; a roster has at most {MAX_ROSTER}", bytes.len()));
    }
    match json::parse(bytes) {
        Ok(Node::Object(entries)) => Ok(entries),
        Ok(other) => Err(format!("it is {}, not an object", other.kind())),
        Err(error) => Err(format!("it is not JSON: {error}")),
    }
}

fn write(node: &Node, depth: usize, text: &mut String) {
    let mut list = |open: char, close: char, count: usize, item: &mut dyn FnMut(usize, &mut String)| {
        text.push(open);
        for at in 0..count {
            text.push_str(if at == 0 { "\n" } else { ",\n" });
            text.push_str(&"  ".repeat(depth + 1));
            item(at, text);
        }
        if count > 0 {
            text.push('\n');
            text.push_str(&"  ".repeat(depth));
        }
        text.push(close);
    };
    match node {
        Node::List(items) => list('[', ']', items.len(), &mut |at, text| {
            if let Some(item) = items.get(at) {
                write(item, depth + 1, text);
            }
        }),
        Node::Object(entries) => list('{', '}', entries.len(), &mut |at, text| {
            if let Some((key, value)) = entries.get(at) {
                string(key, text);
                text.push_str(": ");
                write(value, depth + 1, text);
            }
        }),
        Node::Null => text.push_str("null"),
        Node::Bool(value) => text.push_str(if *value { "true" } else { "false" }),
        // Nothing can go wrong when a text is written to.
        Node::Number(number) => drop(write!(text, "{number}")),
        Node::Text(value) => string(value, text),
    }
}

fn string(value: &str, text: &mut String) {
    text.push_str(&serde_json::Value::from(value).to_string());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_active_agent_changes() {
        let roster = br#"{"zeta": [1, {}, []], "active": "Crown", "agents": ["Crown", {"name": "r\"Star", "x": 1.50}]}"#;
        let changed = String::from_utf8(with_active(roster, Some("rStar")).unwrap()).unwrap();
        let wanted = "{\n  \"zeta\": [\n    1,\n    {},\n    []\n  ],\n  \"active\": \"rStar\",\n  \"agents\": [\n    \"Crown\",\n    {\n      \"name\": \"r\\\"Star\",\n      \"x\": 1.5\n    }\n  ]\n}";
        assert_eq!(changed, wanted);
        assert_eq!(active(changed.as_bytes()), Ok(Some("rStar".to_owned())));
        let appended = String::from_utf8(with_active(b"{\"agents\": []}", Some("x")).unwrap()).unwrap();
        assert_eq!(appended, "{\n  \"agents\": [],\n  \"active\": \"x\"\n}");
        assert_eq!(with_active(appended.as_bytes(), None).unwrap(), b"{\n  \"agents\": []\n}");
    }

    #[test]
    fn what_is_no_roster_is_left_alone() {
        for bytes in [&b"{"[..], b"[]", b"", b"\xff"] {
            assert!(with_active(bytes, Some("x")).is_err() && active(bytes).is_err());
        }
    }
}
