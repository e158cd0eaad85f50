//! A component that is really broken is repaired by an agent: what it proposes is judged, tried, applied, watched, and taken
//! back. Real services, the real agent, and a model that says what a script says.

use razar_tests::artifact;
use razar_tests::model::ModelServer;
use razar_tests::scene::{Run, Scene};
use razar_tests::shop::{self, BROKEN, RIGHT, TESTS, says};
use serde_json::{Value, json};

pub(crate) const KEY: &str = "c4nary-key-0123456789";

/// Well for long enough to pass a trial.
const FADES: &str = "import time\nBEGAN = time.monotonic()\n\ndef total(items):\n    return sum(items) if time.monotonic() - BEGAN < 4 else 0\n";
/// A stack with a shop that starts and says that it is not well, and with a model that answers in this order.
pub(crate) fn stage(answers: &[Value], repair: &Value) -> (Scene, ModelServer) {
    let scene = Scene::new();
    let model = ModelServer::start(&scene, &json!({ "turns": answers }), KEY);
    model.grant(&scene, model.endpoint(), "m-1");
    shop::files(&scene, BROKEN);
    let mut special = json!({ "repair": {
        "agents": ["agent-openai"], "attempts": 4, "evaluators": [], "hold": "300 ms", "canary": "500 ms",
    } });
    special["repair"].as_object_mut().unwrap().extend(repair.as_object().unwrap().clone());
    let component = shop::component(&scene, &special);
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

fn ask(scene: &Scene, words: &[&str]) -> Vec<Value> {
    let state = scene.state().display().to_string();
    let ended = scene.host(&[words, &["--output", "json", "--state", &state]].concat());
    assert_eq!(ended.code, Some(0), "{}{}", ended.out, ended.err);
    ended.json()
}

#[test]
fn a_component_and_a_state_behind_links_are_repaired_like_any_other() {
    let (scene, _model) = stage(&[says("shop.py", RIGHT)], &json!({}));
    std::fs::create_dir_all(scene.path("releases/1")).unwrap();
    std::fs::rename(scene.path("shop"), scene.path("releases/1/shop")).unwrap();
    std::os::unix::fs::symlink("releases/1", scene.path("current")).unwrap();
    std::fs::rename(scene.state(), scene.path("elsewhere")).unwrap();
    std::os::unix::fs::symlink("elsewhere", scene.state()).unwrap();
    let config = file(&scene, "boot_config.json");
    let behind = config.replace("\"workdir\":\"shop\"", "\"workdir\":\"current/shop\"");
    assert_ne!(config, behind);
    scene.write("boot_config.json", &behind);
    let host = run(&scene);
    scene.until_logged("resolved", "shop", "success", 1);
    assert_eq!(file(&scene, "releases/1/shop/shop.py"), RIGHT);
    assert_eq!(host.interrupt().code, Some(0));
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
    rollback("2").complains(2, &["there is no incident `2`"]);
    assert_eq!(rollback("1").code, Some(0), "the incident's number says whose");
    scene.until_logged("patch", "shop", "rolled-back", 1);
    // Nothing of it is in place any more, and the agent may have been asked again meanwhile.
    rollback("1").complains(1, &["patch of `shop` is"]);
    assert_eq!(file(&scene, "shop/shop.py"), BROKEN);
    assert_eq!(host.interrupt().code, Some(0));
}

#[test]
fn an_incident_that_outlives_its_host_is_told_by_status_and_by_the_last_lines() {
    let (scene, _model) = stage(&[says("shop.py", RIGHT)], &json!({ "canary": "600 s" }));
    let host = run(&scene);
    scene.until_logged("patch", "shop", "applied", 1);
    host.kill();
    let state = scene.state().display().to_string();
    let said = "incident 1 is open, and no host is running: the next `razar-host run` goes on with it";
    let status = scene.host(&["status", "--state", &state]);
    assert!(status.code == Some(0) && status.out.contains(said), "{}{}", status.out, status.err);
    let told = ask(&scene, &["status", "shop"]).remove(0);
    assert_eq!(told["components"][0]["incident"], 1, "{told}");
    let host = run(&scene);
    scene.until_logged("recovery", "steady", "success", 1);
    let ended = host.interrupt();
    let last = ended.out.split("everything has stopped").last().unwrap();
    let said = "incident 1 of shop is open: the next `razar-host run` goes on with it";
    assert!(last.contains(said), "{}", ended.out);
}

#[test]
fn an_attempt_that_had_no_end_is_said_to_have_none() {
    let hangs = json!({ "hang": 60 });
    let (scene, model) = stage(&vec![hangs; 3], &json!({ "last_good": false }));
    let host = run(&scene);
    scene.until("the agent is asked", || !model.requests().is_empty());
    host.kill();
    let host = run(&scene);
    scene.until("it is asked again", || model.requests().len() > 1);
    let ended = host.interrupt();
    let last = ended.out.split("everything has stopped").last().unwrap();
    let said = "incident 1 of shop was given up with the run: the next `razar-host run` starts shop again";
    assert!(last.contains(said) && !last.contains("under way"), "{}", ended.out);
    let shown = ask(&scene, &["incident", "show", "1"]).remove(0);
    let outcomes: Vec<&Value> =
        shown["attempts"].as_array().unwrap().iter().map(|attempt| &attempt["outcome"]).collect();
    assert_eq!(outcomes[0], "interrupted", "{shown}");
    assert!(outcomes.iter().all(|outcome| outcome.is_string()), "{shown}");
    let state = scene.state().display().to_string();
    let plain = scene.host(&["incident", "show", "1", "--state", &state]).out;
    assert!(plain.contains("interrupted: the host was killed") && !plain.contains("under way"), "{plain}");
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
    assert_eq!(file(&scene, "shop/shop.py"), BROKEN);
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
