//! Replacing a file so that a reader or a crash sees the old one or the new one, never a mixture, and keeping aside
//! what is not ours.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::error::ViewError;
use crate::failpoint;

/// Names of our unfinished files; no validated name begins with a dot.
const TEMP: (&str, &str) = (".razar-", ".tmp");

/// Writes the whole file: temp beside it, synced, renamed, directory synced.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), ViewError> {
    let dir = parent(path)?;
    let mut name = OsString::from(TEMP.0);
    name.push(path.file_name().unwrap_or_default());
    name.push(TEMP.1);
    let temp = dir.join(name);
    let write = || {
        let mut file = File::create(&temp)?;
        failpoint::pass("replace.created");
        file.write_all(bytes)?;
        failpoint::pass("replace.written");
        file.sync_all()
    };
    let written = write()
        .map_err(ViewError::io("write", &temp))
        .inspect(|()| failpoint::pass("replace.synced"))
        .and_then(|()| fs::rename(&temp, path).map_err(ViewError::io("replace", path)));
    if written.is_err() {
        // On a full disk the half-written file would only make it fuller.
        let _ = fs::remove_file(&temp);
    }
    written?;
    failpoint::pass("replace.renamed");
    sync(dir)
}

/// Removes a file that may be gone already.
pub(super) fn remove(path: &Path) -> Result<(), ViewError> {
    failpoint::pass("remove.begun");
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(ViewError::io("remove", path)(error));
        }
        _ => {}
    }
    failpoint::pass("remove.done");
    Ok(())
}

/// Removes what an interrupted [`replace`] of ours left in a directory.
pub(super) fn sweep(dir: &Path) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let ours = name.to_str().is_some_and(|name| name.starts_with(TEMP.0) && name.ends_with(TEMP.1));
        if ours {
            // Left where it is it does no harm, and the next replacement overwrites it.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Kept-aside files per view: a program that goes on writing into one of our files must not fill the disk through us.
pub(super) const ASIDE: usize = 20;

/// Copies what follows `from` in an open file to `<path>.<word>-<ms>`; the oldest beyond [`ASIDE`] are removed.
pub(super) fn keep_aside(file: &mut File, from: u64, path: &Path, word: &str) -> Result<(), ViewError> {
    let mut millis = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    let (mut aside, target) = loop {
        let target = suffixed(path, &format!("{word}-{millis}"));
        match OpenOptions::new().write(true).create_new(true).open(&target) {
            Ok(aside) => break (aside, target),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => millis += 1,
            Err(error) => return Err(ViewError::io("create", &target)(error)),
        }
    };
    failpoint::pass("aside.made");
    file.seek(SeekFrom::Start(from))
        .and_then(|_| io::copy(file, &mut aside))
        .and_then(|_| aside.sync_all())
        .map_err(ViewError::io("keep the unknown end aside in", &target))?;
    failpoint::pass("aside.kept");
    forget_oldest(path, word)
}

fn forget_oldest(path: &Path, word: &str) -> Result<(), ViewError> {
    let dir = parent(path)?;
    let mut prefix = path.file_name().unwrap_or_default().to_owned();
    prefix.push(format!(".{word}-"));
    let number =
        |name: &OsStr| -> Option<u128> { name.to_str()?.strip_prefix(prefix.to_str()?)?.parse().ok() };
    let entries = fs::read_dir(dir).map_err(ViewError::io("list", dir))?.flatten();
    let mut aside: Vec<_> =
        entries.filter_map(|entry| number(&entry.file_name()).map(|at| (at, entry.path()))).collect();
    aside.sort();
    let surplus = aside.len().saturating_sub(ASIDE);
    aside.iter().take(surplus).try_for_each(|(_, path)| remove(path))
}

/// `<path>.<suffix>`.
pub(super) fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    name.into()
}

/// How many bytes of the file from `at` on are the beginning of `expected`.
pub(super) fn agreement(file: &mut File, at: u64, expected: &[u8]) -> io::Result<usize> {
    file.seek(SeekFrom::Start(at))?;
    let mut found = Vec::new();
    file.take(expected.len() as u64).read_to_end(&mut found)?;
    Ok(found.iter().zip(expected).take_while(|(a, b)| a == b).count())
}

/// The directory of a file, made when it is missing; not the one above it: a state directory that was moved away must
/// find its place empty when it is put back.
pub(super) fn parent(path: &Path) -> Result<&Path, ViewError> {
    let dir = path.parent().unwrap_or(Path::new("."));
    match fs::create_dir(dir) {
        Err(error) if !dir.is_dir() => Err(ViewError::io("create the directory", dir)(error)),
        _ => Ok(dir),
    }
}

/// Makes names in a directory durable.
pub(super) fn sync(dir: &Path) -> Result<(), ViewError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(ViewError::io("sync", dir))
}

/// The number behind `<name>.`, for files that were set aside by rotation.
pub(super) fn rotation(name: &OsStr, of: &OsStr) -> Option<u64> {
    name.to_str()?.strip_prefix(of.to_str()?)?.strip_prefix('.')?.parse().ok()
}
