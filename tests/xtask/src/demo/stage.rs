//! Where the demo plays: a copy of `examples/demo` below `target`, which patches may change, a state directory, and the host.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::{run, say};

/// Longest wait for anything: the stack needs seconds, a busy machine a multiple.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);

/// The stack, from the top of the repository; what is deployed is copied from here to there.
pub(super) const SOURCE: &str = "examples/demo";
/// The stack that runs.
pub(super) const STACK: &str = "target/demo/stack";
/// Its boot configuration.
pub(super) const CONFIG: &str = "target/demo/stack/boot_config.json";
/// What its plugins may do.
pub(super) const GRANTS: &str = "target/demo/stack/grants.toml";
/// What the host remembers.
const STATE: &str = "target/demo/state";

/// See the module.
pub(super) struct Stage {
    pub(super) host: PathBuf,
    pub(super) root: PathBuf,
    pub(super) state: PathBuf,
}

impl Stage {
    /// A clean start: what an interrupted demo left running is stopped first. Compiled plugins are kept.
    pub(super) fn prepare(root: &Path) -> Result<Self> {
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
        let host = target.join("debug/razar-host");
        let stage = Self { host, root: root.to_owned(), state: root.join(STATE) };
        if stage.state.exists() {
            // Nothing to stop is no failure.
            let _ = stage.command(&["stop"]).output();
            // A host that was stopped writes its last lines.
            let begun = Instant::now();
            while let Err(problem) = clear(&stage.state, "cache") {
                ensure!(begun.elapsed() < PATIENCE, "cannot clear target/demo/state: {problem:#}");
                std::thread::sleep(Duration::from_millis(100));
            }
        }
        let stack = root.join(STACK);
        if stack.exists() {
            clear(&stack, "").context("cannot clear target/demo/stack")?;
        }
        copy(&root.join(SOURCE), &stack).context("cannot copy examples/demo")?;
        Ok(stage)
    }

    /// A command line of the host about this state directory.
    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.host);
        command.args(words).args(["--state", STATE]).current_dir(&self.root);
        command
    }

    /// `run`, in the background.
    pub(super) fn start(&self) -> Result<Child> {
        let words = [
            "run",
            "--plugins",
            "target/plugins",
            "--grants",
            GRANTS,
            "--config",
            CONFIG,
            "--mission",
            "demo",
            "--brief",
            "target/demo/stack/brief.json",
        ];
        announce(&words);
        self.command(&words).spawn().context("cannot start the host")
    }

    /// A command of the host, shown with what it prints.
    pub(super) fn tell(&self, words: &[&str]) -> Result<()> {
        announce(words);
        run::show(&mut self.command(words))
    }

    /// Another program, shown with what it prints.
    pub(super) fn show(&self, words: &[&str]) -> Result<()> {
        say(words.join(" "));
        let (program, arguments) = words.split_first().context("no program")?;
        run::show(Command::new(program).args(arguments).current_dir(&self.root))
    }

    /// What a command of the host tells programs, one value a line, however it ends.
    pub(super) fn ask(&self, words: &[&str]) -> Result<Vec<Value>> {
        let printed =
            self.command(words).args(["--output", "json"]).output().context("cannot start the host")?;
        let text = String::from_utf8_lossy(&printed.stdout).into_owned();
        let line = |line: &str| serde_json::from_str(line).with_context(|| format!("no JSON: {line}"));
        text.lines().map(line).collect()
    }

    fn status(&self) -> Result<Value> {
        self.ask(&["status"])?.pop().context("`status` said nothing")
    }

    /// Waits until the status says so.
    pub(super) fn wait(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Result<()> {
        until(what, || self.status(), holds).map(drop)
    }

    /// Waits until it says so of one component.
    pub(super) fn wait_for(&self, name: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Result<()> {
        self.wait(&format!("`{name}` {what}"), |status| component(status, name).is_some_and(&holds))
    }

    /// Waits until its newest incident is so, and returns it.
    pub(super) fn wait_for_incident(
        &self,
        name: &str,
        what: &str,
        holds: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        let newest = || {
            let incident = self.ask(&["incident", "show", name])?.pop();
            incident.filter(|said| said.get("incident").is_some()).context("there is no incident")
        };
        until(&format!("the incident of `{name}` {what}"), newest, holds)
    }

    /// Names and processes of what runs.
    pub(super) fn running(&self) -> Result<Vec<(String, u64)>> {
        let status = self.status()?;
        let components = status.get("components").and_then(Value::as_array).context("no components")?;
        let running = components.iter().filter_map(|component| {
            Some((component.get("component")?.as_str()?.to_owned(), component.get("pid")?.as_u64()?))
        });
        Ok(running.collect())
    }
}

fn until(what: &str, look: impl Fn() -> Result<Value>, holds: impl Fn(&Value) -> bool) -> Result<Value> {
    let begun = Instant::now();
    loop {
        match look() {
            Ok(seen) if holds(&seen) => return Ok(seen),
            seen if begun.elapsed() > PATIENCE => {
                bail!("waited {} s for {what}: {seen:?}", PATIENCE.as_secs())
            }
            _ => std::thread::sleep(Duration::from_millis(100)),
        }
    }
}

fn announce(words: &[&str]) {
    let quoted = |word: &&str| if word.contains(' ') { format!("'{word}'") } else { (*word).to_owned() };
    let words: Vec<String> = words.iter().map(quoted).collect();
    say(format_args!("razar-host {} --state {STATE}", words.join(" ")));
}

fn component<'a>(status: &'a Value, name: &str) -> Option<&'a Value> {
    let components = status.get("components").and_then(Value::as_array)?;
    components.iter().find(|component| component.get("component").is_some_and(|id| id == name))
}

/// Whether a component or an incident is in this state.
pub(super) fn is_in(what: &Value, state: &str) -> bool {
    what.get("state").is_some_and(|found| found == state)
}

/// Whether a process lives.
pub(super) fn alive(pid: u64) -> bool {
    Path::new("/proc").join(pid.to_string()).exists()
}

/// Removes what is in a directory, but for one entry.
fn clear(dir: &Path, but: &str) -> Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name() == but {
            continue;
        }
        match entry.file_type()?.is_dir() {
            true => fs::remove_dir_all(entry.path())?,
            false => fs::remove_file(entry.path())?,
        }
    }
    Ok(())
}

/// Copies a directory, without what services have left in it.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == "run" || name == "__pycache__" {
            continue;
        }
        match entry.file_type()?.is_dir() {
            true => copy(&entry.path(), &to.join(name))?,
            false => drop(fs::copy(entry.path(), to.join(name))?),
        }
    }
    Ok(())
}
