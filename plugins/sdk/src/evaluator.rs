//! The role `evaluator`: its trait, and comfortable ways to make its types.

use serde::de::DeserializeOwned;

pub use crate::bindings::evaluator::exports::razar::plugin::evaluator::*;
use crate::settings;
use crate::text::one_line;

/// Where the tree to judge is.
pub const TREE: &str = "/tree";

/// Where there is room to work in; empty at the beginning, gone after the call.
pub const SCRATCH: &str = "/scratch";

/// Judges a tree. Export it with [`export_evaluator!`](crate::export_evaluator).
pub trait Evaluator {
    /// Looks at [`TREE`] once.
    fn evaluate(request: Request) -> Result<Judgement, PluginError>;
}

impl<T: Evaluator> Guest for T {
    fn evaluate(request: Request) -> Result<Judgement, PluginError> {
        <T as Evaluator>::evaluate(request)
    }
}

impl Request {
    /// A request for tests: nothing has changed, no settings.
    pub fn new(component: impl Into<String>) -> Self {
        Self {
            component: component.into(),
            changed: Vec::new(),
            settings: "{}".to_owned(),
            extensions: Vec::new(),
        }
    }

    /// With these changed paths.
    #[must_use]
    pub fn with_changed<P: Into<String>>(mut self, paths: impl IntoIterator<Item = P>) -> Self {
        self.changed.extend(paths.into_iter().map(Into::into));
        self
    }

    /// With settings, as JSON.
    #[must_use]
    pub fn with_settings(mut self, settings: impl Into<String>) -> Self {
        self.settings = settings.into();
        self
    }

    /// The settings as a struct; see [`parse_settings`](crate::parse_settings).
    pub fn parse_settings<T: DeserializeOwned>(&self) -> Result<T, PluginError> {
        settings::parse(&self.settings)
    }
}

impl Judgement {
    /// An opinion without findings and cases; the summary becomes one line without control characters.
    pub fn new(outcome: Outcome, summary: impl AsRef<str>) -> Self {
        let summary = one_line(summary.as_ref());
        Self { outcome, summary, findings: Vec::new(), cases: Vec::new(), extensions: Vec::new() }
    }

    /// All is in order.
    pub fn pass(summary: impl AsRef<str>) -> Self {
        Self::new(Outcome::Pass, summary)
    }

    /// Something is not.
    pub fn fail(summary: impl AsRef<str>) -> Self {
        Self::new(Outcome::Fail, summary)
    }

    /// It cannot be judged here. Never a pass.
    pub fn not_evaluable(reason: impl AsRef<str>) -> Self {
        let reason = one_line(reason.as_ref());
        Self::new(Outcome::NotEvaluable(reason.clone()), reason)
    }

    /// Points at these.
    #[must_use]
    pub fn with_findings(mut self, findings: impl IntoIterator<Item = Finding>) -> Self {
        self.findings.extend(findings);
        self
    }
}

impl Finding {
    /// Something worth pointing at; the message becomes one line without control characters.
    pub fn new(path: impl Into<String>, line: Option<u32>, message: impl AsRef<str>) -> Self {
        Self { path: path.into(), line, message: one_line(message.as_ref()), extensions: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_judgement_is_built_in_one_expression() {
        let judgement =
            Judgement::fail("one\nfinding").with_findings([Finding::new("a.py", Some(3), "bad\u{7}")]);
        assert!(matches!(judgement.outcome, Outcome::Fail));
        assert_eq!(
            (judgement.summary.as_str(), judgement.findings[0].message.as_str()),
            ("one finding", "bad")
        );
        let judgement = Judgement::not_evaluable("no\nthreads");
        assert!(matches!(&judgement.outcome, Outcome::NotEvaluable(reason) if reason == "no threads"));
    }

    #[test]
    fn a_request_for_tests_says_what_has_changed() {
        let request = Request::new("shop").with_changed(["a.py"]).with_settings(r#"{"a":1}"#);
        assert_eq!(request.changed, ["a.py"]);
        assert_eq!(request.parse_settings::<std::collections::BTreeMap<String, u8>>().unwrap()["a"], 1);
    }
}
