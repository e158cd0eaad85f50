//! Steps per second of the supervisor under random failures, and the resident memory before and after.
//! `cargo bench -p razar-core -- --steps 100000000` is the long run.
#![allow(missing_docs, clippy::print_stdout, clippy::unwrap_used, clippy::indexing_slicing)]
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a bench reads the clock and its arguments"
)]

#[path = "../tests/world/fleet.rs"]
mod fleet;

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
    let (_, small) = fleet::Fleet::new(10_000, 1).run(steps / 10);
    let before = resident_kib();
    let begun = std::time::Instant::now();
    let (_, outcome) = fleet::Fleet::new(10_000, 1).run(steps);
    let took = begun.elapsed();
    let rate = outcome.steps as f64 / took.as_secs_f64();
    println!("{outcome:?}");
    println!(
        "{:.2} million steps per second; resident {before} KiB after {} steps, {} KiB now",
        rate / 1e6,
        small.steps,
        resident_kib()
    );
}
