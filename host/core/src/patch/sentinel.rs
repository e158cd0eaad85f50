//! Sentinels: test files that the host adds to its copy of a tree before somebody else's code runs in it. Some of their cases
//! must pass and some must fail. A run in which they come out otherwise says nothing about the component, because whoever ran
//! the tests did not run them, or was not let to. They are called and look like other tests of their directory, so that the
//! code under test cannot spare them; the same seed makes the same ones, and a seed is used for one trial.
//!
//! Must never be written anywhere but into such a copy.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::path::FilePath;

mod python;

/// Cases in each of the two files: several, because a judge may be blind in one eye.
const CASES: usize = 3;

/// Names that are tried before a directory is said to have none left: there are some thousand.
const TRIES: usize = 10_000;

/// What is planted, and how it must come out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sentinels {
    files: [SentinelFile; 2],
    passing: Vec<String>,
    failing: Vec<String>,
}

/// A file to write beside the other tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentinelFile {
    /// Where: no file has this path.
    pub path: FilePath,
    /// All of it.
    pub content: String,
}

/// How one case of a run ended, as far as sentinels are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaseEnd {
    /// It was run, and what it asserts holds.
    Passed,
    /// It was run, and what it asserts does not hold, or it stopped with an error.
    Failed,
    /// Anything else: it was skipped, or could not be run.
    NotRun,
}

/// Why a run is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SentinelFault {
    /// Nothing is heard of a case.
    #[error("the host's own test `{0}` was not run")]
    NotRun(String),
    /// A case that cannot pass.
    #[error("the host's own test `{0}`, which must fail, has passed")]
    Passed(String),
    /// A case that cannot fail.
    #[error("the host's own test `{0}`, which must pass, has failed")]
    Failed(String),
    /// Somebody else speaks in its name.
    #[error("the host's own test `{0}` was told twice")]
    Twice(String),
}

impl Sentinels {
    /// For `unittest`, in a directory of the tree (empty for the tree's own) with these names in it. Nothing when that is no
    /// directory a file can be planted in.
    pub fn python(seed: u64, directory: &str, names: &BTreeSet<String>) -> Option<Self> {
        let mut dice = Dice(seed);
        let style = python::Style::of(names);
        let mut modules: Vec<String> = Vec::new();
        for _ in 0..TRIES {
            if modules.len() == 2 {
                break;
            }
            let word = dice.pick(WORDS).to_owned();
            let word = if dice.below(4) == 0 { format!("{word}_{}", dice.pick(WORDS)) } else { word };
            let module = style.module(&word);
            let file = format!("{module}.py");
            let taken = names.iter().any(|name| name.eq_ignore_ascii_case(&file));
            if !taken && !modules.contains(&module) {
                modules.push(module);
            }
        }
        // With fewer than two, one of them is missing below.
        let mut made = modules.into_iter().zip([true, false]).map(|(module, good)| {
            let inside = if directory.is_empty() { String::new() } else { format!("{directory}/") };
            let path: FilePath = format!("{inside}{module}.py").parse().ok()?;
            let dotted = format!("{}{module}", inside.replace('/', "."));
            let (content, cases) = python::file(&mut dice, good);
            let ids = cases.into_iter().map(|case| format!("{dotted}.{case}")).collect::<Vec<_>>();
            Some((SentinelFile { path, content }, ids))
        });
        let ((good, passing), (bad, failing)) = (made.next()??, made.next()??);
        // Whoever looks for them by their order in time finds nothing either.
        let files = if dice.below(2) == 0 { [good, bad] } else { [bad, good] };
        Some(Self { files, passing, failing })
    }

    /// What to write.
    pub const fn files(&self) -> &[SentinelFile; 2] {
        &self.files
    }

    /// Whether a case is one of these; the component's own cases are the others.
    pub fn has(&self, case: &str) -> bool {
        self.passing.iter().chain(&self.failing).any(|id| id == case)
    }

    /// Whether each of them came out of a run as it must. `cases` is all that the run told.
    pub fn check<'a>(
        &self,
        cases: impl IntoIterator<Item = (&'a str, CaseEnd)>,
    ) -> Result<(), SentinelFault> {
        let told: Vec<(&str, CaseEnd)> = cases.into_iter().filter(|(id, _)| self.has(id)).collect();
        let good = self.passing.iter().map(|id| (id, CaseEnd::Passed));
        let bad = self.failing.iter().map(|id| (id, CaseEnd::Failed));
        for (id, expected) in good.chain(bad) {
            let mut own = told.iter().filter(|(told, _)| told == id).map(|(_, end)| *end);
            match (own.next(), own.next()) {
                (Some(end), None) if end == expected => {}
                (_, Some(_)) => return Err(SentinelFault::Twice(id.clone())),
                (Some(CaseEnd::Passed), None) => return Err(SentinelFault::Passed(id.clone())),
                (Some(CaseEnd::Failed), None) => return Err(SentinelFault::Failed(id.clone())),
                (Some(CaseEnd::NotRun) | None, None) => return Err(SentinelFault::NotRun(id.clone())),
            }
        }
        Ok(())
    }
}

/// What tests are about in most programs.
const WORDS: &[&str] = &[
    "amounts",
    "batches",
    "bounds",
    "buckets",
    "cache",
    "chunks",
    "columns",
    "counters",
    "cursor",
    "dates",
    "defaults",
    "deltas",
    "digits",
    "entries",
    "fields",
    "filters",
    "format",
    "groups",
    "headers",
    "index",
    "intervals",
    "items",
    "keys",
    "labels",
    "lengths",
    "limits",
    "lines",
    "lookup",
    "merge",
    "names",
    "numbers",
    "offsets",
    "options",
    "order",
    "pages",
    "pairs",
    "parsing",
    "paths",
    "ranges",
    "ratios",
    "records",
    "retry",
    "rounding",
    "rows",
    "scores",
    "segments",
    "slots",
    "sorting",
    "spans",
    "steps",
    "tables",
    "tags",
    "tokens",
    "totals",
    "units",
    "values",
    "versions",
    "weights",
    "widths",
    "window",
];

/// Numbers out of a seed: the same ones every time.
struct Dice(u64);

impl Dice {
    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Less than `end`, which is not zero.
    fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// One of several.
    fn pick<'a>(&mut self, among: &[&'a str]) -> &'a str {
        let count = u64::try_from(among.len()).unwrap_or(u64::MAX);
        let place = usize::try_from(self.below(count)).unwrap_or_default();
        among.get(place).copied().unwrap_or_default()
    }

    /// Some numbers, none of them twice.
    fn numbers(&mut self, count: usize) -> Vec<u64> {
        let mut numbers = Vec::new();
        while numbers.len() < count {
            let number = 2 + self.below(96);
            if !numbers.contains(&number) {
                numbers.push(number);
            }
        }
        numbers
    }
}

/// `3, 14, 15`
fn list(numbers: &[u64]) -> String {
    let mut text = String::new();
    for (place, number) in numbers.iter().enumerate() {
        let comma = if place == 0 { "" } else { ", " };
        // A string takes everything.
        let _ = write!(text, "{comma}{number}");
    }
    text
}

#[cfg(test)]
mod tests;
