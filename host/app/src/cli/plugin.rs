//! `plugin add` and `plugin remove`: what may be typed about packages from elsewhere.

use std::path::PathBuf;

use clap::Args;

use super::{Output, Plugins};

// Arguments of `plugin add`.
#[derive(Debug, Clone, Args)]
pub(crate) struct PluginAdd {
    /// The package: a tar archive, or a directory
    #[arg(value_name = "FILE")]
    pub(crate) package: PathBuf,
    #[command(flatten)]
    pub(crate) plugins: Plugins,
    /// Its signature, if that is not `FILE.minisig` beside it
    #[arg(long, value_name = "FILE")]
    pub(crate) signature: Option<PathBuf>,
    /// Pin it without looking for a signature
    #[arg(long, conflicts_with_all = ["signature", "require_signature"])]
    pub(crate) unsigned: bool,
    /// Refuse it if nobody signed it, whatever the signers' file says
    #[arg(long)]
    pub(crate) require_signature: bool,
    /// Put it in the place of a newer version, or of one that was signed; the lock says so from then on
    #[arg(long)]
    pub(crate) allow_downgrade: bool,
    /// Shape of the answer
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

// Arguments of `plugin remove`.
#[derive(Debug, Clone, Args)]
pub(crate) struct PluginRemove {
    /// Which
    pub(crate) name: String,
    /// The directory it is pinned in
    #[arg(long = "plugins", value_name = "DIR")]
    pub(crate) plugins: Vec<PathBuf>,
    /// Shape of the answer
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Output,
}
