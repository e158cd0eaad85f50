//! Every shape the original's files have, taken over and told again.

use std::fs;

use razar_core::fact::Recorded;
use serde_json::Value;
use tempfile::TempDir;

use super::*;

struct House {
    dir: TempDir,
    ledger: Ledger,
}

impl House {
    fn new() -> Self {
        // Hundreds of synced ledgers: in memory where the machine offers it.
        let memory = Path::new("/dev/shm");
        let dir = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() }.unwrap();
        let ledger = Ledger::open(&dir.path().join("state")).unwrap();
        Self { dir, ledger }
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.dir.path().join("old").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn import(&mut self) -> Report {
        let (old, state) = (self.dir.path().join("old"), self.dir.path().join("state"));
        import(find(&old, &state).unwrap(), &mut self.ledger, &state, Timestamp(1_800_000_000_000)).unwrap()
    }

    fn facts(&self) -> Vec<Recorded> {
        self.ledger.replay(1).map(Result::unwrap).collect()
    }

    /// The texts of the imported records, oldest first, with what was repaired.
    fn texts(&self) -> Vec<(String, Option<String>)> {
        let text = |recorded: Recorded| match recorded.fact {
            Fact::Imported { text, repair, .. } => Some((text, repair)),
            _ => None,
        };
        self.facts().into_iter().filter_map(text).collect()
    }
}

/// One file, imported; its records, and what was set aside of it.
fn records(name: &str, bytes: impl AsRef<[u8]>) -> (Vec<(String, Option<String>)>, Report) {
    let mut house = House::new();
    house.write(name, bytes);
    let report = house.import();
    (house.texts(), report)
}

const INVOCATION: &str = r#"{"agent": "kimi2", "agent_original": "kimi2", "attempt": 1, "component": "alpha", "error": "Health check failed for alpha", "event": "attempt", "patched": true, "status": "success", "timestamp": 1795225338.7424164, "timestamp_iso": "2026-11-21T01:42:18.742416Z"}"#;

#[test]
fn json_lines_are_records_with_their_moment_and_component() {
    let mut house = House::new();
    house.write("logs/razar_ai_invocations.json", format!("{INVOCATION}\n"));
    let report = house.import();
    assert_eq!((report.imported(), report.aside.len()), (1, 0));
    let fact = house.facts().remove(0).fact;
    let Fact::Imported { source, record, digest, text, when, component, repair } = fact else {
        panic!("{fact:?}")
    };
    assert_eq!((source.as_str(), record, text.as_str()), ("logs/razar_ai_invocations.json", 1, INVOCATION));
    assert_eq!(digest, Digest::of(INVOCATION.as_bytes()));
    assert_eq!((when, repair), (Some(Timestamp(1_795_225_338_742)), None));
    assert_eq!(component.unwrap().as_str(), "alpha");
}

#[test]
fn every_shape_of_a_list_is_cut_into_the_same_records() {
    let (a, b) = (r#"{"component": "a", "n": 1}"#, r#"{"component": "b", "n": "}{,["}"#);
    let shapes = [
        format!("{a}\n{b}\n"),
        format!("{a}\r\n\r\n{b}"),
        format!("[{a}, {b}]"),
        format!("[\n  {a},\n  {b}\n]"),
        format!("[{a}]\n{b}\n"),
        format!("[\n  {a}\n]\n{b}\n"),
        format!("{a}\n[{b}]\n"),
        format!("{a}{b}\n"),
        format!("\u{feff}{a}\n{b}\n"),
        format!("[]\n{a}\n[]\n{b}\n"),
    ];
    for shape in shapes {
        let (found, report) = records("logs/razar_ai_patches.json", &shape);
        let texts: Vec<_> = found.iter().map(|(text, _)| text.as_str()).collect();
        assert_eq!(texts, [a, b], "{shape}");
        assert!(report.aside.is_empty(), "{shape}");
    }
    for empty in ["[]", "", "\n\n", "{\n}", "[\n]"] {
        let (found, report) = records("logs/razar_ai_invocations.json", empty);
        assert!(found.len() <= 1 && report.aside.is_empty(), "{empty}: {found:?}");
    }
}

#[test]
fn a_line_torn_at_any_byte_costs_no_other_line() {
    let (before, after) = (r#"{"component": "x"}"#, r#"{"component": "y"}"#);
    for at in 1..INVOCATION.len() {
        // With a line end behind it, and with the next record glued to it.
        for joint in ["\n", ""] {
            let text = format!("{before}\n{}{joint}{after}\n", &INVOCATION[..at]);
            let (found, report) = records("logs/razar_ai_invocations.json", &text);
            let texts: Vec<_> = found.iter().map(|(text, _)| text.as_str()).collect();
            assert!(texts.contains(&before), "{text}: {texts:?}");
            assert!(texts.iter().any(|text| text.ends_with(after)), "{text}: {texts:?}");
            if joint == "\n" {
                assert!(texts.contains(&after), "{text}: {texts:?}");
                assert_eq!(texts.len() + report.aside.len(), 3, "{text}");
            }
        }
    }
}

#[test]
fn what_cannot_be_repaired_is_kept_aside_once_and_named() {
    let mut house = House::new();
    house.write(
        "logs/razar.log",
        "{\"event\": \"start\"}\nTraceback (most recent call last):\n42\n{\"event\": \"end\"}\n",
    );
    let report = house.import();
    assert_eq!((report.imported(), report.aside.len()), (2, 2));
    let kept: Vec<_> = report.aside.iter().map(|aside| fs::read_to_string(&aside.kept).unwrap()).collect();
    assert_eq!(kept, ["Traceback (most recent call last):", "42"]);
    assert!(report.aside.iter().all(|aside| aside.source == "logs/razar.log" && !aside.why.is_empty()));
    let again = house.import();
    assert_eq!((again.imported(), again.aside.len()), (0, 2));
    assert_eq!(fs::read_dir(house.dir.path().join("state").join(ASIDE)).unwrap().count(), 2);
}

#[test]
fn documents_are_kept_whole_and_what_they_list_is_told() {
    let state = r#"{
  "events": [
    {
      "step": "launch",
      "status": "fail",
      "timestamp": 1795225300.5,
      "component": "alpha"
    },
    {
      "event": "model_launch",
      "model": "GLM-4.1V",
      "timestamp": "2026-11-21T01:41:41Z"
    }
  ],
  "probes": {"alpha": {"status": "ok", "timestamp": 1.5}},
  "history": ["alpha", "beta"]
}"#;
    let mut house = House::new();
    house.write("logs/razar_state.json", state);
    house.write(
        "logs/razar_boot_history.json",
        r#"{"history": [{"timestamp": 1795225290.0, "components": []}], "best_sequence": null}"#,
    );
    assert_eq!(house.import().imported(), 5);
    let whens: Vec<_> = house
        .facts()
        .iter()
        .map(|recorded| match &recorded.fact {
            Fact::Imported { when, .. } => when.map(|when| when.0),
            other => panic!("{other:?}"),
        })
        .collect();
    let expected = [None, None, Some(1_795_225_290_000), Some(1_795_225_300_500), Some(1_795_225_301_000)];
    assert_eq!(whens, expected, "in the order of their own times");
    // The file goes on: what was there stays known, what is new is added.
    house.write(
        "logs/razar_state.json",
        state.replace("[\n    {\n      \"step\"", "[\n    {\"step\": \"new\"},\n    {\n      \"step\""),
    );
    let report = house.import();
    let file = report.files.iter().find(|file| file.source == "logs/razar_state.json").unwrap();
    assert_eq!((file.imported, file.known), (2, 2), "the document and the new event");
}

#[test]
fn a_torn_document_is_closed_and_kept_as_it_stood() {
    let whole = "[\n  {\n    \"component\": \"a\"\n  },\n  {\n    \"component\": \"b\",\n    \"error\": \"x\"\n  }\n]";
    for at in 2..whole.len() {
        let torn = &whole[..at];
        let mut house = House::new();
        house.write("logs/razar_long_task.json", torn);
        let report = house.import();
        let kept = house.texts().iter().any(|(text, _)| text.as_str() == torn.trim());
        let aside = report.aside.iter().any(|aside| fs::read_to_string(&aside.kept).unwrap() == torn.trim());
        assert!(kept || aside, "cut at {at}: {:?} {report:?}", house.texts());
        if at > whole.find("},").unwrap() {
            assert!(
                house.texts().iter().any(|(text, _)| text.contains("\"a\"") && text.len() < 40),
                "cut at {at}"
            );
        }
    }
}

#[test]
fn quarantine_comes_along_and_modules_do_not() {
    let mut house = House::new();
    house.write("quarantine/alpha.json", "{\n  \"name\": \"alpha\",\n  \"command\": [\"x\"],\n  \"reason\": \"No module named y\",\n  \"attempts\": 4\n}");
    house.write("quarantine/beta.json", r#"{"name": "beta", "command": ["x"], "health_check": ["y"]}"#);
    house.write("quarantine/torn.json", "{\n  \"name\": \"torn\",\n  \"reason\": \"hal");
    house.write("quarantine/gamma", "");
    house.write("quarantine/module.py", "import nothing\n");
    house.write("quarantine/module.json", r#"{"name": "module", "original_path": "/x/module.py", "reason": "r", "quarantined_at": "2026-11-21T01:41:37"}"#);
    house.write("quarantine/evil.json", r#"{"name": "../../evil", "reason": "x"}"#);
    let report = house.import();
    let mut names: Vec<_> = report.quarantined.iter().map(ToString::to_string).collect();
    names.sort();
    assert_eq!(names, ["alpha", "beta", "evil", "gamma", "torn"], "an impossible name is that of the file");
    let alpha = house.facts().into_iter().find_map(|recorded| match recorded.fact {
        Fact::Quarantined { component, reason, failure, attempts } if component.as_str() == "alpha" => {
            Some((reason, failure, attempts))
        }
        _ => None,
    });
    let (reason, failure, attempts) = alpha.unwrap();
    assert_eq!((reason, attempts), (QuarantineReason::Imported, 4));
    assert_eq!((failure.class, failure.error.as_str()), (FailureClass::Dependency, "No module named y"));
    // Let out here, it stays out however often the old directory is imported.
    let note = None;
    house
        .ledger
        .append(Timestamp(1), &[Fact::Released { component: "alpha".parse().unwrap(), note }])
        .unwrap();
    let again = house.import();
    assert_eq!((again.imported(), again.quarantined.len()), (0, 0));
}

#[test]
fn importing_twice_changes_nothing_and_equal_lines_are_counted() {
    let mut house = House::new();
    let line = r#"{"event": "health", "component": "a", "status": "success", "timestamp": "2026-11-21T01:41:37+00:00"}"#;
    house.write("logs/razar.log", format!("{line}\n{line}\n"));
    house.write("docs/quarantine_log.md", "# Quarantine Log\n\n| Timestamp (UTC) | Component | Action | Details |\n|---|---|---|---|\n| 2026-11-21T01:41:37.5 | web | quarantined | a reason\nwith a line end |\n");
    house.write("boot_orchestrator.log", "2026-11-21 01:41:37,273 INFO Launching web\nTraceback\n");
    let first = house.import();
    assert_eq!(first.imported(), 6);
    let (facts, head) = (house.facts(), house.ledger.head());
    let again = house.import();
    assert_eq!((again.imported(), house.facts()), (0, facts));
    assert_eq!(house.ledger.head(), head);
    house.write("logs/razar.log", format!("{line}\n{line}\n{line}\n"));
    assert_eq!(house.import().imported(), 1, "a third one is news");
    assert_eq!(house.import().imported(), 0);
}

#[test]
fn long_records_are_kept_whole_under_their_digest() {
    let mut house = House::new();
    let long = format!("{{\"diff\": \"{}\"}}", "é".repeat(100_000));
    let binary = b"{\"x\": \"\xff\xfe\"}".to_vec();
    house.write("logs/razar_ai_patches.json", format!("[{long}]"));
    house.write("logs/audit.log", &binary);
    house.import();
    for recorded in house.facts() {
        let Fact::Imported { digest, text, .. } = recorded.fact else { panic!("only records") };
        assert!(text.len() <= MAX_TEXT, "{}", text.len());
        let whole = house.ledger.blob(&digest).unwrap().unwrap();
        assert!(whole == long.as_bytes() || whole == binary, "{} bytes", whole.len());
    }
    assert_eq!(house.facts().len(), 2);
}

#[test]
fn links_special_files_and_secrets_are_not_read() {
    let mut house = House::new();
    house.write("secret.json", "{\"token\": \"s3cret\"}");
    house.write("razar_ai_agents.json", "{\"token\": \"s3cret\"}");
    house.write("package.json", "{\"name\": \"not ours\"}");
    house.write("logs/a.json", "{\"a\": 1}");
    house.write("logs/mission_briefs/1.txt", "");
    house.write("logs/agent_server.log", "words of another program");
    house.write("logs/patch_backups/web.py.20261121014137000000", "x = 1");
    let old = house.dir.path().join("old");
    std::os::unix::fs::symlink(old.join("secret.json"), old.join("logs/link.json")).unwrap();
    std::os::unix::fs::symlink(&old, old.join("quarantine")).unwrap();
    let report = house.import();
    assert_eq!(house.texts().len(), 1);
    let mut ignored: Vec<_> = report.ignored.iter().map(|ignored| ignored.source.as_str()).collect();
    ignored.sort_unstable();
    assert_eq!(ignored, ["logs/link.json", "quarantine"]);
    let mut others = report.others;
    others.sort_unstable();
    assert_eq!(
        others,
        ["logs/agent_server.log", "logs/patch_backups"],
        "named, because nobody looked into them"
    );
}

#[test]
fn a_directory_that_is_ours_or_empty_is_refused_with_a_remedy() {
    let house = House::new();
    let state = house.dir.path().join("state");
    fs::create_dir_all(state.join("logs")).unwrap();
    for own in [state.clone(), state.join("logs")] {
        let error = find(&own, &state).unwrap_err();
        assert!(matches!(error, ImportError::Own(_)), "{error}");
    }
    let empty = house.dir.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let dir_of_nobody = house.dir.path().join("no state yet");
    let error = find(&empty, &state).unwrap_err();
    assert!(matches!(error, ImportError::Nothing(_)), "{error}");
    let error = find(&empty.join("none"), &dir_of_nobody).unwrap_err();
    assert!(matches!(error, ImportError::Source { .. }), "{error}");
}

#[test]
fn every_file_that_upstream_writes_is_taken_over() {
    let files = [
        ("logs/razar_state.json", r#"{"last_component": "a", "capabilities": [], "events": []}"#),
        ("logs/razar_state.json.bak", "{\n  \"last_component\": \"a\",\n  \"history\": [\"a\"]\n}"),
        ("logs/razar_boot_history.json", r#"{"history": [], "best": {"sequence": ["a"]}}"#),
        ("logs/razar_ai_invocations.json", INVOCATION),
        (
            "logs/razar_ai_patches.json",
            r#"[{"event": "applied", "component": "a", "timestamp": "2026-11-21T01:41:37"}]"#,
        ),
        ("logs/razar_long_task.json", r#"[{"component": "a", "attempt": 1, "timestamp": 1.0}]"#),
        (
            "logs/razar.log",
            r#"{"event": "start", "component": "a", "status": "success", "timestamp": "2026-11-21T01:41:37+00:00"}"#,
        ),
        ("logs/mission_brief.json", r#"{"priority_map": {}, "current_status": {}, "open_issues": []}"#),
        ("logs/mission_briefs/20261121014137_response.json", r#"{"acknowledgement": null}"#),
        ("logs/20261121014137_web_patch.json", r#"{"component": "web", "patch": null}"#),
        (
            "logs/razar_crown_dialogues.json",
            "[{\"role\": \"razar\", \"message\": {}}]\n{\"timestamp\": \"2026-11-21T01:41:37\", \"request\": {}, \"response\": {}}",
        ),
        (
            "logs/razar_remote_agents.json",
            "{\n  \"kimi2\": {\n    \"timestamp\": \"2026-11-21T01:41:37\"\n  }\n}",
        ),
        ("logs/razar_checkpoint.json", r#"{"sequence": [], "last_success": 0, "states": {}}"#),
        (
            "logs/razar_cocreation_plans.json",
            r#"{"plans": [{"timestamp": "2026-11-21T01:41:37Z", "steps": []}]}"#,
        ),
        (
            "logs/nazarick_startup.json",
            r#"[{"agent": "x", "status": "launched", "timestamp": "2026-11-21T01:41:37Z"}]"#,
        ),
        (
            "logs/agent_interactions.jsonl",
            r#"{"source": "x", "action": "y", "metadata": {}, "function": "z"}"#,
        ),
        ("logs/self_heal.jsonl", r#"{"timestamp": 1.0, "component": "a", "success": true, "details": ""}"#),
        ("logs/self_healing.json", r#"{"event": "final_status", "component": "a", "timestamp": 1.0}"#),
        (
            "logs/operator_escalations.jsonl",
            r#"{"component": "a", "reason": "service_offline", "timestamp": "x"}"#,
        ),
        ("logs/patch_history.jsonl", r#"{"component": "a"}"#),
        (
            "logs/audit.log",
            r#"{"action": "infra.restarted", "user": "u", "timestamp": "2026-11-21T01:41:37"}"#,
        ),
        ("recovery_state/a_shutdown.json", r#"{"component": "a", "action": "shutdown", "data": null}"#),
        (
            "monitoring/self_healing_ledger/razar_agent_trends.json",
            r#"[{"date": "2026-11-21", "agent": "k", "component": "a"}]"#,
        ),
        (
            "monitoring/alerts/razar_1795225297273.json",
            r#"{"message": "m", "severity": "critical", "timestamp": 1.0}"#,
        ),
        ("quarantine/a.json", r#"{"name": "a", "command": ["x"]}"#),
        ("docs/quarantine_log.md", "| 2026-11-21T01:41:37 | a | resolved | auto |"),
        ("razar/boot_orchestrator.log", "2026-11-21 01:41:37,273 INFO Launching a"),
    ];
    let mut house = House::new();
    for (name, text) in files {
        house.write(name, text);
    }
    let report = house.import();
    assert!(report.aside.is_empty() && report.ignored.is_empty(), "{report:?}");
    for (name, _) in files {
        let file = report.files.iter().find(|file| file.source == name).unwrap_or_else(|| panic!("{name}"));
        assert!(file.imported > 0 && file.repaired <= 1, "{file:?}");
    }
    for (text, _) in house.texts() {
        assert!(!text.is_empty());
        if text.starts_with('{') {
            assert!(serde_json::from_str::<Value>(&text).is_ok(), "{text}");
        }
    }
}
