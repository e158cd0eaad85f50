//! From what the judges of a trial saw to one [`Verdict`]: a table in code. It believes evidence and nothing else; it reads
//! no text that a judged program printed, and what nobody could judge is never taken for repaired.
//!
//! Order of evaluation; the first that applies is the verdict:
//!
//! | evidence | verdict |
//! |---|---|
//! | something of the machine failed, or a judge cannot be trusted on the base | infra |
//! | a file changed under the judges, a sentinel came out wrong, cases are gone from a suite that passes | tampered |
//! | the patched service does not start or stay well | not-fixed, or regressed if the base does |
//! | the same question had different answers | flaky |
//! | what passed does not pass any more | regressed |
//! | what failed still fails | not-fixed |
//! | the failure showed on the base and is gone | fixed |
//! | whoever saw it cannot run with the patch what failed | not-evaluable |
//! | there were judges, and none of them saw the failure on the base | infra |
//! | nobody could judge | not-evaluable |

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What became of a trial. Only [`Verdict::Fixed`] may be applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The failure shows without the patch and is gone with it, and nothing else is worse.
    Fixed,
    /// The failure is still there.
    NotFixed,
    /// Something that worked does not work any more.
    Regressed,
    /// The patch reached for its judges.
    Tampered,
    /// The answers differ from one time to the next.
    Flaky,
    /// It could not be tried: the fault of the machine, or of how it is set up.
    Infra,
    /// No judge there is can judge it.
    NotEvaluable,
}

impl Verdict {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Fixed,
        Self::NotFixed,
        Self::Regressed,
        Self::Tampered,
        Self::Flaky,
        Self::Infra,
        Self::NotEvaluable,
    ];

    /// The word in logs, labels and scripts.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fixed => "fixed",
            Self::NotFixed => "not-fixed",
            Self::Regressed => "regressed",
            Self::Tampered => "tampered",
            Self::Flaky => "flaky",
            Self::Infra => "infra",
            Self::NotEvaluable => "not-evaluable",
        }
    }

    /// Whether the patch may be applied.
    pub const fn is_fixed(self) -> bool {
        matches!(self, Self::Fixed)
    }
}

/// A verdict and one line of why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ruling {
    /// What became of it.
    pub verdict: Verdict,
    /// Why, for people. It may quote what a judged program said: escape it where it is shown.
    pub reason: String,
}

/// Everything that was seen of one patch. Empty evidence is not evaluable.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// What of the machine failed: nothing can be concluded.
    #[serde(default)]
    pub broken: Vec<String>,
    /// Files no judged program has to touch, and which were something else afterwards: tests, and what the patch changed.
    #[serde(default)]
    pub tampered: Vec<String>,
    /// What each evaluator thought, and what the component's own test command came to.
    #[serde(default)]
    pub evaluations: Vec<Evaluation>,
    /// The service itself, started and asked by its probes.
    #[serde(default)]
    pub shadow: Option<Pair<Seen>>,
}

/// The same question about two trees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair<T> {
    /// The files as they are.
    pub base: T,
    /// The files with the patch.
    pub candidate: T,
}

/// What came of running something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Seen {
    /// It was as it must be.
    Well,
    /// It was not, because.
    Failed(String),
    /// It cannot be run here, because.
    NotEvaluable(String),
}

/// What one evaluator or test command thought, asked as often as repeats are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Its name.
    pub by: String,
    /// Of the files as they are; the same each time, or it is flaky.
    pub base: Vec<Look>,
    /// Of the files with the patch.
    pub candidate: Vec<Look>,
}

/// One answer of an evaluator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    /// In one word.
    pub opinion: Opinion,
    /// How each case ended, by its name. Sentinels are not among them.
    #[serde(default)]
    pub cases: BTreeMap<String, Case>,
    /// A case the host had planted and that did not end as it must: whoever answered did not run what it says it ran.
    #[serde(default)]
    pub sentinel: Option<String>,
    /// Why it thinks so, in one line for people. It is never compared.
    #[serde(default)]
    pub why: String,
}

/// What an evaluator thinks of a tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Opinion {
    /// Everything it looked at is in order.
    Pass,
    /// Something is not.
    Fail,
    /// It cannot judge this tree, because.
    NotEvaluable(String),
}

/// How one case ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Case {
    /// It ran, and what it asserts holds.
    Passed,
    /// It ran and does not hold, or could not run to its end.
    Failed,
    /// It was not run.
    Skipped,
    /// It cannot be run where it was to be: nothing is known of it.
    NotEvaluable,
}

/// Judges.
pub fn judge(evidence: &Evidence) -> Ruling {
    objection(evidence).unwrap_or_else(|| concluded(evidence))
}

/// What keeps a patch from being applied, whatever else is seen of it: more evidence may change the word, and never takes the
/// objection away. Nothing, as long as it may still turn out to be a repair.
pub fn objection(evidence: &Evidence) -> Option<Ruling> {
    broken(evidence)
        .or_else(|| tampered(evidence))
        .or_else(|| shadow(evidence))
        .or_else(|| flaky(evidence))
        .or_else(|| worse(evidence))
        .or_else(|| still(evidence))
}

fn ruling(verdict: Verdict, reason: impl Into<String>) -> Ruling {
    Ruling { verdict, reason: reason.into() }
}

fn broken(evidence: &Evidence) -> Option<Ruling> {
    if let Some(what) = evidence.broken.first() {
        return Some(ruling(Verdict::Infra, what));
    }
    evidence.evaluations.iter().find_map(|evaluation| {
        let by = &evaluation.by;
        if evaluation.base.is_empty() || evaluation.candidate.is_empty() {
            return Some(ruling(Verdict::Infra, format!("{by} was not asked about both trees")));
        }
        let wrong = evaluation.base.iter().find_map(|look| look.sentinel.as_ref())?;
        let reason =
            format!("{by} cannot be relied on: without the patch its sentinel `{wrong}` came out wrong");
        Some(ruling(Verdict::Infra, reason))
    })
}

fn tampered(evidence: &Evidence) -> Option<Ruling> {
    let tampered = |reason: String| Some(ruling(Verdict::Tampered, reason));
    if let Some(path) = evidence.tampered.first() {
        return tampered(format!("`{path}` was changed while it was judged"));
    }
    evidence.evaluations.iter().find_map(|Evaluation { by, base, candidate }| {
        if let Some(wrong) = candidate.iter().find_map(|look| look.sentinel.as_ref()) {
            return tampered(format!("{by}: the sentinel `{wrong}` came out wrong"));
        }
        pairs(base, candidate).find_map(|(base, candidate)| match (&base.opinion, &candidate.opinion) {
            (Opinion::Pass | Opinion::Fail, Opinion::NotEvaluable(why)) => {
                tampered(format!("{by} could judge it without the patch, and cannot with it: {why}"))
            }
            (Opinion::Pass | Opinion::Fail, Opinion::Pass) => {
                let gone = base.cases.keys().find(|case| now(candidate, case).is_none())?;
                tampered(format!("{by}: the case `{gone}` is gone, and the suite passes"))
            }
            _ => None,
        })
    })
}

/// The service with the patch, which is believed more than any suite.
fn shadow(evidence: &Evidence) -> Option<Ruling> {
    let Pair { base, candidate: Seen::Failed(why) } = evidence.shadow.as_ref()? else { return None };
    Some(match base {
        Seen::Well => ruling(Verdict::Regressed, format!("with the patch the service is not well: {why}")),
        _ => ruling(Verdict::NotFixed, format!("the service is still not well: {why}")),
    })
}

fn flaky(evidence: &Evidence) -> Option<Ruling> {
    let differs = |looks: &[Look]| looks.iter().zip(looks.iter().skip(1)).find_map(|(a, b)| difference(a, b));
    evidence.evaluations.iter().find_map(|Evaluation { by, base, candidate }| {
        let what = differs(base).or_else(|| differs(candidate))?;
        Some(ruling(Verdict::Flaky, format!("{by}: asked again, {what}")))
    })
}

/// In what two answers to the same question differ; the words of a reason do not count.
fn difference(a: &Look, b: &Look) -> Option<String> {
    if std::mem::discriminant(&a.opinion) != std::mem::discriminant(&b.opinion) {
        return Some("it thinks otherwise".to_owned());
    }
    let names = a.cases.keys().chain(b.cases.keys());
    let other = names.into_iter().find(|case| a.cases.get(*case) != b.cases.get(*case))?;
    Some(format!("the case `{other}` ends otherwise"))
}

fn worse(evidence: &Evidence) -> Option<Ruling> {
    let regressed = |reason: String| Some(ruling(Verdict::Regressed, reason));
    suites(evidence).find_map(|(by, base, candidate)| {
        let was = |case: &String| earlier(base, case);
        let broke = candidate.cases.iter().find(|(case, now)| match was(case) {
            Some(Case::Passed) => **now != Case::Passed,
            Some(Case::Skipped | Case::NotEvaluable) | None => **now == Case::Failed,
            Some(Case::Failed) => false,
        });
        if let Some((case, _)) = broke {
            return regressed(format!("{by}: the case `{case}` does not pass any more"));
        }
        let passed = base.cases.iter().filter(|(_, was)| **was == Case::Passed);
        if let Some((case, _)) = passed.into_iter().find(|(case, _)| now(candidate, case).is_none()) {
            return regressed(format!("{by}: the case `{case}` passed and is gone{}", because(candidate)));
        }
        match (&base.opinion, &candidate.opinion) {
            (Opinion::Pass, Opinion::Fail) => {
                regressed(format!("{by}: everything was in order and is not any more{}", because(candidate)))
            }
            _ => None,
        }
    })
}

fn still(evidence: &Evidence) -> Option<Ruling> {
    let fails = |reason: String| Some(ruling(Verdict::NotFixed, reason));
    suites(evidence).find_map(|(by, base, candidate)| {
        let failed = base.cases.iter().filter(|(_, was)| **was == Case::Failed).map(|(case, _)| case);
        let gone =
            |case: &&String| matches!(now(candidate, case.as_str()), Some(Case::Passed | Case::NotEvaluable));
        let mut still = failed.filter(|case| !gone(case));
        match (still.next(), &candidate.opinion) {
            (Some(case), _) => fails(format!("{by}: the case `{case}` still fails")),
            (None, Opinion::Fail) => {
                fails(format!("{by}: something is still not in order{}", because(candidate)))
            }
            (None, _) => None,
        }
    })
}

/// Nobody objects: has anybody seen the failure go?
fn concluded(evidence: &Evidence) -> Ruling {
    if let Some(Pair { base: Seen::Failed(why), candidate: Seen::Well }) = &evidence.shadow {
        return ruling(
            Verdict::Fixed,
            format!("the service starts and stays well; without the patch: {why}"),
        );
    }
    let failed = || suites(evidence).filter(|(_, base, _)| base.opinion == Opinion::Fail);
    // Who cannot run any more what failed has seen it fail, and not go.
    let unseen = |base: &Look, candidate: &Look| {
        let mut failed = base.cases.iter().filter(|(_, was)| **was == Case::Failed);
        failed
            .find(|(case, _)| now(candidate, case) == Some(Case::NotEvaluable))
            .map(|(case, _)| case.clone())
    };
    if let Some((by, _, _)) = failed().find(|(_, base, candidate)| unseen(base, candidate).is_none()) {
        return ruling(Verdict::Fixed, format!("{by}: what failed passes now"));
    }
    if let Some((by, base, candidate)) = failed().next() {
        let case = unseen(base, candidate).unwrap_or_default();
        let reason = format!("{by} cannot run the case `{case}` with the patch, and nobody else saw it fail");
        return ruling(Verdict::NotEvaluable, reason);
    }
    let ran = evidence.shadow.as_ref().is_some_and(|pair| pair.candidate == Seen::Well);
    if ran || suites(evidence).next().is_some() {
        return ruling(
            Verdict::Infra,
            "the failure does not show in the sealed copy, so nothing can be concluded",
        );
    }
    ruling(Verdict::NotEvaluable, unable(evidence).unwrap_or("there is nobody to judge it"))
}

/// Why the first judge that was asked could not judge.
fn unable(evidence: &Evidence) -> Option<&str> {
    let pair = evidence.shadow.iter();
    let mut of_pair = pair.flat_map(|pair| [&pair.base, &pair.candidate]).filter_map(|seen| match seen {
        Seen::NotEvaluable(why) => Some(why.as_str()),
        _ => None,
    });
    let looks = evidence.evaluations.iter().flat_map(|evaluation| &evaluation.base);
    let mut of_looks = looks.filter_map(|look| match &look.opinion {
        Opinion::NotEvaluable(why) => Some(why.as_str()),
        _ => None,
    });
    of_pair.next().or_else(|| of_looks.next())
}

/// How a case ends. One that stood for a file which could not be loaded ends as the worst of those that are in it.
fn now(look: &Look, case: &str) -> Option<Case> {
    let inside = || {
        let below = |name: &String| name.strip_prefix(case).is_some_and(|rest| rest.starts_with('.'));
        let ends = look.cases.iter().filter(|(name, _)| below(name)).map(|(_, end)| *end);
        ends.reduce(|one, other| match (one, other) {
            (Case::Failed, _) | (_, Case::Failed) => Case::Failed,
            (Case::NotEvaluable, _) | (_, Case::NotEvaluable) => Case::NotEvaluable,
            (Case::Passed, _) | (_, Case::Passed) => Case::Passed,
            _ => Case::Skipped,
        })
    };
    look.cases.get(case).copied().or_else(inside)
}

/// How a case ended, or the file it is in, which could not be loaded.
fn earlier(look: &Look, case: &str) -> Option<Case> {
    let files = case.match_indices('.').filter_map(|(at, _)| case.get(..at));
    let unloaded = |file: &str| look.cases.get(file).copied().filter(|end| *end == Case::Failed);
    look.cases.get(case).copied().or_else(|| files.into_iter().find_map(unloaded))
}

/// Why, behind a colon, if it said why.
fn because(look: &Look) -> String {
    if look.why.is_empty() { String::new() } else { format!(": {}", look.why) }
}

/// What each evaluator thought the first time of both trees, if it could judge both; repeats say the same by now.
fn suites(evidence: &Evidence) -> impl Iterator<Item = (&str, &Look, &Look)> {
    let able = |look: &Look| !matches!(look.opinion, Opinion::NotEvaluable(_));
    let first = move |evaluation: &'_ Evaluation| {
        evaluation.base.first().is_some_and(able) && evaluation.candidate.first().is_some_and(able)
    };
    evidence.evaluations.iter().filter(move |evaluation| first(evaluation)).flat_map(|evaluation| {
        pairs(&evaluation.base, &evaluation.candidate)
            .take(1)
            .map(|(base, candidate)| (evaluation.by.as_str(), base, candidate))
    })
}

/// Every answer about the candidate, beside one about the base.
fn pairs<'l>(base: &'l [Look], candidate: &'l [Look]) -> impl Iterator<Item = (&'l Look, &'l Look)> {
    base.first().into_iter().flat_map(move |base| candidate.iter().map(move |candidate| (base, candidate)))
}

#[cfg(test)]
mod tests;
