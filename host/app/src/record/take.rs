//! Plugins whose calls are recorded: asked like any other, and what came into each call is noted. Nobody who is asked can tell.

use std::sync::{Arc, Mutex, PoisonError};

use razar_core::grant::{Limits, Role};
use razar_core::id::{Digest, PluginId};
use razar_runtime::contract::BoxFuture;
use razar_runtime::contract::agent::{Agent, AgentCall, Answer};
use razar_runtime::outcome::CallReport;
use razar_runtime::plugin::LoadedPlugin;
use razar_runtime::tape::Tape;

use super::calls::{Asked, Call, MAX_CALLS};

/// Calls that have ended, in that order. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Notes(Arc<Mutex<Vec<Call>>>);

impl Notes {
    /// Notes one; of too many the first.
    pub(crate) fn push(&self, call: Call) {
        let mut calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if calls.len() < MAX_CALLS {
            calls.push(call);
        }
    }

    /// Takes all of them.
    pub(crate) fn take(&self) -> Vec<Call> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Whose call it is: the plugin's name and code, and what a call of it may use.
pub(crate) fn whose(plugin: &LoadedPlugin, role: Role) -> Option<(PluginId, Digest, &Limits)> {
    Some((plugin.id().clone(), plugin.inspection().digest, plugin.limits(role)?))
}

/// An agent that is recorded.
pub(crate) struct RecordedAgent<'a> {
    pub(crate) agent: &'a dyn Agent,
    pub(crate) plugin: &'a LoadedPlugin,
    pub(crate) notes: Notes,
}

impl Agent for RecordedAgent<'_> {
    fn propose<'a>(&'a self, call: AgentCall<'a>) -> BoxFuture<'a, CallReport<Answer>> {
        Box::pin(async move {
            let tape = Tape::record();
            let report = tape.around(self.agent.propose(call)).await;
            if let Some(whose) = whose(self.plugin, Role::Agent) {
                let asked = Asked::Agent { turn: call.turn.cloned(), settings: call.settings.to_owned() };
                self.notes.push(Call::new(whose, call.deadline, asked, tape.take(), &report.outcome));
            }
            report
        })
    }
}
