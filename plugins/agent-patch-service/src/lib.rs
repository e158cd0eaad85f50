//! `agent-patch-service`: asks a service that suggests patches for one: `{"component", "error", "history"}` goes there, and
//! `{"module", "tests", "error"}` comes back, one or several. Of old the host wrote the change itself and the service only
//! said where; this host does not write, so that a suggestion without a change is a decline. A service that has one says it as
//! a diff, as whole files, or in a model's words. Keys are put on the wire by the host, in a header: no body of this plugin ever
//! has one. Must never ask another address than the one that is configured, and never follow what an answer says.
//!
//! ```toml
//! [agent-patch-service]
//! http = [{ url = "https://patches.example.com/patch", methods = ["POST"], secret = { env = "PATCH_SERVICE_API_KEY", header = "x-api-key", format = "{}" } }]
//! config = { endpoint = "https://patches.example.com/patch" }
//! ```
//!
//! | a service answers | and it means |
//! |---|---|
//! | `{"module", "diff"}` or `{"module", "patch"}` | a unified diff |
//! | `{"module", "content"}` | the whole file |
//! | `{"files": {"path": "content"}}`, or a list of `path` and `content` | whole files |
//! | `{"text"}`, `{"response"}`, a text | what a model says: files, a diff, or JSON |
//! | `{"module"}` alone, `null`, `{"handover": true}` | no change: declined |
//! | a list | all of it |
//!
//! `tests` is what the service would run; this host runs its own.

mod answer;

use std::time::Instant;

use razar_agent_kit::Configured;
use razar_agent_kit::profile::layered;
use razar_agent_kit::reply::Offered;
use razar_agent_kit::server::Server;
use razar_agent_kit::vendor::COMMON;
use razar_sdk::agent::{Agent, Answer, Brief, Failure, Situation};
use razar_sdk::{PluginError, Turn};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// Attempts that are told, the newest.
const HISTORY: usize = 5;

/// The plugin.
pub struct AgentPatchService;

razar_sdk::export_agent!(AgentPatchService);

/// What the operator may ask for; see `settings.schema.json`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    parameters: Map<String, Value>,
    log: bool,
    retries: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { parameters: Map::new(), log: false, retries: 2 }
    }
}

impl Agent for AgentPatchService {
    fn propose(brief: Brief, _turn: Option<Turn>) -> Result<Answer, PluginError> {
        propose(&Configured::read()?, &brief)
    }
}

fn propose(configured: &Configured, brief: &Brief) -> Result<Answer, PluginError> {
    let settings: Settings = layered(configured.settings.as_deref(), brief)?;
    let Situation::Failure(failure) = &brief.situation else {
        return Ok(Answer::decline("the service only knows components that fail"));
    };
    let server = Server {
        endpoint: configured.endpoint.clone(),
        model: "its own".to_owned(),
        tables: &[COMMON],
        errors: false,
        retries: settings.retries,
        until: Instant::now() + brief.budget(),
    };
    let request = request(failure, &settings);
    server.ask(&request, |body| answer::read(body, failure, &Offered::by(brief)))
}

/// What the service is told. Without earlier attempts there is no `history`.
fn request(failure: &Failure, settings: &Settings) -> Value {
    let mut body = settings.parameters.clone();
    body.insert("component".to_owned(), json!(failure.component));
    body.insert("error".to_owned(), json!(failure.error));
    if settings.log {
        body.insert("log".to_owned(), json!(failure.log_tail));
    }
    let known = failure.history.len().saturating_sub(HISTORY);
    let told = failure.history.iter().skip(known).map(|attempt| {
        json!({
            "attempt": attempt.number, "agent": attempt.agent, "event": "attempt", "status": attempt.outcome,
            "error": attempt.error, "patched": attempt.outcome == "fixed",
            "timestamp": attempt.at_unix_ms / 1_000,
        })
    });
    body.remove("history");
    let told: Vec<Value> = told.collect();
    if !told.is_empty() {
        body.insert("history".to_owned(), json!(told));
    }
    Value::Object(body)
}

#[cfg(test)]
mod tests;
