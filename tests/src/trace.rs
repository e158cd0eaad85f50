//! What somebody may have left or changed: files, processes, mounts, control groups. It only looks.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::process;

/// Of each path: mode, owner, when it was written, and its bytes or where it leads.
pub type Tree = BTreeMap<PathBuf, (u32, u32, i64, i64, Vec<u8>)>;

/// Everything below a directory but what commands of a stage print; no link is followed. Of directories nothing is told but
/// that they are there: their times change with what is printed into them.
pub fn tree(top: &Path) -> Tree {
    let mut found = Tree::new();
    let mut open = vec![top.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display())) {
            let path = entry.expect("an entry").path();
            let Ok(meta) = fs::symlink_metadata(&path) else { continue };
            if path.extension().is_some_and(|ending| ending == "out" || ending == "err") {
                continue;
            }
            let bytes = match meta.file_type() {
                kind if kind.is_symlink() => {
                    fs::read_link(&path).unwrap_or_default().into_os_string().into_encoded_bytes()
                }
                kind if kind.is_file() => fs::read(&path).unwrap_or_default(),
                _ => Vec::new(),
            };
            let (written, exactly) = if meta.is_dir() { (0, 0) } else { (meta.mtime(), meta.mtime_nsec()) };
            if meta.is_dir() {
                open.push(path.clone());
            }
            found.insert(path, (meta.mode(), meta.uid(), written, exactly, bytes));
        }
    }
    found
}

/// The paths at which two trees differ.
pub fn differ(before: &Tree, after: &Tree) -> Vec<PathBuf> {
    let all = before.keys().chain(after.keys().filter(|path| !before.contains_key(*path)));
    all.filter(|path| before.get(*path) != after.get(*path)).cloned().collect()
}

/// Living processes that have this variable with this value in their environment.
pub fn marked(name: &str, value: &str) -> Vec<u32> {
    let ours = |pid: &u32| process::variable(*pid, name).is_some_and(|found| found == value);
    process::all().into_iter().filter(ours).filter(|pid| process::alive(*pid)).collect()
}

/// Living processes with this text among the words they were started with.
pub fn called(text: &str) -> Vec<u32> {
    let ours = |pid: &u32| process::words(*pid).iter().any(|word| word.contains(text));
    process::all().into_iter().filter(ours).filter(|pid| process::alive(*pid)).collect()
}

/// Mounts that this process sees, with this text in them.
pub fn mounts(text: &str) -> Vec<String> {
    let table = fs::read_to_string("/proc/self/mountinfo").expect("Linux");
    table.lines().filter(|line| line.contains(text)).map(str::to_owned).collect()
}

/// Control groups with this text in their names.
pub fn groups(text: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![PathBuf::from("/sys/fs/cgroup")];
    while let Some(dir) = open.pop() {
        // What goes meanwhile is not there.
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            if entry.file_name().to_string_lossy().contains(text) {
                found.push(entry.path());
            }
            open.push(entry.path());
        }
    }
    found
}

/// Entries of a directory whose names begin so.
pub fn named(dir: &Path, prefix: &str) -> Vec<PathBuf> {
    let ours = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with(prefix);
    fs::read_dir(dir).into_iter().flatten().flatten().filter(ours).map(|entry| entry.path()).collect()
}
