//! Configurations that do not hold. Everything wrong is said at once, with file, place and remedy; nothing is started.

use razar_tests::artifact;
use razar_tests::scene::{Ended, Scene};
use serde_json::json;

fn check(scene: &Scene, output: &str) -> Ended {
    let plugins = artifact::plugins().display().to_string();
    scene.host(&["check", "--config", "boot_config.json", "--plugins", &plugins, "--output", output])
}

const MANY: &str = r#"{
  "layers": ["base"],
  "components": [
    { "id": "bare", "entrypoint": "sleep 60" },
    { "id": "typo", "entrypoint": "sleep 60", "health": {
        "address": "http://127.0.0.1:1/", "settings": { "contians": "x" } } },
    { "id": "odd", "entrypoint": "sleep 60", "helath": "process", "layer": "roof" },
    { "id": "a", "entrypoint": "sleep 60", "health": "process", "depends_on": ["b"] },
    { "id": "b", "entrypoint": "sleep 60", "health": "process", "depends_on": ["a"] },
    { "id": "who", "entrypoint": "sleep 60", "health": { "probe": "probe-htpp", "address": "http://127.0.0.1:1/" } }
  ]
}"#;

#[test]
fn check_lists_every_problem_with_file_place_and_remedy_and_ends_with_2() {
    let scene = Scene::new();
    scene.write("boot_config.json", MANY);
    let expected = [
        ("components[0]", "Component bare lacks a health probe"),
        ("components[1].health.settings", "contians"),
        ("components[2].helath", "did you mean `health`?"),
        ("components[2].layer", "roof"),
        ("components", "`a`"),
        ("components[5].health", "did you mean `probe-http`?"),
    ];
    let ended = check(&scene, "plain");
    assert_eq!(ended.code, Some(2), "{}", ended.err);
    for (place, text) in expected {
        let found = ended.err.lines().any(|line| line.contains(place) && line.contains(text))
            || ended.err.contains(place) && ended.err.contains(text);
        assert!(found, "`{place}` and `{text}` are not in:\n{}", ended.err);
    }
    assert!(ended.err.contains("boot_config.json"));
    assert!(ended.err.contains("nothing was started"), "{}", ended.err);

    let json = check(&scene, "json");
    assert_eq!(json.code, Some(2));
    let mut lines = json.json();
    let sum = lines.pop().unwrap();
    assert_eq!(sum["problems"], lines.len(), "{sum}");
    assert_eq!(sum["components"], 6, "counted, whatever is wrong with them");
    assert!(lines.iter().all(|line| line["level"] == "error"), "{lines:?}");
    assert!(lines.len() >= expected.len());
    for problem in &lines {
        assert_eq!(problem["file"], "boot_config.json");
        assert!(problem["place"].is_string() && problem["message"].is_string(), "{problem}");
    }

    let run = scene.run().end();
    assert_eq!(run.code, Some(2), "`run` says the same");
    assert!(run.err.contains("lacks a health probe") && run.err.contains("contians"), "{}", run.err);
    assert!(scene.launcher().is_none() && scene.running().is_empty());
}

#[test]
fn a_configuration_that_holds_is_0_and_says_what_it_has() {
    let scene = Scene::new();
    scene.stack(&["all"], &[scene.web("one", json!({})), scene.web("two", json!({}))]);
    let plain = check(&scene, "plain");
    assert_eq!(
        (plain.code, plain.out.trim()),
        (Some(0), "2 components and 5 plugins are in order"),
        "{}",
        plain.err
    );
    let json = check(&scene, "json").json();
    assert_eq!(json, [json!({ "components": 2, "plugins": 5, "problems": 0, "warnings": 0 })]);
    assert!(scene.events().is_empty(), "nothing is started");
}

#[test]
fn files_that_are_no_configuration_are_told_apart() {
    let scene = Scene::new();
    let long = format!("{{\"mission\": \"{}\"}}", "x".repeat(5 << 20));
    for (content, text) in [
        (r#"{ "components": [ "#, "is not JSON"),
        ("", "is not JSON"),
        ("[]", "must be an object"),
        (r#"{ "components": [] }"#, "there is no component to boot"),
        (long.as_str(), "bytes"),
    ] {
        scene.write("boot_config.json", content);
        check(&scene, "plain").complains(2, &["boot_config.json", text]);
    }
    std::fs::remove_file(scene.path("boot_config.json")).unwrap();
    check(&scene, "plain").complains(2, &["boot_config.json", "cannot be read", "--config FILE"]);
    std::fs::create_dir(scene.path("boot_config.json")).unwrap();
    check(&scene, "plain").complains(2, &["boot_config.json", "cannot be read"]);
}

#[test]
fn a_brief_that_is_none_and_a_missing_plugin_directory_end_with_2() {
    let scene = Scene::new();
    scene.stack(&["all"], &[json!({ "id": "one", "entrypoint": "sleep 60", "health": "process" })]);
    scene.write("brief.json", "[1");
    scene.run_with(&["--brief", "brief.json"]).end().complains(2, &["brief.json", "is not JSON"]);
    scene.run_with(&["--brief", "absent.json"]).end().complains(2, &["absent.json", "cannot be read"]);
    scene
        .run_with(&["--plugins", "nowhere"])
        .end()
        .complains(2, &["nowhere", "cannot read the plugin directory", "cargo xtask plugins"]);
    scene.run_with(&["--log", "info,what=ever=x"]).end().complains(2, &["`what=ever=x` in `--log`"]);
    assert!(scene.launcher().is_none());
}

#[test]
fn grants_that_cannot_be_read_are_named_by_line() {
    let scene = Scene::new();
    scene.stack(&["all"], &[json!({ "id": "one", "entrypoint": "sleep 60", "health": "process" })]);
    scene.write("grants.toml", "[probe-http]\nhtpp = []\n");
    scene
        .run_with(&["--grants", "grants.toml"])
        .end()
        .complains(2, &["grants.toml", "htpp", "did you mean `http`?"]);
    scene.write("grants.toml", "[probe-http\n");
    scene.run_with(&["--grants", "grants.toml"]).end().complains(2, &["grants.toml", "line 1"]);
}

#[test]
fn what_follows_from_a_plugin_that_is_refused_is_not_said_again() {
    let scene = Scene::new();
    let probe = json!({ "health": { "probe": "probe-mine", "address": scene.url("one") } });
    let mut component = scene.web("one", probe);
    component["repair"] = json!({ "agents": ["agent-mine"], "evaluators": ["evaluator-mine"] });
    scene.stack(&["all"], &[component]);
    for name in ["probe-mine", "agent-mine", "evaluator-mine"] {
        scene.write(&format!("mine/{name}/plugin.toml"), &format!("name = \"{name}\"\nversoin = \"1\"\n"));
    }
    let plugins = artifact::plugins().display().to_string();
    let words = [
        "check",
        "--config",
        "boot_config.json",
        "--plugins",
        "mine",
        "--plugins",
        &plugins,
        "--grants",
        "grants.toml",
    ];
    scene.write("grants.toml", "[agent-mine]\n");
    let ended = scene.host(&words);
    ended.complains(2, &["did you mean `version`?", "3 problems; nothing was started"]);
    assert_eq!(ended.err.matches("error: ").count(), 4, "{}", ended.err);
    assert!(!ended.err.contains("warning: ") && !ended.err.contains("there is no"), "{}", ended.err);
    // And grants that cannot be read are not also missing.
    scene.write("grants.toml", "workspace = true\n[agent-openai]\nconfig = { model = \"m\" }\n");
    scene.stack(&["all"], &[scene.web("one", json!({ "repair": { "agents": ["agent-openai"] } }))]);
    let ended = scene.host(&[
        "check",
        "--config",
        "boot_config.json",
        "--plugins",
        &plugins,
        "--grants",
        "grants.toml",
    ]);
    ended.complains(
        2,
        &[
            "grants.toml: workspace (line 1, column 13): `workspace` belongs to no plugin",
            "`[agent-k2]`, and in the next line `workspace = true`",
            "1 problem; nothing was started",
        ],
    );
    assert!(!ended.err.contains("warning: "), "{}", ended.err);
}

#[test]
fn settings_in_grants_are_checked_like_those_of_probes() {
    let scene = Scene::new();
    scene.stack(&["all"], &[json!({ "id": "one", "entrypoint": "sleep 60", "health": "process" })]);
    let plugins = artifact::plugins().display().to_string();
    let words = ["check", "--config", "boot_config.json", "--plugins", &plugins, "--grants", "grants.toml"];
    let url = "http://127.0.0.1:1/v1/chat/completions";
    for (settings, code, said) in [
        (r#"{ "retries": 1 }"#, 0, ""),
        (r#"{ "retries": 9 }"#, 2, "grants.toml: [agent-openai] config.settings/retries: 9 is greater than"),
        (r#"{ "retreis": 1 }"#, 2, "grants.toml: [agent-openai] config.settings: "),
        ("retries", 2, "config.settings: is not JSON"),
    ] {
        scene.write(
            "grants.toml",
            &format!(
                "[agent-openai]\nhttp = [{{ url = \"{url}\", methods = [\"POST\"] }}]\n\
                 config = {{ endpoint = \"{url}\", model = \"m\", settings = '{settings}' }}\n"
            ),
        );
        let ended = scene.host(&words);
        ended.complains(code, &[said]);
        scene.run_with(&["--grants", "grants.toml", "--brief", "absent.json"]).end().complains(2, &[said]);
    }
}

#[test]
fn nothing_is_made_before_a_configuration_is_accepted() {
    let scene = Scene::bare();
    scene.write("boot_config.json", MANY);
    let there = || {
        let entries = std::fs::read_dir(scene.path("")).unwrap().flatten();
        let names = entries.map(|entry| entry.file_name().into_string().unwrap());
        let mut names: Vec<String> =
            names.filter(|name| !name.ends_with(".out") && !name.ends_with(".err")).collect();
        names.sort();
        names
    };
    let before = there();
    assert_eq!(check(&scene, "plain").code, Some(2));
    assert_eq!(scene.run().end().code, Some(2));
    assert_eq!(there(), before);
    scene.stack(&["all"], &[scene.web("one", json!({}))]);
    assert_eq!(check(&scene, "plain").code, Some(0));
    assert_eq!(there(), before, "checking leaves nothing either");
}

#[test]
fn the_first_start_says_that_it_compiles_and_the_second_need_not() {
    let scene = Scene::bare();
    scene.stack(&["all"], &[json!({ "id": "one", "entrypoint": "sleep 60", "health": "process" })]);
    for (count, compiles) in [(1, true), (2, false)] {
        let run = scene.run();
        scene.until_booted(count);
        let ended = run.terminate();
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        let said = ended.out.contains("system: preparing 6 plugins (the first start compiles them)");
        assert_eq!(said, compiles, "{}", ended.out);
    }
}

#[test]
fn without_plugins_one_problem_says_who_needs_which() {
    let scene = Scene::bare();
    scene.stack(&["all"], &[scene.web("one", json!({})), scene.web("two", json!({}))]);
    for command in ["run", "check"] {
        let ended = scene.host(&[command, "--config", "boot_config.json"]);
        ended.complains(2, &["2 components need probe plugins", "`probe-http` (2)", "--plugins DIR"]);
        assert_eq!(ended.err.matches("boot_config.json").count(), 1, "{}", ended.err);
    }
    check_one_problem(&scene);
}

/// In words that fit the number.
fn check_one_problem(scene: &Scene) {
    scene.write("boot_config.json", "{ \"components\":\n");
    let ended = check(scene, "plain");
    ended.complains(2, &["line 2, column 1: is not JSON", "1 problem; nothing was started"]);
}

#[test]
fn grants_to_a_plugin_that_is_nowhere_are_a_warning_with_the_nearest_name() {
    let scene = Scene::new();
    scene.stack(&["all"], &[json!({ "id": "one", "entrypoint": "sleep 60", "health": "process" })]);
    scene.write("grants.toml", "[probe-htpp]\n");
    let plugins = artifact::plugins().display().to_string();
    let words = ["check", "--config", "boot_config.json", "--plugins", &plugins, "--grants", "grants.toml"];
    let warning = ["warning: grants.toml: [probe-htpp]: ", "no plugin has that name", "`[probe-http]`"];
    scene.host(&words).complains(0, &warning);
    let json = scene.host(&[&words[..], &["--output", "json"]].concat()).json();
    assert_eq!((&json[0]["level"], &json[1]["warnings"]), (&json!("warning"), &json!(1)), "{json:?}");
    let run = scene.run_with(&["--grants", "grants.toml"]);
    scene.until_booted(1);
    run.terminate().complains(0, &warning);
}
