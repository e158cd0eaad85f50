//! A state directory from a backup. The archive is a stranger's until it is proven: no path leaves the directory, no
//! link and no special file is made, nothing is written that the archive does not hold, and every file is compared with
//! its digest and every fact with its predecessor before anything is put in place.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt as _};
use razar_core::id::Digest;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::backup::{FORMAT, Hashing, Listed, MANIFEST, Manifest, ROOMS};
use crate::directory::{self, DATABASE, RESTORING};
use crate::error::LedgerError;
use crate::failpoint;
use crate::key::KEYS;
use crate::recordings::RECORDINGS;
use crate::verify::{self, Report};

/// Files of one archive.
const MAX_ENTRIES: usize = 200_000;

/// Its list of contents.
const MAX_MANIFEST: u64 = 64 << 20;

/// One path in it.
const MAX_PATH: usize = 1024;

/// Directories that nobody else may look into, beside the rooms that operators know.
const PRIVATE: [&str; 2] = [KEYS, RECORDINGS];

/// The file in every state directory that says nothing.
const LOCK: &str = "host.lock";

/// Why nothing was restored; the directory is as empty as before.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// Something is there.
    #[error("`{}` is not empty: restore into a new directory with `--state DIR`, or move this one away", .0.display())]
    NotEmpty(PathBuf),
    /// It is no archive of ours.
    #[error("it is no backup of this host: {0}")]
    Shape(String),
    /// A path that no backup has.
    #[error("it holds `{}`, which no backup does: nothing was written", .0.escape_debug())]
    Path(String),
    /// A link, a directory, a device.
    #[error("`{}` in it is no regular file: nothing was written", .0.escape_debug())]
    Kind(String),
    /// More bytes than there are.
    #[error("`{}` says it has {size} bytes in an archive of {archive}: nothing was written", path.escape_debug())]
    Oversize {
        /// Which.
        path: String,
        /// What it says.
        size: u64,
        /// What there is.
        archive: u64,
    },
    /// Not what the list of contents says.
    #[error("`{}` in it is not what its list of contents says: the archive is damaged or was changed", .0.escape_debug())]
    Digest(String),
    /// The ledger in it is damaged.
    #[error("the ledger in it is not intact: {0}")]
    Damaged(String),
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
    /// The directory cannot be used.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// What was restored.
#[derive(Debug, Clone, Serialize)]
pub struct Restored {
    /// What was in the archive.
    #[serde(flatten)]
    pub manifest: Manifest,
    /// What a look at the directory says afterwards.
    pub report: Report,
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> RestoreError {
    let path = path.to_owned();
    move |source| RestoreError::Io { action, path, source }
}

/// Makes an empty directory the state directory that was backed up.
pub fn restore(file: &Path, dir: &Path) -> Result<Restored, RestoreError> {
    let mut archive = File::open(file).map_err(failed("open", file))?;
    let manifest = inspect(&mut archive)?;
    refuse_used(dir)?;
    let _held = directory::hold(dir)?;
    // Once more: somebody may have been faster.
    refuse_used(dir)?;
    let staged = dir.join(RESTORING);
    DirBuilder::new().mode(0o700).create(&staged).map_err(failed("create", &staged))?;
    failpoint::pass("restore.begun");
    let unpacked = unpack(&mut archive, &manifest, &staged);
    failpoint::pass("restore.unpacked");
    if unpacked.is_err() {
        // Ours alone; without it the directory is empty again and may be tried again.
        let _ = fs::remove_dir_all(&staged);
    }
    unpacked?;
    settle(&staged, dir)?;
    let report = verify::verify(dir, None)?;
    Ok(Restored { manifest, report })
}

/// A directory that holds anything but a lock file is somebody's.
fn refuse_used(dir: &Path) -> Result<(), RestoreError> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("list", dir)(error)),
    };
    let used = entries.flatten().any(|entry| entry.file_name() != LOCK);
    if used { Err(RestoreError::NotEmpty(dir.to_owned())) } else { Ok(()) }
}

/// Reads a whole archive and compares it with its list of contents; writes nothing.
pub(crate) fn inspect(archive: &mut File) -> Result<Manifest, RestoreError> {
    let mut found = BTreeMap::new();
    let mut manifest = None;
    each(archive, |path, size, entry| {
        if path == MANIFEST {
            let mut bytes = Vec::new();
            entry.take(MAX_MANIFEST).read_to_end(&mut bytes).map_err(torn)?;
            let read = serde_json::from_slice::<Manifest>(&bytes);
            manifest = Some(read.map_err(|error| RestoreError::Shape(error.to_string()))?);
            return Ok(());
        }
        let mut hashing = Hashing { from: entry, hash: Sha256::new() };
        let read = io::copy(&mut hashing, &mut io::sink()).map_err(torn)?;
        if read != size {
            return Err(RestoreError::Digest(path.to_owned()));
        }
        let digest = Digest::from_bytes(hashing.hash.finalize().into());
        found.insert(path.to_owned(), Listed { path: path.to_owned(), size, digest });
        Ok(())
    })?;
    let manifest = manifest.ok_or_else(|| RestoreError::Shape(format!("it has no `{MANIFEST}`")))?;
    if manifest.format != FORMAT {
        return Err(RestoreError::Shape(format!("its format is not `{FORMAT}`")));
    }
    for listed in &manifest.files {
        if found.remove(&listed.path).as_ref() != Some(listed) {
            return Err(RestoreError::Digest(listed.path.clone()));
        }
    }
    if let Some(path) = found.into_keys().next() {
        return Err(RestoreError::Digest(path));
    }
    if !manifest.files.iter().any(|listed| listed.path == DATABASE) {
        return Err(RestoreError::Shape(format!("it has no `{DATABASE}`")));
    }
    Ok(manifest)
}

fn torn(error: io::Error) -> RestoreError {
    RestoreError::Shape(format!("it cannot be read to its end: {error}"))
}

/// Every file of an archive, once its name, kind and size are known to be harmless.
fn each(
    archive: &mut File,
    mut take: impl FnMut(&str, u64, &mut dyn Read) -> Result<(), RestoreError>,
) -> Result<(), RestoreError> {
    let length =
        archive.seek(SeekFrom::End(0)).and_then(|length| archive.rewind().map(|()| length)).map_err(torn)?;
    let mut seen = HashSet::new();
    let mut tar = tar::Archive::new(archive);
    for entry in tar.entries().map_err(torn)? {
        let mut entry = entry.map_err(torn)?;
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if !is_expected(&path) || !seen.insert(path.clone()) || seen.len() > MAX_ENTRIES {
            return Err(RestoreError::Path(path.chars().take(200).collect()));
        }
        let kind = entry.header().entry_type();
        if kind != tar::EntryType::Regular {
            return Err(RestoreError::Kind(path));
        }
        let size = entry.size();
        if size > length {
            return Err(RestoreError::Oversize { path, size, archive: length });
        }
        take(&path, size, &mut entry)?;
    }
    Ok(())
}

/// The names that a backup has, and no others.
fn is_expected(path: &str) -> bool {
    if [DATABASE, MANIFEST].contains(&path) {
        return true;
    }
    let mut parts = path.split('/');
    let room = parts.next().unwrap_or_default();
    let mut below = parts.peekable();
    let harmless = |part: &str| {
        !part.is_empty()
            && part != "."
            && part != ".."
            && !part.contains(['\0', '\\'])
            && !part.contains('\u{fffd}')
    };
    (ROOMS.contains(&room) || PRIVATE.contains(&room))
        && path.len() <= MAX_PATH
        && below.peek().is_some()
        && below.all(harmless)
}

/// Writes every file below `staged` and looks at the ledger there.
fn unpack(archive: &mut File, manifest: &Manifest, staged: &Path) -> Result<(), RestoreError> {
    let dir = Dir::open_ambient_dir(staged, ambient_authority()).map_err(failed("open", staged))?;
    let listed: BTreeMap<_, _> = manifest.files.iter().map(|file| (file.path.as_str(), file)).collect();
    each(archive, |path, size, entry| {
        if path == MANIFEST {
            return Ok(());
        }
        let place = staged.join(path);
        if let Some((parent, _)) = path.rsplit_once('/') {
            dir.create_dir_all(parent).map_err(failed("create a directory for", &place))?;
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let mut file = dir.open_with(path, &options).map_err(failed("create", &place))?;
        let mut hashing = Hashing { from: entry.take(size), hash: Sha256::new() };
        io::copy(&mut hashing, &mut file).map_err(failed("write", &place))?;
        file.sync_all().map_err(failed("sync", &place))?;
        let digest = Digest::from_bytes(hashing.hash.finalize().into());
        // It was compared before; the archive may have been changed since.
        if listed.get(path).is_none_or(|listed| listed.digest != digest) {
            return Err(RestoreError::Digest(path.to_owned()));
        }
        Ok(())
    })?;
    for room in PRIVATE.map(|room| staged.join(room)) {
        if room.exists() {
            let private = fs::Permissions::from_mode(0o700);
            fs::set_permissions(&room, private).map_err(failed("close to others", &room))?;
        }
    }
    let report = verify::database(&staged.join(DATABASE))?;
    if !report.intact {
        let bad = report.first_bad.map(|bad| bad.what);
        return Err(RestoreError::Damaged(bad.or(report.database.into_iter().next()).unwrap_or_default()));
    }
    let same = report.state.as_deref() == Some(manifest.state.as_str())
        && report.head.is_none_or(|head| head == manifest.head)
        && report.facts == manifest.head.seq;
    if same {
        Ok(())
    } else {
        Err(RestoreError::Damaged("it is not the one of the list of contents".to_owned()))
    }
}

/// Puts everything in place, the ledger last: until it is there, nothing is remembered here.
fn settle(staged: &Path, dir: &Path) -> Result<(), RestoreError> {
    let mut names = Vec::new();
    for entry in fs::read_dir(staged).map_err(failed("list", staged))? {
        names.push(entry.map_err(failed("list", staged))?.file_name());
    }
    names.sort_by_key(|name| name == DATABASE);
    for name in names {
        let (from, to) = (staged.join(&name), dir.join(&name));
        fs::rename(&from, &to).map_err(failed("put in place", &to))?;
    }
    failpoint::pass("restore.placed");
    fs::remove_dir(staged).map_err(failed("remove", staged))?;
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed("sync", dir))
}

#[cfg(test)]
mod tests;
