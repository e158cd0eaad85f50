//! `patch`: what may be typed about changes to components.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use razar_core::id::Digest;

use super::{Output, Plugins, State};

/// What to do about patches.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Patch {
    /// Would the gate take this diff? Nothing is written, nothing is run
    ///
    /// Reads the component's files as they are now and judges the diff against them: its form to the byte, its paths, what is
    /// protected, that every hunk fits at exactly the line it names, and that no tests go or are skipped. Whether it repairs
    /// anything is not tried: that takes a trial, and this is the gate alone.
    ///
    /// What may be patched is the component's `patch` in the boot configuration; without one, its `workdir`, if no other
    /// component has the same. Ends with 0 if the gate takes it, 1 if it refuses it (with a stable code, the file, the line of
    /// the diff and a remedy), 2 if there is nothing to judge: no such file or component, a configuration that does not hold.
    Check(PatchCheck),
}

/// Arguments of `patch check`.
#[derive(Debug, Clone, Args)]
pub(crate) struct PatchCheck {
    /// A unified diff, paths relative to the component's directory; `-` for standard input
    pub(crate) file: PathBuf,
    /// The component it is for
    #[arg(long, value_name = "NAME")]
    pub(crate) component: String,
    /// The boot configuration
    #[arg(long, value_name = "FILE", default_value = "config/boot_config.json")]
    pub(crate) config: PathBuf,
    /// A file the diff was made from, and what it was then; may be given more than once. One that has changed since makes
    /// the diff stale
    #[arg(long, value_name = "PATH=sha256:…", value_parser = shown)]
    pub(crate) shown: Vec<(String, Digest)>,
    #[command(flatten)]
    pub(crate) plugins: Plugins,
    #[command(flatten)]
    pub(crate) state: State,
    /// Shape of the answer
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

fn shown(text: &str) -> Result<(String, Digest), String> {
    let (path, digest) = text.rsplit_once('=').ok_or("write `PATH=sha256:…`")?;
    let digest = digest.parse().map_err(|error: razar_core::id::NameError| error.to_string())?;
    Ok((path.to_owned(), digest))
}
