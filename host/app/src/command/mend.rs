//! `mend`: the hands of a host behind its wall. It changes the files of one component as a patch in the ledger says, all of them
//! or none, and looks first: what a crash has left half done it brings to the side that is asked for. Hidden, because who types
//! it changes files that nobody has decided to change.

use std::path::Path;

use razar_core::id::Digest;
use razar_core::patch::Side;
use razar_ledger::LedgerReader;

use super::{Exit, complain, say};
use crate::cli::Output;
use crate::mend;

pub(super) fn mend(state: &Path, manifest: &Digest, directory: &Path, back: bool) -> Exit {
    let side = if back { Side::Before } else { Side::After };
    let done = || -> Result<mend::Done, String> {
        let reader = LedgerReader::open(state).map_err(|error| error.to_string())?;
        let patch = reader.patch(manifest).map_err(|error| error.to_string())?;
        let top = mend::open(directory).map_err(|error| error.to_string())?;
        mend::settle(&patch, &top, side).map_err(|error| error.to_string())
    };
    match done() {
        Ok(done) => {
            done.notes.iter().for_each(|note| say(note));
            Exit::Done
        }
        Err(error) => {
            complain(Output::Human, &error);
            Exit::Failed
        }
    }
}
