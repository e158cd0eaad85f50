//! Requests as servers want them, answers as servers send them.

use super::*;

fn schema(name: &str) -> ToolSchema {
    ToolSchema {
        name: name.to_owned(),
        description: "d".to_owned(),
        input_schema: r#"{"type":"object","properties":{"path":{"type":"string"}}}"#.to_owned(),
        extensions: Vec::new(),
    }
}

#[test]
fn a_request_has_what_was_said_and_no_parameter_can_change_that() {
    let uses = vec![ToolUse { id: "c1".into(), name: "read".into(), arguments: r#"{"path":"a"}"#.into() }];
    let messages = [
        Message::System { text: "s".into() },
        Message::User { text: "u".into() },
        Message::Model(Said { text: String::new(), reasoning: Some("thought".into()), uses }),
        Message::Tool { id: "c1".into(), text: "x".into() },
        Message::Model(Said { text: "t".into(), reasoning: Some("kept here".into()), uses: Vec::new() }),
    ];
    let parameters =
        json!({ "temperature": 0.2, "model": "other", "stream": true, "tools": [], "messages": [] });
    let Value::Object(parameters) = parameters else { panic!() };
    let body = request("m", &Chat { messages: &messages, tools: &[schema("read")] }, &parameters);
    assert_eq!(
        body,
        json!({
            "model": "m", "stream": false, "temperature": 0.2, "tool_choice": "auto",
            "messages": [
                { "role": "system", "content": "s" },
                { "role": "user", "content": "u" },
                { "role": "assistant", "content": "", "reasoning_content": "thought", "tool_calls": [
                    { "id": "c1", "type": "function", "function": { "name": "read", "arguments": "{\"path\":\"a\"}" } }
                ] },
                { "role": "tool", "tool_call_id": "c1", "content": "x" },
                { "role": "assistant", "content": "t" },
            ],
            "tools": [{ "type": "function", "function": {
                "name": "read", "description": "d",
                "parameters": { "type": "object", "properties": { "path": { "type": "string" } } },
            } }],
        })
    );
    let without = request("m", &Chat { messages: &messages, tools: &[] }, &parameters);
    assert!(without.get("tools").is_none() && without.get("tool_choice").is_none());
}

fn answer(choice: Value) -> Vec<u8> {
    json!({ "id": "x", "model": "kimi-k2.6", "choices": [choice], "usage": { "prompt_tokens": 7, "completion_tokens": 3 } })
        .to_string()
        .into_bytes()
}

#[test]
fn answers_are_read_as_servers_write_them() {
    let stop = |message: Value| answer(json!({ "finish_reason": "stop", "message": message }));
    for (body, text, finish) in [
        (stop(json!({ "role": "assistant", "content": "hello" })), "hello", Finish::Stop),
        (
            stop(json!({ "content": [{ "type": "text", "text": "he" }, { "type": "text", "text": "llo" }] })),
            "hello",
            Finish::Stop,
        ),
        (stop(json!({ "content": null })), "", Finish::Stop),
        (
            answer(json!({ "message": { "content": "cut" }, "finish_reason": "length" })),
            "cut",
            Finish::Length,
        ),
        (
            answer(json!({ "message": { "content": "" }, "finish_reason": "content_filter" })),
            "",
            Finish::Filtered,
        ),
        (answer(json!({ "message": { "content": "x" }, "finish_reason": null })), "x", Finish::Stop),
        (
            answer(json!({ "message": { "content": "x" }, "finish_reason": "odd" })),
            "x",
            Finish::Other("odd".into()),
        ),
    ] {
        let read = response(&body).unwrap();
        assert_eq!((read.said.text.as_str(), &read.finish), (text, &finish));
        let usage = read.usage.unwrap();
        assert_eq!((usage.model.as_str(), usage.input_tokens, usage.output_tokens), ("kimi-k2.6", 7, 3));
    }
}

#[test]
fn tool_calls_are_read_in_every_spelling() {
    let calls = json!([
        { "id": "a", "type": "function", "function": { "name": "read", "arguments": "{\"path\":\"x\"}" } },
        { "function": { "name": "list", "arguments": { "path": "y" } } },
        { "id": "", "function": { "name": "list", "arguments": "" } },
        { "id": "d", "function": { "name": "list" } },
    ]);
    let message = json!({ "content": null, "reasoning_content": "let me look", "tool_calls": calls });
    let read = response(&answer(json!({ "finish_reason": "tool_calls", "message": message }))).unwrap();
    assert_eq!((read.finish, read.said.reasoning.as_deref()), (Finish::Tools, Some("let me look")));
    let uses: Vec<_> =
        read.said.uses.iter().map(|u| (u.id.as_str(), u.name.as_str(), u.arguments.as_str())).collect();
    let expected = [
        ("a", "read", "{\"path\":\"x\"}"),
        ("call-1", "list", "{\"path\":\"y\"}"),
        ("call-2", "list", "{}"),
        ("d", "list", "{}"),
    ];
    assert_eq!(uses, expected);
}

#[test]
fn what_is_no_completion_is_named() {
    for (body, part) in [
        ("<html>", "not JSON"),
        ("", "not JSON"),
        ("{}", "no `choices`"),
        (r#"{"choices":[]}"#, "`choices` is empty"),
        (r#"{"choices":[{},{}]}"#, "2 `choices`"),
        (r#"{"choices":[{}]}"#, "neither `choices[0].message`"),
        (r#"{"choices":[{"message":{"content":7}}]}"#, "`content` is no text"),
        (r#"{"choices":[{"message":{"content":[{"type":"image"}]}}]}"#, "parts without text"),
        (r#"{"choices":[{"message":{"tool_calls":{}}}]}"#, "`tool_calls` is no list"),
        (r#"{"choices":[{"message":{"tool_calls":[{"id":"a"}]}}]}"#, "without `function.name`"),
    ] {
        let error = response(body.as_bytes()).unwrap_err();
        assert_eq!(error.kind, PluginErrorKind::Other("bad-answer".to_owned()), "{body}");
        assert!(error.message.contains(part), "{body}: {}", error.message);
    }
    let deep = "[".repeat(100_000);
    assert!(response(deep.as_bytes()).is_err(), "nesting has a limit");
    let refused =
        response(&answer(json!({ "message": { "content": null, "refusal": "I cannot" } }))).unwrap_err();
    assert_eq!(
        (refused.kind, refused.message.as_str()),
        (PluginErrorKind::Denied, "the model refuses: I cannot")
    );
}

#[test]
fn a_good_status_does_not_hide_an_error() {
    for (body, status) in [
        (r#"{"error":{"message":"x","code":429}}"#, Some(429)),
        (r#"{"error":{"message":"x","code":"odd"}}"#, Some(500)),
        (r#"{"error":"x"}"#, Some(500)),
        (r#"{"error":null,"choices":[]}"#, None),
        (r#"{"choices":[],"error":{}}"#, None),
        ("x", None),
    ] {
        assert_eq!(error_in(body.as_bytes()), status, "{body}");
    }
}
