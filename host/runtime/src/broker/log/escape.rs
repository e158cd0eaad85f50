//! Untrusted bytes as one line of harmless text. Unambiguous: `\` is escaped too.

use std::fmt::Write as _;

/// The bytes as text in which nothing ends a line, moves a cursor, hides or reorders what follows.
pub fn escaped(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\\' => text.push_str("\\\\"),
                '\n' => text.push_str("\\n"),
                '\r' => text.push_str("\\r"),
                '\t' => text.push_str("\\t"),
                other if is_harmful(other) => {
                    let _ = write!(text, "\\u{{{:x}}}", u32::from(other));
                }
                other => text.push(other),
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

/// Control characters, line and paragraph separators, and what changes direction or is invisible.
fn is_harmful(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
                | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn harmless_text_is_kept_and_the_rest_is_spelled_out() {
        for (bytes, text) in [
            (&b"plain text"[..], "plain text"),
            ("größer 日本 🦀".as_bytes(), "größer 日本 🦀"),
            (b"a\tb\\c", r"a\tb\\c"),
            (b"\x1b[31m", r"\u{1b}[31m"),
            ("\u{9b}31m".as_bytes(), r"\u{9b}31m"),
            (b"\xc3\x28\xff", r"\xc3(\xff"),
            ("a\u{2028}b\u{2066}c".as_bytes(), r"a\u{2028}b\u{2066}c"),
            (b"", ""),
        ] {
            assert_eq!(escaped(bytes), text);
        }
    }

    #[test]
    fn no_byte_survives_as_a_control_character() {
        for first in 0..=255_u8 {
            for second in [0_u8, 0x1b, 0x7f, 0x80, 0x9b, 0xff] {
                let text = escaped(&[first, second]);
                assert!(!text.chars().any(char::is_control), "{first:02x} {second:02x}");
            }
        }
    }
}
