//! What a text may hold to be patched, and what a patch may put into it.

use super::refusal::{Reason, Refusal};
use crate::grant::is_deceptive;

/// The text of a file that is to be changed, or of what it becomes.
pub(super) fn readable(bytes: &[u8]) -> Result<&str, (Reason, &'static str)> {
    if bytes.contains(&0) {
        return Err((Reason::BinaryTarget, "it contains NUL bytes, so it is no text"));
    }
    std::str::from_utf8(bytes).map_err(|_| (Reason::Encoding, "it is not UTF-8 text"))
}

/// What nobody sees in a new line must not be in it: a reviewer reads something else than the machine.
pub(super) fn visible(line: &str, at: Option<u32>) -> Result<(), Refusal> {
    let line = line.strip_suffix('\n').unwrap_or(line);
    let line = line.strip_suffix('\r').unwrap_or(line);
    // Tabs and form feeds are written in sources; joiners belong to scripts and to pictures.
    let odd = |c: &char| is_deceptive(*c) && !matches!(c, '\t' | '\u{c}' | '\u{200c}' | '\u{200d}');
    match line.chars().find(odd) {
        Some(c) => {
            let what = format!("a new line contains `{}`, which nobody sees", c.escape_default());
            Err(Refusal::new(Reason::HiddenCharacters, what).at_some(at))
        }
        None => Ok(()),
    }
}

/// The lines in which two texts differ: what is left when the same lines at their beginning and at their end are taken
/// away. Whole files are counted so; it takes one look at each line, whatever they hold.
pub(super) fn middle<'t>(old: &'t str, new: &'t str) -> (Vec<&'t str>, Vec<&'t str>) {
    let (mut old, mut new): (Vec<&str>, Vec<&str>) =
        (old.split_inclusive('\n').collect(), new.split_inclusive('\n').collect());
    while old.last().is_some_and(|line| new.last() == Some(line)) {
        old.pop();
        new.pop();
    }
    let same = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    (old.split_off(same), new.split_off(same))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_is_what_differs() {
        for (old, new, removed, added) in [
            ("a\nb\nc\n", "a\nX\nc\n", 1, 1),
            ("a\nb\n", "a\nb\n", 0, 0),
            ("", "a\nb", 0, 2),
            ("a\na\na\n", "a\na\n", 1, 0),
            ("a\nb", "a\nb\n", 1, 1),
        ] {
            let (gone, came) = middle(old, new);
            assert_eq!((gone.len(), came.len()), (removed, added), "{old:?} {new:?}");
        }
    }

    #[test]
    fn what_nobody_sees_is_refused_and_what_sources_hold_is_not() {
        for fine in ["plain", "tab\there", "page\u{c}", "ends\r\n", "na\u{ef}ve \u{1f468}\u{200d}\u{1f467}"] {
            assert!(visible(fine, None).is_ok(), "{fine:?}");
        }
        for hidden in ["a\u{1b}[2J", "a\rb", "x\u{202e}y", "\u{2066}", "a\u{200b}b", "bell\u{7}"] {
            assert_eq!(visible(hidden, Some(3)).unwrap_err().code(), "hidden-characters", "{hidden:?}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_told_apart() {
        assert_eq!(readable(b"a\0b").unwrap_err().0, Reason::BinaryTarget);
        assert_eq!(readable(b"caf\xe9").unwrap_err().0, Reason::Encoding);
        assert!(readable("caf\u{e9}".as_bytes()).is_ok());
    }
}
