//! Asking an agent: what it is told, what it may look at, and what comes back. Everything that leaves the host for an agent
//! passes here, bounded and without secrets; nothing an agent says is acted on here.
//!
//! ```text
//! failure, log, files ─► redacted, bounded ─► brief ─► agent ─┬─► proposal ─► marks become secrets again
//!                            │                           ▲    └─► calls ─► list, read, search
//!                            └── the same files ─────────┴─────────────────┘
//! ```

pub(crate) mod consult;
pub(crate) mod context;
pub(crate) mod secrets;
pub(crate) mod tools;
pub(crate) mod tree;
pub(crate) mod workspace;
