//! An agent that asks a server, from its profile: what its vendor is like, as data. What the operator configures and what a brief
//! says decide the rest; an agent's own package is its profile and its name.

mod settings;

use std::time::Instant;

use razar_sdk::agent::{Answer, Brief, Situation};
use razar_sdk::{PluginError, Turn, config};
use serde_json::{Map, Value, json};

use crate::chat::{Chat, Completion};
use crate::names::Names;
use crate::server::Server;
use crate::turn::{Bounds, Model, take_turn};
use crate::vendor::Rule;
use crate::{hermes, openai, plain};

pub use settings::{Format, Settings, ToolWords, layered};

/// What a vendor is like.
#[derive(Debug, Clone, Copy)]
pub struct Profile {
    /// The formats that can be chosen; the first one is, if nobody chooses.
    pub formats: &'static [Format],
    /// Whether tools are offered if nobody says so: some models cannot call any.
    pub tools: bool,
    /// What refusals mean.
    pub tables: &'static [&'static [Rule]],
    /// Parameters that the vendor chooses: naming one is a mistake.
    pub fixed: &'static [&'static str],
    /// Parameters under the names of yesterday, and of today.
    pub renamed: &'static [(&'static str, &'static str)],
    /// Whether requests carry the failure once more, in a `context`.
    pub context: bool,
    /// Whether its models may write their calls into the text, where a server without a parser leaves them.
    pub spoken: bool,
}

impl Profile {
    /// A server that speaks OpenAI's chat completions, and nothing else is known of it.
    pub const OPENAI: Self = Self {
        formats: &[Format::Chat],
        tools: true,
        tables: &[crate::vendor::COMMON],
        fixed: &[],
        renamed: &[],
        context: false,
        spoken: false,
    };

    /// The parameters as they are sent, or which of them cannot be.
    fn parameters(&self, given: &Map<String, Value>) -> Result<Map<String, Value>, PluginError> {
        let mut sent = Map::new();
        for (key, value) in given {
            if self.fixed.contains(&key.as_str()) {
                return Err(PluginError::invalid_input(format!(
                    "settings: `parameters` has `{key}`, which the vendor fixes: take it out"
                )));
            }
            let renamed = self.renamed.iter().find(|(yesterday, _)| yesterday == key);
            let key = renamed.map_or(key.as_str(), |(_, today)| *today);
            if sent.insert(key.to_owned(), value.clone()).is_some() {
                return Err(PluginError::invalid_input(format!("settings: `parameters` says `{key}` twice")));
            }
        }
        Ok(sent)
    }
}

/// What the operator's grant configures.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Configured {
    /// The whole URL.
    pub endpoint: String,
    /// The model, where the server has several.
    pub model: Option<String>,
    /// Settings as JSON; what a brief says goes before them.
    pub settings: Option<String>,
}

impl Configured {
    /// As it is written.
    pub fn read() -> Result<Self, PluginError> {
        let value = |key| Ok::<_, PluginError>(config::get(key)?.filter(|value| !value.is_empty()));
        Ok(Self {
            endpoint: value("endpoint")?.ok_or_else(|| missing("endpoint"))?,
            model: value("model")?,
            settings: value("settings")?,
        })
    }
}

/// What the operator has to write.
pub(crate) fn missing(key: &str) -> PluginError {
    PluginError::invalid_input(format!("`config` in the grant has no `{key}`"))
}

/// One turn of an agent with this profile.
pub fn propose(
    profile: &Profile,
    configured: &Configured,
    mut brief: Brief,
    turn: Option<Turn>,
) -> Result<Answer, PluginError> {
    let settings = Settings::of(configured.settings.as_deref(), &brief)?;
    let format = settings.format(profile.formats)?;
    let model = match (settings.model.clone().or_else(|| configured.model.clone()), format) {
        (Some(model), _) => model,
        (None, Format::Text) => "its own".to_owned(),
        (None, Format::Chat | Format::Completions) => return Err(missing("model")),
    };
    if format == Format::Text || !settings.tools.unwrap_or(profile.tools) {
        brief.tools.clear();
    }
    let bounds = Bounds {
        source_bytes: settings.prompt_bytes,
        rounds: settings.rounds,
        tool_bytes: settings.prompt_bytes,
    };
    let mut parameters = profile.parameters(&settings.parameters)?;
    if profile.context {
        parameters.insert("context".to_owned(), context(&brief));
    }
    let server = Server {
        endpoint: configured.endpoint.clone(),
        model,
        tables: profile.tables,
        errors: true,
        retries: settings.retries,
        until: Instant::now() + brief.budget(),
    };
    let in_text = format == Format::Completions || settings.tool_words == ToolWords::Text;
    let asked = Asked { server, parameters, format, settings, in_text, spoken: in_text || profile.spoken };
    take_turn(&asked, &brief, turn, &bounds)
}

/// Which component, what is wrong with it, and the how-manieth attempt this is.
fn context(brief: &Brief) -> Value {
    match &brief.situation {
        Situation::Failure(failure) => json!({
            "component": failure.component, "error": failure.error, "attempt": failure.history.len() + 1,
        }),
        Situation::Alerts(_) => json!({}),
    }
}

/// A server with everything it has to be told in one call.
struct Asked {
    server: Server,
    parameters: Map<String, Value>,
    format: Format,
    settings: Settings,
    /// Tools are told of in the text.
    in_text: bool,
    /// They may be called there.
    spoken: bool,
}

impl Model for Asked {
    fn complete(&self, chat: &Chat<'_>) -> Result<Completion, PluginError> {
        let Self { server, parameters, format, settings, in_text, spoken: _ } = self;
        if *in_text || *format == Format::Text {
            let messages = hermes::spoken(chat.messages, chat.tools);
            let document = match format {
                Format::Chat => {
                    openai::request(&server.model, &Chat { messages: &messages, tools: &[] }, parameters)
                }
                Format::Completions => {
                    openai::completion_request(&server.model, hermes::chatml(&messages), parameters)
                }
                Format::Text => return server.ask(&plain::request(&messages, parameters), plain::response),
            };
            return Ok(self.heard(server.ask(&settings.streamed(document), openai::response)?, chat));
        }
        let names = Names::of(chat.tools);
        let (messages, tools) = (names.messages(chat.messages), names.tools(chat.tools));
        let document =
            openai::request(&server.model, &Chat { messages: &messages, tools: &tools }, parameters);
        let completion = server.ask(&settings.streamed(document), openai::response)?;
        Ok(self.heard(Completion { said: names.back(completion.said), ..completion }, chat))
    }
}

impl Asked {
    /// Calls in the text are calls where they are to be expected. Where no tools are offered, text is text.
    fn heard(&self, completion: Completion, chat: &Chat<'_>) -> Completion {
        if !self.spoken || chat.tools.is_empty() {
            return completion;
        }
        Completion { said: hermes::heard(completion.said), ..completion }
    }
}

#[cfg(test)]
mod tests;
