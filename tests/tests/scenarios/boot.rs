//! What starts when, what is given up, and what operators find written about it.

use razar_tests::process::{self, alive, halted, send};
use razar_tests::scene::{Run, Scene};
use razar_tests::wait;
use rustix::process::Signal;
use serde_json::{Value, json};

fn position(order: &[String], name: &str) -> usize {
    order.iter().position(|known| known == name).unwrap_or_else(|| panic!("{name} is not in {order:?}"))
}

#[test]
fn layers_and_dependencies_decide_the_order_and_a_layer_starts_together() {
    let scene = Scene::new();
    let gated = |name: &str, more: Value| {
        let mut component = scene.web(name, more);
        component["env"]["BEHAVIOR"] = json!("gated");
        component
    };
    scene.stack(
        &["base", "top"],
        &[
            scene.web("page", json!({ "layer": "top" })),
            gated("left", json!({ "layer": "base" })),
            gated("right", json!({ "layer": "base" })),
            scene.web("after-left", json!({ "layer": "base", "depends_on": ["left"] })),
        ],
    );
    let run = scene.run();
    // Both have been started although neither is ready: nobody waits for his neighbor.
    scene.until("left and right are started", || scene.order("start").len() == 2);
    scene.touch("left.open");
    scene.until("what depends on left is started", || scene.order("start").len() == 3);
    assert_eq!(position(&scene.order("start"), "after-left"), 2, "the next layer waits for the whole layer");
    scene.touch("right.open");
    scene.until_booted(1);
    assert_eq!(position(&scene.order("start"), "page"), 3);

    let ended = run.interrupt();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let stops = scene.order("stop");
    assert_eq!(position(&stops, "page"), 0, "reverse order: {stops:?}");
    assert!(position(&stops, "after-left") < position(&stops, "left"), "{stops:?}");
    assert!(scene.running().is_empty());
}

#[test]
fn who_is_told_to_stop_while_plugins_are_prepared_begins_nothing() {
    for (signal, by) in [(Signal::INT, "Ctrl-C"), (Signal::TERM, "SIGTERM")] {
        let scene = Scene::bare();
        scene.stack(&["all"], &[scene.web("one", json!({}))]);
        let run = scene.run();
        // Nothing is compiled yet, and with this one nothing ever will be.
        let compiler = held_compiler(&run);
        send(run.pid(), signal);
        run.end().complains(0, &[by, "nothing was started"]);
        assert!(scene.launcher().is_none() && scene.events().is_empty(), "{}", scene.story());
        assert!(!scene.state().join("razar.db").exists(), "no boot was begun");
        scene.until("the compiler is gone", || !alive(compiler));
    }
}

/// A compiler of this host, stopped before it has ended.
fn held_compiler(run: &Run<'_>) -> u32 {
    let is_ours = |pid: &u32| {
        process::words(*pid).get(1).is_some_and(|word| word == "compile-plugin")
            && process::parent(*pid).and_then(process::parent) == Some(run.pid())
    };
    let held = wait::first(|| {
        let compilers: Vec<u32> = process::all().into_iter().filter(is_ours).collect();
        // One that ended meanwhile is followed by the next plugin's.
        compilers.iter().for_each(|pid| send(*pid, Signal::STOP));
        compilers.into_iter().find(|pid| halted(*pid))
    });
    held.unwrap_or_else(|| panic!("no plugin is compiled\n{}{}", run.printed(), run.complaints()))
}

#[test]
fn a_slow_one_is_waited_for_and_one_that_fails_at_first_gets_a_second_launch() {
    let scene = Scene::new();
    scene.stack(
        &["base", "top"],
        &[
            scene.web("slow", json!({ "layer": "base", "env": { "READY_AFTER": "2" } })),
            scene.web(
                "second",
                json!({
                    "layer": "base",
                    "env": { "HEALTHY_FROM_START": "2" },
                    "health": { "address": scene.url("second"), "interval": "50 ms", "deadline": "2 s" },
                }),
            ),
            scene.web("page", json!({ "layer": "top" })),
        ],
    );
    let run = scene.run();
    scene.until_booted(1);
    assert_eq!(scene.pids("slow").len(), 1, "the wait is no failure");
    assert_eq!(scene.pids("second").len(), 2);
    assert_eq!(scene.order("start").last().map(String::as_str), Some("page"), "it waited for both");
    let failed = scene.logged("error", "second", "fail");
    assert_eq!(failed.len(), 1);
    let details = failed[0]["details"].as_str().unwrap();
    assert!(details.contains("not ready within 2000 ms") && details.contains("503"), "{details}");
    assert_eq!(scene.logged("recovery", "second", "success").len(), 1);
    assert_eq!(run.terminate().code, Some(0));

    let history = scene.json("logs/razar_boot_history.json");
    let newest = &history["history"][0];
    assert_eq!(newest["component_total"], 3);
    assert_eq!(newest["component_successes"], 3);
    assert_eq!(newest["retry_total"], 1);
    assert!(newest["total_time"].as_f64().unwrap() >= 2.0, "{newest}");
    let second = newest["components"].as_array().unwrap().iter().find(|c| c["name"] == "second").unwrap();
    assert_eq!(second["attempts"], 2);
}

#[test]
fn a_crash_after_the_boot_is_relaunched_and_others_do_not_notice() {
    let scene = Scene::new();
    scene.stack(&["all"], &[scene.web("crasher", json!({})), scene.web("other", json!({}))]);
    let run = scene.run();
    scene.until_booted(1);
    let (first, other) = (scene.pid("crasher"), scene.pid("other"));
    scene.touch("crasher.crash");
    scene.until_logged("recovery", "crasher", "success", 1);
    assert_ne!(scene.pid("crasher"), first);
    let failed = scene.logged("error", "crasher", "fail");
    let details = failed[0]["details"].as_str().unwrap();
    assert!(details.contains("exited with code 70"), "{details}");
    assert!(details.contains("lost the upstream connection"), "its last words are told: {details}");
    assert_eq!(scene.pids("other"), [other]);
    assert_eq!(run.terminate().code, Some(0));
}

#[test]
fn an_optional_one_that_never_gets_well_is_quarantined_and_the_rest_runs() {
    let scene = Scene::new();
    let health = json!({ "address": scene.url("never"), "interval": "50 ms", "deadline": "2 s" });
    scene.stack(
        &["base", "top"],
        &[
            scene.web("good", json!({ "layer": "base" })),
            scene.web(
                "never",
                json!({
                    "layer": "base",
                    "env": { "BEHAVIOR": "never" },
                    "health": health,
                    "restart": { "retries": 1, "backoff": "50 ms" },
                }),
            ),
            scene.web("needs-it", json!({ "layer": "top", "depends_on": ["never"] })),
            scene.web("page", json!({ "layer": "top" })),
        ],
    );
    scene.write("brief.json", r#"{ "priority_map": { "good": 0 }, "open_issues": ["x"] }"#);
    let run = scene.run_with(&["--mission", "first light", "--brief", "brief.json"]);
    scene.until_logged("start", "system", "partial", 1);
    assert_eq!(scene.logged("error", "never", "fail").len(), 2, "one launch and one retry");
    assert!(scene.pids("needs-it").is_empty(), "what it needs is not there");
    assert!(alive(scene.pid("good")) && alive(scene.pid("page")) && !alive(scene.pid("never")));

    // Files for operators may be a moment behind; once the host has ended they are complete.
    assert_eq!(run.terminate().code, Some(0));
    let file = scene.json("quarantine/never.json");
    assert_eq!(file["id"], "never");
    assert_eq!(file["attempts"], 2);
    assert!(file["error"].as_str().unwrap().contains("not ready within 2000 ms"), "{file}");
    assert!(file["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "{file}");
    let row = scene.file("docs/quarantine_log.md");
    assert!(row.lines().any(|line| line.contains("| never |")), "{row}");
    let state = scene.json("logs/razar_state.json");
    assert_eq!(state["quarantine"], json!(["never"]));
    assert_eq!(state["mission"], "first light");
    assert!(state["history"].as_array().unwrap().contains(&json!("page")), "{state}");
    let log = scene.file("logs/boot_orchestrator.log");
    for line in [
        "INFO Launching good",
        "INFO good started successfully",
        "ERROR Health check failed for never",
        "ERROR Component never quarantined",
        "INFO All components launched",
    ] {
        assert!(log.contains(line), "`{line}` is not in:\n{log}");
    }
    let metrics = scene.file("monitoring/boot_metrics.prom");
    assert!(metrics.contains("\nrazar_boot_component_total 4\n"), "also what was never launched: {metrics}");
    assert!(metrics.contains("\nrazar_boot_component_success_total 2\n"), "{metrics}");
    let briefs = std::fs::read_dir(scene.state().join("logs/mission_briefs")).unwrap().flatten();
    let archived: Vec<String> = briefs.map(|brief| std::fs::read_to_string(brief.path()).unwrap()).collect();
    assert!(archived.iter().any(|brief| brief.contains("priority_map")), "{archived:?}");

    // Quarantine outlives the host.
    let again = scene.run();
    scene.until_logged("start", "system", "partial", 2);
    assert_eq!(scene.logged("error", "never", "fail").len(), 2, "it is not launched again");
    scene.until_said("Skipping quarantined component never");
    assert_eq!(again.terminate().code, Some(0));
}

#[test]
fn one_that_failed_in_several_boots_is_not_even_tried_any_more() {
    let scene = Scene::new();
    let weak = json!({ "restart": { "retries": 0, "backoff": "10 ms" } });
    scene.stack(&["all"], &[scene.web("weak", weak), scene.web("good", json!({}))]);
    let state = scene.state().display().to_string();
    let release = || {
        let released = scene.host(&["quarantine", "release", "weak", "--state", &state]);
        assert_eq!(released.code, Some(0), "{}", released.err);
    };
    for boot in 1..=2 {
        let run = scene.run_with(&["--failure-limit", "2"]);
        if boot > 1 {
            scene.until_said("Skipping quarantined component weak");
            release();
        }
        scene.until_logged("start", "good", "success", boot);
        scene.until("it is started", || scene.pids("weak").len() == boot);
        scene.touch("weak.crash");
        scene.until_logged("quarantine", "weak", "quarantined", boot);
        if boot == 2 {
            release();
            scene.until("it is started once more", || scene.pids("weak").len() == 3);
        }
        assert_eq!(run.terminate().code, Some(0));
    }
    let run = scene.run_with(&["--failure-limit", "2"]);
    scene.until_said("Component weak exceeded failure limit; quarantining");
    scene.until_logged("start", "good", "success", 3);
    assert_eq!(scene.pids("weak").len(), 3, "it is not even tried");
    assert!(alive(scene.pid("good")), "the rest runs");
    assert_eq!(run.terminate().code, Some(0));
    assert_eq!(scene.json("quarantine/weak.json")["reason"], "Exceeded failure limit");

    // An operator has the last word, and a higher limit lets it in.
    let run = scene.run_with(&["--failure-limit", "9"]);
    scene.until_logged("start", "good", "success", 4);
    release();
    scene.until("it is started again", || scene.pids("weak").len() == 4);
    assert_eq!(run.terminate().code, Some(0));
}

#[test]
fn a_vital_one_that_fails_halts_the_boot_and_stops_everything() {
    let scene = Scene::new();
    scene.stack(
        &["base", "top"],
        &[
            scene.web("good", json!({ "layer": "base" })),
            scene.web(
                "heart",
                json!({
                    "layer": "base",
                    "vital": true,
                    "depends_on": ["good"],
                    "env": { "BEHAVIOR": "never" },
                    "health": { "address": scene.url("heart"), "interval": "50 ms", "deadline": "300 ms" },
                    "restart": { "retries": 1, "backoff": "50 ms" },
                }),
            ),
            scene.web("page", json!({ "layer": "top" })),
        ],
    );
    let ended = scene.run().end();
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    assert!(scene.pids("page").is_empty());
    assert!(scene.order("stop").contains(&"good".to_owned()), "it was asked to stop");
    assert!(scene.running().is_empty());
    let log = scene.file("logs/boot_orchestrator.log");
    assert!(log.contains("ERROR Boot sequence halted: heart: vital component `heart` failed"), "{log}");
    assert_eq!(scene.json("logs/razar_state.json")["quarantine"], json!(["heart"]));
}

#[test]
fn one_whose_health_alternates_is_named_as_flapping_and_left_alone() {
    let scene = Scene::new();
    let asked = json!({ "address": scene.url("flapper"), "interval": "20 ms", "failures": 3 });
    scene.stack(
        &["all"],
        &[scene.web(
            "flapper",
            json!({
                "env": { "BEHAVIOR": "flap" },
                "health": null,
                "probes": { "startup": asked, "readiness": asked },
            }),
        )],
    );
    let run = scene.run();
    scene.until_logged("health", "flapper", "flapping", 1);
    scene.until_said("WARNING flapper is flapping (");
    assert_eq!(scene.pids("flapper").len(), 1, "nobody restarts it for that");
    assert_eq!(run.terminate().code, Some(0));
}
