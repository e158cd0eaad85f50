//! All plugins of a directory: those that loaded, and those that did not with the reason. One broken package never
//! keeps the others from loading, and is never forgotten.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use razar_core::grant::Grant;
use razar_core::id::PluginId;
use tokio::task::JoinSet;

use crate::load::LoadError;
use crate::locked::{self, Contents, LOCK};
use crate::package::{Named, Package, PackageError};
use crate::plugin::LoadedPlugin;
use crate::runtime::Runtime;

/// What a directory of packages holds.
#[derive(Debug, Default)]
pub struct Plugins {
    loaded: BTreeMap<PluginId, Installed>,
    failed: Vec<FailedPlugin>,
    left: Vec<PathBuf>,
}

/// A plugin that runs, with the package it came from.
#[derive(Debug, Clone)]
pub struct Installed {
    /// As written; its bytes are not kept.
    pub package: Package,
    /// As loaded.
    pub plugin: Arc<LoadedPlugin>,
}

/// A package that does not run.
#[derive(Debug)]
pub struct FailedPlugin {
    /// Where it lies.
    pub dir: PathBuf,
    /// Its name, if that could be read.
    pub id: Option<PluginId>,
    /// Why not.
    pub error: FailedLoad,
}

/// Why a package does not run.
#[derive(Debug, thiserror::Error)]
pub enum FailedLoad {
    /// Its files.
    #[error(transparent)]
    Package(#[from] PackageError),
    /// Its component.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Another package has the same name: which of the two is meant cannot be known, so neither runs.
    #[error("`{id}` is also the name of the package in `{}`: rename or remove one of them", other.display())]
    Duplicate {
        /// The name.
        id: PluginId,
        /// The other one.
        other: PathBuf,
    },
    /// Loading it failed inside the host.
    #[error("the host failed while loading it, please report it: {0}")]
    HostBug(String),
}

/// The directory itself cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the plugin directory `{}`: {source}", dir.display())]
pub struct PluginsError {
    dir: PathBuf,
    source: std::io::Error,
}

impl Plugins {
    /// A plugin by name.
    pub fn get(&self, id: &PluginId) -> Option<&Arc<LoadedPlugin>> {
        self.loaded.get(id).map(|installed| &installed.plugin)
    }

    /// Those that run, by name.
    pub fn loaded(&self) -> impl ExactSizeIterator<Item = &Installed> {
        self.loaded.values()
    }

    /// Those that do not, by directory.
    pub fn failed(&self) -> &[FailedPlugin] {
        &self.failed
    }

    /// Archives of our own making that no lock names: somebody's `plugin add` was interrupted.
    pub fn left(&self) -> &[PathBuf] {
        &self.left
    }
}

impl Runtime {
    /// Loads every package in a directory, several at a time; `grants` is what the operator gives to whom.
    pub async fn load_dir(
        self: &Arc<Self>,
        dir: &Path,
        grants: &BTreeMap<PluginId, Grant>,
    ) -> Result<Plugins, PluginsError> {
        self.load_those(dir, grants, None).await
    }

    /// Loads the packages of one name in a directory: a one-shot does not pay for the others.
    pub async fn load_named(
        self: &Arc<Self>,
        dir: &Path,
        id: &PluginId,
        grants: &BTreeMap<PluginId, Grant>,
    ) -> Result<Plugins, PluginsError> {
        self.load_those(dir, grants, Some(id)).await
    }

    async fn load_those(
        self: &Arc<Self>,
        dir: &Path,
        grants: &BTreeMap<PluginId, Grant>,
        only: Option<&PluginId>,
    ) -> Result<Plugins, PluginsError> {
        let mut plugins = Plugins::default();
        let mut packages = BTreeMap::<PluginId, Vec<Package>>::new();
        let found = match only {
            // Sooner done than handed to another thread.
            Some(_) => read_all(dir, only),
            None => {
                let place = dir.to_owned();
                let found = tokio::task::spawn_blocking(move || read_all(&place, None)).await;
                found.unwrap_or_else(|error| Err(std::io::Error::other(error)))
            }
        };
        let found = found.map_err(|source| PluginsError { dir: dir.to_owned(), source })?;
        plugins.left = found.left;
        for (dir, id, package) in found.found {
            match package {
                Ok(package) => packages.entry(package.manifest.name.clone()).or_default().push(package),
                Err(error) => plugins.failed.push(FailedPlugin { dir, id, error: error.into() }),
            }
        }
        let mut tasks = JoinSet::new();
        let mut places = BTreeMap::new();
        for (id, same) in packages {
            match <[Package; 1]>::try_from(same) {
                Ok([package]) => {
                    let runtime = Arc::clone(self);
                    let grant = grants.get(&id).cloned().unwrap_or_default();
                    let place = (package.dir.clone(), id);
                    let task = tasks.spawn(async move { runtime.install(package, &grant).await });
                    places.insert(task.id(), place);
                }
                Err(same) => plugins.failed.extend(duplicates(&id, &same)),
            }
        }
        while let Some(done) = tasks.join_next_with_id().await {
            let (task, result) = match done {
                Ok((task, result)) => (task, result.map_err(FailedLoad::from)),
                Err(error) => (error.id(), Err(FailedLoad::HostBug(error.to_string()))),
            };
            let Some((dir, id)) = places.remove(&task) else { continue };
            match result {
                Ok(installed) => drop(plugins.loaded.insert(id, installed)),
                Err(error) => plugins.failed.push(FailedPlugin { dir, id: Some(id), error }),
            }
        }
        plugins.failed.sort_by(|a, b| a.dir.cmp(&b.dir));
        Ok(plugins)
    }

    async fn install(&self, mut package: Package, grant: &Grant) -> Result<Installed, LoadError> {
        let source = package.source();
        package.wasm = Bytes::new();
        Ok(Installed { plugin: Arc::new(self.load(source, grant).await?), package })
    }
}

/// Every one of them fails, each naming another.
fn duplicates(id: &PluginId, same: &[Package]) -> Vec<FailedPlugin> {
    let others = same.iter().cycle().skip(1);
    same.iter()
        .zip(others)
        .map(|(package, other)| FailedPlugin {
            dir: package.dir.clone(),
            id: Some(id.clone()),
            error: FailedLoad::Duplicate { id: id.clone(), other: other.dir.clone() },
        })
        .collect()
}

/// Packages are directories; a component that lies beside them is pointed out. Hidden entries and other files are
/// nobody's business, and of a package by another name than the one that is wanted only the manifest is read. Where there is a
/// lock, it says what the packages are.
fn read_all(dir: &Path, only: Option<&PluginId>) -> std::io::Result<Contents> {
    let mut contents = Contents::default();
    match locked::lock_of(dir) {
        Ok(None) => {}
        Ok(Some(lock)) => {
            let contents = locked::read_all(dir, &lock, only)?;
            // A `plugin add` that ended meanwhile has taken away what the lock named before.
            return match locked::lock_of(dir) {
                Ok(Some(newer)) if newer != lock => locked::read_all(dir, &newer, only),
                _ => Ok(contents),
            };
        }
        Err(error) => {
            contents.found.push((dir.join(LOCK), None, Err(error)));
            return Ok(contents);
        }
    }
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name());
        if name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        if path.is_dir() {
            let named = match only {
                Some(only) => Named::open_if(&path, only),
                None => Some(Named::open(&path)),
            };
            let package = match named {
                None => continue,
                Some(Ok(named)) if only.is_some_and(|only| *only != named.manifest.name) => continue,
                Some(named) => named.and_then(Named::read),
            };
            contents.found.push((path, None, package));
        } else if path.extension().is_some_and(|extension| extension == "wasm") {
            contents.found.push((path.clone(), None, Err(PackageError::Stray(path))));
        } else if let Some(owner) = name.to_str().and_then(locked::owner_of) {
            contents.found.push((path.clone(), Some(owner), Err(PackageError::Unlocked(path))));
        }
    }
    Ok(contents)
}
