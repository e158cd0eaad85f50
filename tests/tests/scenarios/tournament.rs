//! Agents that are asked side by side, as operators see it: all at once, one trial for each, the smallest patch that passes is applied,
//! and the others are recorded. Real services and real hosts; the agents are copies of one package under the names of the roster.

use razar_tests::model::ModelServer;
use razar_tests::scene::Scene;
use razar_tests::shop::{self, BROKEN, RIGHT, says};
use serde_json::{Value, json};

use crate::ladder::{asked, declines, packages, run};
use crate::repair::{KEY, file};

const WRONG: &str = "def total(items):\n    return sum(items[:-1])\n";
/// As right as the other one, and longer.
const LONGER: &str = "def total(items):\n    # Every item counts.\n    return sum(items)\n";

/// Who takes part, and rStar.
const AGENTS: [&str; 4] = ["agent-k2", "agent-kimicho", "agent-airstar", "agent-rstar"];
const KEYS: [&str; 4] = ["K2", "KIMICHO", "AIRSTAR", "RSTAR"];

/// A stage with these agents, each of which always answers the same; whoever is not named has no idea.
fn stage(answers: &[(&str, Value)], repair: &Value) -> (Scene, ModelServer) {
    let scene = Scene::new();
    let aside = |(agent, answer): &(&str, Value)| {
        let mut answer = answer.clone();
        answer["about"] = json!(format!("\"model\": \"{agent}\""));
        answer
    };
    let asides: Vec<Value> = answers.iter().map(aside).collect();
    let model = ModelServer::start(&scene, &json!({ "turns": [declines()], "asides": asides }), KEY);
    shop::files(&scene, BROKEN);
    let mut special =
        json!({ "repair": { "attempts": 1, "evaluators": [], "hold": "300 ms", "canary": "500 ms" } });
    special["repair"].as_object_mut().unwrap().extend(repair.as_object().unwrap().clone());
    scene.stack(&["all"], &[shop::component(&scene, &special)]);
    packages(&scene, &model, &AGENTS);
    let roster = json!({ "agents": ["K2 Coder", "Kimi-cho", "Air Star", "rStar"] });
    scene.write("razar_ai_agents.json", &format!("{roster:#}\n"));
    (scene, model)
}

/// What became of each attempt: who, how it ended, whether its patch was taken, and what was done with it.
fn attempts(scene: &Scene) -> Vec<Value> {
    let state = scene.state().display().to_string();
    let shown = scene.host(&["incident", "show", "shop", "--output", "json", "--state", &state]);
    let attempts = shown.json().remove(0)["attempts"].clone();
    let told = |attempt: &Value| {
        let done: Vec<&Value> =
            attempt["done"].as_array().unwrap().iter().map(|done| &done["what"]).collect();
        json!([attempt["who"], attempt["outcome"], attempt["taken"], done])
    };
    attempts.as_array().unwrap().iter().map(told).collect()
}

fn sorted(model: &ModelServer) -> Vec<String> {
    let mut asked = asked(model);
    asked.sort();
    asked
}

#[test]
fn the_smallest_patch_that_passes_is_applied_and_the_others_are_recorded() {
    let (scene, model) = stage(
        &[
            ("agent-k2", says("shop.py", WRONG)),
            ("agent-kimicho", says("shop.py", LONGER)),
            ("agent-airstar", says("shop.py", RIGHT)),
        ],
        &json!({}),
    );
    let before = file(&scene, "razar_ai_agents.json");
    let host = run(&scene, &KEYS, &["--tournament"], &[]);
    scene.until_logged("resolved", "shop", "success", 1);
    assert_eq!(file(&scene, "shop/shop.py"), RIGHT);
    assert_eq!(sorted(&model), ["agent-airstar", "agent-k2", "agent-kimicho"], "rStar takes no part");
    assert_eq!(
        attempts(&scene),
        [
            json!(["agent-k2", "not-fixed", null, []]),
            json!(["agent-kimicho", "fixed", false, []]),
            json!(["agent-airstar", "fixed", true, ["applied"]]),
        ]
    );
    // All of them are asked before anybody has answered, and each of them once.
    let records = || scene.file("logs/razar_ai_invocations.json");
    scene.until("the records of all of them", || records().lines().count() >= 6);
    let event = |line: &str| serde_json::from_str::<Value>(line).unwrap()["event"].clone();
    assert_eq!(
        records().lines().map(event).collect::<Vec<_>>(),
        [["invocation"; 3], ["attempt"; 3]].concat()
    );
    let state = scene.state().display().to_string();
    let shown = scene.host(&["incident", "show", "shop", "--state", &state]).out;
    assert!(shown.contains("attempt 2 by agent-kimicho (Kimi-cho)"), "{shown}");
    assert_eq!(shown.matches("not taken: another attempt's patch was").count(), 1, "{shown}");
    let patches = scene.host(&["patch", "list", "--state", &state]).out;
    assert!(patches.contains("by agent-kimicho (Kimi-cho): fixed, not taken"), "{patches}");
    assert_eq!(patches.lines().count(), 3, "each one is kept: {patches}");
    assert!(!scene.state().join("workspaces").exists(), "none of them edits files");
    assert_eq!(host.interrupt().code, Some(0));
    assert_eq!(file(&scene, "razar_ai_agents.json"), before, "nobody was escalated to");
}

#[test]
fn when_nobody_passes_rstar_is_asked_alone_and_then_nobody_is_left() {
    let (scene, model) =
        stage(&[("agent-k2", says("shop.py", WRONG))], &json!({ "tournament": true, "last_good": false }));
    let before = file(&scene, "razar_ai_agents.json");
    let host = run(&scene, &KEYS, &[], &[]);
    scene.until_logged("quarantine", "shop", "quarantined", 1);
    assert_eq!(asked(&model).last().unwrap(), "agent-rstar");
    assert_eq!(asked(&model).len(), 4);
    let outcomes: Vec<Value> = attempts(&scene).iter().map(|told| told[1].clone()).collect();
    assert_eq!(outcomes, ["not-fixed", "declined", "declined", "declined"]);
    scene.until_said("Escalating shop from agent-k2 to rStar");
    assert_eq!(file(&scene, "shop/shop.py"), BROKEN);
    assert_eq!(host.interrupt().code, Some(0));
    assert_eq!(file(&scene, "razar_ai_agents.json"), before);
}

#[test]
fn a_host_that_was_killed_in_the_middle_is_followed_by_one_that_takes_what_was_heard() {
    let (scene, model) = stage(
        &[
            ("agent-k2", says("shop.py", RIGHT)),
            ("agent-kimicho", says("shop.py", LONGER)),
            ("agent-airstar", json!({ "hang": 3600 })),
        ],
        &json!({}),
    );
    let host = run(&scene, &KEYS, &["--tournament"], &[]);
    scene.until_logged("patch", "shop", "fixed", 2);
    assert_eq!(file(&scene, "shop/shop.py"), BROKEN, "one of them is still being asked");
    host.kill();
    let host = run(&scene, &KEYS, &["--tournament"], &[]);
    scene.until_logged("resolved", "shop", "success", 1);
    assert_eq!(file(&scene, "shop/shop.py"), RIGHT);
    assert_eq!(scene.logged("patch", "shop", "applied").len(), 1);
    assert_eq!(
        attempts(&scene),
        [
            json!(["agent-k2", "fixed", true, ["applied"]]),
            json!(["agent-kimicho", "fixed", false, []]),
            json!(["agent-airstar", "interrupted", null, []]),
        ]
    );
    assert_eq!(sorted(&model), ["agent-airstar", "agent-k2", "agent-kimicho"], "nobody is asked again");
    assert_eq!(host.interrupt().code, Some(0));
}
