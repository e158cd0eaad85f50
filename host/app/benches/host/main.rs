//! The whole host, measured from outside: the real release binary, real processes, real sockets. Each part prints its
//! figures.
//! `cargo bench -p razar-host --bench host -- [once|trial|relaunch|boot|watch|handover|climb] [--seconds N]`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::indexing_slicing,
    dead_code,
    reason = "a bench fails by panicking and prints its result"
)]

mod boot;
mod climb;
#[path = "../../../../tests/benches/figure.rs"]
mod figure;
mod handover;
mod model;
mod once;
mod relaunch;
mod service;
mod stack;
mod trial;
mod watch;

use std::time::Duration;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let seconds = words.iter().position(|word| word == "--seconds").and_then(|at| words.get(at + 1));
    let seconds = seconds.map_or(60, |seconds| seconds.parse().expect("`--seconds` takes a number"));
    let chosen: Vec<&str> = ["once", "trial", "relaunch", "boot", "watch", "handover", "climb"]
        .into_iter()
        .filter(|part| words.iter().any(|word| word == part))
        .collect();
    let wanted = |part: &str| chosen.is_empty() || chosen.contains(&part);
    if wanted("once") {
        once::measure();
    }
    if wanted("trial") {
        trial::measure();
    }
    if wanted("relaunch") {
        relaunch::measure();
    }
    if wanted("boot") {
        boot::measure();
    }
    if wanted("handover") {
        handover::measure();
    }
    if wanted("climb") {
        climb::measure();
    }
    if wanted("watch") {
        watch::measure(Duration::from_secs(seconds));
    }
}
