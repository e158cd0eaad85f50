//! The role `evaluator`: its trait, and comfortable ways to make its types.

pub use crate::bindings::evaluator::exports::razar::plugin::evaluator::*;
use crate::text::one_line;

/// Judges a tree. Export it with [`export_evaluator!`](crate::export_evaluator).
pub trait Evaluator {
    /// Looks at `/tree` once.
    fn evaluate(request: Request) -> Result<Judgement, PluginError>;
}

impl<T: Evaluator> Guest for T {
    fn evaluate(request: Request) -> Result<Judgement, PluginError> {
        <T as Evaluator>::evaluate(request)
    }
}

impl Judgement {
    /// An opinion without findings and cases.
    pub fn new(outcome: Outcome, summary: impl AsRef<str>) -> Self {
        let summary = one_line(summary.as_ref());
        Self { outcome, summary, findings: Vec::new(), cases: Vec::new(), extensions: Vec::new() }
    }
}
