//! One case on the stage: what came of it, against what must, and everything that must hold for the host afterwards.

use std::ops::RangeInclusive;
use std::path::Path;

use razar_conform::case::{Case, Places, Ready};
use razar_conform::judge::judge;
use razar_conform::run::run;
use razar_conform::world::World;
use razar_runtime::guard;
use razar_runtime::incident::MAX_TEXT;
use razar_tests::wait;

use crate::corpus;
use crate::stage::{GENEROUS, Log, Stage, descriptors, healthy};

/// Of a line beside its text: level, the plugin's name, its digest, how it ended.
const MAX_PREFIX: usize = 256;

/// What is wrong; nothing when all is as it must be.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    /// With the case: it ended otherwise, something came out, the log does not say it as it must.
    pub(crate) case: Vec<String>,
    /// With the host: whoever runs beside it, and what must be as before.
    pub(crate) host: Vec<String>,
}

impl Stage {
    /// Runs a case as it is written.
    pub(crate) fn run(&self, name: &str) -> Verdict {
        self.verdict(corpus::corpus().case(name).expect("a case"))
    }

    /// Runs a case whose guard is away as the case says.
    pub(crate) fn run_without_guard(&self, name: &str) -> Verdict {
        self.verdict(&corpus::corpus().case(name).expect("a case").without_guard())
    }

    /// Runs a case on a stage of its own, in which a guard is off.
    pub(crate) fn run_switched(name: &str, switch: &str) -> Verdict {
        let found = guard::parse(switch).unwrap_or_else(|| panic!("there is no guard `{switch}`"));
        guard::off(Some(found));
        let verdict = Self::new(Some(switch)).run(name);
        guard::off(None);
        verdict
    }

    /// What a case is made of here.
    pub(crate) fn ready(&self, case: &Case, world: &World) -> Ready {
        case.ready(&self.places(world.dir())).unwrap_or_else(|error| panic!("{error}"))
    }

    /// What its placeholders stand for.
    pub(crate) fn places(&self, world: &Path) -> Places {
        Places {
            world: world.to_owned(),
            upstream: self.upstream.port(),
            elsewhere: self.upstream.elsewhere(),
        }
    }

    fn verdict(&self, case: &Case) -> Verdict {
        let home = tempfile::tempdir().expect("a temporary directory");
        let document = case.world().unwrap_or_else(|error| panic!("{error}"));
        let mut world = World::make(home.path(), &document).expect("a world");
        let ready = self.ready(case, &world);
        let wasm = corpus::corpus().guest(&ready.guest).unwrap_or_else(|error| panic!("{error}"));
        let mut verdict = Verdict::default();
        let (before, slots) = (descriptors(), self.runtime.slots_free());
        Log::take();

        let neighbours = self.neighbours();
        let seen = self.tokio.block_on(run(&self.runtime, &ready, wasm));
        let served = self.tokio.block_on(neighbours.served());

        verdict.case.extend(judge(&ready, &seen));
        verdict.case.extend(about_log(&Log::take(), &ready.expect.lines()));
        let changes = world.changes(ready.expect.changes).expect("the world can be looked at");
        verdict.case.extend(changes.iter().map(|name| format!("`{name}` is not what it was")));
        drop(world);

        verdict.host.extend(served.wrong);
        if served.slowest > GENEROUS {
            verdict.host.push(format!("a neighbour waited for {:?}", served.slowest));
        }
        let idle = wait::first(|| (self.runtime.slots_free() == slots).then_some(()));
        if idle.is_none() {
            verdict.host.push(format!("{} of {slots} places are free again", self.runtime.slots_free()));
        }
        // Connections and blocking threads may take a moment to end.
        if wait::first(|| (descriptors().len() <= before.len()).then_some(())).is_none() {
            verdict.host.push(format!("descriptors: {before:?}\n  then: {:?}", descriptors()));
        }
        verdict.host.extend(self.tokio.block_on(healthy(&self.good)).err());
        verdict
    }
}

/// As many lines as there must be, each bounded and harmless.
fn about_log(lines: &[String], expected: &RangeInclusive<usize>) -> Vec<String> {
    let mut wrong = Vec::new();
    if !expected.contains(&lines.len()) {
        wrong.push(format!("the log has {} lines about it instead of {expected:?}: {lines:?}", lines.len()));
    }
    for line in lines {
        if line.len() > MAX_TEXT + MAX_PREFIX {
            wrong.push(format!("a line of the log has {} bytes", line.len()));
        }
        if line.chars().any(char::is_control) {
            wrong.push(format!("a line of the log has control characters: {}", line.escape_debug()));
        }
        if !line.contains("plugin=hostile digest=") || !line.contains("outcome=") {
            wrong.push(format!("a line of the log does not say who and how: {line}"));
        }
    }
    wrong
}
