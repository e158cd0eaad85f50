//! The plugins of this host: what the runtime loaded, met with what the operator grants, ready to be asked. A package
//! that cannot be used is kept with its reason, so that it is named instead of missing; the others run.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use razar_core::document::grants::Grants;
use razar_core::grant::{Grant, Meeting, Role, SecretRef, SecretSource, meet};
use razar_core::id::PluginId;
use razar_core::plan::{Plugins, SettingsProblem};
use razar_core::problem::{Problem, nearest};
use razar_runtime::Runtime;
use razar_runtime::contract::Probe;
use razar_runtime::contract::evaluator::Evaluator;
use razar_runtime::package::Package;
use razar_runtime::plugin::LoadedPlugin;

/// Problems told about one probe's settings: enough to mend them.
const MAX_SETTINGS_PROBLEMS: usize = 20;

/// A plugin that runs.
pub(crate) struct Entry {
    pub(crate) package: Package,
    pub(crate) plugin: Arc<LoadedPlugin>,
    pub(crate) grant: Grant,
    pub(crate) meeting: Meeting,
    settings: Option<jsonschema::Validator>,
}

/// All of them.
#[derive(Default)]
pub(crate) struct Packages {
    entries: BTreeMap<PluginId, Entry>,
    /// Agents that nobody has granted anything: they could run, and wait to be wanted.
    idle: BTreeMap<PluginId, (Entry, Vec<Problem>)>,
    /// What the operator gives, to whomever.
    given: Grants,
    /// What cannot be used, and what is wrong with the grants.
    problems: Vec<Problem>,
    /// What holds nothing up and is probably a mistake.
    warnings: Vec<Problem>,
    /// Names of all that were found, also of those that cannot be used.
    found: BTreeSet<PluginId>,
}

impl Packages {
    /// Loads every package of these directories.
    pub(crate) async fn load(dirs: &[PathBuf], grants: Option<&Path>, runtime: &Arc<Runtime>) -> Self {
        Self::load_those(dirs, grants, runtime, None).await
    }

    /// Loads what goes by one name: a one-shot does not pay for the others.
    pub(crate) async fn load_named(
        dirs: &[PathBuf],
        grants: Option<&Path>,
        runtime: &Arc<Runtime>,
        name: &PluginId,
    ) -> Self {
        Self::load_those(dirs, grants, runtime, Some(name)).await
    }

    async fn load_those(
        dirs: &[PathBuf],
        grants: Option<&Path>,
        runtime: &Arc<Runtime>,
        only: Option<&PluginId>,
    ) -> Self {
        let mut packages = Self::default();
        let given = grants.map_or_else(Grants::new, |file| packages.read_grants(file));
        for dir in dirs {
            let found = match only {
                Some(name) => runtime.load_named(dir, name, &given).await,
                None => runtime.load_dir(dir, &given).await,
            };
            match found {
                Ok(found) => {
                    for failed in found.failed() {
                        packages.found.extend(failed.id.clone());
                        let place =
                            failed.id.as_ref().map_or_else(|| "package".to_owned(), ToString::to_string);
                        packages.problem(&failed.dir, &place, failed.error.to_string(), None);
                    }
                    for installed in found.loaded() {
                        packages.add(
                            installed.package.clone(),
                            Arc::clone(&installed.plugin),
                            &given,
                            grants,
                        );
                    }
                }
                Err(error) => {
                    let hint = "name a directory of plugin packages; `cargo xtask plugins` builds those of this repository";
                    packages.problem(dir, "directory", error.to_string(), Some(hint.to_owned()));
                }
            }
        }
        if let (Some(file), None) = (grants, only) {
            packages.warn_of_strangers(file, &given);
        }
        packages.given = given;
        packages
    }

    /// One package that its author is working on.
    pub(crate) async fn load_one(dir: &Path, grants: Option<&Path>, runtime: &Runtime) -> Self {
        let mut packages = Self::default();
        let given = grants.map_or_else(Grants::new, |file| packages.read_grants(file));
        match Package::read(dir) {
            Err(error) => packages.problem(dir, "package", error.to_string(), None),
            Ok(package) => {
                let grant = given.get(&package.manifest.name).cloned().unwrap_or_default();
                match runtime.load(package.source(), &grant).await {
                    Ok(plugin) => packages.add(package, Arc::new(plugin), &given, grants),
                    Err(error) => packages.problem(dir, "package", error.to_string(), None),
                }
            }
        }
        packages.given = given;
        packages
    }

    /// Grants to a plugin that is nowhere give nothing to anybody: usually its name is mistyped.
    fn warn_of_strangers(&mut self, file: &Path, given: &Grants) {
        for plugin in given.keys().filter(|plugin| !self.found.contains(*plugin)) {
            let known = self.found.iter().map(PluginId::as_str);
            let hint = match nearest(plugin.as_str(), known) {
                Some(near) => format!("did you mean `[{near}]`?"),
                None => "take the table away, or name the plugin's directory with `--plugins DIR`".to_owned(),
            };
            self.warnings.push(Problem {
                file: file.display().to_string(),
                place: format!("[{plugin}]"),
                message: format!("grants something to `{plugin}`, and no plugin has that name"),
                hint: Some(hint),
            });
        }
    }

    fn add(&mut self, package: Package, plugin: Arc<LoadedPlugin>, given: &Grants, file: Option<&Path>) {
        let (name, dir) = (package.manifest.name.clone(), package.dir.clone());
        self.found.insert(name.clone());
        if let Some(other) = self.entries.get(&name) {
            let message =
                format!("`{name}` is also the name of the package in `{}`", other.package.dir.display());
            let hint = "give one of them another name, or take it away".to_owned();
            return self.problem(&dir, "name", message, Some(hint));
        }
        let settings = match package.settings.as_deref().map(validator).transpose() {
            Ok(settings) => settings,
            Err(message) => return self.problem(&dir, "settings", message, None),
        };
        let grant = given.get(&name).cloned().unwrap_or_default();
        let meeting = meet(&roles(&plugin), &package.manifest.request, &grant);
        for unused in &meeting.unused {
            let message =
                format!("grants {} `{}`, which `{name}` never asks for", unused.capability, unused.granted);
            let hint = "take the line away, or ask for it in the plugin's `plugin.toml`".to_owned();
            self.problem(file.unwrap_or(&dir), &format!("[{name}]"), message, Some(hint));
        }
        let unmet = meeting.unmet.iter().map(|unmet| Problem {
            file: dir.display().to_string(),
            place: "request".to_owned(),
            message: format!("asks for {} `{}` and is not granted it", unmet.capability, unmet.wanted),
            hint: Some(unmet.remedy(&name, file.map(|file| file.display().to_string()).as_deref())),
        });
        let unmet: Vec<Problem> = unmet.collect();
        let entry = Entry { package, plugin, grant, meeting, settings };
        if unmet.is_empty() {
            self.entries.insert(name, entry);
        } else if !given.contains_key(&name) && roles(&entry.plugin) == [Role::Agent] {
            // Many agents may lie here, and keys for some of them: who has no table is not meant, and holds nothing up.
            self.idle.insert(name, (entry, unmet));
        } else {
            self.problems.extend(unmet);
        }
    }

    fn problem(&mut self, file: &Path, place: &str, message: String, hint: Option<String>) {
        let file = file.display().to_string();
        self.problems.push(Problem { file, place: place.to_owned(), message, hint });
    }

    fn read_grants(&mut self, file: &Path) -> Grants {
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) => {
                self.problem(file, "file", format!("cannot be read: {error}"), None);
                return Grants::new();
            }
        };
        razar_core::document::grants::parse(&file.display().to_string(), &text).unwrap_or_else(|problems| {
            self.problems.extend(problems);
            Grants::new()
        })
    }

    /// All that run.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&PluginId, &Entry)> {
        self.entries.iter()
    }

    /// Agents that nobody has granted anything.
    pub(crate) fn idle(&self) -> impl Iterator<Item = (&PluginId, &Entry)> {
        self.idle.iter().map(|(name, (entry, _))| (name, entry))
    }

    /// What one of them asks for, with the lines that would give it.
    pub(crate) fn why_idle(&self, name: &str) -> &[Problem] {
        let found = self.idle.iter().find(|(id, _)| id.as_str() == name);
        found.map_or(&[], |(_, (_, problems))| problems)
    }

    /// What the operator gives to one of them, if it is here.
    pub(crate) fn granted(&self, name: &PluginId) -> Option<&Grant> {
        self.entries.get(name).map(|entry| &entry.grant)
    }

    /// All that the operator gives, also to plugins that are not here.
    pub(crate) fn grants(&self) -> impl Iterator<Item = &Grant> {
        self.given.values()
    }

    /// One of those that run.
    pub(crate) fn get(&self, name: &PluginId) -> Option<&LoadedPlugin> {
        self.entries.get(name).map(|entry| entry.plugin.as_ref())
    }

    /// One as a probe.
    pub(crate) fn probe(&self, name: &PluginId) -> Option<&dyn Probe> {
        self.entries.get(name)?.plugin.probe()
    }

    /// One as an evaluator.
    pub(crate) fn evaluator(&self, name: &PluginId) -> Option<&dyn Evaluator> {
        self.entries.get(name)?.plugin.evaluator()
    }

    /// What holds nothing up and is probably a mistake.
    pub(crate) fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// Everything that is wrong.
    pub(crate) fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl Plugins for Packages {
    fn names(&self, role: Role) -> Vec<PluginId> {
        let fits =
            |(name, entry): (&PluginId, &Entry)| roles(&entry.plugin).contains(&role).then(|| name.clone());
        self.entries.iter().filter_map(fits).collect()
    }

    fn check_settings(&self, plugin: &PluginId, settings: &serde_json::Value) -> Vec<SettingsProblem> {
        self.entries.get(plugin).map(|entry| entry.check_settings(settings)).unwrap_or_default()
    }

    fn how_to_wake(&self, plugin: &PluginId) -> Option<String> {
        let (_, unmet) = self.idle.get(plugin)?;
        let first = unmet.first()?.hint.as_ref()?;
        Some(match unmet.len() {
            1 => first.clone(),
            _ => format!("{first}; `razar-host plugin inspect {plugin}` says what else it asks for"),
        })
    }

    fn lacks(&self, plugin: &PluginId) -> Option<String> {
        self.entries.get(plugin).and_then(Entry::lacks)
    }
}

impl Entry {
    /// The first secret it is granted and that is not there. A file may still come, and is looked at when it is needed.
    fn lacks(&self) -> Option<String> {
        let secrets = self.grant.http.iter().filter_map(|http| http.secret.as_ref());
        let missing = |secret: &SecretRef| match secret.source() {
            SecretSource::Env(name) => {
                let set = std::env::var_os(name).is_some_and(|value| !value.is_empty());
                (!set)
                    .then(|| format!("the environment variable `{name}` is not set or is empty: its secret"))
            }
            SecretSource::File(_) => None,
        };
        secrets.into_iter().find_map(missing)
    }

    /// What is wrong with these settings.
    pub(crate) fn check_settings(&self, settings: &serde_json::Value) -> Vec<SettingsProblem> {
        let Some(schema) = &self.settings else { return Vec::new() };
        let file = self.package.manifest.settings.as_ref().map(|name| self.package.dir.join(name.as_str()));
        let problems = schema.iter_errors(settings).map(|error| SettingsProblem {
            pointer: error.instance_path().to_string(),
            message: error.to_string(),
            hint: file.as_ref().map(|file| format!("`{}` says what may be written", file.display())),
        });
        problems.take(MAX_SETTINGS_PROBLEMS).collect()
    }
}

/// Makes what checks that a schema is one, for the draft that most plugins write: of a one-shot's whole time it takes a
/// tenth, and may do so while the plugin loads.
pub(crate) fn prepare_schemas() {
    // What is asked does not matter.
    let _ = jsonschema::draft7::meta::is_valid(&serde_json::Value::Bool(true));
}

fn validator(schema: &str) -> Result<jsonschema::Validator, String> {
    let schema: serde_json::Value =
        serde_json::from_str(schema).map_err(|error| format!("the settings' schema is not JSON: {error}"))?;
    jsonschema::validator_for(&schema)
        .map_err(|error| format!("the settings' schema is no JSON Schema: {error}"))
}

/// What a plugin is for.
pub(crate) fn roles(plugin: &LoadedPlugin) -> Vec<Role> {
    plugin.inspection().roles.iter().map(|export| export.role).collect()
}
