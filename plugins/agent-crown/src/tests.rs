//! The plugin's logic against a real server on loopback.

use razar_agent_kit::rehearsal::{self, Reply, Scripted, chat};
use razar_sdk::PluginErrorKind;
use razar_sdk::agent::{Remedy, Step};
use serde_json::{Value, json};

use super::*;

const CHAT: &str = "/api/paas/v4/chat/completions";

fn ask(path: &str, settings: &str, reply: Reply) -> (Result<Answer, PluginError>, Value) {
    let server = Scripted::answer(vec![reply]).unwrap();
    let settings = Some(settings.to_owned());
    let configured =
        Configured { endpoint: server.at(path), model: Some("glm-4.1v-thinking-flash".into()), settings };
    let answer = propose(&PROFILE, &configured, rehearsal::brief(), None);
    let asked = server.asked().remove(0);
    assert_eq!(asked.path, path);
    (answer, asked.body)
}

#[test]
fn thoughts_are_not_the_answer() {
    let mut body = chat("It is `name`.\n\nFILE: app.py\n```\nname = 1\n```");
    body["choices"][0]["message"]["reasoning_content"] = json!("FILE: app.py\n```\nwrong\n```");
    let (answer, asked) = ask(CHAT, r#"{"parameters": {"thinking": {"type": "enabled"}}}"#, Reply::ok(body));
    let Step::Propose(proposal) = answer.unwrap().step else { panic!("no proposal") };
    assert_eq!(proposal.rationale, "It is `name`.");
    assert_eq!(asked["model"], "glm-4.1v-thinking-flash");
    assert_eq!((&asked["thinking"]["type"], asked.get("tools")), (&json!("enabled"), None));
    // Weights on a server of one's own leave thoughts and marks in the text.
    let text =
        "<think>FILE: x</think><answer><|begin_of_box|>{\"decline\": \"no log\"}<|end_of_box|></answer>";
    let (answer, _) = ask(CHAT, "{}", Reply::ok(chat(text)));
    let Step::Propose(proposal) = answer.unwrap().step else { panic!("no proposal") };
    assert!(matches!(proposal.remedy, Remedy::Decline(why) if why == "no log"));
}

#[test]
fn a_service_that_completes_one_text_is_a_matter_of_settings() {
    let settings = r#"{"format": "text", "parameters": {"temperature": 0.8}}"#;
    let reply = Reply::ok(json!({ "text": "FILE: app.py\n```\nname = 1\n```" }));
    let (answer, asked) = ask("/glm41v_9b", settings, reply);
    assert!(matches!(answer.unwrap().step, Step::Propose(_)));
    let keys: Vec<_> = asked.as_object().unwrap().keys().cloned().collect();
    assert_eq!(
        (keys, &asked["temperature"]),
        (vec!["prompt".to_owned(), "temperature".to_owned()], &json!(0.8))
    );
    assert!(asked["prompt"].as_str().unwrap().contains("NameError: nane"));
}

#[test]
fn its_numbers_have_names() {
    for (status, code, kind) in [
        (401, "1002", PluginErrorKind::Unauthenticated),
        (429, "1113", PluginErrorKind::QuotaExhausted),
        (429, "1302", PluginErrorKind::RateLimited),
        (429, "1305", PluginErrorKind::Unavailable),
        (400, "1211", PluginErrorKind::NotFound),
        (400, "1301", PluginErrorKind::Denied),
    ] {
        let reply = Reply::of(status, json!({ "error": { "code": code, "message": "m" } }));
        let error = ask(CHAT, r#"{"retries": 0}"#, reply).0.unwrap_err();
        assert_eq!(error.kind, kind, "{code}");
        assert_eq!(error.message.contains("glm-4.1v-thinking-flash"), code == "1211", "{}", error.message);
    }
    let mut broken = chat("");
    broken["choices"][0]["finish_reason"] = json!("network_error");
    let error = ask(CHAT, r#"{"retries": 0}"#, Reply::ok(broken)).0.unwrap_err();
    assert_eq!(error.kind, PluginErrorKind::Unavailable);
}

#[test]
fn nothing_is_asked_without_an_endpoint() {
    let error = AgentCrown::propose(rehearsal::brief(), None).unwrap_err();
    assert_eq!(error.kind, PluginErrorKind::InvalidInput);
    assert!(error.message.contains("no `endpoint`"), "{}", error.message);
}
