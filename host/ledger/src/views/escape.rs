//! Text that others wrote, made harmless for one line of a log or one cell of a table. A service, a probe or an
//! operator's note cannot begin a line, end a cell or drive a terminal.

use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter, Serializer};

/// One line of plain text.
pub(super) fn line(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if unsafe_in_a_line(c) {
            safe.extend(c.escape_default());
        } else {
            safe.push(c);
        }
    }
    safe
}

/// One cell of a Markdown table.
pub(super) fn cell(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in line(text).chars() {
        match c {
            '|' => safe.push_str("\\|"),
            // Markdown renders what looks like HTML.
            '<' => safe.push_str("&lt;"),
            c => safe.push(c),
        }
    }
    safe
}

/// Controls move the cursor and end lines; separators end lines elsewhere; direction marks reorder what is read.
fn unsafe_in_a_line(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// JSON on one line, byte for byte as Python writes it by default.
pub(super) fn json_line(value: &impl Serialize) -> String {
    json(value, OneLine)
}

/// JSON with an indentation of two, as Python writes it: no line end behind it.
pub(super) fn json_file(value: &impl Serialize) -> String {
    json(value, PrettyFormatter::new())
}

fn json<F: Formatter>(value: &impl Serialize, formatter: F) -> String {
    let mut bytes = Vec::new();
    let written = value.serialize(&mut Serializer::with_formatter(&mut bytes, formatter));
    debug_assert!(written.is_ok(), "views serialize strings, numbers and string keys only");
    let mut ascii = String::with_capacity(bytes.len());
    // Outside of strings JSON is ASCII, so whatever is not stands in a string, where an escape may replace it.
    for c in String::from_utf8_lossy(&bytes).chars() {
        if c.is_ascii() && c != '\u{7f}' {
            ascii.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                ascii.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    ascii
}

struct OneLine;

impl Formatter for OneLine {
    fn begin_array_value<W: ?Sized + std::io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + std::io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + std::io::Write>(&mut self, writer: &mut W) -> std::io::Result<()> {
        writer.write_all(b": ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_begins_a_line_ends_a_cell_or_drives_a_terminal() {
        for (text, in_line, in_cell) in [
            ("plain — café", "plain — café", "plain — café"),
            ("a\r\nb", "a\\r\\nb", "a\\r\\nb"),
            ("\u{1b}[2J\u{9b}2J\u{7f}", "\\u{1b}[2J\\u{9b}2J\\u{7f}", "\\u{1b}[2J\\u{9b}2J\\u{7f}"),
            ("x | y", "x | y", "x \\| y"),
            ("<img>", "<img>", "&lt;img>"),
            ("\u{2028}\u{202e}", "\\u{2028}\\u{202e}", "\\u{2028}\\u{202e}"),
        ] {
            assert_eq!(line(text), in_line);
            assert_eq!(cell(text), in_cell);
        }
    }

    #[test]
    fn json_is_written_as_python_writes_it() {
        let value = serde_json::json!({"a": [1, 2.5, "é\u{1f600}\u{1b}\n\u{7f}"], "b": {}, "c": []});
        let text = json_line(&value);
        assert_eq!(
            text,
            "{\"a\": [1, 2.5, \"\\u00e9\\ud83d\\ude00\\u001b\\n\\u007f\"], \"b\": {}, \"c\": []}"
        );
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
        assert_eq!(
            json_file(&serde_json::json!({"a": [1], "b": []})),
            "{\n  \"a\": [\n    1\n  ],\n  \"b\": []\n}"
        );
    }
}
