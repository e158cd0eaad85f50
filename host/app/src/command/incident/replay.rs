//! `incident replay`: plays the recorded calls of one incident again, with nothing of the outside, and works out gate and verdict
//! anew. It reads the ledger beside a running host or without one, and changes nothing in it.

use std::path::Path;
use std::time::Instant;

use razar_core::fact::Fact;
use razar_core::id::{ComponentId, Digest, IncidentId};
use razar_core::patch::{Evidence, Look, Verdict, judge};
use razar_core::problem::Problem;
use razar_core::trust::Signers;
use razar_ledger::bundle::{self, Bundle};
use razar_ledger::key::PublicKey;
use razar_ledger::{LedgerError, LedgerReader};
use razar_runtime::locked::lock_of;
use razar_runtime::package::PackageError;
use serde_json::{Value, json};

use super::super::{Exit, code_cache, complain, one_shot, one_shot_kept, say, show_problems};
use super::{Nothing, find, read, unknown};
use crate::cli::{IncidentReplay, Output};
use crate::packages::read_signers;
use crate::record::calls::{Asked, Call, Calls};
use crate::record::play::{Again, MAX_TIME, Played, Player};
use crate::report::escape;
use crate::trial::plugins::look_again;

/// Longest text about one outcome.
const MAX_TOLD: usize = 600;

/// What is played.
struct Incident {
    id: IncidentId,
    component: ComponentId,
    /// Its recordings, oldest first.
    recordings: Vec<Digest>,
    source: Source,
}

/// Where recordings lie.
enum Source {
    State(LedgerReader),
    Bundle(Box<Bundle>),
}

impl Incident {
    /// One recording, read when its turn comes: all at once may be more than there is memory. A damaged one is left out as one that
    /// is gone.
    fn document(&self, calls: &Digest) -> Result<Calls, String> {
        let read = |bytes: &[u8]| Calls::read(bytes).map_err(|error| error.to_string());
        match &self.source {
            Source::State(reader) => match reader.recording(calls).map_err(|error| error.to_string())? {
                Some(bytes) => read(&bytes),
                None => Err("it is no longer kept".to_owned()),
            },
            Source::Bundle(bundle) => match bundle.attached.get(calls) {
                Some(text) => read(text.as_bytes()),
                None => Err("it was no longer kept, or there was no room for it".to_owned()),
            },
        }
    }
}

/// How it all came out.
#[derive(Debug, Default)]
struct Count {
    same: usize,
    differ: usize,
    left_out: usize,
}

pub(super) fn replay(arguments: &IncidentReplay) -> Exit {
    let output = arguments.output;
    if let Err(problems) = arguments.plugins.iter().try_for_each(|dir| fit(dir)) {
        show_problems(&problems, output);
        return Exit::Usage;
    }
    let signers = match arguments.signers.as_deref().map(read_signers).transpose() {
        Ok(signers) => signers,
        Err(problems) => {
            show_problems(&problems, output);
            return Exit::Usage;
        }
    };
    let (wanted, file) = (arguments.incident.as_str(), Path::new(&arguments.incident));
    let found = if wanted.parse::<u64>().is_err() && file.is_file() {
        of_bundle(file, arguments.key.as_deref())
    } else {
        of_state(&arguments.state.state, wanted)
    };
    let incident = match found {
        Ok(incident) => incident,
        Err(nothing) => return nothing.tell(output),
    };
    if incident.recordings.is_empty() {
        let (id, component) = (incident.id, &incident.component);
        return Nothing::of_name(format!("no call of incident {id} of `{component}` was recorded"))
            .tell(output);
    }
    // One thread, and one for what waits for a disk: only so it is known when nothing can happen any more.
    let played = tokio::runtime::Builder::new_current_thread()
        .max_blocking_threads(1)
        .enable_all()
        .build()
        .map_err(|error| error.to_string())
        .and_then(|runtime| runtime.block_on(play(arguments, signers.as_ref(), &incident)));
    let count = match played {
        Ok(count) => count,
        Err(why) => {
            complain(output, &why);
            return Exit::Internal;
        }
    };
    let Count { same, differ, left_out } = count;
    match output {
        Output::Json => say(&json!({
            "incident": incident.id, "component": incident.component,
            "same": same, "differ": differ, "left_out": left_out,
        })
        .to_string()),
        Output::Human | Output::Plain => {
            let (id, component) = (incident.id, &incident.component);
            say(&format!(
                "incident {id} of {component}: {same} the same, {differ} differ, {left_out} left out"
            ));
        }
    }
    if same == 0 && differ == 0 {
        complain(output, "nothing could be played: each line above says why");
    }
    if differ == 0 && same > 0 { Exit::Done } else { Exit::Failed }
}

/// Whether packages can be taken from this directory.
fn fit(dir: &Path) -> Result<(), Vec<Problem>> {
    let problem = |message: String| {
        let hint = Some("name a directory of plugin packages".to_owned());
        vec![Problem { file: dir.display().to_string(), place: "directory".to_owned(), message, hint }]
    };
    std::fs::read_dir(dir).map_err(|error| problem(format!("cannot be read: {error}")))?;
    match lock_of(dir) {
        Ok(_) => Ok(()),
        Err(PackageError::Lock(problems)) => Err(problems),
        Err(error) => Err(problem(error.to_string())),
    }
}

/// One incident of a state directory.
fn of_state(state: &Path, wanted: &str) -> Result<Incident, Nothing> {
    let (reader, incidents) = read(state)?;
    let found = find(&incidents, wanted).ok_or_else(|| Nothing::of_name(unknown(wanted)))?;
    let (id, component) = (found.id, found.component.clone());
    let recordings = named(&reader, id)?;
    Ok(Incident { id, component, recordings, source: Source::State(reader) })
}

/// One incident in a bundle, which is believed as `log verify` believes it.
fn of_bundle(file: &Path, key: Option<&Path>) -> Result<Incident, Nothing> {
    let refused = |why: &dyn std::fmt::Display| Nothing::of_name(format!("`{}`: {why}", file.display()));
    let bytes = bundle::bytes_of(file).map_err(|error| refused(&error))?;
    let bundle = Bundle::read(&bytes).map_err(|error| refused(&error))?;
    let key = match key {
        Some(key) => PublicKey::read(key)?,
        None => bundle.head.key,
    };
    bundle.check(&key).map_err(|error| refused(&error))?;
    let mut incident = None;
    let mut recordings = Vec::new();
    for (_, fact) in bundle.recorded() {
        match fact {
            Fact::IncidentOpened { incident: id, .. } | Fact::RollbackRequested { incident: id, .. } => {
                incident = incident.or(Some(id));
            }
            Fact::CallsRecorded { incident: id, calls, .. }
                if incident.is_none_or(|incident| incident == id) =>
            {
                incident = Some(id);
                recordings.push(calls);
            }
            _ => {}
        }
    }
    let id = incident.ok_or_else(|| refused(&"it is about no incident"))?;
    Ok(Incident {
        id,
        component: bundle.about.component.clone(),
        recordings,
        source: Source::Bundle(Box::new(bundle)),
    })
}

/// What facts name as recordings of one incident.
fn named(reader: &LedgerReader, id: IncidentId) -> Result<Vec<Digest>, LedgerError> {
    let mut named = Vec::new();
    for recorded in reader.replay(1)? {
        if let Fact::CallsRecorded { incident, calls, .. } = recorded?.fact
            && incident == id
        {
            named.push(calls);
        }
    }
    Ok(named)
}

async fn play(
    arguments: &IncidentReplay,
    signers: Option<&Signers>,
    incident: &Incident,
) -> Result<Count, String> {
    let runtime = one_shot(Some(code_cache(&arguments.state.state))).or_else(|_| one_shot_kept())?;
    let scratch = tempfile::Builder::new().prefix("razar-replay-").tempdir();
    let scratch = scratch.map_err(|error| format!("no directory can be made for it: {error}"))?;
    let player = Player {
        until: Instant::now() + MAX_TIME,
        runtime: &runtime,
        plugins: &arguments.plugins,
        signers,
        scratch: scratch.path(),
    };
    let mut teller = Teller { output: arguments.output, count: Count::default() };
    for calls in &incident.recordings {
        match incident.document(calls) {
            Ok(document) => whole(&player, &document, &mut teller).await,
            Err(why) => {
                teller.tell(&Line::about(None, "recording", &calls.to_string()), &Played::LeftOut(why))
            }
        }
    }
    Ok(teller.count)
}

/// One document: its calls, the gate, the verdict.
async fn whole(player: &Player<'_>, document: &Calls, teller: &mut Teller) {
    let mut looks = Vec::new();
    let mut remedy = None;
    for call in &document.calls {
        let again = player.play(&document.component, document.brief.as_ref(), call).await;
        let mut line = Line::about(document.attempt, call.asked.role(), call.plugin.as_str());
        line.redacted = call.redacted;
        line.other_code = again.other_code;
        teller.tell(&line, &again.played);
        if let Some(proposed) = again.remedy() {
            remedy = Some(proposed.clone());
        }
        if let Asked::Evaluator { seed, planted, .. } = &call.asked {
            looks.push((call.plugin.to_string(), look(player, call, again, *seed, planted)));
        }
    }
    if let Some(gate) = &document.gate {
        let line = Line::about(document.attempt, "gate", "");
        let played = match (&gate.left_out, &remedy) {
            (Some(why), _) => Played::LeftOut(why.clone()),
            (None, None) => Played::LeftOut("nothing is proposed any more".to_owned()),
            (None, Some(remedy)) => compared(&gate.answer, gate.ask(remedy, &document.contents)),
        };
        teller.tell(&line, &played);
    }
    if let Some(trial) = &document.trial {
        let line = Line::about(document.attempt, "verdict", "");
        let verdict = again(&trial.evidence, looks);
        let played = match verdict {
            Ok(verdict) => compared(trial.verdict.as_str(), verdict.as_str().to_owned()),
            Err(why) => Played::LeftOut(why),
        };
        teller.tell(&line, &played);
    }
}

fn compared(was: &str, is: String) -> Played {
    if was == is { Played::Same } else { Played::Differs { was: was.to_owned(), is } }
}

/// What an evaluator's answer says of the tree it was asked about.
fn look(
    player: &Player<'_>,
    call: &Call,
    again: Again,
    seed: u64,
    planted: &[String],
) -> Result<Look, String> {
    let outcome = match again.played {
        Played::LeftOut(why) => return Err(why),
        _ => again.judgement.ok_or("it gave no answer")?,
    };
    let dir = tempfile::tempdir_in(player.scratch).map_err(|error| error.to_string())?;
    let laid_out = call.recording.lay_out(dir.path()).map_err(|error| error.to_string())?;
    let tree = laid_out.iter().find(|(at, _)| at == "/tree").ok_or("it was shown no tree")?;
    look_again(outcome, &tree.1, seed, planted)
}

/// The verdict, with what evaluators say now; what was run natively is taken as it was seen.
fn again(evidence: &Evidence, looks: Vec<(String, Result<Look, String>)>) -> Result<Verdict, String> {
    let mut evidence = evidence.clone();
    let mut looks = looks.into_iter().peekable();
    for evaluation in &mut evidence.evaluations {
        for seen in evaluation.base.iter_mut().chain(&mut evaluation.candidate) {
            let Some((_, look)) = looks.next_if(|(by, _)| *by == evaluation.by) else { break };
            *seen = look?;
        }
    }
    match looks.next() {
        // A trial that was broken off has calls that became no evidence.
        Some(_) if evidence.broken.is_empty() => {
            Err("the recorded evidence has no place for a call".to_owned())
        }
        _ => Ok(judge(&evidence).verdict),
    }
}

/// Who was asked.
struct Line {
    attempt: Option<u32>,
    what: &'static str,
    name: String,
    redacted: bool,
    other_code: Option<Digest>,
}

impl Line {
    fn about(attempt: Option<u32>, what: &'static str, name: &str) -> Self {
        Self { attempt, what, name: name.to_owned(), redacted: false, other_code: None }
    }
}

/// Says how each came out.
struct Teller {
    output: Output,
    count: Count,
}

impl Teller {
    fn tell(&mut self, line: &Line, played: &Played) {
        let (word, counted) = match played {
            Played::Same => ("same", &mut self.count.same),
            Played::Differs { .. } => ("differs", &mut self.count.differ),
            Played::LeftOut(_) => ("left-out", &mut self.count.left_out),
        };
        *counted += 1;
        if self.output == Output::Json {
            say(&json(line, word, played).to_string());
            return;
        }
        let attempt = line.attempt.map_or_else(String::new, |attempt| format!("attempt {attempt}: "));
        let mut said = format!("{attempt}{}", line.what);
        if !line.name.is_empty() {
            said += &format!(" {}", line.name);
        }
        said += &match played {
            Played::Same => ": the same".to_owned(),
            Played::LeftOut(why) => format!(": left out: {}", short(why)),
            Played::Differs { was, is } => format!(": differs: was {}, is {}", short(was), short(is)),
        };
        if let Some(digest) = line.other_code {
            let short: String = digest.to_string().chars().take(19).collect();
            said += &format!(" (with other code than was recorded, {short})");
        }
        if line.redacted {
            said += " (secrets were taken out of what came in)";
        }
        say(&said);
    }
}

fn json(line: &Line, word: &str, played: &Played) -> Value {
    let (was, is, why) = match played {
        Played::Same => (None, None, None),
        Played::Differs { was, is } => (Some(was), Some(is), None),
        Played::LeftOut(why) => (None, None, Some(why)),
    };
    json!({
        "attempt": line.attempt, "what": line.what, "name": line.name, "outcome": word, "was": was, "is": is,
        "why": why, "redacted": line.redacted, "other_code": line.other_code,
    })
}

/// What guests had their hand in, as part of one line.
fn short(text: &str) -> String {
    let line = escape::line(text);
    let end = line.floor_char_boundary(MAX_TOLD);
    match line.get(..end) {
        Some(begin) if end < line.len() => format!("{begin}…"),
        _ => line.to_string(),
    }
}
