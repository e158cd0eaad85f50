//! The Rust toolchain that builds the plugins: where it keeps its standard libraries, and whether the wasm one is there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::run;

/// The target every Rust plugin is built for.
pub(crate) const TARGET: &str = "wasm32-wasip2";

/// The toolchain that cargo uses in the workspace.
pub(crate) struct Toolchain {
    /// What `rustc --print sysroot` says.
    pub(crate) sysroot: PathBuf,
    /// `1.95.0`.
    pub(crate) version: String,
}

impl Toolchain {
    /// Asks the `rustc` that the workspace's toolchain file selects.
    pub(crate) fn of(root: &Path) -> Result<Self> {
        let ask = |argument: &[&str]| run::read(Command::new("rustc").args(argument).current_dir(root));
        let sysroot = PathBuf::from(ask(&["--print", "sysroot"])?.trim());
        let text = ask(&["--version"])?;
        let version =
            version(&text).with_context(|| format!("cannot read a version in `{}`", text.trim()))?;
        Ok(Self { sysroot, version })
    }

    /// Where the target's libraries belong.
    pub(crate) fn target_libraries(&self) -> PathBuf {
        self.sysroot.join("lib/rustlib").join(TARGET).join("lib")
    }

    /// Whether the target's standard library and its C start files are there.
    pub(crate) fn has_target(&self) -> bool {
        let libraries = self.target_libraries();
        let has_std = fs::read_dir(&libraries).is_ok_and(|entries| {
            entries.flatten().any(|entry| {
                let name = entry.file_name();
                let name = name.to_string_lossy();
                name.starts_with("libstd-") && name.ends_with(".rlib")
            })
        });
        has_std && libraries.join("self-contained/crt1-command.o").is_file()
    }
}

fn version(text: &str) -> Option<String> {
    let word = text.split_whitespace().nth(1)?;
    word.starts_with(|first: char| first.is_ascii_digit()).then(|| word.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_rustc_prints() {
        for (text, expected) in [
            ("rustc 1.95.0 (59807616e 2026-04-14)\n", Some("1.95.0")),
            ("rustc 1.98.0-nightly (abc 2026-05-01)", Some("1.98.0-nightly")),
            ("rustc", None),
            ("error: no such command", None),
        ] {
            assert_eq!(version(text).as_deref(), expected, "{text}");
        }
    }
}
