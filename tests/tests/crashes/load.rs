//! What goes on while something is killed: services crash and flap, operators restart, stop, start, quarantine and
//! release them. It remembers what the host has confirmed.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};

/// For an answer; a host that is killed hangs up at once.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a host confirms, and the fact that must be there for it.
const CONFIRMED: [(&str, &str); 5] = [
    ("restart", "restart_requested"),
    ("stop", "stop_requested"),
    ("start", "start_requested"),
    ("quarantine", "quarantined"),
    ("release", "released"),
];

/// How often the host has confirmed something, by the fact that must be there for it.
pub(crate) type Acknowledged = BTreeMap<&'static str, usize>;

/// Under way until it is ended.
pub(crate) struct Load {
    over: Arc<AtomicBool>,
    thread: JoinHandle<Acknowledged>,
}

impl Load {
    /// Begins; the seed decides what happens.
    pub(crate) fn begin(dir: &Path, seed: u64) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let (told, dir) = (Arc::clone(&over), dir.to_owned());
        let thread = std::thread::spawn(move || {
            let mut operator = Operator { dir, seed, acknowledged: Acknowledged::new() };
            while !told.load(Ordering::Relaxed) {
                operator.act();
                std::thread::sleep(Duration::from_millis(20));
            }
            operator.acknowledged
        });
        Self { over, thread }
    }

    /// Ends it; says what was confirmed.
    pub(crate) fn end(self) -> Acknowledged {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().expect("it does not panic")
    }
}

struct Operator {
    dir: PathBuf,
    seed: u64,
    acknowledged: Acknowledged,
}

impl Operator {
    fn act(&mut self) {
        match random(&mut self.seed) % 8 {
            0 | 1 => self.touch("page.crash"),
            2 => self.touch("weak.crash"),
            3 => match fs::remove_file(self.dir.join("flappy.sick")) {
                Ok(()) => {}
                Err(_) => self.touch("flappy.sick"),
            },
            4 => self.tell("restart", "page"),
            5 => self.tell("quarantine", "weak"),
            6 => ["weak", "page", "flappy"].iter().for_each(|component| self.tell("release", component)),
            _ => {
                self.tell("stop", "flappy");
                self.tell("start", "flappy");
            }
        }
    }

    fn touch(&self, name: &str) {
        fs::write(self.dir.join(name), "").expect("a file");
    }

    /// Only a clear yes counts; a host that is down, or dies before it answers, has promised nothing.
    fn tell(&mut self, kind: &str, component: &str) {
        let answer = ask(&self.dir.join("state"), &json!({ "kind": kind, "component": component }));
        if answer.is_some_and(|answer| answer["kind"] == "done") {
            let fact = CONFIRMED.iter().find(|(asked, _)| *asked == kind).expect("a known kind").1;
            *self.acknowledged.entry(fact).or_default() += 1;
        }
    }
}

/// The host's answer over its control socket, if there is one.
pub(crate) fn ask(state: &Path, request: &Value) -> Option<Value> {
    let mut stream = UnixStream::connect(state.join("control.sock")).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let line = format!("{}\n", json!({ "version": 1, "request": request }));
    stream.write_all(line.as_bytes()).ok()?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).ok()?;
    serde_json::from_str(&answer).ok()
}

/// The next number of a sequence that is the same for the same seed.
pub(crate) fn random(seed: &mut u64) -> u64 {
    // Xorshift: good enough to choose with.
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed
}
