//! The inner half of a trial: seals the copy, asks every judge about the files as they are and about the files with the patch,
//! and writes down what they saw. It forms no verdict, and a trial that cannot be held is evidence of that and of nothing else.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use razar_core::patch::{Evaluation, Evidence, Look, Opinion, Pair, Seen, objection};
use razar_runtime::Runtime;

use super::asking::Plugins;
use super::evaluate::{self, Evaluator, Thought};
use super::native::{self, Ran};
use super::nest::{self, Nest};
use super::sealed::Sealing;
use super::shadow::{self, Outcome};
use super::stage::{Places, Stages};
use super::start::{Folder, limits};
use super::wire::{Base, MAX_REQUEST, Report, Request, Said, Tests};
use crate::launcher::exec;

/// What runs plugins, made when the first is asked.
pub(crate) type Engines =
    LazyLock<Result<Arc<Runtime>, String>, Box<dyn FnOnce() -> Result<Arc<Runtime>, String> + Send>>;

/// Judges what lies in a trial's directory, and leaves the report there.
pub(crate) async fn judge(
    request: &Request,
    folder: &Folder,
    runtime: &Engines,
    evaluators: &[Box<dyn Evaluator>],
    seed: u64,
) -> Result<(), String> {
    nest::inside(&folder.scratch)?;
    let limited = exec::hold_to(&limits(request));
    limited.map_err(|error| format!("the limits of the trial cannot be taken: {error}"))?;
    // Copies have the modes of what they are copies of.
    rustix::process::umask(rustix::fs::Mode::empty());
    let mut trial =
        Trial { request, seed, seen: Vec::new(), evidence: Evidence::default(), base: Base::default() };
    let held = trial.hold(&folder.scratch, runtime, evaluators).await;
    let report = trial.report(held);
    let text = serde_json::to_vec(&report).map_err(|error| error.to_string())?;
    let file = std::fs::OpenOptions::new().write(true).create_new(true).open(folder.report_file());
    let written = file.and_then(|mut file| file.write_all(&text));
    written.map_err(|error| format!("cannot write the report: {error}"))
}

/// Reads what is to be judged.
pub(crate) fn read(file: &Path) -> Result<Request, String> {
    let failed =
        |error: &dyn std::fmt::Display| format!("cannot read the request `{}`: {error}", file.display());
    let length = std::fs::metadata(file).map_err(|error| failed(&error))?.len();
    if length > MAX_REQUEST {
        return Err(failed(&format!("it has more than {MAX_REQUEST} bytes")));
    }
    let bytes = std::fs::read(file).map_err(|error| failed(&error))?;
    serde_json::from_slice(&bytes).map_err(|error| failed(&error))
}

struct Trial<'a> {
    request: &'a Request,
    /// Of the host's own tests.
    seed: u64,
    seen: Vec<Said>,
    evidence: Evidence,
    base: Base,
}

/// What is known of the copy.
#[derive(Default)]
struct Held {
    left_out: Vec<String>,
    left_out_count: u64,
    copying: Duration,
}

impl Trial<'_> {
    async fn hold(&mut self, scratch: &Path, runtime: &Engines, evaluators: &[Box<dyn Evaluator>]) -> Held {
        let mut held = Held::default();
        if let Err(why) = self.try_hold(scratch, runtime, evaluators, &mut held).await {
            self.evidence.broken.push(why);
        }
        held
    }

    async fn try_hold(
        &mut self,
        scratch: &Path,
        runtime: &Engines,
        evaluators: &[Box<dyn Evaluator>],
        held: &mut Held,
    ) -> Result<(), String> {
        let request = self.request;
        let real = |path: &str| {
            std::fs::canonicalize(path).map_err(|error| format!("cannot find `{path}`: {error}"))
        };
        let workdir = real(&request.run.workdir)?;
        let sealing = Sealing {
            top: &workdir,
            without: &request.around.hidden,
            entries: request.bounds.entries,
            bytes: request.bounds.copied(),
        };
        // Entering takes the kernel as long as copying takes: both at a time. Nobody but the judge runs before it is done.
        let groups = request.groups.clone();
        let entering = std::thread::spawn(move || enter(&groups));
        let stages = Stages::open(scratch, sealing, &request.changes).map_err(|error| error.to_string());
        entering.join().unwrap_or_else(|_| Err("nobody entered the control groups".to_owned()))?;
        let stages = stages?;
        held.left_out.clone_from(&stages.contents.left_out);
        held.left_out_count = stages.contents.left_out_count;
        let judged = self.ask(scratch, runtime, evaluators, &workdir, &stages).await;
        held.copying = stages.copying();
        judged
    }

    async fn ask(
        &mut self,
        scratch: &Path,
        runtime: &Engines,
        evaluators: &[Box<dyn Evaluator>],
        workdir: &Path,
        stages: &Stages<'_>,
    ) -> Result<(), String> {
        let request = self.request;
        if !evaluators.is_empty() {
            let candidate = fresh(stages, true)?;
            let changed: Vec<String> = request.changes.iter().map(|change| change.path.clone()).collect();
            let trees = (&*stages.base(), &*candidate.tree);
            for Thought { evaluation, took } in evaluate::all(evaluators, trees, &changed).await? {
                let trees = [(false, &evaluation.base), (true, &evaluation.candidate)];
                for ((patched, looks), took) in trees.into_iter().zip(took) {
                    let said = |look: &Look| look.sentinel.clone().unwrap_or_else(|| look.why.clone());
                    let summary = looks.first().map(said).unwrap_or_default();
                    self.say(&evaluation.by, patched, summary, String::new(), took);
                }
                self.evidence.evaluations.push(evaluation);
            }
            self.evidence.tampered.extend(stages.touched(&candidate, true));
        }

        // What takes longest comes last, and is not done for what is refused already.
        let nest = Nest::new(request, scratch, workdir.to_owned(), &stages.contents.bound)?;
        if let (Some(tests), false) = (&request.tests, self.is_settled()) {
            self.native(stages, &nest, tests, scratch).await?;
        }
        if !request.probes.is_empty() && !self.is_settled() {
            let plugins = Plugins::load(request, runtime).await?;
            self.shadow(stages, &nest, &plugins).await?;
        }
        Ok(())
    }

    /// Nothing that another judge could say makes it fit to be applied.
    fn is_settled(&self) -> bool {
        !self.evidence.tampered.is_empty() || objection(&self.evidence).is_some()
    }

    async fn shadow(
        &mut self,
        stages: &Stages<'_>,
        nest: &Nest<'_>,
        plugins: &Plugins,
    ) -> Result<(), String> {
        let base = match self.request.base.as_ref().and_then(|base| base.shadow.clone()) {
            Some(seen) => seen,
            None => {
                let places = fresh(stages, false)?;
                let outcome = shadow::service(nest, plugins, &places).await?;
                self.touched(stages, &places, false);
                self.started(false, outcome)
            }
        };
        self.base.shadow = Some(base.clone());
        // Nobody is asked after this one.
        let places = stages.last(true).map_err(|error| error.to_string())?;
        let outcome = shadow::service(nest, plugins, &places).await?;
        self.touched(stages, &places, true);
        let candidate = self.started(true, outcome);
        self.evidence.shadow = Some(Pair { base, candidate });
        Ok(())
    }

    /// Both trees; the one with the patch again, if all of it is well, because what passes once may fail the next time.
    async fn native(
        &mut self,
        stages: &Stages<'_>,
        nest: &Nest<'_>,
        tests: &Tests,
        scratch: &Path,
    ) -> Result<(), String> {
        let known = self.request.base.as_ref().and_then(|base| base.native.clone());
        let base = match known {
            Some(look) => look,
            None => self.run(stages, nest, tests, scratch, false).await?,
        };
        self.base.native = Some(base.clone());
        let mut candidate = vec![self.run(stages, nest, tests, scratch, true).await?];
        if candidate.iter().all(|look| look.opinion == Opinion::Pass && look.sentinel.is_none()) {
            candidate.push(self.run(stages, nest, tests, scratch, true).await?);
        }
        let by = native::NAME.to_owned();
        self.evidence.evaluations.push(Evaluation { by, base: vec![base], candidate });
        Ok(())
    }

    async fn run(
        &mut self,
        stages: &Stages<'_>,
        nest: &Nest<'_>,
        tests: &Tests,
        scratch: &Path,
        patched: bool,
    ) -> Result<Look, String> {
        let places = fresh(stages, patched)?;
        let Ran { look, summary, output, took } =
            native::run(nest, tests, &places, scratch, self.seed).await?;
        self.touched(stages, &places, patched);
        self.say(native::NAME, patched, summary, output, took);
        Ok(look)
    }

    /// Keeps what one run did to files that are none of its business. What the unpatched files do to themselves is no fault of
    /// a patch.
    fn touched(&mut self, stages: &Stages<'_>, places: &Places, patched: bool) {
        let touched = stages.touched(places, patched);
        if patched {
            let earlier = self.request.base.iter().flat_map(|base| &base.touched);
            let known: Vec<&String> = self.base.touched.iter().chain(earlier).collect();
            let new = touched.into_iter().filter(|path| !known.contains(&path));
            self.evidence.tampered.extend(new);
        } else {
            self.base.touched.extend(touched);
        }
    }

    fn started(&mut self, patched: bool, outcome: Outcome) -> Seen {
        let Outcome { seen, summary, output, took } = outcome;
        self.say("shadow start", patched, summary, output, took);
        seen
    }

    fn say(&mut self, judge: &str, patched: bool, summary: String, output: String, took: Duration) {
        let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.seen.push(Said { judge: judge.to_owned(), patched, summary, output, took_ms });
    }

    fn report(mut self, held: Held) -> Report {
        if let Some(known) = &self.request.base {
            // Whoever was not asked again has said what he said.
            self.base.shadow = self.base.shadow.or_else(|| known.shadow.clone());
            self.base.native = self.base.native.or_else(|| known.native.clone());
            self.base.touched.extend(known.touched.iter().cloned());
            self.base.touched.sort();
            self.base.touched.dedup();
        }
        Report {
            evidence: self.evidence,
            said: self.seen,
            base: self.base,
            left_out: held.left_out,
            left_out_count: held.left_out_count,
            copy_ms: held.copying.as_secs_f64() * 1_000.0,
        }
    }
}

/// Puts this process into control groups, and with it everybody it starts from now on.
fn enter(groups: &[PathBuf]) -> Result<(), String> {
    let enter = |dir: &PathBuf| {
        std::fs::write(dir.join("cgroup.procs"), "0")
            .map_err(|error| format!("cannot enter the control group `{}`: {error}", dir.display()))
    };
    groups.iter().try_for_each(enter)
}

fn fresh(stages: &Stages<'_>, patched: bool) -> Result<Places, String> {
    stages.fresh(patched).map_err(|error| error.to_string())
}
