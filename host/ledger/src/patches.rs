//! Patches as they are kept: a manifest and the bytes it names, all of them blobs. They are written in one transaction, so a
//! manifest that is there is complete, whatever became of the host that kept it.

use razar_core::id::Digest;
use razar_core::patch::{Manifest, ManifestError, Missing, Patch};
use rusqlite::Connection;

use crate::blob;
use crate::error::{AppendError, LedgerError};

/// Why a patch cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PatchError {
    /// Nothing is kept under this digest, or not all that it names.
    #[error(
        "{0}: it was never kept, or a repair of the ledger lost it; a backup of the state directory may have it"
    )]
    Missing(#[from] Missing),
    /// What is kept is no manifest.
    #[error("what is kept as `{digest}` is no patch: {source}")]
    Manifest {
        /// Of what.
        digest: Digest,
        /// Why not.
        source: ManifestError,
    },
    /// The ledger could not be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// All of it or nothing.
pub(crate) fn keep(connection: &mut Connection, patch: &Patch) -> Result<Digest, AppendError> {
    blob::put_all(connection, patch.blobs())
}

/// All of it, each part verified.
pub(crate) fn load(
    manifest: &Digest,
    get: impl Fn(&Digest) -> Result<Option<Vec<u8>>, LedgerError>,
) -> Result<Patch, PatchError> {
    let get = |digest: &Digest| get(digest)?.ok_or_else(|| PatchError::from(Missing(*digest)));
    let document = Manifest::read(&get(manifest)?)
        .map_err(|source| PatchError::Manifest { digest: *manifest, source })?;
    let bytes: Vec<Vec<u8>> = document.named().iter().map(get).collect::<Result<_, _>>()?;
    Ok(Patch::new(document, bytes)?)
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
