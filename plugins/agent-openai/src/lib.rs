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

use razar_agent_kit::{Configured, Profile, propose};
use razar_sdk::agent::{Agent, Answer, Brief};
use razar_sdk::{PluginError, Turn};

/// The plugin.
pub struct AgentOpenai;

razar_sdk::export_agent!(AgentOpenai);

impl Agent for AgentOpenai {
    fn propose(brief: Brief, turn: Option<Turn>) -> Result<Answer, PluginError> {
        propose(&Profile::OPENAI, &Configured::read()?, brief, turn)
    }
}

#[cfg(test)]
mod tests;
