//! `agent-rstar`: asks rStar for a remedy: a model on a vLLM server of the operator's, by its chat completions or by completions
//! of one text. There is no such service in public. Must never ask another address than the one that is configured.
//!
//! ```toml
//! [agent-rstar]                       # vllm serve MODEL --enable-auto-tool-choice --tool-call-parser hermes
//! http = [{ url = "http://127.0.0.1:8000/v1/chat/completions", methods = ["POST"] }]
//! config = { endpoint = "http://127.0.0.1:8000/v1/chat/completions", model = "rstar/qwen3-14b" }
//! ```
//!
//! A server without those two flags refuses `tools`; then `settings = '{ "tool_words": "text" }'` tells the model of them in the
//! text itself. Completions are another `endpoint`, ending in `/v1/completions`, and
//! `settings = '{ "format": "completions", "parameters": { "max_tokens": 8192, "skip_special_tokens": false } }'`.
//! A key is wanted by servers that were started with `--api-key`; the host puts it on the wire.

use razar_agent_kit::profile::Format;
use razar_agent_kit::{Configured, Profile, propose};
use razar_sdk::agent::{Agent, Answer, Brief};
use razar_sdk::{PluginError, Turn};

/// What vLLM is like.
const PROFILE: Profile =
    Profile { formats: &[Format::Chat, Format::Completions], spoken: true, ..Profile::OPENAI };

/// The plugin.
pub struct AgentRstar;

razar_sdk::export_agent!(AgentRstar);

impl Agent for AgentRstar {
    fn propose(brief: Brief, turn: Option<Turn>) -> Result<Answer, PluginError> {
        propose(&PROFILE, &Configured::read()?, brief, turn)
    }
}

#[cfg(test)]
mod tests;
