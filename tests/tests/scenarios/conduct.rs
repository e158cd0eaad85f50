//! What plugins keep, what they say, and what becomes of one that crashes.

use std::path::Path;

use razar_tests::artifact;
use razar_tests::process::alive;
use razar_tests::scene::{Run, Scene};
use serde_json::json;

const GRANT: &str = "[probe-odd]\nkeyvalue = { calls = { keys = 1 } }\n";

/// A sleeper that `probe-odd` is asked about; it crashes when `wish` says so.
fn stage(scene: &Scene) {
    let log = scene.write("wish", "be well\n");
    let health = json!({ "probe": "probe-odd", "log": log, "interval": "50 ms", "deadline": "40 s" });
    scene.stack(&["all"], &[scene.web("one", json!({ "health": health }))]);
    scene.write("grants.toml", GRANT);
}

fn run(scene: &Scene) -> Run<'_> {
    let guests = artifact::guests().display().to_string();
    scene.run_with(&["--plugins", &guests, "--grants", "grants.toml"])
}

/// The numbers of the calls that a host has told of.
fn calls(said: &str) -> Vec<u64> {
    let number = |line: &str| line.split_once("call ")?.1.split_once('.')?.0.parse().ok();
    said.lines().filter_map(number).collect()
}

#[test]
fn what_a_plugin_keeps_outlives_its_host_and_what_it_says_is_one_line() {
    let scene = Scene::new();
    stage(&scene);
    let first = run(&scene);
    scene.until_booted(1);
    scene.until("it is asked again", || calls(&first.complaints()).len() >= 3);
    first.kill();
    let before = calls(&std::fs::read_to_string(scene.path("0.err")).unwrap());
    // A call that is given up may have counted and said nothing.
    assert!(before.is_sorted_by(|a, b| a < b), "each call is counted once: {before:?}");
    let second = run(&scene);
    scene.until("it is asked again", || calls(&second.complaints()).len() >= 3);
    let ended = second.terminate();
    let after = calls(&ended.err);
    assert!(after[0] > before[before.len() - 1], "{before:?}, then {after:?}");

    let lines: Vec<&str> = ended.err.lines().filter(|line| line.contains("forged")).collect();
    assert!(!lines.is_empty(), "{}", ended.err);
    for line in lines {
        for part in [
            "WARN says: call ",
            r".\n\u{1b}[2K2026-11-21T00:00:00Z ERROR forged",
            "plugin=probe-odd",
            "component=one",
        ] {
            assert!(line.contains(part), "`{part}` is not in {line:?}");
        }
    }
}

#[test]
fn a_store_that_is_not_granted_is_named_with_the_line_that_grants_it() {
    let scene = Scene::new();
    stage(&scene);
    let guests = artifact::guests().display().to_string();
    let hint = "keyvalue = { \"calls\" = { bytes = \"64 KiB\", keys = 256 } }";
    scene.run_with(&["--plugins", &guests]).end().complains(2, &["keyvalue `calls`", hint]);
}

#[test]
fn a_plugin_that_crashes_is_quarantined_and_let_out_by_the_operator() {
    let scene = Scene::new();
    stage(&scene);
    let host = run(&scene);
    scene.until_booted(1);
    scene.until("the service runs", || !scene.pids("one").is_empty());
    let service = scene.pid("one");
    scene.write("wish", "crash\n");
    scene.until_logged("quarantine", "probe-odd", "quarantined", 1);
    let details = scene.logged("quarantine", "probe-odd", "quarantined")[0]["details"].clone();
    assert!(details.as_str().unwrap().starts_with("plugin, misbehaved repeatedly: probe-odd: "), "{details}");

    let state = scene.state().display().to_string();
    let control = |words: &[&str]| scene.host(&[words, &["--state", &state]].concat());
    let unknown = "health unknown: plugin `probe-odd` is quarantined";
    let status = control(&["status"]);
    assert!(status.out.contains(unknown) && status.out.contains("ready"), "{}", status.out);
    let list = control(&["quarantine", "list"]);
    for text in ["plugin probe-odd: misbehaved repeatedly", "`razar-host quarantine release --plugin PLUGIN`"]
    {
        assert!(list.out.contains(text), "`{text}` is not in: {}", list.out);
    }
    let json = control(&["quarantine", "list", "--output", "json"]).json().remove(0);
    assert_eq!((&json["plugins"][0]["plugin"], &json["quarantined"]), (&json!("probe-odd"), &json!([])));
    let metrics = scene.get(scene.port("metrics"), "/metrics").unwrap();
    assert!(metrics.contains("razar_plugin_quarantined{plugin=\"probe-odd\"} 1"), "{metrics}");

    // It outlives the host, and nobody is restarted for it.
    host.kill();
    let host = run(&scene);
    scene.until("the next host looks", || control(&["status"]).out.contains(unknown));
    assert!(alive(service) && scene.pids("one").len() == 1);

    // Still crashing: one call puts it back.
    let release = ["quarantine", "release", "--plugin", "probe-odd", "--note", "fixed"];
    let released = control(&release);
    assert_eq!(released.code, Some(0), "{}", released.err);
    assert!(released.out.contains("on probation"), "{}", released.out);
    scene.until_logged("quarantine", "probe-odd", "quarantined", 2);
    scene.write("wish", "be well\n");
    assert_eq!(control(&release).code, Some(0));
    scene.until("it is asked again", || {
        control(&["quarantine", "list"]).out.contains("nothing is quarantined")
            && !calls(&host.complaints()).is_empty()
    });
    assert!(!control(&["status"]).out.contains(unknown));
    control(&release).complains(1, &["plugin `probe-odd` is not quarantined"]);
    control(&["quarantine", "add", "--plugin", "probe-nobody"])
        .complains(2, &["no component's health is asked by a plugin `probe-nobody`"]);
    assert_eq!(host.terminate().code, Some(0));
    assert_eq!(scene.pids("one"), [service], "the service never noticed");
    let log = scene.file("docs/quarantine_log.md");
    for row in ["plugin probe-odd | plugin |", "plugin probe-odd | reactivated | manual: fixed"] {
        assert!(log.contains(row), "`{row}` is not in:\n{log}");
    }
    assert!(!Path::new(&scene.state().join("quarantine/probe-odd.json")).exists(), "no component's file");
}
