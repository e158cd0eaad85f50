//! One conversation with an agent, from the brief to its last word: turn by turn, with tools in between, within rounds, calls,
//! bytes and one deadline over all of it. What comes back is an opinion, and becomes no more than that here.

use std::time::{Duration, Instant};

use razar_core::redact::StrayMark;
use razar_runtime::contract::agent::{
    Agent, AgentCall, Answer, Brief, Change, Pause, Proposal, Remedy, SourceFile, Step, TokenUsage, ToolCall,
    ToolResult, Turn,
};
use razar_runtime::outcome::{CallReport, Outcome, PluginError, PluginFailure};

use super::tools;
use super::tree::Tree;

/// How far a conversation may go, whatever the agent's own settings say.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Turns that end with a wish for tools.
    pub(crate) rounds: u32,
    /// Calls in one turn.
    pub(crate) calls: usize,
    /// Bytes that tools answer with, all together.
    pub(crate) bytes: usize,
    /// Time for everything.
    pub(crate) time: Duration,
}

impl Bounds {
    /// A model that has not understood a component after twelve looks will not after a hundred.
    pub(crate) const fn within(time: Duration) -> Self {
        Self { rounds: 12, calls: 16, bytes: 1 << 20, time }
    }
}

/// How a conversation ended.
#[derive(Debug)]
pub(crate) enum End {
    /// With a proposal, in which marks still stand for secrets.
    Proposed(Proposal),
    /// The agent says why there is none.
    Refused(PluginError),
    /// The plugin did not answer.
    Failed(PluginFailure),
    /// The host ended it.
    Stopped(Stop),
}

/// Why the host ended a conversation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Stop {
    /// It only ever wants to look.
    #[error("it asked for tools {0} times without an answer")]
    Rounds(u32),
    /// It wants too much at once.
    #[error("it asked for {asked} tools at once, {allowed} are allowed")]
    Calls {
        /// So many.
        asked: usize,
        /// And no more.
        allowed: usize,
    },
}

/// A conversation that is over.
#[derive(Debug)]
pub(crate) struct Consulted {
    /// How it ended.
    pub(crate) end: End,
    /// What each turn took, in order.
    pub(crate) turns: Vec<CallReport<()>>,
    /// What it looked at: the calls, and bytes that came back.
    pub(crate) looked: Vec<(ToolCall, usize)>,
    /// What it cost, as far as the agent says.
    pub(crate) tokens: Option<TokenUsage>,
}

/// Asks.
pub(crate) async fn consult(
    agent: &dyn Agent,
    brief: &Brief,
    tree: &Tree,
    settings: &str,
    bounds: Bounds,
) -> Consulted {
    let until = Instant::now() + bounds.time;
    let mut over =
        Consulted { end: End::Stopped(Stop::Rounds(0)), turns: Vec::new(), looked: Vec::new(), tokens: None };
    let (mut turn, mut rounds, mut bytes) = (None, 0, 0);
    loop {
        let deadline = until.saturating_duration_since(Instant::now());
        let report = agent.propose(AgentCall { brief, turn: turn.as_ref(), settings, deadline }).await;
        let CallReport { outcome, usage, record, log } = report;
        over.turns.push(CallReport { outcome: end_of(&outcome), usage, record, log });
        let answer = match outcome {
            Outcome::Reply(answer) => answer,
            Outcome::Refused(error) => {
                over.spent(tokens_of(&error));
                over.end = End::Refused(error);
                return over;
            }
            Outcome::Failed(failure) => {
                over.end = End::Failed(failure);
                return over;
            }
        };
        let Answer { step, usage: tokens, .. } = answer;
        over.spent(tokens);
        let pause = match step {
            Step::Propose(proposal) => {
                over.end = End::Proposed(proposal);
                return over;
            }
            Step::UseTools(pause) => pause,
        };
        if pause.calls.len() > bounds.calls {
            over.end = End::Stopped(Stop::Calls { asked: pause.calls.len(), allowed: bounds.calls });
            return over;
        }
        if rounds == bounds.rounds {
            over.end = End::Stopped(Stop::Rounds(rounds));
            return over;
        }
        rounds += 1;
        turn = Some(over.look(pause, tree, &mut bytes, bounds.bytes));
    }
}

impl Consulted {
    /// Runs the calls of a pause.
    fn look(&mut self, pause: Pause, tree: &Tree, bytes: &mut usize, most: usize) -> Turn {
        let mut results = Vec::with_capacity(pause.calls.len());
        for call in pause.calls {
            let result = if *bytes >= most {
                let content =
                    "not run: you have looked at as much as you may, answer with what you know".to_owned();
                ToolResult { id: call.id.clone(), content, is_error: true }
            } else {
                tools::run(tree, &call)
            };
            *bytes = bytes.saturating_add(result.content.len());
            self.looked.push((call, result.content.len()));
            results.push(result);
        }
        Turn { memory: pause.memory, results }
    }

    fn spent(&mut self, tokens: Option<TokenUsage>) {
        let Some(tokens) = tokens else { return };
        self.tokens = Some(match self.tokens.take() {
            Some(sum) => TokenUsage {
                input_tokens: sum.input_tokens.saturating_add(tokens.input_tokens),
                output_tokens: sum.output_tokens.saturating_add(tokens.output_tokens),
                model: tokens.model,
            },
            None => tokens,
        });
    }
}

/// How a call ended, without what it said.
fn end_of(outcome: &Outcome<Answer>) -> Outcome<()> {
    match outcome {
        Outcome::Reply(_) => Outcome::Reply(()),
        Outcome::Refused(error) => Outcome::Refused(error.clone()),
        Outcome::Failed(failure) => Outcome::Failed(failure.clone()),
    }
}

/// What a refusal cost, if the agent says so: budgets count failures, too.
fn tokens_of(error: &PluginError) -> Option<TokenUsage> {
    let value =
        |key: &str| error.extensions.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str());
    Some(TokenUsage {
        model: value("model").unwrap_or_default().to_owned(),
        input_tokens: value("input-tokens")?.parse().ok()?,
        output_tokens: value("output-tokens")?.parse().ok()?,
    })
}

/// The proposal with secrets where their marks are; an error if a mark was moved to where it does not belong.
pub(crate) fn restored(tree: &Tree, proposal: &Proposal) -> Result<Proposal, StrayMark> {
    let Remedy::Patch(changes) = &proposal.remedy else { return Ok(proposal.clone()) };
    let change = |change: &Change| {
        Ok(match change {
            Change::Write(file) => {
                let content = match std::str::from_utf8(&file.content) {
                    Ok(text) => tree.redactor().restore(&[&file.path], text)?.into_bytes(),
                    Err(_) => file.content.clone(),
                };
                Change::Write(SourceFile { path: file.path.clone(), content })
            }
            Change::Delete(path) => Change::Delete(path.clone()),
            Change::UnifiedDiff(diff) => Change::UnifiedDiff(tree.redactor().restore(&paths(diff), diff)?),
        })
    };
    let remedy = Remedy::Patch(changes.iter().map(change).collect::<Result<_, _>>()?);
    Ok(Proposal { remedy, ..proposal.clone() })
}

/// Files that a diff may be about: one that is too many gives nothing away, because it is the component's own.
fn paths(diff: &str) -> Vec<&str> {
    diff.lines()
        .filter_map(|line| line.strip_prefix("--- ").or_else(|| line.strip_prefix("+++ ")))
        .map(|rest| rest.split('\t').next().unwrap_or(rest).trim_end())
        .map(|path| path.strip_prefix("a/").or_else(|| path.strip_prefix("b/")).unwrap_or(path))
        .collect()
}

#[cfg(test)]
mod tests;
