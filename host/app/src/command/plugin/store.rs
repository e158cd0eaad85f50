//! A directory of pinned packages while one is added: held by one process at a time, each file replaced whole, the lock last. Who
//! is killed in between leaves the lock as it was, and at most an archive that no lock names.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use razar_core::document::lock;
use razar_core::id::PluginId;
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
    /// A lock that has no text.
    #[error("the lock cannot be written: {0}")]
    Render(String),
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
        let text = lock::render(&self.lock).map_err(|error| StoreError::Render(error.to_string()))?;
        self.write(&file, archive)?;
        failpoint::pass("pin.copied");
        self.rename(&file)?;
        failpoint::pass("pin.placed");
        let locked = self.write(LOCK, text.as_bytes()).and_then(|()| {
            failpoint::pass("pin.written");
            self.rename(LOCK)
        });
        if locked.is_err() && !is_pinned {
            // Nobody asks for it, and on a full disk it would only make that fuller.
            let _ = fs::remove_file(self.dir.join(&file));
        }
        locked?;
        failpoint::pass("pin.locked");
        self.forget(plugin, &file);
        Ok(())
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

    fn names(&self) -> Vec<OsString> {
        fs::read_dir(&self.dir).into_iter().flatten().flatten().map(|entry| entry.file_name()).collect()
    }

    /// Takes away what an interrupted one has begun to write.
    fn sweep(&self) {
        let unfinished = |name: &str| name.starts_with(TEMP.0) && name.ends_with(TEMP.1);
        for name in self.names().iter().filter(|name| name.to_str().is_some_and(unfinished)) {
            // What stays is in nobody's way but its own: writing it anew says so.
            let _ = fs::remove_file(self.dir.join(name));
        }
    }

    /// Takes away a plugin's other archives: what was pinned before, and what was never pinned.
    fn forget(&self, plugin: &PluginId, kept: &str) {
        let other = |name: &str| name != kept && owner_of(name).is_some_and(|owner| owner == *plugin);
        for name in self.names().iter().filter(|name| name.to_str().is_some_and(other)) {
            // What stays is named as left over, and not loaded.
            let _ = fs::remove_file(self.dir.join(name));
        }
    }
}
