//! A component is repaired, and the repair taken back, again and again, while whoever does it is killed: the host at every step
//! of an incident, the launcher, and whoever changes files. Whatever was killed: all files are as before or all as the patch
//! leaves them whenever the component is started and when everything rests, no incident is left open, and nobody was asked
//! more often than the incidents say.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use razar_tests::model::ModelServer;
use razar_tests::process::{self, kill};
use razar_tests::scene::{Run, Scene};
use razar_tests::{trace, wait};
use serde_json::{Value, json};

use crate::load::{ask, random};
use crate::long;

const KEY: &str = "c4nary-key-0123456789";

/// Attempts in one incident: as many as the plan may allow, because a killed one counts.
const ATTEMPTS: usize = 20;

/// A file's name, and what is in it before and after.
type File = (&'static str, Option<&'static str>, Option<&'static str>);

/// The files of the patch.
const FILES: [File; 5] = [
    (
        "shop.py",
        Some("SIDE = 1\n\n\ndef total(items):\n    return sum(items[1:])\n"),
        Some("SIDE = 2\n\n\ndef total(items):\n    return sum(items)\n"),
    ),
    ("lib/util.py", Some("SIDE = 1\n"), Some("SIDE = 2\n")),
    ("lib/old.py", Some("SIDE = 1\n"), None),
    ("lib/new.py", None, Some("SIDE = 2\n")),
    ("zzz.py", Some("SIDE = 1\n"), Some("SIDE = 2\n")),
];

/// Looks at its files before anything else, and notes when they are not of one side.
const SERVE: &str = r#"
import http.server, os, re

def side(name):
    try:
        return int(re.search(r"SIDE = (\d)", open(name).read())[1])
    except FileNotFoundError:
        return {"lib/old.py": 2, "lib/new.py": 1}[name]

sides = {name: side(name) for name in ["shop.py", "lib/util.py", "lib/old.py", "lib/new.py", "zzz.py"]}
if len(set(sides.values())) != 1:
    open(os.environ["SCENE"] + "/mixed", "a").write(repr(sides) + "\n")

import shop

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        well = self.path == "/alive" or shop.total([1, 2, 3]) == 6
        self.send_response(200 if well else 500)
        self.end_headers()

    def log_message(self, *_):
        pass

http.server.HTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Handler).serve_forever()
"#;

/// Which files there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Before,
    After,
}

struct Shop {
    scene: Scene,
    model: ModelServer,
    places: PathBuf,
}

impl Shop {
    fn new() -> Self {
        let scene = Scene::new();
        let mut answer = String::new();
        for (path, _, after) in FILES {
            answer.push_str(&match after {
                Some(text) => format!("FILE: {path}\n```python\n{text}```\n"),
                None => format!("DELETE: {path}\n"),
            });
        }
        let model = ModelServer::start(&scene, &json!({ "turns": [{ "say": answer }] }), KEY);
        model.grant(&scene, model.endpoint(), "m-1");
        scene.write("shop/serve.py", SERVE);
        for (path, before, _) in FILES {
            if let Some(text) = before {
                scene.write(&format!("shop/{path}"), text);
            }
        }
        let url = scene.url("shop");
        let component = json!({
            "id": "shop", "workdir": "shop", "entrypoint": ["python3", "-B", "-S", "serve.py"],
            "env": { "HOST": scene.address(), "PORT": scene.port("shop").to_string(), "SCENE": scene.path("") },
            "restart": { "retries": 0 },
            "patch": { "deletions": true },
            "probes": {
                "startup": { "address": format!("{url}alive"), "interval": "20 ms", "deadline": "60 s", "timeout": "30 s" },
                "liveness": { "address": format!("{url}healthz"), "interval": "50 ms", "failures": 1, "timeout": "30 s" },
            },
            "repair": { "agents": ["agent-openai"], "attempts": ATTEMPTS, "evaluators": [], "hold": "1 ms", "canary": "100 ms" },
        });
        scene.stack(&["all"], &[component]);
        let places = scene.path("places");
        fs::create_dir(&places).unwrap();
        Self { scene, model, places }
    }

    fn run(&self) -> Run<'_> {
        let mut command = self.scene.run_command(&["--grants", "grants.toml", "--failure-limit", "1000000"]);
        self.scene.begin(command.env("MODEL_KEY", KEY).env("RAZAR_FAILPOINTS", &self.places))
    }

    /// Whoever comes to this place after `left` others dies there.
    fn arm(&self, place: &str, left: u32) {
        let aside = self.places.join("arming");
        fs::write(&aside, left.to_string()).unwrap();
        fs::rename(aside, self.places.join(place)).unwrap();
    }

    /// Somebody died at the armed place; said once.
    fn has_fired(&self) -> bool {
        fs::remove_file(self.places.join("fired")).is_ok()
    }

    /// An operator who takes back every repair that held, and lets out whoever was given up.
    fn operate(&self) -> Operator {
        let (over, state) = (Arc::new(AtomicBool::new(false)), self.scene.state());
        let told = Arc::clone(&over);
        let thread = std::thread::spawn(move || {
            while !told.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(20));
                let about = json!({ "component": "shop" });
                let said = |kind: &str| {
                    let mut request = about.clone();
                    request["kind"] = json!(kind);
                    ask(&state, &request)
                };
                match state_of(&state).as_deref() {
                    Some("quarantined") => drop(said("release")),
                    Some("ready") => drop(said("roll_back")),
                    _ => {}
                }
            }
        });
        Operator { over, thread }
    }

    /// The newest repair has held and nothing is under way: with its bug the component is never at rest.
    fn rest(&self) {
        let state = self.scene.state();
        self.scene.until("the repair holds and nothing is under way", || {
            let is = state_of(&state);
            if is.as_deref() == Some("quarantined") {
                drop(ask(&state, &json!({ "kind": "release", "component": "shop" })));
            }
            is.as_deref() == Some("ready") && self.side() == Some(Side::After) && self.open_incidents() == 0
        });
    }

    fn open_incidents(&self) -> usize {
        let mut open = 0_usize;
        for fact in self.facts() {
            match fact["fact"]["fact"].as_str() {
                Some("incident_opened") => open += 1,
                Some("rollback_requested") if open == 0 => open = 1,
                Some("incident_closed") => open = open.saturating_sub(1),
                _ => {}
            }
        }
        open
    }

    fn facts(&self) -> Vec<Value> {
        let state = self.scene.state().display().to_string();
        let words = ["log", "tail", "--from", "1", "-n", "1000000", "--output", "json", "--state", &state];
        let told = self.scene.host(&words);
        assert_eq!(told.code, Some(0), "{}", told.err);
        told.json()
    }

    /// All of them as before, or all as the patch leaves them; none when they are mixed.
    fn side(&self) -> Option<Side> {
        let is = |pick: fn(&File) -> Option<&'static str>| {
            FILES.iter().all(|file| {
                let path = self.scene.path("shop").join(file.0);
                fs::read_to_string(path).ok().as_deref() == pick(file)
            })
        };
        if is(|file| file.1) { Some(Side::Before) } else { is(|file| file.2).then_some(Side::After) }
    }

    /// Files that were put beside others while they were replaced.
    fn aside(&self) -> Vec<PathBuf> {
        let dirs = [self.scene.path("shop"), self.scene.path("shop/lib")];
        dirs.iter().flat_map(|dir| trace::named(dir, ".razar-patch-")).collect()
    }

    /// Ends it all, and checks what was promised.
    fn finish(&self, host: Run<'_>, kills: usize) {
        self.rest();
        assert_eq!(self.aside(), Vec::<PathBuf>::new());
        let ended = host.terminate();
        assert_eq!(ended.code, Some(0), "{}", self.scene.story());
        let mixed = fs::read_to_string(self.scene.path("mixed")).unwrap_or_default();
        assert_eq!(mixed, "", "the component was started on files of two sides");
        let state = self.scene.state().display().to_string();
        let verified = self.scene.host(&["log", "verify", "--state", &state]);
        assert_eq!(verified.code, Some(0), "{}{}", verified.out, verified.err);
        let facts = self.facts();
        let of = |kind: &str| facts.iter().filter(|fact| fact["fact"]["fact"] == kind).count();
        let count = |kind: &str| {
            let begun = |fact: &&Value| fact["fact"]["effect"][kind].is_object();
            facts.iter().filter(|fact| fact["fact"]["fact"] == "effect_decided").filter(begun).count()
        };
        let (attempts, asked) = (count("attempt"), self.model.requests().len());
        assert!(asked <= attempts, "asked {asked} times in {attempts} attempts");
        let mut per_incident = BTreeMap::<u64, usize>::new();
        for fact in &facts {
            if let Some(incident) = fact["fact"]["effect"]["attempt"]["incident"].as_u64() {
                *per_incident.entry(incident).or_default() += 1;
            }
        }
        assert!(per_incident.values().all(|times| *times <= ATTEMPTS), "{per_incident:?}");
        let (finished, unknown) = (of("effect_finished"), of("effect_unknown"));
        assert_eq!(of("effect_started"), finished + unknown, "neither ended nor looked for");
        assert!(trace::named(&self.scene.state().join("trials"), "").is_empty(), "trials are left");
        eprintln!(
            "{kills} kills: {attempts} attempts, {asked} questions, {} patches put in place, {} taken back, {unknown} effects \
             left open and looked for, 0 mixed trees",
            count("apply"),
            count("revert"),
        );
    }
}

/// What a host says of the component; none while no host answers.
fn state_of(state: &std::path::Path) -> Option<String> {
    let answer = ask(state, &json!({ "kind": "status" }))?;
    answer["status"]["components"][0]["state"].as_str().map(str::to_owned)
}

struct Operator {
    over: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Operator {
    fn end(self) {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().expect("it does not panic");
    }
}

/// Places of a host in an incident, and how many come there before it is killed: it asks and tries, applies, and takes back.
const HOSTS: &[(&str, u32)] = &[
    ("effect.mending", 0),
    ("effect.mending", 1),
    ("effect.mending", 2),
    ("effect.mended", 0),
    ("effect.mended", 1),
    ("effect.mended", 2),
    ("blobs.keeping", 0),
    ("blobs.kept", 0),
    ("recording.begun", 0),
    ("recording.synced", 0),
    ("recording.named", 1),
    ("turn.decided", 5),
    ("turn.told", 6),
    ("facts.committing", 7),
];

/// Places of whoever changes files for it: he dies, and the host goes on.
const MENDERS: &[(&str, u32)] = &[
    ("patch.staged", 1),
    ("patch.swapped", 0),
    ("patch.swapped", 5),
    ("patch.put", 0),
    ("patch.taken", 0),
    ("patch.moved", 0),
    ("patch.swept", 1),
];

#[test]
fn whoever_is_killed_at_any_step_of_a_repair_no_tree_is_mixed() {
    let shop = Shop::new();
    let mut host = shop.run();
    let operator = shop.operate();
    let mut kills = 0;
    for round in 0..if long() { 8 } else { 1 } {
        for (place, left) in HOSTS.iter().chain(MENDERS) {
            shop.arm(place, left + round);
            let fired = wait::first(|| shop.has_fired().then_some(()));
            assert!(fired.is_some(), "nobody came to `{place}`{}", shop.scene.story());
            if MENDERS.contains(&(place, *left)) {
                assert!(!host.has_ended(), "the host died of `{place}`{}", shop.scene.story());
            } else {
                assert!(wait::first(|| host.has_ended().then_some(())).is_some(), "it survived `{place}`");
                host = shop.run();
            }
            kills += 1;
        }
    }
    operator.end();
    shop.finish(host, kills);
}

#[test]
fn whoever_is_killed_at_any_moment_of_a_repair_no_tree_is_mixed() {
    let (rounds, mut seed) = (if long() { 150 } else { 10 }, 0x9e37_79b9_7f4a_7c15_u64);
    let shop = Shop::new();
    let mut host = shop.run();
    let operator = shop.operate();
    let mut kills = 0;
    for _ in 0..rounds {
        let whom = random(&mut seed) % 4;
        // Not a wait for something: the moment is what is tried.
        std::thread::sleep(Duration::from_millis(random(&mut seed) % 1_500));
        if whom == 0 || whom == 3 {
            shop.scene.launcher().into_iter().for_each(kill);
        }
        if whom == 1 {
            // Whoever changes files, or holds a trial, if somebody does.
            menders(&shop.scene).into_iter().for_each(kill);
        }
        if whom >= 2 {
            host.kill();
            host = shop.run();
        }
        kills += 1;
    }
    operator.end();
    shop.finish(host, kills);
}

fn menders(scene: &Scene) -> Vec<u32> {
    let state = scene.state().display().to_string();
    let ours = |pid: &u32| {
        let words = process::words(*pid);
        words.get(1).is_some_and(|word| ["mend", "hold-trial"].contains(&word.as_str()))
            && words.iter().any(|word| word.starts_with(&state))
    };
    process::all().into_iter().filter(ours).collect()
}

/// Places of whoever changes files, in the order in which they come.
const STEPS: &[&str] = &[
    "patch.checked",
    "patch.created",
    "patch.written",
    "patch.dressed",
    "patch.synced",
    "patch.staged",
    "patch.swapped",
    "patch.put",
    "patch.taken",
    "patch.moved",
    "patch.swept",
];

/// The hidden command that a host has changed files by, with the host's own ledger, killed at each of its steps and at moments
/// nobody chose, one after the other on the same files: whoever comes next brings all of them to one side.
#[test]
fn whoever_changes_files_is_killed_and_the_next_one_completes_or_undoes_it() {
    let shop = Shop::new();
    let host = shop.run();
    shop.scene.until_logged("resolved", "shop", "success", 1);
    assert_eq!(host.terminate().code, Some(0));
    assert_eq!(shop.side(), Some(Side::After));
    let manifest = shop.facts().iter().find_map(|fact| {
        let manifest = &fact["fact"]["effect"]["apply"]["manifest"];
        manifest.as_str().map(str::to_owned)
    });
    let manifest = manifest.expect("a patch was applied");
    let mend = |side: Side| -> Command {
        let state = shop.scene.state().display().to_string();
        let directory = shop.scene.path("shop").display().to_string();
        let words = ["mend", "--state", &state, "--manifest", &manifest, "--directory", &directory];
        let back: &[&str] = if side == Side::Before { &["--back"] } else { &[] };
        let mut command = shop.scene.command(&[&words[..], back].concat());
        command.env("RAZAR_FAILPOINTS", &shop.places);
        command
    };
    let settle = |side: Side, story: &str| {
        let output = mend(side).output().unwrap();
        assert!(output.status.success(), "{story}: {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(shop.side(), Some(side), "{story}");
        assert_eq!(shop.aside(), Vec::<PathBuf>::new(), "{story}");
    };
    let other = |side: Side| if side == Side::After { Side::Before } else { Side::After };
    let (mut kills, mut mixed, mut side, mut seed) = (0, 0, Side::After, 0x2545_f491_4f6c_dd1d_u64);
    // At every step, on every file, in both directions.
    for step in STEPS {
        for passed in 0..FILES.len() as u32 {
            for _ in 0..2 {
                shop.arm(step, passed);
                let status = mend(other(side)).output().unwrap().status;
                let _ = fs::remove_file(shop.places.join(step));
                if shop.has_fired() {
                    assert!(!status.success());
                    kills += 1;
                    mixed += usize::from(shop.side().is_none());
                }
                side = if random(&mut seed).is_multiple_of(2) { side } else { other(side) };
                settle(side, &format!("killed at {step} after {passed}"));
            }
        }
    }
    let steps = kills;
    // At any moment; whoever completes it is killed as well, now and then.
    let all = if long() { 1_000 } else { 100 };
    while kills < all {
        let mut child = mend(other(side))
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        // Before it begins there is nothing to be killed in; where somebody has left files beside, nobody sees when it does.
        let seen = shop.aside().is_empty();
        while seen && shop.aside().is_empty() && child.try_wait().unwrap().is_none() {
            std::hint::spin_loop();
        }
        let most = if seen { 4_000 } else { 40_000 };
        std::thread::sleep(Duration::from_micros(random(&mut seed) % most));
        if child.try_wait().unwrap().is_none() {
            kills += 1;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        mixed += usize::from(shop.side().is_none());
        if random(&mut seed).is_multiple_of(3) {
            continue;
        }
        side = if random(&mut seed).is_multiple_of(2) { side } else { other(side) };
        settle(side, &format!("kill {kills} at a moment nobody chose"));
    }
    settle(Side::Before, "the end");
    eprintln!(
        "{kills} kills, {steps} of them at steps: {mixed} left a mixed tree for the next, 0 after the next"
    );
}
