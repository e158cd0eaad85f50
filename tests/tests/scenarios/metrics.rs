//! Metrics as Prometheus reads them: names, rules and the dashboard, with `promtool` where the set-up could get it.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use razar_tests::repository;
use razar_tests::scene::Scene;
use serde_json::{Value, json};

const RULES: &str = "config/alerts/razar_failover.yml";

/// Families whose first series comes with the first answer of an agent, or with the first plugin in quarantine.
const LATER: [&str; 2] = ["razar_agent_call_duration_seconds", "razar_plugin_quarantined"];

/// In `PATH`, or where `cargo xtask setup` puts it; said and not failed where it is missing.
fn promtool() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let own = repository().join("target/tools/promtool/promtool");
    let found =
        std::env::split_paths(&path).map(|dir| dir.join("promtool")).chain([own]).find(|file| file.is_file());
    if found.is_none() {
        eprintln!("NOT CHECKED with promtool, which is missing: `cargo xtask setup` gets it");
    }
    found
}

/// What it says about an input, or about files.
#[track_caller]
fn accepts(words: &[&str], input: &str) {
    let Some(promtool) = promtool() else { return };
    let mut command = Command::new(promtool);
    command.args(words).current_dir(repository()).stdin(Stdio::piped());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "promtool {words:?}: {said}\n{input}");
}

/// Every `razar_…` word of a text.
fn names(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let words = words.filter(|word| word.starts_with("razar_") && !word.ends_with('_'));
    words.filter(|word| *word != "razar_failover" && *word != "razar_escalation").map(str::to_owned).collect()
}

#[test]
fn a_scrape_of_a_running_host_and_its_textfile_follow_the_rules_for_names() {
    let scene = Scene::new();
    scene.write("shop/app.py", "raise SystemExit(1)\n");
    let shop = json!({
        // It ends before it can be ready: nobody ever answers there.
        "id": "shop", "workdir": "shop", "entrypoint": ["python3", "-S", "-E", "app.py"], "health": scene.url("shop"),
        "restart": { "retries": 0 }, "repair": { "agents": [], "evaluators": [] },
    });
    scene.stack(&["all"], &[scene.web("steady", json!({})), shop]);
    let host = scene.run();
    scene.until_logged("quarantine", "shop", "quarantined", 1);
    scene.until_logged("start", "system", "partial", 1);
    let scraped = scene.get(scene.port("metrics"), "/metrics").expect("metrics");
    let (_, scraped) = scraped.split_once('\n').unwrap();
    assert_eq!(host.interrupt().code, Some(0));
    for line in [
        "razar_ai_invocation_success_total{component=\"shop\"} 0",
        "razar_ai_invocation_failure_total{component=\"shop\"} 0",
        "razar_ai_invocation_retries_total{component=\"shop\"} 0",
        "razar_ai_retry_duration_seconds_bucket{component=\"shop\",le=\"1800\"} 0",
    ] {
        assert!(scraped.lines().any(|found| found == line), "`{line}` is not in {scraped}");
    }
    accepts(&["check", "metrics"], scraped);

    let textfile = scene.file("monitoring/boot_metrics.prom");
    for (known, name) in [
        ("razar_boot_first_attempt_success_total", "razar_boot_first_attempt_successes"),
        ("razar_boot_retry_total", "razar_boot_retries"),
        ("razar_boot_component_total", "razar_boot_components"),
        ("razar_boot_component_success_total", "razar_boot_component_successes"),
        ("razar_boot_component_failure_total", "razar_boot_component_failures"),
    ] {
        let value = |name: &str| {
            let line = textfile.lines().find(|line| line.starts_with(&format!("{name} ")));
            line.and_then(|line| line.rsplit(' ').next()).map(str::to_owned)
        };
        assert!(value(known).is_some() && value(known) == value(name), "{known}, {name}: {textfile}");
    }
    accepts(&["check", "metrics"], &textfile);

    // What rules and dashboard look at is there: a series that nobody writes is never wrong.
    let dashboard = std::fs::read_to_string(repository().join("config/grafana/razar_failover.json")).unwrap();
    let rules = std::fs::read_to_string(repository().join(RULES)).unwrap();
    for name in names(&dashboard).into_iter().chain(names(&rules)) {
        let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
        let family = family.unwrap_or(&name);
        let help = format!("# HELP {family} ");
        let known = [scraped, textfile.as_str()].iter().any(|text| text.contains(&help));
        assert!(known || LATER.contains(&family), "{name}");
    }
}

#[test]
fn the_alert_rules_hold_and_name_their_runbook() {
    let rules = std::fs::read_to_string(repository().join(RULES)).unwrap();
    let count = |text: &str| rules.matches(text).count();
    assert_eq!(count("- name: razar-failover\n"), 1);
    for name in ["RAZARExcessiveRetries", "RAZARAgentSuccessRateLow", "RAZAREscalationLoopStalled"] {
        assert_eq!(count(&format!("- alert: {name}\n")), 1, "{name}");
    }
    assert_eq!((count("- alert:"), count("runbook: docs/runbooks/razar_escalation.md\n")), (3, 3));
    accepts(&["check", "rules", RULES], "");
    accepts(&["test", "rules", "tests/metrics/razar_failover.test.yml"], "");
}

#[test]
fn the_dashboard_is_the_one_that_operators_link_to() {
    let text = std::fs::read_to_string(repository().join("config/grafana/razar_failover.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(dashboard["uid"], "razar-failover");
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let query = |name: &str| {
        let variable = variables.iter().find(|variable| variable["name"] == name).unwrap();
        variable["definition"].as_str().unwrap().to_owned()
    };
    assert_eq!(query("component"), "label_values(razar_ai_invocation_success_total, component)");
    assert_eq!(query("agent"), "label_values(razar_agent_call_duration_seconds_count, agent)");
    let panels = dashboard["panels"].as_array().unwrap();
    let mut ids: Vec<_> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    ids.dedup();
    assert_eq!(ids.len(), panels.len());
    assert!(
        panels.iter().all(|panel| panel["targets"].as_array().is_some_and(|targets| !targets.is_empty()))
    );
}
