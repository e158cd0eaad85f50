//! `agent-airstar`: asks Air Star for a remedy: a service that takes a Kimi chat request with the failure once more in `context`,
//! and answers with a completion or a chat message. The key is put on the wire by the host, in a header; unlike those who came
//! before, no request of this plugin has one in its body. Must never ask another address than the one that is configured.
//!
//! ```toml
//! [agent-airstar]
//! http = [{ url = "https://airstar.example/v1/completions", methods = ["POST"], secret = { env = "AIRSTAR_API_KEY", header = "authorization", format = "Bearer {}" } }]
//! config = { endpoint = "https://airstar.example/v1/completions", model = "moonshotai/Kimi-K2-Instruct" }
//! ```
//!
//! There is no such service in public: the address is the operator's. Requests of old had
//! `settings = '{ "parameters": { "temperature": 0.6, "max_tokens": 512 } }'`.

use razar_agent_kit::vendor::{COMMON, MOONSHOT};
use razar_agent_kit::{Configured, Profile, propose};
use razar_sdk::agent::{Agent, Answer, Brief};
use razar_sdk::{PluginError, Turn};

/// What the service is like.
const PROFILE: Profile = Profile { tables: &[MOONSHOT, COMMON], context: true, ..Profile::OPENAI };

/// The plugin.
pub struct AgentAirstar;

razar_sdk::export_agent!(AgentAirstar);

impl Agent for AgentAirstar {
    fn propose(brief: Brief, turn: Option<Turn>) -> Result<Answer, PluginError> {
        propose(&PROFILE, &Configured::read()?, brief, turn)
    }
}

#[cfg(test)]
mod tests;
