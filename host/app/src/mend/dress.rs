//! What a new file has besides its bytes: owner, mode, extended attributes and time. It has those of the file it replaces, or
//! looks like its neighbors. What cannot be carried over is an error where it would change who may do what, and noted where
//! it would not.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;

use rustix::fs::{
    Mode, Timespec, Timestamps, UTIME_OMIT, XattrFlags, fchmod, fgetxattr, flistxattr, fsetxattr, futimens,
};
use rustix::io::Errno;

use super::error::Cause;
use super::place::{Place, give, owner};

/// Largest list of attributes, and largest attribute: what Linux keeps is not larger.
const ATTRIBUTES: usize = 64 << 10;

/// Dresses a new file. What could not be carried over is noted.
pub(super) fn dress(place: &Place<'_>, new: &File, notes: &mut Vec<String>) -> Result<(), Cause> {
    match place.open()? {
        Some(old) => like(place, &old, new, notes),
        None => alone(place, new),
    }
}

/// As the file that it replaces.
fn like(place: &Place<'_>, old: &File, new: &File, notes: &mut Vec<String>) -> Result<(), Cause> {
    let failed = |action| Cause::io(action, place.path());
    let owner = owner(old).map_err(failed("look at"))?;
    give(new, owner).map_err(failed("give the owner of the old file to the new"))?;
    match attributes(old, new) {
        Ok(lost) => notes.extend(lost.iter().map(|name| {
            let name = name.to_string_lossy();
            format!("`{}`: its attribute `{}` could not be carried over", place.path(), name.escape_debug())
        })),
        Err(error) => notes.push(format!("`{}`: its attributes could not be read: {error}", place.path())),
    }
    let meta = old.metadata().map_err(failed("look at"))?;
    mode(new, meta.mode()).map_err(failed("set the mode of"))?;
    later(new, meta.mtime()).map_err(failed("set the time of"))
}

/// As the directory's, and its other files.
fn alone(place: &Place<'_>, new: &File) -> Result<(), Cause> {
    let failed = |action| Cause::io(action, place.path());
    let dir = place.dir()?.try_clone().map_err(failed("open the directory of"))?.into_std_file();
    owned_as(new, &dir).map_err(failed("give the owner of the directory to"))?;
    let bits = match place.file.mode() {
        Some(mode) => mode,
        None => place.neighbors()?,
    };
    mode(new, bits).map_err(failed("set the mode of"))
}

/// The owner of the directory, where this user may give files to others: who may not makes files of its own there, as
/// everybody does.
pub(super) fn owned_as(new: &File, dir: &File) -> io::Result<()> {
    match give(new, owner(dir)?) {
        Err(error) if error.raw_os_error() == Some(Errno::PERM.raw_os_error()) => Ok(()),
        given => given,
    }
}

pub(super) fn mode(file: &File, bits: u32) -> io::Result<()> {
    Ok(fchmod(file.as_fd(), Mode::from_raw_mode(bits & 0o7777))?)
}

/// Interpreters take a compiled file for that of a source when the source's size and the second of its time are the same. So no
/// file of a patch has the second of the one that it replaces.
fn later(new: &File, old: i64) -> io::Result<()> {
    if new.metadata()?.mtime() > old {
        return Ok(());
    }
    let last_access = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
    let last_modification = Timespec { tv_sec: old.saturating_add(1), tv_nsec: 0 };
    Ok(futimens(new.as_fd(), &Timestamps { last_access, last_modification })?)
}

/// Copies extended attributes, and returns the names of those that could not be.
fn attributes(old: &File, new: &File) -> Result<Vec<CString>, Errno> {
    let mut names = vec![0; ATTRIBUTES];
    let length = match flistxattr(old.as_fd(), names.as_mut_slice()) {
        // A file system without them has none to carry over.
        Err(Errno::OPNOTSUPP) => 0,
        listed => listed?,
    };
    let names = names.get(..length).unwrap_or_default().split_inclusive(|byte| *byte == 0);
    let names = names.filter_map(|name| CStr::from_bytes_with_nul(name).ok());
    Ok(names.filter(|name| !carried(old, new, name)).map(CStr::to_owned).collect())
}

/// Carries one over; one that the new file has already, because its directory gives it, is carried over.
fn carried(old: &File, new: &File, name: &CStr) -> bool {
    let value = |file: &File| {
        let mut value = vec![0; ATTRIBUTES];
        let length = fgetxattr(file.as_fd(), name, value.as_mut_slice()).ok()?;
        value.truncate(length);
        Some(value)
    };
    let Some(wanted) = value(old) else { return false };
    value(new).as_ref() == Some(&wanted) || fsetxattr(new.as_fd(), name, &wanted, XattrFlags::empty()).is_ok()
}
