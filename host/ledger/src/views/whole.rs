//! A file that is always replaced as a whole, and only when what it says has changed.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::cursor::{self, Cursor};
use super::error::ViewError;
use super::files;

/// One replaced file.
#[derive(Debug)]
pub(super) struct WholeView {
    pub(super) name: &'static str,
    path: PathBuf,
    /// What was last written, so that an unchanged file costs one look.
    written: Option<String>,
}

impl WholeView {
    pub(super) fn new(root: &Path, name: &'static str) -> Self {
        Self { name, path: root.join(name), written: None }
    }

    /// Looks at the file again before believing it.
    pub(super) fn forget(&mut self) {
        self.written = None;
    }

    /// Makes the file say `text`, which is true as of fact `seq`.
    pub(super) fn write(&mut self, connection: &Connection, seq: u64, text: String) -> Result<(), ViewError> {
        let length = text.len() as u64;
        if self.is_there() && self.written.as_ref() == Some(&text) {
            return Ok(());
        }
        if self.written.is_none() && fs::read(&self.path).is_ok_and(|found| found == text.as_bytes()) {
            self.written = Some(text);
            return Ok(());
        }
        if cursor::load(connection, self.name)?.is_none() {
            self.keep_foreign()?;
        }
        files::replace(&self.path, text.as_bytes())?;
        cursor::store(connection, self.name, Cursor { seq, length, ..Cursor::START })?;
        self.written = Some(text);
        Ok(())
    }

    /// What was last written is still there, as far as a look tells.
    pub(super) fn is_there(&self) -> bool {
        let length = self.written.as_ref().map(|text| text.len() as u64);
        fs::metadata(&self.path).is_ok_and(|found| Some(found.len()) == length)
    }

    /// A file that was here before the first of ours is never overwritten without a copy.
    fn keep_foreign(&self) -> Result<(), ViewError> {
        match File::open(&self.path) {
            Ok(mut file) => files::keep_aside(&mut file, 0, &self.path, "kept"),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(ViewError::io("open", &self.path)(error)),
        }
    }
}
