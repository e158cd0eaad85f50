//! What the state file says about the ledger. The file is a view and decides nothing; but it is another file, written
//! after every turn, and so it remembers where the ledger ended when the ledger itself was replaced.
//! What each anchor finds and does not find: the table in `host/README.md`.

use std::fs::{self, File};
use std::io::{ErrorKind, Read as _};
use std::path::Path;

use razar_core::fact::{Anchor, Opened};
use razar_core::id::Digest;
use serde::Deserialize;

use crate::chain::Head;
use crate::error::LedgerError;
use crate::ledger::Ledger;

/// The state file, below the root of the views.
pub const STATE_FILE: &str = "logs/razar_state.json";

/// How the name of one that the ledger contradicted goes on after its own.
const ASIDE: &str = ".contradicts-";

/// The host keeps it far below this; a larger one is not ours.
const MAX_STATE_FILE: u64 = 64 << 20;

#[derive(Deserialize)]
struct Document {
    ledger: Claim,
}

#[derive(Deserialize)]
struct Claim {
    seq: u64,
    hash: String,
}

/// What the state file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateFile {
    /// Where the ledger ended.
    Says(Anchor),
    /// There is none.
    Absent,
    /// Nothing: it is damaged, or not ours.
    Silent(String),
}

/// Reads the anchor in the state file below `root`.
pub fn state_file(root: &Path) -> StateFile {
    let mut text = String::new();
    let read = File::open(root.join(STATE_FILE))
        .and_then(|file| file.take(MAX_STATE_FILE).read_to_string(&mut text));
    match read {
        Err(error) if error.kind() == ErrorKind::NotFound => return StateFile::Absent,
        Err(error) => return StateFile::Silent(error.to_string()),
        Ok(_) => {}
    }
    let claim = match serde_json::from_str::<Document>(&text) {
        Ok(Document { ledger }) => ledger,
        Err(error) => return StateFile::Silent(error.to_string()),
    };
    let mut hash = [0; 32];
    match hex::decode_to_slice(&claim.hash, &mut hash) {
        Ok(()) => StateFile::Says(Anchor { seq: claim.seq, hash: Digest::from_bytes(hash) }),
        Err(error) => StateFile::Silent(format!("its hash is none: {error}")),
    }
}

/// Whether a state file that a ledger contradicted lies aside in a state directory.
pub(crate) fn left_evidence(root: &Path) -> bool {
    let file = root.join(STATE_FILE);
    let (Some(dir), Some(name)) = (file.parent(), file.file_name().and_then(|name| name.to_str())) else {
        return false;
    };
    let is_aside = |found: &str| found.strip_prefix(name).is_some_and(|rest| rest.starts_with(ASIDE));
    // Without a directory there never was a state file in it.
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.into_iter().any(|entry| entry.file_name().to_str().is_some_and(is_aside))
}

impl Ledger {
    /// What the first fact of a boot says about the ledger it begins on. Asked before the views are opened: they write
    /// the state file anew. A state file that the ledger contradicts is kept beside itself as evidence.
    pub fn opened(&self, root: &Path) -> Result<Opened, LedgerError> {
        let head = self.head().anchor();
        let StateFile::Says(claimed) = state_file(root) else {
            return Ok(Opened { head, contradicted: None });
        };
        if self.has(claimed)? {
            return Ok(Opened { head, contradicted: None });
        }
        self.recordings().bereave();
        let path = root.join(STATE_FILE);
        let mut aside = path.clone().into_os_string();
        aside.push(format!("{ASIDE}{}", head.seq));
        // The fact says what the file said; the file itself is only more evidence of it.
        let _ = fs::copy(&path, aside);
        Ok(Opened { head, contradicted: Some(claimed) })
    }

    /// Whether the ledger has this fact with this hash.
    fn has(&self, anchor: Anchor) -> Result<bool, LedgerError> {
        if anchor.seq == 0 {
            return Ok(anchor == Head::GENESIS.anchor());
        }
        match self.head_at(anchor.seq) {
            Ok(head) => Ok(head.anchor() == anchor),
            Err(LedgerError::Missing { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
