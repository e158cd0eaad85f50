//! From JSON to the document's types, by hand: a derived reader stops at the first mistake and cannot say which of two
//! shapes was meant. Judges form only; what the words mean is not looked at here.

use std::collections::BTreeMap;

use super::json::{Node, refuse_repeated};
use super::place::{Place, Problems, quote};
use crate::document::boot::{
    BootConfig, Component, Entrypoint, Health, Limits, Patch, PhaseProbes, Probe, Repair, Restart, Size,
    Span, Stop, Tests,
};
use crate::document::units::Bytes;
use crate::time::Millis;

/// More components than one host supervises (its state is tested with so many), and a sign of a generated mistake.
pub(super) const MAX_COMPONENTS: usize = 10_000;

pub(super) const TOP: &[&str] = &["$schema", "mission", "layers", "components"];
pub(super) const COMPONENT: &[&str] = &[
    "id",
    "name",
    "layer",
    "entrypoint",
    "command",
    "health",
    "health_check",
    "probes",
    "depends_on",
    "vital",
    "restart",
    "env",
    "workdir",
    "user",
    "stop",
    "no_new_privileges",
    "limits",
    "patch",
    "repair",
];
pub(super) const PROBE: &[&str] = &[
    "probe",
    "address",
    "log",
    "settings",
    "command",
    "listener",
    "interval",
    "timeout",
    "deadline",
    "failures",
    "window",
    "successes",
];
pub(super) const PHASES: &[&str] = &["startup", "readiness", "liveness"];
pub(super) const RESTART: &[&str] = &["retries", "backoff", "backoff_max", "forgive_after"];
pub(super) const STOP: &[&str] = &["signal", "grace"];
pub(super) const LIMITS: &[&str] = &[
    "open_files",
    "processes",
    "address_space",
    "file_size",
    "core_dump",
    "locked_memory",
    "cpu_time",
    "memory",
    "tasks",
];
pub(super) const PATCH: &[&str] = &["roots", "protect", "deletions"];
pub(super) const REPAIR: &[&str] =
    &["agents", "attempts", "tournament", "evaluators", "tests", "hold", "canary", "last_good"];
pub(super) const TESTS: &[&str] = &["command", "timeout"];

/// Reads the whole document; what could not be read is absent and reported.
pub(super) fn boot_config(node: &Node, problems: &mut Problems<'_>) -> Option<BootConfig> {
    let root = Place::Root;
    let top = Fields::open(node, &root, TOP, problems)?;
    Some(BootConfig {
        schema: top.read("$schema", problems, text),
        mission: top.read("mission", problems, text),
        layers: top.read("layers", problems, texts),
        components: top.read("components", problems, components).unwrap_or_default(),
    })
}

fn components(node: &Node, place: &Place<'_>, problems: &mut Problems<'_>) -> Option<Vec<Component>> {
    let items = list(node, place, problems)?;
    if items.len() > MAX_COMPONENTS {
        let message =
            format!("{} components are more than one host supervises ({MAX_COMPONENTS})", items.len());
        problems.add(place, message, "split the stack over several configurations".to_owned());
        return None;
    }
    // An entry that is no object is reported and kept as an empty one, so that indices stay those of the file.
    let entry = |(index, item)| component(item, &Place::Index(place, index), problems).unwrap_or_default();
    Some(items.iter().enumerate().map(entry).collect())
}

fn component(node: &Node, place: &Place<'_>, problems: &mut Problems<'_>) -> Option<Component> {
    let fields = Fields::open(node, place, COMPONENT, problems)?;
    Some(Component {
        id: fields.read("id", problems, text),
        name: fields.read("name", problems, text),
        layer: fields.read("layer", problems, text),
        entrypoint: fields.read("entrypoint", problems, entrypoint),
        command: fields.read("command", problems, entrypoint),
        health: fields.read("health", problems, health),
        health_check: fields.read("health_check", problems, argv),
        probes: fields.read("probes", problems, phases),
        depends_on: fields.read("depends_on", problems, texts),
        vital: fields.read("vital", problems, flag),
        restart: fields.read("restart", problems, restart),
        env: fields.read("env", problems, env),
        workdir: fields.read("workdir", problems, text),
        user: fields.read("user", problems, text),
        stop: fields.read("stop", problems, stop),
        no_new_privileges: fields.read("no_new_privileges", problems, flag),
        limits: fields.read("limits", problems, limits),
        patch: fields.read("patch", problems, patch),
        repair: fields.read("repair", problems, repair),
    })
}

fn entrypoint(node: &Node, place: &Place<'_>, problems: &mut Problems<'_>) -> Option<Entrypoint> {
    match node {
        Node::Text(line) => Some(Entrypoint::Line(line.clone())),
        Node::List(_) => texts(node, place, problems).map(Entrypoint::Words),
        other => wrong(other, "a text or a list of texts", place, problems),
    }
}

fn health(node: &Node, place: &Place<'_>, problems: &mut Problems<'_>) -> Option<Health> {
    match node {
        Node::Text(short) => Some(Health::Short(short.clone())),
        Node::Object(_) => probe(node, place, problems).map(|probe| Health::Probe(Box::new(probe))),
        other => {
            let message = format!("must be a text or an object, not {}", other.kind());
            let hint = match argv_text(other) {
                Some(argv) => format!("for a command write \"health\": {{ \"command\": {argv} }}"),
                None => "for instance \"health\": \"http://127.0.0.1:8000/healthz\"".to_owned(),
            };
            problems.add(place, message, hint);
            None
        }
    }
}

fn probe(node: &Node, place: &Place<'_>, problems: &mut Problems<'_>) -> Option<Probe> {
    let fields = Fields::open(node, place, PROBE, problems)?;
    Some(Probe {
        probe: fields.read("probe", problems, text),
        address: fields.read("address", problems, text),
        log: fields.read("log", problems, text),
        settings: fields.read("settings", problems, settings),
        command: fields.read("command", problems, argv),
        listener: fields.read("listener", problems, text),
        interval: fields.read("interval", problems, span),
        timeout: fields.read("timeout", problems, span),
        deadline: fields.read("deadline", problems, span),
        failures: fields.read("failures", problems, count),
        window: fields.read("window", problems, count),
        successes: fields.read("successes", problems, count),
    })
}

fn phases(node: &Node, place: &Place<'_>, problems: &mut Problems<'_>) -> Option<PhaseProbes> {
    let fields = Fields::open(node, place, PHASES, problems)?;
    Some(PhaseProbes {
        startup: fields.read("startup", problems, health),
        readiness: fields.read("readiness", problems, health),
        liveness: fields.read("liveness", problems, health),
    })
}

fn restart(node: &Node, place: &Place<'_>, problems: &mut Problems<'_>) -> Option<Restart> {
    let fields = Fields::open(node, place, RESTART, problems)?;
    Some(Restart {
        retries: fields.read("retries", problems, count),
        backoff: fields.read("backoff", problems, span),
        backoff_max: fields.read("backoff_max", problems, span),
        forgive_after: fields.read("forgive_after", problems, span),
    })
}

fn stop(node: &Node, place: &Place<'_>, problems: &mut Problems<'_>) -> Option<Stop> {
    let fields = Fields::open(node, place, STOP, problems)?;
    Some(Stop { signal: fields.read("signal", problems, text), grace: fields.read("grace", problems, span) })
}

fn limits(node: &Node, place: &Place<'_>, problems: &mut Problems<'_>) -> Option<Limits> {
    let fields = Fields::open(node, place, LIMITS, problems)?;
    Some(Limits {
        open_files: fields.read("open_files", problems, count),
        processes: fields.read("processes", problems, count),
        address_space: fields.read("address_space", problems, size),
        file_size: fields.read("file_size", problems, size),
        core_dump: fields.read("core_dump", problems, size),
        locked_memory: fields.read("locked_memory", problems, size),
        cpu_time: fields.read("cpu_time", problems, span),
        memory: fields.read("memory", problems, size),
        tasks: fields.read("tasks", problems, count),
    })
}

fn patch(node: &Node, place: &Place<'_>, problems: &mut Problems<'_>) -> Option<Patch> {
    let fields = Fields::open(node, place, PATCH, problems)?;
    Some(Patch {
        roots: fields.read("roots", problems, texts),
        protect: fields.read("protect", problems, texts),
        deletions: fields.read("deletions", problems, flag),
    })
}

fn repair(node: &Node, place: &Place<'_>, problems: &mut Problems<'_>) -> Option<Repair> {
    let fields = Fields::open(node, place, REPAIR, problems)?;
    Some(Repair {
        agents: fields.read("agents", problems, texts),
        attempts: fields.read("attempts", problems, count),
        tournament: fields.read("tournament", problems, flag),
        evaluators: fields.read("evaluators", problems, texts),
        tests: fields.read("tests", problems, tests),
        hold: fields.read("hold", problems, span),
        canary: fields.read("canary", problems, span),
        last_good: fields.read("last_good", problems, flag),
    })
}

fn tests(node: &Node, place: &Place<'_>, problems: &mut Problems<'_>) -> Option<Tests> {
    let fields = Fields::open(node, place, TESTS, problems)?;
    Some(Tests {
        command: fields.read("command", problems, argv),
        timeout: fields.read("timeout", problems, span),
    })
}

fn size(node: &Node, place: &Place<'_>, problems: &mut Problems<'_>) -> Option<Size> {
    let Node::Text(text) = node else {
        return wrong(node, "a size such as `64 MiB`", place, problems);
    };
    match text.parse::<Bytes>() {
        Ok(size) => Some(Size(size)),
        Err(error) => {
            problems.add(place, error.to_string(), error.hint().to_owned());
            None
        }
    }
}

fn env(node: &Node, place: &Place<'_>, problems: &mut Problems<'_>) -> Option<BTreeMap<String, String>> {
    let entries = object(node, place, problems)?;
    let mut variables = BTreeMap::new();
    for (key, value) in entries {
        if let Some(value) = text(value, &Place::Key(place, key), problems) {
            variables.insert(key.clone(), value);
        }
    }
    Some(variables)
}

fn settings(
    node: &Node,
    place: &Place<'_>,
    problems: &mut Problems<'_>,
) -> Option<BTreeMap<String, serde_json::Value>> {
    let entries = object(node, place, problems)?;
    let value =
        |(key, value): &(String, Node)| (key.clone(), value.to_value(&Place::Key(place, key), problems));
    Some(entries.iter().map(value).collect())
}

pub(super) fn span(node: &Node, place: &Place<'_>, problems: &mut Problems<'_>) -> Option<Span> {
    let read = match node {
        Node::Text(text) => text.parse::<Millis>(),
        Node::Number(number) => Millis::from_seconds_text(&number.to_string()),
        other => return wrong(other, "a span of time such as `2 s`", place, problems),
    };
    match read {
        Ok(span) => Some(Span(span)),
        Err(error) => {
            problems.add(
                place,
                error.to_string(),
                "write for instance \"500 ms\", \"2 s\" or \"1 min\"".to_owned(),
            );
            None
        }
    }
}

pub(super) fn count(node: &Node, place: &Place<'_>, problems: &mut Problems<'_>) -> Option<u32> {
    let number = match node {
        Node::Number(number) => number.as_u64().and_then(|number| u32::try_from(number).ok()),
        _ => None,
    };
    if number.is_none() {
        let found = match node {
            Node::Number(number) => number.to_string(),
            other => other.kind().to_owned(),
        };
        problems.add(place, format!("must be a whole number, not {found}"), None);
    }
    number
}

fn flag(node: &Node, place: &Place<'_>, problems: &mut Problems<'_>) -> Option<bool> {
    match node {
        Node::Bool(value) => Some(*value),
        other => wrong(other, "true or false", place, problems),
    }
}

pub(super) fn text(node: &Node, place: &Place<'_>, problems: &mut Problems<'_>) -> Option<String> {
    match node {
        Node::Text(text) => Some(text.clone()),
        other => wrong(other, "a text", place, problems),
    }
}

fn texts(node: &Node, place: &Place<'_>, problems: &mut Problems<'_>) -> Option<Vec<String>> {
    let items = list(node, place, problems)?;
    let read = |(index, item)| text(item, &Place::Index(place, index), problems);
    let read: Vec<Option<String>> = items.iter().enumerate().map(read).collect();
    let whole = read.iter().all(Option::is_some);
    // The items are what was refused; the list itself is not missing either.
    if !whole {
        problems.note_refused(place);
    }
    read.into_iter().collect()
}

/// An argument list; a line is the commonest mistake and gets its list as the hint.
fn argv(node: &Node, place: &Place<'_>, problems: &mut Problems<'_>) -> Option<Vec<String>> {
    let Node::Text(line) = node else {
        return texts(node, place, problems);
    };
    let words = shell_words::split(line).unwrap_or_default();
    let pasteable = serde_json::to_string(&words).unwrap_or_default();
    problems.add(place, "must be a list of texts, not a text", format!("write {pasteable}"));
    None
}

fn argv_text(node: &Node) -> Option<String> {
    let Node::List(items) = node else { return None };
    let words: Option<Vec<&str>> = items
        .iter()
        .map(|item| match item {
            Node::Text(text) => Some(text.as_str()),
            _ => None,
        })
        .collect();
    serde_json::to_string(&words?).ok()
}

pub(super) fn list<'n>(node: &'n Node, place: &Place<'_>, problems: &mut Problems<'_>) -> Option<&'n [Node]> {
    match node {
        Node::List(items) => Some(items),
        other => wrong(other, "a list", place, problems),
    }
}

fn object<'n>(
    node: &'n Node,
    place: &Place<'_>,
    problems: &mut Problems<'_>,
) -> Option<&'n [(String, Node)]> {
    match node {
        Node::Object(entries) => {
            refuse_repeated(entries, place, problems);
            Some(entries)
        }
        other => wrong(other, "an object", place, problems),
    }
}

pub(super) fn wrong<T>(
    node: &Node,
    expected: &str,
    place: &Place<'_>,
    problems: &mut Problems<'_>,
) -> Option<T> {
    problems.add(place, format!("must be {expected}, not {}", node.kind()), None);
    None
}

/// An object whose keys are all known.
pub(super) struct Fields<'n, 'p> {
    entries: &'n [(String, Node)],
    place: &'p Place<'p>,
}

impl<'n, 'p> Fields<'n, 'p> {
    pub(super) fn open(
        node: &'n Node,
        place: &'p Place<'p>,
        known: &[&str],
        problems: &mut Problems<'_>,
    ) -> Option<Self> {
        let entries = object(node, place, problems)?;
        for (key, _) in entries {
            if !known.contains(&key.as_str()) {
                let hint = match problems.nearest(key, known.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("known here: {}", known.join(", ")),
                };
                problems.add(&Place::Key(place, key), format!("unknown key {}", quote(key)), hint);
            }
        }
        Some(Self { entries, place })
    }

    /// The value of a key, unless it is absent or null.
    pub(super) fn read<T>(
        &self,
        key: &str,
        problems: &mut Problems<'_>,
        read: impl FnOnce(&Node, &Place<'_>, &mut Problems<'_>) -> Option<T>,
    ) -> Option<T> {
        let (_, node) = self.entries.iter().find(|(name, node)| name == key && *node != Node::Null)?;
        read(node, &Place::Key(self.place, key), problems)
    }
}
