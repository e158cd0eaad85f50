//! The real host and the real launcher are killed: at every place where they have begun a transaction, an effect or a
//! file and not ended it, and at moments nobody chose; their disk fails and their clock jumps. Afterwards nothing may be
//! missing, doubled, torn or left behind.
//!
//! | file | what is done to them |
//! |---|---|
//! | `stage` | nothing: the stack, and what must hold when it is over |
//! | `load` | nothing: what operators and services do meanwhile |
//! | `places` | killed where they say they are |
//! | `random` | killed at any moment |
//! | `repair` | killed while a component is repaired, and while the repair is taken back |
//! | `commands` | killed while they make, import or repair a ledger |
//! | `pins` | killed while a package is pinned or taken away |
//! | `unborn` | killed while a service is only half started |
//! | `silent` | a launcher that does not answer, or is not there, while it is asked |
//! | `disk` | calls on files fail, are interrupted, or do half of what they should |
//! | `clock` | the wall clock jumps back and forth |
//! | `rivals` | several hosts on one state directory, begun at once |
//!
//! `RAZAR_LONG=1 cargo test -p razar-tests --test crashes` kills at more than 500 places and 100 moments; without it each
//! place has its turn once. In a release build there are no such places, and nothing of this is compiled.
#![cfg(debug_assertions)]
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test ends where it cannot go on, and says how often it killed"
)]

mod clock;
mod commands;
mod disk;
mod load;
mod pins;
mod places;
mod random;
mod repair;
mod rivals;
mod silent;
mod stage;
mod unborn;

/// Whether there is time for many kills.
fn long() -> bool {
    std::env::var_os("RAZAR_LONG").is_some()
}
