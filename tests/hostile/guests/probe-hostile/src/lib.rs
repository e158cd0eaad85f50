//! The guest of most hostile cases: its settings say which attack a call is. It says what came of it and never decides
//! whether that is as it should be. Outside of a component there is nothing to attack, and nothing here.
#![cfg(target_family = "wasm")]
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::indexing_slicing,
    reason = "it is meant to misbehave"
)]

mod files;
mod raw;
mod time;
mod values;

use razar_sdk::log::{self, Level};
use razar_sdk::{Health, PluginError, Probe, Report, Target};
use serde::Deserialize;

struct Hostile;

razar_sdk::export_probe!(Hostile);

/// What a call does.
#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
enum Attack {
    /// Nothing at all.
    Nothing {},
    /// Never ends.
    Spin {},
    /// Ends after so many rounds.
    Rounds { n: u64 },
    /// Waits inside the host, once.
    Sleep { ms: u64 },
    /// Waits inside the host again and again.
    Naps {},
    /// Waits for nothing that could ever come.
    Never {},
    /// Asks for the time again and again.
    Clock {},
    /// Asks for the time so often.
    Clocks { n: u64 },
    /// Asks for the time at every level of an endless recursion.
    Recurse {},
    /// Uses up the stack that lies in linear memory.
    Stack { depth: u32 },
    /// Asks for this much memory.
    Alloc { bytes: usize },
    /// Holds open what it can and never ends.
    Hold {},
    /// Opens and never closes.
    Hoard { n: u32 },
    /// Ends without an answer.
    Exit { code: i32 },
    /// Ends with a message of its own, so often repeated.
    Panic { text: String, times: usize },
    /// Answers this much.
    Reply { bytes: usize },
    /// Fails with this much.
    Error { bytes: usize },
    /// Answers so many empty texts.
    Empty { n: usize },
    /// Answers with a word nobody knows.
    Word { text: String },
    /// Fails with a word nobody knows.
    Kind { text: String },
    /// Answers numbers that are none.
    Numbers {},
    /// Asks for this much randomness at once.
    Random { bytes: u64 },
    /// Hands this much to a host function.
    Pass { bytes: usize },
    /// Prints this much.
    Print { bytes: usize },
    /// Prints this.
    Say { text: String },
    /// Prints tiny lines.
    Lines { n: usize },
    /// Logs this much, in messages.
    Messages { bytes: usize },
    /// Logs this.
    Message { text: String },
    /// Counts calls in its memory.
    Count {},
    /// Keeps so many values of this size.
    Keep { store: String, keys: usize, bytes: usize },
    /// Tries these with files; see `files`.
    Files { steps: Vec<Vec<String>> },
    /// Opens a name that somebody else keeps changing.
    Race { path: String, n: u32 },
    /// Writes until it cannot.
    Fill { path: String, mib: u64 },
    /// Makes files until it cannot.
    Crowd { path: String, n: u32 },
}

impl Probe for Hostile {
    fn check(target: Target) -> Result<Report, PluginError> {
        match target.parse_settings()? {
            Attack::Nothing {} => Ok(say("nothing")),
            Attack::Spin {} => time::spin(),
            Attack::Rounds { n } => Ok(time::rounds(n)),
            Attack::Sleep { ms } => Ok(time::sleep(ms)),
            Attack::Naps {} => time::naps(),
            Attack::Never {} => time::never(),
            Attack::Clock {} => time::clock(),
            Attack::Clocks { n } => Ok(time::clocks(n)),
            Attack::Recurse {} => Ok(time::recurse()),
            Attack::Stack { depth } => Ok(time::stack(depth)),
            Attack::Alloc { bytes } => Ok(values::alloc(bytes)),
            Attack::Hold {} => files::hold(),
            Attack::Hoard { n } => Ok(time::hoard(n)),
            Attack::Exit { code } => std::process::exit(code),
            Attack::Panic { text, times } => panic!("{}", text.repeat(times)),
            Attack::Reply { bytes } => Ok(say(&"x".repeat(bytes))),
            Attack::Error { bytes } => Err(values::error(bytes)),
            Attack::Empty { n } => Ok(values::empty(n)),
            Attack::Word { text } => Ok(Report { health: Health::Other(text), ..say("a word") }),
            Attack::Kind { text } => Err(values::kind(text)),
            Attack::Numbers {} => Ok(values::numbers()),
            Attack::Random { bytes } => Ok(values::random(bytes)),
            Attack::Pass { bytes } => Ok(values::pass(bytes)),
            Attack::Print { bytes } => Ok(values::print(bytes)),
            Attack::Say { text } => {
                println!("{text}");
                Ok(say("said"))
            }
            Attack::Lines { n } => Ok(values::lines(n)),
            Attack::Messages { bytes } => Ok(values::messages(bytes)),
            Attack::Message { text } => {
                log::say(Level::Error, &text);
                Ok(say("said"))
            }
            Attack::Count {} => Ok(values::count()),
            Attack::Keep { store, keys, bytes } => Ok(values::keep(&store, keys, bytes)),
            Attack::Files { steps } => Ok(files::steps(&steps)),
            Attack::Race { path, n } => Ok(files::race(&path, n)),
            Attack::Fill { path, mib } => Ok(files::fill(&path, mib)),
            Attack::Crowd { path, n } => Ok(files::crowd(&path, n)),
        }
    }
}

/// A report in exactly these words.
fn say(summary: &str) -> Report {
    Report {
        health: Health::Healthy,
        summary: summary.to_owned(),
        measurements: Vec::new(),
        extensions: Vec::new(),
    }
}

/// What came of several attempts.
fn all(attempts: impl IntoIterator<Item = String>) -> Report {
    say(&attempts.into_iter().collect::<Vec<_>>().join("; "))
}
