//! A launcher that dies while it starts a service leaves a child that is not the service yet.

use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use razar_tests::process::{alive, kill, words};
use razar_tests::scene::Scene;
use serde_json::json;

#[test]
fn a_service_that_was_only_half_started_is_waited_for_and_not_started_twice() {
    let scene = Scene::new();
    scene.stack(&["all"], &[scene.web("good", json!({}))]);
    let run = scene.run();
    scene.until_booted(1);
    let (launcher, good) = (scene.launcher().unwrap(), scene.pid("good"));
    let called = words(launcher);
    let marker = scene.events()[0].marker.clone();
    let (env, component) = (scene.web("good", json!({}))["env"].clone(), scene.state().join("run"));
    run.kill();
    kill(launcher);
    kill(good);
    scene.until("nobody is left", || !alive(launcher) && !alive(good));
    // As if the launcher had not come further: no record, and its child is still called as it is. A script of that name
    // waits, and becomes the service.
    for entry in std::fs::read_dir(component).unwrap().flatten() {
        std::fs::remove_file(entry.path()).unwrap();
    }
    // Through other programs, as wrappers do: at any moment it may be between two of them.
    let line = format!("RAZAR_INSTANCE={marker} exec env env env env {} -S -E service.py", python());
    scene.write("launcher", &format!("sleep 1\n{line}\n"));
    let mut unborn = Command::new("sh");
    unborn.arg0(&called[0]).args(&called[1..]).current_dir(scene.path("")).process_group(0);
    for (name, value) in env.as_object().unwrap() {
        unborn.env(name, value.as_str().unwrap());
    }
    let mut unborn = unborn.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    scene.until("it is called like the launcher", || words(unborn.id()) == called);

    let next = scene.run();
    scene.until_logged("recovery", "good", "success", 1);
    scene.until_said(&format!("INFO Adopted good (pid {})", unborn.id()));
    scene.until("it is born", || scene.pids("good").len() == 2);
    assert_eq!(next.terminate().code, Some(0));
    assert_eq!(scene.pids("good"), [good, unborn.id()], "nobody else was started");
    unborn.wait().unwrap();
    assert!(scene.running().is_empty());
}

/// The interpreter itself: a shim in front of it may take longer than a service that had been ready is waited for.
fn python() -> String {
    let asked = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output().unwrap();
    String::from_utf8(asked.stdout).unwrap().trim().to_owned()
}
