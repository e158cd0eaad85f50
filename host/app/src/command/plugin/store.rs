//! A directory of pinned packages while one is added or taken away: held by one process at a time, each file replaced whole. What is
//! added is in its place before the lock names it; what is taken away goes only when the lock names it no more. Who is killed in
//! between leaves the old lock or the new one, and at most an archive that none names.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use razar_core::document::lock;
use razar_core::id::PluginId;
use razar_core::problem::Problem;
use razar_core::trust::{Lock, Pin};
use razar_ledger::failpoint;
use razar_runtime::locked::{LOCK, file_of, lock_of, owner_of};
use razar_runtime::package::{self, PackageError};

use super::super::turn;

/// Names of files that are not whole yet.
const TEMP: (&str, &str) = (".razar-", ".tmp");

/// Everybody may read packages: there is no secret in them.
const MODE: u32 = 0o644;

/// Why the directory cannot be added to.
#[derive(Debug, thiserror::Error)]
pub(super) enum StoreError {
    /// Somebody else does, or it cannot be locked.
    #[error("{0}")]
    Turn(String),
    /// Its lock cannot be read.
    #[error(transparent)]
    Lock(#[from] PackageError),
    /// With a lock, what is in it would not be loaded any more.
    #[error("`{}` holds packages that no `{LOCK}` names, such as `{name}`: with one they would not be loaded", dir.display())]
    Open {
        /// Which.
        dir: PathBuf,
        /// One of them.
        name: PluginId,
    },
    /// It has no lock.
    #[error("`{}` has no `{LOCK}`: nothing in it is pinned", .0.display())]
    Unlocked(PathBuf),
    /// The disk.
    #[error("cannot {what} `{}`: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// With what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is pinned no more, and lies there all the same.
    #[error("the `{LOCK}` names it no more, but its archive `{}` cannot be removed: {source}", path.display())]
    Left {
        /// Its archive.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A lock that has no text.
    #[error("the lock cannot be written: {0}")]
    Render(String),
}

impl StoreError {
    /// As it is told of this directory.
    pub(super) fn problems(&self, dir: &Path) -> Vec<Problem> {
        let hint = match self {
            Self::Lock(PackageError::Lock(problems)) => return problems.clone(),
            Self::Open { .. } => {
                Some("name a directory of its own; commands take `--plugins DIR` more than once")
            }
            Self::Unlocked(_) => Some(
                "name the directory that packages were added to; from any other, take the package's own away",
            ),
            Self::Left { .. } => {
                Some("nothing loads it; remove it yourself, or say the same again when it can be removed")
            }
            _ => None,
        };
        let (file, message) = (dir.display().to_string(), self.to_string());
        vec![Problem { file, place: "directory".to_owned(), message, hint: hint.map(str::to_owned) }]
    }
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::Io { what, path, source }
}

/// A directory that nobody else adds to meanwhile.
pub(super) struct Store {
    dir: PathBuf,
    lock: Lock,
    _turn: File,
}

impl Store {
    /// Makes the directory if there is none, and waits for its turn.
    pub(super) fn open(dir: &Path) -> Result<Self, StoreError> {
        fs::create_dir_all(dir).map_err(failed("make the directory", dir))?;
        let turn = turn::wait_for_directory(dir).map_err(StoreError::Turn)?;
        let lock = match lock_of(dir)? {
            Some(lock) => lock,
            None => match package::names(dir).pop_first() {
                Some(name) => return Err(StoreError::Open { dir: dir.to_owned(), name }),
                None => Lock::new(),
            },
        };
        Ok(Self { dir: dir.to_owned(), lock, _turn: turn })
    }

    /// Waits for its turn in a directory that has a lock, and makes nothing.
    pub(super) fn locked(dir: &Path) -> Result<Self, StoreError> {
        let read = || lock_of(dir)?.ok_or_else(|| StoreError::Unlocked(dir.to_owned()));
        read()?;
        let turn = turn::wait_for_directory(dir).map_err(StoreError::Turn)?;
        Ok(Self { dir: dir.to_owned(), lock: read()?, _turn: turn })
    }

    /// Who is pinned.
    pub(super) fn pinned(&self) -> impl Iterator<Item = &str> {
        self.lock.keys().map(PluginId::as_str)
    }

    /// What is pinned of a plugin.
    pub(super) fn pin(&self, plugin: &PluginId) -> Option<&Pin> {
        self.lock.get(plugin)
    }

    /// Puts a package in its place and its pin into the lock. If that fails, what was pinned is pinned.
    pub(super) fn put(mut self, plugin: &PluginId, pin: Pin, archive: &[u8]) -> Result<(), StoreError> {
        self.sweep();
        let file = file_of(plugin, &pin.digest);
        let is_pinned = self.lock.get(plugin).is_some_and(|old| old.digest == pin.digest);
        self.lock.insert(plugin.clone(), pin);
        let text = self.text()?;
        self.write(&file, archive)?;
        failpoint::pass("pin.copied");
        self.rename(&file)?;
        failpoint::pass("pin.placed");
        let locked = self.relock(&text);
        if locked.is_err() && !is_pinned {
            // Nobody asks for it, and on a full disk it would only make that fuller.
            let _ = fs::remove_file(self.dir.join(&file));
        }
        locked?;
        failpoint::pass("pin.locked");
        // What stays is named as left over, and not loaded.
        let _ = self.forget(plugin, &file);
        Ok(())
    }

    /// Takes a plugin's pin out of the lock, and then its archives away: what the lock names is there at every moment. Says what was
    /// pinned, and whether anything was there.
    pub(super) fn remove(mut self, plugin: &PluginId) -> Result<(Option<Pin>, bool), StoreError> {
        self.sweep();
        let pin = self.lock.remove(plugin);
        if pin.is_some() {
            self.relock(&self.text()?)?;
            failpoint::pass("unpin.locked");
        }
        let gone = self.forget(plugin, "")?;
        Ok((pin, gone > 0))
    }

    fn text(&self) -> Result<String, StoreError> {
        lock::render(&self.lock).map_err(|error| StoreError::Render(error.to_string()))
    }

    /// Puts this lock in the place of the one there is.
    fn relock(&self, text: &str) -> Result<(), StoreError> {
        self.write(LOCK, text.as_bytes())?;
        failpoint::pass("pin.written");
        self.rename(LOCK)
    }

    /// The whole file, beside its place and on the disk.
    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let temp = self.temp(name);
        let write = || {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(&temp)?;
            file.write_all(bytes)?;
            file.sync_all()
        };
        write().map_err(failed("write", &temp)).inspect_err(|_| {
            // Half of a file is of no use to anybody.
            let _ = fs::remove_file(&temp);
        })
    }

    /// Puts it in its place.
    fn rename(&self, name: &str) -> Result<(), StoreError> {
        let (temp, path) = (self.temp(name), self.dir.join(name));
        fs::rename(&temp, &path).map_err(failed("replace", &path)).inspect_err(|_| {
            // It is said that it did not come to its place.
            let _ = fs::remove_file(&temp);
        })?;
        File::open(&self.dir).and_then(|dir| dir.sync_all()).map_err(failed("sync", &self.dir))
    }

    fn temp(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{}{name}{}", TEMP.0, TEMP.1))
    }

    fn names(&self) -> Result<Vec<OsString>, StoreError> {
        let listed = || -> io::Result<Vec<_>> {
            fs::read_dir(&self.dir)?.map(|entry| Ok(entry?.file_name())).collect()
        };
        listed().map_err(failed("list", &self.dir))
    }

    /// Takes away what an interrupted one has begun to write.
    fn sweep(&self) {
        let unfinished = |name: &str| name.starts_with(TEMP.0) && name.ends_with(TEMP.1);
        // What stays is in nobody's way but its own: writing it anew says so.
        let names = self.names().unwrap_or_default();
        for name in names.iter().filter(|name| name.to_str().is_some_and(unfinished)) {
            let _ = fs::remove_file(self.dir.join(name));
        }
    }

    /// Takes away a plugin's other archives, what was pinned before and what was never pinned; says how many there were, or which is
    /// still there.
    fn forget(&self, plugin: &PluginId, kept: &str) -> Result<usize, StoreError> {
        let other = |name: &str| name != kept && owner_of(name).is_some_and(|owner| owner == *plugin);
        let (mut gone, mut left) = (0, None);
        for name in self.names()?.iter().filter(|name| name.to_str().is_some_and(other)) {
            let path = self.dir.join(name);
            match fs::remove_file(&path) {
                Ok(()) => gone += 1,
                // One that stays keeps no other.
                Err(source) => left = left.or(Some(StoreError::Left { path, source })),
            }
        }
        left.map_or(Ok(gone), Err)
    }
}
