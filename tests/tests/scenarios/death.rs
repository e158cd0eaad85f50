//! Hosts and launchers that are killed, and how stacks end. Whatever dies, no service is started twice and none is lost.

use razar_tests::process::{alive, kill};
use razar_tests::scene::Scene;
use serde_json::json;

fn pair(scene: &Scene) {
    scene.stack(
        &["base", "top"],
        &[scene.web("store", json!({ "layer": "base" })), scene.web("page", json!({ "layer": "top" }))],
    );
}

#[test]
fn services_outlive_a_killed_host_and_the_next_one_adopts_them() {
    let scene = Scene::new();
    pair(&scene);
    let run = scene.run();
    scene.until_booted(1);
    let (store, page) = (scene.pid("store"), scene.pid("page"));
    run.kill();
    assert!(alive(store) && alive(page), "nobody told them to end");

    let next = scene.run();
    scene.until_logged("recovery", "store", "success", 1);
    scene.until_logged("recovery", "page", "success", 1);
    scene.until_said(&format!("INFO Adopted store (pid {store})"));
    // It is a full host of theirs: what it adopted it watches.
    scene.touch("page.crash");
    scene.until_logged("recovery", "page", "success", 2);
    assert_ne!(scene.pid("page"), page);
    assert_eq!(next.terminate().code, Some(0));
    assert_eq!(scene.pids("store"), [store], "started once");
    assert_eq!(scene.pids("page").len(), 2);
    assert_eq!(scene.order("stop"), ["page", "store"], "reverse order, also of what was adopted");
    assert!(scene.running().is_empty());
}

#[test]
fn the_summary_after_an_adoption_rests_on_what_is_remembered() {
    let scene = Scene::new();
    scene.stack(
        &["all"],
        &[scene.web("weak", json!({ "restart": { "retries": 0 } })), scene.web("good", json!({}))],
    );
    let run = scene.run();
    scene.until_booted(1);
    scene.touch("weak.crash");
    scene.until_logged("quarantine", "weak", "quarantined", 1);
    run.kill();
    let next = scene.run();
    scene.until_logged("recovery", "good", "success", 1);
    let ended = next.terminate();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let summary = ended.out.split("everything has stopped").last().unwrap();
    for said in [
        "boot 1: stopped after ",
        ", booted in ",
        "; 1 of 2 components had been ready",
        "quarantined  weak [logic]",
        "hint: Inspect the stack trace",
    ] {
        assert!(summary.contains(said), "`{said}` is not in: {summary}");
    }
}

#[test]
fn a_service_that_died_while_no_host_was_there_is_started_again() {
    let scene = Scene::new();
    pair(&scene);
    let run = scene.run();
    scene.until_booted(1);
    let store = scene.pid("store");
    run.kill();
    let page = scene.pid("page");
    kill(page);
    scene.until("it is gone", || !alive(page));
    let next = scene.run();
    scene.until_logged("recovery", "page", "success", 1);
    assert_eq!(scene.pids("page").len(), 2);
    assert_eq!(scene.pids("store"), [store]);
    let failed = scene.logged("error", "page", "fail");
    assert!(failed[0]["details"].as_str().unwrap().contains("signal 9"), "{failed:?}");
    assert_eq!(next.terminate().code, Some(0));
}

#[test]
fn a_host_killed_in_the_middle_of_a_boot_is_continued_by_the_next() {
    let scene = Scene::new();
    scene.stack(
        &["base", "middle", "top"],
        &[
            scene.web("first", json!({ "layer": "base" })),
            scene.web("second", json!({ "layer": "middle", "env": { "BEHAVIOR": "gated" } })),
            scene.web("third", json!({ "layer": "top" })),
        ],
    );
    let run = scene.run();
    scene.until("the second runs and is not ready", || scene.order("start").len() == 2);
    run.kill();
    let next = scene.run();
    scene.until_logged("recovery", "first", "success", 1);
    scene.touch("second.open");
    scene.until_booted(1);
    assert_eq!(scene.order("start"), ["first", "second", "third"], "nothing twice, in order");
    scene.until_said("Boot 1 taken over by razar-host");
    assert_eq!(next.terminate().code, Some(0));
}

#[test]
fn a_process_adopted_while_it_starts_keeps_its_deadline() {
    let scene = Scene::new();
    let mut slow = scene.web("slow", json!({ "restart": { "retries": 0, "backoff": "10 ms" } }));
    slow["env"]["BEHAVIOR"] = json!("gated");
    slow["health"]["deadline"] = json!("10 min");
    scene.stack(&["all"], &[slow]);
    let run = scene.run();
    scene.until("it has begun", || scene.order("start").len() == 1);
    let slow = scene.pid("slow");
    let state = scene.state().display().to_string();
    scene.until("the host has it on record", || {
        let status = scene.host(&["status", "--output", "json", "--state", &state]).json();
        status.iter().any(|status| status["components"][0]["pid"] == slow)
    });
    run.kill();
    let begun = std::time::Instant::now();
    scene.until("time passes", || begun.elapsed().as_millis() > 2_500);

    // Its deadline has not passed, and the time without a host counts.
    let second = scene.run();
    scene.until_said(&format!("INFO Adopted slow (pid {slow})"));
    scene.touch("slow.open");
    scene.until_booted(1);
    second.kill();
    let file = scene.file("logs/razar.log");
    let took = file
        .lines()
        .find_map(|line| line.split_once("ready after ")?.1.split(' ').next()?.parse::<u64>().ok());
    assert!(took.is_some_and(|took| took > 2_000), "the time since its launch counts: {file}");
    assert_eq!(scene.pids("slow"), [slow]);
    let third = scene.run();
    scene.until_logged("recovery", "slow", "success", 1);
    assert_eq!(third.terminate().code, Some(0));
}

#[test]
fn a_deadline_that_passed_while_no_host_was_there_is_judged_by_the_next() {
    let scene = Scene::new();
    let mut late = scene.web("late", json!({ "restart": { "retries": 0, "backoff": "10 ms" } }));
    late["env"]["BEHAVIOR"] = json!("never");
    late["health"]["deadline"] = json!("40 s");
    late["health"]["timeout"] = json!("1 s");
    scene.stack(&["all"], &[late.clone()]);
    let run = scene.run();
    scene.until("it has begun", || scene.order("start").len() == 1);
    let pid = scene.pid("late");
    // Also when the host dies before it knows that its start was done.
    run.kill();
    let begun = std::time::Instant::now();
    scene.until("time passes", || begun.elapsed().as_millis() > 1_200);
    // The next host is told to be less patient: more than that has passed already.
    late["health"]["deadline"] = json!("1 s");
    scene.stack(&["all"], &[late]);
    let next = scene.run();
    scene.until_logged("quarantine", "late", "quarantined", 1);
    assert_eq!(next.terminate().code, Some(0));
    assert!(!alive(pid));
    assert_eq!(scene.pids("late"), [pid], "it was not started a second time");
    let error = scene.json("quarantine/late.json")["error"].as_str().unwrap().to_owned();
    assert!(error.contains("not ready within 1000 ms") && error.contains("503"), "it was asked: {error}");
}

#[test]
fn hosts_killed_again_and_again_start_nothing_twice() {
    let scene = Scene::new();
    let names: Vec<String> = (0..6).map(|number| format!("s{number}")).collect();
    let components: Vec<_> = names
        .iter()
        .enumerate()
        .map(|(at, name)| {
            let before: Vec<&String> = names.iter().take(at).skip(at.saturating_sub(1)).collect();
            scene.web(name, json!({ "depends_on": before }))
        })
        .collect();
    scene.stack(&["all"], &components);
    // Each host is killed at another point of the boot: when so many have begun.
    for begun in 1..=5 {
        let run = scene.run();
        scene.until("some have begun", || scene.order("start").len() >= begun);
        run.kill();
    }
    let run = scene.run();
    scene.until_booted(1);
    let mut started = scene.order("start");
    started.sort();
    assert_eq!(started, names, "each exactly once");
    assert_eq!(run.terminate().code, Some(0));
    assert!(scene.running().is_empty());
}

#[test]
fn a_killed_launcher_is_replaced_and_its_services_are_found_again() {
    let scene = Scene::new();
    pair(&scene);
    let run = scene.run();
    scene.until_booted(1);
    let (store, page, launcher) = (scene.pid("store"), scene.pid("page"), scene.launcher().unwrap());
    kill(launcher);
    scene.until("another launcher", || scene.launcher().is_some_and(|pid| pid != launcher));
    scene.until_logged("recovery", "store", "success", 1);
    scene.until_logged("recovery", "page", "success", 1);
    assert!(alive(store) && alive(page));
    // Ends of processes that are not its children are noticed as well.
    scene.touch("page.crash");
    scene.until("page is started again", || scene.pids("page").len() == 2);
    assert_eq!(scene.pids("store"), [store]);
    assert_eq!(run.terminate().code, Some(0));
    assert!(scene.running().is_empty());
}

#[test]
fn host_and_launcher_both_killed_lose_nothing() {
    let scene = Scene::new();
    pair(&scene);
    let run = scene.run();
    scene.until_booted(1);
    let launcher = scene.launcher().unwrap();
    run.kill();
    kill(launcher);
    scene.until("the launcher is gone", || !alive(launcher));
    let (store, page) = (scene.pid("store"), scene.pid("page"));
    assert!(alive(store) && alive(page));
    let next = scene.run();
    scene.until_logged("recovery", "page", "success", 1);
    assert_eq!(next.interrupt().code, Some(0));
    assert_eq!(scene.order("start").len(), 2, "nothing twice");
    assert!(!alive(store) && !alive(page));
}

#[test]
fn a_second_host_on_the_same_state_directory_is_refused() {
    let scene = Scene::new();
    pair(&scene);
    let run = scene.run();
    scene.until_booted(1);
    let second = scene.run().end();
    let pid = run.pid().to_string();
    second.complains(2, &["is in use by another host", &pid, "`--state DIR`"]);
    assert_eq!(scene.order("start").len(), 2);
    assert!(alive(scene.pid("store")));
    assert_eq!(run.terminate().code, Some(0));
}

#[test]
fn a_changed_configuration_replaces_only_what_changed() {
    let scene = Scene::new();
    let store = scene.web("store", json!({}));
    scene.stack(&["all"], &[store.clone(), scene.web("page", json!({})), scene.web("retired", json!({}))]);
    let run = scene.run();
    scene.until_booted(1);
    let (kept, retired, replaced) = (scene.pid("store"), scene.pid("retired"), scene.pid("page"));
    run.kill();

    scene.stack(
        &["all"],
        &[store, scene.web("page", json!({ "env": { "NEW": "1" } })), scene.web("added", json!({}))],
    );
    let next = scene.run();
    scene.until("the added one and the new page have begun", || {
        scene.pids("added").len() == 1 && scene.pids("page").len() == 2
    });
    scene.until("what is no longer named has been ended", || !alive(retired) && !alive(replaced));
    assert_eq!(scene.pids("store"), [kept]);
    assert!(alive(kept));
    assert_eq!(next.terminate().code, Some(0));
    assert_eq!(scene.order("start").len(), 5);
    assert!(scene.running().is_empty());
}

#[test]
fn stopping_in_the_middle_of_a_boot_ends_what_was_begun() {
    let scene = Scene::new();
    scene.stack(
        &["base", "top"],
        &[
            scene.web("slow", json!({ "layer": "base", "env": { "BEHAVIOR": "gated" } })),
            scene.web("page", json!({ "layer": "top" })),
        ],
    );
    let run = scene.run();
    scene.until("it has begun", || scene.order("start").len() == 1);
    assert_eq!(run.interrupt().code, Some(0));
    assert_eq!(scene.order("stop"), ["slow"]);
    assert!(scene.running().is_empty());
}
