//! `agent-openai`: asks a model on any server that speaks OpenAI's chat completions for a remedy. Which server and which model
//! the operator's grant says; the key is put on the wire by the host, and this plugin never sees it. Must never follow a
//! redirect, and never ask another address than the one that is configured.
//!
//! ```toml
//! [agent-openai]                                  # Ollama on this machine: no key
//! http = [{ url = "http://127.0.0.1:11434/v1/chat/completions", methods = ["POST"] }]
//! config = { endpoint = "http://127.0.0.1:11434/v1/chat/completions", model = "qwen3-coder:30b" }
//! ```
//!
//! A vendor's server is granted the same way, with `secret = { env = "…", header = "authorization", format = "Bearer {}" }` in
//! the `http` line. LM Studio listens on port 1234, vLLM on 8000. A model that needs longer than two minutes for an answer
//! needs `limits = { deadline = "600 s", request-time = "600 s" }`. Everything else is a setting; see `settings.schema.json`.

use std::time::{Duration, Instant};

use razar_agent_kit::chat::{Chat, Completion};
use razar_agent_kit::retry::Retry;
use razar_agent_kit::turn::Bounds;
use razar_agent_kit::vendor::{COMMON, refusal};
use razar_agent_kit::{Model, openai, take_turn};
use razar_sdk::agent::{Agent, Answer, Brief};
use razar_sdk::http::{self, HttpError, Post};
use razar_sdk::{PluginError, PluginErrorKind, Turn, config};
use serde::Deserialize;
use serde_json::{Map, Value};

/// A model's longest answer with its thoughts; what is longer is no answer.
const MAX_ANSWER: usize = 3 << 20;

/// The plugin.
pub struct AgentOpenai;

razar_sdk::export_agent!(AgentOpenai);

/// What the operator may ask for; see `settings.schema.json`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    model: Option<String>,
    parameters: Map<String, Value>,
    tools: bool,
    rounds: u32,
    prompt_bytes: usize,
    retries: u32,
}

impl Default for Settings {
    fn default() -> Self {
        let Bounds { source_bytes, rounds, tool_bytes: _ } = Bounds::default();
        Self {
            model: None,
            parameters: Map::new(),
            tools: true,
            rounds,
            prompt_bytes: source_bytes,
            retries: 2,
        }
    }
}

impl Agent for AgentOpenai {
    fn propose(brief: Brief, turn: Option<Turn>) -> Result<Answer, PluginError> {
        let settings: Settings = brief.parse_settings()?;
        let configured = |key: &str| {
            config::get(key)?
                .filter(|value| !value.is_empty())
                .ok_or_else(|| PluginError::invalid_input(format!("`config` in the grant has no `{key}`")))
        };
        let model = match settings.model.clone() {
            Some(model) => model,
            None => configured("model")?,
        };
        answer(configured("endpoint")?, model, settings, brief, turn)
    }
}

fn answer(
    endpoint: String,
    model: String,
    settings: Settings,
    mut brief: Brief,
    turn: Option<Turn>,
) -> Result<Answer, PluginError> {
    if !settings.tools {
        brief.tools.clear();
    }
    let bounds = Bounds {
        source_bytes: settings.prompt_bytes,
        rounds: settings.rounds,
        tool_bytes: settings.prompt_bytes,
    };
    let server = Server { endpoint, model, settings, until: Instant::now() + brief.budget() };
    take_turn(&server, &brief, turn, &bounds)
}

/// One server, for one call.
struct Server {
    endpoint: String,
    model: String,
    settings: Settings,
    until: Instant,
}

impl Server {
    fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }

    /// One request and its answer.
    fn ask(&self, body: &[u8]) -> Result<Completion, PluginError> {
        let post = Post {
            url: &self.endpoint,
            content_type: "application/json",
            body,
            wanted: &["retry-after"],
            timeout: self.left(),
            max_body: MAX_ANSWER,
        };
        let response = http::post(&post).map_err(unanswered)?;
        let status = match response.status {
            200..=299 => openai::error_in(&response.body),
            status => Some(status),
        };
        if let Some(status) = status {
            let retry_after = response.header("retry-after");
            return Err(refusal(&[COMMON], status, &response.body, retry_after, &self.model));
        }
        if response.truncated {
            return Err(too_large());
        }
        openai::response(&response.body)
    }
}

impl Model for Server {
    fn complete(&self, chat: &Chat<'_>) -> Result<Completion, PluginError> {
        let body = openai::request(&self.model, chat, &self.settings.parameters).to_string();
        let retry = Retry { times: self.settings.retries };
        retry.run(|| self.left(), std::thread::sleep, || self.ask(body.as_bytes()))
    }
}

/// No answer, in the contract's words.
fn unanswered(error: HttpError) -> PluginError {
    let kind = match &error {
        HttpError::Denied => {
            return PluginError::denied("the host denied the request; see its log for the grant");
        }
        HttpError::Url(problem) => return PluginError::invalid_input(format!("`endpoint`: {problem}")),
        HttpError::Timeout => PluginErrorKind::Timeout,
        HttpError::Secret => PluginErrorKind::Unauthenticated,
        HttpError::TooLarge => return too_large(),
        HttpError::Refused
        | HttpError::Unresolved
        | HttpError::Unreachable
        | HttpError::Tls
        | HttpError::Closed
        | HttpError::Protocol
        | HttpError::Other(_) => PluginErrorKind::Unavailable,
    };
    PluginError::new(kind, format!("the model's server: {error}"))
}

fn too_large() -> PluginError {
    let kind = PluginErrorKind::Other("bad-answer".to_owned());
    PluginError::new(kind, "the server's answer is larger than a model's answer can be")
}

#[cfg(test)]
mod tests;
