//! The role `evaluator` as the rest of the host sees it: a tree is looked at, a judgement comes out. It is an opinion about one
//! tree; what several of them mean together is for the host to say.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::BoxFuture;
pub use super::agent::Extensions;
use crate::outcome::CallReport;

/// Key of the judgement's extension in which an evaluator says that the tree works against it, and how.
pub const TAMPERED: &str = "tampered";

/// Judges trees.
pub trait Evaluator: Send + Sync {
    /// Looks at one tree once. Dropping the future ends the call.
    fn evaluate<'a>(&'a self, call: EvaluatorCall<'a>) -> BoxFuture<'a, CallReport<Judgement>>;
}

/// One look at one tree.
#[derive(Debug, Clone, Copy)]
pub struct EvaluatorCall<'a> {
    /// What the evaluator is told.
    pub request: &'a Request,
    /// Seen read-only at `/tree`: regular files on a file system that keeps nobody waiting.
    pub tree: &'a Path,
    /// Seen at `/scratch`: empty, of this call alone, and not below the tree.
    pub scratch: &'a Path,
    /// Time for everything, from waiting for a place to run to the answer. Never more than the plugin's limit.
    pub deadline: Duration,
}

/// What to judge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The component.
    pub component: String,
    /// What differs between the trusted base and the candidate; the same list for both.
    pub changed: Vec<String>,
    /// JSON object, validated against the plugin's schema.
    pub settings: String,
    /// Additive information.
    pub extensions: Extensions,
}

/// An evaluator's opinion. All texts are the plugin's words, or those of the code it ran: data, to be escaped where it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judgement {
    /// In one word.
    pub outcome: Outcome,
    /// In one line.
    pub summary: String,
    /// What it points at.
    pub findings: Vec<Finding>,
    /// What it ran.
    pub cases: Vec<TestCase>,
    /// Additive information.
    pub extensions: Extensions,
}

impl Judgement {
    /// How the tree works against the evaluator, if the evaluator says so.
    pub fn tampered(&self) -> Option<&str> {
        self.extensions.iter().find(|(key, _)| key == TAMPERED).map(|(_, how)| how.as_str())
    }
}

/// What an evaluator thinks of a tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// All is in order.
    Pass,
    /// Something is not.
    Fail,
    /// It cannot be judged here, because …
    NotEvaluable(String),
}

impl Outcome {
    /// The word in logs and labels.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::NotEvaluable(_) => "not-evaluable",
        }
    }
}

/// Something an evaluator points at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Relative to the tree.
    pub path: String,
    /// Counts from 1; none for the whole file.
    pub line: Option<u32>,
    /// What is wrong.
    pub message: String,
    /// Additive information.
    pub extensions: Extensions,
}

/// One test case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestCase {
    /// Its name, the same in every run.
    pub id: String,
    /// How it ended.
    pub status: CaseStatus,
    /// Why, when it did not pass.
    pub message: String,
    /// How long it took.
    pub duration: Duration,
    /// Additive information.
    pub extensions: Extensions,
}

/// How a test case ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum CaseStatus {
    /// What it asserts holds.
    Passed,
    /// What it asserts does not hold.
    Failed,
    /// It did not run to its end.
    Errored,
    /// It was not run.
    Skipped,
    /// A word of the test tool's own: counts as not passed.
    Other(String),
}

impl CaseStatus {
    /// The word in logs and labels.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Errored => "errored",
            Self::Skipped => "skipped",
            Self::Other(_) => "other",
        }
    }
}
