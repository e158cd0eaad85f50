//! The directories of one call.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use razar_core::grant::{Access, DirPermit, Limits};
use rustix::fs::FileType;
use wasmtime_wasi::{FsPerms, WasiCtxBuilder};

use super::room::{Amount, Room, Trees};
use super::{FilesError, Scratch, TailDir, tail};
use crate::guard::{self, Guard};
use crate::tape::Playing;
use crate::tape::files::{Given, place};

/// Where a component's log is seen. Core gives this place to nothing else.
const LOG: &str = "/log";

/// Where an evaluator sees what it judges and where it works. Core gives these places to nothing else either.
const TREE: [&str; 2] = ["/tree", "/scratch"];

/// How much of a log is copied: a few thousand lines, and far less than a call may pass through the border.
const TAIL_BYTES: u64 = 256 * 1024;

/// How many entries of a granted directory are looked at: looking at more would cost more than the call.
const MAX_ENTRIES: usize = 10_000;

/// How many directories deep it is looked at.
const MAX_DEPTH: usize = 32;

/// The directories of one call, ready to be handed over. Copies are removed when this is dropped: keep it as long
/// as the call lasts.
#[derive(Debug, Default)]
#[must_use = "the copies are removed when this is dropped"]
pub struct Mounts {
    granted: Vec<Granted>,
    log: Option<TailDir>,
    room: Option<Arc<Room>>,
    /// Copies that are there for this call alone: whoever reads them waits for nobody.
    copies: bool,
}

#[derive(Debug)]
struct Granted {
    path: PathBuf,
    at: String,
    access: Access,
}

impl Mounts {
    /// Copies, opens and checks what the permits say. What may be added to directories for writing is what `limits` leave
    /// of the plugin's `trees`.
    pub async fn prepare(
        permits: &[DirPermit],
        scratch: &Scratch,
        trees: &Trees,
        limits: &Limits,
    ) -> Result<Self, FilesError> {
        let mut mounts = Self::default();
        for permit in permits {
            if permit.at().as_str() == LOG {
                mounts.log =
                    Some(scratch.tail(PathBuf::from(permit.path()), TAIL_BYTES, permit.begin()).await?);
            } else {
                mounts.granted.push(Granted {
                    path: PathBuf::from(permit.path()),
                    at: permit.at().as_str().to_owned(),
                    access: permit.access(),
                });
            }
        }
        if mounts.granted.is_empty() {
            return Ok(mounts);
        }
        let place = mounts.granted.first().map(|granted| granted.path.clone()).unwrap_or_default();
        let log = mounts.log.take();
        let writes = mounts.granted.iter().any(|granted| granted.access == Access::Write);
        let look = writes.then(|| trees.begin(limits));
        let (granted, held) =
            tokio::task::spawn_blocking(move || check(mounts.granted)).await.unwrap_or_else(|stopped| {
                Err(FilesError::Read { path: place, error: std::io::Error::other(stopped) })
            })?;
        Ok(Self { granted, log, room: look.map(|look| Arc::new(look.measured(held))), copies: false })
    }

    /// Those of a tape.
    pub(crate) fn played(playing: &Playing, trees: &Trees, limits: &Limits) -> Self {
        let mut held = Amount::default();
        for mount in playing.recording.mounts.iter().filter(|mount| mount.writes) {
            let bytes = mount.files.values().filter_map(|digest| playing.recording.contents.get(digest));
            let bytes = bytes.map(|data| data.0.len() as u64).sum();
            let names = mount.files.len() + mount.dirs.len() + mount.links.len();
            held = held.plus(Amount { bytes, names: names as u64 });
        }
        let writes = playing.recording.mounts.iter().any(|mount| mount.writes);
        let room = writes.then(|| Arc::new(trees.begin(limits).measured(held)));
        let granted = playing.recording.mounts.iter().enumerate().map(|(index, mount)| Granted {
            path: place(&playing.dir, index),
            at: mount.at.clone(),
            access: if mount.writes { Access::Write } else { Access::Read },
        });
        Self { granted: granted.collect(), log: None, room, copies: true }
    }

    /// What the guest will see.
    pub(crate) fn given(&self) -> Vec<Given> {
        let log = self.log.iter().map(|log| Given { path: log.path(), at: LOG.to_owned(), writes: false });
        let granted = self.granted.iter().map(|granted| Given {
            path: granted.path.clone(),
            at: granted.at.clone(),
            writes: granted.access == Access::Write,
        });
        log.chain(granted).collect()
    }

    /// What may be added to the directories for writing, if there are any.
    pub fn room(&self) -> Option<Arc<Room>> {
        self.room.clone()
    }

    /// Hands them to the guest.
    pub fn mount(&self, wasi: &mut WasiCtxBuilder) -> Result<(), FilesError> {
        if let Some(log) = &self.log {
            log.mount(wasi)?;
        }
        for granted in &self.granted {
            let perms = match granted.access {
                Access::Read => FsPerms::ReadOnly,
                Access::Write => FsPerms::ReadWrite,
            };
            // An import opens hundreds of files, and a tree to judge is a copy that the host made, of files that do not block.
            wasi.allow_blocking_current_thread(self.copies || TREE.contains(&granted.at.as_str()));
            let opened = wasi.preopened_dir(&granted.path, &granted.at, perms).map(|_| ());
            wasi.allow_blocking_current_thread(false);
            opened.map_err(|error| FilesError::Preopen {
                path: granted.path.clone(),
                error: error.to_string(),
            })?;
        }
        Ok(())
    }
}

/// Real paths, no tree for reading and writing at once, nothing in them that a guest could wait on; and what those for
/// writing hold.
fn check(granted: Vec<Granted>) -> Result<(Vec<Granted>, Amount), FilesError> {
    let mut known: Vec<Granted> = Vec::new();
    let mut writable = Writable::default();
    for mut next in granted {
        let directory = |error| FilesError::Directory { path: next.path.clone(), error };
        let real = std::fs::canonicalize(&next.path).map_err(directory)?;
        if !real.is_dir() {
            return Err(directory(std::io::ErrorKind::NotADirectory.into()));
        }
        next.path = real;
        for other in known.iter().filter(|other| other.access != next.access) {
            if shares(&next.path, &other.path) {
                let (reading, writing) = match next.access {
                    Access::Read => (next.path.clone(), other.path.clone()),
                    Access::Write => (other.path.clone(), next.path.clone()),
                };
                return Err(FilesError::SharedTree { reading, writing });
            }
        }
        // One inside another is looked at again, and counted once.
        let counts = next.access == Access::Write;
        walk(&next.path, counts.then_some(&mut writable))?;
        known.push(next);
    }
    Ok((known, writable.held))
}

/// What trees for writing hold.
#[derive(Debug, Default)]
struct Writable {
    held: Amount,
    /// What was counted and may come again: files of several names, directories.
    counted: BTreeSet<(u64, u64)>,
}

impl Writable {
    /// Whether a directory was not yet counted.
    fn enter(&mut self, directory: &Path) -> std::io::Result<bool> {
        let found = std::fs::metadata(directory)?;
        Ok(self.counted.insert((found.dev(), found.ino())))
    }

    fn count(&mut self, entry: &std::fs::DirEntry) -> std::io::Result<()> {
        let found = match entry.metadata() {
            Ok(found) => found,
            // Another call may have removed it a moment ago.
            Err(error) if is_gone(&error) => return Ok(()),
            Err(error) => return Err(error),
        };
        let again = found.nlink() > 1 && found.is_file() && !self.counted.insert((found.dev(), found.ino()));
        let bytes = if found.is_file() && !again { found.len() } else { 0 };
        self.held = self.held.plus(Amount { bytes, names: 1 });
        Ok(())
    }
}

/// One inside the other, by path or as the same directory mounted twice.
fn shares(one: &Path, other: &Path) -> bool {
    let same = || {
        let identity = |path: &Path| std::fs::metadata(path).ok().map(|found| (found.dev(), found.ino()));
        identity(one).is_some_and(|one| Some(one) == identity(other))
    };
    one.starts_with(other) || other.starts_with(one) || same()
}

fn is_gone(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
}

/// D11: a FIFO would hold a thread beyond every deadline.
fn walk(root: &Path, mut writable: Option<&mut Writable>) -> Result<(), FilesError> {
    let mut left = MAX_ENTRIES;
    let mut waiting = vec![(root.to_owned(), 0)];
    while let Some((directory, depth)) = waiting.pop() {
        let read = |error| FilesError::Directory { path: directory.clone(), error };
        let entries = match std::fs::read_dir(&directory) {
            // Whoever works in the tree may have taken it away a moment ago, or put something else there.
            Err(error) if depth > 0 && is_gone(&error) => continue,
            entries => entries.map_err(read)?,
        };
        let mut counts = match writable.as_deref_mut().map(|writable| (writable.enter(&directory), writable))
        {
            Some((Err(error), _)) if depth > 0 && is_gone(&error) => continue,
            Some((new, writable)) => new.map_err(read)?.then_some(writable),
            None => None,
        };
        for entry in entries {
            let entry = entry.map_err(read)?;
            let kind = entry.file_type().map_err(read)?;
            left = left.saturating_sub(1);
            if left == 0 || depth > MAX_DEPTH {
                let why = "it has more than 10000 entries or 32 levels; grant a smaller directory";
                return Err(FilesError::Directory {
                    path: root.to_owned(),
                    error: std::io::Error::other(why),
                });
            }
            if let Some(writable) = &mut counts {
                writable.count(&entry).map_err(read)?;
            }
            if kind.is_dir() {
                waiting.push((entry.path(), depth + 1));
            } else if !kind.is_file() && !kind.is_symlink() && guard::on(Guard::Special) {
                let found = rustix::fs::lstat(entry.path()).map_or("something unknown", |found| {
                    tail::in_words(FileType::from_raw_mode(found.st_mode))
                });
                return Err(FilesError::Special { path: entry.path(), found });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn granted(path: &Path, access: Access) -> Granted {
        Granted { path: path.to_owned(), at: "/data".to_owned(), access }
    }

    #[test]
    fn one_tree_is_never_both_read_only_and_writable() {
        let home = tempfile::tempdir().unwrap();
        let (outer, inner) = (home.path().join("outer"), home.path().join("outer/inner"));
        let (link, apart) = (home.path().join("link"), home.path().join("outer-2"));
        std::fs::create_dir_all(&inner).unwrap();
        std::fs::create_dir_all(&apart).unwrap();
        std::os::unix::fs::symlink(&inner, &link).unwrap();
        for (reading, writing, fine) in [
            (&outer, &inner, false),
            (&inner, &outer, false),
            (&outer, &outer, false),
            (&outer, &link, false),
            (&outer, &apart, true),
        ] {
            let pair = vec![granted(reading, Access::Read), granted(writing, Access::Write)];
            match check(pair) {
                Ok(_) => assert!(fine, "{} {}", reading.display(), writing.display()),
                Err(error) => assert!(!fine && error.to_string().contains("share files"), "{error}"),
            }
        }
        assert!(check(vec![granted(&outer, Access::Read), granted(&inner, Access::Read)]).is_ok());
    }

    #[test]
    fn a_tree_with_a_fifo_in_it_is_refused() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(home.path().join("a/b")).unwrap();
        std::fs::write(home.path().join("a/file"), "x").unwrap();
        assert!(check(vec![granted(home.path(), Access::Read)]).is_ok());
        let fifo = home.path().join("a/b/fifo");
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, FileType::Fifo, mode, 0).unwrap();
        let error = check(vec![granted(home.path(), Access::Read)]).unwrap_err().to_string();
        assert!(error.contains("b/fifo` is a FIFO"), "{error}");
    }

    #[test]
    fn what_may_be_written_is_counted_once_by_its_length() {
        let home = tempfile::tempdir().unwrap();
        let (tree, inner, apart) =
            (home.path().join("tree"), home.path().join("tree/inner"), home.path().join("apart"));
        std::fs::create_dir_all(&inner).unwrap();
        std::fs::create_dir_all(&apart).unwrap();
        std::fs::write(tree.join("file"), "12345").unwrap();
        std::fs::hard_link(tree.join("file"), inner.join("again")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", inner.join("link")).unwrap();
        std::fs::File::create(inner.join("hole")).unwrap().set_len(1 << 40).unwrap();
        let names = |granted: Vec<Granted>| check(granted).unwrap().1;
        let all = Amount { bytes: 5 + (1 << 40), names: 5 };
        assert_eq!(names(vec![granted(&tree, Access::Write)]), all);
        assert_eq!(names(vec![granted(&tree, Access::Write), granted(&inner, Access::Write)]), all);
        assert_eq!(names(vec![granted(&inner, Access::Write), granted(&tree, Access::Write)]), all);
        assert_eq!(
            names(vec![granted(&tree, Access::Read), granted(&apart, Access::Write)]),
            Amount::default()
        );
    }

    #[test]
    fn only_directories_are_granted() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("file"), "x").unwrap();
        for name in ["file", "missing"] {
            let error = check(vec![granted(&home.path().join(name), Access::Read)]).unwrap_err().to_string();
            assert!(error.contains("is not a directory that can be granted"), "{error}");
        }
    }
}
