//! What is written about agents: every attempt, whoever asked for it.

use std::collections::BTreeMap;

use razar_tests::model::ModelServer;
use razar_tests::scene::Scene;
use serde_json::{Value, json};

const KEY: &str = "c4nary-key-0123456789";

/// Components, each with a process that hands it over again and again, and so many attempts each.
const HANDS: usize = 4;
const EACH: usize = 50;

/// A component that is broken, and its own to repair.
fn broken(scene: &Scene, name: &str) -> Value {
    scene.write(&format!("{name}/app.py"), "raise KeyError('password=c4nary-said')\n");
    json!({
        "id": name, "workdir": name, "entrypoint": ["python3", "-S", "-E", "-B", "app.py"], "health": "process",
        "restart": { "retries": 0 },
        "repair": { "agents": ["agent-openai"], "attempts": 1, "evaluators": [], "hold": "300 ms", "canary": "500 ms" },
    })
}

/// The original keeps its invocations in one file that each of its processes reads, adds to and writes: of 200 records by four
/// processes four are left. Here a record is a fact, and one host writes the file from the facts, whoever asks for what they are
/// about. So four times fifty attempts are asked for by processes of their own, four at a time, of one host: all 200 lines are
/// there, each of them whole, and once.
#[test]
fn of_two_hundred_records_by_four_processes_at_once_two_hundred_are_kept() {
    let scene = Scene::new();
    let decline = json!({ "say": "No.\n{\"rationale\": \"no idea\", \"decline\": \"no idea\"}" });
    let model = ModelServer::start(&scene, &json!({ "turns": [decline] }), KEY);
    model.grant(&scene, model.endpoint(), "m-1");
    let names: Vec<String> = (0..HANDS).map(|hand| format!("shop-{hand}")).collect();
    let mut stack: Vec<Value> = names.iter().map(|name| broken(&scene, name)).collect();
    stack.push(scene.web("steady", json!({})));
    scene.stack(&["all"], &stack);
    let limit = ["--grants", "grants.toml", "--failure-limit", "1000000"];
    let host = scene.begin(scene.run_command(&limit).env("MODEL_KEY", KEY));
    let state = scene.state().display().to_string();
    for name in &names {
        scene.until_logged("quarantine", name, "quarantined", 1);
    }
    // A stage is one thread's own; its commands and its files are everybody's.
    let command = |name: &str| scene.command(&["handover", name, "--state", &state]);
    let mut commands: BTreeMap<&String, _> = names.iter().map(|name| (name, command(name))).collect();
    let log = scene.state().join("logs/razar.log");
    std::thread::scope(|scope| {
        for (name, command) in &mut commands {
            let log = &log;
            scope.spawn(move || {
                for done in 1..EACH {
                    let output = command.output().expect("the host starts");
                    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
                    let out = || {
                        let text = std::fs::read_to_string(log).unwrap_or_default();
                        let line =
                            format!("\"quarantine\", \"component\": \"{name}\", \"status\": \"quarantined\"");
                        (text.matches(&line).count() > done).then_some(())
                    };
                    razar_tests::wait::first(out).unwrap_or_else(|| panic!("{name}: {done} attempts"));
                }
            });
        }
    });
    assert_eq!(host.interrupt().code, Some(0));

    let text = scene.file("logs/razar_ai_invocations.json");
    let records: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let attempts: Vec<&Value> = records.iter().filter(|record| record["event"] == "attempt").collect();
    assert_eq!(attempts.len(), HANDS * EACH, "{}", scene.story());
    for name in &names {
        assert_eq!(attempts.iter().filter(|record| record["component"] == **name).count(), EACH, "{name}");
    }
    let keys = |record: &Value| record.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    for record in attempts {
        assert_eq!(
            keys(record),
            [
                "agent",
                "agent_original",
                "attempt",
                "component",
                "error",
                "event",
                "patched",
                "retries",
                "status",
                "timestamp",
                "timestamp_iso",
            ]
        );
        assert_eq!((&record["status"], &record["patched"]), (&json!("failure"), &json!(false)), "{record}");
        let seconds = record["timestamp"].as_f64().unwrap();
        let iso = record["timestamp_iso"].as_str().unwrap();
        assert!(seconds > 1.7e9 && iso.ends_with('Z'), "{record}");
    }
    assert_eq!(records.iter().filter(|record| record["event"] == "invocation").count(), HANDS * EACH);
    assert!(!text.contains("c4nary"), "secrets of a shape stay out");

    let trends = scene.json("monitoring/self_healing_ledger/razar_agent_trends.json");
    // A night may lie in between.
    let sum =
        |key: &str| trends.as_array().unwrap().iter().map(|row| row[key].as_u64().unwrap()).sum::<u64>();
    assert_eq!((sum("attempts"), sum("failures"), sum("successes")), (200, 200, 0), "{trends}");
}
