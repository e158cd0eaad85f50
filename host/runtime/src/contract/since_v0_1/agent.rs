//! The role `agent` of `razar:plugin@0.1.x`: generated bindings in, plain types out.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::Store;
use wasmtime::component::InstancePre;

use self::bindings::exports::razar::plugin::agent as wit;
use super::probe::razar::plugin::types;
use super::typecheck;
use crate::call::Invocation;
use crate::contract::BoxFuture;
use crate::contract::agent::{
    Agent, AgentCall, Alert, Answer, Attempt, Brief, Change, Failure, FailureClass, Pause, Proposal, Remedy,
    Situation, SourceFile, Step, TokenUsage, ToolCall, ToolSchema, Turn, Version,
};
use crate::outcome::{CallReport, PluginError, extensions_size};
use crate::plugin::Shared;
use crate::state::{Stage, State};

mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit/plugin-0.1",
        world: "agent-plugin",
        exports: { default: async },
        with: { "razar:plugin/types@0.1.0": crate::contract::since_v0_1::probe::razar::plugin::types },
    });
}

type Parameters = (wit::Brief, Option<types::Turn>);
type Results = (Result<wit::Answer, types::PluginError>,);

/// A plugin's `agent` interface, ready to be instantiated.
pub(crate) struct AgentAdapter {
    pre: bindings::AgentPluginPre<State>,
    shared: Arc<Shared>,
}

impl AgentAdapter {
    /// Checks the exported functions against the contract, so that a wrong type is found at load and not in a call.
    pub(crate) fn new(pre: InstancePre<State>, shared: Arc<Shared>) -> wasmtime::Result<Self> {
        typecheck::<Parameters, Results>(&pre, "agent", "propose")?;
        Ok(Self { pre: bindings::AgentPluginPre::new(pre)?, shared })
    }
}

impl Agent for AgentAdapter {
    fn propose<'a>(&'a self, call: AgentCall<'a>) -> BoxFuture<'a, CallReport<Answer>> {
        Box::pin(async move {
            let deadline = call.deadline.min(self.shared.limits.deadline.into());
            let mut brief = brief(call.brief);
            brief.extensions.extend(told(&call, deadline));
            let propose = Propose { pre: &self.pre, brief, turn: call.turn.map(turn) };
            crate::call::call(&self.shared, deadline, razar_core::grant::CallScope::default(), propose).await
        })
    }
}

/// What the host says about the call itself.
fn told(call: &AgentCall<'_>, deadline: Duration) -> [(String, String); 2] {
    [
        ("settings".to_owned(), call.settings.to_owned()),
        ("timeout-ms".to_owned(), deadline.as_millis().to_string()),
    ]
}

struct Propose<'a> {
    pre: &'a bindings::AgentPluginPre<State>,
    brief: wit::Brief,
    turn: Option<types::Turn>,
}

impl Invocation for Propose<'_> {
    type Reply = Answer;

    async fn invoke(self, store: &mut Store<State>) -> wasmtime::Result<Result<Answer, PluginError>> {
        let instance = self.pre.instantiate_async(&mut *store).await?;
        store.data_mut().stage = Stage::Calling;
        let agent = instance.razar_plugin_agent();
        let answer = agent.call_propose(&mut *store, &self.brief, self.turn.as_ref()).await?;
        if let Ok(wit::Answer { step: wit::Step::UseTools(pause), .. }) = &answer
            && pause.calls.is_empty()
        {
            return Err(wasmtime::Error::msg("a pause that waits for no tool"));
        }
        Ok(answer.map(Answer::from).map_err(PluginError::from))
    }

    fn size(reply: &Answer) -> usize {
        let step = match &reply.step {
            Step::Propose(proposal) => {
                let remedy = match &proposal.remedy {
                    Remedy::Patch(changes) => changes.iter().map(change_size).sum(),
                    Remedy::Restore(text) | Remedy::Decline(text) => text.len(),
                    Remedy::Act(actions) => actions.iter().map(|(name, text)| name.len() + text.len()).sum(),
                };
                remedy + proposal.rationale.len() + extensions_size(&proposal.extensions)
            }
            Step::UseTools(pause) => {
                let call = |call: &ToolCall| call.id.len() + call.name.len() + call.arguments.len();
                pause.memory.len() + pause.calls.iter().map(call).sum::<usize>()
            }
        };
        let usage = reply.usage.as_ref().map_or(0, |usage| usage.model.len() + 2 * size_of::<u64>());
        step + usage + extensions_size(&reply.extensions)
    }
}

fn change_size(change: &Change) -> usize {
    match change {
        Change::Write(file) => file.path.len() + file.content.len(),
        Change::Delete(text) | Change::UnifiedDiff(text) => text.len(),
    }
}

fn brief(brief: &Brief) -> wit::Brief {
    wit::Brief {
        situation: match &brief.situation {
            Situation::Failure(about) => wit::Situation::Failure(failure(about)),
            Situation::Alerts(alerts) => wit::Situation::Alerts(alerts.iter().map(alert).collect()),
        },
        actions: brief.actions.iter().map(schema).collect(),
        tools: brief.tools.iter().map(schema).collect(),
        extensions: brief.extensions.clone(),
    }
}

fn failure(failure: &Failure) -> wit::Failure {
    wit::Failure {
        incident: failure.incident.clone(),
        component: failure.component.clone(),
        layer: failure.layer.clone(),
        class: match failure.class {
            FailureClass::Dependency => wit::FailureClass::Dependency,
            FailureClass::Logic => wit::FailureClass::Logic,
            FailureClass::External => wit::FailureClass::External,
            FailureClass::Unknown => wit::FailureClass::Unknown,
        },
        error: failure.error.clone(),
        log_tail: failure.log_tail.clone(),
        history: failure.history.iter().map(attempt).collect(),
        sources: failure.sources.iter().map(source).collect(),
        versions: failure.versions.iter().map(version).collect(),
        extensions: failure.extensions.clone(),
    }
}

fn attempt(attempt: &Attempt) -> wit::Attempt {
    wit::Attempt {
        number: attempt.number,
        agent: attempt.agent.clone(),
        outcome: attempt.outcome.clone(),
        error: attempt.error.clone(),
        at_unix_ms: attempt.at_unix_ms,
        extensions: attempt.extensions.clone(),
    }
}

fn source(file: &SourceFile) -> wit::SourceFile {
    wit::SourceFile { path: file.path.clone(), content: file.content.clone() }
}

fn version(version: &Version) -> wit::Version {
    wit::Version {
        id: version.id.clone(),
        healthy_until_unix_ms: version.healthy_until_unix_ms,
        summary: version.summary.clone(),
        extensions: version.extensions.clone(),
    }
}

fn alert(alert: &Alert) -> wit::Alert {
    wit::Alert {
        id: alert.id.clone(),
        kind: alert.kind.clone(),
        severity: alert.severity.clone(),
        message: alert.message.clone(),
        component: alert.component.clone(),
        at_unix_ms: alert.at_unix_ms,
        extensions: alert.extensions.clone(),
    }
}

fn schema(schema: &ToolSchema) -> types::ToolSchema {
    types::ToolSchema {
        name: schema.name.clone(),
        description: schema.description.clone(),
        input_schema: schema.input_schema.clone(),
        extensions: schema.extensions.clone(),
    }
}

fn turn(turn: &Turn) -> types::Turn {
    let result = |result: &crate::contract::agent::ToolResult| types::ToolResult {
        id: result.id.clone(),
        content: result.content.clone(),
        is_error: result.is_error,
    };
    types::Turn { memory: turn.memory.clone(), results: turn.results.iter().map(result).collect() }
}

impl From<wit::Answer> for Answer {
    fn from(answer: wit::Answer) -> Self {
        Self {
            step: match answer.step {
                wit::Step::Propose(proposal) => Step::Propose(Proposal {
                    remedy: remedy(proposal.remedy),
                    rationale: proposal.rationale,
                    extensions: proposal.extensions,
                }),
                wit::Step::UseTools(pause) => {
                    let call = |call: types::ToolCall| ToolCall {
                        id: call.id,
                        name: call.name,
                        arguments: call.arguments,
                    };
                    let calls = pause.calls.into_iter().map(call).collect();
                    Step::UseTools(Pause { memory: pause.memory, calls })
                }
            },
            usage: answer.usage.map(|usage| TokenUsage {
                model: usage.model,
                input_tokens: usage.input_tokens,
                output_tokens: usage.output_tokens,
            }),
            extensions: answer.extensions,
        }
    }
}

fn remedy(remedy: wit::Remedy) -> Remedy {
    let change = |change| match change {
        wit::Change::Write(file) => Change::Write(SourceFile { path: file.path, content: file.content }),
        wit::Change::Delete(path) => Change::Delete(path),
        wit::Change::UnifiedDiff(diff) => Change::UnifiedDiff(diff),
    };
    match remedy {
        wit::Remedy::Patch(changes) => Remedy::Patch(changes.into_iter().map(change).collect()),
        wit::Remedy::Restore(id) => Remedy::Restore(id),
        wit::Remedy::Act(actions) => {
            Remedy::Act(actions.into_iter().map(|action| (action.name, action.parameters)).collect())
        }
        wit::Remedy::Decline(reason) => Remedy::Decline(reason),
    }
}
