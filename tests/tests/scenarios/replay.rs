//! Incidents that are played again when everything they were about is gone: the model, the service, its files. What is recorded
//! holds no secret.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use minisign::KeyPair;
use razar_tests::artifact;
use razar_tests::model::ModelServer;
use razar_tests::scene::{Ended, Scene};
use razar_tests::shop::{self, BROKEN, RIGHT, says};
use serde_json::{Value, json};

use crate::disk::after_mounting;

const KEY: &str = "c4nary-key-0123456789";

/// In the environment, the sources and the log of a component.
const OWN: &str = "c4nary-own-9876543210";

/// Breaks what it should repair.
const WORSE: &str = "def total(items:\n    return 0\n";

/// The shop's sources with a secret in them.
fn with_secret(text: &str) -> String {
    format!("{text}\npassword = \"{OWN}\"\nprint(\"starting with {OWN}\", flush=True)\n")
}

/// A shop that is repaired with the second answer, and the model that gives it.
fn shop() -> (Scene, ModelServer) {
    let scene = Scene::new();
    let answers = [says("shop.py", WORSE), says("shop.py", &RIGHT.replace("sum(items)", "sum(list(items))"))];
    let model = ModelServer::start(&scene, &json!({ "turns": answers }), KEY);
    model.grant(&scene, model.endpoint(), "m-1");
    shop::files(&scene, &with_secret(BROKEN));
    let repair = json!({
        "agents": ["agent-openai"], "attempts": 3, "evaluators": ["evaluator-syntax"],
        "hold": "300 ms", "canary": "500 ms",
    });
    let special = json!({ "repair": repair, "env": { "SHOP_TOKEN": OWN } });
    scene.stack(&["all"], &[shop::component(&scene, &special)]);
    (scene, model)
}

fn run_command(scene: &Scene) -> Command {
    let mut command = scene.run_command(&["--grants", "grants.toml"]);
    command.env("MODEL_KEY", KEY);
    command
}

/// It is repaired; then the host, the model and the files are gone.
fn repaired() -> Scene {
    let (scene, model) = shop();
    let run = scene.begin(&mut run_command(&scene));
    scene.until_logged("resolved", "shop", "success", 1);
    // Two attempts, and the canary.
    scene.until("all calls are recorded", || recorded(&scene) >= 3);
    assert_eq!(run.interrupt().code, Some(0));
    drop(model);
    std::fs::rename(scene.path("shop"), scene.path("gone")).expect("it is there");
    scene
}

/// How many facts name a recording.
fn recorded(scene: &Scene) -> usize {
    let state = scene.state().display().to_string();
    let told = scene.host(&["log", "tail", "-n", "500", "--output", "json", "--state", &state]);
    told.out.matches("calls_recorded").count()
}

/// The files of recordings, in no order.
fn recordings(scene: &Scene) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(scene.state().join("recordings")).expect("there are some");
    entries.map(|entry| entry.expect("a file").path()).collect()
}

fn replay(scene: &Scene, plugins: &[PathBuf], output: &str) -> Ended {
    let state = scene.state().display().to_string();
    let mut words = vec!["incident", "replay", "shop", "--state", &state, "--output", output];
    let plugins: Vec<String> = plugins.iter().map(|dir| dir.display().to_string()).collect();
    words.extend(plugins.iter().flat_map(|dir| ["--plugins", dir]));
    scene.host(&words)
}

fn shipped() -> Vec<PathBuf> {
    vec![artifact::plugins().to_owned()]
}

/// What was played, by what it is, and how it came out.
fn outcomes(answer: &[Value], what: &str) -> Vec<String> {
    let of = answer.iter().filter(|line| line["what"] == what);
    of.map(|line| line["outcome"].as_str().expect("a word").to_owned()).collect()
}

#[test]
fn an_incident_is_the_same_when_everything_it_was_about_is_gone() {
    let scene = repaired();
    let ended = replay(&scene, &shipped(), "json");
    assert_eq!(ended.code, Some(0), "{}\n{}", ended.out, ended.err);
    let answer = ended.json();
    let last = answer.last().expect("a line");
    assert_eq!((&last["differ"], &last["left_out"]), (&json!(0), &json!(0)), "{}", ended.out);
    assert_eq!(outcomes(&answer, "agent"), ["same"; 2], "{}", ended.out);
    assert_eq!(outcomes(&answer, "evaluator"), ["same"; 8], "{}", ended.out);
    assert_eq!(outcomes(&answer, "gate"), ["same"; 2], "{}", ended.out);
    assert_eq!(outcomes(&answer, "verdict"), ["same"; 2], "{}", ended.out);
    // Its probes: before the incident opened, as far as there was time for more than one bad answer, and in the canary.
    let probes = outcomes(&answer, "probe");
    assert!(!probes.is_empty() && probes.iter().all(|outcome| outcome == "same"), "{}", ended.out);
    let told = replay(&scene, &shipped(), "human");
    assert!(told.out.contains("attempt 2: agent agent-openai: the same"), "{}", told.out);
    assert!(told.out.contains("0 differ, 0 left out"), "{}", told.out);

    for text in [&ended.out, &told.out] {
        assert!(!text.contains("c4nary"), "{text}");
    }

    // The same in a file, for whoever has no ledger.
    let (bundle, state) = (scene.path("incident.json"), scene.state().display().to_string());
    let file = bundle.display().to_string();
    let exported =
        scene.host(&["incident", "export", "shop", "--out", &file, "--state", &state, "--output", "json"]);
    assert_eq!(exported.code, Some(0), "{}", exported.err);
    assert!(exported.json()[0]["recordings"].as_u64().expect("a number") >= 2, "{}", exported.out);
    let text = std::fs::read_to_string(&bundle).expect("a bundle");
    assert!(!text.contains("c4nary"), "no secret leaves in a bundle");
    assert!(text.contains("[redacted"), "there was something to take out");
    std::fs::rename(scene.state(), scene.path("elsewhere")).expect("it is there");
    let plugins = artifact::plugins().display().to_string();
    let again = scene.host(&["incident", "replay", &file, "--plugins", &plugins, "--output", "json"]);
    assert_eq!((again.code, again.out), (Some(0), ended.out), "{}", again.err);
    std::fs::write(&bundle, text.replacen("razar-host calls v2", "razar-host calls v9", 1))
        .expect("it is written");
    let refused = scene.host(&["incident", "replay", &file, "--plugins", &plugins]);
    refused.complains(2, &["is not what a fact of it names"]);
}

#[test]
fn what_was_heard_of_a_port_that_opens_late_is_the_same_when_nobody_listens() {
    let scene = Scene::new();
    let model = ModelServer::start(&scene, &json!({ "turns": [says("shop.py", RIGHT)] }), KEY);
    model.grant(&scene, model.endpoint(), "m-1");
    shop::files(&scene, BROKEN);
    scene.write("shop/serve.py", &format!("import time\ntime.sleep(1)\n{}", shop::SERVE));
    let address = format!("tcp://{}:{}", scene.address(), scene.port("shop"));
    let special = json!({
        "probes": { "startup": { "address": address, "interval": "200 ms" } },
        "repair": {
            "agents": ["agent-openai"], "attempts": 1, "evaluators": [], "hold": "300 ms", "canary": "500 ms",
        },
    });
    scene.stack(&["all"], &[shop::component(&scene, &special)]);
    let run = scene.begin(scene.run_command(&["--grants", "grants.toml"]).env("MODEL_KEY", KEY));
    scene.until_logged("resolved", "shop", "success", 1);
    let state = scene.state().display().to_string();
    scene.until("all calls are recorded", || {
        let told = scene.host(&["log", "tail", "-n", "500", "--output", "json", "--state", &state]);
        told.out.matches("calls_recorded").count() >= 2
    });
    assert_eq!(run.interrupt().code, Some(0));
    let ended = replay(&scene, &shipped(), "json");
    assert_eq!(ended.code, Some(0), "{}\n{}", ended.out, ended.err);
    let probes: Vec<Value> = ended.json().into_iter().filter(|line| line["what"] == "probe").collect();
    assert!(probes.iter().any(|line| line.to_string().contains("probe-tcp")), "{}", ended.out);
    assert!(probes.iter().all(|line| line["outcome"] == "same"), "{}", ended.out);
}

#[test]
fn another_plugin_is_told_from_the_one_that_was_recorded() {
    let scene = repaired();
    // One that asks in other words.
    let (from, other) = (artifact::agents().join("agent-kimicho"), scene.path("other/agent-openai"));
    std::fs::create_dir_all(&other).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a package").flatten() {
        std::fs::copy(entry.path(), other.join(entry.file_name())).expect("a file");
    }
    let manifest = std::fs::read_to_string(other.join("plugin.toml")).expect("a manifest");
    std::fs::write(other.join("plugin.toml"), manifest.replace("\"agent-kimicho\"", "\"agent-openai\""))
        .expect("it");
    let others = vec![scene.path("other"), artifact::plugins().join("evaluator-syntax")];
    let ended = replay(&scene, &others, "json");
    assert_eq!(ended.code, Some(1), "{}\n{}", ended.out, ended.err);
    let answer = ended.json();
    assert_eq!(outcomes(&answer, "agent"), ["differs"; 2], "{}", ended.out);
    assert_eq!(outcomes(&answer, "evaluator"), ["same"; 8], "{}", ended.out);
    let first = answer.iter().find(|line| line["what"] == "agent").expect("it");
    assert!(first["is"].as_str().expect("words").contains("request 1"), "{first}");
    assert!(first["other_code"].as_str().expect("a digest").starts_with("sha256:"), "{first}");
    // The recorded code comes first, wherever it lies.
    let both = [others, shipped()].concat();
    assert_eq!(replay(&scene, &both, "human").code, Some(0));
}

#[test]
fn a_recording_that_was_changed_is_refused_and_one_that_is_gone_is_left_out() {
    let scene = repaired();
    let files = recordings(&scene);
    assert_eq!(files.len(), recorded(&scene));
    let mode = |path: &Path| std::fs::metadata(path).expect("it is there").mode() & 0o777;
    assert_eq!(mode(&scene.state().join("recordings")), 0o700);
    let file = files
        .iter()
        .find(|file| std::fs::read_to_string(file).is_ok_and(|text| text.contains("\"attempt\":1")));
    let file = file.expect("the first attempt");
    assert_eq!(mode(file), 0o600);
    let text = std::fs::read_to_string(file).expect("a recording");
    std::fs::write(file, text.replacen("razar-host calls v2", "razar-host calls v9", 1))
        .expect("it is written");
    let name = file.display().to_string();
    let damaged = replay(&scene, &shipped(), "json");
    assert_eq!(damaged.code, Some(0), "the others are the same: {}{}", damaged.out, damaged.err);
    let left = damaged.json().into_iter().find(|line| line["what"] == "recording").expect("it is named");
    let why = left["why"].as_str().expect("words");
    assert!([&name, "is not what was recorded", "backup"].iter().all(|part| why.contains(part)), "{why}");
    std::fs::remove_file(file).expect("it is there");
    let ended = replay(&scene, &shipped(), "json");
    assert_eq!(ended.code, Some(0), "the others are the same: {}", ended.err);
    let gone = ended.json().into_iter().find(|line| line["what"] == "recording").expect("it is named");
    assert_eq!((&gone["outcome"], &gone["why"]), (&json!("left-out"), &json!("it is no longer kept")));
}

#[test]
fn a_damaged_ledger_ends_a_replay_as_it_ends_every_other_command() {
    let scene = repaired();
    std::fs::remove_file(scene.state().join("razar.db-wal")).ok();
    std::fs::write(scene.state().join("razar.db"), "no database ".repeat(1_000)).expect("it is written");
    replay(&scene, &shipped(), "human").complains(1, &["razar.db", "log repair"]);
}

#[test]
fn an_export_names_every_recording_that_is_gone_whole() {
    let scene = repaired();
    let files = recordings(&scene);
    let gone = &files[..2];
    gone.iter().for_each(|file| std::fs::remove_file(file).expect("it is there"));
    let state = scene.state().display().to_string();
    let export = |out: &str, output: &str| {
        scene.host(&["incident", "export", "shop", "--out", out, "--state", &state, "--output", output])
    };
    let named = |answer: &Value| {
        let left_out = answer["left_out"].as_array().expect("a list");
        let of = |file: &PathBuf| file.file_stem().expect("a name").to_str().expect("a digest").to_owned();
        assert_eq!(left_out.len(), 2, "{answer}");
        assert!(gone.iter().all(|file| answer["left_out"].to_string().contains(&of(file))), "{answer}");
    };
    let file = scene.path("incident.json").display().to_string();
    let written = export(&file, "json");
    assert_eq!(written.code, Some(0), "{}{}", written.out, written.err);
    named(&written.json()[0]);
    let printed = export("-", "json");
    named(&serde_json::from_str(printed.err.trim()).expect("one object beside the bundle"));
    let told = export("-", "human");
    assert_eq!(told.err.matches("warning: left out: the recording").count(), 2, "{}", told.err);
}

#[test]
fn what_no_fact_names_goes_with_the_next_start() {
    let scene = repaired();
    let before = recordings(&scene);
    let dir = scene.state().join("recordings");
    let left = [".razar-half.tmp".to_owned(), format!("{}.json", "0".repeat(64))];
    for name in &left {
        std::fs::write(dir.join(name), "left").expect("it is written");
    }
    std::fs::rename(scene.path("gone"), scene.path("shop")).expect("it is there");
    let run = scene.begin(&mut run_command(&scene));
    scene.until_booted(2);
    assert_eq!(run.terminate().code, Some(0));
    let after = recordings(&scene);
    assert!(before.iter().all(|file| after.contains(file)), "{after:?}");
    assert!(left.iter().all(|name| !dir.join(name).exists()), "{after:?}");
}

#[test]
fn where_little_is_free_only_the_recordings_are_missing_and_it_is_said_once() {
    let (scene, _model) = shop();
    let state = scene.state().display().to_string();
    // More than a host needs, and less than a recording leaves alone.
    let script = format!(
        "cp -a '{state}' before && mount -t tmpfs -o size=400m,mode=700 tmpfs '{state}' && cp -a before/. '{state}'"
    );
    let Some(mut command) = after_mounting(&scene, &run_command(&scene), &script) else { return };
    let run = scene.begin(&mut command);
    let inside = PathBuf::from(format!("/proc/{}/root{state}", run.pid()));
    scene.until("it is repaired", || {
        let log = std::fs::read_to_string(inside.join("logs/razar.log")).unwrap_or_default();
        log.lines().any(|line| line.contains("\"resolved\"") && line.contains("shop"))
    });
    scene.until("it is said", || run.complaints().contains("recordings leave 512 MiB"));
    assert!(!inside.join("recordings").exists());
    let ended = run.interrupt();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert_eq!(ended.err.matches("recordings leave 512 MiB").count(), 1, "{}", ended.err);
    assert!(ended.err.contains("free space there"), "{}", ended.err);
}

/// The packages that were recorded, each in one file that a publisher has signed, pinned in a directory with a lock.
fn pinned(scene: &Scene) {
    let publisher = KeyPair::generate_unencrypted_keypair().expect("a key");
    believe(scene, &publisher);
    std::fs::create_dir(scene.path("made")).expect("a folder");
    for name in ["agent-openai", "evaluator-syntax", "probe-http"] {
        let archive = scene.path(&format!("made/{name}.tar"));
        let mut tar = Command::new("tar");
        tar.arg("-cf").arg(&archive).arg("-C").arg(artifact::plugins().join(name)).arg(".");
        assert!(tar.status().expect("there is `tar`").success());
        let bytes = std::fs::read(&archive).expect("an archive");
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later").as_secs();
        let comment = format!("timestamp:{now}\tfile:{name}.tar\thashed");
        let signed = minisign::sign(Some(&publisher.pk), &publisher.sk, &bytes[..], Some(&comment), None);
        let signed = signed.expect("a signature").into_string();
        std::fs::write(format!("{}.minisig", archive.display()), signed).expect("it is written");
        let archive = archive.display().to_string();
        let added =
            scene.host(&["plugin", "add", &archive, "--plugins", "pinned", "--signers", "signers.toml"]);
        assert_eq!(added.code, Some(0), "{}", added.err);
    }
}

/// The operator believes whoever has this key, and nobody who has none.
fn believe(scene: &Scene, publisher: &KeyPair) {
    let key = publisher.pk.to_base64();
    scene.write(
        "signers.toml",
        &format!("required = true\n[signer.acme]\nkey = \"{key}\"\nplugins = [\"agent-*\", \"evaluator-*\", \"probe-*\"]\nnot-after = \"2999-12-31\"\n"),
    );
}

#[test]
fn a_locked_directory_is_played_as_a_host_would_load_it() {
    let scene = repaired();
    pinned(&scene);
    let state = scene.state().display().to_string();
    let play = |plugins: &str, more: &[&str]| {
        let words =
            ["incident", "replay", "shop", "--state", &state, "--output", "json", "--plugins", plugins];
        scene.host(&[&words, more].concat())
    };
    let signed = ["--signers", "signers.toml"];
    for more in [&[][..], &signed] {
        let ended = play("pinned", more);
        assert_eq!(ended.code, Some(0), "{}\n{}", ended.out, ended.err);
        let answer = ended.json();
        assert_eq!(answer.last().expect("a line")["left_out"], 0, "{}", ended.out);
        assert!(answer.iter().all(|line| line["other_code"].is_null()), "{}", ended.out);
    }
    let why = |ended: &Ended, what: &str| -> String {
        let answer = ended.json();
        let line = answer.iter().find(|line| line["what"] == what).expect("it is named").clone();
        assert_eq!(line["outcome"], "left-out", "{}", ended.out);
        line["why"].as_str().expect("words").to_owned()
    };
    // Nobody has signed what lies in an open directory.
    let open = play(&artifact::plugins().display().to_string(), &signed);
    assert_eq!(open.code, Some(1), "{}", open.out);
    assert!(why(&open, "agent").contains("sign"), "{}", open.out);
    // Somebody is believed no longer.
    believe(&scene, &KeyPair::generate_unencrypted_keypair().expect("a key"));
    let stranger = play("pinned", &signed);
    assert_eq!(stranger.code, Some(1), "{}", stranger.out);
    assert!(why(&stranger, "agent").contains("`agent-openai` is not loaded"), "{}", stranger.out);
    // One archive is not what was pinned.
    let entries = std::fs::read_dir(scene.path("pinned")).expect("it");
    let mut files = entries.map(|entry| entry.expect("a file").path());
    let of_syntax = |file: &PathBuf| file.display().to_string().contains("evaluator-syntax-");
    let archive = files.find(of_syntax).expect("an archive");
    let mut bytes = std::fs::read(&archive).expect("it");
    *bytes.last_mut().expect("a byte") ^= 1;
    std::fs::write(&archive, bytes).expect("it is written");
    let changed = play("pinned", &[]);
    assert!(why(&changed, "evaluator").contains("pinned"), "{}", changed.out);
    assert_eq!(outcomes(&changed.json(), "agent"), ["same"; 2], "{}", changed.out);
    let nobody = play("pinned", &["--signers", "nobody.toml"]);
    assert!(nobody.code == Some(2) && nobody.out.contains("nobody.toml"), "{}", nobody.out);
    scene.write("pinned/plugins.lock", "half a [");
    let broken = play("pinned", &[]);
    assert_eq!(broken.code, Some(2), "{}", broken.out);
    assert!(broken.out.contains("plugins.lock"), "{}", broken.out);
}

#[test]
fn a_bundle_is_private_goes_to_standard_output_and_says_what_is_wrong_with_it() {
    let scene = repaired();
    let state = scene.state().display().to_string();
    let export = |out: &str| scene.host(&["incident", "export", "shop", "--out", out, "--state", &state]);
    let file = scene.path("incident.json");
    let name = file.display().to_string();
    assert_eq!(export(&name).code, Some(0));
    assert_eq!(std::fs::metadata(&file).expect("it is there").mode() & 0o777, 0o600);
    export(&name).complains(1, &["exist"]);
    let printed = export("-");
    assert_eq!(printed.code, Some(0), "{}", printed.err);
    assert!(printed.err.contains("are on standard output, signed by"), "{}", printed.err);

    let key = scene.host(&["log", "key", "--state", &state]).out;
    scene.write("key.pub", key.lines().find(|line| line.starts_with("ed25519:")).expect("a key"));
    let verify = |text: &str| {
        let bundle = scene.write("bundle.json", text).display().to_string();
        scene.host(&["log", "verify", &bundle, "--key", "key.pub"])
    };
    let sound = verify(&printed.out);
    assert_eq!(sound.code, Some(0), "{}{}", sound.out, sound.err);
    assert!(sound.out.contains("recordings"), "{}", sound.out);
    let mut bundle: Value = serde_json::from_str(&printed.out).expect("one object");
    let attached = bundle["attached"].as_object_mut().expect("some");
    let first = attached.keys().next().expect("one").clone();
    attached.remove(&first);
    let taken_out = verify(&bundle.to_string());
    assert_eq!(taken_out.code, Some(1));
    assert!(taken_out.out.contains(&first) && taken_out.out.contains("is missing"), "{}", taken_out.out);
    let torn = verify(printed.out.get(..printed.out.len() / 2).expect("half of it"));
    assert_eq!(torn.code, Some(1), "{}", torn.err);
    assert!(torn.out.contains("bundle.json") && torn.out.contains("ends early"), "{}", torn.out);
    let makes = ["bundle.json", "is no bundle of razar-host", "`razar-host incident export`"];
    verify("name = \"x\"").complains(2, &makes);
    let plugins = artifact::plugins().display().to_string();
    let played = scene.host(&["incident", "replay", "bundle.json", "--plugins", &plugins]);
    played.complains(2, &makes);
}

#[test]
fn what_cannot_be_played_is_said() {
    let scene = repaired();
    let state = scene.state().display().to_string();
    let plugins = artifact::plugins().display().to_string();
    let words = |incident: &'static str| ["incident", "replay", incident, "--state"].map(str::to_owned);
    let ask = |incident| {
        let mut words = words(incident).to_vec();
        words.extend([state.clone(), "--plugins".to_owned(), plugins.clone()]);
        scene.host(&words.iter().map(String::as_str).collect::<Vec<_>>())
    };
    ask("7").complains(2, &["there is no incident `7`"]);
    ask("nobody").complains(2, &["there is no incident `nobody`"]);
    let played = |dir: &str| replay(&scene, &[scene.path(dir)], "human");
    played("nowhere").complains(2, &["nowhere", "cannot be read"]);
    scene.write("locked/plugins.lock", "half a [");
    played("locked").complains(2, &["plugins.lock"]);
    scene.write("empty/nothing", "");
    played("empty").complains(1, &["nothing could be played"]);
    // A package whose manifest is broken is named, in a directory of packages or alone.
    scene.write("broken/agent-openai/plugin.toml", "half a [");
    for dir in ["broken", "broken/agent-openai"] {
        let ended = replay(&scene, &[scene.path(dir)], "json");
        let answer = ended.json();
        let agent = answer.iter().find(|line| line["what"] == "agent").expect("it");
        let why = agent["why"].as_str().expect("words");
        assert!(why.contains("`agent-openai` is not loaded") && why.contains("plugin.toml"), "{why}");
    }
    // Nobody there who could be asked.
    let ended = replay(&scene, &[artifact::plugins().join("evaluator-syntax")], "json");
    let answer = ended.json();
    assert_eq!(outcomes(&answer, "agent"), ["left-out"; 2], "{}", ended.out);
    let first = answer.iter().find(|line| line["what"] == "agent").expect("it");
    assert!(first["why"].as_str().expect("words").contains("--plugins"), "{first}");
}

/// What models say: repairs, what only seems to be one, what the gate refuses, and that they know nothing.
fn replies() -> Vec<Value> {
    vec![
        says("shop.py", RIGHT),
        says("shop.py", WORSE),
        says("shop.py", "def total(items):\n    return sum(items[2:])\n"),
        says("tests/test_shop.py", "\n"),
        says("../outside.py", "x = 1\n"),
        json!({ "say": "I give up.\n{\"decline\": \"no idea\"}" }),
        says("shop.py", &RIGHT.replace("sum(items)", "sum(item for item in items)")),
        says("shop.py", "def total(items):\n    return 6\n"),
    ]
}

/// Whether so many incidents of a stack are over.
fn closed(scene: &Scene, count: usize) -> bool {
    let state = scene.state().display().to_string();
    let listed = scene.host(&["incident", "list", "--state", &state, "--output", "json"]);
    let incidents = if listed.code == Some(0) { listed.json() } else { Vec::new() };
    incidents.iter().filter(|incident| !incident["closed"].is_null()).count() >= count
}

/// Every recorded incident comes out as it did, whatever was said in it: a hundred with `RAZAR_LONG=1`.
#[test]
fn recorded_incidents_come_out_as_they_did_to_the_bit() {
    let rounds = if std::env::var_os("RAZAR_LONG").is_some() { 10 } else { 2 };
    let (mut verdicts, mut played) = (0, 0);
    for round in 0..rounds {
        let scene = Scene::new();
        let mut turns = replies();
        let shift = round % turns.len();
        turns.rotate_left(shift);
        let turns: Vec<Value> = turns.iter().cycle().take(40).cloned().collect();
        let model = ModelServer::start(&scene, &json!({ "turns": turns }), KEY);
        model.grant(&scene, model.endpoint(), "m-1");
        let names: Vec<String> = (0..10).map(|number| format!("shop-{number}")).collect();
        let repair = json!({
            "agents": ["agent-openai"], "attempts": 1, "evaluators": ["evaluator-syntax"], "hold": "10 ms",
            "canary": "100 ms",
        });
        let component = |name: &String| {
            scene.write(&format!("{name}/shop.py"), BROKEN);
            scene.write(&format!("{name}/serve.py"), shop::SERVE);
            let url = scene.url(name);
            json!({
                "id": name, "workdir": name, "entrypoint": ["python3", "-S", "-B", "serve.py"],
                "env": { "HOST": scene.address(), "PORT": scene.port(name).to_string() },
                "restart": { "retries": 0 },
                "probes": {
                    "startup": { "address": format!("{url}alive"), "deadline": "60 s", "timeout": "30 s" },
                    "liveness": {
                        "address": format!("{url}healthz"), "interval": "200 ms", "failures": 2, "timeout": "30 s"
                    },
                },
                "repair": repair,
            })
        };
        scene.stack(&["all"], &names.iter().map(component).collect::<Vec<_>>());
        let run = scene.begin(scene.run_command(&["--grants", "grants.toml"]).env("MODEL_KEY", KEY));
        for count in 1..=names.len() {
            scene.until("another incident is over", || closed(&scene, count));
        }
        // An attempt waits for nobody who writes down what it heard.
        let state = scene.state().display().to_string();
        scene.until("something is recorded of each", || {
            let told = scene.host(&["log", "tail", "-n", "5000", "--output", "json", "--state", &state]);
            let recorded = told.out.lines().filter(|line| line.contains("calls_recorded"));
            let of = recorded.filter_map(|line| line.split("\"incident\":").nth(1)?.split([',', '}']).next());
            of.collect::<std::collections::BTreeSet<_>>().len() == names.len()
        });
        assert_eq!(run.interrupt().code, Some(0));
        drop(model);
        for number in 1..=names.len() {
            let (number, state) = (number.to_string(), scene.state().display().to_string());
            let plugins = artifact::plugins().display().to_string();
            let words =
                ["incident", "replay", &number, "--plugins", &plugins, "--state", &state, "--output", "json"];
            let ended = scene.host(&words);
            assert_eq!(ended.code, Some(0), "incident {number}: {}\n{}", ended.out, ended.err);
            let answer = ended.json();
            assert_eq!(answer.last().expect("a line")["left_out"], 0, "incident {number}: {}", ended.out);
            verdicts += outcomes(&answer, "verdict").len();
            played += 1;
        }
    }
    assert!(played == rounds * 10 && verdicts * 3 >= played, "{verdicts} verdicts in {played} incidents");
}
