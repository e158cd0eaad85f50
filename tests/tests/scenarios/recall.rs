//! What the host does without asking anybody: it tries what has repaired such a failure before, and when nobody is left to ask
//! it goes back to the files of a better time. Both through the same trial and canary as anything else.

use razar_tests::model::ModelServer;
use razar_tests::scene::Scene;
use razar_tests::shop::{self, BROKEN, RIGHT, says};
use serde_json::{Value, json};

const KEY: &str = "c4nary-key-0123456789";

fn stage(answers: &[Value], files: &str) -> (Scene, ModelServer) {
    let scene = Scene::new();
    let model = ModelServer::start(&scene, &json!({ "turns": answers }), KEY);
    model.grant(&scene, model.endpoint(), "m-1");
    shop::files(&scene, files);
    let repair = json!({
        "agents": ["agent-openai"], "attempts": 2, "evaluators": [], "hold": "300 ms", "canary": "500 ms",
    });
    scene.stack(&["all"], &[shop::component(&scene, &json!({ "repair": repair }))]);
    (scene, model)
}

/// Who proposed in the newest incident, and what came of it.
fn attempts(scene: &Scene) -> Vec<(String, String)> {
    let state = scene.state().display().to_string();
    let shown =
        scene.host(&["incident", "show", "shop", "--output", "json", "--state", &state]).json().remove(0);
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let attempts = shown["attempts"].as_array().expect("attempts");
    attempts.iter().map(|attempt| (word(&attempt["who"]), word(&attempt["outcome"]))).collect()
}

/// What is there now.
fn files(scene: &Scene) -> String {
    std::fs::read_to_string(scene.path("shop/shop.py")).expect("shop.py")
}

/// Deploys files and starts the shop afresh with them.
fn deploy(scene: &Scene, files: &str) {
    scene.write("shop/shop.py", files);
    let state = scene.state().display().to_string();
    let ended = scene.host(&["restart", "shop", "--state", &state]);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
}

fn said(by: &str, outcome: &str) -> (String, String) {
    (by.to_owned(), outcome.to_owned())
}

#[test]
fn the_same_failure_is_repaired_from_memory_and_no_model_is_asked() {
    let (scene, model) = stage(&[says("shop.py", RIGHT)], BROKEN);
    let run = scene.begin(scene.run_command(&["--grants", "grants.toml"]).env("MODEL_KEY", KEY));
    scene.until_logged("resolved", "shop", "success", 1);
    let asked = model.requests().len();
    assert_eq!((attempts(&scene), files(&scene).as_str()), (vec![said("agent-openai", "fixed")], RIGHT));
    // The host that remembers is another one than the host that learned.
    assert_eq!(run.interrupt().code, Some(0));
    let run = scene.begin(scene.run_command(&["--grants", "grants.toml"]).env("MODEL_KEY", KEY));
    scene.until_booted(2);
    deploy(&scene, BROKEN);
    scene.until_logged("resolved", "shop", "success", 2);
    assert_eq!(attempts(&scene), [said("memory", "fixed")]);
    assert_eq!((files(&scene).as_str(), model.requests().len()), (RIGHT, asked));
    assert_eq!(run.interrupt().code, Some(0));
}

#[test]
fn with_no_key_and_no_network_the_last_version_that_was_healthy_comes_back() {
    let (scene, model) = stage(&[says("shop.py", BROKEN)], RIGHT);
    let run = scene.begin(scene.run_command(&["--grants", "grants.toml"]).env_remove("MODEL_KEY"));
    scene.until_said("Kept the files of shop");
    deploy(&scene, BROKEN);
    scene.until_logged("resolved", "shop", "success", 1);
    let attempts = attempts(&scene);
    assert_eq!(attempts.last(), Some(&said("lastgood", "fixed")), "{attempts:?}");
    assert!(
        attempts.iter().rev().skip(1).all(|(by, outcome)| by == "agent-openai" && outcome == "unavailable")
    );
    assert_eq!((files(&scene).as_str(), model.requests().len()), (RIGHT, 0));
    assert_eq!(run.interrupt().code, Some(0));
}

#[test]
fn an_agent_goes_back_to_what_the_host_offers_and_to_nothing_twice() {
    let (scene, _model) = stage(&[says("shop.py", BROKEN)], RIGHT);
    let mut stack: Value =
        serde_json::from_str(&std::fs::read_to_string(scene.path("boot_config.json")).expect("it"))
            .expect("JSON");
    stack["components"][0]["repair"]["agents"] = json!(["agent-lastgood"]);
    scene.write("boot_config.json", &stack.to_string());
    let plugins = scene.agents(&["agent-lastgood"]);
    let run = scene.begin(&mut scene.run_command(&["--grants", "grants.toml", "--plugins", &plugins]));
    scene.until_said("Kept the files of shop");
    deploy(&scene, BROKEN);
    scene.until_logged("resolved", "shop", "success", 1);
    assert_eq!(attempts(&scene), [said("agent-lastgood", "fixed")]);
    assert_eq!(files(&scene), RIGHT);
    assert_eq!(run.interrupt().code, Some(0));
}
