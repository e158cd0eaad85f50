//! One file per command. Each says how it ended; nothing here prints on behalf of another.

mod backup;
mod check;
mod conform;
mod control;
mod diagnose;
mod doctor;
mod first_start;
mod ground;
mod hints;
mod import;
mod incident;
mod leftovers;
mod log;
mod mend;
mod patch;
mod plugin;
mod restore;
mod roster;
mod run;
mod set_roster;
mod trial;
mod turn;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use razar_core::problem::Problem;
use razar_ledger::LedgerError;
use razar_runtime::broker::http::{HttpShared, Tls};
use razar_runtime::broker::keyvalue::{MemoryValues, ValueStore};
use razar_runtime::broker::resolve::SystemResolver;
use razar_runtime::broker::secret::Secrets;
use razar_runtime::compile::{CompileCommand, Compiler};
use razar_runtime::engine::PoolOptions;
use razar_runtime::{Runtime, RuntimeOptions};
use serde_json::json;

use crate::cli::{Command, Output, Wall};

pub(crate) use ground::prepare;
pub(crate) use run::run as run_host;

/// How a command ended; the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// It did what was asked.
    Done = 0,
    /// It ran and failed, or was refused.
    Failed = 1,
    /// What was typed or configured is wrong, or names something that is not there.
    Usage = 2,
    /// The host itself failed.
    Internal = 3,
}

impl Exit {
    /// What a ledger that cannot be read means: a directory that was named wrongly, or one in which something is wrong.
    fn of(error: &LedgerError) -> Self {
        if error.is_misnamed() { Self::Usage } else { Self::Failed }
    }
}

/// Runs one command to its end; `run` has a way of its own, because it begins before there are threads.
pub(crate) async fn run(command: Command) -> Exit {
    match command {
        Command::Check(arguments) => check::check(arguments).await,
        Command::Conform(arguments) => conform::conform(arguments).await,
        Command::Status(arguments) => control::status(arguments).await,
        Command::Stop(arguments) => control::stop(arguments).await,
        Command::Start(arguments) => control::start(arguments).await,
        Command::Restart(arguments) => control::restart(arguments).await,
        Command::Quarantine(arguments) => control::quarantine(arguments).await,
        Command::Diagnose(arguments) => blocking(move || diagnose::diagnose(&arguments)).await,
        Command::Doctor(arguments) => blocking(move || doctor::doctor(&arguments)).await,
        Command::Timeline(arguments) => control::timeline(arguments).await,
        Command::Handover(arguments) => control::handover(arguments).await,
        Command::Roster(arguments) => roster::roster(arguments).await,
        Command::Escalate(arguments) => control::escalate(arguments).await,
        Command::Incident(arguments) => blocking(move || incident::incident(&arguments)).await,
        Command::Patch(arguments) => patch::patch(arguments).await,
        Command::Plugin(arguments) => plugin::plugin(arguments).await,
        Command::Log(arguments) => log::log(arguments).await,
        Command::Trial { request } => trial::trial(&request).await,
        Command::HoldTrial { dir } => blocking(move || trial::hold(&dir)).await,
        Command::Mend { state, manifest, directory, back } => {
            blocking(move || match turn::wait(&state) {
                Ok(_turn) => mend::mend(&state, &manifest, &directory, back),
                Err(error) => {
                    complain(Output::Human, &error);
                    Exit::Internal
                }
            })
            .await
        }
        Command::SetRoster { file, save, activate, restore } => {
            blocking(move || set_roster::set_roster(&file, save, activate.as_deref(), restore)).await
        }
        Command::Import(arguments) => import::import(arguments).await,
        Command::Backup(arguments) => backup::backup(arguments).await,
        Command::Restore(arguments) => restore::restore(arguments).await,
        Command::Run(_)
        | Command::Completions { .. }
        | Command::Launcher { .. }
        | Command::Porter { .. }
        | Command::CompilePlugin { .. } => Exit::Usage,
    }
}

/// One line for whoever asked. A closed pipe is no failure.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// One line that is no part of the answer. A closed pipe is no failure.
fn aside(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// One line about what went wrong: for programs an object with `level` and `message`, like every problem.
fn complain(output: Output, message: &str) {
    match output {
        Output::Json => say(&json!({ "level": "error", "message": message }).to_string()),
        // The exit code says it too.
        Output::Human | Output::Plain => aside(&format!("error: {message}")),
    }
}

/// One line about what holds nothing up and must be known.
fn warn(output: Output, message: &str) {
    match output {
        Output::Json => say(&json!({ "level": "warning", "message": message }).to_string()),
        Output::Human | Output::Plain => aside(&format!("warning: {message}")),
    }
}

/// Runs what waits for the disk on a thread that may; a command that panicked has failed inside.
async fn blocking(run: impl FnOnce() -> Exit + Send + 'static) -> Exit {
    tokio::task::spawn_blocking(run).await.unwrap_or(Exit::Internal)
}

/// Every problem, in the shape that was asked for.
fn show_problems(problems: &[Problem], output: Output) {
    problems.iter().for_each(|problem| show_problem("error", problem, output));
}

/// What does not hold anything up, in the shape that was asked for.
fn show_warnings(warnings: &[Problem], output: Output) {
    warnings.iter().for_each(|warning| show_problem("warning", warning, output));
}

fn show_problem(level: &str, problem: &Problem, output: Output) {
    match output {
        Output::Json => say(&json!({
            "level": level, "file": problem.file, "place": problem.place, "message": problem.message,
            "hint": problem.hint,
        })
        .to_string()),
        Output::Human | Output::Plain => aside(&format!("{level}: {problem}")),
    }
}

/// Where compiled plugins are kept below a state directory.
fn code_cache(state: &Path) -> PathBuf {
    state.join("cache/plugins")
}

/// The engines of a command that is not the state directory's host: what plugins keep is forgotten at its end.
fn one_shot(cache: Option<PathBuf>) -> Result<Arc<Runtime>, String> {
    runtime(cache, None, None, Arc::new(MemoryValues::default()), own_compiler()?)
}

/// The same for a command without a state directory. A home that cannot be written costs time, nothing else.
fn one_shot_kept() -> Result<Arc<Runtime>, String> {
    one_shot(own_cache()).or_else(|_| one_shot(None))
}

/// Where one-shots keep compiled plugins when no state directory is named: never where somebody happens to stand.
fn own_cache() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
    Some(base.join("razar-host/plugins"))
}

/// This program, as whoever is not behind a wall starts it.
fn own_compiler() -> Result<Compiler, String> {
    let program = std::env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
    // Its environment is empty, so it is told.
    let wall = std::env::var_os("RAZAR_WALL").filter(|wall| wall == Wall::Off.as_str());
    let wall = wall.map_or(Wall::On, |_| Wall::Off);
    let args = ["compile-plugin", "--wall", wall.as_str()].map(Into::into).into();
    Ok(CompileCommand { program, args }.into())
}

/// The engines; compiled plugins are kept in `cache`, copies of logs lie below `scratch`, `values` keeps what plugins
/// keep, and whoever `compiler` names compiles.
fn runtime(
    cache: Option<PathBuf>,
    scratch: Option<&Path>,
    pool: Option<PoolOptions>,
    values: Arc<dyn ValueStore>,
    compiler: Compiler,
) -> Result<Arc<Runtime>, String> {
    let egress = HttpShared {
        resolver: Arc::new(SystemResolver),
        tls: Tls::public().map_err(|error| error.to_string())?,
        secrets: Secrets::new(|name| std::env::var(name).ok()),
    };
    let options = RuntimeOptions {
        pool,
        cache,
        compiler,
        scratch: scratch.map_or_else(std::env::temp_dir, Path::to_owned),
        egress,
        values,
    };
    Runtime::new(options).map(Arc::new).map_err(|error| error.to_string())
}
