//! The binary: parses what was typed, sets logging up, runs one command, turns its end into an exit code. Hidden
//! commands come first, because the launcher must begin before any thread does.

mod ask;
mod cli;
mod command;
mod conduct;
mod drive;
mod environment;
mod evidence;
mod guest_log;
mod launcher;
mod listener;
mod packages;
mod perform;
mod preflight;
mod report;
mod serve;
mod values;
mod witness;

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};
use cli::{Cli, Command, LogFormat, Logging};
use command::Exit;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.first().is_some_and(|word| word == launcher::exec::SUBCOMMAND) {
        let code = launcher::exec::main(words.get(1..).unwrap_or_default());
        return ExitCode::from(u8::try_from(code).unwrap_or(126));
    }
    let cli = Cli::parse();
    let exit = match cli.command {
        Command::Launcher { state } => match launcher::server::run(&state) {
            Ok(()) => Exit::Done,
            Err(error) => complain(&error.to_string(), Exit::Internal),
        },
        Command::CompilePlugin => {
            let code =
                razar_runtime::compile::compile_main(std::io::stdin().lock(), std::io::stdout().lock());
            return ExitCode::from(code);
        }
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "razar-host", &mut script);
            // A closed pipe (`| head`) is no failure.
            let _ = std::io::stdout().write_all(&script);
            Exit::Done
        }
        other => match (prepare(&cli.logging, &other), threads(&other)) {
            (Ok(()), Ok(runtime)) => {
                let exit = runtime.block_on(command::run(other));
                // A guest stuck in a system call must not keep the process.
                runtime.shutdown_timeout(std::time::Duration::from_secs(1));
                exit
            }
            (Err(error), _) => complain(&error, Exit::Usage),
            (_, Err(error)) => complain(&error, Exit::Internal),
        },
    };
    ExitCode::from(exit as u8)
}

fn complain(message: &str, exit: Exit) -> Exit {
    // If nobody listens, the exit code still says it.
    let _ = writeln!(std::io::stderr(), "error: {message}");
    exit
}

/// One probe asked once is over before more threads have begun.
fn threads(command: &Command) -> Result<tokio::runtime::Runtime, String> {
    let mut builder = match command {
        Command::Plugin(cli::Plugin::Run(_)) => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    builder.enable_all().build().map_err(|error| format!("no threads can be started: {error}"))
}

fn prepare(logging: &Logging, command: &Command) -> Result<(), String> {
    let mut wanted = logging.log.clone();
    if matches!(command, Command::Conform(_)) {
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

    #[test]
    fn the_bad_part_of_a_filter_is_quoted() {
        assert!(filter("info,razar_host=debug").is_ok());
        for (text, part) in [("info,what=ever=x", "`what=ever=x` in `--log`"), ("a=loud", "`a=loud` in")] {
            let said = filter(text).unwrap_err();
            assert!(said.contains(part) && said.contains("for instance"), "{said}");
        }
    }
}
