//! Looking at a state directory without being its host: takes no lock, writes nothing, works while a host runs and
//! while none does.

use std::path::{Path, PathBuf};

use razar_core::fact::{Anchor, Recorded};
use razar_core::id::Digest;
use razar_core::patch::Patch;
use razar_core::time::Timestamp;
use rusqlite::Connection;

use crate::chain::Head;
use crate::error::LedgerError;
use crate::patches::{self, PatchError};
use crate::replay::{Link, Links, Replay};
use crate::{blob, directory, meta, recordings, schema};

/// A fact as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its position and hash.
    pub anchor: Anchor,
    /// When the turn was that wrote it.
    pub at: Timestamp,
    /// Its words: JSON.
    pub body: String,
}

impl Stored {
    /// What it says, when this version knows it.
    pub fn read(&self) -> Result<Recorded, LedgerError> {
        let seq = self.anchor.seq;
        let fact =
            serde_json::from_str(&self.body).map_err(|source| LedgerError::Unreadable { seq, source })?;
        Ok(Recorded { seq, at: self.at, fact })
    }
}

/// Somebody else's ledger, read only.
#[derive(Debug)]
pub struct LedgerReader {
    connection: Connection,
    dir: PathBuf,
}

impl LedgerReader {
    /// Opens the ledger of a state directory.
    pub fn open(dir: &Path) -> Result<Self, LedgerError> {
        directory::refuse_unfinished(dir)?;
        let path = directory::database(dir);
        directory::look_for(dir)?;
        Ok(Self { connection: schema::open_reader(&path)?, dir: dir.to_owned() })
    }

    /// The facts from a position on, up to the newest one at the moment of the call, each verified.
    pub fn replay(&self, from_seq: u64) -> Result<Replay<'_>, LedgerError> {
        Ok(Replay::new(&self.connection, from_seq, self.head()?))
    }

    /// The facts from a position on as they are stored, verified: also those of a version to come.
    pub fn stored(
        &self,
        from_seq: u64,
    ) -> Result<impl Iterator<Item = Result<Stored, LedgerError>> + '_, LedgerError> {
        let links = Links::new(&self.connection, from_seq, self.head()?);
        Ok(links.map(|link| {
            let Link { at, body, head } = link?;
            let body = String::from_utf8(body).map_err(|_| LedgerError::Chain { seq: head.seq })?;
            Ok(Stored { anchor: head.anchor(), at, body })
        }))
    }

    /// The newest fact's position and hash, now.
    pub fn head(&self) -> Result<Head, LedgerError> {
        meta::head(&self.connection)
    }

    /// The directory's own name.
    pub fn state_id(&self) -> Result<String, LedgerError> {
        meta::state_id(&self.connection)
    }

    /// The connection, for looking at more than facts.
    pub(crate) const fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The bytes of a digest, verified.
    pub fn blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>, LedgerError> {
        blob::get(&self.connection, digest)
    }

    /// A recording of calls, verified; none when it is no longer kept.
    pub fn recording(&self, digest: &Digest) -> Result<Option<Vec<u8>>, LedgerError> {
        recordings::read(&self.dir, digest)
    }

    /// A patch by the digest of its manifest, complete and verified.
    pub fn patch(&self, manifest: &Digest) -> Result<Patch, PatchError> {
        patches::load(manifest, |digest| self.blob(digest))
    }
}
