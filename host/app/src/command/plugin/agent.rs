//! Asks an agent about one failure, as a host would, and tells what it proposes. Nothing is applied: that is for the author of
//! an agent, and for an operator who wants to see a model before he trusts it. What is shown has its secrets taken out.

use std::time::Duration;

use razar_core::grant::WorkspacePermit;
use razar_core::redact::Redactor;
use razar_runtime::contract::agent::{Agent, Change, Proposal, Remedy};
use razar_runtime::outcome::{PluginError, PluginErrorKind};
use serde_json::{Map, Value, json};

use super::super::Exit;
use super::run::Asked;
use crate::agent::consult::{Bounds, Consulted, End, consult, restored};
use crate::agent::context::Context;
use crate::agent::secrets;
use crate::agent::tree::Tree;
use crate::agent::workspace::Workspace;
use crate::packages::Packages;
use crate::report::escape;

/// A conversation's time where nobody says otherwise: some turns of a slow model.
const TIME: Duration = Duration::from_secs(300);

/// Characters of a tool's arguments that are shown.
const SHOWN: usize = 200;

pub(super) async fn ask(
    asked: &Asked<'_>,
    agent: &dyn Agent,
    editor: Option<WorkspacePermit>,
    packages: &Packages,
) -> Result<Exit, Exit> {
    let arguments = asked.arguments;
    let Some(file) = &arguments.failure else { return Err(asked.usage("which failure? `--failure FILE`")) };
    let of_file =
        |file: &std::path::Path, error: String| asked.usage(&format!("`{}` {error}", file.display()));
    let mut context = Context::read(file).map_err(|error| of_file(file, error.to_string()))?;
    if let Some(log) = &arguments.log_file {
        context = context.with_log(log).map_err(|error| of_file(log, error.to_string()))?;
    }
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let redactor = Redactor::new(secrets::known(environment, packages.grants()));
    let mut tree = match &arguments.sources {
        Some(dir) => {
            Tree::read(dir, redactor).map_err(|error| of_file(dir, format!("cannot be read: {error}")))?
        }
        None => Tree::empty(redactor),
    };
    let mut brief = context.brief(&mut tree);
    let place = tempfile::tempdir().map_err(|error| asked.usage(&format!("no copy can be made: {error}")))?;
    let copy = editor.map(|permit| Workspace::make(&permit, place.path(), "copy", &tree));
    let copy =
        copy.transpose().map_err(|error| asked.usage(&format!("the files cannot be copied: {error}")))?;
    copy.iter().for_each(|copy| copy.offer(&mut brief));
    let bounds = Bounds::within(asked.time(TIME));
    let mut over = consult(agent, &brief, &tree, &arguments.settings, bounds).await;
    if let (End::Proposed(proposal), Some(copy)) = (&over.end, &copy) {
        over.end = match copy.told(&tree, proposal.clone()) {
            Ok(proposal) => End::Proposed(proposal),
            Err(unfit) => End::Refused(PluginError {
                kind: PluginErrorKind::Other("workspace".to_owned()),
                message: unfit.to_string(),
                retry_after: None,
                extensions: Vec::new(),
            }),
        };
    }
    let told = Told::of(asked, &over, &tree);
    let mut answer = vec![("outcome", json!(told.outcome)), ("summary", json!(shown(asked, &told.summary)))];
    answer.extend(told.details);
    answer.extend([
        ("tokens", tokens(&over)),
        ("turns", json!(over.turns.len())),
        ("looked", looked(asked, &over)),
        ("redacted", json!(tree.redactor().count())),
    ]);
    asked.tell(&answer, &over.turns);
    Ok(if told.well { Exit::Done } else { Exit::Failed })
}

/// How it ended, in words.
struct Told {
    outcome: String,
    summary: String,
    details: Option<(&'static str, Value)>,
    well: bool,
}

impl Told {
    fn of(asked: &Asked<'_>, over: &Consulted, tree: &Tree) -> Self {
        let failed = |outcome: &str, summary: String| Self {
            outcome: outcome.to_owned(),
            summary,
            details: None,
            well: false,
        };
        match &over.end {
            End::Proposed(proposal) => match restored(tree, proposal) {
                Ok(_) => Self::proposed(asked, proposal),
                Err(stray) => failed("refused", format!("{stray}: a secret stays in its file")),
            },
            End::Refused(error) => Self {
                details: Some(("error", details(error))),
                ..failed("plugin-error", error.message.clone())
            },
            End::Failed(failure) => failed(failure.as_str(), failure.to_string()),
            End::Stopped(stop) => failed("stopped", stop.to_string()),
        }
    }

    fn proposed(asked: &Asked<'_>, proposal: &Proposal) -> Self {
        let (outcome, details, well) = match &proposal.remedy {
            Remedy::Patch(changes) if asked.is_json() => {
                ("patch", changes.iter().map(change).collect(), true)
            }
            Remedy::Patch(changes) => ("patch", changes.iter().flat_map(lines).collect(), true),
            Remedy::Restore(id) => ("restore", json!(id), true),
            Remedy::Act(actions) => {
                ("act", actions.iter().map(|(name, text)| json!(format!("{name} {text}"))).collect(), true)
            }
            Remedy::Decline(reason) => ("decline", json!(reason), false),
        };
        Self {
            outcome: outcome.to_owned(),
            summary: proposal.rationale.clone(),
            details: Some(("proposal", details)),
            well,
        }
    }
}

fn change(change: &Change) -> Value {
    match change {
        Change::Write(file) => {
            json!({ "write": file.path, "content": String::from_utf8_lossy(&file.content) })
        }
        Change::Delete(path) => json!({ "delete": path }),
        Change::UnifiedDiff(diff) => json!({ "diff": diff }),
    }
}

/// The same for people, line by line.
fn lines(change: &Change) -> Vec<Value> {
    let text = match change {
        Change::Write(file) => format!("write {}\n{}", file.path, String::from_utf8_lossy(&file.content)),
        Change::Delete(path) => format!("delete {path}"),
        Change::UnifiedDiff(diff) => diff.clone(),
    };
    text.lines().map(|line| json!(escape::line(line))).collect()
}

/// An error's kind, and what else it says.
fn details(error: &PluginError) -> Value {
    let mut details = Map::from_iter([("kind".to_owned(), json!(error.kind.as_str()))]);
    if let PluginErrorKind::Other(word) = &error.kind {
        details.insert("word".to_owned(), json!(word));
    }
    if let Some(after) = error.retry_after {
        details.insert("retry_after_ms".to_owned(), json!(after.as_millis()));
    }
    details.extend(error.extensions.iter().map(|(key, value)| (key.replace('-', "_"), json!(value))));
    Value::Object(details)
}

fn tokens(over: &Consulted) -> Value {
    match &over.tokens {
        Some(tokens) => {
            json!({ "model": tokens.model, "input": tokens.input_tokens, "output": tokens.output_tokens })
        }
        None => json!({}),
    }
}

fn looked(asked: &Asked<'_>, over: &Consulted) -> Value {
    let one = |(call, bytes): &(razar_runtime::contract::agent::ToolCall, usize)| {
        let arguments: String = call.arguments.chars().take(SHOWN).collect();
        if asked.is_json() {
            json!({ "tool": call.name, "arguments": arguments, "bytes": bytes })
        } else {
            json!(format!("{} {}: {bytes} bytes", escape::line(&call.name), escape::line(&arguments)))
        }
    };
    over.looked.iter().map(one).collect()
}

/// For people on one line; programs get it as it is.
fn shown(asked: &Asked<'_>, text: &str) -> String {
    if asked.is_json() { text.to_owned() } else { escape::line(text) }
}
