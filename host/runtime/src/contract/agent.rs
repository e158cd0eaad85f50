//! The role `agent` as the rest of the host sees it: a brief goes in, a step comes out. What a proposal says is an opinion:
//! nothing here believes it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::BoxFuture;
use crate::outcome::CallReport;
use crate::tape::recording::as_data;

/// Key and value.
pub type Extensions = Vec<(String, String)>;

/// Suggests remedies.
pub trait Agent: Send + Sync {
    /// Takes one turn. Dropping the future ends the call.
    fn propose<'a>(&'a self, call: AgentCall<'a>) -> BoxFuture<'a, CallReport<Answer>>;
}

/// One turn of an agent.
#[derive(Debug, Clone, Copy)]
pub struct AgentCall<'a> {
    /// What it is told, the same in every turn.
    pub brief: &'a Brief,
    /// What it goes on from; none in the first turn.
    pub turn: Option<&'a Turn>,
    /// JSON object, validated against the plugin's schema.
    pub settings: &'a str,
    /// Time for everything, from waiting for a place to run to the answer. Never more than the plugin's limit.
    pub deadline: Duration,
}

/// Everything an agent is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brief {
    /// What it is asked about.
    pub situation: Situation,
    /// Actions it may propose.
    pub actions: Vec<ToolSchema>,
    /// Read-only tools that the host runs between turns.
    pub tools: Vec<ToolSchema>,
    /// Additive information.
    pub extensions: Extensions,
}

/// What an agent is asked about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Situation {
    /// A component does not work.
    Failure(Failure),
    /// Alerts that belong together, oldest first.
    Alerts(Vec<Alert>),
}

/// One component does not work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The incident.
    pub incident: String,
    /// The component.
    pub component: String,
    /// Its layer; empty when it has none.
    pub layer: String,
    /// What sort of failure it seems to be.
    pub class: FailureClass,
    /// The error that opened the incident.
    pub error: String,
    /// The end of its log, bounded and redacted.
    pub log_tail: String,
    /// What was tried before, oldest first.
    pub history: Vec<Attempt>,
    /// Its sources, redacted.
    pub sources: Vec<SourceFile>,
    /// Versions that can be restored, newest first.
    pub versions: Vec<Version>,
    /// Additive information.
    pub extensions: Extensions,
}

/// What sort of failure the host takes it for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FailureClass {
    /// Something it needs is missing.
    Dependency,
    /// Its own code is wrong.
    Logic,
    /// The cause lies outside.
    External,
    /// Nobody can tell.
    Unknown,
}

/// What was tried before in an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Counts from 1, over all agents.
    pub number: u32,
    /// The agent.
    pub agent: String,
    /// How it ended.
    pub outcome: String,
    /// What went wrong; empty when nothing did.
    pub error: String,
    /// When, in milliseconds since 1970.
    pub at_unix_ms: u64,
    /// Additive information.
    pub extensions: Extensions,
}

/// A file of a component, whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceFile {
    /// Relative to the component's root.
    pub path: String,
    /// Its bytes.
    #[serde(with = "as_data")]
    pub content: Vec<u8>,
}

/// A version that can be restored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// The name to restore it by.
    pub id: String,
    /// Until when it was healthy, in milliseconds since 1970.
    pub healthy_until_unix_ms: u64,
    /// What distinguishes it.
    pub summary: String,
    /// Additive information.
    pub extensions: Extensions,
}

/// Something an outside monitor reports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// The monitor's name for it.
    pub id: String,
    /// What sort.
    pub kind: String,
    /// How bad.
    pub severity: String,
    /// What the monitor says.
    pub message: String,
    /// The component it concerns.
    pub component: Option<String>,
    /// When, in milliseconds since 1970.
    pub at_unix_ms: u64,
    /// Additive information.
    pub extensions: Extensions,
}

/// A tool that the host runs, or an action it may perform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolSchema {
    /// The name to call it by.
    pub name: String,
    /// What it does, for a model to read.
    pub description: String,
    /// JSON Schema of its arguments.
    pub input_schema: String,
    /// Additive information.
    pub extensions: Extensions,
}

/// What an agent says in one turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// How the turn ends.
    pub step: Step,
    /// What it cost, when it cost something.
    pub usage: Option<TokenUsage>,
    /// Additive information.
    pub extensions: Extensions,
}

/// How a turn ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// With a proposal.
    Propose(Proposal),
    /// With a wish to know more first.
    UseTools(Pause),
}

/// The agent stops until its calls were run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// Given back unread.
    #[serde(with = "as_data")]
    pub memory: Vec<u8>,
    /// At least one.
    pub calls: Vec<ToolCall>,
}

/// One use of a tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolCall {
    /// The agent's own name for it.
    pub id: String,
    /// The tool's.
    pub name: String,
    /// JSON, as the agent wrote it: not checked yet.
    pub arguments: String,
}

/// What an agent goes on from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// The pause's memory.
    #[serde(with = "as_data")]
    pub memory: Vec<u8>,
    /// One result for each call, in the same order.
    pub results: Vec<ToolResult>,
}

/// What became of one call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolResult {
    /// The call it belongs to.
    pub id: String,
    /// What the tool answered, or what went wrong.
    pub content: String,
    /// Whether it went wrong.
    pub is_error: bool,
}

/// A remedy and the reason for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// What should be done.
    pub remedy: Remedy,
    /// In the agent's words: data, to be escaped where it is shown.
    pub rationale: String,
    /// Additive information.
    pub extensions: Extensions,
}

/// What should be done, in an agent's opinion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Remedy {
    /// Change files.
    Patch(Vec<Change>),
    /// Go back to this version.
    Restore(String),
    /// Perform these actions: name and parameters as JSON.
    Act(Vec<(String, String)>),
    /// Nothing, because …
    Decline(String),
}

/// One change to one component's files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// Create or replace this file.
    Write(SourceFile),
    /// Delete the file with this path.
    Delete(String),
    /// Apply this diff.
    UnifiedDiff(String),
}

/// What an answer cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenUsage {
    /// The model, by its maker's name.
    pub model: String,
    /// Tokens read.
    pub input_tokens: u64,
    /// Tokens written.
    pub output_tokens: u64,
}
