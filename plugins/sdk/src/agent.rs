//! The role `agent`: its trait, and comfortable ways to make its types.

pub use crate::bindings::agent::exports::razar::plugin::agent::*;

/// Suggests remedies. Export it with [`export_agent!`](crate::export_agent).
pub trait Agent {
    /// Takes one turn; see `wit/plugin-0.1/agent.wit`.
    fn propose(brief: Brief, turn: Option<Turn>) -> Result<Answer, PluginError>;
}

impl<T: Agent> Guest for T {
    fn propose(brief: Brief, turn: Option<Turn>) -> Result<Answer, PluginError> {
        <T as Agent>::propose(brief, turn)
    }
}

impl Answer {
    /// Proposes `remedy` because of `rationale`.
    pub fn propose(remedy: Remedy, rationale: impl Into<String>) -> Self {
        Self::new(Step::Propose(Proposal { remedy, rationale: rationale.into(), extensions: Vec::new() }))
    }

    /// Has no remedy.
    pub fn decline(reason: impl Into<String>) -> Self {
        Self::propose(Remedy::Decline(reason.into()), "")
    }

    /// Wants to know more first.
    pub fn use_tools(pause: Pause) -> Self {
        Self::new(Step::UseTools(pause))
    }

    /// Says what the turn cost.
    #[must_use]
    pub fn with_usage(mut self, usage: Usage) -> Self {
        self.usage = Some(usage);
        self
    }

    fn new(step: Step) -> Self {
        Self { step, usage: None, extensions: Vec::new() }
    }
}
