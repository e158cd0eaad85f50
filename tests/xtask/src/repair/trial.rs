//! One call of the host for one bug: it is given the broken tree and all patches of it, and answers with a line of JSON for each.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::corpus::{Bug, Patch};
use crate::run;

/// The host that is asked.
pub(super) struct Host {
    corpus: PathBuf,
    program: PathBuf,
    plugins: PathBuf,
    scratch: PathBuf,
}

/// What it said of one patch.
#[derive(Debug, Clone)]
pub(super) struct Trial {
    pub(super) service: String,
    /// `orders/empty-basket/fix`
    pub(super) name: String,
    pub(super) is_right: bool,
    /// The host's word: `fixed`, `not-fixed`, or `refused` by the gate.
    pub(super) verdict: String,
    /// Why, in one line.
    pub(super) reason: String,
    /// Whoever was asked last: if it is refused, it is he who refused it.
    pub(super) by: By,
    /// None for what the gate refuses.
    pub(super) took_ms: Option<u64>,
    /// All that was said.
    pub(super) report: Value,
}

/// Who refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum By {
    Gate,
    Evaluator,
    Tests,
    Shadow,
    /// Nobody was asked: the trial could not be held.
    Nobody,
}

impl Trial {
    pub(super) fn is_taken(&self) -> bool {
        self.verdict == "fixed"
    }

    /// It is not judged as it must be.
    pub(super) fn is_miss(&self) -> bool {
        self.is_right != self.is_taken()
    }

    fn read(bug: &Bug, patch: &Patch, report: Value) -> Result<Self> {
        let text = |key: &str| report.get(key).and_then(Value::as_str).map(str::to_owned);
        let verdict = text("verdict").context("an answer without a verdict")?;
        let by_gate = text("checked").context("an answer that does not say who checked")? == "gate";
        let judges = report.get("judges").and_then(Value::as_array);
        let last = judges.and_then(|judges| judges.last()?.get("judge")?.as_str());
        let by = match last {
            _ if by_gate => By::Gate,
            Some("native tests") => By::Tests,
            Some("shadow start") => By::Shadow,
            Some(_) => By::Evaluator,
            None => By::Nobody,
        };
        let why = if by_gate {
            text("code").zip(text("message")).map(|(a, b)| format!("{a}: {b}"))
        } else {
            text("reason")
        };
        Ok(Self {
            service: bug.service.clone(),
            name: format!("{}/{}", bug.name(), patch.name),
            is_right: patch.is_right,
            verdict,
            reason: why.unwrap_or_default(),
            by,
            took_ms: report.get("took_ms").and_then(Value::as_u64),
            report,
        })
    }
}

impl Host {
    pub(super) fn new(root: &Path, program: PathBuf, plugins: PathBuf, scratch: &Path) -> Result<Self> {
        // Below a directory that is there already: two of these may run side by side.
        let scratch = scratch.join(std::process::id().to_string());
        fs::create_dir_all(&scratch).with_context(|| format!("cannot make `{}`", scratch.display()))?;
        Ok(Self { corpus: root.join("tests/repair"), program, plugins, scratch })
    }

    /// Asks about every patch of a bug.
    pub(super) fn ask(&self, bug: &Bug) -> Result<Vec<Trial>> {
        let dir = self.scratch.join(format!("{}-{}", bug.service, bug.bug));
        fs::create_dir(&dir).with_context(|| format!("cannot make `{}`", dir.display()))?;
        let mut stage = Command::new("python3");
        // Its caches would be new files in the corpus.
        run::show(stage.arg("-B").arg(self.corpus.join("stage.py")).arg(bug.name()).arg(&dir))?;
        let mut command = Command::new(&self.program);
        command.args(["patch", "check", "--trial", "--output", "json", "--component", &bug.service]);
        command.arg("--config").arg(dir.join("boot_config.json")).arg("--state").arg(dir.join("state"));
        command.arg("--plugins").arg(&self.plugins);
        command.args(bug.patches.iter().map(|patch| &patch.file));
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("cannot start the host")?;
        let output = child.stdout.take().context("the host has no output")?;
        let mut trials = Vec::new();
        let mut patches = bug.patches.iter();
        for line in BufReader::new(output).lines() {
            let line = line?;
            let patch = patches.next().with_context(|| format!("one answer too many: {line}"))?;
            let report = serde_json::from_str(&line).with_context(|| format!("no JSON: {line}"))?;
            trials.push(Trial::read(bug, patch, report)?);
        }
        let status = child.wait()?;
        ensure!(
            trials.len() == bug.patches.len(),
            "{} answers to {} patches; the host ended with {status}",
            trials.len(),
            bug.patches.len()
        );
        fs::remove_dir_all(&dir).with_context(|| format!("cannot remove `{}`", dir.display()))?;
        Ok(trials)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // What is left of it tells nobody anything.
        drop(fs::remove_dir_all(&self.scratch));
    }
}
