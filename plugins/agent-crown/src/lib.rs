//! `agent-crown`: asks Crown, a GLM model, for a remedy. The vendor's platform and open weights on a server of one's own speak
//! OpenAI's chat completions; older services complete one text, and `format` chooses between the two. The key is put on the wire
//! by the host, and this plugin never sees it. Must never ask another address than the one that is configured.
//!
//! ```toml
//! [agent-crown]
//! http = [{ url = "https://open.bigmodel.cn/api/paas/v4/chat/completions", methods = ["POST"], secret = { env = "GLM_API_KEY", header = "authorization", format = "Bearer {}" } }]
//! config = { endpoint = "https://open.bigmodel.cn/api/paas/v4/chat/completions", model = "glm-4.1v-thinking-flash" }
//! ```
//!
//! A service that takes `{"prompt": …, "temperature": …}` and answers `{"text": …}`, as `GLM_API_URL` meant, is the same with
//! `settings = '{ "format": "text", "parameters": { "temperature": 0.8 } }'`; its model is its own.
//!
//! GLM-4.1V thinks before it answers and cannot call tools, so that it is offered none unless `tools` says so; models of the
//! same platform that can are a matter of configuration.

use razar_agent_kit::profile::Format;
use razar_agent_kit::vendor::{COMMON, GLM};
use razar_agent_kit::{Configured, Profile, propose};
use razar_sdk::agent::{Agent, Answer, Brief};
use razar_sdk::{PluginError, Turn};

/// What GLM's platform is like: what went wrong is a number, and what a model thought is not in its answer.
const PROFILE: Profile = Profile {
    formats: &[Format::Chat, Format::Text],
    tools: false,
    tables: &[GLM, COMMON],
    ..Profile::OPENAI
};

/// The plugin.
pub struct AgentCrown;

razar_sdk::export_agent!(AgentCrown);

impl Agent for AgentCrown {
    fn propose(brief: Brief, turn: Option<Turn>) -> Result<Answer, PluginError> {
        propose(&PROFILE, &Configured::read()?, brief, turn)
    }
}

#[cfg(test)]
mod tests;
