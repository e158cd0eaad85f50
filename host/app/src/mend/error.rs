//! Why a patch was not put in place or not taken back, and how the files are now: the second is what whoever reads it at night
//! wants to know first.

use std::fmt;
use std::io;

use razar_core::patch::{FilePath, Missing};

/// What went wrong, and what is left of the attempt.
#[derive(Debug, thiserror::Error)]
#[error("{cause}; {left}")]
pub(crate) struct MendError {
    /// What went wrong.
    pub(crate) cause: Cause,
    /// How the files are now.
    pub(crate) left: Left,
}

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Cause {
    /// A file is not what it must be.
    #[error("`{path}` {what}")]
    Changed {
        /// Which.
        path: FilePath,
        /// What it is instead.
        what: Odd,
    },
    /// The system refuses.
    #[error("cannot {action} `{path}`: {source}{}", remedy(source))]
    Io {
        /// What was being done.
        action: &'static str,
        /// To what, below the component's directory.
        path: String,
        /// Why not.
        source: io::Error,
    },
    /// The bytes were not kept.
    #[error(transparent)]
    Missing(#[from] Missing),
}

/// What a file is instead of what it must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Odd {
    /// Neither as before the patch nor as the patch leaves it.
    Neither,
    /// Changed by somebody while this went on.
    Meanwhile,
    /// A directory that the patch makes is somebody's.
    Made,
}

impl fmt::Display for Odd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Neither => {
                "is neither what it was before the patch nor what the patch made of it: somebody else has changed it"
            }
            Self::Meanwhile => "was changed by somebody else at this very moment",
            Self::Made => "is there already with something in it, and the patch would make it",
        })
    }
}

/// How the files are now.
#[derive(Debug)]
pub(crate) enum Left {
    /// Nothing was changed.
    Untouched,
    /// What had been done was undone.
    TakenBack,
    /// All files are where they should be, except those that somebody else has changed.
    Rest,
    /// Neither was possible: some files are as before and some as the patch leaves them.
    Mixed(Option<Box<Cause>>),
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Untouched => f.write_str("no file was changed"),
            Self::TakenBack => f.write_str("every file of the patch is again as it was before this attempt"),
            Self::Rest => {
                f.write_str("it was left alone, and every other file of the patch is where it should be")
            }
            Self::Mixed(None) => f.write_str(MIXED),
            Self::Mixed(Some(cause)) => write!(f, "undoing it failed as well ({cause}), and {MIXED}"),
        }
    }
}

const MIXED: &str = "some files may be as before and some as the patch leaves them, until this is completed by the next attempt";

impl Cause {
    pub(super) fn io(action: &'static str, path: impl fmt::Display) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_string();
        move |source| Self::Io { action, path, source }
    }
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "; free space on that disk",
        io::ErrorKind::PermissionDenied => "; the user of the host must be able to write there",
        io::ErrorKind::ReadOnlyFilesystem => "; mount it for writing",
        _ => "",
    }
}
