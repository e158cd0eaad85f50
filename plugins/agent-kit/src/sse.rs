//! An answer that came in pieces: server-sent events, put together to what the same server says at once. Some servers insist on
//! streaming; nothing behind this file sees a difference.
//!
//! ```text
//! data: {"choices":[{"delta":{"content":"he"}}]}
//! data: {"choices":[{"delta":{"content":"llo"},"finish_reason":"stop"}]}       ─► {"choices":[{"message":{"content":"hello"},…}],…}
//! data: [DONE]
//! ```

use std::collections::BTreeMap;

use razar_sdk::{PluginError, PluginErrorKind};
use serde_json::{Map, Value, json};

/// Tools that one answer may ask for; what lies beyond is no answer.
const USES: u64 = 256;

/// Whether a body is a stream of events, by its type or by how it begins.
pub fn is_stream(content_type: Option<&str>, body: &[u8]) -> bool {
    let typed = content_type.is_some_and(|kind| kind.trim_start().starts_with("text/event-stream"));
    typed || body.trim_ascii_start().starts_with(b"data:")
}

/// The answer as a whole. A stream that ends in the middle is an error: half a patch is worse than none.
pub fn whole(body: &[u8]) -> Result<Value, PluginError> {
    let text = String::from_utf8_lossy(body);
    let mut sum = Sum::default();
    let mut events = events(&text).peekable();
    while let Some(data) = events.next() {
        if data.trim() == "[DONE]" {
            sum.done = true;
            break;
        }
        let chunk: Value = match serde_json::from_str(&data) {
            Ok(chunk) => chunk,
            // Where a connection just ends, its last event may be half of one.
            Err(_) if events.peek().is_none() => break,
            Err(error) => return Err(bad(&format!("an event is not JSON: {error}"))),
        };
        if chunk.get("error").is_some_and(|error| !error.is_null()) {
            return Ok(chunk);
        }
        sum.add(&chunk)?;
    }
    sum.finished()
}

/// The data of each event, one after the other. Comments and other fields say nothing here.
fn events(text: &str) -> impl Iterator<Item = String> {
    let mut lines = text.lines();
    std::iter::from_fn(move || {
        let mut data: Option<String> = None;
        for line in lines.by_ref() {
            if let Some(more) = line.strip_prefix("data:") {
                let data = data.get_or_insert_default();
                if !data.is_empty() {
                    data.push('\n');
                }
                data.push_str(more.strip_prefix(' ').unwrap_or(more));
            } else if line.is_empty() && data.is_some() {
                break;
            }
        }
        data
    })
}

/// What the pieces are so far.
#[derive(Default)]
struct Sum {
    model: Option<Value>,
    usage: Option<Value>,
    finish: Option<Value>,
    content: String,
    reasoning: Option<String>,
    /// By the number that the server counts them with.
    uses: BTreeMap<u64, Use>,
    done: bool,
}

#[derive(Default)]
struct Use {
    id: String,
    name: String,
    arguments: String,
}

impl Sum {
    fn add(&mut self, chunk: &Value) -> Result<(), PluginError> {
        let given = |key: &str| chunk.get(key).filter(|value| !value.is_null()).cloned();
        self.model = self.model.take().or_else(|| given("model"));
        self.usage = given("usage").or_else(|| self.usage.take());
        let Some(choice) = chunk.get("choices").and_then(|choices| choices.get(0)) else { return Ok(()) };
        // Moonshot counts in the choice.
        self.usage = choice.get("usage").filter(|usage| !usage.is_null()).cloned().or(self.usage.take());
        if let Some(reason) = choice.get("finish_reason").filter(|reason| !reason.is_null()) {
            self.finish = Some(reason.clone());
        }
        if let Some(text) = choice.get("text").and_then(Value::as_str) {
            self.content.push_str(text);
        }
        // Some send the last piece as a whole message.
        let Some(delta) = choice.get("delta").or_else(|| choice.get("message")) else { return Ok(()) };
        if let Some(text) = delta.get("content").and_then(Value::as_str) {
            self.content.push_str(text);
        }
        let thought = ["reasoning_content", "reasoning"].iter().find_map(|key| delta.get(*key)?.as_str());
        if let Some(thought) = thought {
            self.reasoning.get_or_insert_default().push_str(thought);
        }
        for (at, call) in delta.get("tool_calls").and_then(Value::as_array).into_iter().flatten().enumerate()
        {
            let index = call.get("index").and_then(Value::as_u64).unwrap_or(at as u64);
            if index >= USES {
                return Err(bad("it asks for more tools than anybody needs"));
            }
            let part = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
            let (one, function) = (self.uses.entry(index).or_default(), call.get("function"));
            one.id.push_str(&part(call.get("id")));
            one.name.push_str(&part(function.and_then(|function| function.get("name"))));
            one.arguments.push_str(&part(function.and_then(|function| function.get("arguments"))));
        }
        Ok(())
    }

    fn finished(self) -> Result<Value, PluginError> {
        if !self.done && self.finish.is_none() {
            let message = "the server's stream ended before its answer was complete";
            return Err(PluginError::new(PluginErrorKind::Unavailable, message));
        }
        let mut message = Map::new();
        message.insert("role".to_owned(), json!("assistant"));
        message.insert("content".to_owned(), json!(self.content));
        if let Some(reasoning) = self.reasoning {
            message.insert("reasoning_content".to_owned(), json!(reasoning));
        }
        if !self.uses.is_empty() {
            let call = |one: Use| {
                json!({ "id": one.id, "type": "function",
                        "function": { "name": one.name, "arguments": one.arguments } })
            };
            message.insert("tool_calls".to_owned(), self.uses.into_values().map(call).collect());
        }
        let choice = json!({ "index": 0, "message": message, "finish_reason": self.finish });
        Ok(json!({ "model": self.model, "choices": [choice], "usage": self.usage }))
    }
}

fn bad(what: &str) -> PluginError {
    let kind = PluginErrorKind::Other("bad-answer".to_owned());
    PluginError::new(kind, format!("the server's stream is no chat completion: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(chunks: &[Value], end: &str) -> Vec<u8> {
        let chunks: String = chunks.iter().map(|chunk| format!("data: {chunk}\n\n")).collect();
        format!(": hello\n\n{chunks}{end}").into_bytes()
    }

    #[test]
    fn pieces_become_the_whole_answer() {
        let delta = |delta: Value| json!({ "model": "m-1", "choices": [{ "index": 0, "delta": delta }] });
        let body = stream(
            &[
                delta(json!({ "role": "assistant", "content": "" })),
                delta(json!({ "reasoning_content": "h" })),
                delta(json!({ "reasoning_content": "m" })),
                delta(json!({ "content": "he" })),
                delta(json!({ "content": "llo" })),
                delta(
                    json!({ "tool_calls": [{ "index": 0, "id": "c1", "function": { "name": "read", "arguments": "{\"pa" } }] }),
                ),
                delta(json!({ "tool_calls": [{ "index": 0, "function": { "arguments": "th\":1}" } }] })),
                json!({ "choices": [{ "delta": {}, "finish_reason": "tool_calls" }] }),
                json!({ "choices": [], "usage": { "prompt_tokens": 7, "completion_tokens": 3 } }),
            ],
            "data: [DONE]\n\n",
        );
        assert!(is_stream(None, b"data: {}") && is_stream(Some("text/event-stream; charset=utf-8"), b""));
        assert!(!is_stream(Some("application/json"), b"{\"data:\":1}"));
        assert_eq!(
            whole(&body).unwrap(),
            json!({
                "model": "m-1", "usage": { "prompt_tokens": 7, "completion_tokens": 3 },
                "choices": [{ "index": 0, "finish_reason": "tool_calls", "message": {
                    "role": "assistant", "content": "hello", "reasoning_content": "hm",
                    "tool_calls": [{ "id": "c1", "type": "function",
                                     "function": { "name": "read", "arguments": "{\"path\":1}" } }],
                } }],
            })
        );
    }

    #[test]
    fn completions_and_lines_of_windows_are_read_too() {
        let body = b"data: {\"choices\":[{\"text\":\"a\"}]}\r\n\r\ndata: {\"choices\":[{\"text\":\"b\",\"finish_reason\":\"stop\"}]}\r\n\r\n";
        assert_eq!(whole(body).unwrap()["choices"][0]["message"]["content"], "ab");
    }

    #[test]
    fn half_a_stream_is_none_and_an_error_in_it_is_an_error() {
        let body = stream(&[json!({ "choices": [{ "delta": { "content": "x" } }] })], "");
        assert_eq!(whole(&body).unwrap_err().kind, PluginErrorKind::Unavailable);
        let strange = b"data: <html>\n\ndata: [DONE]\n\n";
        assert_eq!(whole(strange).unwrap_err().kind, PluginErrorKind::Other("bad-answer".into()));
        let failed = stream(&[json!({ "error": { "message": "m", "code": 500 } })], "data: [DONE]\n\n");
        assert_eq!(whole(&failed).unwrap()["error"]["code"], 500);
        let many = json!({ "choices": [{ "delta": { "tool_calls": [{ "index": 1_000_000 }] } }] });
        assert!(whole(&stream(&[many], "")).is_err());
    }

    #[test]
    fn wherever_a_stream_is_cut_it_is_no_shorter_answer() {
        let delta = |delta: Value| json!({ "choices": [{ "delta": delta }] });
        let body = stream(
            &[
                delta(json!({ "content": "FILE: a\n" })),
                delta(json!({ "content": "gr\u{fc}n" })),
                json!({ "choices": [{ "delta": {}, "finish_reason": "stop" }] }),
                json!({ "choices": [], "usage": { "prompt_tokens": 1, "completion_tokens": 1 } }),
            ],
            "data: [DONE]\n\n",
        );
        for end in 0..=body.len() {
            match whole(&body[..end]) {
                Ok(answer) => {
                    assert_eq!(answer["choices"][0]["message"]["content"], "FILE: a\ngr\u{fc}n", "{end}")
                }
                Err(error) => assert_eq!(error.kind, PluginErrorKind::Unavailable, "{end}"),
            }
        }
        assert!(whole(&body).is_ok());
    }
}
