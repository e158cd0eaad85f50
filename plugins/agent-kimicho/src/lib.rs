//! `agent-kimicho`: asks Kimi-cho for a remedy: a service that takes `{"prompt": …}` and answers `{"text": …}`, or with the text
//! itself. It has one model, its own, and no tools: everything it is told is in the prompt. Must never ask another address than
//! the one that is configured.
//!
//! ```toml
//! [agent-kimicho]
//! http = [{ url = "http://127.0.0.1:8004/", methods = ["POST"] }]
//! config = { endpoint = "http://127.0.0.1:8004/" }
//! ```
//!
//! What it answers is read as any model's text is: whole files, one diff, or one JSON object. The one who wrote this contract
//! waited ten seconds for an answer; here it is the deadline of the call, `limits = { deadline = "60 s" }`.

use razar_agent_kit::profile::Format;
use razar_agent_kit::{Configured, Profile, propose};
use razar_sdk::agent::{Agent, Answer, Brief};
use razar_sdk::{PluginError, Turn};

/// What the service is like: one text in, one text out.
const PROFILE: Profile = Profile { formats: &[Format::Text], tools: false, ..Profile::OPENAI };

/// The plugin.
pub struct AgentKimicho;

razar_sdk::export_agent!(AgentKimicho);

impl Agent for AgentKimicho {
    fn propose(brief: Brief, turn: Option<Turn>) -> Result<Answer, PluginError> {
        propose(&PROFILE, &Configured::read()?, brief, turn)
    }
}

#[cfg(test)]
mod tests;
