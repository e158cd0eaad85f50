//! `agent-opencode`: lets a running `opencode serve` edit a scratch copy of the component, over HTTP. The copy is the host's: it
//! makes it, says where it is, and takes the difference from it afterwards; what opencode says about its edits is believed by
//! nobody. The password is put on the wire by the host. Must never ask another address than the one that is configured, and never
//! name a directory that the host did not.
//!
//! ```toml
//! [agent-opencode]                     # OPENCODE_SERVER_PASSWORD=… opencode serve --port 4096
//! http = [{ url = "http://127.0.0.1:4096/*", methods = ["GET", "POST"], secret = { env = "OPENCODE_BASIC", header = "authorization", format = "Basic {}" } }]
//! config = { endpoint = "http://127.0.0.1:4096", model = "moonshot/kimi-k2.6" }
//! limits = { deadline = "600 s", request-time = "60 s" }
//! ```
//!
//! `OPENCODE_BASIC` is `opencode:PASSWORD` in base64. `model` is `provider/model` as opencode is configured.
//!
//! # What goes between host and plugin
//!
//! | where | key | is |
//! |---|---|---|
//! | the brief's `extensions` | `workspace` | the absolute path of the copy, as opencode's server sees it |
//! | the proposal's `extensions` | `workspace-changed` | the same path: the patch is the difference that the host finds there |
//!
//! With `workspace-changed` the remedy is a patch without changes. A host that does not know the key refuses that as empty, and one
//! that offers no `workspace` is declined.

mod server;
mod task;

use std::time::{Duration, Instant};

use razar_agent_kit::Configured;
use razar_agent_kit::profile::layered;
use razar_agent_kit::reply::{self, Offered};
use razar_agent_kit::text::head;
use razar_sdk::agent::{Agent, Answer, Brief, Remedy, Step};
use razar_sdk::{PluginError, PluginErrorKind, Turn};
use serde::Deserialize;

use self::server::{Opencode, Said};

/// Bytes of what opencode says about its edits: people read it.
const RATIONALE: usize = 4 << 10;

/// Looks within a call's time: each is a request, and those are counted.
const LOOKS: u32 = 60;
/// Nobody looks more often.
const QUICKEST: Duration = Duration::from_millis(250);

/// The plugin.
pub struct AgentOpencode;

razar_sdk::export_agent!(AgentOpencode);

/// What the operator may ask for; see `settings.schema.json`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    model: Option<String>,
    agent: Option<String>,
}

impl Agent for AgentOpencode {
    fn propose(brief: Brief, _turn: Option<Turn>) -> Result<Answer, PluginError> {
        let pause = (brief.budget() / LOOKS).max(QUICKEST);
        propose(&Configured::read()?, &brief, pause)
    }
}

fn propose(configured: &Configured, brief: &Brief, pause: Duration) -> Result<Answer, PluginError> {
    let settings: Settings = layered(configured.settings.as_deref(), brief)?;
    let Some(workspace) = brief.extension("workspace") else {
        return Ok(Answer::decline("this host offers no copy of the component to work in (`workspace`)"));
    };
    if !workspace.starts_with('/') {
        return Err(PluginError::invalid_input("`workspace` is no absolute path"));
    }
    let model = settings.model.as_deref().or(configured.model.as_deref()).unwrap_or_default();
    let Some((provider, model)) = model.split_once('/') else {
        return Err(PluginError::invalid_input("`model` is `provider/model`, as opencode is configured"));
    };
    let opencode = Opencode {
        endpoint: configured.endpoint.trim_end_matches('/').to_owned(),
        workspace: workspace.to_owned(),
        provider: provider.to_owned(),
        model: model.to_owned(),
        agent: settings.agent,
        pause,
        until: Instant::now() + brief.budget(),
    };
    let Said { text, usage } = opencode.work(&task::text(brief))?;
    let answer = conclude(&text, workspace, brief)?;
    Ok(match usage {
        Some(usage) => answer.with_usage(usage),
        None => answer,
    })
}

/// What was changed is for the host to see; what is said is the reason, or a decline.
fn conclude(text: &str, workspace: &str, brief: &Brief) -> Result<Answer, PluginError> {
    if text.trim().is_empty() {
        let kind = PluginErrorKind::Other("unusable-reply".to_owned());
        return Err(PluginError::new(kind, "opencode ended without a word about what it did"));
    }
    if let Ok(proposed) = reply::parse(text, &Offered::by(brief))
        && let Remedy::Decline(reason) = proposed.remedy
    {
        return Ok(Answer::decline(reason));
    }
    let mut answer = Answer::propose(Remedy::Patch(Vec::new()), head(text.trim(), RATIONALE));
    if let Step::Propose(proposal) = &mut answer.step {
        proposal.extensions.push(("workspace-changed".to_owned(), workspace.to_owned()));
    }
    Ok(answer)
}

#[cfg(test)]
mod tests;
