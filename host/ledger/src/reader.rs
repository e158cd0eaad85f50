//! Looking at a state directory without being its host: takes no lock, writes nothing, works while a host runs and
//! while none does.

use std::path::Path;

use razar_core::id::Digest;
use rusqlite::Connection;

use crate::chain::Head;
use crate::error::LedgerError;
use crate::replay::Replay;
use crate::{blob, directory, meta, schema};

/// Somebody else's ledger, read only.
#[derive(Debug)]
pub struct LedgerReader {
    connection: Connection,
}

impl LedgerReader {
    /// Opens the ledger of a state directory.
    pub fn open(dir: &Path) -> Result<Self, LedgerError> {
        let path = directory::database(dir);
        if !path.exists() {
            return Err(LedgerError::Absent(dir.to_owned()));
        }
        Ok(Self { connection: schema::open_reader(&path)? })
    }

    /// The facts from a position on, up to the newest one at the moment of the call, each verified.
    pub fn replay(&self, from_seq: u64) -> Result<Replay<'_>, LedgerError> {
        Ok(Replay::new(&self.connection, from_seq, self.head()?))
    }

    /// The newest fact's position and hash, now.
    pub fn head(&self) -> Result<Head, LedgerError> {
        meta::head(&self.connection)
    }

    /// The directory's own name.
    pub fn state_id(&self) -> Result<String, LedgerError> {
        meta::state_id(&self.connection)
    }

    /// The bytes of a digest, verified.
    pub fn blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>, LedgerError> {
        blob::get(&self.connection, digest)
    }
}
