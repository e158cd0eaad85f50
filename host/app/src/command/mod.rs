//! One file per command. Each says how it ended; nothing here prints on behalf of another.

mod check;
mod control;
mod leftovers;
mod plugin;
mod run;

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use razar_core::problem::Problem;
use razar_runtime::broker::http::{HttpShared, Tls};
use razar_runtime::broker::resolve::SystemResolver;
use razar_runtime::broker::secret::Secrets;
use razar_runtime::compile::CompileCommand;
use razar_runtime::engine::PoolOptions;
use razar_runtime::{Runtime, RuntimeOptions};

use crate::cli::{Command, Output};

/// How a command ended; the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// It did what was asked.
    Done = 0,
    /// It ran and failed, or was refused.
    Failed = 1,
    /// What was typed or configured is wrong.
    Usage = 2,
    /// The host itself failed.
    Internal = 3,
}

/// Runs one command to its end.
pub(crate) async fn run(command: Command) -> Exit {
    match command {
        Command::Run(arguments) => run::run(arguments).await,
        Command::Check(arguments) => check::check(arguments).await,
        Command::Status(arguments) => control::status(arguments).await,
        Command::Stop(arguments) => control::stop(arguments).await,
        Command::Start(arguments) => control::start(arguments).await,
        Command::Restart(arguments) => control::restart(arguments).await,
        Command::Quarantine(arguments) => control::quarantine(arguments).await,
        Command::Timeline(arguments) => control::timeline(arguments).await,
        Command::Plugin(arguments) => plugin::plugin(arguments).await,
        Command::Completions { .. } | Command::Launcher { .. } | Command::CompilePlugin => Exit::Usage,
    }
}

/// One line for whoever asked. A closed pipe is no failure.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// One line about what went wrong.
fn complain(line: &str) {
    let _ = writeln!(std::io::stderr(), "error: {line}");
}

/// Every problem, in the shape that was asked for.
fn show_problems(problems: &[Problem], output: Output) {
    for problem in problems {
        match output {
            Output::Json => say(&serde_json::to_string(problem).unwrap_or_default()),
            Output::Human | Output::Plain => complain(&problem.to_string()),
        }
    }
}

/// The engines; compiled plugins are kept below the state directory.
fn runtime(state: Option<&Path>, pool: Option<PoolOptions>) -> Result<Arc<Runtime>, String> {
    let program = std::env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
    let egress = HttpShared {
        resolver: Arc::new(SystemResolver),
        tls: Tls::public().map_err(|error| error.to_string())?,
        secrets: Secrets::new(|name| std::env::var(name).ok()),
    };
    let options = RuntimeOptions {
        pool,
        cache: state.map(|state| state.join("cache/plugins")),
        compiler: CompileCommand { program, args: vec!["compile-plugin".into()] },
        scratch: state.map_or_else(std::env::temp_dir, Path::to_owned),
        egress,
    };
    Runtime::new(options).map(Arc::new).map_err(|error| error.to_string())
}
