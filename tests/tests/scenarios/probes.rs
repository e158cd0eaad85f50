//! Native checks, phases, and what a probe's answer leads to.

use razar_tests::process::alive;
use razar_tests::scene::Scene;
use serde_json::{Value, json};

/// A sleeper that is asked by a shell script.
fn checked(id: &str, script: &str, more: Value) -> Value {
    let mut component = json!({
        "id": id,
        "entrypoint": ["sleep", "600"],
        "health": { "command": ["sh", "-c", script], "interval": "50 ms", "deadline": "500 ms", "timeout": "300 ms" },
        "restart": { "retries": 0, "backoff": "10 ms" },
    });
    for (key, value) in more.as_object().expect("an object") {
        component[key] = value.clone();
    }
    component
}

#[test]
fn native_checks_speak_in_nagios_exit_codes_within_their_time_limit() {
    let scene = Scene::new();
    let well = [("ok", "echo OK - fine"), ("warning", "echo 'WARNING - disk 81% full'; exit 1")];
    let unwell = [
        ("plain-one", "echo no; exit 1", "health check exited with code 1: no"),
        (
            "critical",
            "echo CRITICAL - no answer; exit 2",
            "health check exited with code 2: CRITICAL - no answer",
        ),
        ("unknown", "echo UNKNOWN - odd; exit 3", "health check exited with code 3: UNKNOWN - odd"),
        ("killed", "kill -9 $$", "health check was ended by signal 9"),
        ("hangs", "sleep 600", "health check did not end within 300 ms"),
        ("absent", "exec /no/such/check", "health check exited with code"),
    ];
    let mut components: Vec<Value> = well.iter().map(|(id, script)| checked(id, script, json!({}))).collect();
    components.extend(unwell.iter().map(|(id, script, _)| checked(id, script, json!({}))));
    components.push(json!({
        "name": "old-shape", "command": ["sleep", "600"], "health_check": ["true"]
    }));
    scene.stack(&["default"], &components);
    // Components without a layer are in the first one.
    let run = scene.run();
    scene.until_logged("start", "system", "partial", 1);
    assert_eq!(run.terminate().code, Some(0));
    for name in ["ok", "warning", "old-shape"] {
        assert_eq!(scene.logged("start", name, "success").len(), 1, "{name}{}", scene.story());
    }
    for (id, _, said) in unwell {
        let file = scene.json(&format!("quarantine/{id}.json"));
        let error = file["error"].as_str().unwrap();
        assert!(error.contains("not ready within 500 ms") && error.contains(said), "{id}: {error}");
    }
    assert!(scene.running().is_empty(), "no check is left behind");
}

#[test]
fn a_check_that_does_not_exist_is_named() {
    let scene = Scene::new();
    let mut component = checked("one", "", json!({}));
    component["health"]["command"] = json!(["./no-such-check"]);
    scene.stack(&["all"], &[component]);
    let run = scene.run();
    scene.until_logged("quarantine", "one", "quarantined", 1);
    assert_eq!(run.terminate().code, Some(0));
    let file = scene.json("quarantine/one.json");
    assert!(file["error"].as_str().unwrap().contains("`./no-such-check` does not exist"), "{file}");
}

#[test]
fn each_phase_asks_its_own_question() {
    let scene = Scene::new();
    let asked = |file: &str| {
        json!({
            "command": ["test", "-e", scene.path(file)], "interval": "50 ms", "deadline": "40 s", "failures": 2
        })
    };
    scene.stack(
        &["base", "top"],
        &[
            scene.web("phased", json!({
                "layer": "base",
                "health": null,
                "restart": { "retries": 1000, "backoff": "50 ms", "backoff_max": "200 ms" },
                "probes": { "startup": asked("up"), "readiness": asked("usable"), "liveness": asked("living") },
            })),
            scene.web("user", json!({ "layer": "top", "depends_on": ["phased"] })),
        ],
    );
    scene.touch("living");
    let run = scene.run();
    scene.until("it is started", || scene.order("start") == ["phased"]);
    scene.touch("up");
    scene.touch("usable");
    scene.until_booted(1);
    let (phased, user) = (scene.pid("phased"), scene.pid("user"));

    // Not usable for a while: told, and nobody is restarted for it.
    std::fs::remove_file(scene.path("usable")).unwrap();
    scene.until_logged("health", "phased", "fail", 1);
    assert!(alive(phased) && alive(user));
    scene.touch("usable");
    scene.until_logged("health", "phased", "success", 1);
    assert_eq!(scene.pids("phased"), [phased]);

    // Not living: it gets a fresh process, and its user stays.
    std::fs::remove_file(scene.path("living")).unwrap();
    scene.until("it is started again", || scene.pids("phased").len() >= 2);
    scene.touch("living");
    scene.until_logged("recovery", "phased", "success", 1);
    assert!(!alive(phased) && alive(user));
    assert_eq!(run.terminate().code, Some(0));
}

#[test]
fn a_service_that_hangs_is_told_by_tcp_and_http_and_log_alike() {
    let scene = Scene::new();
    let log = scene.write("worker.log", "worker started\n");
    let tcp = format!("tcp://{}:{}", scene.address(), scene.port("by-tcp"));
    scene.stack(
        &["all"],
        &[
            scene.web("by-tcp", json!({ "health": { "address": tcp, "interval": "100 ms" } })),
            scene.web("by-http", json!({})),
            json!({ "id": "by-log", "entrypoint": ["sleep", "600"], "health": log }),
            json!({
                "id": "by-output",
                "entrypoint": ["sh", "-c", "echo ready; exec sleep 600"],
                "health": { "probe": "probe-log", "log": "output", "settings": { "contains": "ready" } },
            }),
        ],
    );
    let run = scene.run();
    scene.until_booted(1);
    scene.touch("by-http.sick");
    scene.until_logged("error", "by-http", "fail", 1);
    let failed = scene.logged("error", "by-http", "fail");
    assert!(failed[0]["details"].as_str().unwrap().contains("503"), "{failed:?}");
    std::fs::remove_file(scene.path("by-http.sick")).unwrap();
    scene.until_logged("recovery", "by-http", "success", 1);
    assert_eq!(scene.pids("by-tcp").len(), 1);
    assert_eq!(run.terminate().code, Some(0));
}
