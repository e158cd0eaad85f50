//! The plugin's logic against a real server on loopback.

use razar_agent_kit::rehearsal::{self, Reply, Scripted, chat};
use razar_sdk::agent::Step;
use razar_sdk::{PluginErrorKind, ToolResult};
use serde_json::{Value, json};

use super::*;

const DECLINE: &str = r#"{"decline": "x"}"#;
const CALL: &str =
    "<think>hm</think>\n<tool_call>\n{\"name\": \"read\", \"arguments\": {\"path\": \"a\"}}\n</tool_call>";

fn configured(server: &Scripted, settings: &str) -> Configured {
    Configured {
        endpoint: server.at("/v1"),
        model: Some("rstar/qwen3-14b".into()),
        settings: Some(settings.into()),
    }
}

fn completion(text: &str) -> Value {
    json!({ "object": "text_completion", "model": "rstar/qwen3-14b",
            "choices": [{ "index": 0, "text": text, "finish_reason": "stop", "stop_reason": null }],
            "usage": { "prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4 } })
}

/// A round of tools and a decline, and what was asked for it.
fn round(settings: &str, replies: Vec<Reply>) -> Vec<Value> {
    let server = Scripted::answer(replies).unwrap();
    let answer = propose(&PROFILE, &configured(&server, settings), rehearsal::brief(), None).unwrap();
    let Step::UseTools(pause) = answer.step else { panic!("no call") };
    assert_eq!(
        (pause.calls[0].name.as_str(), pause.calls[0].arguments.as_str()),
        ("read", "{\"path\":\"a\"}")
    );
    let results =
        vec![ToolResult { id: pause.calls[0].id.clone(), content: "the file".into(), is_error: false }];
    let turn = Turn { memory: pause.memory, results };
    let answer = propose(&PROFILE, &configured(&server, settings), rehearsal::brief(), Some(turn)).unwrap();
    assert!(matches!(answer.step, Step::Propose(_)));
    server.asked().into_iter().map(|asked| asked.body).collect()
}

#[test]
fn chat_has_tools_in_the_servers_words_or_in_the_models_own() {
    let mut wish = chat("");
    wish["choices"][0]["message"]["tool_calls"] = json!([{ "id": "chatcmpl-tool-1", "type": "function",
        "function": { "name": "read", "arguments": "{\"path\":\"a\"}" } }]);
    let asked = round("{}", vec![Reply::ok(wish), Reply::ok(chat(DECLINE))]);
    assert_eq!(
        (&asked[0]["tools"][0]["function"]["name"], &asked[1]["messages"][3]["role"]),
        (&json!("read"), &json!("tool"))
    );
    // A server without a parser leaves the call where the model wrote it.
    let asked = round("{}", vec![Reply::ok(chat(CALL)), Reply::ok(chat(DECLINE))]);
    assert_eq!(asked[1]["messages"][2]["tool_calls"][0]["function"]["name"], "read");
    let asked = round(r#"{"tool_words": "text"}"#, vec![Reply::ok(chat(CALL)), Reply::ok(chat(DECLINE))]);
    assert!(asked.iter().all(|body| body.get("tools").is_none()));
    let messages = &asked[1]["messages"];
    assert!(messages[0]["content"].as_str().unwrap().contains("<tools>"), "{messages}");
    assert!(messages[2]["content"].as_str().unwrap().starts_with("<tool_call>"), "{messages}");
    assert!(messages[3]["content"].as_str().unwrap().starts_with("<tool_response>"), "{messages}");
}

#[test]
fn completions_are_one_text_with_vllms_own_parameters() {
    let settings = r#"{"format": "completions", "parameters": {"max_tokens": 8192, "skip_special_tokens": false,
        "include_stop_str_in_output": true}}"#;
    let asked = round(settings, vec![Reply::ok(completion(CALL)), Reply::ok(completion(DECLINE))]);
    let (first, second) = (&asked[0], &asked[1]);
    assert_eq!(
        (&first["skip_special_tokens"], &first["include_stop_str_in_output"]),
        (&json!(false), &json!(true))
    );
    assert!(first.get("messages").is_none() && first.get("tools").is_none());
    let prompt = second["prompt"].as_str().unwrap();
    assert!(
        prompt.contains("<|im_start|>assistant\n<tool_call>") && prompt.contains("<tool_response>\n"),
        "{prompt}"
    );
    assert!(prompt.ends_with("<|im_start|>assistant\n"));
}

#[test]
fn what_vllm_says_has_a_kind() {
    for (status, body, kind, part) in [
        (
            404,
            json!({ "object": "error", "message": "The model `rstar/qwen3-14b` does not exist.", "type": "NotFoundError", "param": null, "code": 404 }),
            PluginErrorKind::NotFound,
            "no model `rstar/qwen3-14b`",
        ),
        (
            400,
            json!({ "error": { "message": "This model's maximum context length is 40960 tokens.", "type": "BadRequestError", "code": 400 } }),
            PluginErrorKind::InvalidInput,
            "lower `prompt_bytes`",
        ),
        (
            400,
            json!({ "object": "error", "message": "\"auto\" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set", "type": "BadRequestError", "code": 400 }),
            PluginErrorKind::InvalidInput,
            "--enable-auto-tool-choice",
        ),
        (401, json!({ "error": "Unauthorized" }), PluginErrorKind::Unauthenticated, "`secret` in the grant"),
    ] {
        let server = Scripted::answer(vec![Reply::of(status, body)]).unwrap();
        let error = propose(&PROFILE, &configured(&server, "{}"), rehearsal::brief(), None).unwrap_err();
        assert_eq!(error.kind, kind, "{}", error.message);
        assert!(error.message.contains(part), "{}", error.message);
    }
}
