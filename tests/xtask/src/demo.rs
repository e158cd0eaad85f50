//! `cargo xtask demo`: a real stack under the real host, killed in the middle. It waits for what it shows, never for a
//! moment to pass, and fails if what it announces does not happen.

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::{plugins, run, say, setup};

/// Longest wait for anything: the stack needs seconds, a busy machine a multiple.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs it from a fresh clone to the end.
pub(crate) fn demo(root: &Path) -> Result<()> {
    setup::setup(root)?;
    plugins::build(root, &plugins::Arguments::default())?;
    say("building the host");
    run::show(Command::new("cargo").args(["build", "--package", "razar-host"]).current_dir(root))?;

    let demo = Demo::prepare(root)?;
    chapter(
        "boot the stack: three layers, nine services, one that needs two tries, one that never gets well",
    );
    let mut host = demo.start()?;
    demo.wait("the boot to complete", is_up)?;
    demo.wait("`crasher` to crash and be relaunched", |status| {
        component(status, "crasher")
            .is_some_and(|c| c.get("launches").is_some_and(|n| n == 2) && is_in(c, "ready"))
    })?;
    demo.wait("`flapper` to be named", |status| {
        component(status, "flapper").is_some_and(|c| is_in(c, "flapping"))
    })?;

    chapter("a second terminal: what runs, who is out, what happened, one restart");
    demo.tell(&["status"])?;
    demo.tell(&["quarantine", "list"])?;
    demo.tell(&["restart", "worker"])?;
    demo.wait("`worker` to be back", |status| {
        component(status, "worker")
            .is_some_and(|c| c.get("launches").is_some_and(|n| n == 2) && is_in(c, "ready"))
    })?;
    demo.tell(&["timeline"])?;

    let before = demo.running()?;
    chapter("SIGKILL the host: the services go on");
    host.kill().context("cannot kill the host")?;
    host.wait()?;
    ensure!(!before.is_empty(), "nothing was running");
    for (name, pid) in &before {
        ensure!(alive(*pid), "`{name}` (pid {pid}) died with the host");
        say(format_args!("{name} still runs as pid {pid}"));
    }

    chapter("start it again: it adopts what runs and starts nothing twice");
    let mut host = demo.start()?;
    demo.wait("the services to be adopted", |status| {
        status.get("host").is_some_and(Value::is_u64) && is_up(status)
    })?;
    let after = demo.running()?;
    for (name, pid) in &before {
        ensure!(after.contains(&(name.clone(), *pid)), "`{name}` is no longer pid {pid}: {after:?}");
    }
    say(format_args!("{} services adopted, each with the pid it had", before.len()));

    chapter("Ctrl-C: everything stops in reverse order");
    run::show(Command::new("kill").args(["-INT", &host.id().to_string()]))?;
    let status = wait_for_exit(&mut host)?;
    ensure!(status.success(), "the host ended with {status}");
    for (name, pid) in &before {
        ensure!(!alive(*pid), "`{name}` (pid {pid}) was left behind");
    }
    say(format_args!("the host is {}", demo.host.display()));
    say(format_args!("done; everything it wrote is in {}", demo.state.display()));
    Ok(())
}

struct Demo {
    host: PathBuf,
    root: PathBuf,
    state: PathBuf,
}

impl Demo {
    /// A clean start: what an interrupted demo left running is stopped first.
    fn prepare(root: &Path) -> Result<Self> {
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
        let host = target.join("debug/razar-host");
        let demo = Self { host, root: root.to_owned(), state: root.join("target/demo/state") };
        if demo.state.exists() {
            // Nothing to stop is no failure.
            let _ = demo.command(&["stop"]).output();
            std::fs::remove_dir_all(&demo.state).context("cannot clear target/demo/state")?;
        }
        let remembered = root.join("examples/demo/run");
        if remembered.exists() {
            std::fs::remove_dir_all(&remembered).context("cannot clear examples/demo/run")?;
        }
        Ok(demo)
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.host);
        command.args(words).arg("--state").arg(&self.state).current_dir(&self.root);
        command
    }

    fn start(&self) -> Result<Child> {
        let words = [
            "run",
            "--plugins",
            "target/plugins",
            "--config",
            "examples/demo/boot_config.json",
            "--mission",
            "demo",
            "--brief",
            "examples/demo/brief.json",
        ];
        say(format_args!("razar-host {} --state target/demo/state", words.join(" ")));
        self.command(&words).spawn().context("cannot start the host")
    }

    fn tell(&self, words: &[&str]) -> Result<()> {
        say(format_args!("razar-host {} --state target/demo/state", words.join(" ")));
        run::show(&mut self.command(words))
    }

    fn status(&self) -> Result<Value> {
        let printed = run::read(&mut self.command(&["status", "--output", "json"]))?;
        serde_json::from_str(&printed).context("`status` printed something else than JSON")
    }

    /// Waits until the status says so.
    fn wait(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Result<()> {
        let begun = Instant::now();
        loop {
            if self.status().is_ok_and(|status| holds(&status)) {
                return Ok(());
            }
            if begun.elapsed() > PATIENCE {
                bail!("waited {} s for {what}: {}", PATIENCE.as_secs(), self.status()?);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn running(&self) -> Result<Vec<(String, u64)>> {
        let status = self.status()?;
        let components = status.get("components").and_then(Value::as_array).context("no components")?;
        let running = components.iter().filter_map(|component| {
            Some((component.get("component")?.as_str()?.to_owned(), component.get("pid")?.as_u64()?))
        });
        Ok(running.collect())
    }
}

/// Every component is settled.
fn is_up(status: &Value) -> bool {
    status.pointer("/boot/stage").is_some_and(|stage| stage == "up")
}

fn component<'a>(status: &'a Value, name: &str) -> Option<&'a Value> {
    status
        .get("components")
        .and_then(Value::as_array)?
        .iter()
        .find(|component| component.get("component").is_some_and(|id| id == name))
}

fn is_in(component: &Value, state: &str) -> bool {
    component.get("state").is_some_and(|found| found == state)
}

fn alive(pid: u64) -> bool {
    Path::new("/proc").join(pid.to_string()).exists()
}

fn wait_for_exit(host: &mut Child) -> Result<std::process::ExitStatus> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if let Some(status) = host.try_wait()? {
            return Ok(status);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    bail!("the host did not end within {} s", PATIENCE.as_secs())
}

fn chapter(title: &str) {
    say(format_args!("── {title}"));
}
