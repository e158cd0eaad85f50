//! Evaluator plugins as judges of a trial: each look is one call on one tree, with the host's own tests planted beside the
//! component's, so that whoever does not run what he says he ran is found out. It forms no verdict.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use razar_core::grant::Role;
use razar_core::id::{ComponentId, PluginId};
use razar_core::patch::{Case, CaseEnd, Look, Opinion, Sentinels};
use razar_runtime::contract::BoxFuture;
use razar_runtime::contract::evaluator::{self, CaseStatus, EvaluatorCall, Judgement};
use razar_runtime::outcome::{Outcome, PluginErrorKind};
use razar_runtime::tape::Tape;

use super::evaluate::Evaluator;
use super::judge::Engines;
use super::planted::Planted;
use super::wire::Request;
use crate::packages::{Packages, Sources};
use crate::record::calls::{Asked, Call};
use crate::record::take::{Notes, whose};

/// One look's time: what a plugin's own limit allows, if that is less.
const TIME: Duration = Duration::from_secs(300);

/// One plugin.
pub(crate) struct Plugin {
    name: PluginId,
    packages: Packages,
    component: ComponentId,
    /// Where its scratch directories are made, one a look.
    scratch: PathBuf,
    seed: u64,
    /// What was asked of it.
    notes: Notes,
}

/// Loads the evaluators that a request names, and no others.
pub(crate) async fn load(
    request: &Request,
    runtime: &Engines,
    scratch: &Path,
    seed: u64,
    notes: &Notes,
) -> Result<Vec<Box<dyn Evaluator>>, String> {
    let mut loaded: Vec<Box<dyn Evaluator>> = Vec::new();
    for name in &request.evaluators {
        let sources = Sources { dirs: &request.plugins, grants: request.grants.as_deref(), signers: None };
        let packages = Packages::load_named(sources, runtime.as_ref().map_err(String::clone)?, name).await;
        if packages.evaluator(name).is_none() {
            let why = packages.problems().first().map(|problem| format!(": {}", problem.message));
            return Err(format!("the evaluator `{name}` cannot be used{}", why.unwrap_or_default()));
        }
        let (name, component, scratch) = (name.clone(), request.component.clone(), scratch.to_owned());
        let notes = notes.clone();
        loaded.push(Box::new(Plugin { name, packages, component, scratch, seed, notes }));
    }
    Ok(loaded)
}

impl Evaluator for Plugin {
    fn name(&self) -> &str {
        self.name.as_str()
    }

    fn look<'a>(&'a self, tree: &'a Path, changed: &'a [String]) -> BoxFuture<'a, Result<Look, String>> {
        Box::pin(self.judged(tree, changed))
    }
}

impl Plugin {
    async fn judged(&self, tree: &Path, changed: &[String]) -> Result<Look, String> {
        let failed = |error: std::io::Error| format!("the tests of the host cannot be planted: {error}");
        let planted = Planted::in_tree(tree, self.seed).map_err(failed)?;
        let judgement = self.asked(tree, changed, planted.names(tree)).await;
        let sentinels = planted.sentinels().cloned();
        planted.dig_up().map_err(failed)?;
        judgement.map(|judgement| look(&judgement, sentinels.as_ref()))
    }

    /// Its opinion. What it cannot say is no fault of the tree; what its guest did wrong is.
    async fn asked(
        &self,
        tree: &Path,
        changed: &[String],
        planted: Vec<String>,
    ) -> Result<Judgement, String> {
        let Some(evaluator) = self.packages.evaluator(&self.name) else {
            return Err("it is not loaded".to_owned());
        };
        let scratch = tempfile::Builder::new().prefix("look-").tempdir_in(&self.scratch);
        let scratch = scratch.map_err(|error| format!("no scratch directory can be made: {error}"))?;
        let request = evaluator::Request {
            component: self.component.to_string(),
            changed: changed.to_vec(),
            settings: "{}".to_owned(),
            extensions: Vec::new(),
        };
        let call = EvaluatorCall { request: &request, tree, scratch: scratch.path(), deadline: TIME };
        let tape = Tape::record();
        let report = tape.around(evaluator.evaluate(call)).await;
        if let Some(whose) = self.packages.get(&self.name).and_then(|plugin| whose(plugin, Role::Evaluator)) {
            let asked = Asked::Evaluator { request: request.clone(), seed: self.seed, planted };
            self.notes.push(Call::new(whose, TIME, asked, tape.take(), &report.outcome));
        }
        opinion(report.outcome)
    }
}

/// What an answer says of a tree.
pub(crate) fn opinion(outcome: Outcome<Judgement>) -> Result<Judgement, String> {
    let ends = |outcome, summary: String| Judgement {
        outcome,
        summary,
        findings: Vec::new(),
        cases: Vec::new(),
        extensions: Vec::new(),
    };
    match outcome {
        Outcome::Reply(judgement) => Ok(judgement),
        Outcome::Refused(error) if error.kind == PluginErrorKind::NotEvaluable => {
            Ok(ends(evaluator::Outcome::NotEvaluable(error.message.clone()), error.message))
        }
        Outcome::Refused(error) => Err(error.message),
        // A tree that stops whoever looks at it is not in order.
        Outcome::Failed(failure) => Ok(ends(evaluator::Outcome::Fail, failure.to_string())),
    }
}

/// What such an answer says of a tree that lies there with the host's own tests in it, grown from this seed.
pub(crate) fn look_again(
    outcome: Outcome<Judgement>,
    tree: &Path,
    seed: u64,
    planted: &[String],
) -> Result<Look, String> {
    let failed = |error: std::io::Error| format!("the tests of the host cannot be planted: {error}");
    // A recording may be a stranger's: nothing is removed outside of the tree.
    let held = Dir::open_ambient_dir(tree, ambient_authority()).map_err(failed)?;
    planted.iter().try_for_each(|path| held.remove_file(path)).map_err(failed)?;
    let planted = Planted::in_tree(tree, seed).map_err(failed)?;
    opinion(outcome).map(|judgement| look(&judgement, planted.sentinels()))
}

/// What one judgement says of the component, without the host's own cases.
fn look(judgement: &Judgement, sentinels: Option<&Sentinels>) -> Look {
    let own = |id: &str| sentinels.is_some_and(|sentinels| sentinels.has(id));
    let ends = judgement.cases.iter().map(|case| (case.id.as_str(), end(&case.status)));
    let fault = match (sentinels, judgement.cases.is_empty()) {
        // Nothing was run, so nothing can be said of how.
        (None, _) | (_, true) => None,
        (Some(sentinels), false) => sentinels.check(ends).err().map(|fault| fault.to_string()),
    };
    let cases = judgement.cases.iter().filter(|case| !own(&case.id)).map(|case| {
        let end = match case.status {
            CaseStatus::Passed => Case::Passed,
            CaseStatus::Failed | CaseStatus::Errored => Case::Failed,
            CaseStatus::Skipped => Case::Skipped,
            CaseStatus::Other(_) => Case::NotEvaluable,
        };
        (case.id.clone(), end)
    });
    let cases: BTreeMap<String, Case> = cases.collect();
    let opinion = match &judgement.outcome {
        evaluator::Outcome::NotEvaluable(why) => Opinion::NotEvaluable(why.clone()),
        // Some of the host's own cases must fail: only the component's count.
        _ if !cases.is_empty() => match cases.values().any(|case| *case == Case::Failed) {
            true => Opinion::Fail,
            false => Opinion::Pass,
        },
        evaluator::Outcome::Pass => Opinion::Pass,
        evaluator::Outcome::Fail => Opinion::Fail,
    };
    let sentinel = judgement.tampered().map(str::to_owned).or(fault);
    let why = if cases.is_empty() { judgement.summary.clone() } else { counted(&cases) };
    Look { opinion, cases, sentinel, why }
}

/// The component's own cases in one line.
fn counted(cases: &BTreeMap<String, Case>) -> String {
    let of = |wanted: Case| cases.iter().filter(move |(_, case)| **case == wanted).map(|(name, _)| name);
    let mut said = format!("{} of {} cases pass", of(Case::Passed).count(), cases.len());
    for (case, word) in [(Case::Failed, "fail"), (Case::NotEvaluable, "cannot be run here")] {
        if let Some(first) = of(case).next() {
            said += &format!("; {} {word}, the first is `{first}`", of(case).count());
        }
    }
    said
}

const fn end(status: &CaseStatus) -> CaseEnd {
    match status {
        CaseStatus::Passed => CaseEnd::Passed,
        CaseStatus::Failed | CaseStatus::Errored => CaseEnd::Failed,
        CaseStatus::Skipped | CaseStatus::Other(_) => CaseEnd::NotRun,
    }
}

#[cfg(test)]
mod tests {
    use razar_runtime::contract::evaluator::TestCase;

    use super::*;

    fn judgement(cases: &[(&str, CaseStatus)]) -> Judgement {
        let case = |(id, status): &(&str, CaseStatus)| TestCase {
            id: (*id).to_owned(),
            status: status.clone(),
            message: String::new(),
            duration: Duration::ZERO,
            extensions: Vec::new(),
        };
        Judgement {
            outcome: evaluator::Outcome::Fail,
            summary: String::new(),
            findings: Vec::new(),
            cases: cases.iter().map(case).collect(),
            extensions: Vec::new(),
        }
    }

    #[test]
    fn the_hosts_own_cases_are_believed_and_do_not_count() {
        let names = ["test_app.py".to_owned()].into();
        let sentinels = Sentinels::python(7, "app/tests", &names).unwrap();
        let silent =
            look(&judgement(&[("app.tests.test_app.T.test_a", CaseStatus::Passed)]), Some(&sentinels));
        assert_eq!((silent.opinion, silent.cases.len()), (Opinion::Pass, 1));
        assert!(silent.sentinel.unwrap().contains("was not run"));
        let all = [("a", CaseStatus::Passed), ("b", CaseStatus::Other("not-evaluable".to_owned()))];
        let threads = look(&judgement(&all), None);
        assert_eq!(threads.cases["b"], Case::NotEvaluable, "nothing is known of it");
        assert_eq!(threads.why, "1 of 2 cases pass; 1 cannot be run here, the first is `b`");
        let other = look(&judgement(&[]), Some(&sentinels));
        assert_eq!((other.opinion, other.sentinel), (Opinion::Fail, None), "who runs nothing claims nothing");
    }
}
