//! The one writer of a state directory. A turn is recorded whole or not at all, with one wait for the disk; it never
//! rewrites a fact.

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use razar_core::fact::{Fact, Recorded};
use razar_core::id::Digest;
use razar_core::patch::Patch;
use razar_core::time::Timestamp;
use rusqlite::{Connection, TransactionBehavior};

use crate::chain::Head;
use crate::directory::{self, Held};
use crate::error::{AppendError, LedgerError};
use crate::once::{self, Use};
use crate::patches::{self, PatchError};
use crate::recordings::Recordings;
use crate::replay::Replay;
use crate::values::PluginValues;
use crate::{blob, failpoint, meta, schema};

/// What the host remembers. Dropping it gives the directory back.
#[derive(Debug)]
pub struct Ledger {
    // Declared before the lock: the database is closed while the directory is still held.
    connection: Connection,
    head: Head,
    state_id: String,
    path: PathBuf,
    file: FileId,
    recordings: Arc<Recordings>,
    _held: Held,
}

/// A file whatever its name: device and number.
type FileId = (u64, u64);

impl Ledger {
    /// Opens a state directory as its host, creating it when there is none.
    pub fn open(dir: &Path) -> Result<Self, LedgerError> {
        let held = directory::hold(dir)?;
        directory::refuse_unfinished(dir)?;
        let path = directory::database(dir);
        directory::create_private(&path)?;
        let connection = schema::open_writer(&path)?;
        let head = meta::head(&connection)?;
        meta::check_head(&connection, head)?;
        let state_id = meta::state_id(&connection)?;
        let file = identity(&path).map_err(LedgerError::io("look at", &path))?;
        let recordings = Arc::new(Recordings::below(dir));
        Ok(Self { connection, head, state_id, path, file, recordings, _held: held })
    }

    /// Records the facts of one turn: all of them, or none and the same call may be repeated when the error
    /// [is retriable](AppendError::is_retriable).
    pub fn append(&mut self, at: Timestamp, facts: &[Fact]) -> Result<Vec<Recorded>, AppendError> {
        if facts.is_empty() {
            return Ok(Vec::new());
        }
        let at_column = column("the time", at.0)?;
        let mut head = self.head;
        let mut recorded = Vec::with_capacity(facts.len());
        let tx = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        failpoint::pass("facts.begun");
        {
            let mut insert =
                tx.prepare_cached("INSERT INTO facts (seq, at, body, hash) VALUES (?1, ?2, ?3, ?4)")?;
            for fact in facts {
                let body = serde_json::to_string(fact)?;
                head = head.next(at, body.as_bytes());
                insert.execute((column("the position", head.seq)?, at_column, body, head.hash))?;
                recorded.push(Recorded { seq: head.seq, at, fact: fact.clone() });
            }
            failpoint::pass("facts.inserted");
            meta::set_head(&tx, head)?;
        }
        failpoint::pass("facts.committing");
        tx.commit()?;
        failpoint::pass("facts.committed");
        self.head = head;
        Ok(recorded)
    }

    /// Whether `razar.db` is not the file this ledger writes to: somebody has removed, moved or replaced it, and unless
    /// it is put back, what is recorded from then on is gone with this process. A few microseconds.
    pub fn is_displaced(&self) -> bool {
        match identity(&self.path) {
            Ok(found) => found != self.file,
            // Whatever else goes wrong with a look says nothing about the file.
            Err(error) => matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory),
        }
    }

    /// The facts from a position on (the first is 1), oldest first, each verified against the chain.
    pub fn replay(&self, from_seq: u64) -> impl Iterator<Item = Result<Recorded, LedgerError>> + '_ {
        Replay::new(&self.connection, from_seq, self.head)
    }

    /// The newest fact's position and hash.
    pub const fn head(&self) -> Head {
        self.head
    }

    /// The head as it was when a fact was the newest.
    pub(crate) fn head_at(&self, seq: u64) -> Result<Head, LedgerError> {
        meta::head_at(&self.connection, seq)
    }

    /// Sixteen hexadecimal digits made once per directory: part of the marker by which its processes are known.
    pub fn state_id(&self) -> &str {
        &self.state_id
    }

    /// Keeps bytes under their digest; keeping the same bytes again changes nothing.
    pub fn put_blob(&mut self, bytes: &[u8]) -> Result<Digest, AppendError> {
        blob::put(&self.connection, bytes)
    }

    /// Keeps bytes that belong together, all of them or none; the digest of the first.
    pub fn keep_all(&mut self, all: &[Arc<[u8]>]) -> Result<Digest, AppendError> {
        blob::put_all(&mut self.connection, all.iter().map(|bytes| &**bytes))
    }

    /// Recordings of calls, to be kept beside the turns.
    pub fn recordings(&self) -> Arc<Recordings> {
        Arc::clone(&self.recordings)
    }

    /// The bytes of a digest, verified.
    pub fn blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>, LedgerError> {
        blob::get(&self.connection, digest)
    }

    /// Keeps all that a patch is, its manifest and the bytes of every file before and after, or nothing of it. Whoever
    /// applies one has waited for this.
    pub fn keep_patch(&mut self, patch: &Patch) -> Result<Digest, AppendError> {
        patches::keep(&mut self.connection, patch)
    }

    /// A patch by the digest of its manifest, complete and verified.
    pub fn patch(&self, manifest: &Digest) -> Result<Patch, PatchError> {
        patches::load(manifest, |digest| self.blob(digest))
    }

    /// Spends a one-time id that means nothing after `expires`: only the first use of an id is [`Use::First`].
    pub fn use_once(&mut self, id: &str, now: Timestamp, expires: Timestamp) -> Result<Use, AppendError> {
        once::spend(&mut self.connection, id, now, expires)
    }

    /// What plugins keep from call to call, to be served beside the one that records.
    pub fn values(&self) -> Result<PluginValues, LedgerError> {
        Ok(PluginValues::new(self.relaxed()?))
    }

    /// A connection of its own for views and values, so that they can work beside the one that records.
    pub(crate) fn relaxed(&self) -> Result<Connection, LedgerError> {
        schema::open_relaxed(&self.path)
    }
}

fn identity(path: &Path) -> std::io::Result<FileId> {
    let meta = std::fs::metadata(path)?;
    Ok((meta.dev(), meta.ino()))
}

/// SQLite's numbers are signed.
pub(crate) fn column(what: &'static str, value: u64) -> Result<i64, AppendError> {
    i64::try_from(value).map_err(|_| AppendError::Range { what, value })
}

#[cfg(test)]
mod tests;
