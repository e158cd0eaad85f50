//! `mend`: the hands of a host behind its wall. It changes the files of one component as a patch in the ledger says, all of them
//! or none, and looks first: what a crash has left half done it brings to the side that is asked for. Hidden, because who types
//! it changes files that nobody has decided to change.

use std::path::Path;

use razar_core::id::Digest;
use razar_core::patch::{Patch, Side};
use razar_ledger::LedgerReader;

use super::{Exit, complain, say};
use crate::cli::Output;
use crate::mend;

pub(super) fn mend(state: &Path, manifest: &Digest, directory: &Path, back: bool) -> Exit {
    let side = if back { Side::Before } else { Side::After };
    let patch = || -> Result<Patch, String> {
        let reader = LedgerReader::open(state).map_err(|error| error.to_string())?;
        reader.patch(manifest).map_err(|error| error.to_string())
    };
    let patch = match patch() {
        Ok(patch) => patch,
        Err(error) => return failed(Exit::Failed, &error),
    };
    match mend::open(directory).and_then(|top| mend::settle(&patch, &top, side)) {
        Ok(done) => {
            done.notes.iter().for_each(|note| say(note));
            Exit::Done
        }
        Err(error) => {
            let partly = matches!(error.left, mend::Left::Mixed(_));
            failed(if partly { Exit::Internal } else { Exit::Failed }, &error.to_string())
        }
    }
}

/// `Failed` says to the host that nothing of the patch is in place that was not before.
fn failed(exit: Exit, error: &str) -> Exit {
    complain(Output::Human, error);
    exit
}
