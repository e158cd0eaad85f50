//! Unified diffs as models write them: right in what they change, often wrong in the numbers. The numbers are counted anew,
//! and a hunk whose lines stand at exactly one other place of its file is moved there. What a hunk changes is never touched,
//! and what fits nowhere stays as it is: the host refuses it in its own words.

use razar_sdk::agent::SourceFile;

use super::{ReplyError, files};

/// Files of one diff, in order.
#[derive(Debug, Default)]
pub(super) struct Patch(Vec<FileDiff>);

#[derive(Debug)]
struct FileDiff {
    /// Lines before `---`: `diff --git`, `index`, `new file mode`.
    header: Vec<String>,
    /// Behind `---`.
    old: String,
    /// Behind `+++`.
    new: String,
    hunks: Vec<Hunk>,
}

#[derive(Debug)]
struct Hunk {
    /// First line in the old file; 0 for a file that is not there.
    at: usize,
    /// Behind the second `@@`.
    section: String,
    /// Each with its sign.
    lines: Vec<String>,
}

/// Lines that git puts before `---`.
const HEADER: [&str; 12] = [
    "diff ",
    "index ",
    "old mode ",
    "new mode ",
    "new file mode ",
    "deleted file mode ",
    "similarity ",
    "dissimilarity ",
    "rename ",
    "copy ",
    "Binary files ",
    "GIT binary ",
];

impl Patch {
    /// A text that is a diff and nothing else.
    pub(super) fn of(text: &str) -> Result<Self, ReplyError> {
        let mut patch = Self::default();
        patch.read(text)?;
        Ok(patch)
    }

    /// Whether there is nothing in it.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a text is a diff from its first line on, blank lines aside.
    pub(super) fn begins(text: &str) -> bool {
        Self::begins_here(text.trim_start_matches(['\n', '\r']))
    }

    /// The same, blank lines not aside.
    pub(super) fn begins_here(text: &str) -> bool {
        let mut lines = text.lines();
        match lines.next() {
            Some(line) if line.starts_with("diff --git ") => true,
            Some(line) if line.starts_with("--- ") => {
                lines.next().is_some_and(|line| line.starts_with("+++ "))
            }
            _ => false,
        }
    }

    /// The paths it changes.
    pub(super) fn paths(&self) -> Vec<String> {
        self.0.iter().map(|file| file.path().to_owned()).collect()
    }

    /// Reads one diff more, and says how many bytes of the text it was: prose may follow.
    pub(super) fn read(&mut self, text: &str) -> Result<usize, ReplyError> {
        let mut lines = Lines::of(text);
        let before = self.0.len();
        loop {
            lines.skip_blank();
            let Some(file) = FileDiff::read(&mut lines)? else { break };
            if self.0.iter().any(|known| known.path() == file.path()) {
                return Err(ReplyError::FileTwice(file.path().to_owned()));
            }
            self.0.push(file);
        }
        if self.0.len() == before {
            return Err(ReplyError::Diff("its diff has no `---` and `+++` lines".to_owned()));
        }
        Ok(lines.read)
    }

    /// It as text, with right numbers.
    pub(super) fn mended(mut self, sources: &[SourceFile]) -> Result<String, ReplyError> {
        let mut text = String::new();
        for file in &mut self.0 {
            let source = sources.iter().find(|source| source.path == file.path());
            if let Some(source) = source.and_then(|source| std::str::from_utf8(&source.content).ok()) {
                file.find_places(source)?;
            }
            file.write(&mut text);
        }
        Ok(text)
    }
}

/// Lines, and how far one has come.
struct Lines<'a> {
    text: &'a str,
    read: usize,
}

impl<'a> Lines<'a> {
    fn of(text: &'a str) -> Self {
        Self { text, read: 0 }
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.read..).unwrap_or_default()
    }

    fn peek(&self) -> Option<&'a str> {
        let rest = self.rest();
        (!rest.is_empty()).then(|| rest.split('\n').next().unwrap_or_default())
    }

    fn next(&mut self) -> Option<&'a str> {
        let line = self.peek()?;
        self.read = (self.read + line.len() + 1).min(self.text.len());
        Some(line)
    }

    fn skip_blank(&mut self) {
        while self.peek().is_some_and(|line| line.trim().is_empty()) {
            self.next();
        }
    }
}

impl FileDiff {
    fn path(&self) -> &str {
        let (text, prefix) =
            if self.new.trim() == "/dev/null" { (&self.old, "a/") } else { (&self.new, "b/") };
        // A time may follow, behind a tab.
        let path = text.split('\t').next().unwrap_or_default();
        files::bare(path.strip_prefix(prefix).unwrap_or(path))
    }

    fn read(lines: &mut Lines<'_>) -> Result<Option<Self>, ReplyError> {
        let mut header = Vec::new();
        while let Some(line) = lines.peek().filter(|line| HEADER.iter().any(|word| line.starts_with(word))) {
            header.push(line.to_owned());
            lines.next();
        }
        let is_start =
            lines.peek().is_some_and(|line| line.starts_with("--- ")) && Patch::begins_here(lines.rest());
        if !is_start {
            return match header.first() {
                None => Ok(None),
                Some(line) => Err(ReplyError::Diff(format!(
                    "its diff has `{}` without `---`, `+++` and lines: only text can be changed",
                    line.chars().take(80).collect::<String>()
                ))),
            };
        }
        let side = |line: Option<&str>| {
            line.and_then(|line| line.get(4..)).unwrap_or_default().trim_end().to_owned()
        };
        let (old, new) = (side(lines.next()), side(lines.next()));
        let mut file = Self { header, old, new, hunks: Vec::new() };
        while let Some(hunk) = Hunk::read(lines)? {
            file.hunks.push(hunk);
        }
        if file.hunks.is_empty() {
            return Err(ReplyError::Diff(format!("its diff of `{}` has no `@@` line", file.path())));
        }
        Ok(Some(file))
    }

    /// Moves each hunk to where its lines are, if that is one place.
    fn find_places(&mut self, source: &str) -> Result<(), ReplyError> {
        let source: Vec<&str> = source.lines().collect();
        let path = self.path().to_owned();
        let mut from = 0;
        for hunk in &mut self.hunks {
            let old: Vec<String> = hunk.old().map(str::to_owned).collect();
            let stands =
                |at: usize| source.get(at..at + old.len()).is_some_and(|lines| lines == old.as_slice());
            if old.is_empty() {
                continue;
            }
            let stated = hunk.at.saturating_sub(1);
            if !stands(stated) || stated < from {
                let mut places = (from..source.len()).filter(|at| stands(*at));
                match (places.next(), places.next()) {
                    (Some(place), None) => hunk.at = place + 1,
                    (Some(_), Some(_)) => return Err(ReplyError::Where(path)),
                    (None, _) => continue,
                }
            }
            from = hunk.at.saturating_sub(1) + old.len();
        }
        Ok(())
    }

    fn write(&self, text: &mut String) {
        for line in &self.header {
            text.push_str(line);
            text.push('\n');
        }
        text.push_str(&format!("--- {}\n+++ {}\n", self.old, self.new));
        let mut shift: isize = 0;
        for hunk in &self.hunks {
            let (old, new) =
                (hunk.old().count(), hunk.lines.iter().filter(|line| !line.starts_with(['-', '\\'])).count());
            // Of a side without lines, the line before is named.
            let begins = |at: usize, count: usize| if count == 0 { at.saturating_sub(1) } else { at };
            let old_at = if old == 0 { hunk.at } else { begins(hunk.at, old) };
            let first = if old == 0 { hunk.at + 1 } else { hunk.at };
            let new_at = begins(first.saturating_add_signed(shift), new);
            text.push_str(&format!("@@ -{old_at},{old} +{new_at},{new} @@{}\n", hunk.section));
            for line in &hunk.lines {
                text.push_str(line);
                text.push('\n');
            }
            shift += isize::try_from(new).unwrap_or(0) - isize::try_from(old).unwrap_or(0);
        }
    }
}

impl Hunk {
    fn read(lines: &mut Lines<'_>) -> Result<Option<Self>, ReplyError> {
        let Some(line) = lines.peek().filter(|line| line.starts_with("@@")) else { return Ok(None) };
        lines.next();
        let (at, stated, section) = header(line).ok_or_else(|| {
            ReplyError::Diff(format!("its diff has the line `{}`", line.chars().take(80).collect::<String>()))
        })?;
        let mut hunk = Self { at, section, lines: Vec::new() };
        while let Some(line) = lines.peek() {
            let next_file = line.starts_with("diff --git ") || Patch::begins_here(lines.rest());
            let goes_on = line.is_empty() || line == "\r" || line.starts_with([' ', '+', '-', '\\', '\t']);
            // A removed line that begins with `-- ` looks like the next file, until the lines that were announced are there.
            if !goes_on || line.starts_with("@@") || (next_file && hunk.old().count() >= stated) {
                break;
            }
            // An empty line of the file whose one space was lost, or a tab that has lost its sign.
            let line = if line.starts_with('\t') || line.is_empty() || line == "\r" {
                format!(" {line}")
            } else {
                line.to_owned()
            };
            hunk.lines.push(line);
            lines.next();
        }
        // Blank lines between the hunk and what follows are none of the file's.
        while hunk.lines.last().is_some_and(|line| line.trim().is_empty()) && hunk.old().count() > stated {
            hunk.lines.pop();
        }
        if !hunk.lines.iter().any(|line| line.starts_with(['+', '-'])) {
            return Err(ReplyError::Diff("its diff has a hunk that changes nothing".to_owned()));
        }
        Ok(Some(hunk))
    }

    /// Its lines of the old file.
    fn old(&self) -> impl Iterator<Item = &str> {
        self.lines
            .iter()
            .filter(|line| line.starts_with([' ', '-']))
            .map(|line| line.get(1..).unwrap_or_default())
    }
}

/// `@@ -1,2 +3,4 @@ section`: the first old line, the old count, the section.
fn header(line: &str) -> Option<(usize, usize, String)> {
    let (numbers, section) = line.strip_prefix("@@")?.split_once("@@")?;
    let old = numbers.trim().strip_prefix('-')?.split_whitespace().next()?;
    let (at, count) = old.split_once(',').unwrap_or((old, "1"));
    Some((at.parse().ok()?, count.parse().ok()?, section.trim_end().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "import os\n\ndef a():\n    return 1\n\ndef b():\n    return 1\n";

    fn mended(diff: &str, source: &str) -> Result<String, ReplyError> {
        let sources = [SourceFile { path: "app.py".to_owned(), content: source.as_bytes().to_vec() }];
        Patch::of(diff)?.mended(&sources)
    }

    fn hunk(numbers: &str, lines: &str) -> String {
        format!("--- a/app.py\n+++ b/app.py\n@@ {numbers} @@\n{lines}")
    }

    #[test]
    fn a_right_diff_stays_as_it_is() {
        for diff in [
            hunk("-3,2 +3,2", " def a():\n-    return 1\n+    return 2\n"),
            hunk("-1,1 +0,0", "-import os\n"),
            hunk("-7,1 +7,1", "-    return 1\n\\ No newline at end of file\n+    return 2\n\\ No newline at end of file\n"),
            "--- /dev/null\n+++ b/new.py\n@@ -0,0 +1,2 @@\n+a\n+b\n".to_owned(),
            "diff --git a/old.py b/old.py\ndeleted file mode 100644\nindex 1..0\n--- a/old.py\n+++ /dev/null\n@@ -1,1 +0,0 @@\n-x\n".to_owned(),
            "--- a/app.py\t2026-01-01\n+++ b/app.py\t2026-01-02\n@@ -1,2 +1,3 @@ def x\n import os\n+import re\n \n@@ -6,2 +7,2 @@\n def b():\n-    return 1\n+    return 2\n".to_owned(),
        ] {
            assert_eq!(mended(&diff, SOURCE).unwrap(), diff);
        }
    }

    #[test]
    fn numbers_are_counted_and_places_found() {
        for (wrong, right) in [
            // Wrong counts.
            (hunk("-3,9 +3,1", " def a():\n-    return 1\n+    return 2\n"), "@@ -3,2 +3,2 @@"),
            // Wrong place, one right one.
            (hunk("-40,2 +40,2", " def b():\n-    return 1\n+    return 2\n"), "@@ -6,2 +6,2 @@"),
            // An empty context line that has lost its space.
            (hunk("-1,3 +1,3", " import os\n\n-def a():\n+def c():\n"), "@@ -1,3 +1,3 @@"),
            // Nothing known of the place: as it was.
            (hunk("-90,1 +90,1", "-no such line\n+x\n"), "@@ -90,1 +90,1 @@"),
            (hunk("-2 +2,2", " \n+x\n"), "@@ -2,1 +2,2 @@"),
        ] {
            let text = mended(&wrong, SOURCE).unwrap();
            assert_eq!(text.lines().nth(2), Some(right), "{wrong}");
        }
        let two = "--- a/app.py\n+++ b/app.py\n@@ -1 +1 @@\n-import os\n+import re\n+import sys\n@@ -3 +3 @@\n-def a():\n+def c():\n";
        assert!(mended(two, SOURCE).unwrap().contains("@@ -3,1 +4,1 @@"));
    }

    #[test]
    fn two_places_are_not_chosen_from() {
        let diff = hunk("-40,1 +40,1", "-    return 1\n+    return 2\n");
        assert_eq!(mended(&diff, SOURCE), Err(ReplyError::Where("app.py".to_owned())));
        let diff = hunk("-7,1 +7,1", "-    return 1\n+    return 2\n");
        assert_eq!(mended(&diff, SOURCE).unwrap(), diff, "where it says, it is");
    }

    #[test]
    fn removed_lines_that_look_like_headers_are_lines() {
        let sql = "-- old\n-- x\nselect 1\n";
        let diff = hunk("-1,3 +1,3", "--- old\n+++ new\n -- x\n select 1\n");
        assert_eq!(mended(&diff, sql).unwrap(), diff);
    }

    #[test]
    fn prose_after_a_diff_is_not_read() {
        let diff = hunk("-3,2 +3,2", " def a():\n-    return 1\n+    return 2\n");
        let mut patch = Patch::default();
        let read = patch.read(&format!("{diff}\nThat fixes it.\n")).unwrap();
        assert_eq!(read, diff.len() + 1);
        assert_eq!(patch.mended(&[]).unwrap(), diff);
    }

    #[test]
    fn what_is_no_diff_is_named() {
        for (text, part) in [
            ("nothing", "no `---`"),
            ("--- a/x\n+++ b/x\n", "no `@@` line"),
            ("--- a/x\n+++ b/x\n@@ somewhere @@\n+a\n", "`@@ somewhere @@`"),
            ("--- a/x\n+++ b/x\n@@ -1,1 +1,1 @@\n a\n", "changes nothing"),
            ("diff --git a/x b/y\nrename from x\nrename to y\n", "only text can be changed"),
            ("diff --git a/x b/x\nGIT binary patch\n", "only text can be changed"),
        ] {
            match Patch::of(text) {
                Err(ReplyError::Diff(why)) => assert!(why.contains(part), "{text}: {why}"),
                other => panic!("{text}: {other:?}"),
            }
        }
        let twice = hunk("-1 +1", "-import os\n+import re\n").repeat(2);
        assert_eq!(Patch::of(&twice).unwrap_err(), ReplyError::FileTwice("app.py".to_owned()));
    }
}
