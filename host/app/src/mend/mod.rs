//! Puts an accepted patch in place and takes it back: all of its files or none, whatever happens in between. It decides nothing:
//! it is called by whoever holds the permission, after the patch was kept in the ledger. It works in one component's directory,
//! by handles, and follows no link.
//!
//! ```text
//! judge   every file is as before or as the patch leaves it, else nothing is put in place over it
//! stage   each new file, complete beside its place:  .part ── bytes, owner, attributes, mode, time, fsync ──► .whole
//! shift   one after another, by one rename each:     changed  .whole ◄─► file    new  .whole ─► file    gone  file ─► .whole
//! sync    the directories: from here on it is done
//! tidy    .whole goes (it is the old file now), and so do directories that the patch had made
//! ```
//!
//! An error anywhere before the end takes back what was done, from the old files that still lie there, so that it needs no
//! space. After a crash [`settle`] brings all files to either side: every file is as before or as the patch leaves it, and the
//! bytes of both are in the ledger. Temporary files are called `.razar-patch-<manifest>-<number>.part` or `.whole`, the same at
//! every attempt, so nothing has to be searched for.

mod dress;
mod error;
mod place;
mod work;

use std::path::Path;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use razar_core::patch::{FilePath, Patch, Side};

pub(crate) use error::{Left, MendError};

use error::Cause;
use place::Place;
use work::Work;

/// It is done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Done {
    /// What is not quite as it was, for the operator: an attribute that could not be carried over.
    pub(crate) notes: Vec<String>,
}

/// The directory of a component.
pub(crate) fn open(directory: &Path) -> Result<Dir, MendError> {
    let opened = Dir::open_ambient_dir(directory, ambient_authority());
    opened.map_err(Cause::io("open", directory.display())).map_err(untouched)
}

/// Notes the modes of files that go, so that they can come back with them: to be done before the patch is kept.
pub(crate) fn remember(patch: Patch, top: &Dir) -> Result<Patch, MendError> {
    let mut modes = std::collections::BTreeMap::<FilePath, u32>::new();
    for place in Place::all(patch.manifest(), top).map_err(untouched)? {
        if place.file.at(Side::After).is_none() {
            let mode = place.mode().map_err(untouched)?;
            modes.extend(mode.map(|mode| (place.path().clone(), mode)));
        }
    }
    Ok(patch.remembering(|path| modes.get(path).copied()))
}

/// Brings every file to this side, from the other or from whatever an attempt that died has left, and sweeps. A file that is on
/// neither is never touched: nothing is put in place over it, and what is taken back is taken back around it.
pub(crate) fn settle(patch: &Patch, top: &Dir, side: Side) -> Result<Done, MendError> {
    Work::new(patch, top, side).done()
}

const fn untouched(cause: Cause) -> MendError {
    MendError { cause, left: Left::Untouched }
}

#[cfg(test)]
mod tests;
