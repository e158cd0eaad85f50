//! What must hold for any bytes, one function a parser: `cargo fuzz` looks for bytes for which it does not, and
//! `cargo test` shows that it holds for the committed corpus. Finding something, a function panics.
//!
//! `cargo +nightly fuzz run -s none --fuzz-dir tests/fuzz --features fuzzer rules` runs one target until it is stopped. Without
//! a sanitizer: there is no unsafe code to watch, and the loader's compiler limits its own address space.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "panicking is how a finding is told"
)]

pub mod archive;
pub mod documents;
pub mod facts;
pub mod ledger;
pub mod loader;
pub mod patch;
pub mod recording;
pub mod rules;
pub mod texts;
