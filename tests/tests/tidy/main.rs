//! The laws of the house that no compiler checks: who may know whom, what must be absent, what must be used. It reads
//! `cargo metadata`, `Cargo.lock` and the sources; it builds nothing and changes nothing. Every failure names the
//! offending edge or place, and what to do.
//!
//! | file | law |
//! |---|---|
//! | `arrows` | which crate may depend on which |
//! | `purity` | core has no clock, no I/O, no environment |
//! | `files` | what every file and the top of the repository look like |
//! | `packages` | versions that must not be older, dependencies that must be used |
//! | `release` | what only debug builds may have |
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends where it cannot go on"
)]

mod arrows;
mod files;
mod packages;
mod purity;
mod release;
mod tokens;
mod tree;
mod workspace;

/// Fails with every finding at once, and one remedy.
#[track_caller]
fn none(findings: &[String], remedy: &str) {
    assert!(findings.is_empty(), "\n  {}\n  remedy: {remedy}\n", findings.join("\n  "));
}
