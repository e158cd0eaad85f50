//! Bytes by digest: what facts refer to but are too large to hold. They are kept as long as a fact names them, and facts are
//! kept for ever; those of a patch are named by its manifest, which the facts name. Recordings of calls, which may be lost, are
//! never here.

use razar_core::id::Digest;
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior};

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

/// All of them or none; the digest of the first, which names the others.
pub(crate) fn put_all<'b>(
    connection: &mut Connection,
    all: impl Iterator<Item = &'b [u8]>,
) -> Result<Digest, AppendError> {
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let digests = all.map(|bytes| put(&tx, bytes)).collect::<Result<Vec<_>, _>>()?;
    failpoint::pass("blobs.keeping");
    tx.commit()?;
    failpoint::pass("blobs.kept");
    Ok(digests.first().copied().unwrap_or_else(|| Digest::of(b"")))
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
