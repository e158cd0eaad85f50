//! The single values beside the facts: the state id, and the head that shows when facts were cut off the end.

use rusqlite::{Connection, OptionalExtension as _};

use crate::chain::Head;
use crate::error::LedgerError;

impl Head {
    pub(crate) fn to_bytes(self) -> [u8; 40] {
        let mut bytes = [0; 40];
        let (seq, hash) = bytes.split_at_mut(8);
        seq.copy_from_slice(&self.seq.to_be_bytes());
        hash.copy_from_slice(&self.hash);
        bytes
    }

    fn from_bytes(bytes: [u8; 40]) -> Self {
        let mut seq = [0; 8];
        let mut hash = [0; 32];
        let (left, right) = bytes.split_at(8);
        seq.copy_from_slice(left);
        hash.copy_from_slice(right);
        Self { seq: u64::from_be_bytes(seq), hash }
    }
}

/// The anchor as last committed.
pub(crate) fn head(connection: &Connection) -> Result<Head, LedgerError> {
    let bytes = connection
        .prepare_cached("SELECT value FROM meta WHERE key = 'head'")?
        .query_row([], |row| row.get::<_, [u8; 40]>(0))?;
    Ok(Head::from_bytes(bytes))
}

/// The anchor as it was when a fact was the newest.
pub(crate) fn head_at(connection: &Connection, seq: u64) -> Result<Head, LedgerError> {
    let hash = connection
        .prepare_cached("SELECT hash FROM facts WHERE seq = ?1")?
        .query_row([seq.cast_signed()], |row| row.get(0))
        .optional()?;
    hash.map(|hash| Head { seq, hash }).ok_or(LedgerError::Missing { seq })
}

/// Moves the anchor; part of the transaction that adds the facts.
pub(crate) fn set_head(connection: &Connection, head: Head) -> rusqlite::Result<()> {
    connection.prepare_cached("UPDATE meta SET value = ?1 WHERE key = 'head'")?.execute([head.to_bytes()])?;
    Ok(())
}

/// The newest stored fact is the one the anchor names.
pub(crate) fn check_head(connection: &Connection, head: Head) -> Result<(), LedgerError> {
    let newest = connection
        .query_row("SELECT seq, hash FROM facts ORDER BY seq DESC LIMIT 1", [], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, [u8; 32]>(1)?))
        })
        .optional()?;
    let newest = match newest {
        Some((seq, hash)) => Head { seq: seq.unsigned_abs(), hash },
        None => Head::GENESIS,
    };
    if newest == head {
        Ok(())
    } else if newest.seq < head.seq {
        Err(LedgerError::Missing { seq: newest.seq.saturating_add(1) })
    } else {
        Err(LedgerError::Chain { seq: newest.seq })
    }
}

/// Characters of a directory's own name.
pub(crate) const STATE_ID: usize = 16;

/// Whether this can be a directory's own name.
pub(crate) fn is_state_id(name: &str) -> bool {
    name.len() == STATE_ID && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The directory's own name.
pub(crate) fn state_id(connection: &Connection) -> Result<String, LedgerError> {
    let bytes: Vec<u8> =
        connection.query_row("SELECT value FROM meta WHERE key = 'state_id'", [], |row| row.get(0))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
