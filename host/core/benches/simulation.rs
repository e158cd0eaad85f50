//! Steps per second of the supervisor under random failures, and the resident memory before and after.
//! `cargo bench -p razar-core -- --steps 100000000` is the long run.
#![allow(missing_docs, clippy::print_stdout, clippy::unwrap_used, clippy::indexing_slicing)]
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a bench reads the clock and its arguments"
)]

#[path = "../../../tests/benches/figure.rs"]
#[allow(dead_code, reason = "shared with other benches")]
mod figure;
#[path = "../tests/world/fleet.rs"]
mod fleet;

use figure::{Bar, Figure};

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let steps =
        arguments.iter().position(|a| a == "--steps").and_then(|at| arguments.get(at + 1)?.parse().ok());
    let steps: u64 = steps.unwrap_or(10_000_000);
    // Twice: the second fleet finds the allocator as the third will.
    let [_, small] = [(), ()].map(|()| fleet::Fleet::new(10_000, 1).run(steps / 10).1);
    let before = resident_kib();
    let begun = std::time::Instant::now();
    let (_, outcome) = fleet::Fleet::new(10_000, 1).run(steps);
    let took = begun.elapsed();
    let rate = outcome.steps as f64 / took.as_secs_f64();
    Figure {
        name: "supervisor under random failures, steps on one core",
        value: rate / 1e6,
        unit: "million/s",
        bar: Bar::AtLeast(2.0),
        detail: format!("{outcome:?}"),
    }
    .tell();
    let after = resident_kib();
    Figure {
        name: "supervisor: memory after all steps over a tenth of them",
        value: after as f64 / before as f64,
        unit: "×",
        bar: Bar::AtMost(1.1),
        detail: format!("{before} KiB after {} steps, {after} KiB after {}", small.steps, outcome.steps),
    }
    .tell();
}
