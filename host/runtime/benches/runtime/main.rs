//! The runtime beside raw wasmtime: the same guests, the same engine settings, in the same run. Each part prints its
//! figures. `cargo bench -p razar-runtime --bench runtime -- [cycle|network|ready|pool|suite|paced]`.
//!
//! The same program is the compiler of its plugins, its loopback server, and the process whose memory is measured.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    missing_docs,
    dead_code,
    reason = "a bench fails by panicking and prints its result"
)]

mod cycle;
#[path = "../../../../tests/benches/figure.rs"]
mod figure;
#[path = "../../tests/runtime/guests.rs"]
#[allow(unreachable_pub, reason = "shared with the tests")]
mod guests;
mod network;
mod ours;
mod pool;
mod raw;
mod ready;
mod suite;

use std::process::ExitCode;

use razar_runtime::compile::compile_main;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let first = words.first().map(String::as_str);
    match first {
        Some(ours::COMPILE) => {
            return ExitCode::from(compile_main(std::io::stdin().lock(), std::io::stdout().lock()));
        }
        Some(network::SERVE) => network::serve(),
        Some(pool::HOLD) => pool::hold(&words[1]),
        _ => measure(&words),
    }
    ExitCode::SUCCESS
}

fn measure(words: &[String]) {
    let parts: [(&str, fn()); 6] = [
        ("cycle", cycle::measure),
        ("network", network::measure),
        ("ready", ready::measure),
        ("pool", pool::measure),
        ("suite", suite::measure),
        ("paced", network::paced),
    ];
    let chosen = |part: &str| words.iter().any(|word| word == part);
    let all = !parts.iter().any(|(part, _)| chosen(part));
    for (part, measure) in parts {
        if all || chosen(part) {
            measure();
        }
    }
}
