//! What an operator does with the ledger: check it beside a running host, prove something to others, survive damage,
//! take an old system over, move to another machine.

use std::fs;

use razar_tests::scene::{Ended, Scene};
use serde_json::{Value, json};

fn one(scene: &Scene) {
    scene.stack(&["all"], &[scene.web("good", json!({}))]);
}

fn tell(scene: &Scene, words: &[&str]) -> Ended {
    let state = scene.state().display().to_string();
    let mut all = words.to_vec();
    all.extend(["--state", &state]);
    scene.host(&all)
}

fn verified(scene: &Scene, more: &[&str], code: i32) -> Value {
    let mut words = vec!["log", "verify", "--output", "json"];
    words.extend(more);
    let ended = tell(scene, &words);
    assert_eq!(ended.code, Some(code), "{}{}", ended.out, ended.err);
    ended.json().remove(0)
}

fn anchor(report: &Value, name: &str) -> String {
    let anchors = report["anchors"].as_array().unwrap();
    let told = anchors.iter().find(|told| told["anchor"] == name).unwrap();
    format!("{}: {}", told["verdict"].as_str().unwrap(), told["says"].as_str().unwrap())
}

fn flip(scene: &Scene, text: &[u8]) {
    let file = scene.state().join("razar.db");
    let mut bytes = fs::read(&file).unwrap();
    let at = bytes.windows(text.len()).rposition(|window| window == text).expect("it is in the file");
    bytes[at + text.len() - 2] ^= 1;
    fs::write(&file, bytes).unwrap();
}

#[test]
fn a_ledger_is_verified_beside_its_host_and_a_rewritten_one_is_contradicted_by_the_witness() {
    let scene = Scene::new();
    one(&scene);
    let witness = scene.path("witness.jsonl").display().to_string();
    let run = scene.run_with(&["--witness", &witness]);
    scene.until_booted(1);
    assert_eq!(verified(&scene, &[], 0)["intact"], true);
    let tail = tell(&scene, &["log", "tail", "--output", "json", "-n", "3"]);
    assert_eq!((tail.code, tail.json().len()), (Some(0), 3), "{}", tail.err);
    assert_eq!(run.terminate().code, Some(0));

    let report = verified(&scene, &["--witness", &witness], 0);
    for name in ["boots", "state_file", "witness"] {
        assert!(anchor(&report, name).starts_with("agrees"), "{report}");
    }
    scene.until_said("Ledger ends with fact 0");
    let public = tell(&scene, &["log", "key"]);
    let key = scene.write("host.pub", &public.out).display().to_string();

    // Another history in its place, made by the same program: nothing inside can tell.
    let (own, aside) = (scene.state(), scene.path("aside"));
    fs::rename(&own, &aside).unwrap();
    let run = scene.run();
    scene.until_booted(1);
    assert_eq!(run.terminate().code, Some(0));
    assert_eq!(verified(&scene, &[], 0)["intact"], true);
    let report = verified(&scene, &["--witness", &witness, "--key", &key], 1);
    assert!(anchor(&report, "witness").starts_with("contradicts"), "{report}");
    tell(&scene, &["log", "verify", "--witness", "/nowhere"]).complains(2, &["cannot read the witness"]);
}

#[test]
fn a_database_of_another_day_is_contradicted_by_the_state_file_and_from_then_on_by_the_boots() {
    let scene = Scene::new();
    one(&scene);
    let run = scene.run();
    scene.until_booted(1);
    assert_eq!(run.terminate().code, Some(0));
    let database = scene.state().join("razar.db");
    let early = fs::read(&database).unwrap();
    let run = scene.run();
    scene.until_booted(2);
    assert_eq!(run.terminate().code, Some(0));
    assert!(!scene.state().join("razar.db-wal").exists(), "all of it is in the file");
    assert_eq!(verified(&scene, &[], 0)["intact"], true);

    fs::write(&database, early).unwrap();
    let report = verified(&scene, &[], 1);
    let told = anchor(&report, "state_file");
    assert!(told.starts_with("contradicts") && told.contains("facts were cut off"), "{report}");
    assert!(anchor(&report, "boots").starts_with("agrees"), "{report}");
    assert!(
        report["first_bad"].is_null() && report["database"] == json!([]),
        "its own chain holds: {report}"
    );
    let run = scene.run();
    scene.until_said("Ledger does not have fact");
    assert_eq!(run.terminate().code, Some(0));
    assert!(scene.story().contains("`razar-host log verify` tells more"), "{}", scene.story());
    let report = verified(&scene, &[], 1);
    assert!(anchor(&report, "state_file").starts_with("agrees"), "written anew: {report}");
    assert!(anchor(&report, "boots").starts_with("contradicts"), "on record for good: {report}");
}

#[test]
fn a_bundle_is_checked_where_there_is_no_ledger() {
    let scene = Scene::new();
    one(&scene);
    let run = scene.run();
    scene.until_booted(1);
    let bundle = scene.path("good.json").display().to_string();
    let words = ["log", "export", "--component", "good", "--out", &bundle];
    let made = tell(&scene, &words);
    assert_eq!(made.code, Some(0), "{}", made.err);
    tell(&scene, &words).complains(1, &["File exists"]);
    tell(&scene, &["log", "export", "--component", "nobody", "--out", "x.json"])
        .complains(2, &["no fact is about `nobody`"]);
    assert_eq!(run.terminate().code, Some(0));
    let key = scene.write("host.pub", &tell(&scene, &["log", "key"]).out).display().to_string();
    fs::remove_dir_all(scene.state()).unwrap();

    let checked = scene.host(&["log", "verify", &bundle, "--key", &key]);
    assert_eq!(checked.code, Some(0), "{}{}", checked.out, checked.err);
    assert!(checked.out.contains("facts about good"), "{}", checked.out);
    let text = fs::read_to_string(&bundle).unwrap();
    fs::write(&bundle, text.replacen("\"component\\\":\\\"good", "\"component\\\":\\\"evil", 1)).unwrap();
    let refused = scene.host(&["log", "verify", &bundle, "--key", &key]);
    assert_eq!(refused.code, Some(1), "{}", refused.err);
    assert!(refused.out.contains("is not below the signed root"), "{}", refused.out);
    assert_eq!(scene.host(&["log", "verify", &bundle]).code, Some(2), "a bundle needs a key");
}

#[test]
fn damage_is_refused_with_the_remedy_and_repair_keeps_what_is_intact() {
    let scene = Scene::new();
    one(&scene);
    let run = scene.run();
    scene.until_booted(1);
    tell(&scene, &["log", "repair"]).complains(2, &["is in use by another host"]);
    assert_eq!(run.terminate().code, Some(0));
    let whole = tell(&scene, &["log", "repair"]);
    assert_eq!((whole.code, whole.out.contains("nothing to repair")), (Some(0), true), "{}", whole.err);

    flip(&scene, b"\"component\":\"good\"");
    let damaged = fs::read(scene.state().join("razar.db")).unwrap();
    scene.run().end().complains(3, &["`razar-host log verify`", "`razar-host log repair`"]);
    let report = verified(&scene, &[], 1);
    let bad = report["first_bad"]["seq"].as_u64().unwrap();
    assert_eq!(report["facts"].as_u64(), Some(bad - 1), "{report}");
    let repaired = tell(&scene, &["log", "repair", "--output", "json"]);
    assert_eq!(repaired.code, Some(1), "facts are lost: {}", repaired.err);
    let repaired = repaired.json().remove(0);
    assert_eq!(repaired["kept"]["seq"].as_u64(), Some(bad - 1), "{repaired}");
    assert!(repaired["lost"].as_u64() > Some(0), "{repaired}");
    assert_eq!(fs::read(repaired["aside"].as_str().unwrap()).unwrap(), damaged);

    let run = scene.run();
    scene.until("it runs again", || scene.pids("good").len() == 2);
    scene.until("the loss is on record", || {
        anchor(&tell(&scene, &["log", "verify", "--output", "json"]).json().remove(0), "boots")
            .starts_with("contradicts")
    });
    assert_eq!(run.terminate().code, Some(0), "{}", scene.story());
}

#[test]
fn a_damaged_page_costs_what_was_on_it_and_nothing_before() {
    let scene = Scene::new();
    one(&scene);
    let line =
        |number: u32| format!("{{\"event\": \"info\", \"details\": \"{number} {}\"}}\n", "n".repeat(200));
    scene.write("old/logs/razar.log", &(0..300).map(line).collect::<String>());
    let imported = tell(&scene, &["import", &scene.path("old").display().to_string()]);
    assert_eq!(imported.code, Some(0), "{}", imported.err);
    let run = scene.run();
    scene.until_booted(1);
    assert_eq!(run.terminate().code, Some(0));
    let whole = verified(&scene, &[], 0);
    let before: Vec<_> = tell(&scene, &["log", "tail", "--from", "1", "--output", "json"]).json();
    assert_eq!(before.len() as u64, whole["facts"].as_u64().unwrap());

    // The page in the middle of the facts, as a disk that lost a sector gives it back.
    let file = scene.state().join("razar.db");
    let mut bytes = fs::read(&file).unwrap();
    let at =
        bytes.windows(6).rposition(|window| window == b"150 nn").expect("it is in the file") / 4096 * 4096;
    bytes[at..at + 4096].fill(0xa5);
    fs::write(&file, &bytes).unwrap();
    scene.run().end().complains(3, &["is damaged", "nothing was changed", "`razar-host log repair`"]);
    assert_eq!(fs::read(&file).unwrap(), bytes, "refused means untouched");
    let report = verified(&scene, &[], 1);
    assert!(!report["database"].as_array().unwrap().is_empty(), "{report}");
    let repaired = tell(&scene, &["log", "repair", "--output", "json"]).json().remove(0);
    let kept = repaired["kept"]["seq"].as_u64().unwrap();
    assert!(kept > 0 && repaired["lost"].as_u64().unwrap() + kept == before.len() as u64, "{repaired}");
    let after = tell(&scene, &["log", "tail", "--from", "1", "--output", "json"]).json();
    assert_eq!(after, before[..kept as usize]);
    assert_eq!(fs::read(repaired["aside"].as_str().unwrap()).unwrap(), bytes);
}

#[test]
fn a_torn_last_line_of_each_log_is_made_good_and_what_was_torn_is_kept() {
    let scene = Scene::new();
    one(&scene);
    let run = scene.run();
    scene.until_booted(1);
    let quarantined = tell(&scene, &["quarantine", "add", "good", "--note", "a row of the quarantine log"]);
    assert_eq!(quarantined.code, Some(0), "{}", quarantined.err);
    assert_eq!(run.terminate().code, Some(0));
    const LOGS: [&str; 3] = ["logs/razar.log", "logs/boot_orchestrator.log", "docs/quarantine_log.md"];
    let whole = LOGS.map(|name| scene.file(name));
    // Cut in the middle of its last line, or filled with what the disk held there before.
    let cut = |bytes: &mut Vec<u8>, middle: usize| bytes.truncate(middle);
    let fill = |bytes: &mut Vec<u8>, middle: usize| bytes[middle..].fill(0);
    for (round, tear) in [&cut as &dyn Fn(&mut Vec<u8>, usize), &fill].into_iter().enumerate() {
        for name in LOGS {
            let path = scene.state().join(name);
            let mut bytes = fs::read(&path).unwrap();
            let last =
                bytes[..bytes.len() - 1].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            let middle = (last + bytes.len()) / 2;
            tear(&mut bytes, middle);
            fs::write(&path, bytes).unwrap();
        }
        // Any command that opens the directory as its host makes the files good; this one adds no fact.
        let ended = tell(&scene, &["stop"]);
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        for (name, whole) in LOGS.iter().zip(&whole) {
            assert!(
                scene.file(name).starts_with(whole.as_str()),
                "{name}, round {round}: {}",
                scene.file(name)
            );
            let dir = scene.state().join(name).parent().unwrap().to_owned();
            let file = name.rsplit('/').next().unwrap();
            let kept =
                fs::read_dir(dir).unwrap().flatten().map(|entry| entry.file_name().into_string().unwrap());
            let kept: Vec<_> =
                kept.filter(|kept| kept.starts_with(file) && kept.contains(".torn-")).collect();
            assert_eq!(kept.len(), round, "a line that is only cut is completed: {name}: {kept:?}");
        }
    }
}

#[test]
fn an_old_system_is_taken_over_once_and_told_by_the_timeline() {
    let scene = Scene::bare();
    scene.write(
        "old/logs/razar.log",
        "{\"event\": \"error\", \"component\": \"web\", \"status\": \"fail\", \"timestamp\": \"2025-01-02T03:04:05+00:00\", \"details\": \"it broke\"}\n{\"event\": \"torn",
    );
    scene.write(
        "old/quarantine/web.json",
        "{\n  \"name\": \"web\",\n  \"command\": [\"x\"],\n  \"reason\": \"flaky\"",
    );
    let old = scene.path("old").display().to_string();
    let first = tell(&scene, &["import", &old, "--output", "json"]);
    assert_eq!(first.code, Some(1), "half a line says nothing: {}", first.err);
    assert_eq!(first.json()[0]["quarantined"], json!(["web"]), "{}", first.out);
    let before = verified(&scene, &[], 0)["facts"].clone();
    let again = tell(&scene, &["import", &old]);
    assert!(again.out.contains("0 records of 2 files"), "{}", again.out);
    assert_eq!(verified(&scene, &[], 0)["facts"], before);
    let timeline = tell(&scene, &["timeline"]).out;
    assert!(timeline.contains("2025-01-02T03:04:05.000+00:00 error web: fail - it broke"), "{timeline}");
    let list = tell(&scene, &["quarantine", "list"]).out;
    assert!(list.contains("web: taken over from the original system: flaky"), "{list}");
    assert_eq!(scene.json("quarantine/web.json")["error"], "flaky");
    tell(&scene, &["import", &scene.state().display().to_string()])
        .complains(2, &["is the state directory itself"]);
}

#[test]
fn every_shape_of_the_original_is_taken_over_and_its_directory_left_as_it_was() {
    // File, text, records, and how many of them had to be repaired.
    let shapes = [
        ("logs/razar_ai_invocations.json", "[{\"component\": \"a\"}]\n{\"component\": \"b\"}\n", 2, 1),
        (
            "logs/razar_ai_patches.json",
            "[\n  {\n    \"event\": \"applied\"\n  },\n  {\n    \"event\": \"suggestion\"\n  }\n]",
            2,
            0,
        ),
        (
            "logs/razar_long_task.json",
            "[\n  {\n    \"attempt\": 1\n  },\n  {\n    \"attempt\": 2,\n    \"err",
            3,
            3,
        ),
        (
            "logs/razar.log",
            "{\"event\": \"start\", \"component\": \"a\"\n{\"event\": \"health\", \"component\": \"a\"}\n",
            2,
            1,
        ),
        (
            "logs/razar_state.json",
            "{\n  \"events\": [\n    {\"step\": \"launch\", \"status\": \"fail\"},\n    {\"event\": \"model_launch\"}\n  ]\n}",
            3,
            0,
        ),
        (
            "logs/razar_boot_history.json",
            "{\"history\": [{\"timestamp\": 1.5}], \"best_sequence\": null}",
            2,
            0,
        ),
        (
            "logs/razar_crown_dialogues.json",
            "[{\"role\": \"razar\"}]\n{\"request\": {}, \"response\": {}}\n",
            2,
            1,
        ),
        ("logs/mission_briefs/20261121014137.json", "{\n  \"priority_map\": {}\n}", 1, 0),
        ("logs/self_heal.jsonl", "{\"component\": \"a\", \"x\": NaN}{\"component\": \"b\"}\n", 2, 2),
        ("razar/boot_orchestrator.log", "2026-11-21 01:41:37,273 INFO Launching a\n", 1, 0),
        (
            "docs/quarantine_log.md",
            "| Timestamp (UTC) | Component | Action | Details |\n|---|---|---|---|\n| 2026-11-21T01:41:37 | a | resolved | auto |\n",
            1,
            0,
        ),
        (
            "quarantine/alpha.json",
            "{\n  \"name\": \"alpha\",\n  \"reason\": \"flaky\",\n  \"attempts\": 2,\n  \"patches_applied\": []\n}",
            1,
            0,
        ),
    ];
    let scene = Scene::bare();
    for (name, text, ..) in shapes {
        scene.write(&format!("old/{name}"), text);
    }
    let done = tell(&scene, &["import", &scene.path("old").display().to_string(), "--output", "json"]);
    assert_eq!(done.code, Some(0), "nothing had to be set aside: {}{}", done.out, done.err);
    let report = done.json().remove(0);
    for (name, text, records, repaired) in shapes {
        let files = report["files"].as_array().unwrap();
        let file = files.iter().find(|file| file["source"] == name).unwrap_or_else(|| panic!("{name}"));
        assert_eq!((&file["imported"], &file["repaired"]), (&json!(records), &json!(repaired)), "{file}");
        assert_eq!(fs::read_to_string(scene.path("old").join(name)).unwrap(), text);
    }
    assert_eq!(report["quarantined"], json!(["alpha"]), "{report}");
    assert_eq!(verified(&scene, &[], 0)["facts"], shapes.iter().map(|shape| shape.2).sum::<u64>() + 1);
    let nothing = scene.path("nothing");
    let mistyped = scene.host(&["import", "olt", "--state", &nothing.display().to_string()]);
    mistyped.complains(2, &["cannot read `olt`"]);
    assert!(!nothing.exists(), "a mistyped name leaves no state directory");
}

#[test]
fn a_running_stack_is_backed_up_and_goes_on_elsewhere() {
    let scene = Scene::new();
    one(&scene);
    let run = scene.run();
    scene.until_booted(1);
    let archive = scene.path("backup.tar").display().to_string();
    let made = tell(&scene, &["backup", &archive]);
    assert_eq!(made.code, Some(0), "{}", made.err);
    tell(&scene, &["backup", &archive]).complains(2, &["exists already"]);
    tell(&scene, &["restore", &archive]).complains(2, &["is not empty"]);
    assert_eq!(run.terminate().code, Some(0));
    fs::rename(scene.state(), scene.path("first")).unwrap();
    let restored = tell(&scene, &["restore", &archive]);
    assert_eq!(restored.code, Some(0), "{}", restored.err);
    assert!(restored.out.contains("it is intact"), "{}", restored.out);
    let run = scene.run();
    scene.until("it is started there", || scene.pids("good").len() == 2);
    scene.until("it is ready there", || {
        !scene.logged("recovery", "good", "success").is_empty()
            || scene.logged("start", "good", "success").len() == 2
    });
    assert_eq!(run.terminate().code, Some(0), "{}", scene.story());
    assert_eq!(verified(&scene, &[], 0)["intact"], true);
}
