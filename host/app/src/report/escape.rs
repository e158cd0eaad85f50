//! Text that a service, a plugin or a note supplied, made harmless for one line on a terminal. It can neither begin a
//! line nor move the cursor nor reorder what is read, and its length is bounded.

/// Longest text shown on one line: a probe's whole answer is in the ledger.
const MAX_CHARS: usize = 400;

/// One harmless line.
pub(crate) fn line(text: &str) -> String {
    harmless(text.trim_end(), |_| false)
}

/// One harmless line of a source: what stands at its end is part of it, and tabs are.
pub(crate) fn source(text: &str) -> String {
    harmless(text, |c| c == '\t')
}

fn harmless(text: &str, fine: impl Fn(char) -> bool) -> String {
    let mut safe = String::with_capacity(text.len().min(MAX_CHARS * 4));
    for (count, c) in text.chars().enumerate() {
        if count == MAX_CHARS {
            safe.push('…');
            break;
        }
        if is_harmful(c) && !fine(c) {
            safe.extend(c.escape_default());
        } else {
            safe.push(c);
        }
    }
    safe
}

/// Controls move the cursor and end lines, separators end lines elsewhere, direction marks reorder what is read, and
/// what has no width hides a difference.
fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_begins_a_line_or_drives_a_terminal() {
        for (text, shown) in [
            ("plain — café\n", "plain — café"),
            ("a\r\nb", "a\\r\\nb"),
            ("\u{1b}]0;owned\u{7}\u{9b}2J", "\\u{1b}]0;owned\\u{7}\\u{9b}2J"),
            ("\u{202e}txt\u{2028}\u{200b}", "\\u{202e}txt\\u{2028}\\u{200b}"),
        ] {
            assert_eq!(line(text), shown);
        }
        assert_eq!(line(&"x".repeat(10_000)).chars().count(), MAX_CHARS + 1);
        assert_eq!(source("+\tx = 1 \r\u{1b}[2J\u{202e} "), "+\tx = 1 \\r\\u{1b}[2J\\u{202e} ");
    }
}
