//! The plugin's logic against a real server on loopback.

use razar_agent_kit::rehearsal::{self, Reply, Scripted, chat};
use razar_sdk::PluginErrorKind;
use razar_sdk::agent::{Attempt, Remedy, Situation, Step};
use serde_json::{Value, json};

use super::*;

fn ask(brief: Brief, reply: Reply) -> (Result<Answer, PluginError>, Value) {
    let server = Scripted::answer(vec![reply]).unwrap();
    let settings =
        r#"{"retries": 0, "parameters": {"temperature": 0.6, "max_tokens": 512, "context": "mine"}}"#;
    let configured = Configured {
        endpoint: server.at("/v1/completions"),
        model: Some("moonshotai/Kimi-K2-Instruct".into()),
        settings: Some(settings.into()),
    };
    let answer = propose(&PROFILE, &configured, brief, None);
    (answer, server.asked().remove(0).body)
}

const FILE: &str = "FILE: app.py\n```\nname = 1\n```";

#[test]
fn a_request_carries_its_context_and_no_secret() {
    let mut brief = rehearsal::brief();
    if let Situation::Failure(failure) = &mut brief.situation {
        failure.history.push(Attempt {
            number: 1,
            agent: "agent-k2".into(),
            outcome: "not-fixed".into(),
            error: "the service is still not well".into(),
            at_unix_ms: 0,
            extensions: Vec::new(),
        });
    }
    let (answer, asked) =
        ask(brief, Reply::ok(json!({ "choices": [{ "text": FILE, "finish_reason": "stop" }] })));
    assert!(matches!(answer.unwrap().step, Step::Propose(_)));
    let context = json!({ "component": "web", "error": "NameError: nane", "attempt": 2 });
    assert_eq!(asked["context"], context, "and no parameter replaces it");
    assert_eq!((&asked["temperature"], &asked["max_tokens"]), (&json!(0.6), &json!(512)));
    let mut keys: Vec<_> = asked.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(
        keys,
        ["context", "max_tokens", "messages", "model", "stream", "temperature", "tool_choice", "tools"]
    );
}

#[test]
fn a_completion_and_a_message_are_answers() {
    for body in [
        json!({ "choices": [{ "text": FILE, "finish_reason": "stop" }] }),
        json!({ "choices": [{ "text": FILE, "message": null }] }),
        chat(FILE),
    ] {
        let (answer, _) = ask(rehearsal::brief(), Reply::ok(body.clone()));
        let Step::Propose(proposal) = answer.unwrap().step else { panic!("no proposal in {body}") };
        assert!(matches!(proposal.remedy, Remedy::Patch(changes) if changes.len() == 1), "{body}");
    }
}

#[test]
fn trouble_has_a_kind() {
    for (reply, kind) in [
        (Reply::text(401, ""), PluginErrorKind::Unauthenticated),
        (
            Reply::of(429, json!({ "error": { "type": "exceeded_current_quota_error" } })),
            PluginErrorKind::QuotaExhausted,
        ),
        (Reply::text(503, ""), PluginErrorKind::Unavailable),
        (Reply::ok(json!({ "choices": [{ "index": 0 }] })), PluginErrorKind::Other("bad-answer".into())),
    ] {
        assert_eq!(ask(rehearsal::brief(), reply.clone()).0.unwrap_err().kind, kind, "{reply:?}");
    }
}
