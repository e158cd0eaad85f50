//! One attempt to bring all files of a patch to one side, and the way back when it fails. Each step leaves every file either as
//! before or as the patch leaves it, so that whoever comes after a crash can go on or go back.

use std::collections::BTreeSet;
use std::io::{self, Write as _};

use cap_std::fs::Dir;
use razar_core::id::Digest;
use razar_core::patch::{FilePath, Found, Missing, Patch, Side};
use razar_ledger::failpoint;
use rustix::fs::{AtFlags, Mode, RenameFlags, mkdirat, unlinkat};
use rustix::io::Errno;

use super::Done;
use super::dress;
use super::error::{Cause, Left, MendError, Odd};
use super::place::{self, Place};

/// Where the files stood at first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    /// All on the other side: an error is undone.
    Whole,
    /// On either side, as a crash leaves them.
    Between,
    /// Wherever an error left them: this is the way back.
    Back,
}

/// An attempt.
pub(super) struct Work<'p> {
    patch: &'p Patch,
    top: &'p Dir,
    side: Side,
    places: Vec<Place<'p>>,
    /// Directories that were made now.
    made: Vec<String>,
    /// Whether anything may have been changed.
    begun: bool,
    /// What an error means.
    start: Start,
    /// Whether names may be swapped, as most file systems can.
    swaps: bool,
    notes: Vec<String>,
}

impl<'p> Work<'p> {
    pub(super) const fn new(patch: &'p Patch, top: &'p Dir, side: Side) -> Self {
        Self {
            patch,
            top,
            side,
            places: Vec::new(),
            made: Vec::new(),
            begun: false,
            start: Start::Between,
            swaps: true,
            notes: Vec::new(),
        }
    }

    /// Does it, or undoes what of it was done.
    pub(super) fn done(mut self) -> Result<Done, MendError> {
        match self.perform() {
            Ok(None) => Ok(Done { notes: self.notes }),
            Ok(Some(cause)) => Err(MendError { cause, left: Left::Rest }),
            Err(cause) => Err(self.undone(cause)),
        }
    }

    fn undone(mut self, cause: Cause) -> MendError {
        let left = match (self.begun, self.start) {
            (false, _) => Left::Untouched,
            (true, Start::Between | Start::Back) => Left::Mixed(None),
            (true, Start::Whole) => {
                let mut back = Self::new(self.patch, self.top, self.side.other());
                back.start = Start::Back;
                back.made = std::mem::take(&mut self.made);
                back.swaps = self.swaps;
                match back.perform() {
                    Ok(None) => Left::TakenBack,
                    Ok(Some(_)) => Left::Rest,
                    Err(cause) => Left::Mixed(Some(Box::new(cause))),
                }
            }
        };
        MendError { cause, left }
    }

    /// All steps. A file that was left alone is returned.
    fn perform(&mut self) -> Result<Option<Cause>, Cause> {
        self.places = Place::all(self.patch.manifest(), self.top)?;
        let (moved, alone) = self.judge()?;
        failpoint::pass("patch.checked");
        self.begun = true;
        for number in &moved {
            self.stage(*number)?;
        }
        for place in moved.iter().filter_map(|number| self.places.get(*number)) {
            self.shift(place)?;
        }
        self.sync()?;
        failpoint::pass("patch.moved");
        self.tidy();
        Ok(alone)
    }

    /// Which files are to be moved, by number, and why one is left alone.
    fn judge(&mut self) -> Result<(Vec<usize>, Option<Cause>), Cause> {
        let (mut moved, mut alone) = (Vec::new(), None);
        for (number, place) in self.places.iter().enumerate() {
            rescue(place)?;
            let side = place.file.side(place.found()?);
            if side == Some(self.side.other()) {
                moved.push(number);
            } else if side.is_none() {
                alone.get_or_insert(Cause::Changed { path: place.path().clone(), what: Odd::Neither });
            }
        }
        if self.side == Side::After
            && let Some(cause) = alone
        {
            return Err(cause);
        }
        if self.start == Start::Between && moved.len() == self.places.len() {
            self.start = Start::Whole;
            if self.side == Side::After {
                self.directories_are_free()?;
            }
        }
        Ok((moved, alone))
    }

    /// Directories that the patch makes are not there, or as an attempt that died has left them.
    fn directories_are_free(&self) -> Result<(), Cause> {
        for directory in self.patch.manifest().directories() {
            if !self.is_free(directory)? {
                return Err(Cause::Changed { path: directory.clone(), what: Odd::Made });
            }
        }
        Ok(())
    }

    fn is_free(&self, directory: &FilePath) -> Result<bool, Cause> {
        let mut dir = place::real(self.top)?;
        for name in directory.parts() {
            dir = match place::enter(&dir, name) {
                Ok(next) => next,
                Err(error) => return Ok(error.kind() == io::ErrorKind::NotFound),
            };
        }
        let made = self.patch.manifest().directories();
        for entry in dir.entries().map_err(Cause::io("list", directory))? {
            let name = entry.map_err(Cause::io("list", directory))?.file_name();
            let name = name.to_string_lossy();
            let path = format!("{directory}/{name}");
            if !name.starts_with(place::PREFIX) && !made.iter().any(|made| made.as_str() == path) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Writes a file complete, under a name of its own beside where it belongs.
    fn stage(&mut self, number: usize) -> Result<(), Cause> {
        let Some(place) = self.places.get(number) else { return Ok(()) };
        let Some(wanted) = place.file.at(self.side) else {
            // The file that goes is to have this name.
            return place.remove(&place.whole);
        };
        // A crash may have left a directory that was made and not dressed yet.
        let is_ours = |parent| self.patch.manifest().directories().iter().any(|made| made.as_str() == parent);
        if place.dir.is_err() || self.side == Side::After && place.path().parents().any(is_ours) {
            let dir = self.make_parents(number)?;
            if let Some(place) = self.places.get_mut(number) {
                place.dir = Ok(dir);
            }
        }
        let Some(place) = self.places.get(number) else { return Ok(()) };
        if place.look(&place.whole)? == Found::File(wanted) {
            // It was taken out of its place by the attempt that is undone, and goes back as it was.
            return Ok(());
        }
        let bytes = self.patch.file(place.file, self.side).ok_or(Missing(wanted))?;
        place.remove(&place.part)?;
        place.remove(&place.whole)?;
        let failed = |action| Cause::io(action, place.path());
        let mut part = place.create()?;
        failpoint::pass("patch.created");
        part.write_all(bytes).map_err(failed("write beside"))?;
        failpoint::pass("patch.written");
        dress::dress(place, &part, &mut self.notes)?;
        failpoint::pass("patch.dressed");
        part.sync_all().map_err(failed("sync what was written beside"))?;
        failpoint::pass("patch.synced");
        place.replace(&place.part, &place.whole)?;
        failpoint::pass("patch.staged");
        Ok(())
    }

    /// Makes the directories that a file needs, each like the one it is in.
    fn make_parents(&mut self, number: usize) -> Result<Dir, Cause> {
        let mut dir = place::real(self.top)?;
        let Some(place) = self.places.get(number) else { return Ok(dir) };
        for parent in place.path().parents() {
            let name = parent.rsplit('/').next().unwrap_or_default();
            let failed = |action| Cause::io(action, parent);
            match mkdirat(&dir, name, Mode::RWXU) {
                Ok(()) => self.made.push(parent.to_owned()),
                Err(Errno::EXIST) => {}
                Err(error) => return Err(failed("make the directory")(error.into())),
            }
            failpoint::pass("patch.made");
            let next = place::enter(&dir, name).map_err(failed("open"))?;
            let ours = self.made.iter().any(|made| made == parent)
                || self.patch.manifest().directories().iter().any(|made| made.as_str() == parent);
            if ours {
                let file = |dir: &Dir| dir.try_clone().map(Dir::into_std_file).map_err(failed("open"));
                let (above, made) = (file(&dir)?, file(&next)?);
                let like = || {
                    let bits = std::os::unix::fs::MetadataExt::mode(&above.metadata()?);
                    dress::owned_as(&made, &above)?;
                    dress::mode(&made, bits)?;
                    made.sync_all()?;
                    above.sync_all()
                };
                like().map_err(failed("make the directory"))?;
            }
            dir = next;
        }
        Ok(dir)
    }

    /// Puts a file in place, or takes it out. One rename: before it the file is as before, after it as wanted.
    fn shift(&self, place: &Place<'_>) -> Result<(), Cause> {
        match (place.file.at(self.side.other()), place.file.at(self.side)) {
            (Some(had), Some(_)) => self.swap(place, had),
            (None, Some(_)) => put(place),
            (Some(had), None) => take(place, had),
            // No manifest says so.
            (None, None) => Ok(()),
        }
    }

    /// The old file gets the name of the new one: nothing is lost, whoever had changed it meanwhile.
    fn swap(&self, place: &Place<'_>, had: Digest) -> Result<(), Cause> {
        let how = RenameFlags::EXCHANGE;
        let swapped =
            if self.swaps { place.rename(&place.whole, place.name(), how)? } else { Err(Errno::NOSYS) };
        match swapped {
            Ok(()) => {
                failpoint::pass("patch.swapped");
                if place.look(&place.whole)? == Found::File(had) {
                    return Ok(());
                }
                let _ = place.rename(&place.whole, place.name(), how)?;
                Err(meanwhile(place))
            }
            Err(Errno::NOSYS) => {
                if place.found()? != Found::File(had) {
                    return Err(meanwhile(place));
                }
                place.replace(&place.whole, place.name())?;
                failpoint::pass("patch.replaced");
                Ok(())
            }
            Err(_) => Err(meanwhile(place)),
        }
    }

    fn sync(&self) -> Result<(), Cause> {
        let mut synced = BTreeSet::new();
        for place in &self.places {
            if synced.insert(place.path().parents().last()) {
                place.sync()?;
            }
        }
        Ok(())
    }

    /// Takes away what is of no use any more. The files are where they should be, so whatever cannot be taken away is noted and
    /// left to the next attempt.
    fn tidy(&mut self) {
        let mut notes: Vec<String> = self
            .places
            .iter()
            .filter_map(|place| sweep(place).transpose())
            .map(|swept| match swept {
                Ok(note) => note,
                Err(cause) => cause.to_string(),
            })
            .collect();
        notes.extend(self.sync().err().map(|cause| cause.to_string()));
        if self.side == Side::Before {
            self.made.extend(self.patch.manifest().directories().iter().map(FilePath::to_string));
        } else if self.start != Start::Back {
            self.made.clear();
        }
        self.made.sort_unstable();
        for path in self.made.iter().rev() {
            notes.extend(remove_empty(self.top, path).err().map(|cause| cause.to_string()));
            failpoint::pass("patch.unmade");
        }
        self.notes.append(&mut notes);
    }
}

/// Takes away the temporary files of one file. What somebody else wrote, and could not be put back, is not ours to take away.
fn sweep(place: &Place<'_>) -> Result<Option<String>, Cause> {
    place.remove(&place.part)?;
    let aside = place.look(&place.whole)?;
    if aside != Found::Absent && place.file.side(aside).is_none() {
        return Ok(Some(format!(
            "`{}`: another version of it lies beside it as `{}`",
            place.path(),
            place.whole
        )));
    }
    place.remove(&place.whole)?;
    failpoint::pass("patch.swept");
    Ok(None)
}

/// A new file gets its place, if that is still free.
fn put(place: &Place<'_>) -> Result<(), Cause> {
    match place.rename(&place.whole, place.name(), RenameFlags::NOREPLACE)? {
        Ok(()) => {}
        Err(Errno::NOSYS) if place.found()? == Found::Absent => place.replace(&place.whole, place.name())?,
        Err(_) => return Err(meanwhile(place)),
    }
    failpoint::pass("patch.put");
    Ok(())
}

/// A file that goes gets another name first, so that it can come back.
fn take(place: &Place<'_>, had: Digest) -> Result<(), Cause> {
    match place.rename(place.name(), &place.whole, RenameFlags::NOREPLACE)? {
        Ok(()) => {}
        Err(Errno::NOSYS) => place.replace(place.name(), &place.whole)?,
        Err(_) => return Err(meanwhile(place)),
    }
    failpoint::pass("patch.taken");
    if place.look(&place.whole)? == Found::File(had) {
        return Ok(());
    }
    if place.rename(&place.whole, place.name(), RenameFlags::NOREPLACE)? == Err(Errno::NOSYS) {
        place.replace(&place.whole, place.name())?;
    }
    Err(meanwhile(place))
}

/// A crash between taking a file out and seeing that somebody had just changed it: theirs goes back to its place.
fn rescue(place: &Place<'_>) -> Result<(), Cause> {
    let aside = place.look(&place.whole)?;
    if aside == Found::Absent || place.file.side(aside).is_some() {
        return Ok(());
    }
    let found = place.found()?;
    if place.file.side(found).is_none() {
        // Changed once more: both are kept.
        return Ok(());
    }
    let how = if found == Found::Absent { RenameFlags::NOREPLACE } else { RenameFlags::EXCHANGE };
    // Where names cannot be swapped, nothing is ever taken out.
    let _ = place.rename(&place.whole, place.name(), how)?;
    Ok(())
}

fn meanwhile(place: &Place<'_>) -> Cause {
    Cause::Changed { path: place.path().clone(), what: Odd::Meanwhile }
}

/// A directory that is not empty is somebody's.
fn remove_empty(top: &Dir, path: &str) -> Result<(), Cause> {
    let mut dir = place::real(top)?;
    let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
    for part in above.split('/').filter(|part| !part.is_empty()) {
        let Ok(next) = place::enter(&dir, part) else { return Ok(()) };
        dir = next;
    }
    match unlinkat(&dir, name, AtFlags::REMOVEDIR) {
        Ok(()) => {
            rustix::fs::fsync(&dir).map_err(|error| Cause::io("sync the directory of", path)(error.into()))
        }
        Err(Errno::NOENT | Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR) => Ok(()),
        Err(error) => Err(Cause::io("remove the directory", path)(error.into())),
    }
}

#[cfg(test)]
mod tests;
