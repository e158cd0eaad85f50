//! The stack that is killed, and what must hold: no fact that anybody has seen is lost, the chain is whole, the files are
//! those of a fresh projection, every open effect was looked for in the world, nothing ran twice, nothing is left.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use razar_tests::artifact;
use razar_tests::scene::{Ended, Run, Scene};
use serde_json::{Value, json};

use crate::load::{Acknowledged, Load, ask};

/// The files that are views of the facts.
const VIEWS: [&str; 10] = [
    "logs/razar.log",
    "logs/boot_orchestrator.log",
    "docs/quarantine_log.md",
    "logs/razar_ai_invocations.json",
    "monitoring/self_healing_ledger",
    "logs/razar_state.json",
    "logs/razar_boot_history.json",
    "monitoring/boot_metrics.prom",
    "logs/mission_briefs",
    "quarantine",
];

const COMPONENTS: [&str; 4] = ["store", "page", "flappy", "weak"];

/// See the module.
pub(crate) struct Stage {
    pub(crate) scene: Scene,
    /// Where places are armed, and faults planned.
    pub(crate) places: PathBuf,
    seen: RefCell<Seen>,
}

/// What the files said while nobody was there to complete them.
#[derive(Default)]
struct Seen {
    /// The newest fact, as the state file named it.
    anchors: BTreeSet<(u64, String)>,
    log: String,
}

/// What a stage has lived through.
pub(crate) struct Story {
    facts: usize,
    /// Effects that a crash left open.
    pub(crate) unknown: usize,
    launches: usize,
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { facts, unknown, launches } = self;
        write!(f, "{facts} facts, {unknown} effects left open and looked for, {launches} launches")
    }
}

impl Stage {
    pub(crate) fn new() -> Self {
        let scene = Scene::new();
        let patient = json!({ "retries": 1000, "backoff": "10 ms", "backoff_max": "50 ms" });
        let health = json!({ "address": scene.url("flappy"), "interval": "100 ms", "deadline": "60 s" });
        // One that a plugin is asked about which keeps values.
        let wish = scene.write("wish", "be well\n");
        let kept = json!({ "probe": "probe-odd", "log": wish, "interval": "100 ms", "deadline": "60 s" });
        let store = scene.web("store", json!({ "restart": patient }));
        let page = scene.web("page", json!({ "depends_on": ["store"], "restart": patient }));
        let flappy = scene.web("flappy", json!({ "restart": patient, "health": health }));
        let weak = scene.web("weak", json!({ "restart": { "retries": 0 }, "health": kept }));
        scene.stack(&["all"], &[store, page, flappy, weak]);
        scene.write("grants.toml", "[probe-odd]\nkeyvalue = { calls = { keys = 1 } }\n");
        scene.write("brief.json", "{\"priority_map\": {}}");
        let places = scene.path("places");
        fs::create_dir(&places).unwrap();
        Self { scene, places, seen: RefCell::default() }
    }

    /// A host that says every fact it has committed.
    pub(crate) fn run(&self) -> Run<'_> {
        self.scene.begin(&mut self.command())
    }

    /// The command line of such a host.
    pub(crate) fn command(&self) -> Command {
        let guests = artifact::guests().display().to_string();
        let more = ["--plugins", &guests, "--grants", "grants.toml", "--brief", "brief.json"];
        let more = [more.as_slice(), &["--failure-limit", "1000000", "--witness", "witness.jsonl"]].concat();
        let mut command = self.scene.run_command_as("json", &more);
        command.env("RAZAR_FAILPOINTS", &self.places);
        command
    }

    /// What goes on meanwhile.
    pub(crate) fn load(&self, seed: u64) -> Load {
        Load::begin(&self.scene.path(""), seed)
    }

    /// Whoever comes to this place after `left` others dies there.
    pub(crate) fn arm(&self, place: &str, left: u32) {
        let aside = self.places.join("arming");
        fs::write(&aside, left.to_string()).unwrap();
        fs::rename(aside, self.places.join(place)).unwrap();
    }

    /// Somebody died at the armed place; said once.
    pub(crate) fn has_fired(&self) -> bool {
        fs::remove_file(self.places.join("fired")).is_ok()
    }

    /// Right after a kill: what is replaced as a whole is whole, what only grows has grown.
    pub(crate) fn look(&self) {
        for path in files(&self.scene.state()) {
            // Lines, whatever the name says: the last one may be torn until the next start.
            let is_log = path.ends_with("razar_ai_invocations.json");
            if path.extension().is_some_and(|extension| extension == "json")
                && !is_log
                && let Ok(text) = fs::read_to_string(&path)
            {
                let read = serde_json::from_str::<Value>(&text);
                assert!(read.is_ok(), "{} is half-written: {text}", path.display());
            }
        }
        let mut seen = self.seen.borrow_mut();
        if let Ok(state) = serde_json::from_str::<Value>(&self.scene.file("logs/razar_state.json")) {
            let hash = state["ledger"]["hash"].as_str().expect("an anchor").to_owned();
            seen.anchors.insert((state["ledger"]["seq"].as_u64().expect("an anchor"), hash));
        }
        let log = self.scene.file("logs/razar.log");
        let whole = log.rfind('\n').map_or("", |end| &log[..=end]);
        assert!(whole.starts_with(&seen.log), "lines of `razar.log` were lost or changed");
        whole.clone_into(&mut seen.log);
    }

    /// Everybody is up, and each once.
    pub(crate) fn settle(&self) {
        let _ = fs::remove_file(self.scene.path("flappy.sick"));
        let state = self.scene.state();
        self.scene.until("everything is ready, and each runs once", || {
            let Some(answer) = ask(&state, &json!({ "kind": "status" })) else { return false };
            let Some(all) = answer["status"]["components"].as_array() else { return false };
            let mut pids = BTreeSet::new();
            for one in all {
                let component = one["component"].as_str().unwrap();
                match one["state"].as_str() {
                    Some("ready") => drop(pids.insert(one["pid"].as_u64())),
                    Some("quarantined") => {
                        ask(&state, &json!({ "kind": "release", "component": component }));
                    }
                    Some("stopped") => drop(ask(&state, &json!({ "kind": "start", "component": component }))),
                    _ => {}
                }
            }
            let running = self.scene.running().into_iter().map(|pid| Some(u64::from(pid)));
            pids.len() == COMPONENTS.len() && running.collect::<BTreeSet<_>>() == pids
        });
        self.nothing_twice();
    }

    fn nothing_twice(&self) {
        let events = self.scene.events();
        let twice: Vec<_> = events.iter().filter(|event| event.word == "twice").collect();
        assert!(twice.is_empty(), "two of one lived: {twice:?}{}", self.scene.story());
        let mut launches = BTreeSet::new();
        for start in events.iter().filter(|event| event.word == "start") {
            assert!(launches.insert(&start.marker), "an effect was done twice: {start:?}");
        }
    }

    /// Ends it all and checks what was promised.
    pub(crate) fn finish(&self, host: Run<'_>, acknowledged: &Acknowledged) -> Story {
        self.settle();
        self.look();
        let ended = host.terminate();
        assert_eq!(ended.code, Some(0), "{}", self.scene.story());
        self.nothing_twice();
        self.nothing_left();
        let facts = self.facts();
        self.nothing_lost(&facts, acknowledged);
        let unknown = self.nothing_open(&facts);
        self.as_if_never_killed();
        let launches = self.scene.order("start").len();
        Story { facts: facts.len(), unknown, launches }
    }

    fn tell(&self, words: &[&str]) -> Ended {
        let state = self.scene.state().display().to_string();
        self.scene.host(&[words, &["--state", &state]].concat())
    }

    fn nothing_left(&self) {
        assert!(self.scene.running().is_empty(), "left running: {:?}", self.scene.running());
        self.scene.until("the launcher ends", || self.scene.launcher().is_none());
        for path in files(&self.scene.state()) {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            assert!(
                !name.ends_with(".tmp") && !name.starts_with(".razar"),
                "half-written: {}",
                path.display()
            );
        }
        let run: Vec<_> = fs::read_dir(self.scene.state().join("run")).unwrap().flatten().collect();
        assert!(run.is_empty(), "records and pipes of nobody: {run:?}");
    }

    fn facts(&self) -> BTreeMap<u64, Value> {
        let witness = self.scene.path("witness.jsonl").display().to_string();
        let verified = self.tell(&["log", "verify", "--output", "json", "--witness", &witness]);
        assert_eq!(verified.code, Some(0), "{}{}", verified.out, verified.err);
        let told = self.tell(&["log", "tail", "--from", "1", "-n", "1000000", "--output", "json"]);
        assert_eq!(told.code, Some(0), "{}", told.err);
        let facts: BTreeMap<_, _> =
            told.json().into_iter().map(|fact| (fact["seq"].as_u64().unwrap(), fact)).collect();
        let last = facts.last_key_value().map(|(seq, _)| *seq);
        assert_eq!(Some(facts.len() as u64), last, "no gaps");
        facts
    }

    fn nothing_lost(&self, facts: &BTreeMap<u64, Value>, acknowledged: &Acknowledged) {
        let mut printed = 0;
        for path in
            files(&self.scene.path("")).iter().filter(|path| path.extension().is_some_and(|e| e == "out"))
        {
            let text = fs::read_to_string(path).unwrap();
            for line in text.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
                let event: Value = serde_json::from_str(line).unwrap_or_default();
                let Some(seq) = event["seq"].as_u64() else { continue };
                let fact = facts.get(&seq).unwrap_or_else(|| panic!("printed and lost: {line}"));
                assert!(
                    ["at", "fact"].iter().all(|key| fact[key] == event[key]),
                    "printed and changed: {line}{fact}"
                );
                printed += 1;
            }
        }
        assert!(printed > 0, "the hosts have printed what they recorded");
        for (seq, hash) in &self.seen.borrow().anchors {
            let known = *seq == 0
                || facts.get(seq).is_some_and(|fact| fact["hash"].as_str().unwrap().ends_with(hash));
            assert!(known, "the state file named fact {seq}, {hash}");
        }
        for (kind, count) in acknowledged {
            let recorded = facts.values().filter(|fact| fact["fact"]["fact"] == **kind).count();
            assert!(recorded >= *count, "{count} × {kind} were confirmed, {recorded} are recorded");
        }
    }

    /// Every effect that was begun has ended, or was looked for in the world; says how many were looked for.
    fn nothing_open(&self, facts: &BTreeMap<u64, Value>) -> usize {
        let ids = |kind: &str| -> BTreeSet<u64> {
            let of_kind = facts.values().filter(|fact| fact["fact"]["fact"] == kind);
            of_kind.map(|fact| fact["fact"]["id"].as_u64().unwrap()).collect()
        };
        let (started, finished, unknown) =
            (ids("effect_started"), ids("effect_finished"), ids("effect_unknown"));
        let open: Vec<_> =
            started.iter().filter(|id| !finished.contains(id) && !unknown.contains(id)).collect();
        assert!(open.is_empty(), "neither ended nor looked for: {open:?}");
        unknown.len()
    }

    /// The views are moved away, in a copy, and made anew from the facts.
    fn as_if_never_killed(&self) {
        let copy = self.scene.path("copy");
        fs::create_dir(&copy).unwrap();
        fs::copy(self.scene.state().join("razar.db"), copy.join("razar.db")).unwrap();
        // It opens the directory as its host does, and adds no fact.
        let made = self.scene.host(&["stop", "--state", &copy.display().to_string()]);
        assert_eq!(made.code, Some(0), "{}", made.err);
        for view in VIEWS {
            let (own, fresh) = (self.scene.state().join(view), copy.join(view));
            assert_eq!(read(&own), read(&fresh), "{view} is not what the facts say");
        }
    }
}

/// Every file below a directory, or the file itself, by its path from there.
fn read(path: &Path) -> BTreeMap<PathBuf, String> {
    let ours = |file: &PathBuf| !file.to_string_lossy().contains(".torn-");
    let files = files(path).into_iter().filter(ours);
    files
        .map(|file| {
            let text = String::from_utf8_lossy(&fs::read(&file).unwrap()).into_owned();
            (file.strip_prefix(path).unwrap().to_owned(), text)
        })
        .collect()
}

/// Every regular file at or below a path; what vanishes meanwhile was not there.
fn files(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| !kind.is_symlink()))
        .flat_map(|entry| files(&entry.path()))
        .collect()
}
