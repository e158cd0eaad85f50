//! One incident climbs the five rungs of the shipped roster, with the shipped agents and models that answer at once: four patches that
//! change nothing for the better, and one that does. How long does it take besides the trials? Trials are timed from outside, by the
//! directory that each of them has while it is held. No back-off is configured, so none is taken off.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::figure::{Bar, Figure, least, median};
use crate::model;
use crate::stack::Stack;

const AGENTS: [&str; 5] = ["crown", "kimicho", "k2", "airstar", "rstar"];
const ROSTER: [&str; 5] = ["Crown", "Kimi-cho", "K2 Coder", "Air Star", "rStar"];
const CLIMBS: usize = 7;

/// It ends at once; with the last patch it stays.
const BROKEN: &str = "exit 1\n";

pub(crate) fn measure() {
    let (mut climbs, mut trials, mut besides) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..CLIMBS {
        let (climb, trial) = once();
        climbs.push(climb);
        trials.push(trial);
        besides.push(climb - trial);
    }
    Figure {
        name: "a climb of five rungs without its trials",
        value: median(&besides),
        unit: "ms",
        bar: Bar::AtMost(3_000.0),
        detail: format!(
            "min {:.0}; from the incident to the applied patch {:.0}, five trials {:.0} (medians); {CLIMBS} climbs",
            least(&besides),
            median(&climbs),
            median(&trials)
        ),
    }
    .tell();
}

/// What the model behind a path says.
fn answer(path: &str) -> Value {
    let at = AGENTS.iter().position(|agent| path.ends_with(agent)).unwrap();
    let text =
        if at + 1 < AGENTS.len() { format!("exit {}\n", at + 2) } else { "exec sleep 600\n".to_owned() };
    let text = format!("FILE: run.sh\n```sh\n{text}```\n");
    if path.ends_with("kimicho") { json!({ "text": text }) } else { model::chat(&text) }
}

/// Milliseconds of the climb, and of its trials.
fn once() -> (f64, f64) {
    let address = model::serve(answer, drop);
    let mut stack = Stack::new();
    let table = |agent: &str| {
        let url = format!("http://{address}/{agent}");
        let model = if agent == "kimicho" { "" } else { ", model = \"m\"" };
        format!(
            "[agent-{agent}]\nhttp = [{{ url = \"{url}\", methods = [\"POST\"] }}]\nconfig = {{ endpoint = \"{url}\"{model}, \
             settings = '{{ \"retries\": 0 }}' }}\n"
        )
    };
    std::fs::write(stack.path("grants.toml"), AGENTS.map(table).concat()).unwrap();
    std::fs::write(stack.path("razar_ai_agents.json"), json!({ "agents": ROSTER }).to_string()).unwrap();
    std::fs::create_dir_all(stack.path("shop")).unwrap();
    std::fs::write(stack.path("shop/run.sh"), BROKEN).unwrap();
    let component = json!({
        "id": "shop", "layer": "only", "workdir": "shop", "entrypoint": ["sh", "run.sh"], "health": "process",
        "restart": { "retries": 0 },
        "repair": { "attempts": 1, "evaluators": [], "hold": "200 ms", "canary": "100 ms" },
    });
    stack.warm();
    let trials = Watch::over(&stack.path("state/trials"));
    let grants = stack.path("grants.toml").display().to_string();
    stack.begin(&["only"], vec![component], &["--grants", &grants]);
    stack.wait("the repair", || !stack.facts("incident_closed").is_empty());
    let trials = trials.end();
    let decided = stack.facts("effect_decided");
    let attempts = decided.iter().filter(|fact| !fact["fact"]["effect"]["attempt"].is_null()).count();
    assert_eq!(attempts, AGENTS.len(), "each is asked once");
    let closed = stack.facts("incident_closed").remove(0);
    assert_eq!(closed["fact"]["outcome"]["closing"], "repaired", "{closed}");
    let at = |fact: &Value| fact["at"].as_f64().unwrap();
    let opened = at(&stack.facts("incident_opened")[0]);
    let apply = decided.iter().find(|fact| !fact["fact"]["effect"]["apply"].is_null()).unwrap();
    let finished = stack.facts("effect_finished");
    let applied = finished.iter().find(|fact| fact["fact"]["id"] == apply["fact"]["id"]).unwrap();
    assert_eq!(applied["fact"]["outcome"], "changed", "{applied}");
    (at(applied) - opened, trials)
}

/// Sums up for how long there is something in a directory.
struct Watch {
    over: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<Duration>,
}

impl Watch {
    fn over(dir: &Path) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let (dir, done) = (dir.to_owned(), Arc::clone(&over));
        let thread = std::thread::spawn(move || {
            let (mut sum, mut last) = (Duration::ZERO, Instant::now());
            while !done.load(Ordering::Relaxed) {
                let held = std::fs::read_dir(&dir).is_ok_and(|mut entries| entries.next().is_some());
                let now = Instant::now();
                sum += if held { now - last } else { Duration::ZERO };
                last = now;
                std::thread::sleep(Duration::from_millis(1));
            }
            sum
        });
        Self { over, thread }
    }

    /// Milliseconds.
    fn end(self) -> f64 {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().unwrap().as_secs_f64() * 1e3
    }
}
