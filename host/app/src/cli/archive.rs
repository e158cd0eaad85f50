//! `import`, `backup` and `restore`: what may be typed about moving what is remembered.

use std::path::PathBuf;

use clap::Args;

use super::{Output, State};

/// Take over what the original system left behind
///
/// Reads the JSON files, logs and quarantine files of the original system below DIR (its top directory, or its `logs`),
/// in every shape they have, and records each of their records as a fact, so that `timeline` tells them. DIR is not
/// changed. What can be repaired is: torn lines, missing closing braces, arrays where lines belong. What cannot is kept
/// under `imported/` of the state directory, and named. Components that were in quarantine there are in quarantine here.
/// Importing again takes over what is new and changes nothing else. Ends with 1 if something had to be set aside.
#[derive(Debug, Clone, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Import {
    /// Where the original system kept its files
    pub(crate) dir: PathBuf,
    #[command(flatten)]
    pub(crate) state: State,
    /// Shape of the report
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

/// Put everything that is remembered into one file
///
/// One tar file with a consistent copy of the ledger, the files that operators read, and a list of digests; it is read
/// back before it gets its name. A running host is not disturbed. Sockets, caches, what services print and what
/// `log repair` set aside are left out.
#[derive(Debug, Clone, Args)]
pub(crate) struct Backup {
    /// The archive to write; it must not exist
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) state: State,
    /// Also the key that signs: whoever has the archive can then sign in this host's name
    #[arg(long)]
    pub(crate) with_keys: bool,
    /// Shape of the answer
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

/// Make a state directory of a backup
///
/// The state directory must be empty or not exist. Every file is compared with its digest and every fact with its
/// predecessor before the directory becomes usable, and the ledger again afterwards. Services that have been started since
/// the backup are not known to the restored ledger: stop them first.
#[derive(Debug, Clone, Args)]
pub(crate) struct Restore {
    /// An archive that `backup` wrote
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) state: State,
    /// Shape of the answer
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Output,
}
