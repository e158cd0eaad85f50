//! `razar-ledger` remembers: one SQLite database holds the facts, hash-chained and committed turn by turn, and every
//! other file an operator knows is a view of them. It never decides anything and never reads what a view says.
//!
//! ```text
//! step() ──facts──► Ledger::append ──commit, one fsync──► Recorded ──► Views::project ──► the files operators know
//!                        ▲                                    │
//!                        └──────── Ledger::replay ◄───────────┘  after a crash: state, and views that are behind
//! ```
//!
//! | module | owns |
//! |---|---|
//! | [`ledger`] | the one writer of a state directory |
//! | [`reader`] | looking at it without being its host |
//! | [`replay`] | reading facts back, verified |
//! | [`store`] | the seam a fleet would replace |
//! | [`once`], [`values`] | one-time ids, and what plugins keep |
//! | [`recordings`] | recordings of calls, in files beside the database |
//! | [`views`] | the files |
//! | [`moment`] | how a moment is written in them |
//! | [`anchor`], [`checkpoint`], [`key`] | what a ledger says about itself elsewhere, and the key that vouches for it |
//! | [`verify`], [`repair`] | whether it is what it was, and keeping what is |
//! | [`merkle`], [`bundle`] | proving single facts to whoever has no ledger |
//! | [`import`] | what the original system left behind |
//! | [`agents`] | how each agent has done, told from the facts |
//! | [`incidents`] | what was asked, tried, applied and taken back, told from the facts |
//! | [`backup`], [`restore`] | one file that holds it all, and back |
#![forbid(unsafe_code)]

pub mod agents;
pub mod anchor;
#[cfg(test)]
mod arbitrary;
pub mod backup;
mod blob;
pub mod bundle;
mod chain;
pub mod checkpoint;
mod directory;
mod error;
pub mod failpoint;
pub mod import;
pub mod incidents;
pub mod key;
pub mod ledger;
pub mod merkle;
mod meta;
pub mod moment;
pub mod once;
mod patches;
pub mod reader;
pub mod recordings;
pub mod repair;
pub mod replay;
pub mod restore;
mod schema;
pub mod store;
pub mod values;
pub mod verify;
pub mod views;

pub use chain::Head;
pub use error::{AppendError, LedgerError};
pub use ledger::Ledger;
pub use patches::PatchError;
pub use reader::LedgerReader;
pub use recordings::Recordings;
pub use replay::Replay;
pub use store::FactStore;
pub use views::Views;

/// The version of the database library this program carries.
pub fn sqlite_version() -> &'static str {
    rusqlite::version()
}
