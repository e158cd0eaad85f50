//! One stateless turn of the contract. What a conversation needs in order to go on travels in the pause's memory; between turns
//! the host runs the tools. Bounded in rounds, in calls and in bytes: a model that only ever wants to look is stopped.
//!
//! ```text
//! brief ──► prompt ──► model ──► text ──► proposal
//!              ▲         └─────► tools ──► pause ──► host ──┐
//!              └──────────────── results, fenced ◄──────────┘
//! ```

use std::collections::BTreeSet;

use razar_sdk::agent::{Answer, Brief, Remedy, Usage};
use razar_sdk::{Pause, PluginError, PluginErrorKind, ToolCall, ToolResult, Turn};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::chat::{self, Chat, Completion, Finish, Message, ToolUse};
use crate::fence::Fence;
use crate::prompt;
use crate::reply::{self, Offered, ReplyError};
use crate::text::head;

/// Tools that one answer of a model may ask for; further ones are told that they are too many.
const CALLS: usize = 8;

/// Asks a model. The one part that vendors differ in.
pub trait Model {
    /// Sends the conversation and reads the answer.
    fn complete(&self, chat: &Chat<'_>) -> Result<Completion, PluginError>;
}

/// How far one conversation goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of sources in the first message.
    pub source_bytes: usize,
    /// Rounds of tools.
    pub rounds: u32,
    /// Bytes of all tools' answers together.
    pub tool_bytes: usize,
}

impl Default for Bounds {
    /// About thirty thousand tokens of sources, and as much again to look around.
    fn default() -> Self {
        Self { source_bytes: 96 << 10, rounds: 6, tool_bytes: 96 << 10 }
    }
}

/// What goes from turn to turn.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Memory {
    messages: Vec<Message>,
    /// Rounds of tools so far.
    rounds: u32,
    /// Bytes that tools have answered so far.
    bytes: usize,
    /// The model's names for the uses that the host runs now, in the order of the pause.
    waiting: Vec<String>,
}

/// Takes the turn that the host asks for.
pub fn take_turn(
    model: &impl Model,
    brief: &Brief,
    turn: Option<Turn>,
    bounds: &Bounds,
) -> Result<Answer, PluginError> {
    let mut memory = match turn {
        None => Memory { messages: prompt::messages(brief, bounds.source_bytes), ..Memory::default() },
        Some(turn) => go_on(turn, bounds)?,
    };
    let mut spent = None;
    loop {
        let tools = if memory.rounds < bounds.rounds { brief.tools.as_slice() } else { &[] };
        let chat = Chat { messages: &memory.messages, tools };
        let Completion { said, finish, usage } =
            model.complete(&chat).map_err(|error| with_usage(error, &spent))?;
        spent = chat::add(spent, usage);
        if said.uses.is_empty() {
            let answer = conclude(&said.text, &finish, brief).map_err(|error| with_usage(error, &spent))?;
            return Ok(match spent {
                Some(usage) => answer.with_usage(usage),
                None => answer,
            });
        }
        if tools.is_empty() {
            let message =
                format!("the model asks for tools after {} rounds instead of answering", memory.rounds);
            let error = PluginError::new(PluginErrorKind::Other("tool-loop".to_owned()), message);
            return Err(with_usage(error, &spent));
        }
        let uses = distinct(said.uses);
        memory.messages.push(Message::Model(chat::Said { uses: uses.clone(), ..said }));
        memory.rounds += 1;
        let mut calls = Vec::new();
        for (at, wanted) in uses.into_iter().enumerate() {
            match callable(&wanted, at, brief) {
                Ok(()) => {
                    memory.waiting.push(wanted.id.clone());
                    calls.push(ToolCall { id: wanted.id, name: wanted.name, arguments: wanted.arguments });
                }
                Err(text) => memory.messages.push(Message::Tool { id: wanted.id, text }),
            }
        }
        if !calls.is_empty() {
            let memory = serde_json::to_vec(&memory)
                .map_err(|error| PluginError::internal(format!("cannot keep the conversation: {error}")))?;
            let answer = Answer::use_tools(Pause { memory, calls });
            return Ok(match spent {
                Some(usage) => answer.with_usage(usage),
                None => answer,
            });
        }
    }
}

/// The conversation with what the tools answered.
fn go_on(turn: Turn, bounds: &Bounds) -> Result<Memory, PluginError> {
    let mut memory: Memory = serde_json::from_slice(&turn.memory).map_err(|error| {
        PluginError::invalid_input(format!("the turn's memory is not this plugin's: {error}"))
    })?;
    let waiting = std::mem::take(&mut memory.waiting);
    if waiting.len() != turn.results.len() {
        let (wanted, came) = (waiting.len(), turn.results.len());
        return Err(PluginError::invalid_input(format!(
            "{wanted} tools were asked for and {came} results came"
        )));
    }
    for (id, result) in waiting.into_iter().zip(turn.results) {
        let text = fenced(&result, bounds.tool_bytes.saturating_sub(memory.bytes));
        memory.bytes = memory.bytes.saturating_add(result.content.len());
        memory.messages.push(Message::Tool { id, text });
    }
    Ok(memory)
}

/// A result as data, as far as there is room for it.
fn fenced(result: &ToolResult, room: usize) -> String {
    let kept = head(&result.content, room);
    let heading = match (result.is_error, kept.len() < result.content.len()) {
        (true, _) => "the tool failed".to_owned(),
        (false, false) => "result".to_owned(),
        (false, true) => format!(
            "result (the first {} of {} bytes; there is no room for more, answer with what you know)",
            kept.len(),
            result.content.len()
        ),
    };
    Fence::around([kept]).block(&heading, kept)
}

/// Each use under a name of its own: the results come back by name.
fn distinct(mut uses: Vec<ToolUse>) -> Vec<ToolUse> {
    let mut seen = BTreeSet::new();
    for (at, wanted) in uses.iter_mut().enumerate() {
        if !seen.insert(wanted.id.clone()) {
            wanted.id = format!("{}-{at}", head(&wanted.id, 40));
            seen.insert(wanted.id.clone());
        }
    }
    uses
}

/// Whether the host can be asked to run this, or what the model is told instead.
fn callable(wanted: &ToolUse, at: usize, brief: &Brief) -> Result<(), String> {
    if at >= CALLS {
        return Err(format!("not run: at most {CALLS} tools at a time"));
    }
    if !brief.tools.iter().any(|tool| tool.name == wanted.name) {
        let names: Vec<_> = brief.tools.iter().map(|tool| tool.name.as_str()).collect();
        return Err(format!("not run: there is no such tool, there are: {}", names.join(", ")));
    }
    match serde_json::from_str::<Value>(&wanted.arguments) {
        Ok(Value::Object(_)) => Ok(()),
        Ok(_) => Err("not run: the arguments are no JSON object".to_owned()),
        Err(error) => Err(format!("not run: the arguments are no JSON: {error}")),
    }
}

fn conclude(text: &str, finish: &Finish, brief: &Brief) -> Result<Answer, PluginError> {
    match finish {
        Finish::Length => return Err(ReplyError::Truncated.refusal(text)),
        Finish::Filtered => {
            return Err(PluginError::new(PluginErrorKind::Denied, "the vendor withholds the model's answer"));
        }
        Finish::Stop | Finish::Tools | Finish::Other(_) => {}
    }
    let proposed = reply::parse(text, &Offered::by(brief)).map_err(|error| error.refusal(text))?;
    Ok(match proposed.remedy {
        Remedy::Decline(reason) if proposed.rationale.is_empty() => Answer::decline(reason),
        remedy => Answer::propose(remedy, proposed.rationale),
    })
}

/// An error that says what was spent before it: budgets count failures, too.
fn with_usage(mut error: PluginError, spent: &Option<Usage>) -> PluginError {
    if let Some(usage) = spent {
        error.extensions.push(("model".to_owned(), usage.model.clone()));
        error.extensions.push(("input-tokens".to_owned(), usage.input_tokens.to_string()));
        error.extensions.push(("output-tokens".to_owned(), usage.output_tokens.to_string()));
    }
    error
}

#[cfg(test)]
mod tests;
