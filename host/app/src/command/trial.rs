//! `trial`: the judge of one patch. Hidden: it works only inside of the sandbox that whoever holds the trial has made.

use std::path::Path;
use std::sync::Arc;

use razar_runtime::broker::keyvalue::MemoryValues;

use super::{Exit, complain, own_compiler, runtime};
use crate::cli::Output;
use crate::trial::judge;
use crate::trial::start::Folder;

pub(super) async fn trial(request: &Path) -> Exit {
    match judged(request).await {
        Ok(()) => Exit::Done,
        Err(error) => {
            complain(Output::Human, &error);
            Exit::Internal
        }
    }
}

async fn judged(file: &Path) -> Result<(), String> {
    let (request, folder) = (judge::read(file)?, Folder::around(file));
    let scratch = Some(folder.scratch.as_path());
    let engines = |cache| runtime(cache, scratch, None, Arc::new(MemoryValues::default()), own_compiler()?);
    // A cache that cannot be read costs time, nothing else.
    let runtime = engines(request.cache.clone()).or_else(|_| engines(None))?;
    judge::judge(&request, &folder, &runtime, &[]).await
}
