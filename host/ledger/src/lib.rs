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
//! | [`views`] | the files |
//! | [`moment`] | how a moment is written in them |
#![forbid(unsafe_code)]

#[cfg(test)]
mod arbitrary;
mod blob;
mod chain;
mod directory;
mod error;
pub mod ledger;
mod meta;
pub mod moment;
pub mod once;
pub mod reader;
pub mod replay;
mod schema;
pub mod store;
pub mod values;
pub mod views;

pub use chain::Head;
pub use error::{AppendError, LedgerError};
pub use ledger::Ledger;
pub use reader::LedgerReader;
pub use replay::Replay;
pub use store::FactStore;
pub use views::Views;
