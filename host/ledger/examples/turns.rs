//! What a turn costs on this disk: `cargo run --release -p razar-ledger --example turns -- [DIR]`. Prints the ledger's
//! price of one-fact turns and of a turn of many, of showing them, and of reading everything back.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use razar_core::fact::{Fact, Phase};
use razar_core::time::Timestamp;
use razar_ledger::{Ledger, Views};

const TURNS: u32 = 1_000;
const MANY: usize = 100_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir =
        std::env::args_os().nth(1).map_or_else(|| std::env::temp_dir().join("razar-turns"), PathBuf::from);
    let mut ledger = Ledger::open(&dir)?;
    let fact = Fact::HealthChanged {
        component: "service".parse()?,
        phase: Phase::Liveness,
        healthy: true,
        summary: "200 OK in 3 ms".to_owned(),
    };
    let mut out = std::io::stdout().lock();

    let mut turns = Vec::new();
    let mut recorded = Vec::new();
    for n in 0..TURNS {
        let began = Instant::now();
        recorded.push(ledger.append(Timestamp(n.into()), std::slice::from_ref(&fact))?);
        turns.push(began.elapsed());
    }
    report(&mut out, "one-fact turn", &mut turns)?;

    let mut views = Views::open(&ledger, &dir.join("views"))?;
    let mut shown = Vec::new();
    for n in 0..TURNS {
        let recorded = ledger.append(Timestamp(n.into()), std::slice::from_ref(&fact))?;
        let began = Instant::now();
        views.project(&recorded)?;
        shown.push(began.elapsed());
    }
    report(&mut out, "showing it", &mut shown)?;

    let began = Instant::now();
    ledger.append(Timestamp(0), &vec![fact; MANY])?;
    writeln!(out, "a turn of {MANY} facts: {:?}", began.elapsed())?;
    let began = Instant::now();
    let mut count = 0_u64;
    for fact in ledger.replay(1) {
        fact?;
        count += 1;
    }
    writeln!(out, "reading and verifying {count} facts: {:?}", began.elapsed())?;
    Ok(())
}

fn report(out: &mut impl std::io::Write, what: &str, spans: &mut [Duration]) -> std::io::Result<()> {
    spans.sort_unstable();
    let at = |part: usize| spans.get(spans.len() * part / 100).copied().unwrap_or_default();
    let total: Duration = spans.iter().sum();
    writeln!(
        out,
        "{what}: p50 {:?}, p99 {:?}, {:.0}/s",
        at(50),
        at(99),
        spans.len() as f64 / total.as_secs_f64()
    )
}
