//! A component that is really broken is repaired by an agent: what it proposes is judged, tried, applied, watched, and taken
//! back. Real services, the real agent, and a model that says what a script says.

use razar_tests::artifact;
use razar_tests::model::ModelServer;
use razar_tests::scene::{Run, Scene};
use serde_json::{Value, json};

pub(crate) const KEY: &str = "c4nary-key-0123456789";

/// The bug: the first item is never counted.
pub(crate) const SHOP: &str = "def total(items):\n    return sum(items[1:])\n";
pub(crate) const RIGHT: &str = "def total(items):\n    return sum(items)\n";
/// Well for long enough to pass a trial.
const FADES: &str = "import time\nBEGAN = time.monotonic()\n\ndef total(items):\n    return sum(items) if time.monotonic() - BEGAN < 4 else 0\n";
const TESTS: &str = "import unittest, shop\n\nclass Total(unittest.TestCase):\n    def test_many(self):\n        self.assertEqual(shop.total([4, 5]), 9)\n";

const SERVE: &str = r#"
import http.server, os, shop

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        well = self.path == "/alive" or shop.total([1, 2, 3]) == 6
        self.send_response(200 if well else 500)
        self.end_headers()

    def log_message(self, *_):
        pass

http.server.HTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Handler).serve_forever()
"#;

/// A stack with a shop that starts and says that it is not well, and with a model that answers in this order.
pub(crate) fn stage(answers: &[Value], repair: &Value) -> (Scene, ModelServer) {
    let scene = Scene::new();
    let model = ModelServer::start(&scene, &json!({ "turns": answers }), KEY);
    model.grant(&scene, model.endpoint(), "m-1");
    scene.write("shop/shop.py", SHOP);
    scene.write("shop/serve.py", SERVE);
    scene.write("shop/tests/test_shop.py", TESTS);
    let url = scene.url("shop");
    let mut component = json!({
        "id": "shop", "workdir": "shop", "entrypoint": ["python3", "-B", "serve.py"],
        "env": { "HOST": scene.address(), "PORT": scene.port("shop").to_string() },
        "restart": { "retries": 0 },
        "probes": {
            "startup": { "address": format!("{url}alive"), "deadline": "60 s", "timeout": "30 s" },
            "liveness": { "address": format!("{url}healthz"), "interval": "200 ms", "failures": 1, "timeout": "30 s" },
        },
        "repair": { "agents": ["agent-openai"], "attempts": 4, "evaluators": [], "hold": "300 ms", "canary": "500 ms" },
    });
    component["repair"].as_object_mut().unwrap().extend(repair.as_object().unwrap().clone());
    let steady = scene.web("steady", json!({}));
    scene.stack(&["all"], &[component, steady]);
    (scene, model)
}

fn run(scene: &Scene) -> Run<'_> {
    scene.begin(scene.run_command(&["--grants", "grants.toml"]).env("MODEL_KEY", KEY))
}

/// What is there now.
pub(crate) fn file(scene: &Scene, name: &str) -> String {
    std::fs::read_to_string(scene.path(name)).unwrap()
}

/// A whole file, as a model says it.
pub(crate) fn says(path: &str, text: &str) -> Value {
    json!({ "say": format!("FILE: {path}\n```python\n{text}```\n") })
}

fn ask(scene: &Scene, words: &[&str]) -> Vec<Value> {
    let state = scene.state().display().to_string();
    let ended = scene.host(&[words, &["--output", "json", "--state", &state]].concat());
    assert_eq!(ended.code, Some(0), "{}{}", ended.out, ended.err);
    ended.json()
}

#[test]
fn what_passes_everything_is_applied_and_what_does_not_is_refused_by_name() {
    let (scene, model) = stage(
        &[
            says("shop.py", "def total(items):\n    return sum(items[:-1])\n"),
            says("tests/test_shop.py", "import unittest\n"),
            says("shop.py", "raise SystemExit(1)\n"),
            says("shop.py", RIGHT),
        ],
        &json!({}),
    );
    let host = run(&scene);
    scene.until_logged("resolved", "shop", "success", 1);
    assert_eq!(file(&scene, "shop/shop.py"), RIGHT);
    assert_eq!(file(&scene, "shop/tests/test_shop.py"), TESTS);

    let shown = ask(&scene, &["incident", "show", "shop"]).remove(0);
    let attempts = shown["attempts"].as_array().unwrap();
    let outcomes: Vec<&str> = attempts.iter().map(|attempt| attempt["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["not-fixed", "refused", "not-fixed", "fixed"], "{shown}");
    assert!(attempts[1]["why"].as_str().unwrap().contains("tests/test_shop.py"), "{shown}");
    assert_eq!((&shown["state"], &attempts[3]["done"][0]["what"]), (&json!("repaired"), &json!("applied")));
    let told = model.requests().last().unwrap().to_string();
    assert!(
        told.contains("protected-tests") || told.contains("it is protected"),
        "earlier refusals are told: {told}"
    );
    for request in model.requests() {
        assert!(!request["body"].to_string().contains("c4nary"), "{request}");
    }
    let diff = ask(&scene, &["patch", "diff", "shop"]).remove(0);
    assert!(diff["diff"].as_str().unwrap().contains("+    return sum(items)\n"), "{diff}");
    assert_eq!(ask(&scene, &["patch", "list"]).len(), 3);

    let state = scene.state().display().to_string();
    let rollback = |what: &str| scene.host(&["patch", "rollback", what, "--state", &state]);
    rollback("2").complains(1, &["there is no incident 2"]);
    assert_eq!(rollback("1").code, Some(0), "the incident's number says whose");
    scene.until_logged("patch", "shop", "rolled-back", 1);
    // Nothing of it is in place any more, and the agent may have been asked again meanwhile.
    rollback("1").complains(1, &["patch of `shop` is"]);
    assert_eq!(file(&scene, "shop/shop.py"), SHOP);
    assert_eq!(host.interrupt().code, Some(0));
}

#[test]
fn what_fades_after_its_trial_is_taken_back_to_the_byte() {
    let (scene, _model) = stage(
        &[says("shop.py", FADES), json!({ "say": "I give up.\n{\"decline\": \"no idea\"}" })],
        &json!({ "attempts": 2, "canary": "60 s" }),
    );
    let host = run(&scene);
    scene.until_logged("patch", "shop", "applied", 1);
    scene.until_logged("quarantine", "shop", "quarantined", 1);
    assert_eq!(file(&scene, "shop/shop.py"), SHOP);
    let shown = ask(&scene, &["incident", "show", "shop"]).remove(0);
    let done: Vec<&Value> =
        shown["attempts"][0]["done"].as_array().unwrap().iter().map(|done| &done["what"]).collect();
    assert_eq!(done, ["applied", "reverted"], "{shown}");
    assert_eq!(
        (&shown["state"], &shown["attempts"][1]["outcome"]),
        (&json!("exhausted"), &json!("declined"))
    );
    assert_eq!(host.interrupt().code, Some(0));
}

#[test]
fn an_operators_patch_is_tried_and_applied_like_any_other() {
    let (scene, _model) = stage(&[says("shop.py", RIGHT)], &json!({ "agents": [] }));
    let host = run(&scene);
    scene.until_logged("quarantine", "shop", "quarantined", 1);
    scene.write(
        "fix.diff",
        "--- a/shop.py\n+++ b/shop.py\n@@ -1,2 +1,2 @@\n def total(items):\n-    return sum(items[1:])\n+    return sum(items)\n",
    );
    ask(&scene, &["patch", "apply", "fix.diff", "--component", "shop"]);
    scene.until_logged("resolved", "shop", "success", 1);
    assert_eq!(file(&scene, "shop/shop.py"), RIGHT);
    assert!(file(&scene, "grants.toml").contains("agent-openai") && artifact::plugins().exists());
    assert_eq!(host.interrupt().code, Some(0));
}
