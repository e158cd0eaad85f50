//! The gate: what an agent or a person proposes becomes a [`ChangeSet`], or one [`Refusal`] with a stable code. It reads no
//! file, applies nothing to the world and runs nothing: what passed it fits the files and is confined, and whether it
//! repairs anything is for a trial to find out, whose [`Evidence`] becomes one [`Verdict`] in `verdict`.
//!
//! Order of evaluation; the first thing wrong is the answer:
//!
//! | what | where |
//! |---|---|
//! | size, encoding, the form of a diff, read twice | `gate`, `unified` |
//! | paths that are paths, no file twice | `path`, `gate` |
//! | protected paths, then the component's roots | `protect`, `rules` |
//! | files that were shown are what they were | `gate` |
//! | no link on the way, the target is what it is taken for | `gate` |
//! | every hunk at exactly its line, to the byte | `apply` |
//! | what it may become: text, line ends, size, not empty | `text`, `gate` |
//! | tests are as many and are run by the same | `integrity` |
//! | the resulting tree against what was announced | `changes` |
//!
//! A file is deleted or emptied only where the operator lets files of the component be deleted. No mode is ever changed,
//! and no new file can be run.
//!
//! What was accepted is kept as a [`Patch`]: its [`Manifest`], and the bytes of every file before and after. From it alone a
//! change is applied, taken back, recognized on disk and shown.

mod apply;
mod changes;
mod diff;
mod gate;
mod integrity;
mod manifest;
mod path;
mod proposal;
mod protect;
mod refusal;
mod rules;
mod sentinel;
mod text;
mod tree;
mod unified;
mod verdict;
mod version;
mod whole;

pub use changes::{ChangeKind, ChangeSet, FileChange};
pub use gate::{MAX_FILE, MAX_PROPOSAL, gate};
pub use manifest::{Found, MAX_MANIFEST, Manifest, ManifestError, ManifestFile, Side, Standing};
pub use path::{FilePath, MAX_PATH, PathError};
pub use proposal::{Change, Proposal};
pub use protect::{Pattern, PatternError, Protected};
pub use refusal::{Reason, Refusal};
pub use rules::{Closed, Rules};
pub use sentinel::{CaseEnd, SentinelFault, SentinelFile, Sentinels};
pub use tree::{Node, Tree};
pub use verdict::{Case, Evaluation, Evidence, Look, Opinion, Pair, Ruling, Seen, Verdict, judge, objection};
pub use version::{NoVersion, Version};
pub use whole::{Missing, Patch};
