//! Programs that do not behave. Each is named with what to do about it, and its neighbors never notice.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use razar_tests::process::alive;
use razar_tests::scene::Scene;
use serde_json::{Value, json};

/// A component that is given up after its first failure.
fn once(id: &str, entrypoint: Value, more: Value) -> Value {
    let mut component = json!({
        "id": id, "entrypoint": entrypoint, "health": "process", "restart": { "retries": 0, "backoff": "10 ms" }
    });
    for (key, value) in more.as_object().expect("an object") {
        component[key] = value.clone();
    }
    component
}

#[test]
fn what_cannot_be_started_is_quarantined_with_the_reason_and_the_remedy() {
    let scene = Scene::new();
    scene.write("no-mode.sh", "#!/bin/sh\nsleep 60\n");
    scene.write("text", "neither a binary nor a script\n");
    scene.write("no-interpreter", "#!/no/such/interpreter\n");
    for name in ["text", "no-interpreter"] {
        std::fs::set_permissions(scene.path(name), std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let cases = [
        (
            "unknown",
            json!(["no-such-command-anywhere"]),
            "was not found in PATH",
            "install it or write its full path",
        ),
        ("missing", json!(["./missing"]), "`./missing` does not exist", "correct the path"),
        ("no-mode", json!(["./no-mode.sh"]), "`./no-mode.sh` is not executable", "chmod +x ./no-mode.sh"),
        ("directory", json!(["./state"]), "`./state` is a directory", "name the program inside it"),
        ("text", json!(["./text"]), "no program for this machine", "begin it with a `#!` line"),
        ("interpreter", json!(["./no-interpreter"]), "needs an interpreter", "correct its first line"),
    ];
    let mut components: Vec<Value> =
        cases.iter().map(|(id, entrypoint, _, _)| once(id, entrypoint.clone(), json!({}))).collect();
    components.push(once("lost", json!(["sleep", "60"]), json!({ "workdir": "nowhere" })));
    components.push(once("nobody", json!(["sleep", "60"]), json!({ "user": "no-such-user-here" })));
    components.push(scene.web("good", json!({})));
    scene.stack(&["all"], &components);

    let run = scene.run();
    scene.until_logged("start", "system", "partial", 1);
    assert!(alive(scene.pid("good")), "the rest runs");
    assert_eq!(run.terminate().code, Some(0));
    let log = scene.file("logs/boot_orchestrator.log");
    let others = [
        ("lost", json!(null), "/nowhere` does not exist", "correct `workdir` or create it"),
        ("nobody", json!(null), "no-such-user-here", "user"),
    ];
    for (id, _, message, remedy) in cases.iter().chain(&others) {
        let error = scene.json(&format!("quarantine/{id}.json"))["error"].as_str().unwrap().to_owned();
        assert!(error.contains(message) && error.contains(remedy), "{id}: {error}");
        assert!(log.contains(&format!("Component {id} quarantined")), "{id}: {log}");
    }
}

#[test]
fn one_that_exits_at_once_tells_its_last_words() {
    let scene = Scene::new();
    let script = "echo to stdout; echo 'ModuleNotFoundError: no module named x' >&2; exit 3";
    scene.stack(
        &["all"],
        &[
            once("quitter", json!(["sh", "-c", script]), json!({ "health": "tcp://127.0.0.1:1" })),
            once("killed", json!(["sh", "-c", "kill -SEGV $$"]), json!({ "health": "tcp://127.0.0.1:1" })),
            scene.web("good", json!({})),
        ],
    );
    let run = scene.run();
    scene.until_logged("start", "system", "partial", 1);
    assert_eq!(run.terminate().code, Some(0));
    let file = scene.json("quarantine/quitter.json");
    let error = file["error"].as_str().unwrap();
    assert!(error.contains("exited with code 3") && error.contains("no module named x"), "{file}");
    assert_eq!(file["class"], "dependency");
    assert_eq!(file["hint"], "Install missing packages or verify the environment.");
    let killed = scene.json("quarantine/killed.json");
    assert!(killed["error"].as_str().unwrap().contains("signal 11"), "{killed}");
}

#[test]
fn a_flood_of_output_is_bounded_and_blocks_nobody() {
    let scene = Scene::new();
    // More than the kept files hold, and then it goes on living.
    let script =
        "yes 'a line of a flood that nobody reads to its end' | head -c 60000000; echo done; exec sleep 600";
    let log = json!({ "probe": "probe-log", "log": "output", "settings": { "contains": "done" }, "interval": "100 ms" });
    scene.stack(
        &["all"],
        &[once("flood", json!(["sh", "-c", script]), json!({ "health": log })), scene.web("good", json!({}))],
    );
    let run = scene.run();
    scene.until_booted(1);
    let kept = |dir: &Path| -> u64 {
        let files = std::fs::read_dir(dir).unwrap().flatten();
        files.filter_map(|file| file.metadata().ok()).map(|meta| meta.len()).sum()
    };
    let kept = kept(&scene.state().join("logs/services"));
    assert!(kept < 60_000_000, "{kept} bytes are kept");
    assert_eq!(run.terminate().code, Some(0));
}

#[test]
fn one_that_ignores_sigterm_is_killed_after_its_grace() {
    let scene = Scene::new();
    scene.stack(
        &["all"],
        &[
            scene
                .web("stubborn", json!({ "env": { "BEHAVIOR": "stubborn" }, "stop": { "grace": "300 ms" } })),
            scene.web("good", json!({})),
        ],
    );
    let run = scene.run();
    scene.until_booted(1);
    let ended = run.terminate();
    assert_eq!(ended.code, Some(0));
    assert_eq!(scene.order("stop"), ["good"]);
    assert!(scene.running().is_empty());
    assert!(ended.out.contains("stubborn: stopped; it was ended by signal 9"), "{}", ended.out);
}

#[test]
fn one_that_forks_away_is_ended_and_told_to_stay_in_the_foreground() {
    let scene = Scene::new();
    // In a group and a session of its own, as daemons do.
    let script = "setsid sleep 600 & exit 0";
    scene.stack(
        &["all"],
        &[once("daemon", json!(["sh", "-c", script]), json!({})), scene.web("good", json!({}))],
    );
    let run = scene.run();
    scene.until_logged("quarantine", "daemon", "quarantined", 1);
    scene.until_logged("start", "good", "success", 1);
    let good = scene.pid("good");
    scene.until("nothing of it is left", || scene.running() == [good]);
    assert_eq!(run.terminate().code, Some(0));
    let file = scene.json("quarantine/daemon.json");
    let error = file["error"].as_str().unwrap();
    assert!(error.contains("went into the background") && error.contains("foreground"), "{error}");
}

#[test]
fn a_port_in_use_is_the_service_s_own_complaint_and_nobody_is_fooled_by_who_answers_there() {
    let scene = Scene::new();
    let taken = std::net::TcpListener::bind((scene.address(), scene.port("taken"))).unwrap();
    scene.stack(
        &["all"],
        &[
            scene.web("taken", json!({
                "health": { "probe": "probe-tcp", "address": format!("{}:{}", scene.address(), scene.port("taken")) },
                "restart": { "retries": 1, "backoff": "20 ms" },
            })),
            scene.web("good", json!({})),
        ],
    );
    let run = scene.run();
    scene.until_logged("quarantine", "taken", "quarantined", 1);
    drop(taken);
    assert!(scene.pids("taken").len() >= 2);
    assert_eq!(run.terminate().code, Some(0));
    let file = scene.json("quarantine/taken.json");
    assert!(file["error"].as_str().unwrap().contains("Address already in use"), "{file}");
    assert!(scene.order("stop").contains(&"good".to_owned()));
}

#[test]
fn a_metrics_port_in_use_is_said_and_costs_nothing_else() {
    let scene = Scene::new();
    let _taken = std::net::TcpListener::bind((scene.address(), scene.port("metrics"))).unwrap();
    scene.stack(&["all"], &[scene.web("good", json!({}))]);
    let run = scene.run();
    scene.until_booted(1);
    let port = scene.port("metrics").to_string();
    let complaints = run.complaints();
    assert!(complaints.contains(&port) && complaints.contains("RAZAR_METRICS_PORT"), "{complaints}");
    assert_eq!(run.terminate().code, Some(0));
}

#[test]
fn a_number_in_the_environment_that_is_none_is_named_and_the_default_is_used() {
    for bad in ["many", "-1", "70000", ""] {
        let scene = Scene::new();
        scene.stack(&["all"], &[once("good", json!(["sleep", "600"]), json!({}))]);
        let run = scene.begin(scene.run_command(&[]).env("RAZAR_METRICS_PORT", bad));
        scene.until_booted(1);
        let complaints = run.complaints();
        assert!(bad.is_empty() || complaints.contains("RAZAR_METRICS_PORT"), "{bad:?}: {complaints}");
        assert!(bad.is_empty() || complaints.contains("9360"), "{bad:?}: {complaints}");
        assert_eq!(run.terminate().code, Some(0));
    }
}
