//! Directories onto a tape and back. Nothing is followed out of a directory in either direction, and what is too much is
//! left out as a whole: half a directory would be played as if the rest had not been there.

use std::io;
use std::path::{Component, Path, PathBuf};

use razar_core::id::Digest;

use super::Tape;
use super::recording::{Data, Mount, Recording};

/// Entries of all directories of a call.
const MAX_ENTRIES: usize = 4_000;

/// What is handed over, before the guest runs.
#[derive(Debug, Clone)]
pub(crate) struct Given {
    pub(crate) path: PathBuf,
    pub(crate) at: String,
    pub(crate) writes: bool,
}

/// Writes down all of them.
pub(crate) fn keep(tape: &Tape, given: &[Given]) {
    let mut left = MAX_ENTRIES;
    for one in given {
        match read(one, &mut left, tape.room()) {
            Ok((mount, contents)) => {
                let bytes = contents.iter().map(|(_, data)| data.0.len() + 64).sum();
                tape.write(bytes, |writing| {
                    writing.recording.mounts.push(mount);
                    writing.recording.contents.extend(contents);
                });
            }
            Err(error) => tape.leave_out(format!("`{}`: {error}", one.at)),
        }
    }
}

fn read(given: &Given, left: &mut usize, room: u64) -> io::Result<(Mount, Vec<(Digest, Data)>)> {
    let mut mount = Mount {
        at: given.at.clone(),
        writes: given.writes,
        dirs: Vec::new(),
        files: Default::default(),
        links: Default::default(),
    };
    let (mut contents, mut bytes) = (Vec::new(), 0);
    let mut waiting = vec![(given.path.clone(), String::new())];
    while let Some((dir, below)) = waiting.pop() {
        for entry in std::fs::read_dir(&dir)? {
            let entry = entry?;
            *left = left.checked_sub(1).ok_or_else(|| {
                io::Error::other(format!(
                    "it has more than {MAX_ENTRIES} entries, which is more than is recorded"
                ))
            })?;
            let name =
                entry.file_name().into_string().map_err(|_| io::Error::other("a name in it is not UTF-8"))?;
            let path = if below.is_empty() { name } else { format!("{below}/{name}") };
            let kind = entry.file_type()?;
            if kind.is_dir() {
                mount.dirs.push(path.clone());
                waiting.push((entry.path(), path));
            } else if kind.is_symlink() {
                let to = std::fs::read_link(entry.path())?;
                let to = to
                    .into_os_string()
                    .into_string()
                    .map_err(|_| io::Error::other("a link in it is not UTF-8"))?;
                mount.links.insert(path, to);
            } else if kind.is_file() {
                bytes += entry.metadata()?.len();
                if bytes > room {
                    return Err(io::Error::other("it holds more than is recorded"));
                }
                let data = std::fs::read(entry.path())?;
                let digest = Digest::of(&data);
                mount.files.insert(path, digest);
                contents.push((digest, Data(data)));
            }
        }
    }
    mount.dirs.sort();
    Ok((mount, contents))
}

/// Where a directory of a tape lies.
pub(crate) fn place(dir: &Path, index: usize) -> PathBuf {
    dir.join(index.to_string())
}

/// Lays all directories of a tape out below one that is empty.
pub(super) fn lay_out(recording: &Recording, dir: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let mut places = Vec::new();
    for (index, mount) in recording.mounts.iter().enumerate() {
        let top = place(dir, index);
        std::fs::create_dir(&top)?;
        for path in &mount.dirs {
            std::fs::create_dir_all(top.join(inside(path)?))?;
        }
        for (path, digest) in &mount.files {
            let data = recording.contents.get(digest).ok_or_else(|| {
                io::Error::other(format!("the recording names a file `{digest}` that is not in it"))
            })?;
            std::fs::write(top.join(inside(path)?), &data.0)?;
        }
        // Last: nothing is written through them.
        for (path, to) in &mount.links {
            std::os::unix::fs::symlink(to, top.join(inside(path)?))?;
        }
        places.push((mount.at.clone(), top));
    }
    Ok(places)
}

/// A path of a recording, which may be a stranger's.
fn inside(path: &str) -> io::Result<&Path> {
    let found = Path::new(path);
    let plain = found.components().all(|part| matches!(part, Component::Normal(_)));
    if plain && !path.is_empty() {
        Ok(found)
    } else {
        Err(io::Error::other(format!(
            "the recording names a path that leads elsewhere: `{}`",
            path.escape_debug()
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_comes_back_as_it_was() {
        let home = tempfile::tempdir().unwrap();
        let (tree, again) = (home.path().join("tree"), home.path().join("again"));
        std::fs::create_dir_all(tree.join("a/empty")).unwrap();
        std::fs::create_dir(&again).unwrap();
        std::fs::write(tree.join("a/x.py"), "x = 1\n").unwrap();
        std::fs::write(tree.join("raw"), b"\xff\0").unwrap();
        std::os::unix::fs::symlink("a/x.py", tree.join("link")).unwrap();
        let tape = Tape::record();
        keep(&tape, &[Given { path: tree, at: "/tree".to_owned(), writes: false }]);
        let recording = tape.take();
        assert!(recording.is_whole());
        lay_out(&recording, &again).unwrap();
        let top = place(&again, 0);
        assert_eq!(std::fs::read_to_string(top.join("link")).unwrap(), "x = 1\n");
        assert_eq!(std::fs::read(top.join("raw")).unwrap(), b"\xff\0");
        assert!(top.join("a/empty").is_dir());
    }

    #[test]
    fn what_is_too_much_is_left_out_and_what_leads_elsewhere_is_refused() {
        let home = tempfile::tempdir().unwrap();
        std::fs::File::create(home.path().join("hole")).unwrap().set_len(1 << 30).unwrap();
        let tape = Tape::record();
        keep(&tape, &[Given { path: home.path().to_owned(), at: "/data".to_owned(), writes: false }]);
        let recording = tape.take();
        assert!(!recording.is_whole() && recording.left_out[0].contains("/data"), "{:?}", recording.left_out);
        for path in ["../out", "/etc/x", "a/../../b", "", "."] {
            assert!(inside(path).is_err(), "{path}");
        }
        let mut strange = Recording::default();
        strange.mounts.push(Mount {
            at: "/tree".to_owned(),
            writes: false,
            dirs: vec!["../out".to_owned()],
            files: Default::default(),
            links: Default::default(),
        });
        let again = tempfile::tempdir().unwrap();
        assert!(lay_out(&strange, again.path()).is_err());
        assert!(!again.path().join("out").exists());
    }
}
