//! A conversation as OpenAI's chat completions have it, which most servers speak: what is sent, and what may come back.
//!
//! Not streamed unless a server insists on it: the host hands over an answer as a whole, so parts of it would reach nobody sooner,
//! and one deadline and one bound on bytes hold either way.

use razar_sdk::agent::Usage;
use razar_sdk::{PluginError, PluginErrorKind, ToolSchema};
use serde_json::{Map, Value, json};

use crate::chat::{Chat, Completion, Finish, Message, Said, ToolUse};
use crate::text::head;

/// The body of a request. `parameters` are the vendor's own words for temperature, length and the like; they cannot replace
/// what the kit decides.
pub fn request(model: &str, chat: &Chat<'_>, parameters: &Map<String, Value>) -> Value {
    let mut body = parameters.clone();
    body.insert("model".to_owned(), json!(model));
    body.insert("messages".to_owned(), chat.messages.iter().map(message).collect());
    body.insert("stream".to_owned(), json!(false));
    if chat.tools.is_empty() {
        body.remove("tools");
        body.remove("tool_choice");
    } else {
        body.insert("tools".to_owned(), chat.tools.iter().map(tool).collect());
        // `required` is refused by models that think.
        body.insert("tool_choice".to_owned(), json!("auto"));
    }
    Value::Object(body)
}

/// The body of a request for the rest of a text.
pub fn completion_request(model: &str, prompt: String, parameters: &Map<String, Value>) -> Value {
    let mut body = parameters.clone();
    body.insert("model".to_owned(), json!(model));
    body.insert("prompt".to_owned(), json!(prompt));
    body.insert("stream".to_owned(), json!(false));
    Value::Object(body)
}

fn message(message: &Message) -> Value {
    match message {
        Message::System { text } => json!({ "role": "system", "content": text }),
        Message::User { text } => json!({ "role": "user", "content": text }),
        Message::Tool { id, text } => json!({ "role": "tool", "tool_call_id": id, "content": text }),
        Message::Model(said) if said.uses.is_empty() => json!({ "role": "assistant", "content": said.text }),
        Message::Model(said) => {
            let calls: Value = said.uses.iter().map(tool_call).collect();
            match &said.reasoning {
                None => json!({ "role": "assistant", "content": said.text, "tool_calls": calls }),
                // A model that thinks wants its thoughts back while it uses tools, or the server refuses the round.
                Some(reasoning) => json!({
                    "role": "assistant", "content": said.text, "tool_calls": calls, "reasoning_content": reasoning,
                }),
            }
        }
    }
}

fn tool_call(wanted: &ToolUse) -> Value {
    json!({ "id": wanted.id, "type": "function", "function": { "name": wanted.name, "arguments": wanted.arguments } })
}

fn tool(tool: &ToolSchema) -> Value {
    let parameters: Value =
        serde_json::from_str(&tool.input_schema).unwrap_or_else(|_| json!({ "type": "object" }));
    json!({ "type": "function", "function": {
        "name": tool.name, "description": tool.description, "parameters": parameters,
    } })
}

/// What a body says that came with a good status. A body with `error` is an error whatever its status said: the caller has
/// asked [`error_in`] first.
pub fn response(body: &[u8]) -> Result<Completion, PluginError> {
    let document: Value = serde_json::from_slice(body).map_err(|error| {
        let begins = String::from_utf8_lossy(body);
        wrong(&format!("not JSON ({error}): {}", head(begins.trim_start(), 100)))
    })?;
    let choices = document.get("choices").and_then(Value::as_array);
    let choice = match choices.map(Vec::as_slice) {
        Some([choice]) => choice,
        Some([]) => return Err(wrong("`choices` is empty")),
        Some(several) => return Err(wrong(&format!("{} `choices`, one was asked for", several.len()))),
        None => return Err(wrong("no `choices`: is `endpoint` the address of chat completions?")),
    };
    // A completion of one text has it beside the message, or instead of it.
    let of_text = choice.get("text").and_then(Value::as_str).map(|text| json!({ "content": text }));
    let message = choice.get("message").filter(|message| !message.is_null()).or(of_text.as_ref());
    let message = message.ok_or_else(|| wrong("neither `choices[0].message` nor `choices[0].text`"))?;
    let finish = match choice.get("finish_reason").and_then(Value::as_str) {
        Some("stop" | "eos") | None => Finish::Stop,
        Some("tool_calls" | "function_call") => Finish::Tools,
        Some("length") => Finish::Length,
        Some("content_filter" | "sensitive") => Finish::Filtered,
        Some("network_error" | "error" | "abort") => {
            let message = "the vendor broke its model off in the middle of the answer";
            return Err(PluginError::new(PluginErrorKind::Unavailable, message));
        }
        Some(other) => Finish::Other(head(other, 100).to_owned()),
    };
    if let Some(refusal) = message.get("refusal").and_then(Value::as_str).filter(|text| !text.is_empty()) {
        let message = format!("the model refuses: {}", head(refusal, 200));
        return Err(PluginError::new(PluginErrorKind::Denied, message));
    }
    let reasoning = ["reasoning_content", "reasoning"];
    let said = Said {
        text: content(message.get("content"))?,
        reasoning: reasoning.iter().find_map(|key| message.get(*key)?.as_str()).map(str::to_owned),
        uses: uses(message.get("tool_calls"))?,
    };
    Ok(Completion { said, finish, usage: usage(&document) })
}

/// Whether a body that came with a good status is an error after all, and which status it stands for.
pub fn error_in(body: &[u8]) -> Option<u16> {
    let document: Value = serde_json::from_slice(body).ok()?;
    let error = document.get("error").filter(|error| !error.is_null())?;
    if document.get("choices").is_some_and(|choices| !choices.is_null()) {
        return None;
    }
    let status = error.get("code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok());
    Some(status.filter(|status| (400..600).contains(status)).unwrap_or(500))
}

/// Text, nothing, or parts of text.
fn content(content: Option<&Value>) -> Result<String, PluginError> {
    match content {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Array(parts)) => {
            let text = |part: &Value| part.get("text").and_then(Value::as_str).map(str::to_owned);
            parts
                .iter()
                .map(text)
                .collect::<Option<String>>()
                .ok_or_else(|| wrong("`content` has parts without text"))
        }
        Some(_) => Err(wrong("`content` is no text")),
    }
}

fn uses(calls: Option<&Value>) -> Result<Vec<ToolUse>, PluginError> {
    let calls = match calls {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(calls)) => calls,
        Some(_) => return Err(wrong("`tool_calls` is no list")),
    };
    let one = |(at, call): (usize, &Value)| {
        let function = call.get("function")?;
        // Some servers send an object where the format has text, and no id at all.
        let arguments = match function.get("arguments") {
            None | Some(Value::Null) => "{}".to_owned(),
            Some(Value::String(text)) if text.trim().is_empty() => "{}".to_owned(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        };
        let id = call.get("id").and_then(Value::as_str).filter(|id| !id.is_empty());
        Some(ToolUse {
            id: id.map_or_else(|| format!("call-{at}"), str::to_owned),
            name: function.get("name")?.as_str()?.to_owned(),
            arguments,
        })
    };
    let all: Option<Vec<_>> = calls.iter().enumerate().map(one).collect();
    all.ok_or_else(|| wrong("a tool call without `function.name`"))
}

fn usage(document: &Value) -> Option<Usage> {
    let usage = document.get("usage")?;
    let count = |key: &str| usage.get(key).and_then(Value::as_u64);
    let model = document.get("model").and_then(Value::as_str).unwrap_or_default();
    Some(Usage {
        model: head(model, 100).to_owned(),
        input_tokens: count("prompt_tokens")?,
        output_tokens: count("completion_tokens").unwrap_or(0),
    })
}

fn wrong(what: &str) -> PluginError {
    PluginError::new(
        PluginErrorKind::Other("bad-answer".to_owned()),
        format!("the server's answer is no chat completion: {what}"),
    )
}

#[cfg(test)]
mod tests;
