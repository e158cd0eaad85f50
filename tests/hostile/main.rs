//! The hostile corpus: every case of `cases/` against one living runtime, each a test of its own, then each again with its
//! guard away, to see that the case is about that guard. `cargo test -p razar-tests --test hostile -- ::A` runs one
//! class. `RAZAR_LONG=1` makes the loops as long as the bars ask. `… --test hostile -- write-corpus DIR` writes what
//! `razar-host conform --corpus DIR` runs.
//!
//! | file | owns |
//! |---|---|
//! | `made` | guests without a toolchain |
//! | `corpus` | the directory with cases and guests |
//! | `stage` | the runtime all cases share, its neighbours and its log |
//! | `verdict` | one case, and everything that must hold after it |
//! | `filter` | a process in which the kernel knows no `openat2` |
//! | `beside` | what no single call can show |
//! | `patches` | patches that cheat or attack, against the real host |
//! | `elsewhere` | that no attack is forgotten, wherever it is proven |
//! | `conform` | the same corpus as an operator runs it |
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test ends where it cannot go on"
)]

mod beside;
mod conform;
mod corpus;
mod elsewhere;
mod filter;
mod made;
mod patches;
mod stage;
mod verdict;

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};
use razar_conform::case::Off;
use razar_runtime::guard;

use crate::stage::Stage;
use crate::verdict::Verdict;

/// There is time, and a machine that is quiet enough for figures.
fn long() -> bool {
    std::env::var_os("RAZAR_LONG").is_some_and(|value| value == "1")
}

/// How often a loop goes round, by default and when there is time.
fn rounds(short: usize, many: usize) -> usize {
    if long() { many } else { short }
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        // The compiler's own process; a mutation run takes its guard away there too.
        ["compile-plugin", off @ ..] => {
            guard::off(off.first().and_then(|name| guard::parse(name)));
            let code =
                razar_runtime::compile::compile_main(std::io::stdin().lock(), std::io::stdout().lock());
            ExitCode::from(code)
        }
        ["without-openat2", name] => filter::inside(name),
        ["write-corpus", folder] => {
            let written = corpus::copy(folder.as_ref());
            match &written {
                Ok(place) => {
                    println!("{} cases and their guests are in {}", corpus::cases().len(), place.display())
                }
                Err(error) => println!("cannot write the corpus into `{folder}`: {error}"),
            }
            ExitCode::from(u8::from(written.is_err()))
        }
        _ => {
            // One at a time: descriptors, memory and log lines are counted for the whole process.
            let arguments = Arguments { test_threads: Some(1), ..Arguments::from_args() };
            libtest_mimic::run(&arguments, trials()).exit_code()
        }
    }
}

fn trials() -> Vec<Trial> {
    let cases = corpus::cases();
    let mut trials = Vec::new();
    for case in cases {
        let name = case.name().to_owned();
        trials.push(trial(format!("hostile::{name}"), move |stage| held(&stage.run(&name))));
    }
    for case in cases.iter().filter(|case| case.class() == 'D') {
        let name = case.name().to_owned();
        trials.push(trial(format!("hostile::without_openat2::{name}"), move |_| filter::outside(&name)));
    }
    for case in cases {
        let (name, off) = (case.name().to_owned(), case.off().clone());
        trials.push(trial(format!("hostile::mutation::{name}"), move |stage| {
            let verdict = match &off {
                Off::Widen(_) | Off::Control(_) => stage.run_without_guard(&name),
                Off::Switch(switch) => Stage::run_switched(&name, switch),
            };
            caught(&verdict)
        }));
    }
    trials.extend(beside::trials());
    trials.extend(patches::trials());
    trials.extend(elsewhere::trials());
    trials.extend(conform::trials());
    trials
}

fn trial(name: String, run: impl FnOnce(&Arc<Stage>) -> Result<(), Failed> + Send + 'static) -> Trial {
    Trial::test(name, move || run(Stage::shared()))
}

/// The case ended as it must, and the host is as it was.
fn held(verdict: &Verdict) -> Result<(), Failed> {
    let wrong: Vec<&str> = verdict.case.iter().chain(&verdict.host).map(String::as_str).collect();
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n  ").into()) }
}

/// Without its guard the case ended otherwise, and the host is as it was all the same.
fn caught(verdict: &Verdict) -> Result<(), Failed> {
    if verdict.case.is_empty() {
        return Err("without its guard the case ends as it must: it is not about that guard".into());
    }
    if verdict.host.is_empty() { Ok(()) } else { Err(verdict.host.join("\n  ").into()) }
}
