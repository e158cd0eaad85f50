//! What the views promise: every file is a function of the facts, whatever happened to it in between.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write as _;

use proptest::prelude::*;
use razar_core::effect::{Apply, Attempt, Effect, EffectOutcome, ExitStatus, Process, Revert, Start, Stop};
use razar_core::fact::{Anchor, Closing, Fact, Opened, Phase, QuarantineReason};
use razar_core::failure::{Failure, FailureClass, FailureKind};
use razar_core::id::{BootId, ComponentId, Digest, EffectId, IncidentId, InstanceId, PluginId};
use razar_core::incident::{End, Spent, Who};
use razar_core::patch::Verdict;
use razar_core::time::{Millis, Timestamp};
use tempfile::TempDir;

use super::*;

const BRIEF: &[u8] = b"{\"priority_map\": {}, \"current_status\": {}, \"open_issues\": []}\n";
const LOGS: [&str; 5] =
    [mission_log::NAME, boot_log::NAME, quarantine_log::NAME, patches::HISTORY, invocations::NAME];

type Turn = (Timestamp, Vec<Fact>);

fn id(name: &str) -> ComponentId {
    name.parse().unwrap()
}

fn failure(kind: FailureKind, error: &str) -> Failure {
    Failure { kind, class: FailureClass::of(error), error: error.to_owned() }
}

fn launch(effect: u64, component: &str, attempt: u32) -> Vec<Fact> {
    let (id_, instance) = (EffectId(effect), InstanceId(effect));
    let spec = Digest::of(component.as_bytes());
    let process = Process { pid: 4000 + attempt, start_time: 99 };
    vec![
        Fact::EffectDecided {
            id: id_,
            effect: Effect::Start(Start { component: id(component), instance, spec, attempt }),
        },
        Fact::EffectStarted { id: id_ },
        Fact::EffectFinished { id: id_, outcome: EffectOutcome::Running(process) },
    ]
}

fn ready(effect: u64, component: &str, took: u64) -> Fact {
    Fact::Ready { component: id(component), instance: InstanceId(effect), took: Millis(took) }
}

fn boot(number: u64, mission: Option<&str>, components: &[&str]) -> Fact {
    Fact::BootStarted {
        boot: BootId(number),
        mission: mission.map(str::to_owned),
        brief: Some(Digest::of(BRIEF)),
        config: Digest::of(b"config"),
        components: components.iter().map(|name| id(name)).collect(),
        host: "0.1.0".to_owned(),
        ledger: None,
        long_task: false,
    }
}

/// One effect, from its decision to its end.
fn done(effect_id: u64, effect: Effect, outcome: EffectOutcome) -> Vec<Fact> {
    let id = EffectId(effect_id);
    vec![Fact::EffectDecided { id, effect }, Fact::EffectStarted { id }, Fact::EffectFinished { id, outcome }]
}

/// An incident: one proposal is refused, one is taken and does not hold, the third one does.
fn repair() -> Vec<Vec<Fact>> {
    let (component, incident) = (id("web"), IncidentId(1));
    let manifest = patch::testing::patch("x").manifest().digest();
    let asked = |number: u32, end: End| {
        let who = Who::Agent("agent-openai".parse().unwrap());
        // The roster spells the second one's name; operators see it so.
        let name = (number > 1).then(|| "K2 Coder".to_owned());
        let attempt = Attempt { component: component.clone(), incident, number, who, name };
        done(
            100 + u64::from(number),
            Effect::Attempt(attempt),
            EffectOutcome::Attempted { end, spent: Spent::default() },
        )
    };
    let tried =
        |verdict| End::Tried { verdict, why: "suite and shadow start".to_owned(), manifest, lines: None };
    let apply = Effect::Apply(Apply { component: component.clone(), incident, manifest });
    let revert = Effect::Revert(Revert { component: component.clone(), incident, manifest });
    let refused =
        End::Refused { code: "protected-tests".to_owned(), why: "`tests/x.py` is the judge".to_owned() };
    let wrong = || failure(FailureKind::Exited, "exited with code 1: KeyError: 'x|y'");
    let escalated = Fact::Escalated {
        incident,
        component: component.clone(),
        from: "agent-openai".parse().unwrap(),
        to: "agent-k2".parse().unwrap(),
        name: "K2 Coder".to_owned(),
        escalations: 1,
    };
    let again = Fact::RoundBegan { incident, component: component.clone(), round: 2, until: Timestamp(0) };
    vec![
        vec![Fact::IncidentOpened {
            incident,
            component: component.clone(),
            failure: wrong(),
            launches: 3,
            diff: None,
        }],
        [asked(1, refused), vec![escalated]].concat(),
        [asked(2, tried(Verdict::NotFixed)), vec![again]].concat(),
        asked(3, tried(Verdict::Fixed)),
        done(110, apply.clone(), EffectOutcome::Changed),
        vec![Fact::Failed { component: component.clone(), instance: None, attempt: 1, failure: wrong() }],
        done(111, revert, EffectOutcome::Changed),
        asked(4, tried(Verdict::Fixed)),
        done(112, apply, EffectOutcome::Changed),
        vec![Fact::IncidentClosed { incident, component, outcome: Closing::Repaired { manifest } }],
    ]
}

/// Two boots in which everything happens once: a late one, one that crashes, one that never comes up, one that is repaired.
fn script() -> Vec<Turn> {
    let mut at = 1_795_225_297_000;
    let mut turns = Vec::new();
    let mut turn = |facts: Vec<Fact>| {
        at += 250;
        turns.push((Timestamp(at), facts));
    };
    turn(vec![boot(1, Some("demo"), &["store", "web", "broken"])]);
    turn(launch(1, "store", 1));
    turn(vec![ready(1, "store", 240)]);
    turn(launch(2, "web", 1));
    let error = "no answer within 2 s";
    turn(vec![Fact::Failed {
        component: id("web"),
        instance: Some(InstanceId(2)),
        attempt: 1,
        failure: failure(FailureKind::StartupDeadline, error),
    }]);
    let stop = Effect::Stop(Stop { component: id("web"), instance: InstanceId(2) });
    turn(vec![
        Fact::EffectDecided { id: EffectId(3), effect: stop },
        Fact::EffectStarted { id: EffectId(3) },
    ]);
    turn(vec![
        Fact::EffectFinished {
            id: EffectId(3),
            outcome: EffectOutcome::Ended { exit: ExitStatus::Signal(15) },
        },
        Fact::BackingOff { component: id("web"), until: Timestamp(1_795_225_300_000), attempt: 2 },
    ]);
    turn(launch(4, "web", 2));
    turn(vec![ready(4, "web", 700)]);
    let broken =
        || failure(FailureKind::Exited, "exited with code 1: ModuleNotFoundError: No module named 'x|y'");
    turn(launch(5, "broken", 1));
    turn(vec![
        Fact::Exited {
            component: id("broken"),
            instance: InstanceId(5),
            exit: ExitStatus::Code(1),
            asked: false,
        },
        Fact::Failed {
            component: id("broken"),
            instance: Some(InstanceId(5)),
            attempt: 1,
            failure: broken(),
        },
        Fact::Quarantined {
            component: id("broken"),
            reason: QuarantineReason::RetriesExhausted,
            failure: broken(),
            attempts: 1,
        },
        Fact::BootCompleted {
            boot: BootId(1),
            took: Millis(2750),
            ready: vec![id("store"), id("web")],
            absent: vec![id("broken")],
        },
    ]);
    let health = |phase, healthy, summary: &str| Fact::HealthChanged {
        component: id("store"),
        phase,
        healthy,
        summary: summary.to_owned(),
    };
    turn(vec![health(Phase::Readiness, false, "503 Service Unavailable")]);
    turn(vec![health(Phase::Readiness, true, "200 OK")]);
    turn(vec![Fact::FlappingStarted { component: id("store"), changes: 6 }]);
    turn(vec![Fact::FlappingEnded { component: id("store") }]);
    turn(vec![
        health(Phase::Liveness, false, "connection refused"),
        Fact::Failed {
            component: id("store"),
            instance: Some(InstanceId(1)),
            attempt: 1,
            failure: failure(FailureKind::Liveness, "connection refused"),
        },
    ]);
    let head = Anchor { seq: 37, hash: Digest::of(b"37") };
    let ledger = Some(Opened { head, contradicted: Some(Anchor { seq: 40, hash: Digest::of(b"40") }) });
    turn(vec![Fact::BootResumed { boot: BootId(1), host: "0.1.1".to_owned(), ledger, long_task: true }]);
    let process = Process { pid: 4002, start_time: 99 };
    turn(vec![Fact::Adopted { component: id("web"), instance: InstanceId(4), process }]);
    turn(vec![Fact::Released { component: id("broken"), note: Some("fixed | by hand\n".to_owned()) }]);
    turn(vec![Fact::StartRequested { component: id("broken") }]);
    turn(launch(6, "broken", 1));
    turn(vec![ready(6, "broken", 90)]);
    let plugin: PluginId = "probe-http".parse().unwrap();
    turn(vec![
        Fact::Reinstated { component: id("broken") },
        Fact::PluginQuarantined {
            plugin: plugin.clone(),
            reason: QuarantineReason::Misbehaved,
            failure: failure(FailureKind::Misbehaved, "probe-http: trap: |unreachable|"),
            attempts: 3,
        },
        Fact::PluginReleased { plugin: plugin.clone(), note: Some("a new build".to_owned()) },
        Fact::PluginReinstated { plugin },
    ]);
    repair().into_iter().for_each(&mut turn);
    turn(vec![Fact::RestartRequested { component: id("web") }, Fact::StopRequested { component: id("web") }]);
    turn(vec![Fact::Stopped { component: id("web") }]);
    turn(vec![Fact::ShutdownStarted { reason: "SIGINT".to_owned() }]);
    turn(vec![Fact::BootEnded { boot: BootId(1) }]);
    turn(vec![boot(2, None, &["store", "web"])]);
    turn(launch(7, "store", 1));
    turn(vec![Fact::EffectDecided {
        id: EffectId(8),
        effect: Effect::Stop(Stop { component: id("store"), instance: InstanceId(7) }),
    }]);
    turn(vec![Fact::EffectUnknown { id: EffectId(8) }]);
    let not_started = || failure(FailureKind::NotStarted, "no such file: `web`");
    turn(vec![
        Fact::Failed { component: id("web"), instance: None, attempt: 1, failure: not_started() },
        Fact::Quarantined {
            component: id("web"),
            reason: QuarantineReason::FailureLimit,
            failure: not_started(),
            attempts: 3,
        },
        Fact::BootHalted { boot: BootId(2), component: id("web"), reason: "it is vital".to_owned() },
    ]);
    turn(vec![boot(3, Some("demo"), &["store", "web"])]);
    turns
}

/// A few lines in every log, for tests that go through them byte by byte.
fn short() -> Vec<Turn> {
    let script = script();
    let asked =
        |fact: &Fact| matches!(fact, Fact::EffectFinished { outcome: EffectOutcome::Attempted { .. }, .. });
    let asked = script.iter().position(|(_, facts)| facts.iter().any(asked)).unwrap();
    [0, 3, 10, 18, asked, applied(&script)].map(|turn| script[turn].clone()).into()
}

/// The turn in which a patch is put in place for the first time.
fn applied(script: &[Turn]) -> usize {
    let applied = EffectOutcome::Changed;
    let tells = |fact: &Fact| matches!(fact, Fact::EffectFinished { outcome, .. } if *outcome == applied);
    script.iter().position(|(_, facts)| facts.iter().any(tells)).unwrap()
}

struct House {
    dir: TempDir,
    ledger: Ledger,
}

impl House {
    fn new() -> Self {
        // Thousands of synced writes: in memory where the machine offers it.
        let memory = Path::new("/dev/shm");
        let dir = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() }.unwrap();
        let mut ledger = Ledger::open(&dir.path().join("state")).unwrap();
        ledger.put_blob(BRIEF).unwrap();
        ledger.keep_patch(&patch::testing::patch("x")).unwrap();
        Self { dir, ledger }
    }

    fn with(turns: &[Turn]) -> Self {
        let mut house = Self::new();
        house.record(turns);
        house
    }

    fn record(&mut self, turns: &[Turn]) -> Vec<Recorded> {
        turns.iter().flat_map(|(at, facts)| self.ledger.append(*at, facts).unwrap()).collect()
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    fn open(&self) -> Views {
        let views = Views::open(&self.ledger, &self.root()).unwrap();
        assert!(views.behind().is_empty(), "{:?}", views.behind());
        views
    }

    /// Takes the facts behind this one away, as whoever computes the chain anew can.
    fn rewind(&self, keep: u64) {
        let connection = self.ledger.relaxed().unwrap();
        let head = meta::head_at(&connection, keep).unwrap();
        connection.execute("DELETE FROM facts WHERE seq > ?1", [keep.cast_signed()]).unwrap();
        meta::set_head(&connection, head).unwrap();
    }

    /// What is recorded now, whatever this ledger remembers having recorded.
    fn ledger_facts(&self) -> Vec<Recorded> {
        let reader = crate::LedgerReader::open(&self.dir.path().join("state")).unwrap();
        reader.replay(1).unwrap().map(Result::unwrap).collect()
    }

    /// Removes everything below the root.
    fn clear(&self) {
        for entry in fs::read_dir(self.root()).unwrap() {
            fs::remove_dir_all(entry.unwrap().path()).unwrap();
        }
    }

    fn files(&self) -> BTreeMap<String, String> {
        let mut files = BTreeMap::new();
        collect(&self.root(), &self.root(), &mut files);
        files
    }

    /// Names of files that were kept aside, which are then removed.
    fn take_aside(&self) -> Vec<String> {
        let aside: Vec<_> = self
            .files()
            .into_keys()
            .filter(|name| name.contains(".torn-") || name.contains(".kept-"))
            .collect();
        for name in &aside {
            fs::remove_file(self.root().join(name)).unwrap();
        }
        aside
    }
}

fn collect(root: &Path, dir: &Path, files: &mut BTreeMap<String, String>) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, files);
        } else {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            files.insert(name, String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned());
        }
    }
}

/// What the facts alone make.
fn fresh(turns: &[Turn]) -> BTreeMap<String, String> {
    let house = House::with(turns);
    house.open();
    house.files()
}

#[test]
fn every_view_says_what_operators_know() {
    let files = fresh(&script());
    let names: Vec<_> = files.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "docs/quarantine_log.md",
            "logs/boot_orchestrator.log",
            "logs/mission_briefs/boot_2026-11-21T01-41-46Z.json",
            "logs/mission_briefs/demo_2026-11-21T01-41-37Z.json",
            "logs/mission_briefs/demo_2026-11-21T01-41-47Z.json",
            "logs/patch_backups/app.py.20261121T014144000000",
            "logs/patch_backups/app.py.20261121T014145000000",
            "logs/patch_backups/old.py.20261121T014144000002",
            "logs/patch_backups/old.py.20261121T014145000002",
            "logs/patch_history.jsonl",
            "logs/razar.log",
            "logs/razar_ai_invocations.json",
            "logs/razar_ai_patches.json",
            "logs/razar_boot_history.json",
            "logs/razar_long_task.json",
            "logs/razar_state.json",
            "monitoring/boot_metrics.prom",
            "monitoring/self_healing_ledger/razar_agent_trends.json",
            "quarantine/web.json",
        ]
    );
    assert_eq!(files["logs/mission_briefs/demo_2026-11-21T01-41-37Z.json"].as_bytes(), BRIEF);
    for name in [
        "docs/quarantine_log.md",
        "logs/boot_orchestrator.log",
        "logs/patch_history.jsonl",
        "logs/razar.log",
        "logs/razar_ai_invocations.json",
        "logs/razar_ai_patches.json",
        "logs/razar_boot_history.json",
        "logs/razar_long_task.json",
        "logs/razar_state.json",
        "monitoring/boot_metrics.prom",
        "monitoring/self_healing_ledger/razar_agent_trends.json",
        "quarantine/web.json",
    ] {
        insta::assert_snapshot!(name.replace(['/', '.'], "_"), files[name]);
    }
}

#[test]
fn a_stop_says_how_the_process_ended_and_whose_wish_it_was() {
    let stop = |effect: u64, component: &str| {
        let stop = Stop { component: id(component), instance: InstanceId(effect - 2) };
        [
            Fact::EffectDecided { id: EffectId(effect), effect: Effect::Stop(stop) },
            Fact::EffectStarted { id: EffectId(effect) },
            Fact::EffectFinished {
                id: EffectId(effect),
                outcome: EffectOutcome::Ended { exit: ExitStatus::Signal(15) },
            },
            Fact::Stopped { component: id(component) },
        ]
    };
    let mut facts = vec![boot(1, None, &["store", "web"])];
    facts.extend(launch(1, "store", 1).into_iter().chain(launch(2, "web", 1)));
    facts.push(Fact::StopRequested { component: id("store") });
    facts.extend(stop(3, "store"));
    facts.push(Fact::ShutdownStarted { reason: "Ctrl-C".to_owned() });
    facts.extend(stop(4, "web"));
    facts.push(Fact::BootEnded { boot: BootId(1) });
    let files = fresh(&[(Timestamp(0), facts)]);
    let said = |line: &str| files[boot_log::NAME].lines().filter(|said| said.ends_with(line)).count();
    assert_eq!(said("INFO store stopped: it was ended by signal 15"), 1);
    assert_eq!(said("INFO store stays stopped until it is started"), 1);
    assert_eq!(said("INFO web stopped because the host shuts down: it was ended by signal 15"), 1);
    assert_eq!(said("INFO web stays stopped until it is started"), 0);
    for name in ["store", "web"] {
        let line = format!(r#""event": "shutdown", "component": "{name}", "status": "stopped""#);
        let lines: Vec<&str> = files[mission_log::NAME].lines().filter(|said| said.contains(&line)).collect();
        assert_eq!(lines.len(), 1, "{}", files[mission_log::NAME]);
        assert!(lines[0].contains(r#""details": "was ended by signal 15""#), "{}", lines[0]);
    }
}

#[test]
fn a_boot_counts_components_that_were_never_launched() {
    let mut facts = vec![boot(1, None, &["never", "store", "later"])];
    facts.extend(launch(1, "store", 1));
    facts.extend([ready(1, "store", 5), Fact::BootEnded { boot: BootId(1) }]);
    let files = fresh(&[(Timestamp(0), facts)]);
    let metrics = &files[metrics::NAME];
    for line in [
        "razar_boot_component_total 3\n",
        "razar_boot_component_success_total 1\n",
        "razar_boot_component_failure_total 2\n",
    ] {
        assert!(metrics.contains(line), "{metrics}");
    }
    let history: serde_json::Value = serde_json::from_str(&files[HISTORY]).unwrap();
    let run = history["history"][0]["components"].as_array().unwrap();
    let names: Vec<&str> = run.iter().map(|component| component["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["store", "never", "later"]);
    assert_eq!((&run[1]["attempts"], &run[1]["success"]), (&0.into(), &false.into()));
}

/// One record of the original's log, as `import` takes it over.
fn imported(record: u64, text: &str, when: u64) -> Fact {
    Fact::Imported {
        source: "logs/razar_ai_invocations.json".to_owned(),
        record,
        digest: Digest::of(text.as_bytes()),
        text: text.to_owned(),
        when: Some(Timestamp(when)),
        component: Some(id("alpha")),
        repair: None,
    }
}

#[test]
fn what_the_original_has_recorded_goes_on_in_the_same_file() {
    let known = r#"{"component": "alpha", "attempt": 1, "error": "boom", "patched": true, "event": "attempt", "agent": "kimi2"}"#;
    let facts = vec![
        imported(1, known, 1_795_225_338_742),
        imported(2, r#"{"event": "handshake", "agent": "crown", "status": "success"}"#, 1_795_225_338_000),
        imported(3, r#"{"component": "alpha", "patc"#, 0),
    ];
    let files = fresh(&[(Timestamp(0), facts)]);
    assert_eq!(
        files[invocations::NAME],
        "{\"agent\": \"kimi2\", \"attempt\": 1, \"component\": \"alpha\", \"error\": \"boom\", \"event\": \"attempt\", \
         \"patched\": true}\n{\"agent\": \"crown\", \"event\": \"handshake\", \"status\": \"success\"}\n"
    );
    let trends: serde_json::Value = serde_json::from_str(&files[trends::NAME]).unwrap();
    let at = "2026-11-21T01:42:18.742000Z";
    assert_eq!(
        trends,
        serde_json::json!([{
            "date": "2026-11-21T00:00:00Z", "agent": "kimi2", "component": "alpha", "attempts": 1, "successes": 1,
            "failures": 0, "success_rate": 1.0, "first_timestamp": at, "last_timestamp": at,
        }])
    );
}

#[test]
fn agents_are_told_the_newest_records_about_their_component() {
    let house = House::with(&script());
    let reader = crate::LedgerReader::open(&house.dir.path().join("state")).unwrap();
    let told = newest_invocations(&reader, &id("web"), 5).unwrap();
    let short: Vec<_> = told
        .iter()
        .map(|record| {
            let word = |key: &str| record[key].as_str().unwrap();
            (word("event"), word("agent"), record["attempt"].as_u64().unwrap(), word("status"))
        })
        .collect();
    assert_eq!(
        short,
        [
            ("attempt", "agent-openai", 1, "failure"),
            ("escalation", "k2 coder", 1, "failure"),
            ("attempt", "k2 coder", 2, "failure"),
            ("attempt", "k2 coder", 3, "success"),
            ("attempt", "k2 coder", 4, "success"),
        ]
    );
    let keys: Vec<&String> = told[1].keys().collect();
    assert_eq!(
        keys,
        [
            "agent",
            "agent_original",
            "attempt",
            "error",
            "event",
            "patched",
            "status",
            "timestamp",
            "timestamp_iso",
        ]
    );
    assert_eq!(newest_invocations(&reader, &id("web"), 2).unwrap(), told[3..]);
    assert!(newest_invocations(&reader, &id("store"), 5).unwrap().is_empty());
}

#[test]
fn a_file_that_the_original_left_there_is_kept_beside_ours() {
    let house = House::with(&script());
    fs::create_dir_all(house.root().join("logs")).unwrap();
    fs::write(house.root().join(invocations::NAME), "[{\"component\": \"alpha\"}]").unwrap();
    drop(house.open());
    let files = house.files();
    let [aside] = &house.take_aside()[..] else { panic!("{files:?}") };
    assert_eq!(files[aside], "[{\"component\": \"alpha\"}]");
    assert_eq!(house.files(), fresh(&script()));
}

#[test]
fn a_long_task_tells_its_attempts_and_that_it_was_aborted_and_has_an_end() {
    let (component, incident) = (id("web"), IncidentId(7));
    let failure = failure(FailureKind::Exited, "password=c4nary-1 is wrong");
    let mut facts = vec![
        boot(1, None, &["web"]),
        Fact::IncidentOpened { incident, component: component.clone(), failure, launches: 3, diff: None },
    ];
    let asked = |number: u32| {
        let who = Who::Agent("agent-k2".parse().unwrap());
        let attempt = Attempt { component: component.clone(), incident, number, who, name: None };
        let end = End::Declined { why: "no idea".to_owned() };
        let outcome = EffectOutcome::Attempted { end, spent: Spent::default() };
        done(u64::from(number), Effect::Attempt(attempt), outcome)
    };
    facts.extend(asked(1));
    let files = fresh(&[(Timestamp(0), facts.clone())]);
    assert!(!files.contains_key(long_task::NAME), "one round is none");

    let again = Fact::RoundBegan { incident, component: component.clone(), round: 2, until: Timestamp(0) };
    facts.push(again);
    facts.extend((2..=600).flat_map(asked));
    facts.push(Fact::ShutdownStarted { reason: "Ctrl-C".to_owned() });
    facts.push(Fact::BootEnded { boot: BootId(1) });
    let files = fresh(&[(Timestamp(5_500), facts)]);
    let records: serde_json::Value = serde_json::from_str(&files[long_task::NAME]).unwrap();
    let records = records.as_array().unwrap();
    assert_eq!(records.len(), long_task::KEPT);
    let last = &records[long_task::KEPT - 2..];
    let error = "password=[redacted-1] is wrong";
    let record = |aborted: bool| {
        serde_json::json!({
            "component": "web", "attempt": 600, "error": error, "patched": false, "aborted": aborted, "timestamp": 5.5,
        })
    };
    assert_eq!(last, [record(false), record(true)]);
    for text in [&files[long_task::NAME], &files[invocations::NAME]] {
        assert!(!text.contains("c4nary"));
    }
}

#[test]
fn the_timeline_tells_what_the_mission_log_says() {
    let house = House::with(&script());
    drop(house.open());
    let mut timeline = Timeline::default();
    let told: Vec<_> =
        house.ledger.replay(1).filter_map(|recorded| timeline.tell(&recorded.unwrap())).collect();
    let log = &house.files()[mission_log::NAME];
    assert_eq!(told.len(), log.lines().count());
    for (entry, line) in told.iter().zip(log.lines()) {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(
            (entry.event.as_str(), entry.status),
            (line["event"].as_str().unwrap(), line["status"].as_str().unwrap())
        );
        assert_eq!(
            (Some(entry.component.as_str()), entry.details.as_deref()),
            (line["component"].as_str(), line["details"].as_str())
        );
    }
    let lines: Vec<_> = told.iter().map(ToString::to_string).collect();
    assert_eq!(lines[1], "2026-11-21T01:41:37.750Z start store: success - ready after 240 ms");
    assert!(
        lines.contains(&"2026-11-21T01:41:41.750Z resolved broken: released - fixed | by hand\\n".to_owned())
    );
    let repaired = "2026-11-21T01:41:45.250Z resolved web: success - incident 1";
    assert_eq!(lines.iter().filter(|line| *line == repaired).count(), 1, "{lines:#?}");
    let ended = "2026-11-21T01:41:46.250Z shutdown system: success";
    assert_eq!(lines.iter().filter(|line| *line == ended).count(), 1, "{lines:#?}");
}

#[test]
fn projecting_turn_by_turn_is_projecting_all_at_once() {
    let script = script();
    let mut house = House::new();
    let mut views = house.open();
    for turn in &script {
        let recorded = house.record(std::slice::from_ref(turn));
        assert!(views.project(&recorded).unwrap().is_empty());
        assert!(views.project(&recorded).unwrap().is_empty(), "the same facts again change nothing");
    }
    assert_eq!(house.files(), fresh(&script));
}

#[test]
fn a_host_killed_after_any_turn_is_completed_by_the_next() {
    let script = script();
    let expected = fresh(&script);
    for n in 0..=script.len() {
        let mut house = House::with(&script[..n]);
        drop(house.open());
        house.record(&script[n..]);
        drop(house.open());
        assert_eq!(house.files(), expected, "killed after turn {n}");
    }
}

#[test]
fn facts_that_were_not_handed_over_are_read_from_the_ledger() {
    let script = script();
    let mut house = House::new();
    let mut views = house.open();
    let recorded = house.record(&script);
    assert!(views.project(&recorded[recorded.len() - 1..]).unwrap().is_empty());
    assert_eq!(house.files(), fresh(&script));
}

#[test]
fn a_log_cut_at_any_byte_is_completed() {
    let house = House::with(&short());
    drop(house.open());
    let expected = house.files();
    for name in LOGS {
        let path = house.root().join(name);
        for length in 0..expected[name].len() {
            OpenOptions::new().write(true).open(&path).unwrap().set_len(length as u64).unwrap();
            drop(house.open());
            assert_eq!(house.files(), expected, "{name} cut to {length} bytes");
        }
    }
}

#[test]
fn a_write_torn_at_any_byte_before_its_cursor_is_completed_and_nothing_is_kept_aside() {
    let script = short();
    let half = script.len() / 2;
    let mut house = House::with(&script[..half]);
    let views = house.open();
    let before = house.files();
    let save = "CREATE TEMP TABLE saved AS SELECT * FROM view_cursors";
    views.connection.execute_batch(save).unwrap();
    house.record(&script[half..]);
    drop(house.open());
    let expected = house.files();
    for name in LOGS {
        let path = house.root().join(name);
        let written = before.get(name).map_or(0, String::len);
        for length in written..=expected[name].len() {
            let back = "DELETE FROM view_cursors; INSERT INTO view_cursors SELECT * FROM saved";
            views.connection.execute_batch(back).unwrap();
            OpenOptions::new().write(true).open(&path).unwrap().set_len(length as u64).unwrap();
            drop(house.open());
            assert_eq!(house.files(), expected, "{name} torn at {length} bytes");
        }
    }
}

/// The bytes of all files that were kept aside, which are then removed.
fn take_kept(house: &House, name: &str) -> Vec<u8> {
    let mut kept = Vec::new();
    let dir = house.root().join(name).parent().unwrap().to_owned();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.to_string_lossy().contains(".torn-") {
            kept.extend(fs::read(&path).unwrap());
            fs::remove_file(path).unwrap();
        }
    }
    kept
}

#[test]
fn a_last_line_torn_at_any_byte_is_repaired_and_what_was_cut_is_kept() {
    let house = House::with(&short());
    drop(house.open());
    let expected = house.files();
    for name in LOGS {
        let path = house.root().join(name);
        let whole = expected[name].as_bytes();
        let last_line =
            whole[..whole.len() - 1].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        // What a power cut leaves: a line of the right length that ends in nothing, or in another file's bytes.
        for (at, junk) in (last_line..whole.len()).flat_map(|at| [(at, 0_u8), (at, b'#')]) {
            let mut torn = whole.to_vec();
            torn[at..].fill(junk);
            fs::write(&path, &torn).unwrap();
            drop(house.open());
            let kept = take_kept(&house, name);
            assert_eq!(kept, torn[last_line..], "{name} torn at byte {at}: the line as it was found");
            assert_eq!(house.files(), expected, "{name} torn at byte {at}");
        }
    }
}

#[test]
fn a_byte_changed_anywhere_in_a_view_is_made_good() {
    let house = House::with(&short());
    drop(house.open());
    let expected = house.files();
    for (name, text) in &expected {
        // A brief is archived as it was given, under a name that says which it is; nobody compares it.
        if name.starts_with(briefs::NAME) {
            continue;
        }
        for at in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[at] ^= 1;
            fs::write(house.root().join(name), &changed).unwrap();
            drop(house.open());
            let kept = take_kept(&house, name);
            assert_eq!(house.files(), expected, "{name}, byte {at}");
            if LOGS.contains(&name.as_str()) {
                assert!(changed.ends_with(&kept) && !kept.is_empty(), "{name}, byte {at}");
            }
        }
    }
}

#[test]
fn logs_of_facts_that_are_gone_are_written_anew() {
    let script = script();
    let house = House::with(&script);
    drop(house.open());
    // As after a repair or an older database: fewer facts, then others in their place.
    let keep = 12;
    house.rewind(keep);
    drop(house.open());
    assert!(!house.take_aside().is_empty());
    let mut shorter = House::new();
    let facts: Vec<_> = house.ledger_facts();
    for recorded in &facts {
        shorter.ledger.append(recorded.at, std::slice::from_ref(&recorded.fact)).unwrap();
    }
    drop(shorter.open());
    let (found, expected) = (house.files(), shorter.files());
    for name in LOGS.into_iter().chain([state::NAME]) {
        let text = |files: &BTreeMap<String, String>| files.get(name).cloned().unwrap_or_default();
        assert_eq!(text(&found), text(&expected), "{name}");
    }
}

#[test]
fn what_somebody_else_wrote_behind_ours_is_kept_aside() {
    let script = script();
    let half = applied(&script) + 1;
    let mut house = House::with(&script[..half]);
    let mut views = house.open();
    for name in LOGS {
        let mut file = OpenOptions::new().append(true).open(house.root().join(name)).unwrap();
        file.write_all(b"foreign\nlines").unwrap();
    }
    let recorded = house.record(&script[half..]);
    assert!(views.project(&recorded).unwrap().is_empty());
    let files = house.files();
    let aside = house.take_aside();
    assert_eq!(aside.len(), LOGS.len(), "{aside:?}");
    assert!(aside.iter().all(|name| files[name] == "foreign\nlines"), "{aside:?}");
    assert_eq!(house.files(), fresh(&script));

    drop(views);
    fs::write(house.root().join(LOGS[0]), "all new\n").unwrap();
    drop(house.open());
    assert_eq!(house.take_aside().len(), 1);
    assert_eq!(house.files(), fresh(&script));
}

#[test]
fn a_program_that_goes_on_writing_into_a_log_cannot_fill_the_disk_through_us() {
    let house = House::with(&script());
    for _ in 0..files::ASIDE + 5 {
        drop(house.open());
        let mut file = OpenOptions::new().append(true).open(house.root().join(mission_log::NAME)).unwrap();
        file.write_all(b"again\n").unwrap();
    }
    drop(house.open());
    assert_eq!(house.take_aside().len(), files::ASIDE);
    assert_eq!(house.files(), fresh(&script()));
}

#[test]
fn files_of_another_time_are_kept_before_the_first_of_ours() {
    let house = House::with(&script());
    for dir in ["logs", "quarantine"] {
        fs::create_dir_all(house.root().join(dir)).unwrap();
    }
    fs::write(house.root().join(state::NAME), "{\"events\": []}").unwrap();
    fs::write(house.root().join(mission_log::NAME), "{}\n").unwrap();
    fs::write(house.root().join("quarantine/other.json"), "{}").unwrap();
    fs::write(house.root().join("logs/.razar-razar_state.json.tmp"), "half").unwrap();
    drop(house.open());
    let files = house.files();
    let aside = house.take_aside();
    let kept: Vec<_> = aside.iter().map(|name| files[name].as_str()).collect();
    assert_eq!(kept, ["{}\n", "{\"events\": []}"], "{aside:?}");
    let mut expected = fresh(&script());
    expected.insert("quarantine/other.json".to_owned(), "{}".to_owned());
    assert_eq!(house.files(), expected);
}

#[test]
fn deleted_files_and_directories_come_back() {
    let script = script();
    let expected = fresh(&script);
    let house = House::with(&script);
    drop(house.open());
    for name in expected.keys() {
        fs::remove_file(house.root().join(name)).unwrap();
        drop(house.open());
        assert_eq!(house.files(), expected, "{name} was deleted");
    }
    fs::remove_dir_all(house.root()).unwrap();
    let mut views = house.open();
    assert_eq!(house.files(), expected);
    house.clear();
    assert!(views.rebuild().unwrap().is_empty());
    assert_eq!(house.files(), expected);
}

#[test]
fn files_deleted_while_the_host_runs_come_back_with_the_next_turn() {
    let script = script();
    let (last, before) = script.split_last().unwrap();
    let mut house = House::with(before);
    let mut views = house.open();
    house.clear();
    let recorded = house.record(std::slice::from_ref(last));
    assert!(views.project(&recorded).unwrap().is_empty());
    assert_eq!(house.files(), fresh(&script));
}

#[test]
fn a_directory_that_was_moved_away_finds_its_place_empty_when_it_is_put_back() {
    let script = script();
    let (last, before) = script.split_last().unwrap();
    let mut house = House::with(before);
    let mut views = house.open();
    let away = house.dir.path().join("away");
    fs::rename(house.root(), &away).unwrap();
    let recorded = house.record(std::slice::from_ref(last));
    assert!(!views.project(&recorded).unwrap().is_empty(), "the files are behind");
    assert!(!house.root().exists());
    fs::rename(&away, house.root()).unwrap();
    assert!(views.project(&[]).unwrap().is_empty());
    assert_eq!(house.files(), fresh(&script));
}

#[test]
fn a_view_that_cannot_be_written_is_named_and_completed_later() {
    let script = script();
    let mut house = House::new();
    let mut views = house.open();
    fs::create_dir_all(house.root()).unwrap();
    fs::write(house.root().join("logs"), "in the way").unwrap();
    for turn in &script {
        let recorded = house.record(std::slice::from_ref(turn));
        let behind = views.project(&recorded).unwrap();
        assert!(behind.iter().all(|behind| behind.view.starts_with("logs/")), "{behind:?}");
        let log = behind.iter().find(|behind| behind.view == mission_log::NAME).unwrap().to_string();
        assert!(log.starts_with("`logs/razar.log` is behind: cannot create the directory"), "{log}");
    }
    assert!(house.files().contains_key("quarantine/web.json"), "the others go on");
    fs::remove_file(house.root().join("logs")).unwrap();
    assert!(views.project(&[]).unwrap().is_empty());
    assert_eq!(house.files(), fresh(&script));
}

#[test]
fn a_full_disk_is_named_and_the_log_completed_when_there_is_space() {
    let script = script();
    let mut house = House::new();
    let mut views = house.open();
    let log = house.root().join(mission_log::NAME);
    fs::create_dir_all(log.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink("/dev/full", &log).unwrap();
    let recorded = house.record(&script);
    for _ in 0..3 {
        let behind = views.project(&recorded).unwrap();
        let [Behind { view: mission_log::NAME, error: ViewError::Io { source, .. } }] = behind else {
            panic!("{behind:?}")
        };
        assert_eq!(source.kind(), std::io::ErrorKind::StorageFull);
    }
    fs::remove_file(&log).unwrap();
    assert!(views.project(&[]).unwrap().is_empty());
    assert_eq!(house.files(), fresh(&script));
}

#[test]
fn views_may_live_on_a_thread_of_their_own() {
    let script = script();
    let mut house = House::new();
    let mut views = house.open();
    let (sender, receiver) = std::sync::mpsc::channel::<Vec<Recorded>>();
    let thread = std::thread::spawn(move || {
        for recorded in receiver {
            assert!(views.project(&recorded).unwrap().is_empty());
        }
    });
    for turn in &script {
        sender.send(house.record(std::slice::from_ref(turn))).unwrap();
    }
    drop(sender);
    thread.join().unwrap();
    assert_eq!(house.files(), fresh(&script));
}

#[test]
fn a_missing_brief_is_named_and_written_when_it_is_there() {
    let dir = TempDir::new().unwrap();
    let mut ledger = Ledger::open(dir.path()).unwrap();
    let recorded = ledger.append(Timestamp(0), &[boot(1, None, &["a"])]).unwrap();
    let mut views = Views::open(&ledger, dir.path()).unwrap();
    let behind = views.project(&recorded).unwrap();
    assert!(matches!(behind, [Behind { view: briefs::NAME, error: ViewError::Brief(_) }]), "{behind:?}");
    ledger.put_blob(BRIEF).unwrap();
    assert!(views.project(&[]).unwrap().is_empty());
    assert_eq!(
        fs::read(dir.path().join("logs/mission_briefs/boot_1970-01-01T00-00-00Z.json")).unwrap(),
        BRIEF
    );
}

#[test]
fn growing_files_are_rotated_the_same_way_however_often_the_host_is_killed() {
    const SEGMENT: u64 = 700;
    let script = script();
    let open = |house: &House| {
        let views = Views::with_segments(&house.ledger, &house.root(), SEGMENT).unwrap();
        assert!(views.behind().is_empty(), "{:?}", views.behind());
    };
    let whole = House::with(&script);
    open(&whole);
    let expected = whole.files();
    let segments: Vec<_> = expected.keys().filter(|name| name.starts_with("logs/razar.log")).collect();
    assert_eq!(segments.len() as u64, 1 + append::KEPT, "{segments:?}");
    for n in 0..=script.len() {
        let mut house = House::with(&script[..n]);
        open(&house);
        house.record(&script[n..]);
        open(&house);
        assert_eq!(house.files(), expected, "killed after turn {n}");
    }
    // A crash between setting a full segment aside and saying so.
    let path = whole.root().join(mission_log::NAME);
    fs::rename(&path, whole.root().join("logs/razar.log.99")).unwrap();
    open(&whole);
    assert_eq!(fs::read_to_string(path).unwrap(), expected[mission_log::NAME]);
}

#[test]
fn whatever_is_shown_is_bounded() {
    let mut turns = Vec::new();
    for n in 0..300 {
        let failed = |attempt| Fact::Failed {
            component: id("a"),
            instance: None,
            attempt,
            failure: failure(FailureKind::NotStarted, "x"),
        };
        let mut facts = vec![boot(n, Some("m"), &["a"])];
        facts.extend((0..5).map(failed));
        turns.push((Timestamp(n * 500), facts));
    }
    let files = fresh(&turns);
    let read = |name: &str| serde_json::from_str::<serde_json::Value>(&files[name]).unwrap();
    assert_eq!(read(state::NAME)["events"].as_array().unwrap().len(), state::EVENTS);
    assert_eq!(read(HISTORY)["history"].as_array().unwrap().len(), runs::KEPT);
    let briefs: Vec<_> = files.keys().filter(|name| name.starts_with(briefs::NAME)).collect();
    assert_eq!(briefs.len(), briefs::KEPT, "two boots within a second have a brief each: {briefs:?}");
}

#[test]
fn a_history_of_large_boots_keeps_fewer_of_them() {
    let mut turns = Vec::new();
    let names: Vec<_> = (0..3000).map(|n| id(&format!("c{n}"))).collect();
    for n in 0..10 {
        let mut facts = vec![boot(n, None, &[])];
        facts.extend(names.iter().map(|component| Fact::Ready {
            component: component.clone(),
            instance: InstanceId(1),
            took: Millis(1),
        }));
        facts.push(Fact::BootEnded { boot: BootId(n) });
        turns.push((Timestamp(n * 1000), facts));
    }
    let files = fresh(&turns);
    let read = |name: &str| serde_json::from_str::<serde_json::Value>(&files[name]).unwrap();
    assert_eq!(read(HISTORY)["history"].as_array().unwrap().len(), runs::ROWS / 3000);
    assert_eq!(read(state::NAME)["history"].as_array().unwrap().len(), state::EVENTS);
}

#[test]
fn no_text_of_others_breaks_a_file() {
    let evil = "a\r\nb\n2026-11-21 01:41:37,000 INFO All components launched\n\u{1b}[2J\u{9b}1m|</td>\u{2028}\u{202e}\"}\\";
    let failure = || failure(FailureKind::Exited, evil);
    let web = id("web");
    let facts = vec![
        boot(1, Some(evil), &["web"]),
        Fact::BootResumed { boot: BootId(1), host: evil.to_owned(), ledger: None, long_task: false },
        Fact::Failed { component: web.clone(), instance: None, attempt: 1, failure: failure() },
        Fact::HealthChanged {
            component: web.clone(),
            phase: Phase::Liveness,
            healthy: false,
            summary: evil.to_owned(),
        },
        Fact::Quarantined {
            component: web.clone(),
            reason: QuarantineReason::Operator,
            failure: failure(),
            attempts: 1,
        },
        Fact::Released { component: web.clone(), note: Some(evil.to_owned()) },
        Fact::Quarantined {
            component: web.clone(),
            reason: QuarantineReason::Probation,
            failure: failure(),
            attempts: 1,
        },
        Fact::ShutdownStarted { reason: evil.to_owned() },
        Fact::BootHalted { boot: BootId(1), component: web, reason: evil.to_owned() },
    ];
    let files = fresh(&[(Timestamp(0), facts)]);
    for (name, text) in &files {
        if name.starts_with(briefs::NAME) {
            continue;
        }
        let bad =
            text.chars().find(|c| *c != '\n' && (c.is_control() || matches!(c, '\u{2028}' | '\u{202e}')));
        assert_eq!(bad, None, "{name}");
    }
    let boot_log = &files[boot_log::NAME];
    assert!(boot_log.lines().all(|line| line.starts_with("1970-01-01 00:00:00,000 ")), "{boot_log}");
    assert!(!boot_log.lines().any(|line| line.ends_with("All components launched")), "{boot_log}");
    for line in files[mission_log::NAME].lines() {
        assert!(serde_json::from_str::<serde_json::Value>(line).unwrap().is_object());
    }
    let rows = files[quarantine_log::NAME].strip_prefix(quarantine_log::HEADER).unwrap();
    for row in rows.lines() {
        assert_eq!(row.replace("\\|", "").matches('|').count(), 5, "{row}");
    }
    let file: serde_json::Value = serde_json::from_str(&files["quarantine/web.json"]).unwrap();
    assert_eq!(file["error"], evil);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn any_facts_can_be_shown_interrupted_and_resumed(
        turns in prop::collection::vec((0..u64::MAX / 2, crate::arbitrary::turn()), 0..6),
        killed in 0..6_usize,
    ) {
        let turns: Vec<Turn> = turns.into_iter().map(|(at, facts)| (Timestamp(at), facts)).collect();
        // Briefs of random digests are in no ledger: that view is behind, the others are not.
        let open = |house: &House| drop(Views::open(&house.ledger, &house.root()).unwrap());
        let whole = House::with(&turns);
        open(&whole);
        let killed = killed.min(turns.len());
        let mut house = House::with(&turns[..killed]);
        open(&house);
        house.record(&turns[killed..]);
        open(&house);
        prop_assert_eq!(house.files(), whole.files());
        for line in whole.files().get(mission_log::NAME).into_iter().flat_map(|log| log.lines()) {
            prop_assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "{}", line);
        }
    }
}
