//! Bytes by digest: what facts refer to but are too large to hold. They are kept as long as a fact names them, and facts are
//! kept for ever; those of a patch are named by its manifest, which the facts name.

use razar_core::id::Digest;
use rusqlite::{Connection, OptionalExtension as _};

use crate::error::{AppendError, LedgerError};
use crate::failpoint;

pub(crate) fn put(connection: &Connection, bytes: &[u8]) -> Result<Digest, AppendError> {
    let digest = Digest::of(bytes);
    failpoint::pass("blob.putting");
    connection
        .prepare_cached("INSERT INTO blobs (digest, bytes) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
        .execute((digest.as_bytes(), bytes))?;
    failpoint::pass("blob.put");
    Ok(digest)
}

pub(crate) fn get(connection: &Connection, digest: &Digest) -> Result<Option<Vec<u8>>, LedgerError> {
    let bytes: Option<Vec<u8>> = connection
        .prepare_cached("SELECT bytes FROM blobs WHERE digest = ?1")?
        .query_row([digest.as_bytes()], |row| row.get(0))
        .optional()?;
    match bytes {
        Some(bytes) if Digest::of(&bytes) != *digest => Err(LedgerError::Blob(*digest)),
        other => Ok(other),
    }
}
