//! The plugin's logic against a real server on loopback.

use std::net::TcpListener;

use razar_agent_kit::rehearsal::{self, Reply, Scripted, chat};
use razar_agent_kit::server::MAX_ANSWER;
use razar_sdk::PluginErrorKind;
use razar_sdk::agent::{Remedy, Step};
use serde_json::json;

use super::*;

fn says(text: &str) -> Reply {
    Reply::ok(chat(text))
}

fn ask(endpoint: &str, settings: &str) -> Result<Answer, PluginError> {
    let configured = Configured {
        endpoint: endpoint.to_owned(),
        model: Some("m".into()),
        settings: Some(settings.into()),
    };
    propose(&Profile::OPENAI, &configured, rehearsal::brief(), None)
}

fn serve(replies: Vec<Reply>) -> (String, Scripted) {
    let server = Scripted::answer(replies).unwrap();
    (server.at("/v1/chat/completions"), server)
}

#[test]
fn a_model_is_asked_as_configured_and_its_answer_is_a_proposal() {
    let (endpoint, server) = serve(vec![says("Renamed.\n\nFILE: app.py\n```\nx\n```")]);
    let answer = ask(&endpoint, r#"{"parameters":{"temperature":0.1,"max_tokens":99}}"#).unwrap();
    let usage = answer.usage.unwrap();
    assert_eq!((usage.model.as_str(), usage.input_tokens, usage.output_tokens), ("m-1", 11, 2));
    let Step::Propose(proposal) = answer.step else { panic!("{:?}", answer.step) };
    assert!(matches!(proposal.remedy, Remedy::Patch(changes) if changes.len() == 1));
    assert_eq!(proposal.rationale, "Renamed.");
    let asked = server.asked().remove(0);
    assert!(!asked.head.contains("authorization"), "{}", asked.head);
    let body = asked.body;
    assert_eq!(
        (&body["model"], &body["temperature"], &body["max_tokens"]),
        (&json!("m"), &json!(0.1), &json!(99))
    );
    assert_eq!((&body["stream"], &body["tools"][0]["function"]["name"]), (&json!(false), &json!("read")));
    assert!(body["messages"][1]["content"].as_str().unwrap().contains("NameError: nane"));
}

#[test]
fn a_model_without_tools_is_offered_none() {
    let (endpoint, server) = serve(vec![says(r#"{"decline": "no idea"}"#)]);
    ask(&endpoint, r#"{"tools":false}"#).unwrap();
    assert!(server.asked()[0].body.get("tools").is_none());
}

#[test]
fn overload_is_asked_again_and_quota_is_not() {
    let busy = || Reply::of(503, json!({ "error": { "message": "overloaded" } })).with("retry-after", "0");
    let (endpoint, server) = serve(vec![busy(), says(r#"{"decline": "x"}"#)]);
    ask(&endpoint, "{}").unwrap();
    assert_eq!(server.asked().len(), 2);
    let quota = Reply::of(429, json!({ "error": { "code": "insufficient_quota", "message": "used up" } }));
    let (endpoint, server) = serve(vec![quota.with("retry-after", "0")]);
    let error = ask(&endpoint, "{}").unwrap_err();
    assert_eq!((error.kind, server.asked().len()), (PluginErrorKind::QuotaExhausted, 1));
    let (endpoint, server) = serve(vec![busy(), busy()]);
    let error = ask(&endpoint, r#"{"retries":1}"#).unwrap_err();
    assert_eq!((error.kind, server.asked().len()), (PluginErrorKind::Unavailable, 2));
}

#[test]
fn what_goes_wrong_has_a_kind() {
    let other = |word: &str| PluginErrorKind::Other(word.to_owned());
    for (reply, kind) in [
        (Reply::text(401, "{}"), PluginErrorKind::Unauthenticated),
        (Reply::text(404, r#"{"error":{"message":"model `m` not found"}}"#), PluginErrorKind::NotFound),
        (Reply::text(200, r#"{"error":{"code":401,"message":"no"}}"#), PluginErrorKind::Unauthenticated),
        (Reply::text(200, "<html>"), other("bad-answer")),
        (Reply::text(200, "x".repeat(MAX_ANSWER + 1)), other("bad-answer")),
        (says("I cannot say."), other("unusable-reply")),
        (Reply::text(302, ""), PluginErrorKind::InvalidInput),
    ] {
        let (endpoint, _server) = serve(vec![reply]);
        let error = ask(&endpoint, "{}").unwrap_err();
        assert_eq!(error.kind, kind, "{}", error.message);
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    assert_eq!(ask(&nobody, r#"{"retries":0}"#).unwrap_err().kind, PluginErrorKind::Unavailable);
    assert_eq!(ask("ftp://x", "{}").unwrap_err().kind, PluginErrorKind::InvalidInput);
}

#[test]
fn nothing_is_asked_without_an_endpoint() {
    let error = AgentOpenai::propose(rehearsal::brief(), None).unwrap_err();
    assert_eq!(error.kind, PluginErrorKind::InvalidInput);
    assert!(error.message.contains("`config` in the grant has no `endpoint`"), "{}", error.message);
}
