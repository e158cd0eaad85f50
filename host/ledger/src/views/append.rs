//! A file that only grows, and the rotation that bounds it. Its bytes are a function of the facts, so whatever an
//! interruption left can be told from what somebody else wrote: ours is completed, theirs is kept aside.
//!
//! ```text
//! razar.log.3   a full segment, not written again        recorded length
//! razar.log     |== written, cursor committed ==|~~ torn ~~|
//!               └─ at a start: compared with what the facts say, from the segment's first byte
//! ```
//!
//! A closed segment is not looked at again: it is a convenience, and its facts are in the ledger.

use std::collections::VecDeque;
use std::fs::{self, OpenOptions};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use razar_core::fact::Recorded;
use rusqlite::Connection;

use super::cursor::{self, Cursor};
use super::error::ViewError;
use super::files;
use super::stack::Stack;
use crate::error::LedgerError;
use crate::failpoint;
use crate::meta;

/// A segment is closed when it is this long: small enough to open in an editor at night.
pub(super) const SEGMENT: u64 = 4 << 20;
/// Closed segments that are kept; older ones are removed, their facts stay in the ledger.
pub(super) const KEPT: u64 = 4;

/// The lines of one fact, given the stack as it was before.
pub(super) type Lines = fn(&Stack, &Recorded, &mut String);

/// One growing file.
#[derive(Debug)]
pub(super) struct AppendView {
    pub(super) name: &'static str,
    path: PathBuf,
    header: &'static str,
    lines: Lines,
    segment: u64,
    /// What is on disk.
    cursor: Cursor,
    /// What the facts say comes next, by segment; bounded by the rotation.
    pending: VecDeque<Chunk>,
    /// The file's end has been compared since it was loaded.
    checked: bool,
}

#[derive(Debug)]
struct Chunk {
    segment: u64,
    base_seq: u64,
    last_seq: u64,
    /// Where its bytes begin in the segment.
    start: u64,
    bytes: String,
}

impl AppendView {
    pub(super) fn new(
        root: &Path,
        name: &'static str,
        header: &'static str,
        lines: Lines,
        segment: u64,
    ) -> Self {
        let path = root.join(name);
        Self {
            name,
            path,
            header,
            lines,
            segment,
            cursor: Cursor::START,
            pending: VecDeque::new(),
            checked: false,
        }
    }

    /// Goes back to the beginning of the segment that is being written: facts are folded from its first one, and what
    /// they say is compared with the file, so damage anywhere in it is found and made good.
    pub(super) fn load(&mut self, connection: &Connection) -> Result<(), LedgerError> {
        let known = cursor::load(connection, self.name)?;
        let end = meta::head(connection)?.seq;
        // A segment that begins behind the last fact belongs to a ledger that is gone.
        let cursor = known.filter(|cursor| cursor.base_seq <= end.saturating_add(1)).unwrap_or(Cursor::START);
        self.cursor = Cursor { seq: cursor.base_seq.saturating_sub(1), length: 0, ..cursor };
        self.checked = false;
        self.pending.clear();
        let Cursor { seq, segment, base_seq, length: start } = self.cursor;
        self.pending.push_back(Chunk { segment, base_seq, last_seq: seq, start, bytes: String::new() });
        Ok(())
    }

    /// Adds the lines of one fact to what is to be written.
    pub(super) fn fold(&mut self, before: &Stack, recorded: &Recorded) {
        let Some(chunk) = self.pending.back_mut() else { return };
        if recorded.seq <= chunk.last_seq {
            return;
        }
        let mut text = String::new();
        (self.lines)(before, recorded, &mut text);
        if text.is_empty() {
            return;
        }
        let length = chunk.start + chunk.bytes.len() as u64;
        let full = length >= self.segment;
        if length == 0 || full {
            text.insert_str(0, self.header);
        }
        if full {
            let segment = chunk.segment + 1;
            let (base_seq, last_seq) = (recorded.seq, recorded.seq);
            self.pending.push_back(Chunk { segment, base_seq, last_seq, start: 0, bytes: text });
            if self.pending.len() as u64 > KEPT + 1 {
                self.pending.pop_front();
            }
        } else {
            chunk.bytes.push_str(&text);
            chunk.last_seq = recorded.seq;
        }
    }

    /// Writes what is waiting; also cuts off what does not belong.
    pub(super) fn write(&mut self, connection: &Connection) -> Result<(), ViewError> {
        while let Some(chunk) = self.pending.front() {
            if chunk.segment != self.cursor.segment {
                let next = Cursor {
                    seq: chunk.base_seq.saturating_sub(1),
                    segment: chunk.segment,
                    base_seq: chunk.base_seq,
                    length: 0,
                };
                self.rotate(connection, next)?;
                continue;
            }
            if chunk.bytes.is_empty() && self.checked {
                break;
            }
            let length = self.complete(chunk)?;
            let cursor = Cursor { seq: chunk.last_seq, length, ..self.cursor };
            if cursor != self.cursor {
                cursor::store(connection, self.name, cursor)?;
                self.cursor = cursor;
            }
            let (segment, base_seq, last_seq) = (chunk.segment, chunk.base_seq, chunk.last_seq);
            self.checked = true;
            self.pending.pop_front();
            if self.pending.is_empty() {
                let bytes = String::new();
                self.pending.push_back(Chunk { segment, base_seq, last_seq, start: length, bytes });
                break;
            }
        }
        Ok(())
    }

    /// Makes the file's end equal to the chunk and returns its length.
    fn complete(&self, chunk: &Chunk) -> Result<u64, ViewError> {
        let bytes = chunk.bytes.as_bytes();
        if bytes.is_empty() && !self.path.exists() {
            return Ok(chunk.start);
        }
        let dir = files::parent(&self.path)?;
        let failed = |action| ViewError::io(action, &self.path);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&self.path)
            .map_err(failed("open"))?;
        let found = file.metadata().map_err(failed("look at"))?.len();
        if found < chunk.start {
            return Err(ViewError::Shortened(self.path.clone()));
        }
        let mut agreed = files::agreement(&mut file, chunk.start, bytes).map_err(failed("read"))?;
        if found > chunk.start + agreed as u64 {
            // Somebody else's first line may begin like ours: keep it whole.
            let ours = bytes.get(..agreed).unwrap_or_default();
            agreed = ours.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        }
        let kept = chunk.start + agreed as u64;
        if found > kept {
            files::keep_aside(&mut file, kept, &self.path, "torn")?;
            failpoint::pass("log.cutting");
            file.set_len(kept).map_err(failed("cut"))?;
            failpoint::pass("log.cut");
        }
        let rest = bytes.get(agreed..).unwrap_or_default();
        failpoint::pass("log.writing");
        let write = file.seek(SeekFrom::Start(kept)).and_then(|_| file.write_all(rest));
        if let Err(error) = write {
            // What fits of a full disk is taken back: a reader never sees half a line for long.
            let _ = file.set_len(kept);
            return Err(failed("write")(error));
        }
        failpoint::pass("log.written");
        file.sync_data().map_err(failed("sync"))?;
        failpoint::pass("log.synced");
        if chunk.start == 0 {
            files::sync(dir)?;
        }
        Ok(chunk.start + bytes.len() as u64)
    }

    /// Sets the full segment aside under its number and forgets the oldest. Repeated whole after a crash.
    fn rotate(&mut self, connection: &Connection, next: Cursor) -> Result<(), ViewError> {
        let dir = files::parent(&self.path)?;
        if self.path.exists() {
            let aside = files::suffixed(&self.path, &self.cursor.segment.to_string());
            failpoint::pass("rotate.renaming");
            fs::rename(&self.path, &aside).map_err(ViewError::io("rotate", &self.path))?;
            failpoint::pass("rotate.renamed");
        }
        files::sync(dir)?;
        let name = self.path.file_name().unwrap_or_default();
        for entry in fs::read_dir(dir).map_err(ViewError::io("list", dir))?.flatten() {
            let old = files::rotation(&entry.file_name(), name).is_some_and(|n| n + KEPT < next.segment);
            if old {
                files::remove(&entry.path())?;
            }
        }
        cursor::store(connection, self.name, next)?;
        self.cursor = next;
        Ok(())
    }
}
