//! State directories that cannot be used, and disks that are full. What was recorded stays; what runs goes on.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::process::Command;

use razar_tests::process::{self, alive};
use razar_tests::scene::Scene;
use rustix::process::Signal;
use serde_json::json;

fn one(scene: &Scene) {
    scene.stack(&["all"], &[scene.web("good", json!({}))]);
}

#[test]
fn a_damaged_ledger_is_named_and_left_as_it_is() {
    let scene = Scene::new();
    one(&scene);
    let run = scene.run();
    scene.until_booted(1);
    assert_eq!(run.terminate().code, Some(0));
    let file = scene.state().join("razar.db");
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..].fill(0xa5);
    bytes[100..2000].fill(0x5a);
    fs::write(&file, &bytes).unwrap();
    let ended = scene.run().end();
    ended.complains(3, &["razar.db", "is damaged", "nothing was changed", "backup", "--state DIR"]);
    assert_eq!(fs::read(&file).unwrap(), bytes, "not a byte was changed");
    assert_eq!(scene.pids("good").len(), 1, "nothing is started on the strength of a damaged memory");
}

#[test]
fn a_ledger_with_a_changed_fact_is_refused() {
    let scene = Scene::new();
    one(&scene);
    let run = scene.run();
    scene.until_booted(1);
    assert_eq!(run.terminate().code, Some(0));
    let file = scene.state().join("razar.db");
    let bytes = fs::read(&file).unwrap();
    let text = b"\"component\":\"good\"";
    let at = bytes.windows(text.len()).rposition(|window| window == text).expect("a fact about it");
    let mut forged = bytes.clone();
    forged[at + text.len() - 2] = b'e';
    fs::write(&file, &forged).unwrap();
    let ended = scene.run().end();
    ended.complains(3, &["does not match its hash", "restore `razar.db` from a backup"]);
    fs::write(&file, bytes).unwrap();
    let run = scene.run();
    scene.until_booted(2);
    assert_eq!(run.terminate().code, Some(0), "the restored file is as good as before");
}

#[test]
fn a_ledger_taken_away_under_a_running_host_is_said_once_and_nothing_else_ends() {
    let ways: [fn(&Scene); 2] = [
        |scene| fs::remove_file(scene.state().join("razar.db")).unwrap(),
        // Something may be written in it meanwhile.
        |scene| scene.until("it is gone", || fs::remove_dir_all(scene.state()).is_ok()),
    ];
    for take in ways {
        let scene = Scene::new();
        one(&scene);
        let run = scene.run();
        scene.until_booted(1);
        let good = scene.pid("good");
        let health = || scene.get(scene.port("metrics"), "/healthz").unwrap_or_default();
        scene.until("it is healthy", || health().starts_with("200"));
        take(&scene);
        scene.until("it is not healthy any more", || health().starts_with("503"));
        let said = health();
        assert!(said.contains("`razar.db` was removed, moved or replaced"), "{said}");
        assert!(said.contains("Put the state directory back in its place"), "{said}");
        assert!(alive(good), "the service goes on");
        let ended = run.interrupt();
        ended.complains(1, &["`razar.db` was removed", "is not remembered"]);
        assert_eq!(ended.err.matches("what happens is remembered nowhere else").count(), 1, "{}", ended.err);
        assert_eq!(scene.order("stop"), ["good"]);
        assert!(!alive(good));
    }
}

#[test]
fn a_state_directory_that_is_put_back_is_complete() {
    let scene = Scene::new();
    let patient = json!({ "restart": { "retries": 1000, "backoff": "50 ms", "backoff_max": "200 ms" } });
    scene.stack(&["all"], &[scene.web("good", patient)]);
    let run = scene.run();
    scene.until_booted(1);
    let health = || scene.get(scene.port("metrics"), "/healthz").unwrap_or_default();
    fs::rename(scene.state(), scene.path("away")).unwrap();
    scene.until("it is not healthy any more", || health().starts_with("503"));
    let first = scene.pid("good");
    scene.touch("good.crash");
    scene.until("it has crashed", || !alive(first));
    fs::rename(scene.path("away"), scene.state()).unwrap();
    scene.until("it is healthy again", || health().starts_with("200"));
    scene.until("it is started again", || scene.pids("good").len() == 2);
    assert_eq!(run.interrupt().code, Some(0));
    let state = scene.state().display().to_string();
    let told = scene.host(&["timeline", "--state", &state]);
    assert!(told.out.contains("exited with code 70"), "{}", told.out);
}

#[test]
fn a_file_that_is_no_ledger_is_not_touched() {
    let scene = Scene::new();
    one(&scene);
    let file = scene.state().join("razar.db");
    fs::write(&file, "the operator's own notes, by mistake under this name\n".repeat(100)).unwrap();
    let ended = scene.run().end();
    ended.complains(3, &["razar.db", "nothing was changed", "--state DIR"]);
    assert!(fs::read_to_string(&file).unwrap().starts_with("the operator's own notes"));
    assert!(scene.events().is_empty());
}

#[test]
fn a_state_directory_that_is_a_file_is_named() {
    let scene = Scene::bare();
    one(&scene);
    fs::write(scene.state(), "x").unwrap();
    let ended = scene.run().end();
    let state = scene.state().display().to_string();
    assert!(matches!(ended.code, Some(1..=3)), "{ended:?}");
    assert!(ended.err.contains(&state), "{}", ended.err);
    assert!(scene.events().is_empty());
}

#[test]
fn a_code_cache_that_others_may_write_is_refused_with_the_remedy() {
    let scene = Scene::new();
    one(&scene);
    let cache = scene.state().join("cache/plugins");
    fs::set_permissions(&cache, fs::Permissions::from_mode(0o777)).unwrap();
    let ended = scene.run().end();
    assert!(ended.err.contains("chmod 700") && ended.err.contains("cache/plugins"), "{}", ended.err);
    assert_ne!(ended.code, Some(0));
    fs::set_permissions(&cache, fs::Permissions::from_mode(0o700)).unwrap();
    let run = scene.run();
    scene.until_booted(1);
    assert_eq!(run.terminate().code, Some(0));
}

/// The command in a mount namespace of its own, in which the script has changed something first; as root, or as root of a
/// user namespace. None where neither may be had, and that is said.
pub(crate) fn after_mounting(scene: &Scene, inside: &Command, script: &str) -> Option<Command> {
    let may = |how: &str| {
        let tried = Command::new("unshare").args([how, "mount", "-t", "tmpfs", "tmpfs", "/mnt"]).output();
        tried.is_ok_and(|tried| tried.status.success())
    };
    let Some(how) = ["-m", "-rm"].into_iter().find(|how| may(how)) else {
        eprintln!(
            "NOT TESTED: nothing can be mounted here, neither as root nor in a user namespace (`unshare -rm`); the disk \
             that is full or read-only by other means is tested by `cargo test -p razar-tests --test crashes disk`"
        );
        return None;
    };
    let words: Vec<String> = std::iter::once(inside.get_program())
        .chain(inside.get_args())
        .map(|word| format!("'{}'", word.to_string_lossy()))
        .collect();
    let mut command = Command::new("unshare");
    command.args([how, "sh", "-c", &format!("{script} && exec {}", words.join(" "))]);
    command.current_dir(scene.path(""));
    for (name, value) in inside.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    Some(command)
}

/// A small file system on the state directory, with room for the compiled plugins and little more, seen by this command and what it starts.
fn on_a_small_disk(scene: &Scene) -> Option<Command> {
    let state = scene.state().display().to_string();
    let script = format!("mkdir -p '{state}' && mount -t tmpfs -o size=32m,mode=700 tmpfs '{state}'");
    after_mounting(scene, &scene.run_command(&[]), &script)
}

#[test]
fn a_state_directory_that_is_read_only_is_named_and_nothing_is_started() {
    let scene = Scene::new();
    one(&scene);
    let run = scene.run();
    scene.until_booted(1);
    assert_eq!(run.terminate().code, Some(0));
    let before = fs::read(scene.state().join("razar.db")).unwrap();
    let state = scene.state().display().to_string();
    let script = format!("mount --bind '{state}' '{state}' && mount -o remount,bind,ro '{state}'");
    let Some(mut command) = after_mounting(&scene, &scene.run_command(&[]), &script) else { return };
    let ended = scene.begin(&mut command).end();
    ended.complains(2, &["cannot use the state directory", "check its owner and mode", "`--state DIR`"]);
    // Looking needs no right to write.
    let state = ["--state", state.as_str()];
    for words in [&["status"][..], &["log", "verify"], &["timeline"]] {
        let words = [words, &state].concat();
        let mut look = after_mounting(&scene, &scene.command(&words), &script).expect("as before");
        let seen = scene.begin(&mut look).end();
        assert_eq!(seen.code, Some(0), "{words:?}: {}{}", seen.out, seen.err);
    }
    assert_eq!(scene.pids("good").len(), 1, "nothing was started");
    assert_eq!(fs::read(scene.state().join("razar.db")).unwrap(), before);
    // What a killed host leaves beside it cannot be left out.
    fs::write(scene.state().join("razar.db-wal"), "x").unwrap();
    let words = ["status", state[0], state[1]];
    let mut look = after_mounting(&scene, &scene.command(&words), &script).expect("as before");
    scene.begin(&mut look).end().complains(1, &["where nothing may be written", "copy it"]);
}

#[test]
fn on_a_full_disk_nothing_is_started_blindly_and_everything_goes_on_when_there_is_space() {
    let scene = Scene::bare();
    one(&scene);
    let Some(mut command) = on_a_small_disk(&scene) else { return };
    let run = scene.begin(&mut command);
    scene.until("it runs", || scene.order("start").len() == 1);
    let good = scene.pid("good");
    // The host's own view of its files: it has mounted something where this test sees a bare directory.
    let inside = std::path::PathBuf::from(format!("/proc/{}/root{}", run.pid(), scene.state().display()));
    let log = || fs::read_to_string(inside.join("logs/razar.log")).unwrap_or_default();
    scene.until("it is ready", || log().contains(r#""component": "good", "status": "success""#));
    assert_ne!(fs::metadata(&inside).unwrap().dev(), fs::metadata(scene.path("")).unwrap().dev());

    let filler = inside.join("filler");
    let full = std::io::copy(&mut std::io::repeat(0), &mut fs::File::create(&filler).unwrap());
    assert!(full.is_err(), "it is full now");
    scene.touch("good.crash");
    scene.until("it has crashed", || !alive(good));
    scene.until("the host says what is the matter", || {
        let complaints = run.complaints();
        complaints.contains("no space left") || complaints.contains("until facts can be recorded")
    });
    assert_eq!(scene.pids("good").len(), 1, "no start that is not on record");
    // Whoever asks is told at once, not after the patience of the client.
    let state = inside.display().to_string();
    let tell = |words: &[&str]| scene.host(&[words, &["--state", &state]].concat());
    for words in [&["restart", "good"][..], &["stop", "good"], &["stop"]] {
        tell(words).complains(1, &["holds every decision back", "is full; free space there", "say it again"]);
    }
    tell(&["status"]).complains(1, &["is full; free space there"]);
    let json = tell(&["restart", "good", "--output", "json"]);
    assert_eq!((json.code, json.json()[0]["level"].as_str()), (Some(1), Some("error")), "{}", json.err);
    fs::remove_file(&filler).unwrap();
    scene.until("it is started again", || scene.pids("good").len() == 2);
    scene.until("the files are complete again", || {
        log().contains("exited with code 70") && log().matches(r#""event": "recovery""#).count() == 1
    });
    scene.until("the host says that it is over", || run.complaints().contains("facts can be recorded again"));
    let ended = run.terminate();
    assert_eq!(ended.code, Some(0), "{}", scene.story());
    assert!(!alive(scene.pid("good")));
    for once in ["until facts can be recorded", "facts can be recorded again"] {
        assert_eq!(ended.err.matches(once).count(), 1, "{once}: {}", ended.err);
    }
}

#[test]
fn on_a_full_disk_ctrl_c_waits_and_a_second_one_leaves_the_services_running() {
    let scene = Scene::bare();
    one(&scene);
    let Some(mut command) = on_a_small_disk(&scene) else { return };
    let run = scene.begin(&mut command);
    scene.until("it runs", || scene.order("start").len() == 1);
    let state = format!("/proc/{}/root{}", run.pid(), scene.state().display());
    let inside = std::path::PathBuf::from(&state);
    let log = || fs::read_to_string(inside.join("logs/razar.log")).unwrap_or_default();
    scene.until("it is ready", || log().contains(r#""component": "good", "status": "success""#));
    let full = std::io::copy(&mut std::io::repeat(0), &mut fs::File::create(inside.join("filler")).unwrap());
    assert!(full.is_err(), "it is full now");
    // Small facts may find room where the filler did not.
    scene.until("nothing can be recorded", || {
        scene.host(&["restart", "good", "--state", &state]);
        run.complaints().contains("until facts can be recorded")
    });
    let (good, launcher) = (scene.pid("good"), scene.launcher().expect("a launcher"));
    process::send(run.pid(), Signal::INT);
    scene.until("it says what it waits for", || run.complaints().contains("a second Ctrl-C ends the host"));
    assert!(alive(run.pid()) && alive(good), "{}", scene.story());
    let ended = run.interrupt();
    ended.complains(1, &["the services go on", "razar-host run", "razar-host stop"]);
    assert!(ended.out.contains("left running after"), "{}", ended.out);
    assert!(alive(good), "nothing was stopped");

    // The launcher still sees the small disk; with space on it, what the host said holds.
    let state = scene.state().display().to_string();
    fs::remove_file(format!("/proc/{launcher}/root{state}/filler")).unwrap();
    let stop = scene.command(&["stop", "--state", &state]);
    let mut there = Command::new("nsenter");
    let user = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/user")).unwrap();
    if user("self") != user(&launcher.to_string()) {
        there.args(["-U", "--preserve-credentials"]);
    }
    there.args(["-t", &launcher.to_string(), "-m"]).arg(stop.get_program()).args(stop.get_args());
    let stopped = scene.begin(&mut there).end();
    assert_eq!(stopped.code, Some(0), "{}", stopped.err);
    assert!(stopped.err.contains("1 service of an earlier one was ended"), "{}", stopped.err);
    scene.until("it is gone", || !alive(good));
}
