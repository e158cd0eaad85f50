//! The state directory: private, and held by one host at a time. The lock is a file of its own, because replacing a
//! data file by rename would replace the locked inode.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::error::LedgerError;
use crate::failpoint;

/// Only the owner reads what the host remembers.
const PRIVATE_DIR: u32 = 0o700;
const PRIVATE_FILE: u32 = 0o600;

/// The right to be this directory's host; given back when dropped, also by the kernel.
#[derive(Debug)]
pub(crate) struct Held(File);

impl Drop for Held {
    fn drop(&mut self) {
        // Closing alone would not do while a child that was just forked has not yet become its program.
        let _ = self.0.unlock();
    }
}

/// The file with the facts.
pub(crate) const DATABASE: &str = "razar.db";

/// Where the facts are.
pub(crate) fn database(dir: &Path) -> PathBuf {
    dir.join(DATABASE)
}

/// Whether there are facts to read. Only what is not there is called absent: what we may not look at is another thing.
pub(crate) fn look_for(dir: &Path) -> Result<(), LedgerError> {
    let path = database(dir);
    match std::fs::metadata(&path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(LedgerError::Absent(dir.to_owned())),
        Err(error) => Err(LedgerError::io("look at", path)(error)),
    }
}

/// The new database of a repair that is under way.
pub(crate) const REPAIRING: &str = "razar.db.repairing";

/// What a restore that is under way has unpacked.
pub(crate) const RESTORING: &str = ".restoring";

/// A directory that is half repaired or half restored is nobody's state.
pub(crate) fn refuse_unfinished(dir: &Path) -> Result<(), LedgerError> {
    if dir.join(REPAIRING).exists() {
        let remedy = format!("`razar-host log repair --state {}` completes it", dir.display());
        return Err(LedgerError::Unfinished { what: "the repair", remedy });
    }
    if dir.join(RESTORING).exists() {
        let remedy = format!("empty `{}` and restore again; the archive is unchanged", dir.display());
        return Err(LedgerError::Unfinished { what: "the restore", remedy });
    }
    Ok(())
}

/// Creates the directory when there is none, and takes its lock.
pub(crate) fn hold(dir: &Path) -> Result<Held, LedgerError> {
    DirBuilder::new()
        .recursive(true)
        .mode(PRIVATE_DIR)
        .create(dir)
        .map_err(LedgerError::io("create the state directory", dir))?;
    let path = dir.join("host.lock");
    let mut lock = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(PRIVATE_FILE)
        .open(&path)
        .map_err(LedgerError::io("open the lock file", &path))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            let pid = lock.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
            return Err(LedgerError::Held { dir: dir.to_owned(), pid });
        }
        Err(TryLockError::Error(source)) => return Err(LedgerError::io("lock", path)(source)),
    }
    // The number only helps whoever is refused: on a full disk the lock holds without it.
    let _ =
        lock.set_len(0).and_then(|()| lock.rewind()).and_then(|()| writeln!(lock, "{}", std::process::id()));
    failpoint::pass("ledger.held");
    Ok(Held(lock))
}

/// An empty file is an empty database; made here because SQLite would make it readable by everybody.
pub(crate) fn create_private(path: &Path) -> Result<(), LedgerError> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(PRIVATE_FILE)
        .open(path)
        .map(drop)
        .map_err(LedgerError::io("open", path))?;
    failpoint::pass("ledger.made");
    Ok(())
}
