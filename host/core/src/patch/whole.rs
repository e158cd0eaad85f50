//! A manifest and the bytes of every file on both sides: all that is needed to apply a patch, to take it back and to show it,
//! whatever has become of the files since. It is kept as blobs, the manifest's own among them, before anything is changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::changes::ChangeSet;
use super::manifest::{Manifest, ManifestFile, Side};
use super::path::FilePath;
use super::refusal::{Reason, Refusal};
use super::tree::Tree;
use crate::id::{ComponentId, Digest};

/// One accepted change, complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patch {
    manifest: Manifest,
    bytes: BTreeMap<Digest, Arc<[u8]>>,
}

/// Bytes that a manifest names and that are not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the bytes `{0}`, which a patch names, are missing")]
pub struct Missing(pub Digest);

impl Patch {
    /// What these changes make of this tree, which is the one they were judged against.
    ///
    /// # Errors
    /// It is another one.
    pub fn of(component: ComponentId, changes: &ChangeSet, base: &Tree) -> Result<Self, Refusal> {
        // Looks at every file that is changed.
        changes.onto(base)?;
        let before = changes.files().iter().filter_map(|file| base.file(file.path().as_str()));
        let after = changes.files().iter().filter_map(|file| file.after());
        let bytes: Vec<Arc<[u8]>> = before.chain(after).cloned().collect();
        Self::new(Manifest::of(component, changes, base), bytes)
            .map_err(|missing| Refusal::new(Reason::Stale, missing.to_string()))
    }

    /// A manifest and bytes that were kept; what it does not name is left out.
    ///
    /// # Errors
    /// Something it names is missing.
    pub fn new(
        manifest: Manifest,
        bytes: impl IntoIterator<Item = impl Into<Arc<[u8]>>>,
    ) -> Result<Self, Missing> {
        let mut given: BTreeMap<Digest, Arc<[u8]>> = BTreeMap::new();
        for bytes in bytes {
            let bytes = bytes.into();
            given.insert(Digest::of(&bytes), bytes);
        }
        let found = |digest| given.get(&digest).map(|bytes| (digest, bytes.clone())).ok_or(Missing(digest));
        let bytes = manifest.named().into_iter().map(found).collect::<Result<_, _>>()?;
        Ok(Self { manifest, bytes })
    }

    /// Notes the modes that files have which go, as far as they are known.
    #[must_use]
    pub fn remembering(self, mode: impl Fn(&FilePath) -> Option<u32>) -> Self {
        Self { manifest: self.manifest.remembering(mode), ..self }
    }

    /// What it does.
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The bytes of a file on one side; none where there is no such file.
    pub fn file(&self, file: &ManifestFile, side: Side) -> Option<&Arc<[u8]>> {
        self.bytes.get(&file.at(side)?)
    }

    /// All that must be kept: the manifest, and the bytes it names.
    pub fn blobs(&self) -> impl Iterator<Item = &[u8]> {
        let bytes = self.bytes.values().map(|bytes| &**bytes);
        std::iter::once(self.manifest.json().as_bytes()).chain(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::patch::{Change, Proposal, Rules, gate};

    fn tree() -> Tree {
        let mut tree = Tree::default();
        tree.insert_file("app.py", b"x = 1\n");
        tree.insert_file("old.py", b"y = 1\n");
        tree
    }

    fn changes(base: &Tree) -> ChangeSet {
        let write =
            |path: &str, content: &[u8]| Change::Write { path: path.to_owned(), content: content.to_vec() };
        let changes = vec![
            write("app.py", b"x = 2\n"),
            write("new.py", b"z = 1\n"),
            Change::Delete { path: "old.py".to_owned() },
        ];
        let rules = Rules::default().with_deletions(true);
        gate(&Proposal { changes, ..Proposal::default() }, base, &rules).unwrap()
    }

    #[test]
    fn a_patch_holds_both_sides_of_every_file_and_comes_back_from_its_blobs() {
        let base = tree();
        let patch = Patch::of("web".parse().unwrap(), &changes(&base), &base).unwrap();
        let patch = patch.remembering(|path| (path.as_str() == "old.py").then_some(0o755));
        let [app, new, old] = patch.manifest().files() else { panic!("three files") };
        let side = |file, side| patch.file(file, side).map(|bytes| &**bytes);
        assert_eq!(side(app, Side::Before), Some(b"x = 1\n".as_slice()));
        assert_eq!(side(app, Side::After), Some(b"x = 2\n".as_slice()));
        assert_eq!((side(new, Side::Before), side(old, Side::After)), (None, None));
        assert_eq!((old.mode(), app.mode()), (Some(0o755), None));
        assert_eq!(patch.blobs().count(), 5);

        let blobs: Vec<Arc<[u8]>> = patch.blobs().map(Into::into).collect();
        let manifest = Manifest::read(&blobs[0]).unwrap();
        assert_eq!(&manifest, patch.manifest());
        assert_eq!(Patch::new(manifest.clone(), blobs).unwrap(), patch);
        let missing = Patch::new(manifest, [b"x = 1\n".as_slice()]).unwrap_err();
        assert!(missing.to_string().contains("missing"), "{missing}");
    }

    #[test]
    fn another_tree_than_the_judged_one_makes_no_patch() {
        let base = tree();
        let changes = changes(&base);
        let mut other = base;
        other.insert_file("app.py", b"x = 3\n");
        let refused = Patch::of("web".parse().unwrap(), &changes, &other).unwrap_err();
        assert_eq!((refused.code(), refused.file()), ("stale", Some("app.py")));
    }
}
