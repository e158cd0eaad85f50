//! What the database keeps beside the facts, taken over row by row as far as it can be read. Only bytes that match
//! their digest are, and nobody but the owner of a lost value can make it anew: what was lost is said.

use razar_core::id::Digest;
use rusqlite::{Connection, Row};
use serde::Serialize;

use crate::error::LedgerError;

/// What was taken over beside the facts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Rest {
    /// The directory's own name; without it a new one was made.
    pub state_id: bool,
    /// Stored bytes: mission briefs, long records.
    pub blobs: u64,
    /// One-time ids. One that was lost is refused by its expiry only.
    pub used_ids: u64,
    /// What plugins keep.
    pub plugin_values: u64,
    /// Tables that could not be read to their end.
    pub incomplete: Vec<&'static str>,
}

/// Copies what can be read; where the damaged database cannot be read at all, nothing is.
pub(super) fn copy(from: Option<&Connection>, to: &Connection) -> Result<Rest, LedgerError> {
    let mut rest = Rest::default();
    let Some(from) = from else {
        rest.incomplete = vec!["blobs", "used_ids", "plugin_values"];
        return Ok(rest);
    };
    let mut blob = to.prepare("INSERT OR IGNORE INTO blobs (digest, bytes) VALUES (?1, ?2)")?;
    rest.blobs = table(from, "SELECT digest, bytes FROM blobs", "blobs", &mut rest.incomplete, |row| {
        let (digest, bytes): (Vec<u8>, Vec<u8>) = (row.get(0)?, row.get(1)?);
        if Digest::of(&bytes).as_bytes().as_slice() != digest {
            return Ok(None);
        }
        blob.execute((digest, bytes)).map(Some)
    });
    let mut id = to.prepare("INSERT OR IGNORE INTO used_ids (id, used_at, expires) VALUES (?1, ?2, ?3)")?;
    let ids = "SELECT id, used_at, expires FROM used_ids NOT INDEXED";
    rest.used_ids = table(from, ids, "used_ids", &mut rest.incomplete, |row| {
        let (name, used, expires): (String, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        id.execute((name, used, expires)).map(Some)
    });
    let mut value =
        to.prepare("INSERT OR IGNORE INTO plugin_values (plugin, key, value) VALUES (?1, ?2, ?3)")?;
    let values = "SELECT plugin, key, value FROM plugin_values NOT INDEXED";
    rest.plugin_values = table(from, values, "plugin_values", &mut rest.incomplete, |row| {
        let (plugin, key, bytes): (String, String, Vec<u8>) = (row.get(0)?, row.get(1)?, row.get(2)?);
        value.execute((plugin, key, bytes)).map(Some)
    });
    Ok(rest)
}

/// Rows taken over; a row that is not what it was is left out, and the table said to be incomplete.
fn table(
    from: &Connection,
    query: &str,
    name: &'static str,
    incomplete: &mut Vec<&'static str>,
    mut take: impl FnMut(&Row<'_>) -> rusqlite::Result<Option<usize>>,
) -> u64 {
    let mut taken = 0;
    let mut all = || -> rusqlite::Result<bool> {
        let mut whole = true;
        let mut statement = from.prepare(query)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            match take(row)? {
                Some(rows) => taken += rows as u64,
                None => whole = false,
            }
        }
        Ok(whole)
    };
    if !matches!(all(), Ok(true)) {
        incomplete.push(name);
    }
    taken
}
