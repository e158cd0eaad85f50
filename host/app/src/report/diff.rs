//! A patch on a terminal: its diff, line by line. Whoever wrote the patch cannot drive the terminal with it, and what stands at
//! the end of a line is shown, because it can be what a patch is about.

use razar_core::patch::Patch;

use super::escape;

/// Longest diff that is shown: a few hundred screens. The files themselves are in the ledger.
const MOST: usize = 512 << 10;

/// The lines of the diff.
pub(crate) fn lines(patch: &Patch) -> Vec<String> {
    patch.diff(MOST).split_terminator('\n').map(escape::source).collect()
}

#[cfg(test)]
mod tests {
    use razar_core::id::Digest;
    use razar_core::patch::Manifest;

    use super::*;

    #[test]
    fn a_diff_cannot_drive_the_terminal_it_is_read_on() {
        let new = b"\tx = 1 \n\x1b]0;owned\x07\n\xe2\x80\xaeevil\r\n";
        let after = Digest::of(new);
        let json = format!(
            r#"{{"component":"web","files":[{{"after":"{after}","before":null,"path":"a.py"}}],"version":1}}"#
        );
        let patch = Patch::new(Manifest::read(json.as_bytes()).unwrap(), [new.as_slice()]).unwrap();
        assert_eq!(
            lines(&patch),
            [
                "--- /dev/null",
                "+++ b/a.py",
                "@@ -0,0 +1,3 @@",
                "+\tx = 1 ",
                "+\\u{1b}]0;owned\\u{7}",
                "+\\u{202e}evil\\r",
            ]
        );
    }
}
