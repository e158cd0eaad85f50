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
fn what_does_not_exist_is_tried_once_and_check_says_so_before() {
    let scene = Scene::new();
    let retries = json!({ "restart": { "retries": 3, "backoff": "10 ms" } });
    scene.write("servce.sh", "");
    scene.stack(
        &["all"],
        &[
            once("unknown", json!(["no-such-command-anywhere"]), retries.clone()),
            once("nowhere", json!(["./service.pi"]), retries.clone()),
            once(
                "lost",
                json!(["sleep", "600"]),
                json!({ "restart": retries["restart"], "workdir": "gone" }),
            ),
            scene.web("good", json!({})),
        ],
    );
    let plugins = razar_tests::artifact::plugins().display().to_string();
    let check = scene.host(&["check", "--config", "boot_config.json", "--plugins", &plugins]);
    check.complains(
        2,
        &[
            "components[0].entrypoint: command `no-such-command-anywhere` was not found in PATH",
            "components[1].entrypoint: command `./service.pi` does not exist",
            "did you mean `./service.py`?",
            "components[2].workdir",
            "3 problems; nothing was started",
        ],
    );
    let run = scene.run();
    scene.until_logged("start", "system", "partial", 1);
    assert_eq!(run.terminate().code, Some(0));
    let path = std::env::var("PATH").unwrap();
    for name in ["unknown", "nowhere", "lost"] {
        assert_eq!(scene.logged("error", name, "fail").len(), 1, "{name} is tried once");
        let file = scene.json(&format!("quarantine/{name}.json"));
        assert_eq!((&file["reason"], &file["class"]), (&json!("cannot be started"), &json!("dependency")));
        assert!(!file.to_string().contains(&path), "{file}");
    }
}

#[test]
fn the_last_words_are_those_of_the_launch_that_failed() {
    let scene = Scene::new();
    let script =
        "if mkdir first 2>/dev/null; then echo \"KeyError: 'of the first launch'\"; exit 1; fi; exit 3";
    let restart = json!({ "restart": { "retries": 1, "backoff": "10 ms" } });
    scene.stack(
        &["all"],
        &[once("forgetful", json!(["sh", "-c", script]), restart), scene.web("good", json!({}))],
    );
    let run = scene.run();
    scene.until_logged("quarantine", "forgetful", "quarantined", 1);
    assert_eq!(run.terminate().code, Some(0));
    let failed = scene.logged("error", "forgetful", "fail");
    assert!(failed[0]["details"].as_str().unwrap().contains("of the first launch"), "{failed:?}");
    let file = scene.json("quarantine/forgetful.json");
    assert_eq!(
        (&file["error"], &file["class"]),
        (&json!("exited with code 3"), &json!("external")),
        "{file}"
    );
}

#[test]
fn a_line_that_an_earlier_launch_printed_makes_nobody_ready() {
    let scene = Scene::new();
    // Ready once; the second launch never says so.
    let script = "if mkdir first 2>/dev/null; then echo 'up and ready'; while ! test -e go; do sleep 0.05; done; exit 1; fi; exec sleep 600";
    scene.stack(
        &["all"],
        &[once("stale", json!(["sh", "-c", script]), json!({
            "restart": { "retries": 1, "backoff": "10 ms" },
            "health": { "log": "output", "settings": { "contains": "ready" }, "interval": "50 ms", "deadline": "2 s" },
        }))],
    );
    let run = scene.run();
    scene.until_booted(1);
    scene.touch("go");
    scene.until_logged("quarantine", "stale", "quarantined", 1);
    assert_eq!(run.terminate().code, Some(0));
    let error = scene.json("quarantine/stale.json")["error"].as_str().unwrap().to_owned();
    assert!(error.contains("not ready within 2000 ms"), "{error}");
    assert_eq!(scene.logged("recovery", "stale", "success").len(), 0);
}

#[test]
fn whoever_else_answers_at_the_port_makes_nobody_ready() {
    let scene = Scene::new();
    // It never listens itself; this test does.
    let taken = std::net::TcpListener::bind((scene.address(), scene.port("taken"))).unwrap();
    let health = |listener: &str| {
        let address = format!("tcp://{}", taken.local_addr().unwrap());
        json!({ "health": { "address": address, "listener": listener, "interval": "50 ms", "deadline": "2 s" } })
    };
    let sleeper = json!(["sleep", "600"]);
    let mut family = scene.web("family", json!({}));
    family["entrypoint"] = json!(["sh", "-c", "python3 -S -E service.py & wait"]);
    let mut orphan = scene.web("orphan", json!({}));
    let script = "(env -u RAZAR_INSTANCE setsid python3 -S -E service.py &) ; exec sleep 600";
    orphan["entrypoint"] = json!(["sh", "-c", script]);
    scene.stack(
        &["all"],
        &[
            once("fooled", sleeper.clone(), health("own")),
            once("proxied", sleeper, health("any")),
            family,
            orphan,
        ],
    );
    let run = scene.run();
    scene.until_logged("start", "system", "partial", 1);
    assert_eq!(scene.logged("start", "proxied", "success").len(), 1);
    assert_eq!(scene.logged("start", "family", "success").len(), 1, "a child may be the one that listens");
    assert_eq!(scene.logged("start", "orphan", "success").len(), 1, "nobody is accused without proof");
    let unmarked = scene.pid("orphan");
    assert_eq!(run.terminate().code, Some(0));
    // It took off everything by which it could have been found.
    razar_tests::process::kill(unmarked);
    let error = scene.json("quarantine/fooled.json")["error"].as_str().unwrap().to_owned();
    let holder = format!("port {} is held by pid {} (", scene.port("taken"), std::process::id());
    assert!(error.contains(&holder) && error.contains("not by this service"), "{error}");
    assert!(error.contains("`\"listener\": \"any\"`"), "{error}");
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
    assert_eq!(killed["class"], "logic");
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
