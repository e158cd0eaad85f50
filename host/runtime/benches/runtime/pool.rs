//! Many instances alive at once: what one takes, and that the pool holds as many as it says.

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use razar_runtime::engine::MAX_SLOTS;

use crate::figure::{Bar, Figure, least, median};
use crate::guests;
use crate::ours::{Question, runtime, source, threads};
use crate::raw::{self, Hands};

/// The first word of the command line of a process whose memory is measured.
pub(crate) const HOLD: &str = "as-holder";
/// Alive at once when one's memory is measured.
const HELD: u32 = 1_000;
/// Longer than starting all of them takes, even here.
const PAUSE_MS: u32 = 8_000;
const PATIENCE: Duration = Duration::from_secs(120);
const ROUNDS: usize = 3;
const ADDRESS: &str = "http://127.0.0.1:8080/";

pub(crate) fn measure() {
    let held = |who: &str| {
        let output = Command::new(std::env::current_exe().unwrap()).args([HOLD, who]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().parse::<f64>().unwrap()
    };
    let (mut raws, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        raws.push(held("raw"));
        ours.push(held("ours"));
    }
    Figure {
        name: "memory of a live idle instance over raw",
        value: median(&ours) / median(&raws),
        unit: "×",
        bar: Bar::AtMost(1.25),
        detail: format!(
            "{HELD} waiting in the host: raw {:.1} KiB, ours {:.1} KiB",
            median(&raws),
            least(&ours)
        ),
    }
    .tell();
    full();
}

/// Prints what one of many waiting instances takes, in KiB of proportional set size.
pub(crate) fn hold(who: &str) {
    let tokio = threads(2);
    let wasm = guests::pause(PAUSE_MS);
    let before;
    match who {
        "raw" => {
            let engine = raw::Engine::new(Some(MAX_SLOTS));
            let probe = Arc::new(engine.compile(&wasm));
            before = proportional();
            for _ in 0..HELD {
                let probe = Arc::clone(&probe);
                tokio.spawn(async move { probe.check(Hands::Empty, ADDRESS).await });
            }
            std::thread::sleep(Duration::from_millis(u64::from(PAUSE_MS) / 2));
        }
        _ => {
            let runtime = runtime(Some(MAX_SLOTS), None);
            let (source, grant) = source("bench", wasm);
            let question = Question::new(tokio.block_on(runtime.load(source, &grant)).unwrap(), ADDRESS);
            let question = Arc::new(question);
            before = proportional();
            for _ in 0..HELD {
                let question = Arc::clone(&question);
                tokio.spawn(async move { question.ask(PATIENCE).await });
            }
            std::thread::sleep(Duration::from_millis(u64::from(PAUSE_MS) / 2));
            assert_eq!(runtime.slots_free(), (MAX_SLOTS - HELD) as usize);
        }
    }
    println!("{:.3}", (proportional() - before) / f64::from(HELD));
    tokio.shutdown_background();
}

fn proportional() -> f64 {
    let rollup = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap();
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// As many as there are slots, and one more.
fn full() {
    let tokio = threads(2);
    let runtime = runtime(Some(MAX_SLOTS), None);
    let (source, grant) = source("bench", guests::pause(PAUSE_MS));
    let question = Question::new(tokio.block_on(runtime.load(source, &grant)).unwrap(), ADDRESS);
    let question = Arc::new(question);
    let ask = || {
        let question = Arc::clone(&question);
        tokio.spawn(async move { question.ask(PATIENCE).await })
    };
    let begun = Instant::now();
    let calls = (0..MAX_SLOTS).map(|_| ask()).collect::<Vec<_>>();
    while runtime.slots_free() > 0 {
        assert!(begun.elapsed() < PATIENCE, "{} slots are free", runtime.slots_free());
        std::thread::sleep(Duration::from_millis(5));
    }
    let started = begun.elapsed();
    let beyond = ask();
    let mut good = 0_u32;
    for call in calls {
        // A call that ends in anything but an answer panics.
        good += u32::from(tokio.block_on(call).is_ok());
    }
    let queued = tokio.block_on(beyond).unwrap().queued;
    Figure {
        name: "probes in flight without an error",
        value: f64::from(good),
        unit: "probes",
        bar: Bar::AtLeast(f64::from(MAX_SLOTS)),
        detail: format!(
            "all waiting at once after {:.2} s; number {} waited {:.2} s",
            started.as_secs_f64(),
            MAX_SLOTS + 1,
            queued.as_secs_f64()
        ),
    }
    .tell();
    assert!(queued > Duration::ZERO, "the call beyond the last slot did not wait");
}
