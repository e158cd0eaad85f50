//! A launcher that does not answer, or is not there, while it is asked for something. Nobody knows then what was done, so
//! the host looks; it neither repeats nor gives up.

use std::fs::OpenOptions;

use razar_tests::process::{alive, kill, send};
use razar_tests::scene::{Run, Scene};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::load::ask;

fn one_that_is_stopped(scene: &Scene) -> Run<'_> {
    // One failure would take it out.
    let fragile = json!({ "restart": { "retries": 0 } });
    scene.stack(&["all"], &[scene.web("good", json!({})), scene.web("idle", fragile)]);
    let run = scene.run();
    scene.until_booted(1);
    assert_eq!(tell(scene, "stop"), json!({ "kind": "done" }));
    let idle = scene.pid("idle");
    scene.until("it has stopped", || !alive(idle) && !recorded(scene));
    run
}

fn recorded(scene: &Scene) -> bool {
    let run = std::fs::read_dir(scene.state().join("run")).unwrap().flatten();
    run.into_iter().any(|entry| entry.file_name().to_str().unwrap().starts_with("idle."))
}

fn tell(scene: &Scene, kind: &str) -> Value {
    ask(&scene.state(), &json!({ "kind": kind, "component": "idle" })).expect("the host answers")
}

fn started_once(scene: &Scene, run: Run<'_>) {
    scene.until("it runs, and is ready", || {
        let status = ask(&scene.state(), &json!({ "kind": "status" })).unwrap_or_default();
        let all = status["status"]["components"].as_array().cloned().unwrap_or_default();
        all.iter().any(|one| one["component"] == "idle" && one["state"] == "ready")
    });
    assert_eq!(scene.pids("idle").len(), 2, "{}", scene.story());
    assert!(scene.logged("error", "idle", "fail").is_empty(), "{}", scene.story());
    assert!(!scene.file("logs/launcher.log").contains("not started"), "{}", scene.story());
    assert_eq!(run.terminate().code, Some(0));
    assert!(scene.running().is_empty());
}

#[test]
fn what_a_dead_launcher_was_asked_for_is_not_asked_of_the_next_one() {
    let scene = Scene::new();
    let run = one_that_is_stopped(&scene);
    // No launcher can begin while somebody else has the lock.
    let lock = OpenOptions::new().append(true).open(scene.state().join("launcher.lock")).unwrap();
    send(run.pid(), Signal::STOP);
    kill(scene.launcher().expect("a launcher"));
    scene.until("the lock is free", || lock.try_lock().is_ok());
    send(run.pid(), Signal::CONT);
    assert_eq!(tell(&scene, "start"), json!({ "kind": "done" }));
    let begun = std::time::Instant::now();
    scene.until("it has been asked for", || begun.elapsed().as_millis() > 300);
    drop(lock);
    started_once(&scene, run);
}

#[test]
fn a_launcher_that_is_silent_for_long_is_asked_again_what_runs() {
    let scene = Scene::new();
    let run = one_that_is_stopped(&scene);
    let launcher = scene.launcher().expect("a launcher");
    send(launcher, Signal::STOP);
    assert_eq!(tell(&scene, "start"), json!({ "kind": "done" }));
    scene.until("the host says what it does", || run.complaints().contains("looking what runs"));
    send(launcher, Signal::CONT);
    started_once(&scene, run);
}
