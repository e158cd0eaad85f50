//! `cargo xtask repair-bench`: gives every patch of the corpus in `tests/repair`, the right ones and the wrong ones, to the real
//! host, which holds a trial of each, and counts whom it believes. It judges nothing itself: a verdict is what the host's JSON
//! says. It fails if a bar is missed.

mod corpus;
mod table;
mod trial;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use self::trial::{Host, Trial};
use crate::{plugins, run, say, setup};

/// Right patches that must be taken, in percent.
const TAKEN: f64 = 95.0;
/// Wrong patches that all of them must be refused of, where the whole corpus is asked about.
const WRONG: usize = 400;

/// Nobody expects it.
const PANICKED: &str = "a worker of the benchmark panicked";

/// What `cargo xtask repair-bench` may be told.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// What to ask about: `orders`, `orders/empty-basket`, or `orders/empty-basket/fix`; all of it without any
    #[arg(value_name = "SERVICE[/BUG[/PATCH]]")]
    names: Vec<String>,
    /// Bugs at a time
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// The host that is asked; without it, one is built in release
    #[arg(long, value_name = "FILE")]
    host: Option<PathBuf>,
    /// Its plugins; without it, they are built
    #[arg(long, value_name = "DIR")]
    plugins: Option<PathBuf>,
}

/// Asks, tells, and says whether all bars hold.
pub(crate) fn bench(root: &Path, arguments: &Arguments) -> Result<()> {
    let bugs = corpus::bugs(&root.join("tests/repair"), &arguments.names)?;
    let host = host(root, arguments)?;
    let began = Instant::now();
    let (waiting, trials) = (Mutex::new(VecDeque::from(bugs)), Mutex::new(Vec::new()));
    let next = || waiting.lock().ok().and_then(|mut waiting| waiting.pop_front());
    let worker = || -> Result<()> {
        while let Some(bug) = next() {
            let found = host.ask(&bug).with_context(|| bug.name())?;
            say(table::line(&bug, &found));
            found.iter().filter(|trial| trial.is_miss()).for_each(|miss| say(table::miss(miss, true)));
            if let Ok(mut trials) = trials.lock() {
                trials.extend(found);
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..arguments.jobs.max(1)).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().unwrap_or_else(|_| bail!(PANICKED)))
    })?;
    let Ok(trials) = trials.into_inner() else { bail!(PANICKED) };
    table::rows(&trials).iter().for_each(say);
    say(format_args!("{} trials in {} s", trials.len(), began.elapsed().as_secs()));
    bars(&trials, arguments.names.is_empty())
}

/// Fails where too few right patches are taken, or any wrong one.
fn bars(trials: &[Trial], all: bool) -> Result<()> {
    trials.iter().filter(|trial| trial.is_miss()).for_each(|miss| say(table::miss(miss, false)));
    let (right, wrong): (Vec<&Trial>, Vec<&Trial>) = trials.iter().partition(|trial| trial.is_right);
    let taken = |trials: &[&Trial]| trials.iter().filter(|trial| trial.is_taken()).count();
    let (good, bad) = (taken(&right), taken(&wrong));
    let percent = |part: usize, whole: usize| 100.0 * part as f64 / whole.max(1) as f64;
    say(format_args!("{good} of {} right patches taken, {bad} of {} wrong ones", right.len(), wrong.len()));
    ensure!(bad == 0, "{bad} wrong patches were taken; none may be");
    ensure!(
        right.is_empty() || percent(good, right.len()) >= TAKEN,
        "{good} of {} right patches were taken; {TAKEN} % must be",
        right.len()
    );
    ensure!(!all || wrong.len() >= WRONG, "the corpus has {} wrong patches; {WRONG} are needed", wrong.len());
    Ok(())
}

/// The host and its plugins, built if they are not named.
fn host(root: &Path, arguments: &Arguments) -> Result<Host> {
    let plugins = match &arguments.plugins {
        Some(dir) => dir.clone(),
        None => {
            setup::setup(root)?;
            plugins::build(root, &plugins::Arguments::default())?;
            root.join("target/plugins")
        }
    };
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let program = match &arguments.host {
        Some(file) => std::path::absolute(file)?,
        None => {
            let mut build = std::process::Command::new("cargo");
            build.args(["build", "--release", "--package", "razar-host"]).current_dir(root);
            run::show(&mut build)?;
            target.join("release/razar-host")
        }
    };
    Host::new(root, program, std::path::absolute(plugins)?, &target.join("repair-bench"))
}
