//! What a guest sees of the file system: a bounded copy of its component's log, and directories the operator granted.
//!
//! Confinement below a granted directory is wasmtime's own (`cap-primitives`); this owns what is handed to it. It never
//! opens anything but a regular file for reading, never follows a link in the last part of a path, and never
//! waits for whoever holds the other end of a FIFO. WASI knows no quota: what may be written is counted here.

mod meter;
mod mounts;
mod room;
mod scratch;
mod tail;

use std::path::PathBuf;

pub use self::meter::{RoomView, add_room_to_linker};
pub use self::mounts::Mounts;
pub use self::room::{Amount, Look, Room, Taken, Trees};
pub use self::scratch::{Scratch, TailDir, memory_place};

/// Why files could not be prepared.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// It could not be opened or read.
    #[error("cannot read `{path}`: {error}")]
    Read {
        /// What.
        path: PathBuf,
        /// Why.
        #[source]
        error: std::io::Error,
    },
    /// Not a regular file: reading it could wait for ever or change something.
    #[error("`{path}` is {found}; name a regular file")]
    NotAFile {
        /// What.
        path: PathBuf,
        /// What it is instead.
        found: &'static str,
    },
    /// No private directory could be made.
    #[error("cannot keep files for plugins in `{path}`: {error}; make it writable for this user")]
    Scratch {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        error: std::io::Error,
    },
    /// Not a directory that can be granted.
    #[error("`{path}` is not a directory that can be granted: {error}")]
    Directory {
        /// What.
        path: PathBuf,
        /// Why.
        #[source]
        error: std::io::Error,
    },
    /// The same files twice, once for writing: the weaker permission would mean nothing.
    #[error(
        "`{reading}` is granted for reading and `{writing}` for writing, but they share files; grant one of them"
    )]
    SharedTree {
        /// Granted read-only.
        reading: PathBuf,
        /// Granted read-write.
        writing: PathBuf,
    },
    /// Something in a granted directory that is neither file, directory nor link.
    #[error("`{path}` is {found}; a plugin that opened it would wait outside of its deadline: remove it")]
    Special {
        /// What.
        path: PathBuf,
        /// What it is.
        found: &'static str,
    },
    /// wasmtime could not open it.
    #[error("cannot hand `{path}` to the plugin: {error}")]
    Preopen {
        /// What.
        path: PathBuf,
        /// Why.
        error: String,
    },
}
