//! The host's own tests, planted beside the component's in a tree that is a copy: whoever does not run what he says he ran is
//! found out by them. It judges nothing.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use razar_core::patch::Sentinels;

/// Directories that are looked into for tests.
const MAX_DIRECTORIES: usize = 2_000;

/// The host's own tests in a tree that is a copy.
pub(super) struct Planted {
    sentinels: Option<Sentinels>,
    files: Vec<PathBuf>,
}

impl Planted {
    /// Beside the tests of the first directory that has any; nowhere, if none has.
    pub(super) fn in_tree(tree: &Path, seed: u64) -> std::io::Result<Self> {
        let Some((directory, names)) = test_directory(tree)? else {
            return Ok(Self { sentinels: None, files: Vec::new() });
        };
        let sentinels = Sentinels::python(seed, &directory, &names);
        let mut files = Vec::new();
        for file in sentinels.iter().flat_map(Sentinels::files) {
            let path = tree.join(file.path.as_str());
            std::fs::write(&path, &file.content)?;
            // Who is judged reads them.
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644))?;
            files.push(path);
        }
        Ok(Self { sentinels, files })
    }

    /// What was planted, and how it must come out.
    pub(super) const fn sentinels(&self) -> Option<&Sentinels> {
        self.sentinels.as_ref()
    }

    /// Their paths in the tree.
    pub(super) fn names(&self, tree: &Path) -> Vec<String> {
        let below = |file: &PathBuf| Some(file.strip_prefix(tree).ok()?.to_str()?.to_owned());
        self.files.iter().filter_map(below).collect()
    }

    /// Takes them away again.
    pub(super) fn dig_up(self) -> std::io::Result<()> {
        self.files.iter().try_for_each(std::fs::remove_file)
    }
}

/// The first directory with Python tests, by depth and name, and what is in it.
fn test_directory(tree: &Path) -> std::io::Result<Option<(String, BTreeSet<String>)>> {
    let mut open = std::collections::VecDeque::from([String::new()]);
    let mut seen = 0;
    while let Some(directory) = open.pop_front() {
        seen += 1;
        if seen > MAX_DIRECTORIES {
            return Ok(None);
        }
        let (mut names, mut inside) = (BTreeSet::new(), BTreeSet::new());
        for entry in std::fs::read_dir(tree.join(&directory))? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            if entry.file_type()?.is_dir() {
                inside.insert(name.clone());
            }
            names.insert(name);
        }
        let is_test = |name: &String| name.starts_with("test") && name.ends_with(".py");
        if names.iter().any(is_test) {
            return Ok(Some((directory, names)));
        }
        let below = |name: String| if directory.is_empty() { name } else { format!("{directory}/{name}") };
        open.extend(inside.into_iter().map(below));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_planted_beside_the_first_tests_and_taken_away_again() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("app/tests")).unwrap();
        std::fs::write(dir.path().join("app/tests/test_app.py"), "").unwrap();
        let planted = Planted::in_tree(dir.path(), 7).unwrap();
        assert!(planted.files.len() == 2 && planted.files.iter().all(|file| file.exists()));
        assert!(planted.files.iter().all(|file| file.parent() == Some(&*dir.path().join("app/tests"))));
        let files = planted.files.clone();
        planted.dig_up().unwrap();
        assert!(files.iter().all(|file| !file.exists()));
    }

    #[test]
    fn a_tree_without_tests_gets_none() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("app.py"), "").unwrap();
        assert!(Planted::in_tree(dir.path(), 7).unwrap().sentinels.is_none());
    }
}
