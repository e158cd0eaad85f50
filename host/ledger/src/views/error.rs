//! Why a view is behind the facts. Nothing is lost by it: the next call tries again.

use std::io;
use std::path::{Path, PathBuf};

use razar_core::id::Digest;

use crate::error::LedgerError;

/// Why a view could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ViewError {
    /// A file could not be used.
    #[error("cannot {action} `{}`: {source}", path.display())]
    Io {
        /// What was being done.
        action: &'static str,
        /// To what.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Somebody shortened a file that is only ever appended to.
    #[error("`{}` is shorter than it was written", .0.display())]
    Shortened(PathBuf),
    /// The archived bytes are not in the ledger.
    #[error("the ledger does not hold the mission brief `{0}`")]
    Brief(Digest),
    /// The ledger could not be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// A view that is behind the facts.
#[derive(Debug)]
pub struct Behind {
    /// Which: its path below the root of the views.
    pub view: &'static str,
    /// Why.
    pub error: ViewError,
}

impl std::fmt::Display for Behind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "`{}` is behind: {}; nothing recorded is lost and it is written again at the next turn",
            self.view, self.error
        )
    }
}

impl ViewError {
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}

impl From<rusqlite::Error> for ViewError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Ledger(error.into())
    }
}
