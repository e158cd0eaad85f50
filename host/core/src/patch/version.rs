//! The files of a component as they were while it was well: what can be gone back to when nobody has a better idea. A version
//! holds only what a proposal may change, and going back is a proposal like any other: gate, trial and canary judge it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use super::manifest::{Manifest, Side};
use super::path::FilePath;
use super::proposal::{Change, Proposal};
use super::rules::Rules;
use super::text::readable;
use super::tree::{Node, Tree};
use crate::id::Digest;

/// Files of one version: more is no service's source.
const MAX_FILES: usize = 2_000;
/// Bytes in all of them.
const MAX_BYTES: usize = 8 << 20;
/// Bytes of the document that names them.
const MAX_DOCUMENT: usize = 2 << 20;

/// Which files there were, and what they were.
#[derive(Clone, PartialEq, Eq)]
pub struct Version {
    files: BTreeMap<FilePath, Digest>,
    json: String,
}

/// Why the files are no version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoVersion {
    /// Nothing of it may be changed, so there is nothing to go back to.
    #[error("no file of it may be changed")]
    Empty,
    /// There is more than sources.
    #[error(
        "it has more than {MAX_FILES} files or {MAX_BYTES} bytes that may be changed: name its sources with `patch.roots`"
    )]
    Large,
    /// It is not what [`Version::json`] writes.
    #[error("what is kept is no version")]
    Form,
}

impl Version {
    /// What of a tree can be gone back to.
    ///
    /// # Errors
    /// Nothing, or too much.
    pub fn of(tree: &Tree, rules: &Rules) -> Result<Self, NoVersion> {
        let mut files = BTreeMap::new();
        let mut size = 0;
        for (path, node) in tree.iter() {
            let (Node::File(bytes), Ok(path)) = (node, path.parse::<FilePath>()) else { continue };
            // What no gate lets through cannot be brought back.
            if rules.judge(&path).is_err() || readable(bytes).is_err() {
                continue;
            }
            size += bytes.len();
            files.insert(path, Digest::of(bytes));
            if files.len() > MAX_FILES || size > MAX_BYTES {
                return Err(NoVersion::Large);
            }
        }
        if files.is_empty() { Err(NoVersion::Empty) } else { Ok(Self::written(files)) }
    }

    /// Reads one back.
    ///
    /// # Errors
    /// It is not exactly what [`Self::json`] writes.
    pub fn read(bytes: &[u8]) -> Result<Self, NoVersion> {
        if bytes.len() > MAX_DOCUMENT {
            return Err(NoVersion::Form);
        }
        let files: BTreeMap<String, Digest> = serde_json::from_slice(bytes).map_err(|_| NoVersion::Form)?;
        let file =
            |(path, digest): (String, Digest)| Ok((path.parse().map_err(|_| NoVersion::Form)?, digest));
        let version = Self::written(files.into_iter().map(file).collect::<Result<_, _>>()?);
        if version.json.as_bytes() == bytes { Ok(version) } else { Err(NoVersion::Form) }
    }

    fn written(files: BTreeMap<FilePath, Digest>) -> Self {
        let entry = |(path, digest): (&FilePath, &Digest)| {
            format!("{}:\"{digest}\"", serde_json::Value::from(path.as_str()))
        };
        let entries: Vec<String> = files.iter().map(entry).collect();
        Self { json: format!("{{{}}}", entries.join(",")), files }
    }

    /// The document.
    pub fn json(&self) -> &str {
        &self.json
    }

    /// Its name.
    pub fn digest(&self) -> Digest {
        Digest::of(self.json.as_bytes())
    }

    /// Everything that must be kept to go back to it: the document, and the bytes it names.
    pub fn blobs(&self, tree: &Tree) -> Vec<Arc<[u8]>> {
        let bytes = self.files.keys().filter_map(|path| tree.file(path.as_str())).cloned();
        std::iter::once(self.json.as_bytes().into()).chain(bytes).collect()
    }

    /// The digests of what differs from these files, which going back needs the bytes of.
    pub fn needed(&self, now: &Tree) -> BTreeSet<Digest> {
        self.other(now).map(|(_, digest)| digest).collect()
    }

    /// Whether these changes are a way back to it.
    pub fn holds(&self, changes: &Manifest) -> bool {
        changes.files().iter().all(|file| self.files.get(file.path()).copied() == file.at(Side::After))
    }

    /// What going back is, as a proposal. Files that came since stay where nothing may be deleted: the trial says whether that
    /// does.
    pub fn proposal(&self, now: &Tree, rules: &Rules, bytes: &BTreeMap<Digest, Vec<u8>>) -> Proposal {
        let write = |(path, digest): (&FilePath, Digest)| {
            Some(Change::Write { path: path.to_string(), content: bytes.get(&digest)?.clone() })
        };
        let came = |(path, node): (&str, &Node)| {
            let is_new = matches!(node, Node::File(bytes) if readable(bytes).is_ok())
                && path
                    .parse::<FilePath>()
                    .is_ok_and(|path| !self.files.contains_key(&path) && rules.judge(&path).is_ok());
            is_new.then(|| Change::Delete { path: path.to_owned() })
        };
        let mut changes: Vec<Change> = self.other(now).filter_map(write).collect();
        if rules.deletions() {
            changes.extend(now.iter().filter_map(came));
        }
        Proposal { changes, ..Proposal::default() }
    }

    fn other<'v>(&'v self, now: &'v Tree) -> impl Iterator<Item = (&'v FilePath, Digest)> {
        let files = self.files.iter().map(|(path, digest)| (path, *digest));
        files.filter(|(path, digest)| now.digest(path.as_str()) != Some(*digest))
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.json)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::patch::gate;

    fn tree(files: &[(&str, &[u8])]) -> Tree {
        let mut tree = Tree::default();
        files.iter().for_each(|(path, bytes)| tree.insert_file(path, bytes));
        tree
    }

    fn kept(version: &Version, then: &Tree) -> BTreeMap<Digest, Vec<u8>> {
        version.blobs(then).iter().map(|bytes| (Digest::of(bytes), bytes.to_vec())).collect()
    }

    #[test]
    fn going_back_is_a_proposal_that_makes_the_files_what_they_were() {
        let well = tree(&[
            ("app.py", b"1\n"),
            ("lib/a.py", b"a\n"),
            ("tests/test_app.py", b"t\n"),
            ("x.bin", b"\0"),
        ]);
        let now = tree(&[
            ("app.py", b"2\n"),
            ("lib/b.py", b"n\n"),
            ("tests/test_app.py", b"u\n"),
            ("x.bin", b"\x01\0"),
        ]);
        for deletions in [false, true] {
            let rules = Rules::default().with_deletions(deletions);
            let version = Version::of(&well, &rules).unwrap();
            assert_eq!(version.needed(&now).len(), 2, "tests and what is no text are not part of it");
            let proposal = version.proposal(&now, &rules, &kept(&version, &well));
            let after = gate(&proposal, &now, &rules).unwrap().onto(&now).unwrap();
            assert_eq!(after.file("app.py").map(|bytes| &**bytes), Some(&b"1\n"[..]));
            assert_eq!(after.file("lib/a.py").map(|bytes| &**bytes), Some(&b"a\n"[..]));
            assert_eq!(after.file("tests/test_app.py").map(|bytes| &**bytes), Some(&b"u\n"[..]));
            assert_eq!(after.get("lib/b.py").is_none(), deletions);
            let changes = gate(&proposal, &now, &rules).unwrap();
            let back = Manifest::of("shop".parse().unwrap(), &changes, &now);
            assert!(version.holds(&back) && !Version::of(&now, &rules).unwrap().holds(&back));
            let same = version.proposal(&well, &rules, &BTreeMap::new());
            assert!(same.changes.is_empty());
        }
    }

    #[test]
    fn it_is_read_back_exactly_or_not_at_all() {
        let files = tree(&[("a \"b\".py", b"1\n"), ("c/d.py", b"2\n")]);
        let version = Version::of(&files, &Rules::default()).unwrap();
        assert_eq!(Version::read(version.json().as_bytes()), Ok(version.clone()));
        let other = version.json().replace("c/d.py", "../d.py");
        for bad in ["", "{", "[]", " {}", &version.json().replace(':', ": "), &other] {
            assert_eq!(Version::read(bad.as_bytes()), Err(NoVersion::Form), "{bad}");
        }
        assert_eq!(Version::of(&Tree::default(), &Rules::default()), Err(NoVersion::Empty));
        let mut many = Tree::default();
        (0..=MAX_FILES).for_each(|index| many.insert_file(&format!("f{index}.py"), b"x\n"));
        assert_eq!(Version::of(&many, &Rules::default()), Err(NoVersion::Large));
    }
}
