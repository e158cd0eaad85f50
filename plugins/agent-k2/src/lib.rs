//! `agent-k2`: asks K2 Coder, a Kimi model on Moonshot's platform, for a remedy. The key is put on the wire by the host, and this
//! plugin never sees it. Must never ask another address than the one that is configured.
//!
//! ```toml
//! [agent-k2]
//! http = [{ url = "https://api.moonshot.ai/v1/chat/completions", methods = ["POST"], secret = { env = "KIMI2_API_KEY", header = "authorization", format = "Bearer {}" } }]
//! config = { endpoint = "https://api.moonshot.ai/v1/chat/completions", model = "kimi-k2.6" }
//! ```
//!
//! Keys of the international platform (`api.moonshot.ai`) are not taken by the Chinese one (`api.moonshot.cn`), nor by the
//! subscription (`api.kimi.com/coding/v1`). Models come and go there: one that is gone is named in the error.
//!
//! What is particular about the platform, and taken care of:
//!
//! * it fixes temperature and its like, so that naming one is a mistake here already;
//! * `max_tokens` is called `max_completion_tokens`;
//! * a model that thinks calls tools as it likes, and wants its thoughts back with their results;
//! * tools' names begin with a letter;
//! * status 429 is an overload, a limit of the moment, or a quota that is used up. The last is never asked again.

use razar_agent_kit::vendor::{COMMON, MOONSHOT};
use razar_agent_kit::{Configured, Profile, propose};
use razar_sdk::agent::{Agent, Answer, Brief};
use razar_sdk::{PluginError, Turn};

/// What Moonshot's platform is like.
const PROFILE: Profile = Profile {
    tables: &[MOONSHOT, COMMON],
    fixed: &["temperature", "top_p", "presence_penalty", "frequency_penalty"],
    renamed: &[("max_tokens", "max_completion_tokens")],
    ..Profile::OPENAI
};

/// The plugin.
pub struct AgentK2;

razar_sdk::export_agent!(AgentK2);

impl Agent for AgentK2 {
    fn propose(brief: Brief, turn: Option<Turn>) -> Result<Answer, PluginError> {
        propose(&PROFILE, &Configured::read()?, brief, turn)
    }
}

#[cfg(test)]
mod tests;
