//! One file that holds everything that is remembered: a consistent copy of the ledger, the files operators read, and a
//! list of digests. A running host goes on meanwhile. The archive is read back before it gets its name, and what one
//! that was killed left half done goes with the next.
//!
//! The files are copied before the ledger: a copy of a file may be behind the ledger beside it, never ahead of it. Recordings of
//! calls are copied after it: whatever a fact of the copy names has been there, and what no fact names is in nobody's way.

mod parts;

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use razar_core::fact::Anchor;
use razar_core::id::Digest;
use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};
use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use self::parts::Parts;
use crate::directory::DATABASE;
use crate::error::LedgerError;
use crate::failpoint;
use crate::import;
use crate::key::KEYS;
use crate::reader::LedgerReader;
use crate::recordings::RECORDINGS;
use crate::restore::{self, RestoreError};
use crate::verify;

/// First in every list of contents.
pub(crate) const FORMAT: &str = "razar-host backup v1";

/// The list of contents; the last file of the archive.
pub(crate) const MANIFEST: &str = "manifest.json";

/// What is kept below a state directory, the ledger aside.
pub(crate) const ROOMS: [&str; 5] = ["logs", "quarantine", "docs", "monitoring", import::ASIDE];

/// What services print has no bound of ours, and the launcher's log says nothing about them.
const LEFT_OUT: [&str; 2] = ["logs/services", "logs/launcher.log"];

/// One file; a view is far smaller.
const MAX_VIEW: u64 = 256 << 20;

/// Files below the rooms together.
const MAX_FILES: usize = 100_000;

/// Directories within directories.
const MAX_DEPTH: usize = 6;

/// How long a copy waits for somebody who is writing.
const WAITS: u32 = 100;

/// The list of contents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub(crate) format: String,
    /// The version that made it.
    pub host: String,
    /// The ledger's own name.
    pub state: String,
    /// Where the ledger ended.
    pub head: Anchor,
    /// Every other file of the archive.
    pub files: Vec<Listed>,
}

/// One file of an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listed {
    /// Below the state directory.
    pub path: String,
    /// In bytes.
    pub size: u64,
    /// Of its bytes.
    pub digest: Digest,
}

/// A backup that was made.
#[derive(Debug, Clone, Serialize)]
pub struct Made {
    /// The archive.
    pub file: PathBuf,
    /// What is in it.
    #[serde(flatten)]
    pub manifest: Manifest,
    /// Files that are not, and why.
    pub left_out: Vec<String>,
}

/// Why there is no backup; nothing is left of the attempt.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// There is a file already.
    #[error("`{}` exists already: name another file, a backup never replaces one", .0.display())]
    Exists(PathBuf),
    /// The ledger is damaged.
    #[error(
        "the ledger is not intact ({0}): `razar-host log verify` tells more, `razar-host log repair` keeps what is intact"
    )]
    Damaged(String),
    /// Somebody kept writing.
    #[error("the ledger was locked by another program all the time: try again")]
    Busy,
    /// A file could not be read or written.
    #[error("cannot {action} `{}`: {source}", path.display())]
    Io {
        /// What was being done.
        action: &'static str,
        /// To what.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// What was written is not what was read.
    #[error("the archive was written and could not be read back: {0}")]
    Unreadable(#[from] RestoreError),
    /// The ledger could not be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.to_owned();
    move |source| BackupError::Io { action, path, source }
}

/// Puts what a state directory remembers into a new file; the key that signs only when asked to.
pub fn backup(state: &Path, file: &Path, with_keys: bool) -> Result<Made, BackupError> {
    let parts = Parts::beside(file);
    if fs::symlink_metadata(file).is_ok() {
        return Err(BackupError::Exists(file.to_owned()));
    }
    let reader = LedgerReader::open(state)?;
    let mut archive = Archive::create(&parts)?;
    failpoint::pass("backup.begun");
    let mut left_out = Vec::new();
    let rooms = ROOMS.into_iter().chain(with_keys.then_some(KEYS));
    for room in rooms {
        archive.add_room(state, room, &mut left_out)?;
    }
    let (head, name) = copy_ledger(&reader, &parts.database)?;
    failpoint::pass("backup.copied");
    let copied = File::open(&parts.database).map_err(failed("open", &parts.database))?;
    let size = copied.metadata().map_err(failed("look at", &parts.database))?.len();
    archive.add(DATABASE, size, copied)?;
    archive.add_room(state, RECORDINGS, &mut left_out)?;
    let manifest = Manifest {
        format: FORMAT.to_owned(),
        host: env!("CARGO_PKG_VERSION").to_owned(),
        state: name,
        head,
        files: archive.listed.clone(),
    };
    let mut written = archive.finish(&manifest)?;
    written.rewind().map_err(failed("read back", &parts.archive))?;
    if restore::inspect(&mut written)? != manifest {
        return Err(RestoreError::Shape("its list of contents is another".to_owned()).into());
    }
    publish(&parts.archive, file)?;
    failpoint::pass("backup.named");
    Ok(Made { file: file.to_owned(), manifest, left_out })
}

/// The names of the files below a room, sorted; links and special files are left out.
fn list(state: &Path, room: &str, left_out: &mut Vec<String>) -> Vec<String> {
    let mut files = Vec::new();
    let mut dirs = vec![(room.to_owned(), 0)];
    while let Some((dir, depth)) = dirs.pop() {
        // A room that is not there holds nothing.
        let Ok(entries) = fs::read_dir(state.join(&dir)) else { continue };
        for entry in entries.flatten() {
            let Ok(name) = entry.file_name().into_string() else {
                left_out.push(format!("{dir}: a file whose name is no text"));
                continue;
            };
            let path = format!("{dir}/{name}");
            let kind = entry.file_type().ok();
            match kind {
                // Half-written files begin with a dot.
                _ if LEFT_OUT.contains(&path.as_str()) || name.starts_with('.') => {}
                Some(kind) if kind.is_dir() && depth < MAX_DEPTH => dirs.push((path, depth + 1)),
                Some(kind) if kind.is_file() && files.len() < MAX_FILES => files.push(path),
                _ => left_out.push(format!("{path}: it is no regular file, or one too many")),
            }
        }
    }
    files.sort();
    files
}

fn read_view(path: &Path) -> io::Result<Vec<u8>> {
    let careful = OFlags::NOFOLLOW.union(OFlags::NONBLOCK);
    let flags = i32::try_from(careful.bits()).map_err(io::Error::other)?;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let found = file.metadata()?;
    if !found.is_file() || found.len() > MAX_VIEW {
        return Err(io::Error::other(format!("it is no regular file of at most {MAX_VIEW} bytes")));
    }
    let mut bytes = Vec::new();
    file.take(found.len()).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// One moment of the ledger in a file of its own, looked at before anybody relies on it.
fn copy_ledger(reader: &LedgerReader, to: &Path) -> Result<(Anchor, String), BackupError> {
    parts::create(to).map_err(failed("create", to))?;
    let database = |error: rusqlite::Error| LedgerError::from(error);
    let mut copy = Connection::open(to).map_err(database)?;
    {
        let backup = Backup::new(reader.connection(), &mut copy).map_err(database)?;
        let mut waits = 0;
        loop {
            match backup.step(-1).map_err(database)? {
                StepResult::Done => break,
                _ if waits >= WAITS => return Err(BackupError::Busy),
                _ => {
                    waits += 1;
                    std::thread::sleep(Duration::from_millis(50));
                }
            }
        }
    }
    // A file without a log beside it is complete by itself; the next host switches the log on again.
    copy.pragma_update(None, "journal_mode", "DELETE").map_err(database)?;
    copy.close().map_err(|(_, error)| database(error))?;
    let report = verify::database(to)?;
    if !report.intact {
        let bad = report.first_bad.map(|bad| bad.what);
        return Err(BackupError::Damaged(bad.or(report.database.into_iter().next()).unwrap_or_default()));
    }
    let head = report.head.unwrap_or_else(|| crate::chain::Head::GENESIS.anchor());
    Ok((head, report.state.unwrap_or_default()))
}

/// Gives the archive its name, if nobody else has taken it meanwhile.
fn publish(part: &Path, file: &Path) -> Result<(), BackupError> {
    let link = fs::hard_link(part, file);
    match link {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(BackupError::Exists(file.to_owned())),
        // A file system without links.
        Err(_) if fs::symlink_metadata(file).is_err() => fs::rename(part, file).map_err(failed("name", file)),
        other => other.map_err(failed("name", file)),
    }?;
    let dir = file.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed("sync", dir))
}

/// An archive that is being written.
struct Archive {
    path: PathBuf,
    tar: tar::Builder<File>,
    listed: Vec<Listed>,
}

impl Archive {
    fn create(parts: &Parts) -> Result<Self, BackupError> {
        let path = parts.archive.clone();
        let tar = tar::Builder::new(parts.create().map_err(failed("create", &path))?);
        Ok(Self { path, tar, listed: Vec::new() })
    }

    fn add(&mut self, name: &str, size: u64, bytes: impl Read) -> Result<(), BackupError> {
        let mut hashing = Hashing { from: bytes.take(size), hash: Sha256::new() };
        self.append(name, size, &mut hashing)?;
        let digest = Digest::from_bytes(hashing.hash.finalize().into());
        self.listed.push(Listed { path: name.to_owned(), size, digest });
        Ok(())
    }

    /// The files below a room, as they are.
    fn add_room(&mut self, state: &Path, room: &str, left_out: &mut Vec<String>) -> Result<(), BackupError> {
        for name in list(state, room, left_out) {
            match read_view(&state.join(&name)) {
                Ok(bytes) => self.add(&name, bytes.len() as u64, bytes.as_slice())?,
                // Rotated, lifted from quarantine or forgotten meanwhile.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => left_out.push(format!("{name}: {error}")),
            }
        }
        Ok(())
    }

    fn append(&mut self, name: &str, size: u64, bytes: impl Read) -> Result<(), BackupError> {
        let mut header = tar::Header::new_gnu();
        header.set_size(size);
        header.set_mode(0o600);
        header.set_entry_type(tar::EntryType::Regular);
        self.tar.append_data(&mut header, name, bytes).map_err(failed("write", &self.path))
    }

    fn finish(mut self, manifest: &Manifest) -> Result<File, BackupError> {
        let path = self.path.clone();
        let bytes = serde_json::to_vec_pretty(manifest).map_err(io::Error::from);
        let bytes = bytes.map_err(failed("write", &path))?;
        self.append(MANIFEST, bytes.len() as u64, bytes.as_slice())?;
        let mut file = self.tar.into_inner().map_err(failed("write", &path))?;
        file.flush().and_then(|()| file.sync_all()).map_err(failed("sync", &path))?;
        Ok(file)
    }
}

/// Hashes what passes.
pub(crate) struct Hashing<R> {
    pub(crate) from: R,
    pub(crate) hash: Sha256,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buffer)?;
        self.hash.update(buffer.get(..read).unwrap_or_default());
        Ok(read)
    }
}
