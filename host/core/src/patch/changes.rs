//! The outcome of the gate: what will be different, file by file, and nothing else. Only the gate makes one; whoever holds
//! one knows that every path in it is free to be changed.

use std::sync::Arc;

use super::path::FilePath;
use super::refusal::{Reason, Refusal};
use super::tree::{Node, Tree};
use crate::id::Digest;

/// One file that will be different.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileChange {
    pub(super) path: FilePath,
    pub(super) before: Option<Digest>,
    pub(super) after: Option<Arc<[u8]>>,
    pub(super) added: u32,
    pub(super) removed: u32,
}

/// What happens to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChangeKind {
    /// It is new.
    Create,
    /// It gets other bytes.
    Modify,
    /// It goes.
    Delete,
}

impl ChangeKind {
    /// The word in logs and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Modify => "modify",
            Self::Delete => "delete",
        }
    }
}

impl FileChange {
    /// Which file.
    pub const fn path(&self) -> &FilePath {
        &self.path
    }

    /// What happens to it.
    pub const fn kind(&self) -> ChangeKind {
        match (&self.before, &self.after) {
            (None, _) => ChangeKind::Create,
            (Some(_), Some(_)) => ChangeKind::Modify,
            (Some(_), None) => ChangeKind::Delete,
        }
    }

    /// What it must be now; none for a file that must not be there.
    pub const fn before(&self) -> Option<Digest> {
        self.before
    }

    /// Its bytes afterwards; none for a file that goes.
    pub const fn after(&self) -> Option<&Arc<[u8]>> {
        self.after.as_ref()
    }

    /// Lines that are new.
    pub const fn added(&self) -> u32 {
        self.added
    }

    /// Lines that go.
    pub const fn removed(&self) -> u32 {
        self.removed
    }
}

/// Changes that passed the gate: by path, no path twice, at least one. All of them are made or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeSet {
    files: Vec<FileChange>,
}

impl ChangeSet {
    pub(super) fn new(mut files: Vec<FileChange>) -> Self {
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Self { files }
    }

    /// The files, by path.
    pub fn files(&self) -> &[FileChange] {
        &self.files
    }

    /// Lines that are new, over all files.
    pub fn added(&self) -> u64 {
        self.files.iter().map(|file| u64::from(file.added)).sum()
    }

    /// Lines that go, over all files.
    pub fn removed(&self) -> u64 {
        self.files.iter().map(|file| u64::from(file.removed)).sum()
    }

    /// What names these changes: the same for two proposals that make the same of the same files.
    pub fn digest(&self) -> Digest {
        let name =
            |digest: Option<Digest>| digest.map_or_else(|| "-".to_owned(), |digest| digest.to_string());
        let line = |file: &FileChange| {
            let after = file.after.as_ref().map(|bytes| Digest::of(bytes));
            format!("{}\n{}\n{}\n", file.path, name(file.before), name(after))
        };
        Digest::of(self.files.iter().map(line).collect::<String>().as_bytes())
    }

    /// The tree afterwards.
    ///
    /// # Errors
    /// A file is not what it was when the gate looked at it.
    pub fn onto(&self, base: &Tree) -> Result<Tree, Refusal> {
        let mut result = base.clone();
        for file in &self.files {
            let path = file.path.as_str();
            let unchanged = match file.before {
                Some(before) => base.digest(path) == Some(before),
                None => base.get(path).is_none(),
            };
            if !unchanged {
                return Err(Refusal::new(Reason::Stale, "it is not what it was when it was judged").of(path));
            }
            match &file.after {
                Some(bytes) => result.insert(path, Node::File(bytes.clone())),
                None => result.remove(path),
            }
        }
        Ok(result)
    }

    /// Holds the result against what was announced: these files differ and no others, each by so many lines.
    pub(super) fn compare(&self, base: &Tree, result: &Tree) -> Result<(), Refusal> {
        let wrong = |what: String, file: &str| Err(Refusal::new(Reason::Unannounced, what).of(file));
        let announced: Vec<&str> = self.files.iter().map(|file| file.path.as_str()).collect();
        let mut differences = base.differences(result);
        differences.sort_unstable();
        if let Some(more) = differences.iter().find(|path| !announced.contains(path)) {
            return wrong("it would change, and nothing says so".to_owned(), more);
        }
        for file in &self.files {
            let path = file.path.as_str();
            if !differences.contains(&path) {
                return wrong("it is said to change, and would not".to_owned(), path);
            }
            let (before, after) = (lines(base.file(path)), lines(result.file(path)));
            if before + u64::from(file.added) != after + u64::from(file.removed) {
                let said = format!("{} lines added and {} removed", file.added, file.removed);
                return wrong(format!("{before} lines would become {after}, but {said} are announced"), path);
            }
        }
        Ok(())
    }
}

fn lines(bytes: Option<&Arc<[u8]>>) -> u64 {
    bytes.map_or(0, |bytes| bytes.split_inclusive(|byte| *byte == b'\n').count() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(
        path: &str,
        before: Option<&[u8]>,
        after: Option<&[u8]>,
        added: u32,
        removed: u32,
    ) -> FileChange {
        let path = path.parse().unwrap();
        FileChange { path, before: before.map(Digest::of), after: after.map(Into::into), added, removed }
    }

    #[test]
    fn a_set_is_applied_whole_or_not_at_all() {
        let mut base = Tree::default();
        base.insert_file("a.py", b"1\n2\n");
        base.insert_file("b.py", b"x\n");
        let set = ChangeSet::new(vec![
            change("c.py", None, Some(b"new\n"), 1, 0),
            change("a.py", Some(b"1\n2\n"), Some(b"1\n"), 0, 1),
            change("b.py", Some(b"x\n"), None, 0, 1),
        ]);
        assert_eq!((set.added(), set.removed(), set.files()[0].path().as_str()), (1, 2, "a.py"));
        let result = set.onto(&base).unwrap();
        assert_eq!(result.differences(&base).len(), 3);
        set.compare(&base, &result).unwrap();
        assert_eq!(set.onto(&result).unwrap_err().code(), "stale");

        let mut more = result.clone();
        more.insert_file("d.py", b"");
        assert_eq!(
            set.compare(&base, &more).unwrap_err().to_string(),
            "d.py: it would change, and nothing says so (unannounced)"
        );
        assert_eq!(set.compare(&base, &base).unwrap_err().code(), "unannounced");
        let off = ChangeSet::new(vec![change("a.py", Some(b"1\n2\n"), Some(b"1\n"), 1, 1)]);
        assert_eq!(off.compare(&base, &off.onto(&base).unwrap()).unwrap_err().code(), "unannounced");
    }

    #[test]
    fn the_digest_names_what_is_made_of_what() {
        let one = ChangeSet::new(vec![change("a.py", Some(b"1"), Some(b"2"), 1, 1)]);
        let same = ChangeSet::new(vec![change("a.py", Some(b"1"), Some(b"2"), 9, 9)]);
        let other = ChangeSet::new(vec![change("a.py", Some(b"0"), Some(b"2"), 1, 1)]);
        assert_eq!(one.digest(), same.digest());
        assert_ne!(one.digest(), other.digest());
    }
}
