//! The role `evaluator` of `razar:plugin@0.1.x`: generated bindings in, plain types out.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use razar_core::grant::{CallScope, TreePaths};
use wasmtime::Store;
use wasmtime::component::InstancePre;

use self::bindings::exports::razar::plugin::evaluator as wit;
use super::probe::razar::plugin::types;
use super::typecheck;
use crate::broker::journal::CallRecord;
use crate::broker::log::LogRecord;
use crate::call::Invocation;
use crate::contract::BoxFuture;
use crate::contract::evaluator::{
    CaseStatus, Evaluator, EvaluatorCall, Finding, Judgement, Outcome, Request, TestCase,
};
use crate::outcome::{self, CallReport, PluginError, PluginErrorKind, Usage, extensions_size};
use crate::plugin::Shared;
use crate::state::{Stage, State};

/// Cases and findings that one judgement may have. The largest suites of single components have a few thousand tests; the
/// reply's bytes alone would let a hundred thousand nameless ones through, and each is compared, stored and shown.
const MAX_ITEMS: usize = 10_000;

/// Bytes that a case or finding counts for besides its texts.
const ITEM: usize = 32;

mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit/plugin-0.1",
        world: "evaluator-plugin",
        exports: { default: async },
        with: { "razar:plugin/types@0.1.0": crate::contract::since_v0_1::probe::razar::plugin::types },
    });
}

/// A plugin's `evaluator` interface, ready to be instantiated.
pub(crate) struct EvaluatorAdapter {
    pre: bindings::EvaluatorPluginPre<State>,
    shared: Arc<Shared>,
}

impl EvaluatorAdapter {
    /// Checks the exported functions against the contract, so that a wrong type is found at load and not in a call.
    pub(crate) fn new(pre: InstancePre<State>, shared: Arc<Shared>) -> wasmtime::Result<Self> {
        typecheck::<(wit::Request,), (Result<wit::Judgement, types::PluginError>,)>(
            &pre,
            "evaluator",
            "evaluate",
        )?;
        Ok(Self { pre: bindings::EvaluatorPluginPre::new(pre)?, shared })
    }
}

impl Evaluator for EvaluatorAdapter {
    fn evaluate<'a>(&'a self, call: EvaluatorCall<'a>) -> BoxFuture<'a, CallReport<Judgement>> {
        Box::pin(async move {
            let deadline = call.deadline.min(self.shared.limits.deadline.into());
            let tree = match (text(call.tree), text(call.scratch)) {
                (Ok(tree), Ok(scratch)) => TreePaths { tree, scratch },
                (Err(error), _) | (_, Err(error)) => return never_asked(error),
            };
            let scope = CallScope { tree: Some(tree), ..CallScope::default() };
            let evaluate = Evaluate { pre: &self.pre, request: request(call.request, deadline) };
            crate::call::call(&self.shared, deadline, scope, evaluate).await
        })
    }
}

/// A path that rules can speak of.
fn text(path: &Path) -> Result<String, PluginError> {
    path.to_str().map(str::to_owned).ok_or_else(|| PluginError {
        kind: PluginErrorKind::Unavailable,
        message: format!("`{}` cannot be handed over: its name is not UTF-8", path.display()),
        retry_after: None,
        extensions: Vec::new(),
    })
}

fn never_asked(error: PluginError) -> CallReport<Judgement> {
    CallReport {
        outcome: outcome::Outcome::Refused(error),
        usage: Usage::default(),
        record: CallRecord::default(),
        log: LogRecord::default(),
    }
}

fn request(request: &Request, deadline: Duration) -> wit::Request {
    let mut extensions = request.extensions.clone();
    extensions.push(("timeout-ms".to_owned(), deadline.as_millis().to_string()));
    wit::Request {
        component: request.component.clone(),
        changed: request.changed.clone(),
        settings: request.settings.clone(),
        extensions,
    }
}

struct Evaluate<'a> {
    pre: &'a bindings::EvaluatorPluginPre<State>,
    request: wit::Request,
}

impl Invocation for Evaluate<'_> {
    type Reply = Judgement;

    async fn invoke(self, store: &mut Store<State>) -> wasmtime::Result<Result<Judgement, PluginError>> {
        let instance = self.pre.instantiate_async(&mut *store).await?;
        store.data_mut().stage = Stage::Calling;
        let answer = instance.razar_plugin_evaluator().call_evaluate(&mut *store, &self.request).await?;
        if let Ok(judgement) = &answer {
            let most = judgement.cases.len().max(judgement.findings.len());
            if most > MAX_ITEMS {
                let message = format!("{most} cases or findings, of which there may be {MAX_ITEMS}");
                return Err(wasmtime::Error::msg(message));
            }
        }
        Ok(answer.map(Judgement::from).map_err(PluginError::from))
    }

    fn size(reply: &Judgement) -> usize {
        let outcome = match &reply.outcome {
            Outcome::NotEvaluable(reason) => reason.len(),
            Outcome::Pass | Outcome::Fail => 0,
        };
        let finding = |finding: &Finding| {
            ITEM + finding.path.len() + finding.message.len() + extensions_size(&finding.extensions)
        };
        let case = |case: &TestCase| {
            let status = match &case.status {
                CaseStatus::Other(word) => word.len(),
                _ => 0,
            };
            ITEM + case.id.len() + status + case.message.len() + extensions_size(&case.extensions)
        };
        outcome
            + reply.summary.len()
            + reply.findings.iter().map(finding).sum::<usize>()
            + reply.cases.iter().map(case).sum::<usize>()
            + extensions_size(&reply.extensions)
    }
}

impl From<wit::Judgement> for Judgement {
    fn from(judgement: wit::Judgement) -> Self {
        Self {
            outcome: match judgement.outcome {
                wit::Outcome::Pass => Outcome::Pass,
                wit::Outcome::Fail => Outcome::Fail,
                wit::Outcome::NotEvaluable(reason) => Outcome::NotEvaluable(reason),
            },
            summary: judgement.summary,
            findings: judgement.findings.into_iter().map(finding).collect(),
            cases: judgement.cases.into_iter().map(case).collect(),
            extensions: judgement.extensions,
        }
    }
}

fn finding(finding: wit::Finding) -> Finding {
    Finding {
        path: finding.path,
        line: finding.line,
        message: finding.message,
        extensions: finding.extensions,
    }
}

fn case(case: wit::TestCase) -> TestCase {
    TestCase {
        id: case.id,
        status: match case.status {
            wit::CaseStatus::Passed => CaseStatus::Passed,
            wit::CaseStatus::Failed => CaseStatus::Failed,
            wit::CaseStatus::Errored => CaseStatus::Errored,
            wit::CaseStatus::Skipped => CaseStatus::Skipped,
            wit::CaseStatus::Other(word) => CaseStatus::Other(word),
        },
        message: case.message,
        duration: Duration::from_millis(case.duration_ms.into()),
        extensions: case.extensions,
    }
}
