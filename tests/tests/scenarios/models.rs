//! The agents of the ladder, each against a server that speaks as its own does: what goes there, what comes back, and what
//! everything that can go wrong is called.

use razar_tests::artifact;
use razar_tests::model::ModelServer;
use razar_tests::scene::{Ended, Scene};
use serde_json::{Value, json};

/// In the host's environment and in requests' headers, and nowhere else.
const KEY: &str = "c4nary-key-9876543210";

const SHOP: &str = "def total(prices):\n    return sum(prices[:-1])\n";

const DIFF: &str = "--- a/shop.py\n+++ b/shop.py\n@@ -1,2 +1,2 @@\n def total(prices):\n-    return sum(prices[:-1])\n+    return sum(prices)\n";

/// Once, and no again: where a server is wrong on purpose.
const ONCE: &str = r#"{"retries": 0}"#;

/// An agent and how its server speaks.
#[derive(Clone, Copy)]
struct Kind {
    agent: &'static str,
    vendor: &'static str,
    path: &'static str,
    model: Option<&'static str>,
    settings: &'static str,
}

const fn kind(
    agent: &'static str,
    vendor: &'static str,
    path: &'static str,
    model: Option<&'static str>,
    settings: &'static str,
) -> Kind {
    Kind { agent, vendor, path, model, settings }
}

const CROWN: Kind =
    kind("agent-crown", "glm", "/api/paas/v4/chat/completions", Some("glm-4.1v-thinking-flash"), "{}");
const CROWN_TEXT: Kind = kind(
    "agent-crown",
    "service",
    "/glm41v_9b",
    Some("its own"),
    r#"{"format": "text", "parameters": {"temperature": 0.8}}"#,
);
const KIMICHO: Kind = kind("agent-kimicho", "service", "/", None, "{}");
const K2: Kind = kind(
    "agent-k2",
    "moonshot",
    "/v1/chat/completions",
    Some("kimi-k2.6"),
    r#"{"parameters": {"max_tokens": 4096}}"#,
);
const AIRSTAR: Kind =
    kind("agent-airstar", "moonshot", "/v1/completions", Some("moonshotai/Kimi-K2-Instruct"), "{}");
const RSTAR: Kind = kind("agent-rstar", "vllm", "/v1/chat/completions", Some("rstar/qwen3-14b"), "{}");
const RSTAR_TEXT: Kind = kind(
    "agent-rstar",
    "vllm",
    "/v1/completions",
    Some("rstar/qwen3-14b"),
    r#"{"format": "completions", "parameters": {"max_tokens": 8192, "skip_special_tokens": false}}"#,
);
const SERVICE: Kind = kind("agent-patch-service", "service", "/patch", None, "{}");

/// A stage for one of them.
struct Stage {
    scene: Scene,
    server: ModelServer,
    kind: Kind,
}

impl Stage {
    fn new(kind: Kind, mut script: Value) -> Self {
        script["vendor"] = json!(kind.vendor);
        let scene = bare();
        let server = ModelServer::start(&scene, &script, KEY);
        scene.write("shop/shop.py", SHOP);
        scene.write("shop/conf.ini", "password = c4nary-of-ini\n");
        let failure = json!({
            "component": "shop", "error": "total([1, 2]) is 1, expected 3, password=c4nary-of-error",
            "log": "12:00:01 token=c4nary-of-log\n",
            "history": [{ "agent": "agent-x", "outcome": "refused", "error": "token: \"c4nary-of-history\"" }],
        });
        scene.write("failure.json", &failure.to_string());
        let mut config = vec![("settings", kind.settings)];
        config.extend(kind.model.map(|model| ("model", model)));
        server.grant_to(&scene, kind.agent, kind.path, &config);
        Self { scene, server, kind }
    }

    fn saying(kind: Kind, turn: Value) -> Self {
        Self::new(kind, json!({ "turns": [turn] }))
    }

    fn ask(&self, settings: &str) -> (Ended, Value) {
        let words = ["--grants", "grants.toml", "--sources", "shop", "--settings", settings];
        let (ended, answer) = ask(&self.scene, self.kind.agent, &words, KEY);
        for request in self.server.requests() {
            assert!(!request["body"].to_string().contains("c4nary"), "{}: {request}", self.kind.agent);
            assert_eq!(request["headers"]["authorization"], format!("Bearer {KEY}"));
        }
        assert!(
            !ended.out.contains("c4nary-") && !ended.err.contains("c4nary-"),
            "{}{}",
            ended.out,
            ended.err
        );
        (ended, answer)
    }
}

/// With all agents compiled.
fn bare() -> Scene {
    let scene = Scene::bare();
    artifact::warm_agents(&scene.state());
    scene
}

fn ask(scene: &Scene, agent: &str, more: &[&str], key: &str) -> (Ended, Value) {
    let (plugins, state) = (artifact::agents().display().to_string(), scene.state().display().to_string());
    let words = ["plugin", "run", agent, "--plugins", &plugins, "--state", &state];
    let about = ["--failure", "failure.json", "--output", "json"];
    let mut command = scene.command(&[&words[..], &about, more].concat());
    command.env("MODEL_KEY", key).env("SHOP_DB_PASSWORD", "c4nary-env-password");
    // Whoever runs the tests may have keys.
    for vendor in ["GLM", "KIMICHO", "KIMI2", "AIRSTAR", "RSTAR", "PATCH_SERVICE"] {
        command.env_remove(format!("{vendor}_API_KEY"));
    }
    let ended = scene.begin(&mut command).end();
    let answer = ended.json().pop().unwrap_or_default();
    (ended, answer)
}

#[test]
fn each_agent_asks_in_its_servers_words_and_reads_its_answer() {
    let say = format!("The last price is left out.\n\n```diff\n{DIFF}```\n");
    let suggestion =
        json!({ "module": "shop.py", "tests": ["tests/test_shop.py"], "error": "off by one", "diff": DIFF });
    for (kind, turn, part) in [
        (CROWN, json!({ "say": say, "reasoning": "```diff\nnothing\n```" }), "glm-4.1v-thinking-flash"),
        (CROWN_TEXT, json!({ "say": say }), "\"temperature\":0.8"),
        (KIMICHO, json!({ "say": say }), "\"prompt\":"),
        (K2, json!({ "say": say, "reasoning": "hm" }), "\"max_completion_tokens\":4096"),
        (AIRSTAR, json!({ "say": say }), "\"context\":{\"attempt\":2,\"component\":\"shop\""),
        (RSTAR, json!({ "say": say }), "\"tool_choice\":\"auto\""),
        (RSTAR_TEXT, json!({ "say": format!("<think>hm</think>{say}") }), "\"skip_special_tokens\":false"),
        (SERVICE, json!({ "suggest": suggestion }), "\"history\":[{"),
        (SERVICE, json!({ "say": say }), "\"component\":\"shop\""),
    ] {
        let stage = Stage::saying(kind, turn);
        let (ended, answer) = stage.ask("{}");
        assert_eq!((ended.code, &answer["outcome"]), (Some(0), &json!("patch")), "{}: {answer}", kind.agent);
        let diff = answer["proposal"][0]["diff"].as_str().unwrap_or_default();
        assert!(diff.contains("+    return sum(prices)\n"), "{}: {answer}", kind.agent);
        let requests = stage.server.requests();
        assert_eq!((requests.len(), &requests[0]["path"]), (1, &json!(kind.path)));
        let body = requests[0]["body"].to_string();
        assert!(
            body.contains(part) && body.contains("expected 3"),
            "{}: `{part}` is not in {body}",
            kind.agent
        );
    }
}

#[test]
fn each_agent_that_may_look_around_does_so_as_its_server_wants_it() {
    let call = json!({ "call": [{ "name": "read", "arguments": { "path": "shop.py" } }], "reasoning": "let me look" });
    let spoken = json!({ "say": "<tool_call>\n{\"name\": \"read\", \"arguments\": {\"path\": \"shop.py\"}}\n</tool_call>" });
    let fix = json!({ "say": DIFF, "expect": { "contains": ["sum(prices[:-1])"] } });
    // The server refuses a round without the thoughts of the one before it.
    for (kind, script, settings) in [
        (K2, json!({ "turns": [call, fix] }), "{}"),
        (RSTAR, json!({ "turns": [call, fix] }), "{}"),
        (RSTAR, json!({ "turns": [spoken, fix] }), "{}"),
        (RSTAR, json!({ "tool_parser": false, "turns": [spoken, fix] }), r#"{"tool_words": "text"}"#),
        (RSTAR_TEXT, json!({ "turns": [spoken, fix] }), "{}"),
        (CROWN, json!({ "turns": [call, fix] }), r#"{"tools": true}"#),
        (AIRSTAR, json!({ "turns": [{ "say": DIFF, "expect": { "tools": true } }] }), "{}"),
        (CROWN, json!({ "turns": [{ "say": DIFF, "expect": { "tools": false } }] }), "{}"),
    ] {
        let looks = usize::from(script["turns"][1].is_object());
        let stage = Stage::new(kind, script);
        let (ended, answer) = stage.ask(settings);
        assert_eq!(
            (ended.code, &answer["outcome"]),
            (Some(0), &json!("patch")),
            "{} {settings}: {answer}",
            kind.agent
        );
        assert_eq!(answer["looked"].as_array().map(Vec::len), Some(looks), "{}: {answer}", kind.agent);
        assert_eq!(stage.server.requests().len(), looks + 1);
    }
}

#[test]
fn each_vendors_troubles_have_the_same_names() {
    let unauthenticated = ("bad-key", "unauthenticated", 1);
    let model = ("no-model", "not-found", 1);
    let (quota, limit) = (("quota", "quota-exhausted", 1), ("rate-limit", "rate-limited", 2));
    let (overloaded, broken) = (("overloaded", "unavailable", 2), ("broken", "unavailable", 2));
    let (long, filtered) = (("too-long", "invalid-input", 1), ("filtered", "denied", 1));
    let all = [unauthenticated, model, quota, limit, overloaded, broken, long, filtered];
    let mut cases: Vec<(Kind, (&str, &str, usize))> = Vec::new();
    for kind in [CROWN, K2] {
        cases.extend(all.map(|fault| (kind, fault)));
    }
    cases.extend(
        [("plan-limit", "unavailable", 2), ("plan-quota", "quota-exhausted", 1)].map(|fault| (K2, fault)),
    );
    cases.extend([unauthenticated, model, overloaded, long].map(|fault| (RSTAR, fault)));
    cases.extend([quota, limit].map(|fault| (AIRSTAR, fault)));
    cases.extend([unauthenticated, quota, broken].map(|fault| (KIMICHO, fault)));
    cases.extend([quota, limit, overloaded, long].map(|fault| (SERVICE, fault)));
    for (kind, (fault, meant, times)) in cases {
        let stage = Stage::saying(kind, json!({ "fault": fault, "retry_after": 0 }));
        let (ended, answer) = stage.ask(r#"{"retries": 1}"#);
        let about = format!("{} {fault}: {answer}", kind.agent);
        assert_eq!((ended.code, &answer["outcome"]), (Some(1), &json!("plugin-error")), "{about}");
        assert_eq!(
            (&answer["error"]["kind"], stage.server.requests().len()),
            (&json!(meant), times),
            "{about}"
        );
        if let (Some(model), "not-found") = (kind.model, meant) {
            assert!(answer["summary"].as_str().unwrap().contains(&format!("`{model}`")), "{about}");
        }
    }
}

#[test]
fn when_to_come_back_is_told_from_a_header_or_from_words() {
    for (turn, after) in [
        (json!({ "fault": "rate-limit", "retry_after": 3600 }), 3_600_000),
        (
            json!({ "raw": r#"{"error": {"type": "rate_limit_reached_error", "message": "please try again after 1800 seconds"}}"#, "status": 429 }),
            1_800_000,
        ),
    ] {
        let stage = Stage::saying(K2, turn);
        let (_, answer) = stage.ask("{}");
        assert_eq!(
            (&answer["error"]["kind"], &answer["error"]["retry_after_ms"]),
            (&json!("rate-limited"), &json!(after))
        );
        assert_eq!(stage.server.requests().len(), 1, "nobody waits that long within a call");
    }
}

#[test]
fn whatever_a_server_does_instead_of_answering_ends_with_a_name() {
    for kind in [CROWN, KIMICHO, AIRSTAR, RSTAR_TEXT, SERVICE] {
        for (turn, more, meant) in [
            (json!({ "close": true }), "60000", "unavailable"),
            (json!({ "oversize": 5 << 20 }), "60000", "other"),
            (json!({ "raw": "<html>Bad gateway</html>", "status": 502 }), "60000", "unavailable"),
            (json!({ "raw": "<html>hello</html>" }), "60000", "other"),
            (json!({ "raw": "{\"choices\": [{\"mess" }), "60000", "other"),
            (json!({ "raw": "see elsewhere", "status": 302 }), "60000", "invalid-input"),
            (json!({ "hang": 600 }), "3000", "timeout"),
        ] {
            let stage = Stage::saying(kind, turn.clone());
            let words = ["--grants", "grants.toml", "--settings", ONCE, "--timeout", more];
            let (ended, answer) = ask(&stage.scene, kind.agent, &words, KEY);
            assert_eq!(
                (ended.code, &answer["error"]["kind"]),
                (Some(1), &json!(meant)),
                "{} {turn}: {answer}",
                kind.agent
            );
        }
    }
}

#[test]
fn answers_in_pieces_are_understood_and_half_of_one_is_none() {
    let turns = json!([
        { "call": [{ "name": "read", "arguments": { "path": "shop.py" } }], "reasoning": "let me look" },
        { "say": DIFF, "usage": { "prompt_tokens": 7, "completion_tokens": 8 } },
    ]);
    for kind in [K2, RSTAR] {
        let stage = Stage::new(kind, json!({ "insists_on_stream": true, "turns": turns }));
        let (_, refused) = stage.ask("{}");
        assert_eq!(refused["error"]["kind"], "invalid-input", "{refused}");
        let (ended, answer) = stage.ask(r#"{"stream": true}"#);
        assert_eq!((ended.code, &answer["outcome"]), (Some(0), &json!("patch")), "{}: {answer}", kind.agent);
        assert!(answer["tokens"]["output"].as_u64() >= Some(8), "{answer}");
    }
    // A server may answer so although nobody asked for it.
    let stage = Stage::saying(RSTAR_TEXT, json!({ "say": DIFF, "stream": true }));
    assert_eq!(stage.ask("{}").1["outcome"], "patch");
    let stage = Stage::saying(K2, json!({ "say": DIFF, "stream": true, "cut": 4 }));
    let (_, answer) = stage.ask(ONCE);
    assert_eq!(answer["error"]["kind"], "unavailable", "{answer}");
    assert!(answer["summary"].as_str().unwrap().contains("before its answer was complete"), "{answer}");
}

#[test]
fn a_suggestion_without_a_change_and_nonsense_are_no_proposals() {
    let stage = Stage::saying(
        SERVICE,
        json!({ "suggest": { "module": "/srv/shop/shop.py", "tests": [], "error": "x" } }),
    );
    let (ended, answer) = stage.ask("{}");
    assert_eq!((ended.code, &answer["outcome"]), (Some(1), &json!("decline")), "{answer}");
    assert!(answer["proposal"].as_str().unwrap().contains("names `shop.py` and no change"), "{answer}");
    let stage = Stage::saying(KIMICHO, json!({ "say": "Have you tried turning it off and on again?" }));
    let (_, answer) = stage.ask("{}");
    assert_eq!(answer["error"]["reply_error"], "no-proposal", "{answer}");
}

#[test]
fn the_last_good_version_is_proposed_without_any_grant() {
    let scene = bare();
    let versions = json!([
        { "id": "v3", "healthy_until_unix_ms": 3, "summary": "release 3" },
        { "id": "v2", "healthy_until_unix_ms": 2 },
    ]);
    for (versions, outcome, proposal) in [
        (versions, "restore", "v3"),
        (json!([]), "decline", "no version of it is known that was healthy before"),
    ] {
        let failure = json!({ "component": "shop", "error": "x", "versions": versions });
        scene.write("failure.json", &failure.to_string());
        let (_, answer) = ask(&scene, "agent-lastgood", &[], "");
        assert_eq!(
            (&answer["outcome"], &answer["proposal"]),
            (&json!(outcome), &json!(proposal)),
            "{answer}"
        );
        assert_eq!(answer["used"]["requests"], 0, "{answer}");
    }
}

#[test]
fn what_is_shipped_asks_nobody() {
    let scene = bare();
    scene.write("failure.json", r#"{"component": "shop", "error": "x"}"#);
    let shipped = |name: &str| razar_tests::repository().join("config").join(name).display().to_string();
    let (none, examples) = (shipped("grants.toml"), shipped("grants.agents.toml"));
    let tables: toml::Table = std::fs::read_to_string(&examples).unwrap().parse().unwrap();
    for agent in artifact::AGENTS.into_iter().filter(|agent| *agent != "agent-lastgood") {
        // The shipped grants give no agent an address, so that there is none it could reach.
        let (ended, _) = ask(&scene, agent, &["--grants", &none], KEY);
        assert_eq!(ended.code, Some(2), "{agent}: {}{}", ended.out, ended.err);
        let said = format!("{}{}", ended.out, ended.err);
        assert!(said.contains("asks for http `") && said.contains("POST {operator}`"), "{agent}: {said}");
        // Nor does anything leave with the examples as they are, while there is no key. Their settings fit the plugin's schema,
        // or the host would not ask at all.
        let Some(settings) = tables.get(agent).map(|table| table["config"]["settings"].as_str().unwrap())
        else {
            assert_eq!(agent, "agent-openai", "its server needs no key, so that its table is only shown");
            continue;
        };
        let (ended, answer) = ask(&scene, agent, &["--grants", &examples, "--settings", settings], "");
        assert_eq!(ended.code, Some(1), "{agent}: {}{}", ended.out, ended.err);
        assert_eq!(answer["error"]["kind"], "unauthenticated", "{agent}: {answer}");
        assert!(answer["summary"].as_str().unwrap().contains("has no key to send"), "{agent}: {answer}");
    }
}
