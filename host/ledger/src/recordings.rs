//! Recordings of calls, beside the database: one file each in `recordings/`, named by its digest. They are evidence and decide
//! nothing, so a disk that is full or fails costs a recording and never a fact; and they must never take the room that facts need.
//!
//! A file is durable before the fact that names it is recorded. One that no fact names was left by a host that was killed between
//! the two, and goes when the next one begins; where facts were lost, it may be what they named, and stays.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use razar_core::id::Digest;
use rustix::fs::{OFlags, statvfs};

use crate::error::LedgerError;
use crate::{anchor, failpoint, repair};

/// Bytes of one.
pub const MAX_RECORDING: usize = 8 << 20;

/// Where they lie, below the state directory.
pub(crate) const RECORDINGS: &str = "recordings";

/// How their names end.
const END: &str = ".json";

/// How the name of an unfinished one begins and ends; no digest has a dot.
const TEMP: (&str, &str) = (".razar-", ".tmp");

/// What recordings may take.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Bytes of all together: the oldest go first.
    pub budget: u64,
    /// Bytes that stay free on their disk. A share of the disk would be too little where it is small, and there it matters.
    pub floor: u64,
}

impl Default for Bounds {
    /// A full disk holds every decision back, and below 256 MiB `doctor` says so: no recording brings a host half as near to it.
    fn default() -> Self {
        Self { budget: 256 << 20, floor: 512 << 20 }
    }
}

/// Why a call is not on record.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Lost {
    /// It is larger than any.
    #[error("it has {0} bytes, and a recording has at most {MAX_RECORDING}")]
    TooLarge(usize),
    /// The disk is wanted for more important things.
    #[error(
        "{} MiB are free on the disk of `{}`, and recordings leave {} MiB of it alone: free space there, and calls are recorded \
         again", free >> 20, dir.display(), floor >> 20
    )]
    Low {
        /// Which disk.
        dir: PathBuf,
        /// What is free.
        free: u64,
        /// What stays free.
        floor: u64,
    },
    /// The disk refuses.
    #[error(
        "cannot {action} `{}`: {source}; check owner, mode and disk of the state directory, and calls are recorded again",
        path.display()
    )]
    Io {
        /// What was being done.
        action: &'static str,
        /// To what.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

/// A recording that was not kept.
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
pub struct NotKept {
    /// Why.
    pub why: Lost,
    /// The disk refused the one before it, too: whoever says so has said it.
    pub again: bool,
}

/// All recordings of a state directory.
#[derive(Debug)]
pub struct Recordings {
    state: PathBuf,
    bounds: Bounds,
    /// Held while one is written: whether the disk refused the one before.
    writing: Mutex<bool>,
    /// What lies there, oldest first. Nobody waits for a disk while holding it.
    kept: Mutex<VecDeque<Kept>>,
    /// Facts were lost, and it was this host that noticed.
    bereft: AtomicBool,
}

/// One that lies there.
#[derive(Debug)]
struct Kept {
    digest: Digest,
    bytes: u64,
    /// It goes when room is made the next time.
    old: bool,
}

impl Recordings {
    /// Those of a state directory; what lies there is known once they [begin](Self::begin).
    pub fn below(state: &Path) -> Self {
        Self::within(state, Bounds::default())
    }

    /// The same, within other bounds.
    pub fn within(state: &Path, bounds: Bounds) -> Self {
        let (writing, kept, bereft) = (Mutex::default(), Mutex::default(), AtomicBool::default());
        Self { state: state.to_owned(), bounds, writing, kept, bereft }
    }

    /// Takes over what lies there and is named here, oldest first, as far as there is room for it; everything else of ours goes.
    /// Where facts were lost, only what is unfinished goes: so many that no fact names are left where they lie, and not counted.
    ///
    /// # Errors
    /// Something could not be looked at or removed: it lies there until the next time, and the others are taken over all the same.
    pub fn begin(&self, named: impl Iterator<Item = Digest>) -> io::Result<usize> {
        let mut found = BTreeMap::new();
        let mut gone = Ok(());
        let entries = match fs::read_dir(self.dir()) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
            entries => entries?,
        };
        for entry in entries {
            let looked_at = entry.and_then(|entry| {
                let name = entry.file_name();
                let name = name.to_str().unwrap_or_default();
                if let Some(digest) = digest_of(name) {
                    found.insert(digest, entry.metadata()?.len());
                } else if name.starts_with(TEMP.0) && name.ends_with(TEMP.1) {
                    remove(&entry.path())?;
                }
                Ok(())
            });
            gone = gone.and(looked_at);
        }
        let kept = named.filter_map(|digest| {
            let bytes = found.remove(&digest)?;
            Some(Kept { digest, bytes, old: false })
        });
        let kept: VecDeque<_> = kept.collect();
        *self.kept() = kept;
        if self.is_bereft() {
            return gone.map(|()| found.len());
        }
        for digest in found.into_keys() {
            gone = gone.and(remove(&self.place(&digest)));
        }
        gone.and(self.make_room(0).map_err(|(_, error)| error)).map(|()| 0)
    }

    /// Facts of the ledger beside them were lost: what no fact names may be what those named.
    pub(crate) fn bereave(&self) {
        self.bereft.store(true, Ordering::Relaxed);
    }

    /// Whether facts were lost, now or before: of each time something lies aside as evidence.
    fn is_bereft(&self) -> bool {
        self.bereft.load(Ordering::Relaxed)
            || repair::left_evidence(&self.state)
            || anchor::left_evidence(&self.state)
    }

    /// Keeps one, on disk when this returns. It waits for the disk, and nothing else may wait for it.
    pub fn keep(&self, bytes: &[u8]) -> Result<Digest, NotKept> {
        if bytes.len() > MAX_RECORDING {
            return Err(NotKept { why: Lost::TooLarge(bytes.len()), again: false });
        }
        let mut refused = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = self.write(bytes);
        let again = std::mem::replace(&mut *refused, kept.is_err());
        kept.map_err(|why| NotKept { why, again })
    }

    /// From now on these are too old. They go before the next one is kept, so that whoever says it waits for no disk.
    pub fn outdate(&self, old: impl Iterator<Item = Digest>) {
        let old: BTreeSet<Digest> = old.collect();
        for one in self.kept().iter_mut() {
            one.old |= old.contains(&one.digest);
        }
    }

    /// Forgets one; what is not there is forgotten already.
    fn forget(&self, digest: &Digest) -> io::Result<()> {
        remove(&self.place(digest))?;
        self.kept().retain(|known| known.digest != *digest);
        Ok(())
    }

    fn write(&self, bytes: &[u8]) -> Result<Digest, Lost> {
        let (dir, length, digest) = (self.dir(), bytes.len() as u64, Digest::of(bytes));
        let failed = |action: &'static str, path: &Path| {
            let path = path.to_owned();
            move |source: io::Error| Lost::Io { action, path, source }
        };
        let make_room = |bytes| self.make_room(bytes).map_err(|(path, error)| failed("remove", &path)(error));
        make_room(0)?;
        let found = statvfs(&self.state).map_err(|error| failed("look at", &self.state)(error.into()))?;
        let (free, floor) = (found.f_bavail.saturating_mul(found.f_frsize), self.bounds.floor);
        if free < floor.saturating_add(length) {
            return Err(Lost::Low { dir: self.state.clone(), free, floor });
        }
        make_room(length)?;
        // Not the directory above it: one that was moved away finds its place empty when it is put back.
        match DirBuilder::new().mode(0o700).create(&dir) {
            Ok(()) => sync(&self.state).map_err(failed("sync", &self.state))?,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed("create", &dir)(error)),
        }
        let (place, temp) = (self.place(&digest), dir.join(format!("{}{}{}", TEMP.0, digest.hex(), TEMP.1)));
        let known = place.symlink_metadata().is_ok();
        let mut renamed = false;
        let written = create(&temp, bytes).map_err(failed("write", &temp)).and_then(|()| {
            failpoint::pass("recording.synced");
            let put = fs::rename(&temp, &place).and_then(|()| {
                renamed = true;
                sync(&dir)
            });
            put.map_err(failed("put in place", &place))
        });
        if written.is_err() {
            // On a full disk what is half there would only make it fuller. What lay there before may be named by a fact.
            let left = if renamed { Some(&place).filter(|_| !known) } else { Some(&temp) };
            let _ = left.map(fs::remove_file);
        }
        written?;
        failpoint::pass("recording.named");
        let mut kept = self.kept();
        kept.retain(|known| known.digest != digest);
        kept.push_back(Kept { digest, bytes: length, old: false });
        Ok(digest)
    }

    /// Forgets what is too old, and then the oldest until there is room for so many bytes.
    fn make_room(&self, bytes: u64) -> Result<(), (PathBuf, io::Error)> {
        loop {
            let oldest = {
                let kept = self.kept();
                let all = kept.iter().fold(bytes, |all, one| all.saturating_add(one.bytes));
                let over = || kept.front().filter(|_| all > self.bounds.budget);
                kept.iter().find(|one| one.old).or_else(over).map(|one| one.digest)
            };
            let Some(oldest) = oldest else { return Ok(()) };
            self.forget(&oldest).map_err(|error| (self.place(&oldest), error))?;
        }
    }

    /// Where they lie.
    pub fn dir(&self) -> PathBuf {
        self.state.join(RECORDINGS)
    }

    fn place(&self, digest: &Digest) -> PathBuf {
        place(&self.state, digest)
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The file of a recording in a state directory.
pub fn place(state: &Path, digest: &Digest) -> PathBuf {
    state.join(RECORDINGS).join(format!("{}{END}", digest.hex()))
}

/// One of a state directory, verified; none when it is no longer kept.
pub(crate) fn read(state: &Path, digest: &Digest) -> Result<Option<Vec<u8>>, LedgerError> {
    let path = place(state, digest);
    // Whoever may write there may put a link or a pipe in its place: neither is followed or waited for.
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(LedgerError::io("open", &path))?,
    };
    let mut bytes = Vec::new();
    let most = MAX_RECORDING as u64 + 1;
    if file.metadata().map_err(LedgerError::io("look at", &path))?.is_file() {
        file.take(most).read_to_end(&mut bytes).map_err(LedgerError::io("read", &path))?;
    }
    if Digest::of(&bytes) == *digest { Ok(Some(bytes)) } else { Err(LedgerError::Recording(path)) }
}

fn digest_of(name: &str) -> Option<Digest> {
    format!("sha256:{}", name.strip_suffix(END)?).parse().ok()
}

fn create(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    failpoint::pass("recording.begun");
    file.write_all(bytes)?;
    file.sync_all()
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn sync(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests;
