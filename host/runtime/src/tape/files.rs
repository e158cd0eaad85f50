//! Directories onto a tape and back. Nothing is followed out of a directory in either direction, and what is too much is
//! left out as a whole: half a directory would be played as if the rest had not been there.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Component, Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::Dir;

use razar_core::id::Digest;
use rustix::fs::{Mode, OFlags};

use super::recording::{Data, Mount, Recording};
use super::{MAX_BYTES, Tape};

/// Entries of all directories of a call.
const MAX_ENTRIES: usize = 4_000;

/// Directories that a call is given: a grant has a handful.
const MAX_MOUNTS: usize = 100;

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
                let data = plain(&entry.path(), room.saturating_sub(bytes))?;
                bytes += data.len() as u64;
                let digest = Digest::of(&data);
                mount.files.insert(path, digest);
                contents.push((digest, Data(data.into())));
            }
        }
    }
    mount.dirs.sort();
    Ok((mount, contents))
}

/// A file of at most so many bytes. Whoever writes there may put a link or a pipe in its place meanwhile: neither is followed or waited for.
fn plain(path: &Path, room: u64) -> io::Result<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("something in it is no file any more"));
    }
    let mut data = Vec::new();
    file.take(room.saturating_add(1)).read_to_end(&mut data)?;
    if data.len() as u64 > room {
        return Err(io::Error::other("it holds more than is recorded"));
    }
    Ok(data)
}

/// Where a directory of a tape lies.
pub(crate) fn place(dir: &Path, index: usize) -> PathBuf {
    dir.join(index.to_string())
}

/// Whether it names no more than one call may have. The same few bytes under many names would fill a disk.
pub(super) fn check(recording: &Recording) -> Result<(), String> {
    let (mut entries, mut bytes) = (0_usize, 0_u64);
    for mount in &recording.mounts {
        entries = entries.saturating_add(1 + mount.dirs.len() + mount.files.len() + mount.links.len());
        let found = mount.files.values().filter_map(|digest| recording.contents.get(digest));
        bytes = found.fold(bytes, |bytes, data| bytes.saturating_add(data.0.len() as u64));
    }
    if entries > MAX_ENTRIES + MAX_MOUNTS {
        return Err(format!("it names more than {MAX_ENTRIES} files and directories"));
    }
    // What stands in a secret's place may be longer.
    if bytes > 2 * MAX_BYTES {
        return Err(format!("its files hold more than {} MiB", (2 * MAX_BYTES) >> 20));
    }
    Ok(())
}

/// Lays all directories of a tape out below one that is empty. The recording may be a stranger's: nothing in it leads out of
/// its directory, neither a name nor a link that something is put behind, and it is no more than a call may have.
pub(super) fn lay_out(recording: &Recording, dir: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    check(recording).map_err(io::Error::other)?;
    let mut places = Vec::new();
    for (index, mount) in recording.mounts.iter().enumerate() {
        let top = place(dir, index);
        std::fs::create_dir(&top)?;
        let held = Dir::open_ambient_dir(&top, ambient_authority())?;
        for path in &mount.dirs {
            held.create_dir_all(inside(path)?)?;
        }
        for (path, digest) in &mount.files {
            let data = recording.contents.get(digest).ok_or_else(|| {
                io::Error::other(format!("the recording names a file `{digest}` that is not in it"))
            })?;
            held.write(inside(path)?, &data.0)?;
        }
        for (path, to) in &mount.links {
            held.symlink_contents(to, inside(path)?)?;
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
        // A link first, and something behind it.
        let again = tempfile::tempdir().unwrap();
        let outside = home.path().display().to_string();
        strange.mounts[0].dirs.clear();
        strange.mounts[0].links =
            [("a".to_owned(), outside), ("a/x".to_owned(), "/tmp/evil".to_owned())].into();
        assert!(lay_out(&strange, again.path()).is_err());
        assert!(home.path().join("x").symlink_metadata().is_err());
    }

    #[test]
    fn a_recording_that_names_more_than_a_call_may_have_is_not_laid_out() {
        let again = tempfile::tempdir().unwrap();
        let mount = |files: usize, data: &Digest| Mount {
            at: "/tree".to_owned(),
            writes: false,
            dirs: Vec::new(),
            files: (0..files).map(|number| (number.to_string(), *data)).collect(),
            links: Default::default(),
        };
        let large = Data(vec![0; 1 << 20].into());
        let digest = Digest::of(&large.0);
        let mut strange = Recording { contents: [(digest, large)].into(), ..Recording::default() };
        for (files, why) in [(17, "hold more than 16 MiB"), (5_000, "more than 4000 files")] {
            strange.mounts = vec![mount(files, &digest)];
            let refused = lay_out(&strange, again.path()).unwrap_err().to_string();
            assert!(refused.contains(why), "{refused}");
        }
        assert_eq!(std::fs::read_dir(again.path()).unwrap().count(), 0, "nothing was begun");
        strange.mounts = vec![mount(2, &digest)];
        lay_out(&strange, again.path()).unwrap();
    }

    #[test]
    fn a_pipe_or_a_link_in_place_of_a_file_is_neither_waited_for_nor_followed() {
        let home = tempfile::tempdir().unwrap();
        let (pipe, link, file) =
            (home.path().join("pipe"), home.path().join("link"), home.path().join("file"));
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, Mode::RWXU).unwrap();
        std::fs::write(&file, "12345").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert!(plain(&pipe, 9).is_err() && plain(&link, 9).is_err());
        assert!(plain(&file, 4).is_err());
        assert_eq!(plain(&file, 5).unwrap(), b"12345");
    }
}
