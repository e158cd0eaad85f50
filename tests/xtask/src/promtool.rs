//! Gets `promtool`, with which the tests check metrics, alert rules and their cases: out of Debian's package `prometheus`, of which
//! nothing else is kept and no service is started. Owns where it lies; nothing but tests ever needs it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::debian::copy_atomically;
use crate::{run, say};

/// 19 MB.
const DOWNLOAD_LIMIT: Duration = Duration::from_secs(300);

/// Gets it where it is missing. A machine that cannot is told what is not checked; it has failed at nothing.
pub(crate) fn install(root: &Path) {
    let folder = root.join("target/tools/promtool");
    let program = folder.join("promtool");
    if program.is_file() || in_path() {
        return say("promtool is installed");
    }
    say("getting promtool out of the package `prometheus`");
    match extract(&folder, &program) {
        Ok(()) => say(format_args!("promtool is installed in `{}`", folder.display())),
        Err(problem) => say(format_args!(
            "promtool cannot be got ({problem:#}): metrics and alert rules are NOT CHECKED by it; install the package `prometheus`"
        )),
    }
}

fn in_path() -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|dir| dir.join("promtool").is_file())
}

fn extract(folder: &Path, program: &Path) -> Result<()> {
    let unpacked = folder.join("unpacked");
    fs::create_dir_all(&unpacked)?;
    let apt = |words: &[&str]| {
        let mut command = Command::new("apt-get");
        // As root, apt would download as user `_apt`, who may not write here.
        command.args(["-qq", "-o", "APT::Sandbox::User=root"]).args(words).current_dir(folder);
        run::show_within(DOWNLOAD_LIMIT, &mut command)
    };
    let download = || apt(&["download", "prometheus"]);
    if download().is_err() {
        // Fresh machines have no lists of packages.
        apt(&["update"]).and_then(|()| download())?;
    }
    let package = package_in(folder)?;
    run::show(Command::new("dpkg").arg("-x").arg(&package).arg(&unpacked))?;
    copy_atomically(&unpacked.join("usr/bin/promtool"), program)?;
    fs::remove_file(package)?;
    fs::remove_dir_all(unpacked).context("cannot remove what is not needed")
}

fn package_in(folder: &Path) -> Result<PathBuf> {
    let mut files = fs::read_dir(folder)?.flatten().map(|entry| entry.path());
    files.find(|path| path.extension().is_some_and(|end| end == "deb")).context("apt downloaded nothing")
}
