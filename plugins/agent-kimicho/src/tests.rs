//! The plugin's logic against a real server on loopback.

use razar_agent_kit::rehearsal::{self, Reply, Scripted};
use razar_sdk::PluginErrorKind;
use razar_sdk::agent::{Remedy, Step};
use serde_json::{Value, json};

use super::*;

fn ask(settings: &str, replies: Vec<Reply>) -> (Result<Answer, PluginError>, Vec<Value>) {
    let server = Scripted::answer(replies).unwrap();
    let configured =
        Configured { endpoint: server.at("/"), model: None, settings: Some(settings.to_owned()) };
    let answer = propose(&PROFILE, &configured, rehearsal::brief(), None);
    (answer, server.asked().into_iter().map(|asked| asked.body).collect())
}

const FILE: &str = "It is `name`.\n\nFILE: app.py\n```\nname = 1\n```";

#[test]
fn one_text_goes_there_and_one_comes_back() {
    for reply in [
        Reply::ok(json!({ "text": FILE })),
        Reply::ok(json!(FILE)),
        Reply::text(200, FILE).with("content-type", "text/plain"),
    ] {
        let (answer, asked) = ask("{}", vec![reply]);
        let Step::Propose(proposal) = answer.unwrap().step else { panic!("no proposal") };
        assert!(matches!(proposal.remedy, Remedy::Patch(changes) if changes.len() == 1));
        assert_eq!(asked[0].as_object().unwrap().len(), 1);
        let prompt = asked[0]["prompt"].as_str().unwrap();
        assert!(prompt.contains("NameError: nane") && !prompt.contains("You may call the tools"), "{prompt}");
    }
}

#[test]
fn what_it_takes_beside_a_prompt_is_a_setting() {
    let (_, asked) = ask(r#"{"parameters": {"temperature": 0.6}}"#, vec![Reply::ok(json!({ "text": FILE }))]);
    assert_eq!(asked[0]["temperature"], 0.6);
}

#[test]
fn nonsense_and_trouble_have_a_kind() {
    let unusable = || PluginErrorKind::Other("unusable-reply".into());
    for (reply, kind) in [
        (Reply::ok(json!({ "text": "Have you tried turning it off and on?" })), unusable()),
        (Reply::ok(json!({ "answer": 42 })), unusable()),
        (Reply::text(200, "<html>hello</html>"), unusable()),
        (Reply::text(200, ""), unusable()),
        (Reply::text(401, ""), PluginErrorKind::Unauthenticated),
        (Reply::text(404, ""), PluginErrorKind::NotFound),
        (Reply::text(429, ""), PluginErrorKind::RateLimited),
        (Reply::text(500, "Traceback"), PluginErrorKind::Unavailable),
        (Reply::of(200, json!({ "error": { "message": "no" } })), PluginErrorKind::Unavailable),
    ] {
        let (answer, asked) = ask(r#"{"retries": 0}"#, vec![reply.clone()]);
        assert_eq!((answer.unwrap_err().kind, asked.len()), (kind, 1), "{reply:?}");
    }
}

#[test]
fn an_overload_passes() {
    let busy = Reply::text(503, "busy").with("retry-after", "0");
    let (answer, asked) = ask("{}", vec![busy, Reply::ok(json!({ "text": FILE }))]);
    assert!(answer.is_ok());
    assert_eq!(asked.len(), 2);
}
