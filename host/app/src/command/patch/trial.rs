//! `patch check --trial`: holds a trial of what the gate has taken, and tells what the judges saw. It needs no running host
//! and leaves nothing behind.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use razar_core::grant::Role;
use razar_core::id::PluginId;
use razar_core::patch::{ChangeSet, Tree};
use razar_core::plan::{ComponentPlan, Overrides, Plugins as _};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use super::super::check::{absolute_parent, read_plan};
use super::super::{Exit, code_cache, complain, one_shot, own_cache, say, show_problems};
use super::{complain_hint, show, told};
use crate::cli::{Output, PatchCheck};
use crate::environment;
use crate::launcher::left;
use crate::packages::Packages;
use crate::report::escape;
use crate::trial::start::{self, Judged, Outcome, Setting};
use crate::trial::wire::{Base, Report, Request, Said, Tests};

/// Trials of one component, one after the other.
pub(super) struct Trials {
    arguments: PatchCheck,
    plan: ComponentPlan,
    evaluators: Vec<PluginId>,
    /// Where compiled plugins are.
    cache: Option<PathBuf>,
    /// What was seen of these files without a patch.
    known: Option<(Tree, Base)>,
    over: Arc<AtomicBool>,
}

impl Trials {
    /// Reads everything that does not depend on the patch.
    pub(super) async fn prepare(arguments: &PatchCheck) -> Result<Self, Exit> {
        let (plan, evaluators, cache) = component(arguments).await?;
        let over = interrupted().map_err(|error| {
            complain(arguments.output, &format!("nobody could end the trial: {error}"));
            Exit::Internal
        })?;
        Ok(Self { arguments: arguments.clone(), plan, evaluators, cache, known: None, over })
    }

    /// Somebody wants no more of them.
    pub(super) fn are_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// Holds one, of a patch of these files.
    pub(super) fn hold(&mut self, changes: &ChangeSet, tree: Tree) -> Exit {
        let output = self.arguments.output;
        let (request, dir) = match self.request(changes, &tree) {
            Ok(prepared) => prepared,
            Err(message) => {
                complain(output, &message);
                return Exit::Internal;
            }
        };
        let outcome = start::hold(dir.path(), &request, &|| self.are_over());
        if output == Output::Json {
            tell(changes, &request, &outcome);
        } else {
            show(request.component.as_str(), changes);
            show_outcome(&outcome);
        }
        self.known = outcome.report.map(|report| (tree, report.base));
        if outcome.ruling.verdict.is_fixed() { Exit::Done } else { Exit::Failed }
    }

    /// What the judge is told, and where.
    fn request(&self, changes: &ChangeSet, tree: &Tree) -> Result<(Request, tempfile::TempDir), String> {
        let Self { arguments, plan, evaluators, cache, known, .. } = self;
        let failed = |error: std::io::Error| format!("the trial cannot be prepared: {error}");
        sweep(&std::env::temp_dir());
        let prefix = format!("razar-{}-", left::held_by_me());
        let dir = tempfile::Builder::new().prefix(&prefix).tempdir().map_err(failed)?;
        let stack = absolute_parent(&arguments.config).map_err(failed)?;
        let setting = Setting {
            state: &arguments.state.state,
            plugins: &arguments.plugins.plugins,
            grants: arguments.plugins.grants.as_deref(),
            cache: cache.as_deref(),
            stack: &stack,
        };
        let repair = plan.repair.clone().unwrap_or_default();
        let typed = arguments.tests.as_ref();
        let typed =
            typed.map(|words| Tests { command: words.0.clone(), timeout_ms: arguments.tests_timeout.0 });
        let own = repair.tests.map(|tests| Tests { command: tests.command, timeout_ms: tests.timeout.0 });
        let hold = arguments.hold.unwrap_or(repair.hold);
        let judged = Judged { hold, tests: typed.or(own), evaluators: evaluators.clone() };
        let mut request = setting.request(plan, changes, judged, dir.path())?;
        let same = known.as_ref().filter(|(earlier, _)| earlier.differences(tree).is_empty());
        request.base = same.map(|(_, base)| base.clone());
        Ok((request, dir))
    }
}

/// Becomes true when somebody wants this to end: what a trial has begun has to be taken away first.
fn interrupted() -> std::io::Result<Arc<AtomicBool>> {
    let over = Arc::new(AtomicBool::new(false));
    for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
        let (mut told, over) = (signal(kind)?, Arc::clone(&over));
        tokio::spawn(async move {
            told.recv().await;
            over.store(true, Ordering::Relaxed);
        });
    }
    Ok(over)
}

/// Takes away what a trial of this user has left that was killed.
fn sweep(dir: &Path) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let left = name.to_str().and_then(|name| name.strip_prefix("razar-")).is_some_and(left::is_left);
        let own = || entry.metadata().is_ok_and(|meta| meta.uid() == rustix::process::geteuid().as_raw());
        if left && own() {
            // Somebody else may be doing the same.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// The component as `run` would start and watch it, and where compiled plugins are.
async fn component(arguments: &PatchCheck) -> Result<(ComponentPlan, Vec<PluginId>, Option<PathBuf>), Exit> {
    let output = arguments.output;
    let state = &arguments.state.state;
    let cache = if state.exists() { Some(code_cache(state)) } else { own_cache() };
    let runtime = one_shot(cache.clone()).or_else(|_| one_shot(None)).map_err(|error| {
        complain(output, &error);
        Exit::Internal
    })?;
    let packages = Packages::load(arguments.plugins.sources(), &runtime).await;
    let overrides = Overrides { interval: environment::probe_interval(), ..Overrides::default() };
    let checked = read_plan(&arguments.config, None, &overrides, &packages).map_err(|problems| {
        show_problems(&problems, output);
        Exit::Usage
    })?;
    let named = |plan: &ComponentPlan| plan.id.as_str() == arguments.component;
    // The gate has found it in the same document; it may have been changed since.
    let plan = checked.plan.components.into_iter().find(named).ok_or_else(|| {
        complain(output, &format!("there is no component `{}` any more", arguments.component));
        Exit::Usage
    })?;
    let all = || packages.names(Role::Evaluator);
    let chosen = plan.repair.as_ref().and_then(|repair| repair.evaluators.clone());
    Ok((plan, chosen.unwrap_or_else(all), cache))
}

fn tell(changes: &ChangeSet, request: &Request, outcome: &Outcome) {
    let mut more = vec![
        ("verdict", json!(outcome.ruling.verdict.as_str())),
        ("checked", json!("trial")),
        ("reason", json!(outcome.ruling.reason)),
        ("remedy", json!(outcome.remedy)),
        ("limits_missing", json!(outcome.lacking)),
        ("took_ms", json!(u64::try_from(outcome.took.as_millis()).unwrap_or(u64::MAX))),
    ];
    if let Some(Report { said, left_out, left_out_count, copy_ms, .. }) = &outcome.report {
        more.extend([
            ("judges", json!(said)),
            ("left_out", json!(left_out)),
            ("left_out_count", json!(left_out_count)),
            ("copy_ms", json!(copy_ms)),
        ]);
    }
    say(&told(request.component.as_str(), changes, more).to_string());
}

fn show_outcome(outcome: &Outcome) {
    let ruling = &outcome.ruling;
    say(&escape::line(&format!("the trial says: {}: {}", ruling.verdict.as_str(), ruling.reason)));
    for said in outcome.report.iter().flat_map(|report| &report.said) {
        show_said(said);
    }
    for report in outcome.report.iter().filter(|report| report.left_out_count > 0) {
        say(&format!("  not in the copy: {}", report.left_out_count));
        report.left_out.iter().for_each(|what| say(&escape::line(&format!("    {what}"))));
    }
    for lacking in &outcome.lacking {
        say(&escape::line(&format!("  not limited as a whole: {lacking}")));
    }
    if let Some(remedy) = outcome.remedy {
        complain_hint(remedy);
    }
}

fn show_said(Said { judge, patched, summary, output, took_ms }: &Said) {
    let tree = if *patched { "with the patch" } else { "as it is" };
    say(&escape::line(&format!("  {judge}, {tree}: {summary} ({took_ms} ms)")));
    let lines: Vec<&str> = output.lines().collect();
    let last = lines.len().saturating_sub(SHOWN);
    lines.iter().skip(last).for_each(|line| say(&escape::line(&format!("    | {line}"))));
}

/// Lines of what was printed that people are shown; programs get more.
const SHOWN: usize = 5;
