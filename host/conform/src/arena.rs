//! Where an operator's own host meets a corpus: one runtime, the server that misbehaves, and a world of its own for every
//! case. It says how a case ended otherwise than it must, and decides nothing by it.

use std::io;
use std::sync::Arc;

use razar_core::grant::LimitField;
use razar_runtime::Runtime;

use crate::case::{Case, CaseError, Places};
use crate::corpus::Corpus;
use crate::judge::judge;
use crate::run::run;
use crate::upstream::Upstream;
use crate::world::World;

/// See the module.
pub struct Arena {
    runtime: Arc<Runtime>,
    upstream: Upstream,
    corpus: Corpus,
}

impl Arena {
    /// Its runtime resolves the names and knows the secrets of [`crate::names`] and no others.
    pub fn new(corpus: Corpus, runtime: Arc<Runtime>) -> io::Result<Self> {
        Ok(Self { runtime, upstream: Upstream::start()?, corpus })
    }

    /// What is run here.
    pub const fn corpus(&self) -> &Corpus {
        &self.corpus
    }

    /// Runs one case: where it ended otherwise than it must.
    pub async fn run(&self, case: &Case) -> Result<Vec<String>, CaseError> {
        let unmade =
            |error: io::Error| CaseError::wrong(case.name(), format!("no world can be made: {error}"));
        let home = tempfile::tempdir().map_err(unmade)?;
        let mut world = World::make(home.path(), &case.world()?).map_err(unmade)?;
        let places = Places {
            world: world.dir().to_owned(),
            upstream: self.upstream.port(),
            elsewhere: self.upstream.elsewhere(),
        };
        let ready = case.ready(&places)?;
        let wasm = self.corpus.guest(&ready.guest)?;
        let seen = run(&self.runtime, &ready, wasm).await;
        let mut wrong = judge(&ready, &seen);
        let changes = world.changes(ready.expect.changes).map_err(unmade)?;
        wrong.extend(changes.into_iter().map(|name| format!("`{name}` is not what it was")));
        Ok(wrong)
    }
}

/// The number at which a limit is tried. Some of what an operator may write would take hours or all memory to reach; what
/// is below takes the same way through the host.
pub fn tried(field: LimitField, in_force: u64) -> u64 {
    let most = match field {
        LimitField::Deadline | LimitField::RequestTime => 1_000,
        LimitField::Memory => 256 << 20,
        LimitField::Instances => 127, // the scan lets no plugin have more than 128
        LimitField::Requests => 100,
        LimitField::Concurrent => 4,
        LimitField::Fuel => 100_000_000,
        LimitField::Disk => 64 << 20, // the world is read whole before and after
        LimitField::TableElements
        | LimitField::Memories
        | LimitField::Tables
        | LimitField::Hostcall
        | LimitField::Reply
        | LimitField::Log
        | LimitField::Stdout
        | LimitField::Request
        | LimitField::Response
        | LimitField::Headers
        | LimitField::Handles
        | LimitField::Files
        | LimitField::Random => u64::MAX,
    };
    in_force.min(most)
}
