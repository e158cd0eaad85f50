//! The plugin's logic against a real server on loopback.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::mpsc;
use std::thread;

use razar_sdk::ToolSchema;
use razar_sdk::agent::{Failure, FailureClass, Remedy, Situation, Step};
use serde_json::json;

use super::*;

/// Answers each connection with the next of these, and tells what it was asked.
fn serve(answers: Vec<(u16, &'static str, String)>) -> (String, mpsc::Receiver<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}/v1/chat/completions", listener.local_addr().unwrap());
    let (tell, asked) = mpsc::channel();
    thread::spawn(move || {
        for (status, headers, body) in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            let body_at = loop {
                let mut bytes = [0; 4096];
                let read = stream.read(&mut bytes).unwrap();
                request.extend_from_slice(&bytes[..read]);
                if let Some(at) = request.windows(4).position(|window| window == b"\r\n\r\n") {
                    break at + 4;
                }
            };
            let head = String::from_utf8_lossy(&request[..body_at]).to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            let end = body_at + length.trim().parse::<usize>().unwrap();
            while request.len() < end {
                let mut bytes = [0; 4096];
                let read = stream.read(&mut bytes).unwrap();
                request.extend_from_slice(&bytes[..read]);
            }
            assert!(
                head.contains("content-type: application/json") && !head.contains("authorization"),
                "{head}"
            );
            let _ = tell.send(serde_json::from_slice(&request[body_at..end]).unwrap());
            let _ = write!(
                stream,
                "HTTP/1.1 {status} X\r\n{headers}Content-Length: {}\r\n\r\n{body}",
                body.len()
            );
        }
    });
    (endpoint, asked)
}

fn says(text: &str) -> String {
    let message = json!({ "role": "assistant", "content": text });
    json!({ "model": "m-1", "choices": [{ "message": message, "finish_reason": "stop" }],
            "usage": { "prompt_tokens": 11, "completion_tokens": 2 } })
    .to_string()
}

fn brief() -> Brief {
    let tool = ToolSchema {
        name: "read".into(),
        description: "Reads a file".into(),
        input_schema: r#"{"type":"object"}"#.into(),
        extensions: Vec::new(),
    };
    let failure = Failure {
        incident: "i".into(),
        component: "web".into(),
        layer: String::new(),
        class: FailureClass::Logic,
        error: "NameError: nane".into(),
        log_tail: String::new(),
        history: Vec::new(),
        sources: Vec::new(),
        versions: Vec::new(),
        extensions: Vec::new(),
    };
    Brief {
        situation: Situation::Failure(failure),
        actions: Vec::new(),
        tools: vec![tool],
        extensions: vec![("timeout-ms".into(), "20000".into())],
    }
}

fn ask(endpoint: &str, settings: &str) -> Result<Answer, PluginError> {
    let settings: Settings = serde_json::from_str(settings).unwrap();
    answer(endpoint.to_owned(), "m".to_owned(), settings, brief(), None)
}

#[test]
fn a_model_is_asked_as_configured_and_its_answer_is_a_proposal() {
    let (endpoint, asked) = serve(vec![(200, "", says("Renamed.\n\nFILE: app.py\n```\nx\n```"))]);
    let answer = ask(&endpoint, r#"{"parameters":{"temperature":0.1,"max_tokens":99}}"#).unwrap();
    let usage = answer.usage.unwrap();
    assert_eq!((usage.model.as_str(), usage.input_tokens, usage.output_tokens), ("m-1", 11, 2));
    let Step::Propose(proposal) = answer.step else { panic!("{:?}", answer.step) };
    assert!(matches!(proposal.remedy, Remedy::Patch(changes) if changes.len() == 1));
    assert_eq!(proposal.rationale, "Renamed.");
    let body = asked.recv().unwrap();
    assert_eq!(
        (&body["model"], &body["temperature"], &body["max_tokens"]),
        (&json!("m"), &json!(0.1), &json!(99))
    );
    assert_eq!((&body["stream"], &body["tools"][0]["function"]["name"]), (&json!(false), &json!("read")));
    assert!(body["messages"][1]["content"].as_str().unwrap().contains("NameError: nane"));
}

#[test]
fn a_model_without_tools_is_offered_none() {
    let (endpoint, asked) = serve(vec![(200, "", says(r#"{"decline": "no idea"}"#))]);
    ask(&endpoint, r#"{"tools":false}"#).unwrap();
    assert!(asked.recv().unwrap().get("tools").is_none());
}

#[test]
fn overload_is_asked_again_and_quota_is_not() {
    let busy = || (503, "Retry-After: 0\r\n", "{\"error\":{\"message\":\"overloaded\"}}".to_owned());
    let (endpoint, asked) = serve(vec![busy(), (200, "", says(r#"{"decline": "x"}"#))]);
    ask(&endpoint, "{}").unwrap();
    assert_eq!(asked.iter().count(), 2);
    let quota = r#"{"error":{"code":"insufficient_quota","message":"used up"}}"#.to_owned();
    let (endpoint, asked) = serve(vec![(429, "Retry-After: 0\r\n", quota)]);
    let error = ask(&endpoint, "{}").unwrap_err();
    assert_eq!((error.kind, asked.iter().count()), (PluginErrorKind::QuotaExhausted, 1));
    let (endpoint, asked) = serve(vec![busy(), busy()]);
    let error = ask(&endpoint, r#"{"retries":1}"#).unwrap_err();
    assert_eq!((error.kind, asked.iter().count()), (PluginErrorKind::Unavailable, 2));
}

#[test]
fn what_goes_wrong_has_a_kind() {
    for (status, body, kind) in [
        (401, "{}".to_owned(), PluginErrorKind::Unauthenticated),
        (404, r#"{"error":{"message":"model `m` not found"}}"#.to_owned(), PluginErrorKind::NotFound),
        (200, r#"{"error":{"code":401,"message":"no"}}"#.to_owned(), PluginErrorKind::Unauthenticated),
        (200, "<html>".to_owned(), PluginErrorKind::Other("bad-answer".to_owned())),
        (200, "x".repeat(MAX_ANSWER + 1), PluginErrorKind::Other("bad-answer".to_owned())),
        (200, says("I cannot say."), PluginErrorKind::Other("unusable-reply".to_owned())),
        (302, String::new(), PluginErrorKind::InvalidInput),
    ] {
        let (endpoint, _asked) = serve(vec![(status, "", body)]);
        assert_eq!(ask(&endpoint, "{}").unwrap_err().kind, kind, "{status}");
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    assert_eq!(ask(&nobody, r#"{"retries":0}"#).unwrap_err().kind, PluginErrorKind::Unavailable);
    assert_eq!(ask("ftp://x", "{}").unwrap_err().kind, PluginErrorKind::InvalidInput);
}

#[test]
fn nothing_is_asked_without_an_endpoint() {
    let error = AgentOpenai::propose(brief(), None).unwrap_err();
    assert_eq!(error.kind, PluginErrorKind::InvalidInput);
    assert!(error.message.contains("`config` in the grant has no `model`"), "{}", error.message);
}
