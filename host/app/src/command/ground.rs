//! What `run` does before its wall and before any thread: it finds out what the host will have to touch, calls the porter,
//! and raises the wall. What cannot be read here is not judged here: the check that follows names it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use razar_core::document::grants::Grants;
use razar_core::grant::{Access, DirSource, Role, SecretSource};
use razar_core::id::PluginId;
use razar_core::plan::{BootPlan, Check, LogSource, Overrides, Plugins, SettingsProblem};
use razar_runtime::broker::files::memory_place;

use super::check::read_plan;
use super::first_start::CodeCache;
use super::run::usable;
use super::{Exit, complain, warn};
use crate::cli::{self, Wall};
use crate::porter::{Leaving, Porter};
use crate::serve::http;
use crate::wall::{Ground, Layer, raise};
use crate::witness::Place;

/// What a host has behind its wall.
pub(crate) struct Behind {
    /// Who does what it may not.
    pub(super) porter: Arc<Porter>,
    /// Where compiled plugins are until it is known that the configuration holds.
    pub(super) code: CodeCache,
    /// Whether the state directory can be used.
    pub(super) usable: Result<(), String>,
    /// Layers of the wall that are missing, by name.
    pub(super) wall_lacks: Vec<String>,
}

/// Raises the wall. The porter is to be sent away when the host ends.
pub(crate) fn prepare(arguments: &cli::Run) -> Result<(Behind, Leaving), Exit> {
    let output = arguments.output;
    let internal = |error: std::io::Error| {
        complain(output, &format!("the host's helper process cannot be started: {error}"));
        Exit::Internal
    };
    if arguments.require_sandbox && arguments.wall == Wall::Off {
        complain(
            output,
            "`--wall off` (or `RAZAR_WALL`) and `--require-sandbox` exclude each other: take one away",
        );
        return Err(Exit::Usage);
    }
    let state = std::path::absolute(&arguments.state.state).map_err(internal)?;
    let mut made = missing(&state);
    let usable = usable(&state, &arguments.state.state);
    let code = CodeCache::of(&state);
    if let CodeCache::Away(dir) = &code {
        made.push(dir.path().to_owned());
    }
    let (porter, leaving) = Porter::call(&state, &made, arguments.wall).map_err(internal)?;
    let wall_lacks = match arguments.wall {
        Wall::On => build(&ground(arguments, &state, &code), arguments),
        Wall::Off => {
            warn(
                output,
                "the host runs without its wall (`--wall off`): a plugin that breaks out of its sandbox can do whatever \
                 this user can",
            );
            crate::wall::LAYERS.map(str::to_owned).into()
        }
    };
    if arguments.require_sandbox && !wall_lacks.is_empty() {
        complain(output, "nothing was started, because `--require-sandbox` was said");
        leaving.wait();
        return Err(Exit::Failed);
    }
    Ok((Behind { porter: Arc::new(porter), code, usable, wall_lacks }, leaving))
}

/// Raises the wall, says what it lacks, and returns the names of that.
fn build(ground: &Ground, arguments: &cli::Run) -> Vec<String> {
    let layers = raise(ground);
    let lacking = layers.iter().filter_map(|layer| Some((layer, layer.missing()?)));
    lacking
        .map(|(Layer { name, .. }, (why, remedy))| {
            let what = format!("the host's wall lacks `{name}`: {why}; {remedy}");
            if arguments.require_sandbox {
                complain(arguments.output, &what);
            } else {
                warn(arguments.output, &what);
            }
            (*name).to_owned()
        })
        .collect()
}

/// The directories on the way there that do not exist yet, the outermost first.
fn missing(dir: &Path) -> Vec<PathBuf> {
    let mut missing: Vec<_> =
        dir.ancestors().take_while(|place| !place.exists()).map(Path::to_owned).collect();
    missing.reverse();
    missing
}

fn ground(arguments: &cli::Run, state: &Path, code: &CodeCache) -> Ground {
    let mut ground = Ground::of_any_program();
    ground.port = Some(http::port(std::env::var_os(http::PORT_VARIABLE).as_deref()).0);
    // A service manager whose socket has no file.
    ground.abstract_sockets =
        std::env::var_os("NOTIFY_SOCKET").is_some_and(|name| name.as_encoded_bytes().starts_with(b"@"));
    ground.write_below(state);
    #[cfg(debug_assertions)]
    // Where a test says at which place this process dies.
    ground.write.extend(razar_ledger::failpoint::armed_in());
    if let CodeCache::Away(dir) = code {
        ground.write.insert(dir.path().to_owned());
    }
    if let Some(place) = memory_place() {
        ground.list.extend(place.parent().map(Path::to_owned));
        ground.write.insert(place);
    }
    if let Some(Place::File(file)) = &arguments.witness {
        // A rule needs a file; the first note makes it anyway.
        let _ = std::fs::OpenOptions::new().append(true).create(true).open(file);
        ground.write.insert(file.clone());
    }
    ground.read.insert(arguments.stack.config.clone());
    ground.read.extend(arguments.brief.clone());
    ground.read.extend(crate::roster::of(&arguments.stack));
    for dir in &arguments.plugins.plugins {
        ground.read_packages(dir);
    }
    ground.read.extend(arguments.plugins.signers.clone());
    if let Some(file) = &arguments.plugins.grants {
        ground.read.insert(file.clone());
        let text = std::fs::read_to_string(file).unwrap_or_default();
        granted(&mut ground, &razar_core::document::grants::parse("grants", &text).unwrap_or_default());
    }
    let known =
        Known(arguments.plugins.plugins.iter().flat_map(|dir| razar_runtime::package::names(dir)).collect());
    if let Ok(checked) = read_plan(&arguments.stack.config, None, &Overrides::default(), &known) {
        logs(&mut ground, &checked.plan);
        repairable(&mut ground, &checked.plan);
    }
    ground
}

fn granted(ground: &mut Ground, grants: &Grants) {
    for (plugin, grant) in grants {
        for rule in &grant.dirs {
            let DirSource::Path(path) = rule.source() else { continue };
            let path = PathBuf::from(path.as_str());
            if !path.is_dir() {
                tracing::warn!(%plugin, "`{}` is granted and is no directory now: once it is, start the host again", path.display());
            }
            match rule.access() {
                Access::Read => ground.read.insert(path),
                Access::Write => ground.write.insert(path),
            };
        }
        for secret in grant.http.iter().filter_map(|http| http.secret.as_ref()) {
            if let SecretSource::File(path) = secret.source() {
                by_name(ground, Path::new(path));
            }
        }
    }
}

fn by_name(ground: &mut Ground, file: &Path) {
    if !ground.read_by_name(file) {
        tracing::warn!(
            "nothing on the way to `{}` is there now: once it is, start the host again",
            file.display()
        );
    }
}

/// Logs of services: they are rotated, and some are not there before their service is.
fn logs(ground: &mut Ground, plan: &BootPlan) {
    let probes = plan.components.iter().flat_map(|component| component.probes.all());
    for (_, probe) in probes {
        if let Check::Plugin { log: Some(LogSource::File(path)), .. } = &probe.check {
            by_name(ground, Path::new(path));
        }
    }
}

/// Files that a patch may change: the host reads them, and has somebody else change them.
fn repairable(ground: &mut Ground, plan: &BootPlan) {
    for component in plan.components.iter().filter(|component| component.repair.is_some()) {
        ground.read.insert(PathBuf::from(&component.workdir));
    }
}

/// The plugins there are by name: what they think of their settings is asked later.
struct Known(Vec<PluginId>);

impl Plugins for Known {
    fn names(&self, _: Role) -> Vec<PluginId> {
        self.0.clone()
    }
    fn check_settings(&self, _: &PluginId, _: &serde_json::Value) -> Vec<SettingsProblem> {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_directories_that_are_not_there_are_taken_away_again() {
        let dir = tempfile::tempdir().unwrap();
        assert!(missing(dir.path()).is_empty());
        assert_eq!(missing(&dir.path().join("a/b")), [dir.path().join("a"), dir.path().join("a/b")]);
    }
}
