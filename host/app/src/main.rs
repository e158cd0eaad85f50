//! The binary: parses what was typed, sets logging up, runs one command, turns its end into an exit code. Hidden
//! commands come first, because the launcher must begin before any thread does.

mod agent;
mod alert;
mod ask;
mod cli;
mod command;
mod conduct;
mod doctor;
mod drive;
mod environment;
mod evidence;
mod guest_log;
mod launcher;
mod listener;
mod mend;
mod packages;
mod perform;
mod porter;
mod preflight;
mod record;
mod repair;
mod report;
mod roster;
mod serve;
mod sources;
mod trial;
mod values;
mod wall;
mod witness;

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};
use cli::{Cli, Command, LogFormat, Logging};
use command::Exit;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [name, arguments @ ..] = words.as_slice()
        && let Some(code) = launcher::exec::main(name, arguments)
    {
        return ExitCode::from(u8::try_from(code).unwrap_or(126));
    }
    let cli = Cli::parse();
    let exit = match cli.command {
        Command::Launcher { state } => match launcher::server::run(&state) {
            Ok(()) => Exit::Done,
            Err(error) => complain(&error.to_string(), Exit::Internal),
        },
        Command::Porter { state, made, wall } => match porter::server::run(&state, &made, wall) {
            Ok(()) => Exit::Done,
            Err(error) => complain(&error.to_string(), Exit::Internal),
        },
        Command::Run(arguments) => run_walled(arguments, &cli.logging),
        Command::CompilePlugin { wall } => {
            let confine = || {
                if wall == cli::Wall::On {
                    // What is missing, the host has said; there is nobody to tell here.
                    drop(wall::raise(&wall::Ground::default()));
                }
            };
            let (stdin, stdout) = (std::io::stdin().lock(), std::io::stdout().lock());
            return ExitCode::from(razar_runtime::compile::compile_confined(stdin, stdout, confine));
        }
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "razar-host", &mut script);
            // A closed pipe (`| head`) is no failure.
            let _ = std::io::stdout().write_all(&script);
            Exit::Done
        }
        other => match prepare(&cli.logging, matches!(other, Command::Conform(_))) {
            Ok(()) => with_threads(threads(&other), command::run(other)),
            Err(error) => complain(&error, Exit::Usage),
        },
    };
    ExitCode::from(exit as u8)
}

/// The host: first what must be done outside of the wall, then the wall, and only then threads.
fn run_walled(arguments: cli::Run, logging: &Logging) -> Exit {
    if let Err(error) = prepare(logging, false) {
        return complain(&error, Exit::Usage);
    }
    match command::prepare(&arguments) {
        Ok((behind, porter)) => {
            let threads = tokio::runtime::Builder::new_multi_thread();
            let exit = with_threads(threads, command::run_host(arguments, behind));
            porter.wait();
            exit
        }
        Err(exit) => exit,
    }
}

fn with_threads(mut threads: tokio::runtime::Builder, command: impl Future<Output = Exit>) -> Exit {
    match threads.enable_all().build() {
        Ok(runtime) => {
            let exit = runtime.block_on(command);
            // A guest stuck in a system call must not keep the process.
            runtime.shutdown_timeout(std::time::Duration::from_secs(1));
            exit
        }
        Err(error) => complain(&format!("no threads can be started: {error}"), Exit::Internal),
    }
}

fn complain(message: &str, exit: Exit) -> Exit {
    // If nobody listens, the exit code still says it.
    let _ = writeln!(std::io::stderr(), "error: {message}");
    exit
}

/// One probe asked once is over before more threads have begun.
fn threads(command: &Command) -> tokio::runtime::Builder {
    match command {
        // What a judge starts ends with the thread that started it.
        Command::Plugin(cli::Plugin::Run(_)) | Command::Trial { .. } => {
            tokio::runtime::Builder::new_current_thread()
        }
        _ => tokio::runtime::Builder::new_multi_thread(),
    }
}

fn prepare(logging: &Logging, hostile: bool) -> Result<(), String> {
    let mut wanted = logging.log.clone();
    if hostile {
        // Guests misbehave there because they are told to; what came of it is the command's answer.
        wanted.push_str(",razar_runtime::incident=off");
    }
    let filter = filter(&wanted)?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    match logging.log_format {
        LogFormat::Human => lines.with_target(false).init(),
        LogFormat::Json => lines.json().init(),
    }
    Ok(())
}

/// A log filter; what is wrong with it is one of the parts between its commas.
fn filter(text: &str) -> Result<tracing_subscriber::EnvFilter, String> {
    tracing_subscriber::EnvFilter::try_new(text).map_err(|error| {
        let wrong = |part: &&str| tracing_subscriber::EnvFilter::try_new(part).is_err();
        let part = report::escape::line(text.split(',').find(wrong).unwrap_or(text));
        format!(
            "`{part}` in `--log` (or `RAZAR_LOG`) is no filter: {error}; write for instance `info` or \
             `razar_host=debug,warn`"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two arguments of one name are found when a command is typed, and here.
    #[test]
    fn every_command_holds_together() {
        Cli::command().debug_assert();
    }

    /// What describes a command's arguments must not take the place of what the command does.
    #[test]
    fn the_help_of_every_command_begins_with_what_it_does() {
        let listed = Cli::command();
        let mut built = Cli::command();
        built.build();
        for command in listed.get_subcommands() {
            let name = command.get_name();
            let about = |command: &clap::Command| command.get_about().map(ToString::to_string);
            let own = built.find_subcommand(name).and_then(about);
            assert!(own.is_some() && own == about(command), "{name}: {own:?}");
        }
    }

    #[test]
    fn the_bad_part_of_a_filter_is_quoted() {
        assert!(filter("info,razar_host=debug").is_ok());
        for (text, part) in [("info,what=ever=x", "`what=ever=x` in `--log`"), ("a=loud", "`a=loud` in")] {
            let said = filter(text).unwrap_err();
            assert!(said.contains(part) && said.contains("for instance"), "{said}");
        }
    }
}
