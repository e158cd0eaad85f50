//! The plugins of this host: what the runtime loaded, met with what the operator grants, ready to be asked. A package
//! that cannot be used is kept with its reason, so that it is named instead of missing; the others run.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use razar_core::document::grants::Grants;
use razar_core::grant::{Grant, Meeting, Role, SETTINGS, SecretRef, SecretSource, meet};
use razar_core::id::{Digest, PluginId};
use razar_core::plan::{Plugins, SettingsProblem};
use razar_core::problem::{Problem, json_cause, nearest};
use razar_core::trust::{Refused, Signers};
use razar_runtime::Runtime;
use razar_runtime::archive::MAX_ARCHIVE;
use razar_runtime::contract::Probe;
use razar_runtime::contract::evaluator::Evaluator;
use razar_runtime::locked;
use razar_runtime::package::{Package, PackageError};
use razar_runtime::plugin::LoadedPlugin;
use razar_runtime::plugins::FailedLoad;

/// Problems told about one probe's settings: enough to mend them.
const MAX_SETTINGS_PROBLEMS: usize = 20;

/// Where plugins come from, and what the operator says of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sources<'a> {
    /// Directories of packages.
    pub(crate) dirs: &'a [PathBuf],
    /// What they are granted.
    pub(crate) grants: Option<&'a Path>,
    /// Whose signatures are believed.
    pub(crate) signers: Option<&'a Path>,
}

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
    /// What is given to whom cannot be read, which is one problem and not one of every plugin.
    grants_unread: bool,
}

impl Packages {
    /// Loads every package of these directories.
    pub(crate) async fn load(sources: Sources<'_>, runtime: &Arc<Runtime>) -> Self {
        Self::load_those(sources, runtime, None).await
    }

    /// Loads what goes by one name: a one-shot does not pay for the others.
    pub(crate) async fn load_named(sources: Sources<'_>, runtime: &Arc<Runtime>, name: &PluginId) -> Self {
        Self::load_those(sources, runtime, Some(name)).await
    }

    async fn load_those(sources: Sources<'_>, runtime: &Arc<Runtime>, only: Option<&PluginId>) -> Self {
        let Sources { dirs, grants, signers } = sources;
        let mut packages = Self::default();
        let given = grants.map_or_else(Grants::new, |file| packages.read_grants(file));
        let signers = signers.map(|file| {
            read_signers(file).unwrap_or_else(|problems| {
                packages.problems.extend(problems);
                // Whom to believe is not known: nobody, then.
                Signers { required: true, ..Signers::default() }
            })
        });
        for dir in dirs {
            let found = match only {
                Some(name) => runtime.load_named(dir, name, &given).await,
                None => runtime.load_dir(dir, &given).await,
            };
            match found {
                Ok(found) => {
                    for left in found.left() {
                        packages.warnings.push(left_over(left, dir));
                    }
                    for failed in found.failed() {
                        packages.found.extend(failed.id.clone().or_else(|| named_by(&failed.dir)));
                        if let FailedLoad::Package(PackageError::Lock(problems)) = &failed.error {
                            packages.problems.extend(problems.iter().cloned());
                            continue;
                        }
                        let place =
                            failed.id.as_ref().map_or_else(|| "package".to_owned(), ToString::to_string);
                        packages.problem(&failed.dir, &place, failed.error.to_string(), None);
                    }
                    for installed in found.loaded() {
                        if let Some(signers) = &signers
                            && let Err(problem) = vouched(&installed.package, signers)
                        {
                            packages.found.insert(installed.package.manifest.name.clone());
                            packages.problems.push(problem);
                            continue;
                        }
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
        for SettingsProblem { pointer, message, hint } in entry.check_configured() {
            let place = format!("[{name}] config.settings{pointer}");
            self.problem(file.unwrap_or(&dir), &place, message, hint);
        }
        if unmet.is_empty() {
            self.entries.insert(name, entry);
        } else if self.grants_unread {
            // Nobody knows what it is granted.
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
                self.grants_unread = true;
                let hint = "name the operator's grants with `--grants FILE`".to_owned();
                self.problem(file, "file", format!("cannot be read: {error}"), Some(hint));
                return Grants::new();
            }
        };
        razar_core::document::grants::parse(&file.display().to_string(), &text).unwrap_or_else(|problems| {
            self.grants_unread = true;
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

    fn is_refused(&self, plugin: &PluginId) -> bool {
        self.found.contains(plugin) && !self.entries.contains_key(plugin) && !self.idle.contains_key(plugin)
    }

    fn rereads(&self, plugin: &PluginId) -> bool {
        let is_file = |secret: &SecretRef| matches!(secret.source(), SecretSource::File(_));
        self.entries.get(plugin).is_some_and(|entry| entry.secrets().any(is_file))
    }
}

impl Entry {
    /// The first secret it is granted and that is not there. A file may still come, and is looked at when it is needed.
    fn lacks(&self) -> Option<String> {
        let missing = |secret: &SecretRef| match secret.source() {
            SecretSource::Env(name) => {
                let set = std::env::var_os(name).is_some_and(|value| !value.is_empty());
                (!set)
                    .then(|| format!("the environment variable `{name}` is not set or is empty: its secret"))
            }
            SecretSource::File(_) => None,
        };
        self.secrets().find_map(missing)
    }

    /// What it is granted to be sent with.
    fn secrets(&self) -> impl Iterator<Item = &SecretRef> {
        self.grant.http.iter().filter_map(|http| http.secret.as_ref())
    }

    /// What is wrong with the settings that its grant hands over, if it does and the plugin says what they may be.
    fn check_configured(&self) -> Vec<SettingsProblem> {
        let Some(text) = self.grant.config.get(SETTINGS).filter(|_| self.settings.is_some()) else {
            return Vec::new();
        };
        match serde_json::from_str(text) {
            Ok(settings) => self.check_settings(&settings),
            Err(error) => vec![SettingsProblem {
                pointer: String::new(),
                message: format!("is not JSON: {}", json_cause(&error)),
                hint: Some(
                    r#"write a JSON object in single quotes, for instance '{ "retries": 1 }'"#.to_owned(),
                ),
            }],
        }
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

/// The plugin that a package is probably of whose manifest cannot be read.
pub(crate) fn named_by(dir: &Path) -> Option<PluginId> {
    dir.file_name()?.to_str()?.parse().ok()
}

/// Makes what checks that a schema is one, for the draft that most plugins write: of a one-shot's whole time it takes a
/// tenth, and may do so while the plugin loads.
pub(crate) fn prepare_schemas() {
    // What is asked does not matter.
    let _ = jsonschema::draft7::meta::is_valid(&serde_json::Value::Bool(true));
}

/// Whose signatures are believed.
pub(crate) fn read_signers(file: &Path) -> Result<Signers, Vec<Problem>> {
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file).map_err(|error| {
        vec![Problem {
            file: name.clone(),
            place: "file".to_owned(),
            message: format!("cannot be read: {error}"),
            hint: Some(
                "name the file of those whose signatures are believed with `--signers FILE`".to_owned(),
            ),
        }]
    })?;
    razar_core::document::signers::parse(&name, &text)
}

/// Whether a package that is loaded is signed by somebody who is believed today, as far as that is asked for. Its archive is
/// read again, and counts only if it is what was loaded.
pub(crate) fn vouched(package: &Package, signers: &Signers) -> Result<(), Problem> {
    let name = &package.manifest.name;
    let problem = |message: String, hint: Option<String>| Problem {
        file: package.dir.display().to_string(),
        place: name.to_string(),
        message,
        hint,
    };
    let refused = |refused: Refused| problem(refused.to_string(), Some(refused.hint()));
    let signed = package.pin.as_ref().and_then(|pin| Some((pin, pin.signed.as_ref()?)));
    match signed {
        None if signers.required => Err(refused(Refused::Unsigned)),
        None => Ok(()),
        Some((pin, signed)) => {
            let bytes =
                locked::bytes(&package.dir, MAX_ARCHIVE).map_err(|error| problem(error.to_string(), None))?;
            let found = Digest::of(&bytes);
            if found != pin.digest {
                let changed = PackageError::Changed { path: package.dir.clone(), found, pinned: pin.digest };
                return Err(problem(changed.to_string(), None));
            }
            signers.verify(name, &bytes, &signed.text).map(drop).map_err(refused)
        }
    }
}

/// An archive that no lock names, as an interrupted `plugin add` leaves one.
fn left_over(archive: &Path, dir: &Path) -> Problem {
    let (archive, dir) = (archive.display(), dir.display());
    Problem {
        file: archive.to_string(),
        place: "package".to_owned(),
        message: "is not named in `plugins.lock` beside it and is not loaded: a `plugin add` was interrupted, or a `plugin \
                  remove`, or one is at work"
            .to_owned(),
        hint: Some(format!(
            "`razar-host plugin add {archive} --plugins {dir}` completes the one; or take the file away, as the other would"
        )),
    }
}

/// Whether what a package says about its settings can be used.
pub(crate) fn check_schema(package: &Package) -> Result<(), String> {
    package.settings.as_deref().map(validator).transpose().map(drop)
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
