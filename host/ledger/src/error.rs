//! What can go wrong with a state directory, each with what to do about it. An error never changes what is stored.

use std::io;
use std::path::{Path, PathBuf};

use razar_core::id::Digest;
use rusqlite::ErrorCode;
use rustix::io::Errno;

use crate::directory::DATABASE;

/// A state directory's own key.
const OWN: &str = "keys/ledger.key";

/// What to do about a ledger that is damaged.
macro_rules! remedy {
    () => {
        "`razar-host log verify` shows what is intact, `razar-host log repair` keeps that and sets the rest aside"
    };
}

/// Why a ledger could not be opened or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// A file or directory could not be used.
    #[error("cannot {action} `{}`: {source}; {}", path.display(), advice(source))]
    Io {
        /// What was being done.
        action: &'static str,
        /// To what.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Another host holds the directory.
    #[error(
        "the state directory `{}` is in use by another host{}; stop that one first, or give this one another directory \
         with `--state DIR`",
        dir.display(), holder(*pid)
    )]
    Held {
        /// Which directory.
        dir: PathBuf,
        /// The holder's number, when it is written in the lock file.
        pid: Option<u32>,
    },
    /// There is nothing to read.
    #[error("there is no ledger in `{}`: name the directory of a host that has run here with `--state DIR`", .0.display())]
    Absent(PathBuf),
    /// Nothing may be written beside it, and part of it lies there.
    #[error(
        "`{}` cannot be read where nothing may be written, because `razar.db-wal` lies beside it: make the directory \
         writable, or copy it and name the copy with `--state DIR`",
        .0.display()
    )]
    LogBeside(PathBuf),
    /// The file is damaged.
    #[error(
        "`{}` is damaged ({detail}); nothing was changed: {}; or restore the file from a backup, or start with another \
         `--state DIR`",
        path.display(), remedy!()
    )]
    Corrupt {
        /// Which file.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// A database of some other program.
    #[error("`{}` is not a ledger of this host: it was not touched; give another directory with `--state DIR`", .0.display())]
    Foreign(PathBuf),
    /// Written by a later version.
    #[error(
        "`{}` has schema version {found}, and this host knows up to {known}; it was not touched: run the newer host, or \
         give another directory with `--state DIR`",
        path.display()
    )]
    Newer {
        /// Which file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// A stored fact is not the one that was written.
    #[error(
        "fact {seq} does not match its hash: it was changed after it was written; {}; or restore `razar.db` from a backup",
        remedy!()
    )]
    Chain {
        /// Which.
        seq: u64,
    },
    /// A fact is gone.
    #[error(
        "fact {seq} is missing: it was removed after it was written; {}; or restore `razar.db` from a backup",
        remedy!()
    )]
    Missing {
        /// Which.
        seq: u64,
    },
    /// A fact this version cannot read.
    #[error(
        "fact {seq} is intact but not readable by this version ({source}); run the host that wrote it or a newer one"
    )]
    Unreadable {
        /// Which.
        seq: u64,
        /// Why.
        source: serde_json::Error,
    },
    /// Stored bytes are not what their digest says.
    #[error("the stored bytes of `{0}` do not match the digest; restore `razar.db` from a backup")]
    Blob(Digest),
    /// A recording of calls is not what its name says.
    #[error(
        "`{}` is not what was recorded, because its name is its digest and the two do not match: remove it, or restore it from a \
         backup", .0.display()
    )]
    Recording(PathBuf),
    /// The operating system gave no random bytes.
    #[error("cannot get random bytes for the state id: {0}")]
    Entropy(getrandom::Error),
    /// A repair or a restore was interrupted.
    #[error("{what} of the state directory was interrupted: {remedy}")]
    Unfinished {
        /// Which of the two.
        what: &'static str,
        /// How to go on.
        remedy: String,
    },
    /// The key can be read by others.
    #[error("the key `{}` may be used by others (mode {mode:o}): `chmod 600` it if nobody has{}", path.display(), anew(path))]
    OpenKey {
        /// Which file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The key is none.
    #[error(
        "`{}` holds no private key of a host, which is one line, `ed25519-secret:` and 64 hexadecimal digits: restore it \
         from a backup{}",
        .0.display(), anew(.0)
    )]
    BadKey(PathBuf),
    /// The public key is none.
    #[error("`{}` holds no public key: it is one line, `ed25519:` and 64 hexadecimal digits, as `razar-host log key` prints it", .0.display())]
    BadPublicKey(PathBuf),
    /// SQLite said something else.
    #[error("the ledger's database failed: {0}")]
    Database(#[source] rusqlite::Error),
}

impl From<rusqlite::Error> for LedgerError {
    fn from(error: rusqlite::Error) -> Self {
        Self::database(DATABASE)(error)
    }
}

/// Why a turn was not recorded. Nothing of it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// No space.
    #[error(
        "no space left for the ledger, because the disk of the state directory is full; free space there"
    )]
    Full(#[source] rusqlite::Error),
    /// The disk failed.
    #[error("the ledger could not be written ({0}); check the disk of the state directory")]
    Io(#[source] rusqlite::Error),
    /// Another program holds a write lock.
    #[error("another program keeps `razar.db` locked; close it")]
    Locked(#[source] rusqlite::Error),
    /// A number SQLite cannot hold.
    #[error("{what} {value} is beyond what the ledger can hold")]
    Range {
        /// Which number.
        what: &'static str,
        /// As given.
        value: u64,
    },
    /// A fact that has no JSON form.
    #[error("a fact could not be written as JSON: {0}")]
    Encode(#[from] serde_json::Error),
    /// SQLite said something else.
    #[error("the ledger's database failed: {0}; nothing of this turn was recorded")]
    Database(#[source] rusqlite::Error),
}

impl AppendError {
    /// The same call may succeed later.
    pub const fn is_retriable(&self) -> bool {
        matches!(self, Self::Full(_) | Self::Io(_) | Self::Locked(_))
    }
}

impl From<rusqlite::Error> for AppendError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full(error),
            Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen | ErrorCode::ReadOnly) => Self::Io(error),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Locked(error),
            _ => Self::Database(error),
        }
    }
}

impl LedgerError {
    /// The directory was named wrongly or is not ours to look at: nothing is wrong with what is recorded.
    pub fn is_misnamed(&self) -> bool {
        match self {
            Self::Io { source, .. } => is_of_name(source),
            Self::Absent(_)
            | Self::Held { .. }
            | Self::Foreign(_)
            | Self::Newer { .. }
            | Self::OpenKey { .. }
            | Self::BadKey(_)
            | Self::BadPublicKey(_) => true,
            _ => false,
        }
    }

    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }

    /// Damage is told apart from other failures, because its remedy is another.
    pub(crate) fn database(path: impl Into<PathBuf>) -> impl FnOnce(rusqlite::Error) -> Self {
        let path = path.into();
        move |error| match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Corrupt { path, detail: error.to_string() }
            }
            _ => Self::Database(error),
        }
    }
}

/// What to do about a file that the operating system keeps from us.
fn advice(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::PermissionDenied => "run this as the user to whom the state directory belongs",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "free space on the disk that it lies on",
        _ if is_of_name(source) => "check that the directory exists and belongs to you",
        _ => "check the disk that it lies on, and what the system's log says of it",
    }
}

/// Another name, or another user, would have helped: the disk did what it was asked.
fn is_of_name(source: &io::Error) -> bool {
    use io::ErrorKind::{InvalidFilename, IsADirectory, NotADirectory, NotFound, PermissionDenied};

    matches!(source.kind(), NotFound | PermissionDenied | NotADirectory | IsADirectory | InvalidFilename)
        // The standard library has a name for it that is not stable.
        || Errno::from_io_error(source) == Some(Errno::LOOP)
}

/// A new key is made only in the place of a state directory's own.
fn anew(path: &Path) -> &'static str {
    if path.ends_with(OWN) {
        "; or move it away with the `ledger.pub` beside it, keep that, and a new pair is made: what was signed so far is \
         verified with the old `ledger.pub` alone"
    } else {
        ""
    }
}

fn holder(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
}
