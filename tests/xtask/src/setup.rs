//! `cargo xtask setup`: installs what is missing, in steps that may be repeated at will. Must not touch the system's package
//! lists or anything that is already in order.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::toolchain::{TARGET, Toolchain};
use crate::{debian, run, say};

/// A download of some 20 MB, on a slow line; a machine without a route to it fails in seconds.
const RUSTUP_LIMIT: Duration = Duration::from_secs(180);

/// Makes sure that plugins can be built.
pub(crate) fn setup(root: &Path) -> Result<()> {
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
