//! The guest of hostile cases about judging trees: its settings say which attack a call is. It says what came of it and never
//! decides whether that is as it should be. Outside of a component there is nothing to attack, and nothing here.
#![cfg(target_family = "wasm")]
#![allow(clippy::panic, reason = "it is meant to misbehave")]

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};

use razar_sdk::PluginError;
use razar_sdk::evaluator::{CaseStatus, Evaluator, Finding, Judgement, Outcome, Request, TestCase};
use serde::Deserialize;

struct Hostile;

razar_sdk::export_evaluator!(Hostile);

/// What a call does.
#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
enum Attack {
    /// Nothing at all.
    Nothing {},
    /// Never ends.
    Spin {},
    /// Crashes.
    Panic {},
    /// Answers so many cases without a word in them.
    Cases { n: usize },
    /// Points at so many things.
    Findings { n: usize },
    /// Changes the directory that it judges, or another one, in every way there is.
    Write { to: String },
    /// Writes until it cannot.
    Fill { path: String, mib: usize },
    /// Says that it cannot judge, at such length.
    Excuse { bytes: usize },
}

impl Evaluator for Hostile {
    fn evaluate(request: Request) -> Result<Judgement, PluginError> {
        Ok(match request.parse_settings()? {
            Attack::Nothing {} => Judgement::pass("nothing"),
            Attack::Spin {} => spin(),
            Attack::Panic {} => panic!("no judgement"),
            Attack::Cases { n } => {
                Judgement { cases: (0..n).map(|_| case()).collect(), ..Judgement::pass("") }
            }
            Attack::Findings { n } => {
                Judgement::fail("").with_findings((0..n).map(|_| Finding::new("", None, "")))
            }
            Attack::Write { to } => write(&to),
            Attack::Fill { path, mib } => fill(&path, mib),
            Attack::Excuse { bytes } => {
                Judgement { outcome: Outcome::NotEvaluable("x".repeat(bytes)), ..Judgement::pass("") }
            }
        })
    }
}

fn spin() -> ! {
    let mut n = 0_u64;
    loop {
        n = std::hint::black_box(n.wrapping_add(1));
    }
}

fn case() -> TestCase {
    TestCase {
        id: String::new(),
        status: CaseStatus::Passed,
        message: String::new(),
        duration_ms: 0,
        extensions: Vec::new(),
    }
}

fn write(to: &str) -> Judgement {
    let hello = format!("{to}/hello.txt");
    let told = |what: &str, done: io::Result<()>| match done {
        Ok(()) => format!("{what}: done"),
        Err(_) => format!("{what}: refused"),
    };
    let append = || OpenOptions::new().append(true).open(&hello)?.write_all(b"changed");
    let all = [
        told("create", fs::write(format!("{to}/new"), "new")),
        told("append", append()),
        told("rename", fs::rename(&hello, format!("{to}/moved.txt"))),
        told("link", fs::hard_link(&hello, format!("{to}/link.txt"))),
        told("directory", fs::create_dir(format!("{to}/folder"))),
        told("remove", fs::remove_file(&hello)),
        told("read", fs::read(&hello).map(drop)),
    ];
    Judgement::pass(all.join("; "))
}

fn fill(path: &str, mib: usize) -> Judgement {
    let block = vec![b'x'; 1 << 20];
    let all = || {
        let mut file = fs::File::create(path)?;
        (0..mib).try_for_each(|_| file.write_all(&block))
    };
    match all() {
        Ok(()) => Judgement::pass("all of it"),
        Err(error) => Judgement::fail(format!("stopped: {error}")),
    }
}
