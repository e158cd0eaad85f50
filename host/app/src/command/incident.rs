//! `incident`, and what `patch` shows of the past: reads the ledger beside a running host or without one, and changes nothing.

mod replay;

use std::path::Path;

use razar_core::fact::{Fact, Recorded};
use razar_core::id::{ComponentId, IncidentId};
use razar_core::patch::Patch;
use razar_ledger::bundle::About;
use razar_ledger::incidents::{Attempt, Incident, Incidents, What};
use razar_ledger::{LedgerError, LedgerReader};
use serde_json::{Map, Value, json};

use super::log::export::{Wanted, written};
use super::{Exit, complain, say};
use crate::cli::{self, Output};
use crate::report::{diff, escape, moment};

/// Longest diff in an answer to a program; the whole patch is in the ledger.
const MAX_DIFF: usize = 1 << 20;
/// Longest reason in a list.
const MAX_REASON: usize = 120;
/// What is said of a patch that passed its trial beside one that was taken.
const NOT_TAKEN: &str = "not taken";

pub(super) fn incident(command: &cli::Incident) -> Exit {
    match command {
        cli::Incident::List(arguments) => with(&arguments.state.state, arguments.output, |incidents| {
            let wanted = |incident: &&Incident| is_of(incident, arguments.component.as_deref());
            let found: Vec<&Incident> = incidents.iter().rev().filter(wanted).collect();
            list(&found, arguments.output);
            Exit::Done
        }),
        cli::Incident::Show(arguments) => with(&arguments.state.state, arguments.output, |incidents| {
            match find(incidents, &arguments.incident) {
                Some(incident) => {
                    show(incident, arguments.output);
                    Exit::Done
                }
                None => Nothing::of_name(unknown(&arguments.incident)).tell(arguments.output),
            }
        }),
        cli::Incident::Replay(arguments) => replay::replay(arguments),
        cli::Incident::Export(arguments) => export(arguments),
    }
}

/// The facts about its component, from its first to its last, with what was recorded of its calls.
fn export(arguments: &cli::IncidentExport) -> Exit {
    let cli::IncidentExport { incident, out, key, state, output } = arguments;
    let found = read(&state.state).map_err(Nothing::from).and_then(|(reader, incidents)| {
        let found = find(&incidents, incident).ok_or_else(|| Nothing::of_name(unknown(incident)))?;
        let (mut from, mut to) = (None, None);
        for recorded in reader.replay(1)? {
            let Recorded { seq, fact, .. } = recorded?;
            match fact {
                Fact::IncidentOpened { incident, .. } | Fact::RollbackRequested { incident, .. }
                    if incident == found.id =>
                {
                    from = from.or(Some(seq));
                }
                Fact::IncidentClosed { incident, .. } if incident == found.id => to = Some(seq),
                Fact::CallsRecorded { incident, .. } if incident == found.id && to.is_some() => {
                    to = Some(seq)
                }
                _ => {}
            }
        }
        Ok(About { component: found.component.clone(), from, to })
    });
    match found {
        Ok(about) => {
            let key = key.as_deref();
            written(&Wanted { about, recordings: true, out, key, state, output: *output })
        }
        Err(nothing) => nothing.tell(*output),
    }
}

fn with(state: &Path, output: Output, tell: impl FnOnce(&Incidents) -> Exit) -> Exit {
    match read(state) {
        Ok((_, incidents)) => tell(&incidents),
        Err(error) => Nothing::from(error).tell(output),
    }
}

fn unknown(wanted: &str) -> String {
    format!("there is no incident `{}`; `razar-host incident list` lists them", escape::line(wanted))
}

/// `patch list`.
pub(super) fn patches(arguments: &cli::IncidentList) -> Exit {
    let (_, incidents) = match read(&arguments.state.state) {
        Ok(read) => read,
        Err(error) => return Nothing::from(error).tell(arguments.output),
    };
    let found = incidents.patches().rev();
    for (incident, attempt, manifest) in
        found.filter(|(incident, ..)| is_of(incident, arguments.component.as_deref()))
    {
        let fate = fate(attempt);
        if arguments.output == Output::Json {
            say(&Value::Object(patch_json(incident, attempt)).to_string());
        } else {
            let (component, id) = (&incident.component, incident.id);
            let who = attempt.who.named(attempt.name.as_deref());
            let short: String = manifest.to_string().chars().take(19).collect();
            say(&format!("{short} {component}, incident {id}, by {who}: {fate}"));
        }
    }
    Exit::Done
}

/// `patch show` and `patch diff`.
pub(super) fn patch(arguments: &cli::PatchShow, only_diff: bool) -> Exit {
    let output = arguments.output;
    let (reader, incidents) = match read(&arguments.state.state) {
        Ok(read) => read,
        Err(error) => return Nothing::from(error).tell(output),
    };
    let wanted = arguments.patch.as_str();
    let incident = find(&incidents, wanted).map(|incident| incident.id);
    let hex = wanted.strip_prefix("sha256:").unwrap_or(wanted);
    let named = |digest: &str| hex.len() >= 6 && digest.starts_with(hex);
    let found =
        incidents.patches().rev().find(|(of, _, manifest)| Some(of.id) == incident || named(&manifest.hex()));
    let Some((incident, attempt, manifest)) = found else {
        let wanted = escape::line(wanted);
        let why = format!("there is no patch `{wanted}`; `razar-host patch list` lists them");
        return Nothing::of_name(why).tell(output);
    };
    let patch = match reader.patch(&manifest) {
        Ok(patch) => patch,
        Err(error) => return Nothing { exit: Exit::Failed, why: error.to_string() }.tell(output),
    };
    match (output, only_diff) {
        (Output::Json, _) => {
            let mut told = patch_json(incident, attempt);
            told.insert("files".to_owned(), files(&patch));
            told.insert("diff".to_owned(), json!(patch.diff(MAX_DIFF)));
            say(&Value::Object(told).to_string());
        }
        (_, true) => diff::lines(&patch).iter().for_each(|line| say(line)),
        (_, false) => {
            let (component, who) = (&incident.component, attempt.who.named(attempt.name.as_deref()));
            say(&format!("patch {manifest} of {component}"));
            say(&format!("  incident {}, attempt {} by {who}", incident.id, attempt.number));
            attempt_lines(incident, attempt).iter().for_each(|line| say(&format!("  {line}")));
            for file in patch.manifest().files() {
                say(&format!("  changes {}", file.path()));
            }
        }
    }
    Exit::Done
}

/// The component whose newest patch is of this incident.
pub(super) fn patched(state: &Path, number: IncidentId) -> Result<ComponentId, Nothing> {
    let (_, incidents) = read(state)?;
    let Some(Incident { component, .. }) = incidents.get(number) else {
        return Err(Nothing::of_name(unknown(&number.to_string())));
    };
    let refused = |why| Err(Nothing { exit: Exit::Failed, why });
    let in_place = |attempt: &Attempt| {
        let mut done = attempt.done.iter().rev().map(|done| &done.what);
        done.find(|what| !matches!(what, What::NotChanged(_))) == Some(&What::Applied)
    };
    let mut newest = incidents.patches().rev();
    match newest.find(|(of, attempt, _)| of.component == *component && in_place(attempt)) {
        Some((of, ..)) if of.id == number => Ok(component.clone()),
        Some((of, ..)) => refused(format!(
            "the newest patch of `{component}` is of incident {}: take that back first",
            of.id
        )),
        None => refused(format!("no patch of `{component}` is in place")),
    }
}

fn read(state: &Path) -> Result<(LedgerReader, Incidents), LedgerError> {
    let reader = LedgerReader::open(state)?;
    let mut incidents = Incidents::default();
    for recorded in reader.replay(1)? {
        incidents.apply(&recorded?);
    }
    Ok((reader, incidents))
}

/// Why there is nothing to show.
pub(super) struct Nothing {
    exit: Exit,
    why: String,
}

impl Nothing {
    /// Nothing has the name or the number that was typed.
    const fn of_name(why: String) -> Self {
        Self { exit: Exit::Usage, why }
    }

    /// Says it.
    pub(super) fn tell(self, output: Output) -> Exit {
        complain(output, &self.why);
        self.exit
    }
}

impl From<LedgerError> for Nothing {
    fn from(error: LedgerError) -> Self {
        Self { exit: Exit::of(&error), why: error.to_string() }
    }
}

fn is_of(incident: &Incident, component: Option<&str>) -> bool {
    component.is_none_or(|component| incident.component.as_str() == component)
}

/// By its number, or the newest of a component.
fn find<'i>(incidents: &'i Incidents, wanted: &str) -> Option<&'i Incident> {
    match wanted.parse() {
        Ok(number) => incidents.get(IncidentId(number)),
        Err(_) => incidents.iter().rev().find(|incident| incident.component.as_str() == wanted),
    }
}

fn list(incidents: &[&Incident], output: Output) {
    if output == Output::Json {
        incidents.iter().for_each(|incident| say(&incident_json(incident).to_string()));
        return;
    }
    if incidents.is_empty() {
        say("there was no incident");
    }
    for incident in incidents {
        let (id, component) = (incident.id, &incident.component);
        let reason: String = reason(incident).chars().take(MAX_REASON).collect();
        let attempts = razar_core::count::counted(incident.attempts.len(), "attempt");
        let when = moment::date(incident.opened);
        say(&escape::line(&format!(
            "{id} {component} {when} UTC: {}, {attempts}: {reason}",
            state(incident)
        )));
    }
}

fn show(incident: &Incident, output: Output) {
    if output == Output::Json {
        return say(&incident_json(incident).to_string());
    }
    let line = |text: String| say(&escape::line(&text));
    line(format!("incident {} of {}: {}", incident.id, incident.component, state(incident)));
    line(format!("  opened {} UTC: {}", moment::date(incident.opened), reason(incident)));
    for attempt in &incident.attempts {
        let (number, who) = (attempt.number, attempt.who.named(attempt.name.as_deref()));
        line(format!("  attempt {number} by {who}, {} UTC", moment::date(attempt.began)));
        attempt_lines(incident, attempt).into_iter().for_each(|text| line(format!("    {text}")));
    }
    if let Some((at, closing)) = &incident.closed {
        line(format!("  closed {} UTC: {}", moment::date(*at), closing.as_str()));
    }
}

fn state(incident: &Incident) -> &'static str {
    incident.closed.as_ref().map_or("open", |(_, closing)| closing.as_str())
}

fn reason(incident: &Incident) -> &str {
    incident.failure.as_ref().map_or("an operator takes a patch back", |failure| failure.error.as_str())
}

/// What became of a patch, in a word or two.
fn fate(attempt: &Attempt) -> String {
    let verdict = attempt.ended.as_ref().map_or("under way", |(_, end)| end.as_str());
    match attempt.done.last() {
        None if attempt.taken == Some(false) => format!("{verdict}, {NOT_TAKEN}"),
        Some(done) => format!("{verdict}, {}", done.what.as_str()),
        None => verdict.to_owned(),
    }
}

/// In one word and in words; none as long as it may still end.
fn ending<'a>(incident: &Incident, attempt: &'a Attempt) -> Option<(&'static str, &'a str)> {
    match &attempt.ended {
        Some((_, end)) => Some((end.as_str(), end.why())),
        None if attempt.unheard => {
            Some(("interrupted", "the host was killed before it ended, and nobody heard what came of it"))
        }
        None if incident.closed.is_some() => {
            Some(("broken-off", "the incident was closed before it ended, and nobody waited for it"))
        }
        None => None,
    }
}

fn attempt_lines(incident: &Incident, attempt: &Attempt) -> Vec<String> {
    let mut lines = Vec::new();
    match ending(incident, attempt) {
        Some((word, why)) => lines.push(format!("{word}: {why}")),
        None => lines.push("under way, or interrupted: no host has said more since".to_owned()),
    }
    if let Some(manifest) = attempt.ended.as_ref().and_then(|(_, end)| end.manifest()) {
        lines.push(format!("patch {manifest}"));
    }
    if attempt.taken == Some(false) {
        lines.push(format!("{NOT_TAKEN}: another attempt's patch was"));
    }
    for done in &attempt.done {
        lines.push(format!("{} {} UTC", done.what.as_str(), moment::date(done.at)));
    }
    lines
}

/// An attempt by itself, with whose and of what it was.
fn patch_json(incident: &Incident, attempt: &Attempt) -> Map<String, Value> {
    let mut told = Map::new();
    told.insert("component".to_owned(), json!(incident.component));
    told.insert("incident".to_owned(), json!(incident.id));
    if let Value::Object(attempt) = attempt_json(incident, attempt) {
        told.extend(attempt);
    }
    told
}

fn attempt_json(incident: &Incident, attempt: &Attempt) -> Value {
    let ending = ending(incident, attempt);
    let end = attempt.ended.as_ref().map(|(_, end)| end);
    let done =
        attempt.done.iter().map(|done| json!({ "what": done.what.as_str(), "at": moment::zulu(done.at) }));
    json!({
        "attempt": attempt.number,
        "who": attempt.who.to_string(),
        "name": attempt.name,
        "began": moment::zulu(attempt.began),
        "ended": attempt.ended.as_ref().map(|(at, _)| moment::zulu(*at)),
        "outcome": ending.map(|(word, _)| word),
        "why": ending.map(|(_, why)| why),
        "patch": end.and_then(razar_core::incident::End::manifest),
        "taken": attempt.taken,
        "done": done.collect::<Vec<_>>(),
    })
}

fn incident_json(incident: &Incident) -> Value {
    json!({
        "incident": incident.id,
        "component": incident.component,
        "opened": moment::zulu(incident.opened),
        "state": state(incident),
        "reason": reason(incident),
        "closed": incident.closed.as_ref().map(|(at, _)| moment::zulu(*at)),
        "attempts": incident.attempts.iter().map(|of| attempt_json(incident, of)).collect::<Vec<_>>(),
    })
}

fn files(patch: &Patch) -> Value {
    let file = |file: &razar_core::patch::ManifestFile| {
        json!({
            "path": file.path().as_str(),
            "before": file.at(razar_core::patch::Side::Before),
            "after": file.at(razar_core::patch::Side::After),
        })
    };
    patch.manifest().files().iter().map(file).collect()
}
