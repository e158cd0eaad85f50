//! What the tests of the whole house share: the built binary and plugins, a stage to run a stack on, and waiting for
//! conditions. It never looks inside the host: it starts the binary and reads what any operator can read.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the whole crate is tests: one ends where it cannot go on"
)]

use std::path::{Path, PathBuf};

pub mod artifact;
pub mod faults;
pub mod model;
pub mod process;
pub mod scene;
pub mod shop;
pub mod trace;
pub mod wait;

/// The top of the repository.
pub fn repository() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}
