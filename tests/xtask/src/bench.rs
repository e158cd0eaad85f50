//! `cargo xtask bench`: all benches in release, one table of figures beside their bars. It measures nothing itself, and
//! fails if a figure misses its bar.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::{plugins, say, setup};

/// What `cargo xtask bench` may be told.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Watch two hundred components for ten minutes instead of one, simulate ten times as many steps
    #[arg(long)]
    long: bool,
}

/// The raw cost that the host's bench subtracts.
const RAW_CPU: &str = "200 raw HTTP probes a second: CPU";

/// One line of the table.
struct Figure {
    name: String,
    value: String,
    bar: String,
    verdict: String,
    detail: String,
}

impl Figure {
    /// As the benches print them.
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.strip_prefix("figure\t")?.split('\t').map(str::to_owned);
        Some(Self {
            name: fields.next()?,
            value: fields.next()?,
            bar: fields.next()?,
            verdict: fields.next()?,
            detail: fields.next()?,
        })
    }
}

/// Runs them all.
pub(crate) fn bench(root: &Path, arguments: &Arguments) -> Result<()> {
    setup::setup(root)?;
    plugins::build(root, &plugins::Arguments::default())?;
    let steps = if arguments.long { "100000000" } else { "10000000" };
    let mut figures = run(root, "razar-core", "simulation", &["--steps", steps], None)?;
    figures.extend(run(root, "razar-runtime", "runtime", &[], None)?);
    let raw = figures.iter().find(|figure| figure.name == RAW_CPU);
    let raw = raw.and_then(|figure| figure.value.split(' ').next()).map(str::to_owned);
    let seconds = if arguments.long { "600" } else { "60" };
    figures.extend(run(root, "razar-host", "host", &["--seconds", seconds], raw.as_deref())?);
    let width = figures.iter().map(|figure| figure.name.chars().count()).max().unwrap_or_default();
    for Figure { name, value, bar, verdict, detail } in &figures {
        say(format_args!("{verdict:<4} {name:<width$} {value:>20} {bar:>8}  {detail}"));
    }
    let missed = figures.iter().filter(|figure| figure.verdict == "FAIL").count();
    ensure!(missed == 0, "{missed} of {} figures miss their bar", figures.len());
    Ok(())
}

/// The figures of one bench.
fn run(
    root: &Path,
    package: &str,
    bench: &str,
    arguments: &[&str],
    raw: Option<&str>,
) -> Result<Vec<Figure>> {
    say(format_args!("measuring: cargo bench --package {package} --bench {bench}"));
    let mut command = Command::new("cargo");
    command.args(["bench", "--package", package, "--bench", bench, "--"]).args(arguments).current_dir(root);
    command.envs(raw.map(|raw| ("RAZAR_BENCH_RAW_CPU", raw)));
    let mut child = command.stdout(Stdio::piped()).spawn().context("cannot start cargo")?;
    let output = child.stdout.take().context("cargo has no output")?;
    let mut figures = Vec::new();
    for line in BufReader::new(output).lines() {
        let line = line?;
        match Figure::parse(&line) {
            Some(figure) => {
                say(format_args!("{}: {} {}", figure.name, figure.value, figure.verdict));
                figures.push(figure);
            }
            None => say(line),
        }
    }
    let status = child.wait()?;
    if !status.success() {
        bail!("`{bench}` of {package} failed: {status}");
    }
    Ok(figures)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_a_line_of_five_fields() {
        let figure = Figure::parse("figure\tname\t1.000 ×\t≤ 1.2\tpass\twhat it was made of").unwrap();
        assert_eq!((figure.value.as_str(), figure.verdict.as_str()), ("1.000 ×", "pass"));
        assert!(Figure::parse("anything else").is_none());
    }
}
