//! A patch as people read it: one unified diff over all files. It is made from the bytes that were kept, so it says what was
//! done whatever the files are now. It is for reading; nothing is ever applied from it.

use std::fmt::Write as _;

use diffy::{DiffOptions, PatchFormatter};

use super::manifest::{ManifestFile, Side};
use super::text::readable;
use super::whole::Patch;

/// What stands where there is no file.
const NOTHING: &str = "/dev/null";

impl Patch {
    /// The diff, of at most so many bytes; whole lines are left out at its end, and a last line says how many.
    pub fn diff(&self, most: usize) -> String {
        let mut text = String::new();
        for file in self.manifest().files() {
            self.file_diff(file, &mut text);
            if text.len() > most {
                break;
            }
        }
        bounded(text, most)
    }

    fn file_diff(&self, file: &ManifestFile, out: &mut String) {
        let path = file.path();
        let side = |side, prefix: &str| match self.file(file, side) {
            Some(bytes) => (format!("{prefix}/{path}"), &**bytes),
            None => (NOTHING.to_owned(), [].as_slice()),
        };
        let (old_name, old) = side(Side::Before, "a");
        let (new_name, new) = side(Side::After, "b");
        // Writing to a string cannot fail.
        let _ = match (readable(old), readable(new)) {
            (Ok(old), Ok(new)) => {
                let mut options = DiffOptions::new();
                options.set_original_filename(old_name).set_modified_filename(new_name);
                let diff = options.create_patch(old, new);
                write!(out, "{}", PatchFormatter::new().suppress_blank_empty(false).fmt_patch(&diff))
            }
            _ => writeln!(out, "Binary files {old_name} and {new_name} differ"),
        };
    }
}

fn bounded(text: String, most: usize) -> String {
    if text.len() <= most {
        return text;
    }
    let mut kept = String::new();
    let mut lines = text.split_inclusive('\n').peekable();
    while let Some(line) = lines.next_if(|line| kept.len() + line.len() <= most) {
        kept.push_str(line);
    }
    let _ = writeln!(kept, "… the rest is left out, at least {} lines", lines.count());
    kept
}

#[cfg(test)]
mod tests {
    use crate::id::Digest;
    use crate::patch::{Manifest, Patch};

    /// Path, before and after.
    type File<'a> = (&'a str, Option<&'a [u8]>, Option<&'a [u8]>);

    fn patch(files: &[File<'_>]) -> Patch {
        let name = |bytes: Option<&[u8]>| match bytes {
            Some(bytes) => format!("\"{}\"", Digest::of(bytes)),
            None => "null".to_owned(),
        };
        let entry = |(path, before, after): &File<'_>| {
            format!(r#"{{"after":{},"before":{},"path":"{path}"}}"#, name(*after), name(*before))
        };
        let entries: Vec<String> = files.iter().map(entry).collect();
        let json = format!(r#"{{"component":"web","files":[{}],"version":1}}"#, entries.join(","));
        let bytes = files.iter().flat_map(|(_, before, after)| [*before, *after]).flatten();
        Patch::new(Manifest::read(json.as_bytes()).unwrap(), bytes).unwrap()
    }

    #[test]
    fn a_diff_shows_what_becomes_of_each_file() {
        let patch = patch(&[
            ("a.py", Some(b"one\n\ntwo"), Some(b"one\n\nthree\n")),
            ("b.py", None, Some(b"new\n")),
            ("c.bin", Some(b"\0"), Some(b"\xff")),
            ("d e.py", Some(b"old\n"), None),
        ]);
        assert_eq!(
            patch.diff(10_000),
            "--- a/a.py\n+++ b/a.py\n@@ -1,3 +1,3 @@\n one\n \n-two\n\\ No newline at end of file\n+three\n\
             --- /dev/null\n+++ b/b.py\n@@ -0,0 +1 @@\n+new\n\
             Binary files a/c.bin and b/c.bin differ\n\
             --- a/d e.py\n+++ /dev/null\n@@ -1 +0,0 @@\n-old\n"
        );
    }

    #[test]
    fn a_long_diff_ends_at_a_line_and_says_so() {
        let new: String = (0..1_000).map(|line| format!("line {line}\n")).collect();
        let patch = patch(&[("a.txt", None, Some(new.as_bytes())), ("b.txt", None, Some(b"x\n"))]);
        let shown = patch.diff(100);
        assert!(shown.len() < 200, "{shown}");
        assert!(shown.starts_with("--- /dev/null\n+++ b/a.txt\n@@ -0,0 +1,1000 @@\n+line 0\n"), "{shown}");
        assert!(
            shown.ends_with("lines\n") && shown.contains("\n… the rest is left out, at least 99"),
            "{shown}"
        );
    }
}
