//! `run`: the composition root. It puts the parts together, waits for the end, and says how it was. The order of what
//! it opens is the order of what may be wrong: what was typed, then files, then the state directory, then processes.

use std::collections::BTreeSet;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use razar_core::fact::{Anchor, Fact, Opened};
use razar_core::id::Digest;
use razar_core::patch::Protected;
use razar_core::plan::{BootPlan, Overrides};
use razar_core::problem::{Problem, json_cause, json_place};
use razar_core::supervisor::{BootRequest, Command, Input, Settings, Stage, State};
use razar_ledger::{Ledger, LedgerError, Views, failpoint};
use razar_runtime::compile::Compiler;
use razar_runtime::engine::PoolOptions;
use rustix::fs::{Access, access};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use super::check::{Checked, overrides, read_plan};
use super::first_start::CodeCache;
use super::ground::Behind;
use super::{Exit, code_cache, complain, runtime, show_problems, show_warnings, warn};
use crate::alert::Alerting;
use crate::ask::{Asker, Questions};
use crate::cli;
use crate::drive::{Clock, DriveError, Driver, Handle, NotDone, ViewWriter};
use crate::launcher::{Launcher, Starter};
use crate::packages::Packages;
use crate::perform::{self, Hands};
use crate::porter::Porter;
use crate::record::rings::Rings;
use crate::repair::{Trials, Where, Workshop, keep_probes, keep_versions};
use crate::values::KeptValues;
use crate::witness::Witnessing;
use crate::{report, roster, serve};

/// Largest mission brief: it is archived at every boot.
const MAX_BRIEF: u64 = 1 << 20;

/// After the second signal while nothing could be recorded.
const LEFT: &str = "ended without stopping anything, because no decision could be recorded: the services go on; when there \
                    is space again, `razar-host run` takes them over and `razar-host stop` ends them";

/// Why a run did not even begin, or did not end by itself.
struct Ended {
    exit: Exit,
    message: Option<String>,
    problems: Vec<Problem>,
}

impl Ended {
    fn with(exit: Exit, message: impl ToString) -> Self {
        Self { exit, message: Some(message.to_string()), problems: Vec::new() }
    }

    fn internal(message: impl ToString) -> Self {
        Self::with(Exit::Internal, message)
    }
}

/// Runs the host behind its wall.
pub(crate) async fn run(arguments: cli::Run, behind: Behind) -> Exit {
    let output = arguments.output;
    match try_run(arguments, behind).await {
        Ok(exit) => exit,
        Err(ended) => {
            show_problems(&ended.problems, output);
            if let Some(message) = ended.message {
                complain(output, &message);
            }
            ended.exit
        }
    }
}

async fn try_run(arguments: cli::Run, behind: Behind) -> Result<Exit, Ended> {
    // Before anything is started: nobody who is told to stop may be killed instead.
    let mut signals = Signals::listen().map_err(Ended::internal)?;
    let Behind { porter, code, usable, wall_lacks } = behind;
    let ready = tokio::select! {
        // Who is told to stop does not begin.
        biased;
        reason = signals.next() => return Ok(not_begun(reason, arguments.output)),
        ready = Ready::check(&arguments, code, &porter) => ready?,
    };
    let state_dir = std::path::absolute(&arguments.state.state).map_err(Ended::internal)?;
    usable.map_err(|message| Ended::with(Exit::Usage, message))?;
    let (ledger, opened, views, state) = remember(&state_dir, &arguments, &ready.checked)?;
    failpoint::pass("run.remembered");
    ready.code.settle(&state_dir);
    if let Some(reason) = signals.waiting().await {
        return Ok(not_begun(reason, arguments.output));
    }
    let mut ledger = ledger;
    ready.kept.open(ledger.values().map_err(Ended::internal)?);
    let brief = match &ready.brief {
        Some(bytes) => Some(ledger.put_blob(bytes).map_err(Ended::internal)?),
        None => None,
    };
    let witnessing = match &arguments.witness {
        Some(place) => Some(Witnessing::start(place, &state_dir).map_err(Ended::internal)?),
        None => None,
    };
    let request = BootRequest {
        mission: ready.checked.plan.mission.clone(),
        brief,
        config: Some(Digest::of(&ready.checked.document)),
        ledger: Some(opened),
        long_task: arguments.long_task,
    };

    let starter = {
        let porter = Arc::clone(&porter);
        Starter::Elsewhere(Arc::new(move || porter.start_launcher()))
    };
    let (launcher, events, situation) =
        Launcher::connect_or_spawn(&state_dir, starter).await.map_err(Ended::internal)?;
    failpoint::pass("run.connected");
    Trials::sweep(&state_dir);
    let metrics = Arc::new(serve::metrics::Metrics::new(&ready.checked.plan).map_err(Ended::internal)?);
    let asker = Asker {
        packages: Arc::clone(&ready.packages),
        launcher: launcher.clone(),
        porter,
        metrics: Arc::clone(&metrics),
        state: state_dir.clone(),
        starting: Arc::default(),
        rings: Rings::default(),
    };
    let rings = asker.rings.clone();
    let tokio = tokio::runtime::Handle::current();
    let (own, places) = own_files(&arguments, &state_dir).map_err(Ended::internal)?;
    let mut kept = None;
    let roster_file =
        roster::of(&arguments.stack).map(std::path::absolute).transpose().map_err(Ended::internal)?;
    let (driver, handle) = Driver::new(state, ledger, views, Clock::start(), |handle| {
        let workshop = Arc::new(Workshop {
            packages: Arc::clone(&asker.packages),
            driver: handle.clone(),
            launcher: launcher.clone(),
            trials: Trials::new(launcher.clone(), places),
            state: state_dir.clone(),
            own,
            roster: roster_file,
            roster_turn: tokio::sync::Mutex::default(),
        });
        kept = Some((
            keep_versions(Arc::clone(&workshop), &ready.checked.plan),
            keep_probes(Arc::clone(&workshop), rings, &ready.checked.plan),
        ));
        let hands = Hands {
            launcher: launcher.clone(),
            driver: handle.clone(),
            workshop: Some(workshop),
            runtime: tokio.clone(),
        };
        (hands, Questions::new(asker, handle.clone(), tokio.clone()))
    });
    let mut end = End::watch(&handle);
    let alerting = Alerting::start(&state_dir, &handle, secrets(&ready.checked.plan, &ready.packages));
    // First in the queue, before the driver runs and before anybody is served: a deadline that passed while no host was
    // there, or a command, must not be judged by what the world was before.
    handle.input(Input::Found(perform::found(&situation)));
    handle.input(Input::Boot(request));
    let served = serve::start(&state_dir, arguments.metrics_address, &handle, &metrics, wall_lacks).await;
    failpoint::pass("run.serving");
    let told = report::start(arguments.output, &handle);

    if let Some((versions, probes)) = kept {
        tokio.spawn(versions);
        tokio.spawn(probes);
    }
    tokio.spawn(perform::listen(events, handle.clone(), state_dir.clone()));
    let driving = std::thread::Builder::new().name("driver".to_owned()).spawn(move || driver.run());
    let driving = driving.map_err(Ended::internal)?;
    let (leave, left) = oneshot::channel();
    tokio.spawn(signals.stop(handle.clone(), leave));

    let halted = tokio::select! {
        halted = end.wait(&driving) => Some(halted),
        Ok(()) = left => None,
    };
    told.finish(&handle).await;
    handle.close();
    let driven = tokio::task::spawn_blocking(move || driving.join()).await;
    served.finish().await;
    alerting.finish().await;
    if let Some(witnessing) = witnessing {
        witnessing.finish().await;
    }
    // A launcher that has services left stays; so it should.
    let _ = launcher.shutdown_when_idle().await;
    Trials::sweep(&state_dir);
    match driven {
        Ok(Ok(Ok(()))) => match halted {
            Some(false) => Ok(Exit::Done),
            Some(true) => Ok(Exit::Failed),
            None => Err(Ended::with(Exit::Failed, LEFT)),
        },
        Ok(Ok(Err(error @ DriveError::Lost))) => Err(Ended::with(Exit::Failed, error)),
        Ok(Ok(Err(error))) => Err(Ended::internal(error)),
        _ => Err(Ended::internal("the host's own loop ended; the services go on, `run` takes them over")),
    }
}

/// A host that was told to stop while it looked at plugins and files has done nothing yet: what runs here goes on as it was.
fn not_begun(reason: &str, output: cli::Output) -> Exit {
    warn(
        output,
        &format!("{reason} while the start was prepared: nothing was started, and nothing was stopped"),
    );
    Exit::Done
}

/// What may be in no alert: what environment, grants and components call a secret.
fn secrets(plan: &BootPlan, packages: &Packages) -> BTreeSet<String> {
    let own = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let components = plan.components.iter().flat_map(|component| component.env.clone());
    crate::agent::secrets::known(own.chain(components), packages.grants())
}

/// What is the host's own and no component's, and where a judge finds what he needs.
fn own_files(arguments: &cli::Run, state: &Path) -> std::io::Result<(Vec<(PathBuf, Protected)>, Where)> {
    let absolute = |path: &Path| std::path::absolute(path);
    let config = absolute(&arguments.stack.config)?;
    let plugins = arguments.plugins.plugins.iter().map(|dir| absolute(dir)).collect::<Result<Vec<_>, _>>()?;
    let grants = arguments.plugins.grants.as_deref().map(absolute).transpose()?;
    let mut own = vec![(config.clone(), Protected::Config), (state.to_owned(), Protected::State)];
    let roster = roster::of(&arguments.stack).map(|file| absolute(&file)).transpose()?;
    own.extend(roster.into_iter().map(|file| (file, Protected::Config)));
    own.extend(grants.iter().map(|file| (file.clone(), Protected::Grants)));
    let signers = arguments.plugins.signers.as_deref().map(absolute).transpose()?;
    own.extend(signers.map(|file| (file, Protected::Grants)));
    own.extend(plugins.iter().map(|dir| (dir.clone(), Protected::Host)));
    own.extend(std::env::current_exe().map(|program| (program, Protected::Host)));
    let stack = config.parent().map_or_else(|| PathBuf::from("/"), Path::to_owned);
    let cache = Some(code_cache(state));
    Ok((own, Where { state: state.to_owned(), plugins, grants, cache, stack }))
}

/// What was typed and written holds.
struct Ready {
    packages: Arc<Packages>,
    kept: Arc<KeptValues>,
    checked: Checked,
    brief: Option<Vec<u8>>,
    code: CodeCache,
}

impl Ready {
    async fn check(arguments: &cli::Run, code: CodeCache, porter: &Arc<Porter>) -> Result<Self, Ended> {
        let state = &arguments.state.state;
        let scratch = state.exists().then_some(state.as_path());
        let kept = Arc::new(KeptValues::default());
        let values = Arc::<KeptValues>::clone(&kept);
        let cache = code.dir().map(Path::to_owned);
        let compiler = Compiler::Elsewhere(Arc::<Porter>::clone(porter));
        let runtime = runtime(cache, scratch, Some(PoolOptions::default()), values, compiler)
            .map_err(Ended::internal)?;
        if let Some(fallback) = runtime.pool_fallback() {
            tracing::warn!("{fallback}");
        }
        let dirs = &arguments.plugins.plugins;
        match code.missing(dirs) {
            0 => {}
            missing => report::preparing(arguments.output, missing),
        }
        let packages = Packages::load(arguments.plugins.sources(), &runtime).await;
        show_warnings(packages.warnings(), arguments.output);
        let overrides = Overrides {
            mission: arguments.mission.clone(),
            retries: arguments.stack.retries,
            remote_attempts: arguments.remote_attempts,
            long_task: arguments.long_task,
            tournament: arguments.tournament,
            ..overrides()
        };
        let roster = roster::of(&arguments.stack);
        let checked = read_plan(&arguments.stack.config, roster.as_deref(), &overrides, &packages);
        if let Ok(Checked { plan, roster, .. }) = &checked {
            show_warnings(&plan.warnings, arguments.output);
            show_warnings(roster.as_ref().map_or(&[], |roster| &roster.warnings), arguments.output);
        }
        let brief = arguments.brief.as_deref().map(read_brief).transpose();
        let mut problems = packages.problems().to_vec();
        match (checked, brief) {
            (Ok(checked), Ok(brief)) if problems.is_empty() => {
                Ok(Self { packages: Arc::new(packages), kept, checked, brief, code })
            }
            (checked, brief) => {
                problems.extend(checked.err().into_iter().flatten());
                problems.extend(brief.err());
                Err(Ended { exit: Exit::Usage, message: None, problems })
            }
        }
    }
}

/// Makes the state directory when there is none: everything else lies below it. `typed` is how the operator calls it.
pub(super) fn usable(state: &Path, typed: &Path) -> Result<(), String> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(state);
    let needed = Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK;
    made.and_then(|()| Ok(access(state, needed)?)).map_err(|error| {
        let state = typed.display();
        format!("cannot use the state directory `{state}`: {error}; check its owner and mode, or name another one with `--state DIR`")
    })
}

fn read_brief(file: &Path) -> Result<Vec<u8>, Problem> {
    let problem = |message: String| {
        Problem {
        file: file.display().to_string(),
        place: "file".to_owned(),
        message,
        hint: Some("a mission brief is a JSON object such as `{\"priority_map\": {}, \"current_status\": {}, \"open_issues\": []}`".to_owned()),
    }
    };
    let meta = std::fs::metadata(file).map_err(|error| problem(format!("cannot be read: {error}")))?;
    if !meta.is_file() || meta.len() > MAX_BRIEF {
        return Err(problem(format!("is no file of at most {MAX_BRIEF} bytes")));
    }
    let bytes = std::fs::read(file).map_err(|error| problem(format!("cannot be read: {error}")))?;
    match serde_json::from_slice::<serde_json::Value>(&bytes) {
        Ok(serde_json::Value::Object(_)) => Ok(bytes),
        Ok(_) => Err(problem("is not a JSON object".to_owned())),
        Err(error) => {
            let message = format!("is not JSON: {}", json_cause(&error));
            Err(Problem { place: json_place(&error), ..problem(message) })
        }
    }
}

fn remember(
    dir: &Path,
    arguments: &cli::Run,
    checked: &Checked,
) -> Result<(Ledger, Opened, ViewWriter, State), Ended> {
    let ledger = Ledger::open(dir).map_err(|error| match error {
        LedgerError::Held { .. } | LedgerError::Foreign(_) | LedgerError::Newer { .. } => {
            Ended::with(Exit::Usage, error)
        }
        other => Ended::internal(other),
    })?;
    let facts: Result<Vec<_>, _> = ledger.replay(1).collect();
    let facts = facts.map_err(Ended::internal)?;
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().subsec_nanos();
    let seed = u64::from(nanos) << 32 | u64::from(std::process::id());
    let settings = Settings { seed, failure_limit: arguments.failure_limit, ..Settings::default() };
    let state = State::replay(&checked.plan, settings, facts);
    // Before the views write the state file anew: it is what remembers the ledger.
    let opened = ledger.opened(dir).map_err(Ended::internal)?;
    if let Some(Anchor { seq, .. }) = opened.contradicted {
        tracing::error!(
            "the state file names fact {seq} of a ledger that is not there any more: facts were lost or replaced while no \
             host ran; `razar-host log verify` tells more"
        );
    }
    let views = Views::open(&ledger, dir).map_err(Ended::internal)?;
    let views = ViewWriter::start(views).map_err(Ended::internal)?;
    Ok((ledger, opened, views, state))
}

/// The end of the boot this process runs.
struct End {
    facts: tokio::sync::broadcast::Receiver<razar_core::fact::Recorded>,
    handle: Handle,
}

impl End {
    fn watch(handle: &Handle) -> Self {
        Self { facts: handle.subscribe(), handle: handle.clone() }
    }

    /// Waits for it; true if the boot was halted.
    async fn wait(&mut self, driving: &std::thread::JoinHandle<Result<(), DriveError>>) -> bool {
        let mut halted = false;
        loop {
            match tokio::time::timeout(Duration::from_secs(1), self.facts.recv()).await {
                Ok(Ok(recorded)) => match recorded.fact {
                    Fact::BootHalted { .. } => halted = true,
                    Fact::BootEnded { .. } => return halted,
                    _ => {}
                },
                Ok(Err(_)) | Err(_) => {
                    // Missed some, or nothing happens: the stage says the same.
                    let stage = *self.handle.stage().borrow();
                    halted |= stage == Some(Stage::Halting);
                    let begun = self.facts.is_empty();
                    if driving.is_finished() || (begun && stage == Some(Stage::Ended)) {
                        return halted;
                    }
                }
            }
        }
    }
}

/// Ctrl-C and SIGTERM.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "Ctrl-C",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }

    /// One that has come already.
    async fn waiting(&mut self) -> Option<&'static str> {
        tokio::time::timeout(Duration::ZERO, self.next()).await.ok()
    }

    /// Each stops the stack in order; a second one changes nothing, because the order is the promise. Only while nothing
    /// can be recorded the second one means something: the host leaves, and the services go on.
    async fn stop(mut self, handle: Handle, leave: oneshot::Sender<()>) {
        let mut reason = self.next().await;
        let mut told = false;
        loop {
            match handle.command(Command::Shutdown(reason.to_owned())).await {
                Ok(()) => tracing::info!("{reason}: stopping everything in reverse order"),
                Err(NotDone::Refused(refused)) => tracing::info!("{reason}: {refused}"),
                Err(NotDone::Gone(_)) => return,
                Err(NotDone::Held(held)) => {
                    if !told {
                        tracing::warn!(
                            "{reason}: everything is stopped as soon as that can be recorded ({}); a second {reason} ends the \
                             host at once and leaves the services running",
                            held.why
                        );
                    }
                    told = true;
                    let mut holding = handle.held();
                    tokio::select! {
                        _ = self.next() => {
                            // Nobody waits for it when the host is ending already.
                            let _ = leave.send(());
                            return;
                        }
                        _ = holding.wait_for(Option::is_none) => {}
                    }
                    if !held.kept {
                        continue;
                    }
                }
            }
            told = false;
            reason = self.next().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_directory_that_cannot_be_used_is_named_with_a_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let new = dir.path().join("a/b");
        assert_eq!(usable(&new, &new), Ok(()));
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        for wrong in [file.clone(), file.join("below")] {
            let said = usable(&wrong, &wrong).unwrap_err();
            assert!(said.contains(&format!("state directory `{}`", wrong.display())), "{said}");
            assert!(said.ends_with("name another one with `--state DIR`"), "{said}");
        }
    }
}
