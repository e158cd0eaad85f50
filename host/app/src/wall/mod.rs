//! The second wall: what the host's own process may still touch when the first one, the WebAssembly sandbox, has fallen.
//! It is set before any thread begins, and it cannot be taken down again, by nobody.
//!
//! | file | layer | keeps the process from |
//! |---|---|---|
//! | `files` | Landlock | reading, writing and running files it does not need; listening on other ports; signals to others |
//! | `rights` | capabilities | what root may do beyond what a user may |
//! | `calls` | seccomp | starting programs and processes, raw sockets, tracing others, mounts, kernel programs |
//!
//! A refused call gets an error and never kills: the host must go on watching services, and say what happened. A layer that
//! this machine does not have is told by name, with the remedy. It never touches the services: their launcher is started
//! by the porter, who stays outside.

pub(crate) mod calls;
mod files;
mod rights;

pub(crate) use files::Ground;

/// The names of all layers, in the order in which they are set.
pub(crate) const LAYERS: [&str; 3] = ["landlock", "capabilities", "seccomp"];

/// How one layer turned out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layer {
    /// Its name, as its documentation calls it.
    pub(crate) name: &'static str,
    /// What it does here, or what is missing.
    pub(crate) standing: Standing,
}

/// Whether a layer stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It does, in this version.
    Whole(String),
    /// It does not.
    Missing {
        /// Why.
        why: String,
        /// What to do about it.
        remedy: &'static str,
    },
}

impl Layer {
    /// What is missing and what to do, for one line.
    pub(crate) fn missing(&self) -> Option<(&str, &'static str)> {
        match &self.standing {
            Standing::Whole(_) => None,
            Standing::Missing { why, remedy } => Some((why, remedy)),
        }
    }
}

/// Sets all layers for the calling thread, and for all it will ever start. The order matters: once the calls are
/// filtered, the other layers cannot be set any more.
pub(crate) fn raise(ground: &Ground) -> [Layer; 3] {
    let [files, rights, calls] = LAYERS;
    [
        Layer { name: files, standing: files::fence(ground) },
        Layer { name: rights, standing: rights::give_up() },
        Layer { name: calls, standing: calls::filter() },
    ]
}
