//! The plugin's logic against a real server on loopback.

use razar_agent_kit::rehearsal::{self, Reply, Scripted, chat};
use razar_sdk::agent::Step;
use razar_sdk::{PluginErrorKind, ToolResult};
use serde_json::{Value, json};

use super::*;

const DECLINE: &str = r#"{"decline": "x"}"#;

fn configured(server: &Scripted, settings: &str) -> Configured {
    let endpoint = server.at("/v1/chat/completions");
    Configured { endpoint, model: Some("kimi-k2.6".into()), settings: Some(settings.to_owned()) }
}

fn ask(settings: &str, replies: Vec<Reply>) -> (Result<Answer, PluginError>, Vec<Value>) {
    let server = Scripted::answer(replies).unwrap();
    let answer = propose(&PROFILE, &configured(&server, settings), rehearsal::brief(), None);
    (answer, server.asked().into_iter().map(|asked| asked.body).collect())
}

fn refuses(kind: &str, message: &str) -> Reply {
    Reply::of(429, json!({ "error": { "type": kind, "message": message } })).with("retry-after", "0")
}

#[test]
fn thoughts_go_back_with_what_tools_answered_under_names_that_fit() {
    let mut wish = chat("");
    wish["choices"][0] = json!({ "finish_reason": "tool_calls", "message": {
        "role": "assistant", "content": "", "reasoning_content": "let me look",
        "tool_calls": [{ "id": "fs_read:0", "type": "function",
                         "function": { "name": "fs_read", "arguments": "{\"path\":\"a\"}" } }],
    } });
    let server = Scripted::answer(vec![Reply::ok(wish), Reply::ok(chat(DECLINE))]).unwrap();
    let mut brief = rehearsal::brief();
    brief.tools[0].name = "fs.read".into();
    let answer = propose(&PROFILE, &configured(&server, "{}"), brief.clone(), None).unwrap();
    let Step::UseTools(pause) = answer.step else { panic!("no call") };
    assert_eq!(pause.calls[0].name, "fs.read", "the host knows it by its own name");
    let results = vec![ToolResult { id: "fs_read:0".into(), content: "x".into(), is_error: false }];
    let turn = Turn { memory: pause.memory, results };
    propose(&PROFILE, &configured(&server, "{}"), brief, Some(turn)).unwrap();
    let asked = server.asked();
    assert_eq!(
        (&asked[0].body["tools"][0]["function"]["name"], &asked[0].body["tool_choice"]),
        (&json!("fs_read"), &json!("auto"))
    );
    let said = &asked[1].body["messages"][2];
    assert_eq!(
        (&said["reasoning_content"], &said["tool_calls"][0]["function"]["name"]),
        (&json!("let me look"), &json!("fs_read"))
    );
    assert_eq!(asked[1].body["messages"][3]["tool_call_id"], "fs_read:0");
}

#[test]
fn parameters_are_todays_and_sampling_is_the_vendors() {
    let (_, asked) = ask(
        r#"{"parameters": {"max_tokens": 9, "thinking": {"type": "disabled"}}}"#,
        vec![Reply::ok(chat(DECLINE))],
    );
    let body = &asked[0];
    assert_eq!((&body["max_completion_tokens"], body.get("max_tokens")), (&json!(9), None));
    assert_eq!((&body["thinking"]["type"], body.get("temperature")), (&json!("disabled"), None));
    let (answer, asked) = ask(r#"{"parameters": {"temperature": 0.6}}"#, Vec::new());
    assert_eq!((answer.unwrap_err().kind, asked.len()), (PluginErrorKind::InvalidInput, 0));
}

#[test]
fn three_things_are_a_429() {
    let overloaded = "The engine is currently overloaded, please try again later";
    for (kind, message, meant, times) in [
        ("engine_overloaded_error", overloaded, PluginErrorKind::Unavailable, 2),
        ("rate_limit_error", overloaded, PluginErrorKind::Unavailable, 2),
        ("rate_limit_reached_error", "organization max RPM: 3", PluginErrorKind::RateLimited, 2),
        (
            "exceeded_current_quota_error",
            "please check your account balance",
            PluginErrorKind::QuotaExhausted,
            1,
        ),
        (
            "rate_limit_error",
            "You've reached your usage limit for this period",
            PluginErrorKind::QuotaExhausted,
            1,
        ),
    ] {
        let (answer, asked) = ask(r#"{"retries": 1}"#, vec![refuses(kind, message), refuses(kind, message)]);
        assert_eq!((answer.unwrap_err().kind, asked.len()), (meant, times), "{kind}: {message}");
    }
    let (answer, asked) =
        ask("{}", vec![refuses("engine_overloaded_error", overloaded), Reply::ok(chat(DECLINE))]);
    assert!(answer.is_ok());
    assert_eq!(asked.len(), 2, "an overload passes");
}

#[test]
fn when_to_come_back_is_told() {
    let body = json!({ "error": { "type": "rate_limit_reached_error", "message": "organization max RPM: 3, please try again after 40 seconds" } });
    let (answer, asked) = ask("{}", vec![Reply::of(429, body)]);
    let error = answer.unwrap_err();
    assert_eq!(
        (error.kind, error.retry_after_ms, asked.len()),
        (PluginErrorKind::RateLimited, Some(40_000), 1)
    );
}

#[test]
fn a_model_that_is_gone_is_named() {
    let body = json!({ "error": { "type": "resource_not_found_error", "message": "Not found the model or Permission denied" } });
    let error = ask("{}", vec![Reply::of(404, body)]).0.unwrap_err();
    assert_eq!(error.kind, PluginErrorKind::NotFound);
    assert!(error.message.contains("no model `kimi-k2.6`"), "{}", error.message);
}
