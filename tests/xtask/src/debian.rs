//! Builds the `wasm32-wasip2` standard library from Debian's `rust-src` and `wasi-libc`, for machines where rustup has no
//! network but a Debian mirror is near. Everything happens under `target/setup`; the system's package lists stay as they are,
//! and the packages are verified with the archive keys that the system already trusts.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::toolchain::{TARGET, Toolchain};
use crate::{run, say};

/// Where the newest `rust-src` of a stable Debian is found.
const SOURCE: &str = "deb http://deb.debian.org/debian trixie-backports main\n";
/// 46 MB in two packages.
const DOWNLOAD_LIMIT: Duration = Duration::from_secs(600);
/// C start files and libc that the linker wants beside the standard library.
const START_FILES: [&str; 3] = ["crt1-command.o", "crt1-reactor.o", "libc.a"];

/// Downloads, builds and installs. Safe to repeat: the last file copied is the one that `has_target` looks for.
pub(crate) fn install(root: &Path, toolchain: &Toolchain) -> Result<()> {
    let scratch = root.join("target/setup");
    let apt = Apt::new(&scratch.join("apt"))?;
    say("reading Debian's package list");
    apt.update()?;
    let listing = apt.madison("rust-src")?;
    let package_version = pick(&listing, &toolchain.version).with_context(|| {
        let found = versions(&listing).collect::<Vec<_>>().join(", ");
        format!("Debian has no `rust-src` for rustc {} (it has: {found})", toolchain.version)
    })?;

    let unpacked = scratch.join("unpacked");
    for package in [format!("rust-src={package_version}"), "wasi-libc".to_owned()] {
        say(format_args!("downloading {package}"));
        apt.download(&package, &unpacked)?;
    }

    say("copying the sources of the standard library");
    let library = toolchain.sysroot.join("lib/rustlib/src/rust/library");
    if !library.join("std/Cargo.toml").is_file() {
        let source = unpacked.join("usr/src").join(format!("rustc-{}", toolchain.version)).join("library");
        copy_tree(&source, &library)?;
    }

    say("building the standard library, half a minute");
    let built = build_std(&scratch.join("std"), toolchain)?;

    let libraries = toolchain.target_libraries();
    fs::create_dir_all(libraries.join("self-contained"))?;
    for file in built {
        let name = file.file_name().context("a library without a name")?;
        copy_atomically(&file, &libraries.join(name))?;
    }
    for name in START_FILES.iter().rev() {
        let from = unpacked.join("usr/lib").join(TARGET).join(name);
        copy_atomically(&from, &libraries.join("self-contained").join(name))?;
    }
    Ok(())
}

/// Debian's package manager with lists and caches of its own.
struct Apt {
    folder: PathBuf,
}

impl Apt {
    fn new(folder: &Path) -> Result<Self> {
        for part in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(folder.join(part))?;
        }
        fs::write(folder.join("sources.list"), SOURCE)?;
        Ok(Self { folder: folder.to_owned() })
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let option = |name: &str, file: &str| format!("{name}={}", self.folder.join(file).display());
        command.arg("-qq");
        command.args([
            "-o",
            &option("Dir::Etc::SourceList", "sources.list"),
            "-o",
            "Dir::Etc::SourceParts=/dev/null",
        ]);
        command.args(["-o", &option("Dir::State::Lists", "lists"), "-o", &option("Dir::Cache", "cache")]);
        command
    }

    fn update(&self) -> Result<()> {
        run::show_within(DOWNLOAD_LIMIT, self.command("apt-get").arg("update"))
    }

    fn madison(&self, package: &str) -> Result<String> {
        run::read(self.command("apt-cache").args(["madison", package]))
    }

    /// Downloads `package` and unpacks it into `to`; a package that is there already is kept.
    fn download(&self, package: &str, to: &Path) -> Result<()> {
        let name = package.split('=').next().unwrap_or(package);
        let folder = self.folder.join("packages").join(package.replace(['=', '~', '+'], "_"));
        if archive_in(&folder).is_err() {
            fs::create_dir_all(&folder)?;
            let mut download = self.command("apt-get");
            // As root, apt would download as user `_apt`, who may not write here.
            download.args(["-o", "APT::Sandbox::User=root", "download", package]).current_dir(&folder);
            run::show_within(DOWNLOAD_LIMIT, &mut download)?;
        }
        fs::create_dir_all(to)?;
        let archive = archive_in(&folder).with_context(|| format!("apt downloaded no file for `{name}`"))?;
        run::show(Command::new("dpkg").arg("-x").arg(archive).arg(to))
    }
}

fn archive_in(folder: &Path) -> Result<PathBuf> {
    let mut files = fs::read_dir(folder)?.flatten().map(|entry| entry.path());
    files.find(|path| path.extension().is_some_and(|end| end == "deb")).context("no package")
}

/// Builds `std` for the target and returns its libraries.
fn build_std(folder: &Path, toolchain: &Toolchain) -> Result<Vec<PathBuf>> {
    fs::create_dir_all(folder.join("src"))?;
    let manifest = "[package]\nname = \"nothing\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n";
    fs::write(folder.join("Cargo.toml"), manifest)?;
    fs::write(folder.join("src/lib.rs"), "")?;
    let output = folder.join("target").join(TARGET).join("release/deps");
    if output.exists() {
        fs::remove_dir_all(&output)?;
    }
    let sources = toolchain.sysroot.join("lib/rustlib/src/rust");
    // Without `embed-bitcode` a plugin that asks for link-time optimisation does not link.
    let flags = format!("-Cembed-bitcode=yes --remap-path-prefix={}=/rustc/std", sources.display());
    run::show(
        Command::new("cargo")
            .args(["build", "--quiet", "--release", "-Zbuild-std=std,panic_abort", "--target", TARGET])
            .current_dir(folder)
            .env("RUSTC_BOOTSTRAP", "1")
            .env("RUSTFLAGS", flags)
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .env("CARGO_TARGET_DIR", folder.join("target")),
    )?;
    let mut libraries = Vec::new();
    for entry in fs::read_dir(&output).with_context(|| format!("nothing in `{}`", output.display()))? {
        let path = entry?.path();
        let ours = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("libnothing"));
        if path.extension().is_some_and(|end| end == "rlib") && !ours {
            libraries.push(path);
        }
    }
    if libraries.is_empty() {
        bail!("the build left no libraries in `{}`", output.display());
    }
    Ok(libraries)
}

/// The package version in `apt-cache madison`'s listing that belongs to `rustc`.
fn pick<'a>(listing: &'a str, rustc: &str) -> Option<&'a str> {
    versions(listing)
        .find(|version| version.strip_prefix(rustc).is_some_and(|rest| rest.starts_with(['+', '-'])))
}

fn versions(listing: &str) -> impl Iterator<Item = &str> {
    listing.lines().filter_map(|line| line.split('|').nth(1)).map(str::trim)
}

fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot read `{}`", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_tree(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// Copies so that nobody ever sees half a file.
pub(crate) fn copy_atomically(from: &Path, to: &Path) -> Result<()> {
    let mut partial = to.as_os_str().to_owned();
    partial.push(".partial");
    fs::copy(from, &partial)
        .with_context(|| format!("cannot copy `{}` to `{}`", from.display(), to.display()))?;
    fs::rename(&partial, to).with_context(|| format!("cannot write `{}`", to.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTING: &str = "\
  rust-src | 1.96.1+dfsg1-2~bpo13+1 | http://deb.debian.org/debian trixie-backports/main amd64 Packages
  rust-src | 1.95.0+dfsg1-2~bpo13+1 | http://deb.debian.org/debian trixie-backports/main amd64 Packages
  rust-src | 1.9.0-1 | http://deb.debian.org/debian trixie-backports/main amd64 Packages
";

    #[test]
    fn the_package_version_matches_the_compiler_exactly() {
        for (rustc, expected) in [
            ("1.95.0", Some("1.95.0+dfsg1-2~bpo13+1")),
            ("1.9.0", Some("1.9.0-1")),
            ("1.96", None),
            ("1.95", None),
            ("1.94.0", None),
        ] {
            assert_eq!(pick(LISTING, rustc), expected, "{rustc}");
        }
        assert_eq!(pick("", "1.95.0"), None);
    }
}
