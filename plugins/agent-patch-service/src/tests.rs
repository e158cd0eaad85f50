//! The plugin's logic against a real server on loopback.

use razar_agent_kit::rehearsal::{self, Reply, Scripted};
use razar_sdk::PluginErrorKind;
use razar_sdk::agent::{Attempt, Change, Remedy, SourceFile, Step};

use super::*;

const DIFF: &str = "--- a/app.py\n+++ b/app.py\n@@ -1,1 +1,1 @@\n-nane = 1\n+name = 1\n";

fn brief() -> Brief {
    let mut brief = rehearsal::brief();
    if let Situation::Failure(failure) = &mut brief.situation {
        failure.sources.push(SourceFile { path: "app.py".into(), content: b"nane = 1\n".to_vec() });
    }
    brief
}

fn ask(settings: &str, brief: &Brief, reply: Reply) -> (Result<Answer, PluginError>, Value) {
    let server = Scripted::answer(vec![reply]).unwrap();
    let configured =
        Configured { endpoint: server.at("/patch"), model: None, settings: Some(settings.to_owned()) };
    let answer = propose(&configured, brief);
    (answer, server.asked().remove(0).body)
}

fn remedy(reply: Reply) -> Remedy {
    let Step::Propose(proposal) = ask("{}", &brief(), reply).0.unwrap().step else { panic!("no proposal") };
    proposal.remedy
}

#[test]
fn the_body_is_the_contracts_and_has_no_secret() {
    let (_, asked) = ask("{}", &brief(), Reply::ok(Value::Null));
    assert_eq!(asked, json!({ "component": "web", "error": "NameError: nane" }));
    let mut brief = brief();
    if let Situation::Failure(failure) = &mut brief.situation {
        failure.log_tail = "Traceback".into();
        failure.history = (1..=7)
            .map(|number| Attempt {
                number,
                agent: "agent-k2".into(),
                outcome: "not-fixed".into(),
                error: "still not well".into(),
                at_unix_ms: 1_000,
                extensions: Vec::new(),
            })
            .collect();
    }
    let (_, asked) = ask(
        r#"{"log": true, "parameters": {"component": "x", "tenant": "t"}}"#,
        &brief,
        Reply::ok(Value::Null),
    );
    assert_eq!(
        (&asked["component"], &asked["tenant"], &asked["log"]),
        (&json!("web"), &json!("t"), &json!("Traceback"))
    );
    let history = asked["history"].as_array().unwrap();
    assert_eq!((history.len(), &history[0]["attempt"], &history[4]["attempt"]), (5, &json!(3), &json!(7)));
    assert_eq!(
        history[0],
        json!({ "attempt": 3, "agent": "agent-k2", "event": "attempt", "status": "not-fixed",
                "error": "still not well", "patched": false, "timestamp": 1 })
    );
}

#[test]
fn a_change_is_read_as_services_write_it() {
    let file = "FILE: app.py\n```\nname = 1\n```";
    for document in [
        json!({ "module": "app.py", "tests": ["tests/test_app.py"], "error": "typo", "diff": DIFF }),
        json!({ "module": "app.py", "patch": DIFF }),
        json!({ "module": "app.py", "content": "name = 1\n" }),
        json!({ "module": "/srv/web/app.py", "content": "name = 1\n" }),
        json!({ "files": { "app.py": "name = 1\n" } }),
        json!([{ "module": "other.py" }, { "files": [{ "path": "app.py", "content": "name = 1\n" }] }]),
        json!({ "text": file }),
        json!({ "response": DIFF }),
        json!(file),
        json!({ "patch": [{ "path": "app.py", "content": "name = 1\n" }] }),
    ] {
        let Remedy::Patch(changes) = remedy(Reply::ok(document.clone())) else { panic!("{document}") };
        match &changes[..] {
            [Change::UnifiedDiff(diff)] => assert_eq!(diff.trim_end(), DIFF.trim_end()),
            [Change::Write(file)] => assert_eq!(file.path, "app.py", "{document}"),
            other => panic!("{document}: {other:?}"),
        }
    }
    assert!(matches!(remedy(Reply::text(200, DIFF)), Remedy::Patch(_)), "a text that is a diff");
    let elsewhere = json!({ "module": "/etc/passwd", "content": "x" });
    let Remedy::Patch(changes) = remedy(Reply::ok(elsewhere)) else { panic!() };
    assert!(
        matches!(&changes[..], [Change::Write(file)] if file.path == "/etc/passwd"),
        "for the host to refuse"
    );
}

#[test]
fn a_name_alone_is_no_change() {
    for (document, part) in [
        (
            json!({ "module": "/srv/web/app.py", "tests": [], "error": "typo" }),
            "names `app.py` and no change",
        ),
        (json!([{ "module": "a.py" }, { "module": "b.py" }]), "names `a.py`, `b.py` and no change"),
        (json!({ "handover": true }), "suggests nothing"),
        (json!(null), "suggests nothing"),
        (json!([]), "suggests nothing"),
        (json!({ "decline": "no idea" }), "no idea"),
    ] {
        let Remedy::Decline(reason) = remedy(Reply::ok(document.clone())) else { panic!("{document}") };
        assert!(reason.contains(part), "{document}: {reason}");
    }
}

#[test]
fn what_is_unclear_and_what_goes_wrong_has_a_kind() {
    let other = |word: &str| PluginErrorKind::Other(word.to_owned());
    let both = json!([{ "text": DIFF }, { "module": "app.py", "content": "x" }]);
    for (reply, kind) in [
        (Reply::ok(both), other("bad-answer")),
        (Reply::ok(json!(7)), other("bad-answer")),
        (Reply::ok(json!({})), other("bad-answer")),
        (Reply::ok(json!({ "files": { "a": 1 } })), other("bad-answer")),
        (Reply::ok(json!(vec![json!(null); 100])), other("bad-answer")),
        (Reply::text(200, "<html>hello</html>"), other("unusable-reply")),
        (Reply::of(401, json!({ "detail": "Not authenticated" })), PluginErrorKind::Unauthenticated),
        (Reply::of(402, json!({ "detail": "Payment required" })), PluginErrorKind::QuotaExhausted),
        (Reply::text(500, "Internal Server Error"), PluginErrorKind::Unavailable),
    ] {
        let (answer, _) = ask(r#"{"retries": 0}"#, &brief(), reply.clone());
        assert_eq!(answer.unwrap_err().kind, kind, "{reply:?}");
    }
}
