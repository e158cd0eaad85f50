//! The plugin's logic against a real server on loopback that answers as `opencode serve` 1.18 was seen to.

use razar_agent_kit::rehearsal::{self, Reply, Scripted};
use razar_sdk::PluginErrorKind;
use serde_json::{Value, json};

use super::*;

const PAUSE: Duration = Duration::from_millis(10);
const WORKSPACE: &str = "/tmp/razar copy/web";

fn brief(workspace: Option<&str>) -> Brief {
    let mut brief = rehearsal::brief();
    brief.extensions = vec![("timeout-ms".into(), "60000".into())];
    brief.extensions.extend(workspace.map(|path| ("workspace".to_owned(), path.to_owned())));
    brief
}

fn providers() -> Reply {
    Reply::ok(
        json!({ "providers": [{ "id": "fake", "models": { "k2/x": { "id": "k2/x" } } }], "default": {} }),
    )
}

fn session() -> Reply {
    Reply::ok(json!({ "id": "ses_1", "directory": WORKSPACE, "version": "1.18.33" }))
}

fn state(state: &Value) -> Reply {
    Reply::ok(json!({ "ses_1": state }))
}

fn idle() -> Reply {
    Reply::ok(json!({}))
}

fn last(info: Value, text: &str) -> Reply {
    let parts =
        json!([{ "type": "step-start" }, { "type": "text", "text": text }, { "type": "step-finish" }]);
    Reply::ok(json!([{ "info": info, "parts": parts }]))
}

fn done(text: &str) -> Vec<Reply> {
    let totals = json!({ "id": "ses_1", "tokens": { "input": 10, "output": 2, "reasoning": 3, "cache": { "read": 5 } } });
    vec![idle(), last(json!({ "role": "assistant", "finish": "stop" }), text), Reply::ok(totals)]
}

fn ask(brief: &Brief, after: Vec<Reply>) -> (Result<Answer, PluginError>, Vec<rehearsal::Asked>) {
    let mut replies = vec![providers(), session(), Reply::text(204, "")];
    replies.extend(after);
    let server = Scripted::answer(replies).unwrap();
    let configured = Configured { endpoint: server.at("/"), model: Some("fake/k2/x".into()), settings: None };
    let answer = propose(&configured, brief, PAUSE);
    (answer, server.asked())
}

#[test]
fn it_works_in_the_hosts_copy_and_the_host_sees_what_changed() {
    let busy = state(&json!({ "type": "busy" }));
    let retry =
        state(&json!({ "type": "retry", "attempt": 1, "message": "The engine is currently overloaded" }));
    let mut after = vec![busy, retry];
    after.extend(done("The name was misspelt."));
    let (answer, asked) = ask(&brief(Some(WORKSPACE)), after);
    let answer = answer.unwrap();
    let Step::Propose(proposal) = answer.step else { panic!("no proposal") };
    assert_eq!(proposal.extensions, [("workspace-changed".to_owned(), WORKSPACE.to_owned())]);
    assert!(matches!(proposal.remedy, Remedy::Patch(changes) if changes.is_empty()));
    assert_eq!(proposal.rationale, "The name was misspelt.");
    let usage = answer.usage.unwrap();
    assert_eq!((usage.model.as_str(), usage.input_tokens, usage.output_tokens), ("fake/k2/x", 15, 5));
    let paths: Vec<_> = asked.iter().map(|asked| asked.path.split('?').next().unwrap().to_owned()).collect();
    let looks = ["/session/status"; 3];
    let begun = ["/config/providers", "/session", "/session/ses_1/prompt_async"];
    let ended = ["/session/ses_1/message", "/session/ses_1"];
    assert_eq!(paths, [&begun[..], &looks, &ended].concat());
    assert!(asked.iter().all(|asked| asked.path.ends_with("directory=/tmp/razar%20copy/web")), "{paths:?}");
    let rules = &asked[1].body["permission"];
    assert_eq!((&rules[0]["permission"], &rules[0]["action"]), (&json!("*"), &json!("deny")));
    let message = &asked[2].body;
    assert_eq!(message["model"], json!({ "providerID": "fake", "modelID": "k2/x" }));
    let task = message["parts"][0]["text"].as_str().unwrap();
    assert!(
        task.contains("NameError: nane") && task.contains("<<<DATA-") && !task.contains("FILE: path"),
        "{task}"
    );
}

#[test]
fn it_may_decline_and_needs_a_copy() {
    let (answer, _) = ask(&brief(Some(WORKSPACE)), done("{\"decline\": \"no log\"}"));
    let Step::Propose(proposal) = answer.unwrap().step else { panic!("no proposal") };
    assert!(matches!(proposal.remedy, Remedy::Decline(why) if why == "no log"));
    let (answer, asked) = ask(&brief(None), Vec::new());
    let Step::Propose(proposal) = answer.unwrap().step else { panic!("no proposal") };
    assert!(matches!(proposal.remedy, Remedy::Decline(why) if why.contains("`workspace`")));
    assert!(asked.is_empty(), "nobody is asked for nothing");
    assert_eq!(ask(&brief(Some("web")), Vec::new()).0.unwrap_err().kind, PluginErrorKind::InvalidInput);
}

#[test]
fn a_used_up_quota_is_not_waited_for() {
    let message = "You exceeded your current quota, please check your plan and billing details.";
    let retry = state(&json!({ "type": "retry", "attempt": 1, "message": message, "next": 0 }));
    let (answer, asked) = ask(&brief(Some(WORKSPACE)), vec![retry, Reply::ok(json!(true))]);
    assert_eq!(answer.unwrap_err().kind, PluginErrorKind::QuotaExhausted);
    assert!(asked.last().unwrap().path.starts_with("/session/ses_1/abort"), "and does not go on alone");
}

#[test]
fn what_goes_wrong_has_a_kind() {
    let failed = |name: &str, data: Value| {
        vec![idle(), last(json!({ "role": "assistant", "error": { "name": name, "data": data } }), "")]
    };
    let api = |status: u16, body: &str| {
        failed(
            "APIError",
            json!({ "message": "m", "statusCode": status, "isRetryable": false, "responseBody": body }),
        )
    };
    let no_model = r#"{"error":{"code":"model_not_found","message":"m"}}"#;
    let word = |word: &str| PluginErrorKind::Other(word.to_owned());
    let finish = |finish: &str| vec![idle(), last(json!({ "role": "assistant", "finish": finish }), "")];
    for (after, kind) in [
        (api(401, ""), PluginErrorKind::Unauthenticated),
        (api(404, no_model), PluginErrorKind::NotFound),
        (failed("ProviderAuthError", json!({ "message": "no key" })), PluginErrorKind::Unauthenticated),
        (failed("UnknownError", json!({ "message": "?" })), PluginErrorKind::Unavailable),
        (finish("length"), word("unusable-reply")),
        ([finish("stop"), vec![Reply::text(500, "")]].concat(), word("unusable-reply")),
        (vec![Reply::text(401, "")], PluginErrorKind::Unauthenticated),
        (vec![Reply::text(200, "<html>")], word("bad-answer")),
        (
            (0..5).flat_map(|_| [idle(), last(json!({ "role": "user" }), "task")]).collect(),
            PluginErrorKind::Unavailable,
        ),
    ] {
        let (answer, _) = ask(&brief(Some(WORKSPACE)), after.clone());
        let error = answer.unwrap_err();
        assert_eq!(error.kind, kind, "{after:?}: {}", error.message);
    }
}

#[test]
fn a_model_that_opencode_does_not_have_is_named() {
    let server = Scripted::answer(vec![providers()]).unwrap();
    let ask = |model: &str| {
        let configured = Configured { endpoint: server.at(""), model: Some(model.into()), settings: None };
        propose(&configured, &brief(Some(WORKSPACE)), PAUSE).unwrap_err()
    };
    assert_eq!(ask("kimi-k2").kind, PluginErrorKind::InvalidInput);
    let error = ask("fake/other");
    assert_eq!((error.kind, server.asked().len()), (PluginErrorKind::NotFound, 1));
    assert!(error.message.contains("no model `fake/other`"), "{}", error.message);
}

#[test]
fn one_that_never_ends_is_ended() {
    let busy = (0..1_000).map(|_| state(&json!({ "type": "busy" })));
    let mut brief = brief(Some(WORKSPACE));
    brief.extensions[0].1 = "1500".into();
    let (answer, _) = ask(&brief, busy.collect());
    assert_eq!(answer.unwrap_err().kind, PluginErrorKind::Timeout);
}

mod real;
