//! `cargo xtask demo`: a real stack under the real host, broken by bad releases, repaired, and killed in the middle. It waits for
//! what it shows, never for a moment to pass, and fails if what it announces does not happen.

mod model;
mod repair;
mod stage;

use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use self::model::Model;
use self::stage::{PATIENCE, Stage, alive, is_in};
use crate::{plugins, run, say, setup};

/// Runs it from a fresh clone to the end.
pub(crate) fn demo(root: &Path) -> Result<()> {
    setup::setup(root)?;
    plugins::build(root, &plugins::Arguments::default())?;
    say("building the host");
    run::show(Command::new("cargo").args(["build", "--package", "razar-host"]).current_dir(root))?;

    let stage = Stage::prepare(root)?;
    let _model = Model::start(root)?;
    chapter(
        "boot the stack: three layers, eleven services, one that needs two tries, one that never gets well",
    );
    let mut host = stage.start()?;
    stage.wait("the boot to complete", is_up)?;
    stage.wait_for("crasher", "to crash and be relaunched", was_relaunched)?;
    stage.wait_for("flapper", "to be named", |flapper| is_in(flapper, "flapping"))?;

    chapter("a second terminal: what runs, who is out, what happened, one restart");
    stage.tell(&["status"])?;
    stage.tell(&["quarantine", "list"])?;
    stage.tell(&["restart", "worker"])?;
    stage.wait_for("worker", "to be back", was_relaunched)?;
    stage.tell(&["timeline"])?;

    repair::chapters(&stage)?;

    let before = stage.running()?;
    chapter("SIGKILL the host: the services go on");
    host.kill().context("cannot kill the host")?;
    host.wait()?;
    ensure!(!before.is_empty(), "nothing was running");
    for (name, pid) in &before {
        ensure!(alive(*pid), "`{name}` (pid {pid}) died with the host");
        say(format_args!("{name} still runs as pid {pid}"));
    }

    chapter("start it again: it adopts what runs and starts nothing twice");
    let mut host = stage.start()?;
    stage.wait("the services to be adopted", |status| {
        status.get("host").is_some_and(Value::is_u64) && is_up(status)
    })?;
    let after = stage.running()?;
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
    say(format_args!("the host is {}", stage.host.display()));
    say(format_args!("done; everything it wrote is in {}", stage.state.display()));
    Ok(())
}

/// Every component is settled.
fn is_up(status: &Value) -> bool {
    status.pointer("/boot/stage").is_some_and(|stage| stage == "up")
}

fn was_relaunched(component: &Value) -> bool {
    component.get("launches").is_some_and(|launches| launches == 2) && is_in(component, "ready")
}

fn wait_for_exit(host: &mut Child) -> Result<ExitStatus> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if let Some(status) = host.try_wait()? {
            return Ok(status);
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    bail!("the host did not end within {} s", PATIENCE.as_secs())
}

fn chapter(title: &str) {
    say(format_args!("── {title}"));
}
