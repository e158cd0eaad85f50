//! Agents asked by hand: the real component in the real runtime, against a real server that says what a script says.

use razar_tests::artifact;
use razar_tests::model::ModelServer;
use razar_tests::scene::{Ended, Scene};
use serde_json::{Value, json};

/// In the host's environment and in requests' headers, and nowhere else.
const KEY: &str = "c4nary-key-0123456789";

const SHOP: &str = "def total(prices):\n    return sum(prices[:-1])\n";

const FIX: &str = "The last price is left out.\n\n```diff\n--- a/shop.py\n+++ b/shop.py\n@@ -1,2 +1,2 @@\n def total(prices):\n-    return sum(prices[:-1])\n+    return sum(prices)\n```\n";

/// A server of this test's own, and a stage with what an agent is asked about.
struct Stage {
    scene: Scene,
    server: ModelServer,
}

impl Stage {
    fn new(script: &Value) -> Self {
        let scene = Scene::new();
        let server = ModelServer::start(&scene, script, KEY);
        scene.write("shop/shop.py", SHOP);
        scene.write("failure.json", r#"{"component": "shop", "error": "total([1, 2]) is 1, expected 3"}"#);
        server.grant(&scene, server.endpoint(), "m-1");
        Self { scene, server }
    }

    fn saying(turn: Value) -> Self {
        Self::new(&json!({ "turns": [turn] }))
    }

    fn ask(&self, more: &[&str]) -> (Ended, Value) {
        self.ask_with_key(KEY, more)
    }

    fn ask_with_key(&self, key: &str, more: &[&str]) -> (Ended, Value) {
        let (plugins, state) =
            (artifact::plugins().display().to_string(), self.scene.state().display().to_string());
        let words = ["plugin", "run", "agent-openai", "--plugins", &plugins, "--state", &state];
        let about =
            ["--grants", "grants.toml", "--failure", "failure.json", "--sources", "shop", "--output", "json"];
        let mut command = self.scene.command(&[&words[..], &about, more].concat());
        command.env("MODEL_KEY", key).env("SHOP_DB_PASSWORD", "c4nary-env-password");
        let ended = self.scene.begin(&mut command).end();
        let answer = ended.json().pop().unwrap_or_else(|| panic!("no answer: {}", ended.err));
        (ended, answer)
    }
}

/// Quick where a server is slow on purpose.
const QUICK: [&str; 2] = ["--settings", r#"{"retries":0}"#];

#[test]
fn a_model_looks_around_and_proposes() {
    let stage = Stage::new(&json!({ "model": "m-1-of-today", "turns": [
        { "expect": { "contains": ["expected 3", "<<<DATA-", "sum(prices[:-1])"], "tools": true },
          "call": [{ "name": "read", "arguments": { "path": "shop.py" } }, { "name": "nothing" }],
          "reasoning": "let me look", "usage": { "prompt_tokens": 100, "completion_tokens": 10 } },
        { "expect": { "contains": ["let me look", "there is no such tool", "tool_call_id"] },
          "say": FIX, "usage": { "prompt_tokens": 200, "completion_tokens": 20 } },
    ] }));
    let (ended, answer) = stage.ask(&[]);
    assert_eq!((ended.code, &answer["outcome"]), (Some(0), &json!("patch")), "{answer}");
    assert_eq!(answer["summary"], "The last price is left out.");
    assert!(
        answer["proposal"][0]["diff"].as_str().unwrap().contains("+    return sum(prices)\n"),
        "{answer}"
    );
    assert_eq!(answer["tokens"], json!({ "model": "m-1-of-today", "input": 300, "output": 30 }));
    assert_eq!((&answer["turns"], &answer["looked"][0]["tool"]), (&json!(2), &json!("read")), "{answer}");
    assert_eq!((&answer["looked"].as_array().unwrap().len(), &answer["used"]["requests"]), (&1, &json!(2)));
    for request in stage.server.requests() {
        assert_eq!(request["headers"]["authorization"], format!("Bearer {KEY}"));
        assert_eq!((&request["body"]["model"], &request["body"]["stream"]), (&json!("m-1"), &json!(false)));
        assert!(!request["body"].to_string().contains("c4nary"), "{request}");
    }
    assert_eq!(
        std::fs::read_to_string(stage.scene.path("shop/shop.py")).unwrap(),
        SHOP,
        "nothing is applied"
    );
}

#[test]
fn every_form_of_a_proposal_is_read() {
    for (say, outcome, part) in [
        ("FILE: shop.py\n```python\nx = 1\n```", "patch", "x = 1\\n"),
        ("{\"rationale\": \"r\", \"patch\": [{\"delete\": \"shop.py\"}]}", "patch", "\"delete\":\"shop.py\""),
        ("I cannot see why.\n{\"decline\": \"no log\"}", "decline", "no log"),
        ("<think>FILE: x\n```\n1\n```</think>\n{\"decline\": \"no log\"}", "decline", "no log"),
    ] {
        let stage = Stage::saying(json!({ "say": say }));
        let (ended, answer) = stage.ask(&[]);
        assert_eq!(answer["outcome"], outcome, "{answer}");
        assert_eq!(ended.code, Some(i32::from(outcome == "decline")));
        assert!(answer["proposal"].to_string().contains(part), "{answer}");
    }
}

#[test]
fn whatever_a_server_does_has_a_name() {
    let closes = json!({ "close": true });
    for (turn, more, kind, word, asked) in [
        (json!({ "fault": "bad-key" }), &[][..], "unauthenticated", "the server does not take the key", 1),
        (json!({ "fault": "no-model" }), &[], "not-found", "the server has no model `m-1`", 1),
        (json!({ "fault": "quota", "retry_after": 0 }), &[], "quota-exhausted", "the quota is used up", 1),
        (json!({ "fault": "rate-limit", "retry_after": 0 }), &[], "rate-limited", "too many requests", 3),
        (json!({ "fault": "overloaded", "retry_after": 0 }), &[], "unavailable", "cannot answer now", 3),
        (json!({ "fault": "rate-limit", "retry_after": 3600 }), &[], "rate-limited", "too many requests", 1),
        (json!({ "fault": "broken" }), &QUICK, "unavailable", "status 500", 1),
        (json!({ "fault": "too-long" }), &[], "invalid-input", "lower `prompt_bytes`", 1),
        (json!({ "raw": "<html>Bad gateway</html>" }), &[], "other", "not JSON", 1),
        (json!({ "raw": "see elsewhere", "status": 302 }), &[], "invalid-input", "nobody follows", 1),
        (
            json!({ "raw": "{\"error\": {\"message\": \"no\", \"code\": 401}}" }),
            &[],
            "unauthenticated",
            "key",
            1,
        ),
        (json!({ "say": "Try turning it off and on." }), &[], "other", "unusable reply (no-proposal)", 1),
        (json!({ "say": format!("{FIX}\nor\n{FIX}") }), &[], "other", "unusable reply (file-twice)", 1),
        (json!({ "say": FIX, "finish": "length" }), &[], "other", "unusable reply (truncated)", 1),
        (json!({ "say": "", "finish": "content_filter" }), &[], "denied", "withholds", 1),
        (json!({ "oversize": 5 << 20 }), &[], "other", "larger than", 1),
        (closes, &QUICK, "unavailable", "connection closed", 1),
        (json!({ "hang": 600 }), &["--timeout", "3000"], "timeout", "no answer in time", 1),
        (json!({ "drip": "x".repeat(5_000) }), &["--timeout", "3000"], "timeout", "no answer in time", 1),
        (
            json!({ "call": [{ "name": "list" }] }),
            &["--settings", r#"{"rounds":2}"#],
            "other",
            "after 2 rounds",
            3,
        ),
    ] {
        let stage = Stage::saying(turn.clone());
        let (ended, answer) = stage.ask(more);
        assert_eq!((ended.code, &answer["outcome"]), (Some(1), &json!("plugin-error")), "{turn}: {answer}");
        assert_eq!(answer["error"]["kind"], kind, "{turn}: {answer}");
        assert!(answer["summary"].as_str().unwrap().contains(word), "{turn}: {answer}");
        assert_eq!(stage.server.requests().len(), asked, "{turn}: {answer}");
        assert!(!ended.out.contains(KEY) && !ended.err.contains(KEY), "{}{}", ended.out, ended.err);
    }
}

#[test]
fn what_an_error_cost_and_when_to_come_back_is_told() {
    let stage = Stage::saying(json!({ "fault": "rate-limit", "retry_after": 3600 }));
    let (_, answer) = stage.ask(&[]);
    assert_eq!(
        (&answer["error"]["retry_after_ms"], &answer["error"]["status"]),
        (&json!(3_600_000), &json!("429"))
    );
    let stage =
        Stage::saying(json!({ "say": "no", "usage": { "prompt_tokens": 7, "completion_tokens": 1 } }));
    let (_, answer) = stage.ask(&[]);
    assert_eq!(
        (&answer["tokens"]["input"], &answer["error"]["reply_error"]),
        (&json!(7), &json!("no-proposal"))
    );
    assert_eq!(answer["error"]["reply"], "no");
}

#[test]
fn an_overload_that_passes_is_waited_for() {
    let stage =
        Stage::new(&json!({ "turns": [{ "fault": "overloaded", "retry_after": 0.2 }, { "say": FIX }] }));
    let (ended, answer) = stage.ask(&[]);
    assert_eq!(
        (ended.code, stage.server.requests().len(), &answer["turns"]),
        (Some(0), 2, &json!(1)),
        "{answer}"
    );
}

#[test]
fn no_secret_leaves_in_any_way_it_could() {
    let key = "-----BEGIN PRIVATE KEY-----\nMIIEvQc4nary0BADANBgkqhkiG\n-----END PRIVATE KEY-----\n";
    let stage = Stage::new(&json!({ "turns": [
        { "call": [{ "name": "list" }, { "name": "read", "arguments": { "path": "conf.ini" } },
                   { "name": "read", "arguments": { "path": ".env" } },
                   { "name": "search", "arguments": { "text": "password" } },
                   { "name": "search", "arguments": { "text": "4nary" } },
                   { "name": "read", "arguments": { "path": "link" } },
                   { "name": "read", "arguments": { "path": "../failure.json" } }] },
        { "say": FIX },
    ] }));
    let write = |name: &str, text: &str| drop(stage.scene.write(name, text));
    write("shop/conf.ini", "[db]\npassword = c4nary-of-ini\nurl = postgres://shop:c4nary-of-url@db/shop\n");
    write("shop/settings.py", "API_TOKEN = 'c4nary-of-program'\nOLD = 'c4nary-env-password'\n");
    write("shop/.env", "SECRET=c4nary-of-env-file\n");
    write("shop/key.txt", key);
    write("secret.txt", "c4nary-outside");
    std::os::unix::fs::symlink(stage.scene.path("secret.txt"), stage.scene.path("shop/link")).unwrap();
    write("web.log", &format!("x\n{key}\nAuthorization: Bearer c4nary1of2log3\nwith c4nary-env-password\n"));
    let failure = json!({
        "component": "shop", "error": "login with password=c4nary-of-error failed",
        "history": [{ "agent": "k2", "outcome": "refused", "error": "token: \"c4nary-of-history\"" }],
        "versions": [{ "id": "v1", "summary": "api_key=c4nary-of-version" }],
    });
    write("failure.json", &failure.to_string());
    let (ended, answer) = stage.ask(&["--log-file", "web.log"]);
    assert_eq!((ended.code, &answer["outcome"]), (Some(0), &json!("patch")), "{answer}");
    assert!(answer["redacted"].as_u64().unwrap() >= 10, "{answer}");
    let requests = stage.server.requests();
    assert_eq!(requests.len(), 2);
    for request in &requests {
        let body = request["body"].to_string();
        assert!(!body.contains("c4nary"), "{}", &body[body.find("c4nary").unwrap().saturating_sub(200)..]);
        assert!(body.contains("[redacted-1]") && body.contains("sum(prices[:-1])"), "{body}");
    }
    assert_eq!(requests[1]["body"]["messages"].as_array().unwrap().len(), 2 + 1 + 7);
    assert!(!ended.out.contains("c4nary-of") && !ended.err.contains("c4nary"), "{}{}", ended.out, ended.err);
}

#[test]
fn a_key_that_a_server_repeats_does_not_come_back() {
    let stage = Stage::saying(json!({ "say": format!("{{\"decline\": \"your key is {KEY}\"}}") }));
    let (ended, answer) = stage.ask(&[]);
    assert_eq!(answer["outcome"], "decline", "{answer}");
    assert!(answer["proposal"].as_str().unwrap().contains("your key is ***"), "{answer}");
    assert!(!ended.out.contains(KEY), "{}", ended.out);
}

#[test]
fn a_secret_stays_in_its_file() {
    for (path, code, outcome) in [("conf.py", 0, "patch"), ("shop.py", 1, "refused")] {
        let say = format!("FILE: {path}\n```\npassword = '[redacted-1]'\nx = 1\n```");
        let stage = Stage::saying(json!({ "say": say }));
        stage.scene.write("shop/conf.py", "password = 'c4nary-of-conf'\n");
        let (ended, answer) = stage.ask(&[]);
        assert_eq!((ended.code, &answer["outcome"]), (Some(code), &json!(outcome)), "{answer}");
        assert!(!ended.out.contains("c4nary"), "{}", ended.out);
    }
}

#[test]
fn only_what_is_granted_is_asked() {
    let stage = Stage::saying(json!({ "say": FIX }));
    stage.server.grant(&stage.scene, "http://127.0.0.1:9/v1/chat/completions", "m-1");
    let (ended, answer) = stage.ask(&[]);
    assert_eq!((ended.code, &answer["error"]["kind"]), (Some(1), &json!("denied")), "{answer}");
    assert_eq!(answer["denied"][0]["subject"], "POST http://127.0.0.1:9/v1/chat/completions");
    let remedy = answer["denied"][0]["remedy"].as_str().unwrap();
    assert!(remedy.contains("http = [{ url = \"http://127.0.0.1:9/v1/chat/completions\""), "{remedy}");
    assert!(stage.server.requests().is_empty());

    // A host without the key sends nothing, and the server takes no wrong one.
    stage.server.grant(&stage.scene, stage.server.endpoint(), "m-1");
    for (key, asked) in [("", 0), ("wrong-key-0123", 0)] {
        let (_, answer) = stage.ask_with_key(key, &[]);
        assert_eq!(answer["error"]["kind"], "unauthenticated", "{answer}");
        assert_eq!(stage.server.requests().len(), asked);
    }
}

#[test]
fn people_read_what_an_agent_says_as_it_is_written_and_harmless() {
    let said = format!("It's the \"last\" price.\u{1b}[2J {FIX}");
    let stage = Stage::saying(json!({ "say": said }));
    let (plugins, state) =
        (artifact::plugins().display().to_string(), stage.scene.state().display().to_string());
    let words = ["plugin", "run", "agent-openai", "--plugins", &plugins, "--state", &state];
    let about = ["--grants", "grants.toml", "--failure", "failure.json", "--sources", "shop"];
    let mut command = stage.scene.command(&[&words[..], &about].concat());
    let ended = stage.scene.begin(command.env("MODEL_KEY", KEY)).end();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let summary = ended.out.lines().find(|line| line.starts_with("summary: ")).unwrap_or_default();
    assert!(summary.starts_with("summary: It's the \"last\" price."), "{}", ended.out);
    assert!(!ended.out.contains('\u{1b}'), "{:?}", ended.out);
}

#[test]
fn an_agent_without_a_grant_holds_nothing_up() {
    let scene = Scene::new();
    let plugins = artifact::plugins().display().to_string();
    let state = scene.state().display().to_string();
    scene.write("failure.json", r#"{"component": "shop", "error": "x"}"#);
    let words = ["plugin", "run", "agent-openai", "--plugins", &plugins, "--state", &state];
    scene.host(&[&words[..], &["--failure", "failure.json"]].concat()).complains(
        2,
        &[
            "asks for http `POST {operator}`",
            "asks for config `endpoint`",
            "asks for config `model`",
            "[agent-openai]",
        ],
    );
    scene.stack(&["all"], &[scene.web("web", json!({}))]);
    let check = ["check", "--plugins", &plugins, "--config", "boot_config.json"];
    let ended = scene.host(&check);
    assert_eq!(ended.code, Some(0), "{}{}", ended.out, ended.err);
    // Until somebody means it.
    scene.stack(&["all"], &[scene.web("web", json!({ "repair": { "agents": ["agent-openai"] } }))]);
    let wake = [
        "components[0].repair.agents[0]: the agent plugin `agent-openai` is idle: nothing is granted to it; it is not asked",
        "hint: write below `[agent-openai]` in a file and name it with `--grants FILE`: http = ",
        "`razar-host plugin inspect agent-openai` says what else it asks for",
    ];
    scene.host(&check).complains(0, &wake);
    let host = scene.run();
    scene.until_booted(1);
    let ended = host.interrupt();
    ended.complains(0, &wake);
    // Half a grant is meant to be one.
    scene.write("grants.toml", "[agent-openai]\nconfig = { model = \"m\" }\n");
    let half = ["check", "--plugins", &plugins, "--config", "boot_config.json", "--grants", "grants.toml"];
    scene.host(&half).complains(2, &["asks for config `endpoint`"]);
}

#[test]
fn what_is_typed_wrongly_is_named() {
    let stage = Stage::saying(json!({ "say": FIX }));
    for (more, part) in [
        (&["--settings", r#"{"temprature":1}"#][..], "temprature"),
        (&["--settings", r#"{"parameters":{"model":"x"}}"#], "/parameters/model"),
        (&["--sources", "nowhere"], "`nowhere` cannot be read"),
        (&["--log-file", "nowhere"], "`nowhere` cannot be read"),
    ] {
        let (plugins, state) =
            (artifact::plugins().display().to_string(), stage.scene.state().display().to_string());
        let words = ["plugin", "run", "agent-openai", "--plugins", &plugins, "--state", &state];
        let about = ["--grants", "grants.toml", "--failure", "failure.json"];
        stage.scene.host(&[&words[..], &about, more].concat()).complains(2, &[part]);
    }
    stage.scene.write("failure.json", r#"{"component": "shop", "error": "x", "password": "y"}"#);
    let (ended, answer) = stage.ask(&[]);
    assert_eq!(ended.code, Some(2), "{answer}");
    assert!(answer["message"].as_str().unwrap().contains("unknown field `password`"), "{answer}");
    assert!(stage.server.requests().is_empty());
}
