//! `logs/patch_backups/<file>.<time>`: every file that a patch changed or took away, as it was before; the newest of them kept.
//! It is for operators who look there; what takes a patch back reads the ledger.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};

use razar_core::id::Digest;
use razar_core::patch::{ManifestFile, Patch, Side};
use razar_core::time::Timestamp;

use super::error::ViewError;
use super::files;
use super::patches::{PatchEvent, PatchStep};
use crate::moment;
use crate::patches::PatchError;

/// Below the root of the views.
pub(super) const NAME: &str = "logs/patch_backups";
/// Patches whose backups are kept.
pub(super) const KEPT: usize = 50;
/// Bytes of all backups together, beyond those of the newest patch.
pub(super) const BYTES: u64 = 32 << 20;
/// At least as many as one patch can have.
const MOST_FILES: usize = 32;

/// The archive.
#[derive(Debug)]
pub(super) struct PatchBackups {
    dir: PathBuf,
    /// The newest last.
    applied: VecDeque<Applied>,
}

#[derive(Debug)]
struct Applied {
    at: Timestamp,
    /// How many were put in place at this very moment before it.
    rank: usize,
    manifest: Digest,
    state: State,
}

/// What is known of one patch's backups on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Unknown,
    Written { bytes: u64 },
    Removed,
}

impl PatchBackups {
    /// The archive below the root of the views.
    pub(super) fn new(root: &Path) -> Self {
        Self { dir: root.join(NAME), applied: VecDeque::new() }
    }

    /// Takes one event in.
    pub(super) fn fold(&mut self, at: Timestamp, event: &PatchEvent) {
        let PatchStep::Applied { manifest } = event.what else { return };
        let rank = self.applied.back().filter(|last| last.at == at).map_or(0, |last| last.rank + 1);
        self.applied.push_back(Applied { at, rank, manifest, state: State::Unknown });
        // As many again are remembered, so that those go too that should have gone while nothing could be removed.
        if self.applied.len() > 2 * KEPT {
            self.applied.pop_front();
        }
    }

    /// Makes the directory agree. A patch that is not in the ledger any more has no backup that could be written.
    ///
    /// # Errors
    /// A file cannot be written or removed, or the ledger cannot be read.
    pub(super) fn write(
        &mut self,
        patch: impl Fn(&Digest) -> Result<Patch, PatchError>,
    ) -> Result<(), ViewError> {
        let (mut kept, mut bytes) = (0, 0);
        for one in self.applied.iter_mut().rev() {
            if kept > 0 && (kept >= KEPT || bytes > BYTES) {
                one.remove(&self.dir, &patch)?;
                continue;
            }
            kept += 1;
            bytes += one.write(&self.dir, &patch)?;
        }
        Ok(())
    }
}

impl Applied {
    /// Writes what is not there yet, and says how many bytes it is.
    fn write(
        &mut self,
        dir: &Path,
        patch: impl Fn(&Digest) -> Result<Patch, PatchError>,
    ) -> Result<u64, ViewError> {
        if let State::Written { bytes } = self.state {
            return Ok(bytes);
        }
        let mut written = 0;
        for (name, bytes) in self.files(patch)? {
            let path = dir.join(name);
            written += bytes.len() as u64;
            if !fs::read(&path).is_ok_and(|found| found == bytes) {
                files::replace(&path, &bytes)?;
            }
        }
        self.state = State::Written { bytes: written };
        Ok(written)
    }

    fn remove(
        &mut self,
        dir: &Path,
        patch: impl Fn(&Digest) -> Result<Patch, PatchError>,
    ) -> Result<(), ViewError> {
        if self.state != State::Removed {
            for (name, _) in self.files(patch)? {
                files::remove(&dir.join(name))?;
            }
            self.state = State::Removed;
        }
        Ok(())
    }

    /// The names of the backups and what is in them. Files of one name are told apart by the microseconds, which no clock of
    /// ours has.
    fn files(
        &self,
        patch: impl Fn(&Digest) -> Result<Patch, PatchError>,
    ) -> Result<Vec<(String, Vec<u8>)>, ViewError> {
        let patch = match patch(&self.manifest) {
            Ok(patch) => patch,
            Err(PatchError::Ledger(error)) => return Err(ViewError::Ledger(error)),
            // A repair of the ledger lost it.
            Err(_) => return Ok(Vec::new()),
        };
        let files = patch.manifest().files().iter().enumerate();
        let backup = |(number, file): (usize, &ManifestFile)| {
            let bytes = patch.file(file, Side::Before)?;
            let name = file.path().parts().last().unwrap_or_default();
            let micros = self.rank * MOST_FILES + number;
            Some((format!("{name}.{}", moment::backup(self.at, micros)), bytes.to_vec()))
        };
        Ok(files.filter_map(backup).collect())
    }
}

#[cfg(test)]
mod tests;
