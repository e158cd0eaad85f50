//! `diagnose`: what may be typed about a log.

use std::path::PathBuf;

use clap::Args;

use super::Output;

// Arguments of `diagnose`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Diagnose {
    /// The log; `-` for standard input
    #[arg(value_name = "LOG")]
    pub(crate) file: PathBuf,
    /// Shape of the answer
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Output,
}
