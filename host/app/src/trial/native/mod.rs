//! The component's own test command, in a copy and without any network. What it prints is for people. Where it is Python's
//! `unittest`, a runner of ours takes that one's place: it finds and runs the same cases, and tells the judge through a line of
//! its own how each of them ends. Of any other command only its exit code is known.

mod heard;

use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use razar_core::patch::{Look, Opinion};
use razar_core::time::Millis;

use self::heard::Line;
use super::bubblewrap::RUNNER;
use super::nest::{Begun, Nest, NotStarted, Program, Runner, Running, how};
use super::planted::Planted;
use super::stage::Places;
use super::wire::Tests;

/// What takes the place of `-m unittest`.
const PROGRAM: &str = include_str!("runner.py");

/// How this judge is called.
pub(super) const NAME: &str = "native tests";

/// What came of one run.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) look: Look,
    /// In one line.
    pub(super) summary: String,
    /// The end of what it printed.
    pub(super) output: String,
    pub(super) took: Duration,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
enum End {
    /// By itself, with 0.
    Well,
    /// Otherwise, because.
    Badly(String),
}

/// Runs the tests in a copy. An error is the machine's, or the operator's: a patch names no command.
pub(super) async fn run(
    nest: &Nest<'_>,
    tests: &Tests,
    places: &Places,
    scratch: &Path,
    seed: u64,
) -> Result<Ran, String> {
    let began = Instant::now();
    let unprepared = |error: std::io::Error| format!("the tests cannot be prepared: {error}");
    let program = scratch.join("tests.py");
    let (mut argv, mut ours, mut theirs) = (tests.command.clone(), None, None);
    if let Some(at) = unittest(&argv) {
        write(&program).map_err(unprepared)?;
        let planted = Planted::in_tree(&places.tree, seed).map_err(unprepared)?;
        let (line, other) = Line::open(planted.sentinels()).map_err(unprepared)?;
        argv.splice(at..at + 2, [RUNNER.to_owned(), other.as_raw_fd().to_string()]);
        (ours, theirs) = (Some((planted, line)), Some(other));
    }
    let runner = theirs.as_ref().map(|line| Runner { program: &program, line });
    let mut running = start(nest, &argv, places, runner)?;
    drop(theirs);
    if let Begun::Failed(why) = running.begins().await? {
        return Err(format!("the tests cannot be started: {why}"));
    }
    let limit = Duration::from_millis(tests.timeout_ms);
    let line = ours.as_mut().map(|(_, line)| line);
    let end = match tokio::time::timeout(limit, ended(nest, &mut running, line)).await {
        Ok(end) => end,
        Err(_) => End::Badly(format!("they did not end within {}", Millis(tests.timeout_ms))),
    };
    let output = running.end()?;
    let look = match ours {
        Some((planted, mut line)) => {
            line.listen();
            line.heard().look(&end, planted.sentinels())
        }
        None => by_exit(&end),
    };
    let summary = look.sentinel.clone().unwrap_or_else(|| look.why.clone());
    Ok(Ran { look, summary, output, took: began.elapsed() })
}

fn start(
    nest: &Nest<'_>,
    argv: &[String],
    places: &Places,
    runner: Option<Runner<'_>>,
) -> Result<Running, String> {
    let program = Program { argv, places, output: &places.output, logs: &[], network: false, runner };
    // The operator named them, so a patch is not to blame.
    let failed =
        |(NotStarted::Own(why) | NotStarted::Machine(why))| format!("the tests cannot be started: {why}");
    nest.start(&program).map_err(failed)
}

/// The runner, which whoever is judged can read and nobody can write.
fn write(program: &Path) -> std::io::Result<()> {
    std::fs::write(program, PROGRAM)?;
    std::fs::set_permissions(program, std::fs::Permissions::from_mode(0o644))
}

async fn ended(nest: &Nest<'_>, running: &mut Running, mut line: Option<&mut Line>) -> End {
    loop {
        let status = running.ended();
        if let Some(line) = &mut line {
            line.listen();
        }
        if let Some(status) = status {
            return exited(status);
        }
        if let Some(why) = nest.beyond() {
            return End::Badly(why);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn exited(status: ExitStatus) -> End {
    match status.code() {
        Some(0) => End::Well,
        _ => End::Badly(format!("they end with {}", how(status))),
    }
}

/// A command of which nothing else is known.
fn by_exit(end: &End) -> Look {
    let (opinion, why) = match end {
        End::Well => (Opinion::Pass, "they end with exit code 0".to_owned()),
        End::Badly(why) => (Opinion::Fail, why.clone()),
    };
    Look { opinion, cases: Default::default(), sentinel: None, why }
}

/// Options of Python's that take no value of their own.
const PLAIN: &[&str] =
    &["-B", "-b", "-bb", "-d", "-E", "-I", "-O", "-OO", "-P", "-q", "-s", "-S", "-u", "-v"];

/// Where `-m unittest` stands in a command, if an interpreter is asked for it and for nothing before.
fn unittest(command: &[String]) -> Option<usize> {
    let program = Path::new(command.first()?).file_name()?.to_str()?;
    let version = program.strip_prefix("python")?;
    if !version.chars().all(|letter| letter.is_ascii_digit() || letter == '.') {
        return None;
    }
    let mut at = 1;
    loop {
        match command.get(at)?.as_str() {
            "-m" => return (command.get(at + 1)? == "unittest").then_some(at),
            "-W" | "-X" => at += 2,
            word if PLAIN.contains(&word) || word.starts_with("-W") || word.starts_with("-X") => at += 1,
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_surely_unittest_is_run_by_ours() {
        for (command, at) in [
            ("python3 -m unittest", Some(1)),
            ("/usr/bin/python3.11 -B -X dev -Werror -m unittest discover -s tests", Some(5)),
            ("python -m unittest -q tests.test_shop", Some(1)),
            ("python3 -m pytest", None),
            ("python3 -m", None),
            ("python3 tests.py -m unittest", None),
            ("python3 -c pass -m unittest", None),
            ("pythonish -m unittest", None),
            ("env python3 -m unittest", None),
            ("sh run.sh", None),
        ] {
            let words: Vec<String> = command.split(' ').map(str::to_owned).collect();
            assert_eq!(unittest(&words), at, "{command}");
        }
    }

    #[test]
    fn of_any_other_command_the_exit_code_is_all_there_is() {
        assert_eq!(by_exit(&End::Well).opinion, Opinion::Pass);
        let late = by_exit(&End::Badly("they did not end within 2 s".to_owned()));
        assert_eq!((late.opinion, late.why.as_str()), (Opinion::Fail, "they did not end within 2 s"));
    }
}
