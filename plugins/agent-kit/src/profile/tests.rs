//! What an agent of any profile sends, and how settings meet.

use razar_sdk::PluginErrorKind;
use razar_sdk::agent::{Remedy, Step};

use super::*;
use crate::rehearsal::{self, Reply, Scripted, chat};

const WIDE: Profile = Profile {
    formats: &[Format::Chat, Format::Completions, Format::Text],
    fixed: &["temperature"],
    renamed: &[("max_tokens", "max_completion_tokens")],
    ..Profile::OPENAI
};

fn ask(profile: &Profile, settings: &str, replies: Vec<Reply>) -> (Result<Answer, PluginError>, Vec<Value>) {
    let server = Scripted::answer(replies).unwrap();
    let configured = Configured {
        endpoint: server.at("/v1/chat/completions"),
        model: Some("m".into()),
        settings: Some(settings.into()),
    };
    let answer = propose(profile, &configured, rehearsal::brief(), None);
    (answer, server.asked().into_iter().map(|asked| asked.body).collect())
}

const DECLINE: &str = r#"{"decline": "x"}"#;

#[test]
fn each_format_has_its_request() {
    let (answer, asked) = ask(&WIDE, "{}", vec![Reply::ok(chat(DECLINE))]);
    assert!(matches!(answer.unwrap().step, Step::Propose(_)));
    assert_eq!((&asked[0]["stream"], asked[0]["tools"].is_array()), (&json!(false), true));

    let completion = json!({ "choices": [{ "text": DECLINE, "finish_reason": "stop" }] });
    let settings = r#"{"format": "completions", "parameters": {"skip_special_tokens": false}}"#;
    let (answer, asked) = ask(&WIDE, settings, vec![Reply::ok(completion)]);
    assert!(matches!(answer.unwrap().step, Step::Propose(_)));
    let prompt = asked[0]["prompt"].as_str().unwrap();
    assert!(prompt.starts_with("<|im_start|>system\n") && prompt.contains("<tools>"), "{prompt}");
    assert_eq!((&asked[0]["skip_special_tokens"], asked[0].get("messages")), (&json!(false), None));

    let (answer, asked) = ask(&WIDE, r#"{"format": "text"}"#, vec![Reply::ok(json!({ "text": DECLINE }))]);
    assert!(matches!(answer.unwrap().step, Step::Propose(_)));
    assert_eq!(asked[0].as_object().unwrap().len(), 1, "nothing but a prompt: {}", asked[0]);
}

#[test]
fn a_stream_is_read_whether_it_was_asked_for_or_not() {
    let events = format!(
        "data: {}\n\ndata: {}\n\ndata: [DONE]\n\n",
        json!({ "choices": [{ "delta": { "content": "{\"decline\":" } }] }),
        json!({ "choices": [{ "delta": { "content": " \"x\"}" }, "finish_reason": "stop" }],
                "model": "m-2", "usage": { "prompt_tokens": 5, "completion_tokens": 6 } }),
    );
    for (settings, stream) in [("{}", false), (r#"{"stream": true}"#, true)] {
        let reply = Reply::text(200, events.clone()).with("content-type", "text/event-stream");
        let (answer, asked) = ask(&WIDE, settings, vec![reply]);
        assert_eq!(answer.unwrap().usage.map(|usage| usage.input_tokens), Some(5));
        assert_eq!(asked[0]["stream"], json!(stream));
        assert_eq!(asked[0].get("stream_options").is_some(), stream);
    }
}

#[test]
fn what_the_vendor_fixes_cannot_be_chosen_and_old_names_are_todays() {
    let (answer, asked) = ask(&WIDE, r#"{"parameters": {"temperature": 1}}"#, Vec::new());
    let error = answer.unwrap_err();
    assert_eq!((error.kind, asked.len()), (PluginErrorKind::InvalidInput, 0));
    assert!(error.message.contains("`temperature`"), "{}", error.message);
    let (_, asked) = ask(&WIDE, r#"{"parameters": {"max_tokens": 7}}"#, vec![Reply::ok(chat(DECLINE))]);
    assert_eq!((&asked[0]["max_completion_tokens"], asked[0].get("max_tokens")), (&json!(7), None));
    let both = r#"{"parameters": {"max_tokens": 7, "max_completion_tokens": 8}}"#;
    assert!(ask(&WIDE, both, Vec::new()).0.is_err());
}

#[test]
fn a_brief_says_it_over_the_grant() {
    let server = Scripted::answer(vec![Reply::ok(chat(DECLINE))]).unwrap();
    let configured = Configured {
        endpoint: server.at("/"),
        model: Some("m".into()),
        settings: Some(r#"{"tools": false, "model": "of the grant", "parameters": {"seed": 1}}"#.into()),
    };
    let mut brief = rehearsal::brief();
    brief.extensions.push(("settings".into(), r#"{"model": "of the brief"}"#.into()));
    propose(&WIDE, &configured, brief, None).unwrap();
    let body = &server.asked()[0].body;
    assert_eq!((&body["model"], &body["seed"], body.get("tools")), (&json!("of the brief"), &json!(1), None));
}

#[test]
fn mistakes_in_settings_are_named() {
    for (settings, part) in [
        (r#"{"fromat": "chat"}"#, "unknown field `fromat`"),
        (r#"{"format": "speech"}"#, "unknown variant `speech`"),
        ("[]", "`config` in the grant, settings: "),
    ] {
        let error = ask(&WIDE, settings, Vec::new()).0.unwrap_err();
        assert_eq!(error.kind, PluginErrorKind::InvalidInput);
        assert!(error.message.contains(part), "{settings}: {}", error.message);
    }
    let error = ask(&Profile::OPENAI, r#"{"format": "text"}"#, Vec::new()).0.unwrap_err();
    assert!(error.message.ends_with("`format` is one of: chat"), "{}", error.message);
    let nowhere = Configured { endpoint: "http://127.0.0.1:9/".into(), ..Configured::default() };
    let error = propose(&Profile::OPENAI, &nowhere, rehearsal::brief(), None).unwrap_err();
    assert!(error.message.contains("no `model`"), "{}", error.message);
}

#[test]
fn calls_that_a_server_leaves_in_the_text_are_calls() {
    let said = "<tool_call>\n{\"name\": \"read\", \"arguments\": {\"path\": \"a\"}}\n</tool_call>";
    let (answer, asked) = ask(&WIDE, r#"{"tool_words": "text"}"#, vec![Reply::ok(chat(said))]);
    let Step::UseTools(pause) = answer.unwrap().step else { panic!("no call") };
    assert_eq!(pause.calls[0].name, "read");
    assert!(asked[0].get("tools").is_none() && asked[0]["messages"].to_string().contains("<tools>"));
    // Where nobody is to be expected to call so, and without tools, it is what a model says, and no proposal.
    for settings in ["{}", r#"{"tools": false, "tool_words": "text"}"#] {
        let (answer, _) = ask(&WIDE, settings, vec![Reply::ok(chat(said))]);
        assert_eq!(answer.unwrap_err().kind, PluginErrorKind::Other("unusable-reply".into()), "{settings}");
    }
    let spoken = Profile { spoken: true, ..WIDE };
    let (answer, asked) = ask(&spoken, "{}", vec![Reply::ok(chat(said))]);
    assert!(matches!(answer.unwrap().step, Step::UseTools(_)) && asked[0]["tools"].is_array());
}

#[test]
fn a_context_says_what_a_brief_says() {
    let profile = Profile { context: true, ..WIDE };
    let (answer, asked) = ask(&profile, "{}", vec![Reply::ok(chat("FILE: a.py\n```\nx\n```"))]);
    let Step::Propose(proposal) = answer.unwrap().step else { panic!("no proposal") };
    assert!(matches!(proposal.remedy, Remedy::Patch(_)));
    let context = json!({ "component": "web", "error": "NameError: nane", "attempt": 1 });
    assert_eq!(asked[0]["context"], context);
}
