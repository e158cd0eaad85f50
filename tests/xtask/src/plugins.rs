//! `cargo xtask plugins`: builds a folder of plugins into a folder of plugin packages. A plugin is a folder with `plugin.toml`
//! and either `Cargo.toml` or a package of Python modules that is called as its component is. Uses a cargo target folder of
//! its own, so that the host's build cache stays warm.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::componentize::{self, Python};
use crate::debian::copy_atomically;
use crate::toolchain::{TARGET, Toolchain};
use crate::{run, say};

/// What `cargo xtask plugins` may be told.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Folder with one plugin per subfolder
    #[arg(long, value_name = "DIR", default_value = "plugins")]
    dir: PathBuf,
    /// Folder for the packages, one subfolder per plugin
    #[arg(long, value_name = "DIR", default_value = "target/plugins")]
    out: PathBuf,
}

impl Default for Arguments {
    /// The plugins of this repository.
    fn default() -> Self {
        Self { dir: "plugins".into(), out: "target/plugins".into() }
    }
}

/// How much memory a plugin's linear memory starts with. Small, because the host clears it for every call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Memory {
    /// 64 KiB stack in 256 KiB: what a probe needs.
    Probe,
    /// 1 MiB stack, as Rust's default: agents, evaluators and tools parse what others wrote.
    Roomy,
}

impl Memory {
    /// By the crate's name, as all plugins are named after their role.
    fn of(name: &str) -> Self {
        if name.starts_with("probe-") { Self::Probe } else { Self::Roomy }
    }

    fn rustflags(self) -> &'static str {
        match self {
            Self::Probe => "-Clink-arg=-zstack-size=65536 -Clink-arg=--initial-memory=262144",
            Self::Roomy => "-Clink-arg=-zstack-size=1048576",
        }
    }

    fn folder(self) -> &'static str {
        match self {
            Self::Probe => "probe",
            Self::Roomy => "roomy",
        }
    }
}

/// A plugin and the files its package consists of.
struct Plugin {
    name: String,
    folder: PathBuf,
    wasm: String,
    settings: Option<String>,
    /// What it is written in, if that is not Rust.
    python: Option<Python>,
}

/// Builds every plugin under `arguments.dir`.
pub(crate) fn build(root: &Path, arguments: &Arguments) -> Result<()> {
    let toolchain = Toolchain::of(root)?;
    if !toolchain.has_target() {
        bail!("the target `{TARGET}` is not installed; run `cargo xtask setup`");
    }
    let plugins = find(&root.join(&arguments.dir))?;
    let out = root.join(&arguments.out);
    let (python, rust): (Vec<&Plugin>, Vec<&Plugin>) =
        plugins.iter().partition(|plugin| plugin.python.is_some());
    let mut by_memory: BTreeMap<Memory, Vec<&Plugin>> = BTreeMap::new();
    for plugin in rust {
        by_memory.entry(Memory::of(&plugin.name)).or_default().push(plugin);
    }
    for (memory, plugins) in by_memory {
        for plugin in plugins {
            let wasm = compile(root, plugin, memory)?;
            finish(plugin, &wasm, &out)?;
        }
    }
    for plugin in python {
        let Some(python) = &plugin.python else { continue };
        match componentize::build(root, python) {
            Ok(wasm) => finish(plugin, &wasm, &out)?,
            // One of an older state would say that it is this one.
            Err(problem) => {
                say(format_args!(
                    "{}: NOT BUILT, and everything else works without it: {problem:#}",
                    plugin.name
                ));
                let _ = fs::remove_dir_all(out.join(&plugin.name));
            }
        }
    }
    Ok(())
}

fn finish(plugin: &Plugin, wasm: &Path, out: &Path) -> Result<()> {
    let size = pack(plugin, wasm, out)?;
    say(format_args!("{} {size} bytes -> {}", plugin.name, out.join(&plugin.name).display()));
    Ok(())
}

fn find(folder: &Path) -> Result<Vec<Plugin>> {
    let mut plugins = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read `{}`", folder.display()))? {
        let folder = entry?.path();
        if folder.join("plugin.toml").is_file() {
            plugins.extend(read(&folder)?);
        }
    }
    if plugins.is_empty() {
        bail!("no folder with `plugin.toml` and a plugin in `{}`", folder.display());
    }
    plugins.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(plugins)
}

/// A plugin, if it is one that can be built here.
fn read(folder: &Path) -> Result<Option<Plugin>> {
    let file = folder.join("plugin.toml");
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read `{}`", file.display()))?;
    let document: toml::Table = text.parse().with_context(|| format!("in `{}`", file.display()))?;
    let word = |key: &str| document.get(key).and_then(toml::Value::as_str).map(str::to_owned);
    let demand = |key: &str| word(key).with_context(|| format!("`{key}` is missing in `{}`", file.display()));
    let (name, wasm) = (demand("name")?, demand("wasm")?);
    let package = wasm.trim_end_matches(".wasm").to_owned();
    let python = if folder.join("Cargo.toml").is_file() {
        None
    } else if folder.join(&package).join("app.py").is_file() {
        Some(Python { folder: folder.to_owned(), package, world: world(&name)? })
    } else {
        return Ok(None);
    };
    Ok(Some(Plugin { name, wasm, settings: word("settings"), folder: folder.to_owned(), python }))
}

/// The world of a plugin, by its name, as all plugins are named after their role.
fn world(name: &str) -> Result<&'static str> {
    let worlds = [
        ("probe-", "probe-plugin"),
        ("agent-", "agent-plugin"),
        ("evaluator-", "evaluator-plugin"),
        ("tool-", "tool-plugin"),
    ];
    let found = worlds.into_iter().find(|(role, _)| name.starts_with(role));
    found
        .map(|(_, world)| world)
        .with_context(|| format!("`{name}` is not named after a role, such as `probe-{name}`"))
}

/// Compiles one plugin and returns the component.
fn compile(root: &Path, plugin: &Plugin, memory: Memory) -> Result<PathBuf> {
    say(format_args!("building {}", plugin.name));
    let target = root.join("target/wasm").join(memory.folder());
    run::show(
        Command::new("cargo")
            .args([
                "build",
                "--quiet",
                "--lib",
                "--profile",
                "release-small",
                "--target",
                TARGET,
                "--manifest-path",
            ])
            .arg(plugin.folder.join("Cargo.toml"))
            .args(PROFILE.iter().flat_map(|setting| ["--config", setting]))
            .current_dir(root)
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .env("RUSTFLAGS", memory.rustflags())
            .env("CARGO_TARGET_DIR", &target),
    )?;
    let file = target.join(TARGET).join("release-small").join(&plugin.wasm);
    if !file.is_file() {
        bail!(
            "`{}` was built but left no `{}`; `wasm` in its `plugin.toml` is the crate's name with `_` and `.wasm`, and the \
             crate needs `crate-type = [\"cdylib\"]`",
            plugin.name,
            plugin.wasm
        );
    }
    Ok(file)
}

/// The profile of every plugin, wherever its crate lives: small, because every byte is compiled and hashed on the
/// operator's machine.
const PROFILE: [&str; 6] = [
    "profile.release-small.inherits='release'",
    "profile.release-small.opt-level='s'",
    "profile.release-small.lto='fat'",
    "profile.release-small.codegen-units=1",
    "profile.release-small.strip=true",
    "profile.release-small.panic='abort'",
];

/// Copies the package's files and returns the component's size.
fn pack(plugin: &Plugin, wasm: &Path, out: &Path) -> Result<u64> {
    let package = out.join(&plugin.name);
    fs::create_dir_all(&package).with_context(|| format!("cannot create `{}`", package.display()))?;
    if let Some(settings) = &plugin.settings {
        copy_atomically(&plugin.folder.join(settings), &package.join(settings))?;
    }
    copy_atomically(wasm, &package.join(&plugin.wasm))?;
    copy_atomically(&plugin.folder.join("plugin.toml"), &package.join("plugin.toml"))?;
    Ok(fs::metadata(wasm)?.len())
}
