//! The porter: a small process that stays outside of the host's wall and does, on request, the three things the host
//! itself may not do any more. It takes no program, no path and no argument from whoever asks: what it may start and for
//! which state directory was fixed when it was called, before the wall.
//!
//! ```text
//! host ──(one packet: what, and a socket for the answer)──► porter ──► compile-plugin     killed when nobody listens
//!                                                             │  └───► launcher           goes on by itself
//!                                                             └─ looks at /proc: does it live? whose socket is this?
//! ```
//!
//! | file | owns |
//! |---|---|
//! | `server` | the process |
//! | `client` | the host's end |
//!
//! It has no thread and no opinion, and ends with the host.

mod client;
pub(crate) mod server;

use razar_core::effect::Process;
use serde::{Deserialize, Serialize};

pub(crate) use client::{Leaving, Porter};

use crate::listener::Owner;

/// What a host may ask for.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Ask {
    /// Start the plugin compiler; the socket is its standard input and output, and a note of how it ended comes last.
    Compile,
    /// Start the launcher; the socket hears its complaints, and a note of how it ended if it does.
    Launcher,
    /// Whether a component's process lives, and who listens where it should: the kernel shows a walled process little of
    /// others.
    Look {
        /// Its main process.
        main: Process,
        /// Where it should listen, if somebody asked for it there.
        listener: Option<Listens>,
    },
}

/// Where a component should listen.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Listens {
    /// `host:port`, perhaps with a scheme.
    target: String,
    /// What its processes carry.
    marker: String,
}

/// What a look found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Seen {
    /// It has ended.
    Gone,
    /// It lives, and if it was asked for, this is who listens.
    Alive(Owner),
}

/// Longest packet: a name, a port and a marker.
const MAX_ASK: usize = 16 << 10;
