//! A scratch copy of a component for an agent that edits files where they are, and what is different in it afterwards. What is in
//! it is what an agent may see: text, redacted and bounded, without links; what comes out is an opinion like any other, for the gate
//! and the trial. Must never hold a secret, and never follow what somebody put into it.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use razar_core::grant::WorkspacePermit;
use razar_runtime::contract::agent::{Brief, Change, Proposal, Remedy, SourceFile};

use super::tree::{Tree, Why};

/// Says to an agent where it is; and says in a proposal that it was worked in.
const OFFERED: &str = "workspace";
const CHANGED: &str = "workspace-changed";

/// A copy that lasts as long as this value.
#[derive(Debug)]
pub(crate) struct Workspace(PathBuf);

impl Drop for Workspace {
    fn drop(&mut self) {
        // What is left is removed with the next copy of this name.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Why what is in a copy is no patch.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unfit {
    /// It cannot be read any more.
    #[error("the copy cannot be read: {0}")]
    Read(#[from] io::Error),
    /// Something was put there that no patch can hold.
    #[error("`{0}` was put into the copy: {1}")]
    Strange(String, Why),
    /// Nothing is different.
    #[error("nothing in the copy was changed")]
    Unchanged,
}

impl Workspace {
    /// Writes the tree below a directory of the host's, under a name of its own. What lay there before is removed.
    pub(crate) fn make(_: &WorkspacePermit, below: &Path, name: &str, tree: &Tree) -> io::Result<Self> {
        let private =
            |recursive: bool, dir: &Path| DirBuilder::new().recursive(recursive).mode(0o700).create(dir);
        private(true, below)?;
        let dir = below.canonicalize()?.join(name);
        match fs::remove_dir_all(&dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        private(false, &dir)?;
        let copy = Self(dir);
        for (path, text) in tree.files() {
            let file = copy.0.join(path);
            if let Some(parent) = file.parent() {
                private(true, parent)?;
            }
            fs::write(file, text)?;
        }
        Ok(copy)
    }

    /// Tells an agent where it is.
    pub(crate) fn offer(&self, brief: &mut Brief) {
        brief.extensions.push((OFFERED.to_owned(), self.0.display().to_string()));
    }

    /// The proposal, with what is different in the copy where it says that this is the remedy.
    pub(crate) fn told(&self, tree: &Tree, proposal: Proposal) -> Result<Proposal, Unfit> {
        let is_here = |(key, value): &(String, String)| key == CHANGED && Path::new(value) == self.0;
        if !proposal.extensions.iter().any(is_here) {
            return Ok(proposal);
        }
        Ok(Proposal { remedy: Remedy::Patch(self.changes(tree)?), ..proposal })
    }

    /// What is different from the tree it was made of.
    fn changes(&self, tree: &Tree) -> Result<Vec<Change>, Unfit> {
        let after = Tree::as_it_is(&self.0)?;
        if let Some((path, why)) = after.withheld().next() {
            return Err(Unfit::Strange(path.to_owned(), why));
        }
        let written =
            after.files().filter(|(path, text)| tree.file(path) != Some(*text)).map(|(path, text)| {
                Change::Write(SourceFile { path: path.to_owned(), content: text.as_bytes().to_vec() })
            });
        let deleted = tree.files().filter(|(path, _)| after.file(path).is_none());
        let changes: Vec<Change> =
            written.chain(deleted.map(|(path, _)| Change::Delete(path.to_owned()))).collect();
        if changes.is_empty() { Err(Unfit::Unchanged) } else { Ok(changes) }
    }
}

#[cfg(test)]
mod tests {
    use razar_core::grant::{Grant, Request, Role, StandingGrant};
    use razar_core::redact::Redactor;

    use super::*;

    fn permit() -> WorkspacePermit {
        let request = Request { workspace: true, ..Request::default() };
        let grant = Grant { workspace: true, ..Grant::default() };
        StandingGrant::new(Role::Agent, &request, &grant).permit_workspace().unwrap()
    }

    fn component() -> (tempfile::TempDir, Tree) {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("src")).unwrap();
        fs::write(dir.path().join("src/app.py"), "password = 'c4nary-one'\nnane = 1\n").unwrap();
        fs::write(dir.path().join("old.py"), "x = 1\n").unwrap();
        fs::write(dir.path().join(".env"), "KEY=c4nary-two").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("link")).unwrap();
        let tree = Tree::read(dir.path(), Redactor::default()).unwrap();
        (dir, tree)
    }

    #[test]
    fn a_copy_has_no_secret_and_its_difference_is_a_patch() {
        let (_dir, tree) = component();
        let place = tempfile::tempdir().unwrap();
        let below = place.path().join("workspaces");
        let copy = Workspace::make(&permit(), &below, "web-1", &tree).unwrap();
        let file = copy.0.join("src/app.py");
        let text = fs::read_to_string(&file).unwrap();
        assert!(!text.contains("c4nary") && text.contains("[redacted-"), "{text}");
        assert!(!copy.0.join(".env").exists() && !copy.0.join("link").exists());
        assert!(matches!(copy.changes(&tree), Err(Unfit::Unchanged)));

        let fixed = text.replace("nane", "name");
        fs::write(&file, &fixed).unwrap();
        fs::remove_file(copy.0.join("old.py")).unwrap();
        fs::write(copy.0.join("new.py"), "token = 'as-it-is'\n").unwrap();
        let write = |path: &str, text: &str| {
            Change::Write(SourceFile { path: path.to_owned(), content: text.as_bytes().to_vec() })
        };
        assert_eq!(
            copy.changes(&tree).unwrap(),
            [
                write("new.py", "token = 'as-it-is'\n"),
                write("src/app.py", &fixed),
                Change::Delete("old.py".into())
            ]
        );
        let path = copy.0.clone();
        drop(copy);
        assert!(!path.exists() && below.exists());
    }

    #[test]
    fn only_who_says_that_he_worked_there_is_believed_to_have() {
        let (_dir, tree) = component();
        let place = tempfile::tempdir().unwrap();
        let copy = Workspace::make(&permit(), place.path(), "web-1", &tree).unwrap();
        fs::write(copy.0.join("new.py"), "x = 2\n").unwrap();
        let proposal = |extensions: &[(&str, &str)]| Proposal {
            remedy: Remedy::Decline("as it was".to_owned()),
            rationale: String::new(),
            extensions: extensions
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect(),
        };
        for other in [&[][..], &[(CHANGED, "/elsewhere")], &[(OFFERED, copy.0.to_str().unwrap())]] {
            assert_eq!(copy.told(&tree, proposal(other)).unwrap(), proposal(other));
        }
        let told = copy.told(&tree, proposal(&[(CHANGED, copy.0.to_str().unwrap())])).unwrap();
        assert!(matches!(told.remedy, Remedy::Patch(changes) if changes.len() == 1));
    }

    #[test]
    fn what_no_patch_can_hold_is_named() {
        let (_dir, tree) = component();
        let place = tempfile::tempdir().unwrap();
        for (name, put) in [
            ("link", (|path: &Path| std::os::unix::fs::symlink("/etc/passwd", path).unwrap()) as fn(&Path)),
            ("bytes.bin", |path| fs::write(path, [0, 1, 2]).unwrap()),
            (".env", |path| fs::write(path, "KEY=x").unwrap()),
            ("big.py", |path| fs::write(path, "x".repeat(1 << 20)).unwrap()),
        ] {
            let copy = Workspace::make(&permit(), place.path(), "web-1", &tree).unwrap();
            put(&copy.0.join(name));
            assert!(matches!(copy.changes(&tree), Err(Unfit::Strange(path, _)) if path == name), "{name}");
        }
    }

    #[test]
    fn what_an_earlier_host_left_is_not_taken_for_a_change() {
        let (_dir, tree) = component();
        let place = tempfile::tempdir().unwrap();
        fs::create_dir(place.path().join("web-1")).unwrap();
        fs::write(place.path().join("web-1/left.py"), "x").unwrap();
        let copy = Workspace::make(&permit(), place.path(), "web-1", &tree).unwrap();
        assert!(matches!(copy.changes(&tree), Err(Unfit::Unchanged)));
    }
}
