//! How tests of documents say what must be wrong.

use crate::problem::Problem;

/// Each expected text is in one problem as a human reads it, and there is no other problem.
#[track_caller]
pub(in crate::document) fn assert_says<T: std::fmt::Debug>(
    result: Result<T, Vec<Problem>>,
    expected: &[&str],
) {
    let problems = result.expect_err("it should not parse");
    let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
    for text in expected {
        assert!(problems.iter().any(|problem| problem.contains(text)), "{text:?} is not in {problems:#?}");
    }
    assert_eq!(problems.len(), expected.len(), "{problems:#?}");
}
