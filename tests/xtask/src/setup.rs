//! `cargo xtask setup`: installs what is missing, in steps that may be repeated at will. Must not touch anything that is
//! already in order, and the system's package lists only where they do not know a package that is missing.

use std::env;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::toolchain::{TARGET, Toolchain};
use crate::{debian, run, say};

/// A download of some 20 MB, on a slow line; a machine without a route to it fails in seconds.
const RUSTUP_LIMIT: Duration = Duration::from_secs(180);

/// A package of some hundred kilobytes, and the lists it is in.
const APT_LIMIT: Duration = Duration::from_secs(300);

/// Makes sure that plugins can be built and trials can be held.
pub(crate) fn setup(root: &Path) -> Result<()> {
    bubblewrap();
    target(root)
}

/// What patches are tried in. Without it everything can be built, and tests of trials fail with the same remedy.
fn bubblewrap() {
    let found = || {
        let path = env::var_os("PATH").unwrap_or_default();
        env::split_paths(&path).any(|dir| dir.join("bwrap").is_file())
    };
    // Whose this process is.
    let is_root = Path::new("/proc/self").metadata().is_ok_and(|own| own.uid() == 0);
    let apt = |words: &[&str]| {
        let mut command = Command::new("apt-get");
        command.args(["--yes", "--quiet"]).args(words).env("DEBIAN_FRONTEND", "noninteractive");
        run::show_within(APT_LIMIT, &mut command)
    };
    let install = || apt(&["install", "--no-install-recommends", "bubblewrap"]);
    if !found() && is_root {
        say("installing bubblewrap with apt-get");
        if install().is_err()
            && let Err(problem) = apt(&["update"]).and_then(|()| install())
        {
            say(format_args!("apt-get could not: {problem:#}"));
        }
    }
    if found() {
        say("bubblewrap is installed");
    } else {
        say("bubblewrap is missing, and trials of patches need it: install the package `bubblewrap`");
    }
}

fn target(root: &Path) -> Result<()> {
    let toolchain = Toolchain::of(root)?;
    say(format_args!("rustc {} in `{}`", toolchain.version, toolchain.sysroot.display()));
    if toolchain.has_target() {
        say(format_args!("target `{TARGET}` is installed"));
        return Ok(());
    }

    say(format_args!("installing target `{TARGET}` with rustup"));
    let by_rustup = run::show_within(
        RUSTUP_LIMIT,
        Command::new("rustup").args(["target", "add", TARGET]).current_dir(root),
    );
    match by_rustup {
        Ok(()) if toolchain.has_target() => {
            say(format_args!("target `{TARGET}` is installed"));
            return Ok(());
        }
        Ok(()) => say("rustup calls it installed, but this toolchain has no files of it"),
        Err(problem) => say(format_args!("rustup could not: {problem:#}")),
    }

    say("building the target's standard library from Debian's `rust-src` instead");
    if let Err(problem) = debian::install(root, &toolchain) {
        bail!(
            "cannot install the target `{TARGET}`: neither rustup nor Debian's sources worked\n  \
             last problem: {problem:#}\n  \
             remedy: on a machine with network access run `rustup target add {TARGET} --toolchain {}` and copy \
             `lib/rustlib/{TARGET}` of its sysroot to `{}`",
            toolchain.version,
            toolchain.sysroot.join("lib/rustlib").display()
        );
    }
    if !toolchain.has_target() {
        bail!("the target `{TARGET}` was built but is not in `{}`", toolchain.target_libraries().display());
    }
    say(format_args!("target `{TARGET}` is installed"));
    Ok(())
}
