//! Plugins in Python: CPython with the plugin's modules in it, as one component. Owns the one version of `componentize-py` that
//! does it, kept in a virtual environment below `target/tools`. Building takes half a minute, so it is done only when
//! something has changed that goes into it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::{run, say};

/// Brings CPython 3.14. Another version may find other modules, and makes other components.
const VERSION: &str = "0.25.1";

/// A download of 17 MB.
const DOWNLOAD_LIMIT: Duration = Duration::from_secs(600);

/// Far more than it takes on a busy machine.
const BUILD_LIMIT: Duration = Duration::from_secs(900);

/// The contract, from the top of the repository.
const WIT: &str = "wit/plugin-0.1";

/// A plugin's package of Python modules.
pub(crate) struct Python {
    /// The folder that holds the package.
    pub(crate) folder: PathBuf,
    /// The package; its module `app` is the component.
    pub(crate) package: String,
    /// The world it is built for.
    pub(crate) world: &'static str,
}

/// Builds the component, unless it is there and nothing has changed since.
pub(crate) fn build(root: &Path, python: &Python) -> Result<PathBuf> {
    let folder = root.join("target/wasm/python");
    fs::create_dir_all(&folder)?;
    let wasm = folder.join(format!("{}.wasm", python.package));
    let stamp = folder.join(format!("{}.stamp", python.package));
    let inputs = inputs(root, python)?;
    if wasm.is_file() && fs::read_to_string(&stamp).is_ok_and(|known| known == inputs) {
        return Ok(wasm);
    }
    let program = tool(root)?;
    say(format_args!("building {}", python.package));
    let partial = folder.join(format!("{}.partial", python.package));
    run::show_within(
        BUILD_LIMIT,
        Command::new(program)
            .arg("--wit-path")
            .arg(root.join(WIT))
            .args(["--world", python.world, "componentize", "--python-path"])
            .arg(&python.folder)
            .arg("--output")
            .arg(&partial)
            .arg(format!("{}.app", python.package))
            .current_dir(&folder)
            // Modules of whoever builds are none of the plugin's.
            .env_remove("VIRTUAL_ENV")
            .env_remove("PYTHONPATH"),
    )?;
    fs::rename(&partial, &wasm)?;
    fs::write(&stamp, inputs)?;
    Ok(wasm)
}

/// The program, installed when it is missing.
fn tool(root: &Path) -> Result<PathBuf> {
    let home = root.join("target/tools").join(format!("componentize-py-{VERSION}"));
    let program = home.join("bin/componentize-py");
    let known = |program: &Path| run::read(Command::new(program).arg("--version"));
    let fits = |said: String| said.split_whitespace().last() == Some(VERSION);
    if known(&program).is_ok_and(fits) {
        return Ok(program);
    }
    say(format_args!("installing componentize-py {VERSION} in `{}`", home.display()));
    let install = || -> Result<()> {
        run::show(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&home))?;
        let mut pip = Command::new(home.join("bin/python3"));
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:"]);
        run::show_within(DOWNLOAD_LIMIT, pip.arg(format!("componentize-py=={VERSION}")))
    };
    install().with_context(|| {
        format!(
            "cannot install componentize-py {VERSION}; it needs `python3` with `venv` (on Debian the package \
             `python3-venv`) and PyPI or a mirror that pip knows"
        )
    })?;
    if !known(&program).is_ok_and(fits) {
        bail!("pip has installed no componentize-py {VERSION} in `{}`", home.display());
    }
    Ok(program)
}

/// Everything that goes into a component, as one digest.
fn inputs(root: &Path, python: &Python) -> Result<String> {
    let mut files = Vec::new();
    list(&python.folder.join(&python.package), "py", &mut files)?;
    list(&root.join(WIT), "wit", &mut files)?;
    files.sort();
    let mut digest = Sha256::new();
    digest.update(format!("{VERSION} {}", python.world));
    for file in files {
        let bytes = fs::read(&file).with_context(|| format!("cannot read `{}`", file.display()))?;
        digest.update(format!("\n{} {}\n", file.strip_prefix(root).unwrap_or(&file).display(), bytes.len()));
        digest.update(bytes);
    }
    Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Files with this ending, however deep.
fn list(folder: &Path, ending: &str, into: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read `{}`", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            list(&path, ending, into)?;
        } else if path.extension().is_some_and(|found| found == ending) {
            into.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_goes_into_it_changes_the_digest() {
        let root = std::env::temp_dir().join(format!("xtask-python-{}", std::process::id()));
        let file = |name: &str, text: &str| {
            let path = root.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        file("plugins/one/one/app.py", "a");
        file("plugins/one/one/more/x.py", "a");
        file("wit/plugin-0.1/deps/io.wit", "a");
        let python =
            Python { folder: root.join("plugins/one"), package: "one".to_owned(), world: "evaluator-plugin" };
        let first = inputs(&root, &python).unwrap();
        assert_eq!(first.len(), 64);
        file("plugins/one/plugin.toml", "no part of the component");
        file("plugins/one/one/__pycache__/app.pyc", "nor this");
        assert_eq!(inputs(&root, &python).unwrap(), first);
        for name in ["plugins/one/one/more/x.py", "wit/plugin-0.1/deps/io.wit", "plugins/one/one/new.py"] {
            let before = inputs(&root, &python).unwrap();
            file(name, "b");
            assert_ne!(inputs(&root, &python).unwrap(), before, "{name}");
        }
        fs::remove_dir_all(&root).unwrap();
    }
}
