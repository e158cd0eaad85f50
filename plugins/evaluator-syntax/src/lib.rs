//! `evaluator-syntax`: parses the files that a patch changes and points at what is no such text. It looks at Python, JSON, TOML
//! and YAML and at nothing else, and it runs nothing. That a file parses says nothing about what it does.

mod depth;
mod markup;
mod python;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::{Component, Path};

use razar_sdk::PluginError;
use razar_sdk::evaluator::{Evaluator, Finding, Judgement, Request, TREE};
use serde::Deserialize;

/// Far larger than any source file; a larger one is data.
const MAX_FILE: usize = 4 << 20;

/// Problems told about one file: enough to mend it.
const MAX_PER_FILE: usize = 20;

/// Problems told altogether.
const MAX_FINDINGS: usize = 1_000;

/// The plugin.
pub struct EvaluatorSyntax;

razar_sdk::export_evaluator!(EvaluatorSyntax);

/// There is nothing to set.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {}

impl Evaluator for EvaluatorSyntax {
    fn evaluate(request: Request) -> Result<Judgement, PluginError> {
        let Settings {} = request.parse_settings()?;
        Ok(judge(Path::new(TREE), &request.changed))
    }
}

/// What is wrong with a file: a line, if it is about one, and why.
type Problem = (Option<u32>, String);

/// Why a file is not judged.
type Unjudged = String;

/// How a kind of file is judged.
type Parse = fn(&[u8]) -> Result<Vec<Problem>, Unjudged>;

/// The parser of a file, by its name's ending.
fn parser(path: &str) -> Option<Parse> {
    let (_, ending) = path.rsplit('/').next()?.rsplit_once('.')?;
    match ending.to_ascii_lowercase().as_str() {
        "py" => Some(python::problems),
        "json" => Some(markup::json),
        "toml" => Some(markup::toml),
        "yaml" | "yml" => Some(markup::yaml),
        _ => None,
    }
}

/// Looks at those of these files that are there and that it knows.
fn judge(root: &Path, changed: &[String]) -> Judgement {
    let mut seen = BTreeSet::new();
    let (mut parsed, mut wrong) = (0_usize, 0_usize);
    let (mut findings, mut unjudged) = (Vec::new(), Vec::new());
    for path in changed.iter().filter(|path| seen.insert(path.as_str())) {
        let Some(parse) = parser(path) else { continue };
        let problems = match read(root, path) {
            // Deleted by the patch, or added by it and not there yet.
            Ok(None) => continue,
            Ok(Some(bytes)) => parse(&bytes),
            Err(reason) => Err(reason),
        };
        match problems {
            Ok(problems) => {
                parsed += 1;
                wrong += usize::from(!problems.is_empty());
                let problems = problems.into_iter().take(MAX_PER_FILE);
                findings.extend(problems.map(|(line, message)| Finding::new(path.as_str(), line, message)));
            }
            Err(reason) => unjudged.push(format!("`{path}` {reason}")),
        }
    }
    findings.truncate(MAX_FINDINGS);
    if wrong > 0 {
        let summary = format!("{wrong} of {parsed} changed files cannot be parsed");
        return Judgement::fail(summary).with_findings(findings);
    }
    match (unjudged.first(), parsed) {
        (Some(reason), _) => Judgement::not_evaluable(reason),
        (None, 0) => Judgement::not_evaluable("no changed file here is Python, JSON, TOML or YAML"),
        (None, 1) => Judgement::pass("the changed file can be parsed"),
        (None, parsed) => Judgement::pass(format!("all {parsed} changed files can be parsed")),
    }
}

/// A file's bytes; none when there is no such file.
fn read(root: &Path, path: &str) -> Result<Option<Vec<u8>>, Unjudged> {
    if !Path::new(path).components().all(|part| matches!(part, Component::Normal(_))) {
        return Ok(None);
    }
    let file = match File::open(root.join(path)) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(format!("cannot be read: {error}")),
    };
    let mut bytes = Vec::new();
    let most = u64::try_from(MAX_FILE).unwrap_or(u64::MAX).saturating_add(1);
    file.take(most).read_to_end(&mut bytes).map_err(|error| format!("cannot be read: {error}"))?;
    if bytes.len() > MAX_FILE {
        return Err(format!("is larger than {} MiB and is not parsed", MAX_FILE >> 20));
    }
    Ok(Some(bytes))
}

/// The line in which a byte lies, counted from 1.
fn line_at(bytes: &[u8], at: usize) -> Option<u32> {
    let before = bytes.get(..at.min(bytes.len()))?;
    let ends = before.iter().filter(|byte| **byte == b'\n').count();
    u32::try_from(ends).ok()?.checked_add(1)
}

/// As text, or the one problem that it is none.
fn text(bytes: &[u8]) -> Result<&str, Vec<Problem>> {
    std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        vec![(line_at(bytes, at), format!("is not UTF-8 text: byte {at} is no part of a character"))]
    })
}

#[cfg(test)]
mod tests;
