//! `log tail`: facts as they are recorded, one a line. It reads the file and looks again for what follows, so it needs
//! no host; it keeps nothing in memory but the line it writes.

use std::io::{self, Write};
use std::time::Duration;

use razar_ledger::reader::Stored;
use razar_ledger::{LedgerError, LedgerReader};
use serde::Deserialize;

use super::{Exit, unread};
use crate::cli::{LogTail, Output};
use crate::report::{escape, moment, words::Teller};

/// Without `--from`, and with it.
const NEWEST: u64 = 20;
const FROM: u64 = 1000;

/// Between two looks: shorter than anybody waits for a line.
const LOOK: Duration = Duration::from_millis(200);

pub(super) fn tail(arguments: &LogTail) -> Exit {
    let reader = match LedgerReader::open(&arguments.state.state) {
        Ok(reader) => reader,
        Err(error) => return unread(arguments.output, error),
    };
    let mut out = io::stdout().lock();
    let lines =
        Lines { json: arguments.output == Output::Json, teller: Teller::default(), told: 0, out: &mut out };
    match lines.run(&reader, arguments) {
        Ok(()) => Exit::Done,
        Err(Stopped::Nobody) => Exit::Done,
        Err(Stopped::Ledger(error)) => unread(arguments.output, error),
    }
}

/// Why there are no more lines.
enum Stopped {
    /// Whoever read has seen enough.
    Nobody,
    Ledger(LedgerError),
}

impl From<LedgerError> for Stopped {
    fn from(error: LedgerError) -> Self {
        Self::Ledger(error)
    }
}

impl From<io::Error> for Stopped {
    fn from(_: io::Error) -> Self {
        Self::Nobody
    }
}

struct Lines<'a> {
    json: bool,
    teller: Teller,
    /// The newest fact looked at.
    told: u64,
    out: &'a mut dyn Write,
}

impl Lines<'_> {
    fn run(mut self, reader: &LedgerReader, arguments: &LogTail) -> Result<(), Stopped> {
        let end = reader.head()?.seq;
        let most = arguments.lines.unwrap_or(if arguments.from.is_some() { FROM } else { NEWEST });
        let first = arguments.from.unwrap_or_else(|| end.saturating_sub(most).saturating_add(1)).max(1);
        let last = if arguments.follow { u64::MAX } else { first.saturating_add(most).saturating_sub(1) };
        // Sentences about effects need the facts that decided them.
        self.told = if self.json { first.saturating_sub(1).min(end) } else { 0 };
        self.all(reader, first, last)?;
        if !arguments.follow {
            if arguments.from.is_some() && end > last {
                let next = last.saturating_add(1);
                let _ = writeln!(io::stderr(), "note: the ledger goes on: `--from {next}`");
            }
            return Ok(());
        }
        loop {
            if reader.head()?.seq > self.told {
                self.all(reader, first, last)?;
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Every fact that was not looked at yet.
    fn all(&mut self, reader: &LedgerReader, first: u64, last: u64) -> Result<(), Stopped> {
        for stored in reader.stored(self.told.saturating_add(1))? {
            let stored = stored?;
            let seq = stored.anchor.seq;
            if seq > last {
                break;
            }
            self.told = seq;
            let line = if self.json { json(&stored) } else { self.human(&stored) };
            if seq >= first {
                writeln!(self.out, "{line}")?;
            }
        }
        self.out.flush()?;
        Ok(())
    }

    fn human(&mut self, stored: &Stored) -> String {
        let told = stored.read().ok().and_then(|recorded| self.teller.sentence(&recorded));
        let (who, what) = told.unwrap_or_else(|| kind(stored));
        format!("{} {} {who}: {what}", stored.anchor.seq, moment::full(stored.at))
    }
}

/// The body is JSON already, and verified: writing it anew could only change it.
fn json(stored: &Stored) -> String {
    let Stored { anchor, at, body } = stored;
    format!("{{\"seq\":{},\"at\":{},\"hash\":\"{}\",\"fact\":{body}}}", anchor.seq, at.0, anchor.hash)
}

/// For facts that have no sentence: whose, and which kind.
fn kind(stored: &Stored) -> (String, String) {
    #[derive(Deserialize)]
    struct Kind {
        fact: String,
        #[serde(default)]
        component: Option<String>,
    }
    let kind = serde_json::from_str::<Kind>(&stored.body);
    let Kind { fact, component } =
        kind.unwrap_or_else(|_| Kind { fact: "unknown".to_owned(), component: None });
    let who = component.unwrap_or_else(|| crate::report::words::SYSTEM.to_owned());
    (escape::line(&who), escape::line(&fact))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use razar_core::fact::Fact;
    use razar_core::id::EffectId;
    use razar_core::time::Timestamp;
    use razar_ledger::Ledger;

    use super::*;
    use crate::cli::{Cli, Command, Log};

    fn tail_of(dir: &std::path::Path, words: &[&str]) -> String {
        let state = dir.to_str().unwrap();
        let all = ["razar-host", "log", "tail", "--state", state].into_iter().chain(words.iter().copied());
        let Command::Log(Log::Tail(arguments)) = Cli::parse_from(all).command else {
            panic!("not `log tail`")
        };
        let reader = LedgerReader::open(dir).unwrap();
        let mut out = Vec::new();
        let json = arguments.output == Output::Json;
        let lines = Lines { json, teller: Teller::default(), told: 0, out: &mut out };
        assert!(lines.run(&reader, &arguments).is_ok());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn facts_are_told_whole_in_bounds_and_harmless() {
        let dir = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(dir.path()).unwrap();
        for number in 0..30 {
            let component = "web".parse().unwrap();
            let fact = match number % 2 {
                0 => Fact::Released { component, note: Some(format!("{number}\u{1b}[2J")) },
                _ => Fact::EffectStarted { id: EffectId(number) },
            };
            ledger.append(Timestamp(number), &[fact]).unwrap();
        }
        let newest = tail_of(dir.path(), &["--output", "json"]);
        let parsed: Vec<serde_json::Value> =
            newest.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(parsed.len(), 20);
        assert_eq!((parsed[0]["seq"].as_u64(), parsed[19]["seq"].as_u64()), (Some(11), Some(30)));
        assert_eq!(parsed[19]["fact"]["fact"], "effect_started");
        assert_eq!(parsed[19]["hash"], ledger.head().anchor().hash.to_string());
        let from = tail_of(dir.path(), &["--output", "json", "--from", "4", "-n", "2"]);
        assert!(from.starts_with("{\"seq\":4,") && from.lines().count() == 2, "{from}");
        assert_eq!(tail_of(dir.path(), &["--from", "31"]), "");
        let human = tail_of(dir.path(), &["-n", "2"]);
        assert_eq!(
            human,
            "29 1970-01-01T00:00:00.028+00:00 web: released from quarantine, on probation: 28\\u{1b}[2J\n\
             30 1970-01-01T00:00:00.029+00:00 system: effect_started\n"
        );
    }
}
