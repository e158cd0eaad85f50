//! `trial`: the judge of one patch. Hidden: it works only inside of the sandbox that whoever holds the trial has made.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use razar_runtime::broker::keyvalue::MemoryValues;

use super::{Exit, complain, own_compiler, runtime};
use crate::cli::Output;
use crate::record::take::Notes;
use crate::trial::judge;
use crate::trial::plugins;
use crate::trial::start::{Folder, Held};

pub(super) async fn trial(request: &Path) -> Exit {
    match judged(request).await {
        Ok(()) => Exit::Done,
        Err(error) => {
            complain(Output::Human, &error);
            Exit::Internal
        }
    }
}

/// Holds a trial for a host that may start nothing.
pub(super) fn hold(dir: &Path) -> Exit {
    match Held::in_directory(dir) {
        Ok(()) => Exit::Done,
        Err(error) => {
            complain(Output::Human, &error);
            Exit::Internal
        }
    }
}

async fn judged(file: &Path) -> Result<(), String> {
    let (request, folder) = (judge::read(file)?, Folder::around(file));
    let scratch = folder.scratch.clone();
    let engines =
        move |cache| runtime(cache, Some(&scratch), None, Arc::new(MemoryValues::default()), own_compiler()?);
    // A cache that cannot be read costs time, nothing else; a trial that asks no plugin needs none of it.
    let cache = request.cache.clone();
    let runtime: judge::Engines = LazyLock::new(Box::new(move || engines(cache).or_else(|_| engines(None))));
    let seed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let seed = u64::from(seed.subsec_nanos()) << 32 | u64::from(std::process::id());
    let notes = Notes::default();
    let evaluators = plugins::load(&request, &runtime, &folder.scratch, seed, &notes).await?;
    judge::judge(&request, &folder, &runtime, &evaluators, seed).await?;
    // A trial is held without its recording, too.
    folder.note(&request.component, notes.take());
    Ok(())
}
