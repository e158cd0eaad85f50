//! Lets an evaluator judge one directory once, as a trial would, and tells its opinion. Nothing is changed: the directory is
//! mounted read-only, and what the evaluator writes lies in a directory that ends with the call.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use razar_runtime::contract::evaluator::{
    CaseStatus, Evaluator, EvaluatorCall, Finding, Judgement, Outcome, Request, TestCase,
};
use razar_runtime::outcome;
use serde_json::{Value, json};

use super::super::Exit;
use super::run::Asked;
use crate::report::escape;

/// A judgement's time where nobody says otherwise: the default of the role.
const TIME: Duration = Duration::from_secs(300);

/// Files that are taken for changed when nobody names any: as many as the host looks at in one tree.
const MAX_FILES: usize = 10_000;

pub(super) async fn ask(asked: &Asked<'_>, evaluator: &dyn Evaluator) -> Result<Exit, Exit> {
    let arguments = asked.arguments;
    let Some(tree) = &arguments.tree else { return Err(asked.usage("which files? `--tree DIR`")) };
    let unusable = |error: std::io::Error| asked.usage(&format!("`{}`: {error}", tree.display()));
    let tree = std::fs::canonicalize(tree).map_err(unusable)?;
    let changed = if arguments.changed.is_empty() {
        files(&tree).map_err(unusable)?
    } else {
        arguments.changed.clone()
    };
    let scratch = tempfile::Builder::new().prefix("razar-host-").tempdir().map_err(unusable)?;
    let request = Request {
        component: arguments.component.clone(),
        changed,
        settings: arguments.settings.clone(),
        extensions: Vec::new(),
    };
    let call =
        EvaluatorCall { request: &request, tree: &tree, scratch: scratch.path(), deadline: asked.time(TIME) };
    let report = evaluator.evaluate(call).await;
    let (word, text, judgement) = match &report.outcome {
        outcome::Outcome::Reply(judgement) => {
            (judgement.outcome.as_str(), judgement.summary.clone(), Some(judgement))
        }
        outcome::Outcome::Refused(error) => (report.outcome.as_str(), error.message.clone(), None),
        outcome::Outcome::Failed(failure) => (report.outcome.as_str(), failure.to_string(), None),
    };
    let summary = if asked.is_json() { text } else { escape::line(&text) };
    let (findings, cases) = judgement.map_or_else(Default::default, |judgement| told(asked, judgement));
    let mut answer = vec![
        ("outcome", json!(word)),
        ("summary", json!(summary)),
        ("findings", json!(findings)),
        ("cases", json!(cases)),
    ];
    if let Some(how) = judgement.and_then(Judgement::tampered) {
        let how = if asked.is_json() { how.to_owned() } else { escape::line(how) };
        answer.push(("tampered", json!(how)));
    }
    asked.tell(&answer, &[report]);
    Ok(if word == Outcome::Pass.as_str() { Exit::Done } else { Exit::Failed })
}

/// Findings and cases, for whoever reads them.
fn told(asked: &Asked<'_>, judgement: &Judgement) -> (Vec<Value>, Vec<Value>) {
    let finding = |finding: &Finding| {
        if asked.is_json() {
            json!({ "path": finding.path, "line": finding.line, "message": finding.message })
        } else {
            let place = match finding.line {
                Some(line) => format!("{}:{line}", finding.path),
                None => finding.path.clone(),
            };
            json!(format!("{}: {}", escape::line(&place), escape::line(&finding.message)))
        }
    };
    let case = |case: &TestCase| {
        let status = match &case.status {
            CaseStatus::Other(word) => word.as_str(),
            status => status.as_str(),
        };
        let milliseconds = u64::try_from(case.duration.as_millis()).unwrap_or(u64::MAX);
        if asked.is_json() {
            json!({ "id": case.id, "status": status, "message": case.message, "duration_ms": milliseconds })
        } else {
            let why = if case.message.is_empty() { String::new() } else { format!(": {}", case.message) };
            json!(escape::line(&format!("{status} {} ({milliseconds} ms){why}", case.id)))
        }
    };
    (judgement.findings.iter().map(finding).collect(), judgement.cases.iter().map(case).collect())
}

/// Every regular file of a tree, by its path in it; links are not followed.
fn files(tree: &Path) -> std::io::Result<Vec<String>> {
    let mut found = BTreeSet::new();
    let mut waiting = vec![PathBuf::new()];
    while let Some(directory) = waiting.pop() {
        for entry in std::fs::read_dir(tree.join(&directory))? {
            let entry = entry?;
            let (kind, path) = (entry.file_type()?, directory.join(entry.file_name()));
            if kind.is_dir() {
                waiting.push(path);
            } else if let (true, Some(path)) = (kind.is_file(), path.to_str()) {
                found.insert(path.to_owned());
            }
            if found.len() > MAX_FILES {
                let message = format!("it has more than {MAX_FILES} files: name some with `--changed PATH`");
                return Err(std::io::Error::other(message));
            }
        }
    }
    Ok(found.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_has_the_files_that_it_has() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(home.path().join("b/c")).unwrap();
        std::fs::write(home.path().join("b/c/d.py"), "").unwrap();
        std::fs::write(home.path().join("a.toml"), "").unwrap();
        std::os::unix::fs::symlink("/etc", home.path().join("b/etc")).unwrap();
        assert_eq!(files(home.path()).unwrap(), ["a.toml", "b/c/d.py"]);
    }
}
