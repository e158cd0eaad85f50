//! From a boot configuration to a [`BootPlan`]: the only way there. Order of evaluation: size, JSON, shape, components
//! one by one, names across components, layers and dependencies. Each stage reports everything it finds, and a plan
//! exists only if nobody found anything.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use super::confine::{Confinement, confinement};
use super::json::Node;
use super::patch::Directories;
use super::place::{Place, Problems, quote};
use super::probe::Probing;
use super::{
    BootPlan, ComponentPlan, RestartPolicy, Roster, StopPolicy, json, order, probe, read, repair, signal,
};
use crate::document::boot::{BootConfig, Component, Entrypoint, Restart, Stop};
use crate::grant::Role;
use crate::id::{ComponentId, Digest, PluginId};
use crate::patch::Rules;
use crate::problem::{Problem, json_cause, json_place};
use crate::time::Millis;

/// Largest boot configuration: ten thousand generous components; more is not a configuration but an attack on memory.
pub const MAX_DOCUMENT: usize = 4 * 1024 * 1024;
/// Most launches one incident may make: more is a loop that nobody will see end.
const MAX_RETRIES: u32 = 1000;
/// Longest word of an argument list or an environment variable; the kernel takes 128 KiB with its terminator.
const MAX_WORD: usize = 128 * 1024 - 1;
/// The shortest back-off: below it a crash loop is a busy loop.
const MIN_BACKOFF: Millis = Millis(10);

/// What a document means something in.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The file as the operator named it, for messages.
    pub file: &'a str,
    /// The absolute directory the file is in: the default working directory.
    pub directory: &'a str,
    /// The plugins there are.
    pub plugins: &'a dyn Plugins,
    /// What the command line says instead.
    pub overrides: &'a Overrides,
    /// Who repairs a component that names nobody itself.
    pub roster: Option<&'a Roster>,
}

/// What the command line says instead of the document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `--mission`.
    pub mission: Option<String>,
    /// `--retries`, for every component.
    pub retries: Option<u32>,
    /// `RAZAR_HEALTH_PROBE_INTERVAL`: between questions whose interval the document does not say.
    pub interval: Option<Millis>,
    /// `RAZAR_RSTAR_THRESHOLD`.
    pub rstar_threshold: Option<u32>,
    /// `RAZAR_ESCALATION_WARNING_THRESHOLD`.
    pub warning_threshold: Option<u32>,
    /// `--remote-attempts`: of one incident in total.
    pub remote_attempts: Option<u32>,
    /// `--long-task`.
    pub long_task: bool,
    /// `--tournament`, for every component.
    pub tournament: bool,
}

/// The plugins a document may name.
pub trait Plugins {
    /// All that have this role.
    fn names(&self, role: Role) -> Vec<PluginId>;
    /// What is wrong with these settings of one of them.
    fn check_settings(&self, plugin: &PluginId, settings: &Value) -> Vec<SettingsProblem>;
    /// How one that is here, and idle because nobody grants it what it needs, would be granted it.
    fn how_to_wake(&self, _plugin: &PluginId) -> Option<String> {
        None
    }
    /// What one that is granted cannot do without, and is not there: its credential.
    fn lacks(&self, _plugin: &PluginId) -> Option<String> {
        None
    }
    /// It is here and cannot be used, and whoever looked at it has said why: no document is wrong because it names it.
    fn is_refused(&self, _plugin: &PluginId) -> bool {
        false
    }
    /// Its credentials are in files, which are read again for every call: one that is missing may be there the next time.
    fn rereads(&self, _plugin: &PluginId) -> bool {
        false
    }
}

/// One thing wrong with the settings of a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsProblem {
    /// Where in the settings, as a JSON pointer; empty for the whole.
    pub pointer: String,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub hint: Option<String>,
}

/// Reads a boot configuration.
///
/// # Errors
/// Everything wrong with it, in document order as far as one thing can be told from another.
pub fn build(document: &[u8], context: &Context<'_>) -> Result<BootPlan, Vec<Problem>> {
    let mut problems = Problems::new(context.file);
    let plan = config(document, &mut problems).and_then(|config| mean(config, context, &mut problems));
    let problems = problems.into_list();
    match plan {
        Some(plan) if problems.is_empty() => Ok(plan),
        _ => Err(problems),
    }
}

/// How many components a document names, whatever else is wrong with it; none if that cannot be told.
pub fn count_components(document: &[u8]) -> Option<usize> {
    if document.len() > MAX_DOCUMENT {
        return None;
    }
    let Node::Object(entries) = json::parse(document).ok()? else { return None };
    let components = entries.iter().find(|(key, _)| key == "components");
    match components.map(|(_, node)| node) {
        Some(Node::List(items)) => Some(items.len()),
        _ => None,
    }
}

pub(super) fn config(document: &[u8], problems: &mut Problems<'_>) -> Option<BootConfig> {
    if document.len() > MAX_DOCUMENT {
        let message = format!("is {} bytes; a boot configuration has at most {MAX_DOCUMENT}", document.len());
        problems.add(&Place::Root, message, "split the stack over several configurations".to_owned());
        return None;
    }
    match json::parse(document) {
        Ok(node) => read::boot_config(&node, problems),
        Err(error) => {
            let hint =
                "JSON has no comments and no trailing commas, and every text is in double quotes".to_owned();
            let message = format!("is not JSON: {}", json_cause(&error));
            problems.add_at(json_place(&error), message, Some(hint));
            None
        }
    }
}

fn mean(config: BootConfig, context: &Context<'_>, problems: &mut Problems<'_>) -> Option<BootPlan> {
    let root = Place::Root;
    let place = Place::Key(&root, "components");
    if config.components.is_empty() && !problems.refused(&place) {
        let hint =
            r#"add "components": [{ "id": "web", "entrypoint": "./web", "health": "tcp://127.0.0.1:8000" }]"#;
        problems.add(&place, "there is no component to boot", hint.to_owned());
    }
    let probing = Probing::new(context.plugins, context.overrides.interval);
    let entries = &config.components;
    let names: Vec<Option<ComponentId>> = entries
        .iter()
        .enumerate()
        .map(|(index, entry)| name(entry, &Place::Index(&place, index), problems))
        .collect();
    unique(&names, &place, problems);
    let layers = order::layers(&config, problems);
    let each = |(index, entry)| workdir(entry, &Place::Index(&place, index), context.directory, problems);
    let workdirs: Vec<String> = entries.iter().enumerate().map(each).collect();
    let owners = names.iter().zip(&workdirs).map(|(id, workdir)| (id.as_ref(), workdir.as_str()));
    let mut directories = Directories::new(owners);
    let mut components = Vec::with_capacity(entries.len());
    for (index, entry) in entries.iter().enumerate() {
        let place = Place::Index(&place, index);
        let id = names.get(index).cloned().flatten();
        let layer = layers.of(entry.layer.as_deref());
        let workdir = workdirs.get(index).cloned().unwrap_or_default();
        let patch = directories.rules(entry, id.as_ref(), &workdir, &place, problems);
        let made = Made { id, layer, workdir, patch };
        if let Some(component) = component(entry, made, &place, &probing, context, problems) {
            components.push(component);
        }
    }
    order::dependencies(entries, &names, &layers, problems);
    (components.len() == entries.len()).then(|| BootPlan {
        mission: context.overrides.mission.clone().or(config.mission),
        components,
        layers: layers.names,
        warnings: problems.take_warnings(),
    })
}

pub(super) fn name(entry: &Component, place: &Place<'_>, problems: &mut Problems<'_>) -> Option<ComponentId> {
    if problems.refused(place) {
        return None;
    }
    let (id_place, name_place) = (Place::Key(place, "id"), Place::Key(place, "name"));
    let (text, place) = match (&entry.id, &entry.name) {
        (Some(_), Some(_)) => {
            problems.add(place, "has both `id` and `name`", "keep `id`: they mean the same".to_owned());
            return None;
        }
        (Some(id), None) => (id, id_place),
        (None, Some(name)) => (name, name_place),
        (None, None) => {
            if !problems.refused(&id_place) && !problems.refused(&name_place) {
                problems.add(place, "has no name", r#"add "id": "some-name""#.to_owned());
            }
            return None;
        }
    };
    match text.parse() {
        Ok(id) => Some(id),
        Err(error) => {
            problems.add(&place, error.to_string(), None);
            None
        }
    }
}

/// Names become file names, and some file systems fold case: two that differ in case only would share their files.
pub(super) fn unique(names: &[Option<ComponentId>], place: &Place<'_>, problems: &mut Problems<'_>) {
    let mut seen: HashMap<String, (usize, &ComponentId)> = HashMap::with_capacity(names.len());
    for (index, id) in names.iter().enumerate() {
        let Some(id) = id else { continue };
        match seen.get(&id.as_str().to_ascii_lowercase()) {
            Some((first, other)) => {
                let message = if *other == id {
                    format!("`{id}` is also the name of components[{first}]")
                } else {
                    format!("`{id}` differs from `{other}` of components[{first}] in case only")
                };
                problems.add(
                    &Place::Index(place, index),
                    message,
                    "give each component a name of its own".to_owned(),
                );
            }
            None => {
                seen.insert(id.as_str().to_ascii_lowercase(), (index, id));
            }
        }
    }
}

/// What is found out about a component by looking at all of them.
struct Made {
    id: Option<ComponentId>,
    layer: Option<u32>,
    workdir: String,
    patch: Rules,
}

fn component(
    entry: &Component,
    made: Made,
    place: &Place<'_>,
    probing: &Probing<'_>,
    context: &Context<'_>,
    problems: &mut Problems<'_>,
) -> Option<ComponentPlan> {
    if problems.refused(place) && *entry == Component::default() {
        return None;
    }
    let command = command(entry, place, problems);
    let Made { id, layer, workdir, patch } = made;
    let user = user(entry, place, problems);
    let env = env(entry, place, problems);
    let probes = probe::probes(entry, id.as_ref(), &workdir, place, probing, problems);
    let restart = restart(entry.restart.as_ref(), context.overrides, &Place::Key(place, "restart"), problems);
    let stop = stop(entry.stop.as_ref(), &Place::Key(place, "stop"), problems);
    let confine = confinement(entry, place, problems);
    let repair = repair::repair(entry.repair.as_ref(), context, place, problems);
    let command = command?;
    Some(ComponentPlan {
        spec: spec(&command, &env, user.as_deref(), &workdir, &confine),
        id: id?,
        layer: layer?,
        command,
        env,
        workdir,
        user,
        confine,
        // Unknown names are reported, and then there is no plan.
        depends_on: entry.depends_on.iter().flatten().filter_map(|name| name.parse().ok()).collect(),
        vital: entry.vital.unwrap_or(false),
        probes: probes?,
        restart,
        stop,
        patch,
        repair,
    })
}

fn command(entry: &Component, place: &Place<'_>, problems: &mut Problems<'_>) -> Option<Vec<String>> {
    let (command_place, entry_place) = (Place::Key(place, "command"), Place::Key(place, "entrypoint"));
    let (written, place) = match (&entry.command, &entry.entrypoint) {
        (Some(_), Some(_)) => {
            let hint = "keep `entrypoint`: they mean the same".to_owned();
            problems.add(place, "has both `command` and `entrypoint`", hint);
            return None;
        }
        (Some(written), None) => (written, command_place),
        (None, Some(written)) => (written, entry_place),
        (None, None) => {
            if !problems.refused(&command_place) && !problems.refused(&entry_place) {
                let hint = r#"add "entrypoint": ["python3", "service.py"]"#.to_owned();
                problems.add(place, "has neither `entrypoint` nor `command`", hint);
            }
            return None;
        }
    };
    let words = match written {
        Entrypoint::Words(words) => words.clone(),
        Entrypoint::Line(line) => match shell_words::split(line) {
            Ok(words) => words,
            Err(_) => {
                let hint = r#"close the quote, or write a list: ["program", "argument"]"#.to_owned();
                problems.add(&place, "cannot be split into words: a quote is not closed", hint);
                return None;
            }
        },
    };
    argv(words, &place, problems)
}

/// What the kernel would refuse in an argument list, refused where it was written.
pub(super) fn argv(
    words: Vec<String>,
    place: &Place<'_>,
    problems: &mut Problems<'_>,
) -> Option<Vec<String>> {
    if words.first().is_none_or(String::is_empty) {
        problems.add(place, "names no program", r#"write ["program", "argument"]"#.to_owned());
        return None;
    }
    let mut sound = true;
    for (index, word) in words.iter().enumerate() {
        sound &= text_for_kernel(word, &Place::Index(place, index), problems);
    }
    sound.then_some(words)
}

fn text_for_kernel(text: &str, place: &Place<'_>, problems: &mut Problems<'_>) -> bool {
    let wrong = if text.contains('\0') {
        "contains a NUL character, which no program can receive".to_owned()
    } else if text.len() > MAX_WORD {
        format!("is {} bytes long; a program can receive {MAX_WORD}", text.len())
    } else {
        return true;
    };
    problems.add(place, wrong, None);
    false
}

pub(super) fn workdir(
    entry: &Component,
    place: &Place<'_>,
    directory: &str,
    problems: &mut Problems<'_>,
) -> String {
    let Some(written) = &entry.workdir else { return directory.to_owned() };
    let place = Place::Key(place, "workdir");
    if written.is_empty() {
        problems.add(&place, "is empty", "leave it out to run in the directory of this file".to_owned());
    }
    text_for_kernel(written, &place, problems);
    join(directory, written)
}

/// A path below a directory, unless it is absolute. Lexical: core does not look at the file system.
pub(super) fn join(directory: &str, path: &str) -> String {
    if path.starts_with('/') {
        return path.to_owned();
    }
    let path = path.trim_start_matches("./");
    match path {
        "" | "." => directory.to_owned(),
        _ => format!("{}/{path}", directory.trim_end_matches('/')),
    }
}

fn user(entry: &Component, place: &Place<'_>, problems: &mut Problems<'_>) -> Option<String> {
    let user = entry.user.as_ref()?;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '$');
    if user.is_empty() || user.len() > 32 || user.starts_with('-') || !user.chars().all(fits) {
        let hint = "write the name or the number of a user of this machine".to_owned();
        problems.add(&Place::Key(place, "user"), format!("{} is not a user name", quote(user)), hint);
    }
    Some(user.clone())
}

fn env(entry: &Component, place: &Place<'_>, problems: &mut Problems<'_>) -> BTreeMap<String, String> {
    let place = Place::Key(place, "env");
    let env = entry.env.clone().unwrap_or_default();
    for (key, value) in &env {
        let place = Place::Key(&place, key);
        if key.is_empty() || key.contains(['=', '\0']) {
            problems.add(&place, format!("{} is not a name a variable can have", quote(key)), None);
        }
        text_for_kernel(value, &place, problems);
    }
    env
}

fn restart(
    written: Option<&Restart>,
    overrides: &Overrides,
    place: &Place<'_>,
    problems: &mut Problems<'_>,
) -> RestartPolicy {
    let defaults = RestartPolicy::default();
    let restart = written.cloned().unwrap_or_default();
    let backoff = restart.backoff.map_or(defaults.backoff, |span| span.0);
    let policy = RestartPolicy {
        retries: overrides.retries.or(restart.retries).unwrap_or(defaults.retries),
        backoff,
        backoff_max: restart.backoff_max.map_or(defaults.backoff_max.max(backoff), |span| span.0),
        forgive_after: restart.forgive_after.map_or(defaults.forgive_after, |span| span.0),
    };
    if restart.retries.is_some_and(|retries| retries > MAX_RETRIES) {
        problems.add(&Place::Key(place, "retries"), format!("must be at most {MAX_RETRIES}"), None);
    }
    if policy.backoff < MIN_BACKOFF {
        let hint = r#"write "backoff": "1 s""#.to_owned();
        problems.add(&Place::Key(place, "backoff"), format!("must be at least {MIN_BACKOFF}"), hint);
    }
    if policy.backoff_max < policy.backoff {
        let message = format!("{} is shorter than `backoff`, {}", policy.backoff_max, policy.backoff);
        problems.add(
            &Place::Key(place, "backoff_max"),
            message,
            format!("write \"{}\" or more", policy.backoff),
        );
    }
    if policy.forgive_after == Millis(0) {
        let hint = r#"write "forgive_after": "10 min""#.to_owned();
        problems.add(&Place::Key(place, "forgive_after"), "must be longer than zero", hint);
    }
    policy
}

fn stop(written: Option<&Stop>, place: &Place<'_>, problems: &mut Problems<'_>) -> StopPolicy {
    let defaults = StopPolicy::default();
    let stop = written.cloned().unwrap_or_default();
    let signal = match stop.signal.as_deref() {
        None => defaults.signal,
        Some(name) => signal::number(name).unwrap_or_else(|| {
            let hint = match problems.nearest(&name.to_ascii_uppercase(), signal::names()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("use one of {}", signal::names().collect::<Vec<_>>().join(", ")),
            };
            let message = format!("{} is not a signal that asks a process to end", quote(name));
            problems.add(&Place::Key(place, "signal"), message, hint);
            defaults.signal
        }),
    };
    StopPolicy { signal, grace: stop.grace.map_or(defaults.grace, |span| span.0) }
}

/// What makes the process what it is, in one digest: object keys in alphabetical order, whatever `serde_json` is built
/// with.
fn spec(
    command: &[String],
    env: &BTreeMap<String, String>,
    user: Option<&str>,
    workdir: &str,
    confine: &Confinement,
) -> Digest {
    let mut parts: BTreeMap<&str, Value> = BTreeMap::from([
        ("command", Value::from(command)),
        ("env", env.iter().map(|(key, value)| (key.clone(), Value::from(value.as_str()))).collect()),
        ("user", Value::from(user)),
        ("workdir", Value::from(workdir)),
    ]);
    // What runs from before there was such a thing is not outdated by it.
    if !confine.is_none() {
        let limits =
            confine.limits.iter().map(|(limit, most)| (limit.as_str().to_owned(), Value::from(*most)));
        parts.insert("limits", limits.collect());
        parts.insert("no_new_privileges", Value::from(confine.no_new_privileges));
    }
    Digest::of(serde_json::to_string(&parts).unwrap_or_default().as_bytes())
}
