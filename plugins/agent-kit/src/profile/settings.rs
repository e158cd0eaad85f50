//! What an operator may say about how a server is asked: the same words for every agent, each with a schema of its own that has
//! those it takes. Said in the grant's `settings` for all calls, and in a brief for one.

use razar_sdk::agent::Brief;
use razar_sdk::{PluginError, parse_settings};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::turn::Bounds;

/// How a server is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// OpenAI's chat completions.
    Chat,
    /// OpenAI's completions of one text, in ChatML.
    Completions,
    /// `{"prompt": …}` and `{"text": …}`.
    Text,
}

impl Format {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Completions => "completions",
            Self::Text => "text",
        }
    }
}

/// How tools are spoken of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ToolWords {
    /// In the request's `tools`.
    #[default]
    Server,
    /// In the text itself, as Hermes and Qwen models learn it.
    Text,
}

/// All of it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Instead of the grant's model.
    pub model: Option<String>,
    /// How the server is spoken to.
    pub format: Option<Format>,
    /// Whether the answer is asked for in pieces.
    pub stream: bool,
    /// Into every request as they are.
    pub parameters: Map<String, Value>,
    /// Whether the model may look around.
    pub tools: Option<bool>,
    /// How it is told of its tools.
    pub tool_words: ToolWords,
    /// How often it may look.
    pub rounds: u32,
    /// Bytes of sources in the prompt.
    pub prompt_bytes: usize,
    /// Repeats in one call.
    pub retries: u32,
}

impl Default for Settings {
    fn default() -> Self {
        let Bounds { source_bytes, rounds, tool_bytes: _ } = Bounds::default();
        Self {
            model: None,
            format: None,
            stream: false,
            parameters: Map::new(),
            tools: None,
            tool_words: ToolWords::Server,
            rounds,
            prompt_bytes: source_bytes,
            retries: 2,
        }
    }
}

impl Settings {
    /// Those of the grant, and over them those of a brief.
    pub fn of(configured: Option<&str>, brief: &Brief) -> Result<Self, PluginError> {
        layered(configured, brief)
    }

    /// The format that is chosen, if it is one of these.
    pub(super) fn format(&self, formats: &'static [Format]) -> Result<Format, PluginError> {
        match (self.format, formats) {
            (None, [first, ..]) => Ok(*first),
            (Some(chosen), _) if formats.contains(&chosen) => Ok(chosen),
            _ => {
                let known: Vec<_> = formats.iter().map(|format| format.as_str()).collect();
                Err(PluginError::invalid_input(format!("settings: `format` is one of: {}", known.join(", "))))
            }
        }
    }

    /// A request for an answer in pieces, if that is how it is wanted.
    pub(super) fn streamed(&self, mut document: Value) -> Value {
        if let (true, Some(body)) = (self.stream, document.as_object_mut()) {
            body.insert("stream".to_owned(), json!(true));
            body.entry("stream_options").or_insert_with(|| json!({ "include_usage": true }));
        }
        document
    }
}

/// Settings of any shape: those of the grant, and over them, key by key, those of a brief.
pub fn layered<T: serde::de::DeserializeOwned>(
    configured: Option<&str>,
    brief: &Brief,
) -> Result<T, PluginError> {
    let mut all: Map<String, Value> =
        parse_settings(configured.unwrap_or_default()).map_err(|mut error| {
            error.message = format!("`config` in the grant, {}", error.message);
            error
        })?;
    all.extend(brief.parse_settings::<Map<String, Value>>()?);
    parse_settings(&Value::Object(all).to_string())
}
