//! The commands of a second terminal, with a host, without one, and beside what they must not do.

use std::os::unix::fs::PermissionsExt as _;

use razar_tests::process::alive;
use razar_tests::scene::{Ended, Scene};
use serde_json::{Value, json};

fn tell(scene: &Scene, words: &[&str]) -> Ended {
    let state = scene.state().display().to_string();
    let mut all = words.to_vec();
    all.extend(["--state", &state]);
    scene.host(&all)
}

fn status(scene: &Scene) -> Value {
    let ended = tell(scene, &["status", "--output", "json"]);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    ended.json().remove(0)
}

fn state_of(scene: &Scene, name: &str) -> String {
    let status = status(scene);
    let components = status["components"].as_array().unwrap();
    let one = components.iter().find(|component| component["component"] == name).unwrap();
    one["state"].as_str().unwrap().to_owned()
}

fn two(scene: &Scene) {
    scene.stack(
        &["base", "top"],
        &[
            scene.web("store", json!({ "layer": "base", "vital": true })),
            scene.web("page", json!({ "layer": "top" })),
        ],
    );
}

#[test]
fn status_shows_every_component_with_its_process() {
    let scene = Scene::new();
    two(&scene);
    let run = scene.run_with(&["--mission", "look"]);
    scene.until_booted(1);
    let seen = status(&scene);
    assert_eq!((&seen["host"], &seen["boot"]["mission"]), (&json!(run.pid()), &json!("look")));
    for name in ["store", "page"] {
        let component =
            seen["components"].as_array().unwrap().iter().find(|c| c["component"] == name).unwrap();
        assert_eq!(component["state"], "ready");
        assert_eq!(component["pid"], scene.pid(name));
    }
    let plain = tell(&scene, &["status"]);
    assert!(plain.out.contains("look") && plain.out.contains("page"), "{}", plain.out);
    tell(&scene, &["status", "nobody"]).complains(2, &["there is no component `nobody`"]);
    // Others may not even ask.
    let sockets = std::fs::read_dir(scene.state()).unwrap().flatten();
    for socket in sockets.filter(|entry| entry.file_name().to_string_lossy().ends_with(".sock")) {
        assert_eq!(socket.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{socket:?}");
    }
    assert_eq!(run.terminate().code, Some(0));

    let after = tell(&scene, &["status", "--output", "json"]);
    assert_eq!(after.code, Some(0));
    assert!(after.err.contains("no host is running here"), "{}", after.err);
    assert_eq!(after.json()[0]["host"], Value::Null);
}

#[test]
fn one_component_is_stopped_started_and_restarted_on_request() {
    let scene = Scene::new();
    two(&scene);
    let run = scene.run();
    scene.until_booted(1);
    let (store, page) = (scene.pid("store"), scene.pid("page"));
    assert_eq!(tell(&scene, &["stop", "page"]).code, Some(0));
    scene.until("it is gone", || !alive(page));
    scene.until("status says so", || state_of(&scene, "page") == "stopped");
    tell(&scene, &["stop", "page"]).complains(1, &["`razar-host start page` lets it run again"]);
    assert_eq!(tell(&scene, &["start", "page"]).code, Some(0));
    scene.until("it is ready", || state_of(&scene, "page") == "ready");
    tell(&scene, &["start", "page"]).complains(1, &["is not stopped", "`razar-host restart page`"]);
    let second = scene.pid("page");
    assert_eq!(tell(&scene, &["restart", "page"]).code, Some(0));
    scene.until("another process", || scene.pids("page").len() == 3);
    scene.until("it is ready again", || state_of(&scene, "page") == "ready");
    assert!(!alive(second) && alive(store));
    assert_eq!(scene.pids("store"), [store]);
    tell(&scene, &["restart", "nobody"]).complains(2, &["nobody"]);
    assert_eq!(run.terminate().code, Some(0));
}

#[test]
fn a_stopped_component_stays_stopped_when_the_host_is_killed() {
    let scene = Scene::new();
    two(&scene);
    let run = scene.run();
    scene.until_booted(1);
    let page = scene.pid("page");
    assert_eq!(tell(&scene, &["stop", "page"]).code, Some(0));
    scene.until("it is gone", || !alive(page));
    run.kill();
    let next = scene.run();
    scene.until_logged("recovery", "store", "success", 1);
    assert_eq!(state_of(&scene, "page"), "stopped");
    assert_eq!(scene.pids("page"), [page]);
    assert_eq!(next.terminate().code, Some(0));
}

#[test]
fn quarantine_is_listed_and_left_on_probation() {
    let scene = Scene::new();
    scene.stack(
        &["all"],
        &[
            scene.web("weak", json!({ "restart": { "retries": 0, "backoff": "10 ms" } })),
            scene.web("good", json!({})),
        ],
    );
    let run = scene.run();
    scene.until_booted(1);
    assert!(tell(&scene, &["quarantine", "list"]).out.contains("nothing is quarantined"));
    scene.touch("weak.crash");
    scene.until("it is quarantined", || state_of(&scene, "weak") == "quarantined");
    let list = tell(&scene, &["quarantine", "list"]);
    assert!(list.out.contains("weak") && list.out.contains("exited with code 70"), "{}", list.out);
    tell(&scene, &["start", "weak"]).complains(1, &["weak", "quarantine"]);

    let released = tell(&scene, &["quarantine", "release", "weak", "--note", "fixed | by\nhand"]);
    assert_eq!(released.code, Some(0), "{}", released.err);
    scene.until("it is ready", || state_of(&scene, "weak") == "ready");
    tell(&scene, &["quarantine", "release", "weak"]).complains(1, &["weak"]);
    // One failure puts it back.
    scene.touch("weak.crash");
    scene.until("it is quarantined again", || state_of(&scene, "weak") == "quarantined");
    assert_eq!(scene.pids("weak").len(), 2);

    let json = tell(&scene, &["quarantine", "list", "--output", "json"]).json().remove(0);
    let since = json["quarantined"][0]["since"].as_str().unwrap();
    assert!(since.len() == "2026-11-21T01:41:37.273Z".len() && since.ends_with('Z'), "{json}");
    let added = tell(&scene, &["quarantine", "add", "good", "--note", "by hand"]);
    assert!(added.code == Some(0) && added.out.contains("quarantine release good"), "{}", added.out);
    let good = scene.pid("good");
    scene.until("it is ended", || !alive(good));
    assert_eq!(run.terminate().code, Some(0));
    let log = scene.file("docs/quarantine_log.md");
    assert!(log.contains(r"fixed \| by\nhand"), "an operator's words stay in their cell: {log}");
    assert_eq!(scene.json("quarantine/weak.json")["reason"], "failed while on probation");
    assert_eq!(scene.json("quarantine/good.json")["reason"], "quarantined by the operator");
}

#[test]
fn stop_ends_the_stack_in_reverse_order_and_the_host_with_it() {
    let scene = Scene::new();
    two(&scene);
    let run = scene.run();
    scene.until_booted(1);
    let stopped = tell(&scene, &["stop"]);
    assert_eq!(stopped.code, Some(0), "{}", stopped.err);
    assert!(stopped.out.contains("everything has stopped"), "{}", stopped.out);
    assert_eq!(run.end().code, Some(0));
    assert_eq!(scene.order("stop"), ["page", "store"]);
    // Each says how it ended, and whose wish that was.
    scene.until_said("INFO page stopped because the host shuts down: it exited with code 0");
    assert!(!scene.file("logs/boot_orchestrator.log").contains("stays stopped"));
    assert_eq!(scene.logged("shutdown", "page", "stopped")[0]["details"], "exited with code 0");
    tell(&scene, &["restart", "page"]).complains(1, &["no host is running here", "razar-host run"]);
}

#[test]
fn timeline_tells_what_happened_with_a_host_and_without() {
    let scene = Scene::new();
    two(&scene);
    let run = scene.run();
    scene.until_booted(1);
    let with = tell(&scene, &["timeline"]);
    assert_eq!(with.code, Some(0));
    assert!(with.out.contains("page") && with.out.contains("ready"), "{}", with.out);
    run.kill();
    let without = tell(&scene, &["timeline", "--output", "json"]);
    assert_eq!(without.code, Some(0));
    assert!(without.json().len() >= with.out.lines().count(), "{}", without.out);
    let empty = Scene::bare();
    tell(&empty, &["timeline"]).complains(2, &["there is no ledger in"]);
}

/// Commands that read what was recorded, whether a host runs or not.
const LOOKS: [&[&str]; 12] = [
    &["status"],
    &["timeline"],
    &["quarantine", "list"],
    &["incident", "list"],
    &["incident", "show", "7"],
    &["incident", "export", "7", "--out", "bundle"],
    &["incident", "replay", "7", "--plugins", "."],
    &["patch", "list"],
    &["patch", "diff", "7"],
    &["patch", "rollback", "7"],
    &["log", "tail"],
    &["log", "key"],
];

#[test]
fn what_is_not_there_and_what_may_not_be_looked_at_are_told_apart_by_every_command() {
    let scene = Scene::bare();
    for words in LOOKS {
        tell(&scene, words).complains(2, &["there is no ledger in `", "--state DIR"]);
    }
    // Whatever keeps the file from being looked at: as root, permissions do not.
    std::os::unix::fs::symlink(scene.state(), scene.state()).unwrap();
    for words in LOOKS {
        let ended = tell(&scene, words);
        ended.complains(2, &["Too many levels of symbolic links"]);
        assert!(!ended.err.contains("no ledger"), "{words:?}: {}", ended.err);
    }
    // A disk that fails is nothing that was typed: this file answers as one would, whoever reads it.
    std::fs::remove_file(scene.state()).unwrap();
    std::fs::create_dir(scene.state()).unwrap();
    std::os::unix::fs::symlink("/proc/self/mem", scene.state().join("razar.db")).unwrap();
    for words in LOOKS {
        tell(&scene, words).complains(1, &["Input/output error", "check the disk that it lies on"]);
    }
}

#[test]
fn whatever_is_named_and_is_not_there_ends_with_2() {
    let scene = Scene::new();
    two(&scene);
    let run = scene.run();
    scene.until_booted(1);
    let unknown: [(&[&str], &str); 10] = [
        (&["incident", "show", "7"], "there is no incident `7`"),
        (&["incident", "export", "7", "--out", "bundle"], "there is no incident `7`"),
        (&["incident", "replay", "7", "--plugins", "."], "there is no incident `7`"),
        (&["patch", "show", "7"], "there is no patch `7`"),
        (&["patch", "rollback", "7"], "there is no incident `7`"),
        (&["status", "nobody"], "there is no component `nobody`"),
        (&["restart", "nobody"], "there is no component `nobody`"),
        (&["quarantine", "add", "--plugin", "nobody"], "by a plugin `nobody`"),
        (&["log", "export", "--component", "nobody", "--out", "bundle"], "no fact is about `nobody`"),
        (&["handover", "nobody"], "there is no component `nobody`"),
    ];
    for (words, said) in unknown {
        tell(&scene, words).complains(2, &[said]);
    }
    // Refused is something else.
    tell(&scene, &["start", "page"]).complains(1, &["is not stopped"]);
    assert_eq!(run.terminate().code, Some(0));
}

#[test]
fn metrics_and_health_are_served_while_it_runs() {
    let scene = Scene::new();
    scene.stack(&["all"], &[scene.web("page", json!({ "env": { "BEHAVIOR": "gated" } }))]);
    let run = scene.run();
    let get = |path: &str| scene.get(scene.port("metrics"), path).unwrap_or_default();
    scene.until("it is alive", || get("/healthz").starts_with("200"));
    assert!(get("/readyz").starts_with("503"), "{}", get("/readyz"));
    scene.touch("page.open");
    scene.until("it is ready", || get("/readyz").starts_with("200"));
    scene.until("the component is counted", || get("/metrics").contains("component=\"page\""));
    assert!(get("/nothing").starts_with("404"));
    assert_eq!(run.terminate().code, Some(0));
}
