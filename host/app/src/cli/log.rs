//! `log`: what may be typed about the ledger. What each anchor proves stands here, because this is where it is asked.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Output, State};
use crate::witness::Place;

/// What to do about the ledger.
#[derive(Debug, Clone, Subcommand)]
#[command(defer = true)]
pub(crate) enum Log {
    /// Check that the ledger, or a bundle of facts from one, is what it was
    ///
    /// Reads every page and every fact, and compares the ledger with whatever remembers it; changes nothing, and works
    /// while a host runs. Ends with 0 if it is intact, 1 if it is not, 2 if there is nothing to check.
    #[command(after_long_help = ANCHORS)]
    Verify(LogVerify),
    /// Keep the intact facts of a damaged ledger and set the rest aside
    ///
    /// The facts from the first up to the last that is what it was go into a new `razar.db`; the damaged file stays
    /// beside it as `razar.db.damaged-<time>`, byte for byte. Nothing is deleted. Refused while a host runs; does nothing
    /// to a ledger that is intact. Ends with 0 if nothing known is lost, 1 if facts are.
    Repair {
        #[command(flatten)]
        state: State,
        /// Shape of the answer
        #[arg(long, value_enum, default_value_t)]
        output: Output,
    },
    /// The newest facts, exactly as recorded
    ///
    /// `timeline` tells what happened, in the words of the mission log, and leaves out what only matters to the ledger;
    /// `log tail` leaves out nothing: every fact, with its position and its hash. It reads the file, so it works the same
    /// with and without a host, and also when the host does not answer.
    Tail(LogTail),
    /// The facts about one component with the proof that they were recorded, in one signed file
    ///
    /// `log verify FILE --key PUBLIC_KEY_FILE` checks it on another machine. It proves that the owner of the key recorded
    /// exactly these facts at these positions, and that these are all it chose to tell about the component; not that the
    /// facts are true, nor that the owner signed no other history: compare with a witness for that.
    Export(LogExport),
    /// Print the public key by which signatures of this state directory are known
    ///
    /// The key is made once, in `keys/` of the state directory, readable by its owner only. Keep the public key where
    /// this machine cannot write: only then does a signature prove anything about this machine.
    Key {
        #[command(flatten)]
        state: State,
        /// Shape of the answer
        #[arg(long, value_enum, default_value_t)]
        output: Output,
    },
}

const ANCHORS: &str = "What each anchor proves:
  chain       each fact holds the hash of the one before: no fact was changed, removed or put in between,
              unless every later hash was computed anew
  boots       the first fact of every boot names the newest fact before it: whoever computed the chain anew
              without knowing that is found. It also tells when an earlier start found facts missing
  state_file  `logs/razar_state.json` names the newest fact after every turn: facts cut off the end, or a
              database of another day, are found; not if this file was changed as well
  witness     signed notes that were left elsewhere: also a directory that was rewritten as a whole is found,
              up to the newest note. Facts after it have no witness. Whoever can change the witness, or has
              the key and reached the witness before the host did, is not found

Without `--key` the public key lies in the state directory itself: keep a copy elsewhere and name it.
A witness behind a URL takes each note with POST (one JSON object) and gives them all with GET, one a line.";

// Arguments of `log verify`.
#[derive(Debug, Clone, Args)]
pub(crate) struct LogVerify {
    /// A file that `log export` wrote; without one, the ledger of the state directory is checked
    #[arg(requires = "key", conflicts_with = "witness")]
    pub(crate) bundle: Option<PathBuf>,
    /// The public key that must have signed, as `log key` prints it; needed for a bundle
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// Where `run --witness` left its notes
    #[arg(long, value_name = "FILE|URL", env = "RAZAR_WITNESS")]
    pub(crate) witness: Option<Place>,
    #[command(flatten)]
    pub(crate) state: State,
    /// Shape of the answer
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

// Arguments of `log tail`.
#[derive(Debug, Clone, Args)]
pub(crate) struct LogTail {
    #[command(flatten)]
    pub(crate) state: State,
    /// Begin with this fact; without, with the newest ones
    #[arg(long, value_name = "SEQ")]
    pub(crate) from: Option<u64>,
    /// At most so many facts: 20 without `--from`, 1000 with it
    #[arg(long, short = 'n', value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(crate) lines: Option<u64>,
    /// Go on with facts as they are recorded
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// Shape of the lines
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

// Arguments of `log export`.
#[derive(Debug, Clone, Args)]
pub(crate) struct LogExport {
    /// The component the facts are about
    #[arg(long, value_name = "NAME")]
    pub(crate) component: String,
    /// Not before this fact
    #[arg(long, value_name = "SEQ")]
    pub(crate) from: Option<u64>,
    /// Not after this fact
    #[arg(long, value_name = "SEQ")]
    pub(crate) to: Option<u64>,
    /// The file to write; it must not exist. `-` for standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// The private key to sign with; without, that of the state directory, made now if there is none
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) state: State,
    /// Shape of the answer
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Output,
}
