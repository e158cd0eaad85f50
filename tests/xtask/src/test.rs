//! `cargo xtask test`: everything that must hold before a change is accepted, from the cheapest to the dearest. It stops
//! at the first failure with the line that repeats it. It never changes a source, and every step is a command that a
//! person could type.

use std::ffi::OsString;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::{say, workspace_root};

/// One command, as a person would type it in the repository.
struct Step {
    heading: &'static str,
    variable: Option<(&'static str, &'static str)>,
    arguments: &'static [&'static str],
}

const fn step(heading: &'static str, arguments: &'static [&'static str]) -> Step {
    Step { heading, variable: None, arguments }
}

/// In this order: the plugins and the host come before the tests that start them.
const STEPS: &[Step] = &[
    step("toolchain", &["xtask", "setup"]),
    step("format", &["fmt", "--all", "--check"]),
    step("plugins", &["xtask", "plugins"]),
    step("host", &["build", "--package", "razar-host"]),
    step("lints", &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]),
    Step {
        heading: "documentation",
        variable: Some(("RUSTDOCFLAGS", "-Dwarnings")),
        arguments: &["doc", "--workspace", "--no-deps"],
    },
    step("dependencies", &["xtask", "dependencies"]),
    step("tests", &["test", "--workspace"]),
];

/// Runs all steps.
pub(crate) fn run() -> Result<()> {
    let begun = Instant::now();
    for step in STEPS {
        perform(step)?;
    }
    say(format_args!("all steps passed in {}", in_words(begun.elapsed())));
    Ok(())
}

fn perform(step: &Step) -> Result<()> {
    let line = line(step);
    say(format_args!("{}: {line}", step.heading));
    let begun = Instant::now();
    let status = command(step)?.status().with_context(|| format!("cannot start `{line}`"))?;
    let took = in_words(begun.elapsed());
    if !status.success() {
        bail!("{} failed after {took}, {status}\n  to repeat it: {line}", step.heading);
    }
    say(format_args!("{}: passed in {took}", step.heading));
    Ok(())
}

/// This very program for its own commands: building it while it runs would be one thing more to go wrong.
fn command(step: &Step) -> Result<Command> {
    let mut command = match step.arguments {
        ["xtask", rest @ ..] => {
            let mut own = Command::new(std::env::current_exe().context("cannot find this program")?);
            own.args(rest);
            own
        }
        arguments => {
            let mut command = Command::new(cargo());
            command.args(arguments);
            command
        }
    };
    command.current_dir(workspace_root()).envs(step.variable);
    if std::env::var_os("CI").is_some_and(|value| value == "true") {
        // A build machine builds once: incremental artifacts would only fill its disk.
        command.env("CARGO_INCREMENTAL", "0");
    }
    Ok(command)
}

fn line(step: &Step) -> String {
    let variable = step.variable.map(|(name, value)| format!("{name}={value} ")).unwrap_or_default();
    format!("{variable}cargo {}", step.arguments.join(" "))
}

/// The cargo that runs this program, so that one toolchain does everything.
pub(crate) fn cargo() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

fn in_words(took: Duration) -> String {
    match took.as_secs() {
        seconds if seconds < 100 => format!("{:.1} s", took.as_secs_f64()),
        seconds => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_a_line_that_can_be_typed() {
        let lines: Vec<_> = STEPS.iter().map(line).collect();
        assert!(
            lines.contains(&"RUSTDOCFLAGS=-Dwarnings cargo doc --workspace --no-deps".to_owned()),
            "{lines:?}"
        );
        assert!(lines.contains(&"cargo xtask plugins".to_owned()), "{lines:?}");
    }

    #[test]
    fn the_first_failure_says_how_to_repeat_it() {
        let error = perform(&step("nothing", &["no-such-subcommand"])).unwrap_err().to_string();
        assert!(error.starts_with("nothing failed after"), "{error}");
        assert!(error.ends_with("to repeat it: cargo no-such-subcommand"), "{error}");
    }
    #[test]
    fn durations_are_read_by_people() {
        assert_eq!(in_words(Duration::from_millis(1_260)), "1.3 s");
        assert_eq!(in_words(Duration::from_secs(125)), "2 min 5 s");
    }
}
