//! Checks other people's crates with cargo-deny: licences, bans, sources, and the advisories of the committed snapshot.
//! Owns the one version of cargo-deny whose configuration `.deny.toml` is, kept in `target/tools`, so that everybody
//! reads the same rules. Must never need the network for the verdict itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::{run, say};

/// Another version may not know the fields of `.deny.toml`.
const VERSION: &str = "0.20.2";

/// Runs all checks. A machine that cannot install cargo-deny is told that nothing was checked; it has failed at nothing.
pub(crate) fn check(root: &Path, cargo: &Path) -> Result<()> {
    let tools = root.join("target/tools");
    let program = tools.join("bin/cargo-deny");
    if let Err(problem) = install(&tools, &program, cargo) {
        say(format_args!(
            "dependencies: NOT CHECKED, because cargo-deny {VERSION} cannot be installed: {problem:#}"
        ));
        return Ok(());
    }
    let advisories = unpack(root, &tools)?;
    let deny = |options: &[&str], checks: &[&str]| {
        let mut command = Command::new(&program);
        command.current_dir(root).env("CARGO", cargo).env("RAZAR_ADVISORIES", &advisories);
        command.args(["--workspace", "--log-level", "error"]).args(options);
        command.args(["check", "--hide-inclusion-graph"]).args(checks);
        run::show(&mut command)
    };
    // The first may still fetch packages that only other platforms build; the second finds all of them here.
    deny(&[], &["bans", "licenses", "sources"])?;
    deny(&["--offline"], &["advisories"])
}

fn install(tools: &Path, program: &Path, cargo: &Path) -> Result<()> {
    let installed = run::read(Command::new(program).arg("--version"));
    if installed.is_ok_and(|version| version.trim() == format!("cargo-deny {VERSION}")) {
        return Ok(());
    }
    say(format_args!("installing cargo-deny {VERSION} in `{}`", tools.display()));
    let mut command = Command::new(cargo);
    command.args(["install", "--quiet", "--locked", "--debug", "--force", "--root"]).arg(tools);
    command.arg("--target-dir").arg(tools.join("build")).arg(format!("cargo-deny@{VERSION}"));
    run::show(&mut command)?;
    // A gigabyte that nobody needs again.
    fs::remove_dir_all(tools.join("build")).context("cannot remove what building cargo-deny left")
}

/// Unpacks the snapshot anew each time: it is small, and a torn copy would make the check say yes to everything.
fn unpack(root: &Path, tools: &Path) -> Result<PathBuf> {
    let place = tools.join("advisories");
    if place.exists() {
        fs::remove_dir_all(&place).with_context(|| format!("cannot empty `{}`", place.display()))?;
    }
    fs::create_dir_all(&place).with_context(|| format!("cannot create `{}`", place.display()))?;
    let snapshot = root.join("tests/advisory-db.tar.gz");
    run::show(Command::new("tar").arg("-xzf").arg(&snapshot).arg("-C").arg(&place))?;
    Ok(place)
}
