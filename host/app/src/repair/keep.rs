//! What is noted of one attempt, and how it is kept: without secrets, as one document, in a file that a fact names. Nothing of a
//! repair, and no turn, waits for it or fails because of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use razar_core::id::{Digest, IncidentId};
use razar_core::patch::Tree;
use razar_core::plan::ComponentPlan;
use razar_core::supervisor::Input;
use razar_ledger::recordings::NotKept;
use razar_runtime::contract::agent::{Brief, Proposal};
use razar_runtime::tape::recording::Data;

use super::{Workshop, blocking};
use crate::agent::{secrets, tree};
use crate::record::calls::{Call, Calls, Trial};
use crate::record::clean::Cleaner;
use crate::record::gate::Gate;
use crate::record::take::Notes;

/// What an agent that works in a copy says in its proposal.
const IN_A_COPY: &str = "workspace-changed";

/// What is noted of one attempt.
#[derive(Default)]
pub(super) struct Noted {
    /// The calls of agents.
    pub(super) notes: Notes,
    brief: Option<Brief>,
    gate: Option<(Gate, BTreeMap<Digest, Data>)>,
    trial: Option<Trial>,
    evaluators: Vec<Call>,
}

impl Noted {
    /// What an agent was told and proposed, and what the gate says of it.
    pub(super) async fn asked(
        &mut self,
        workshop: &Arc<Workshop>,
        plan: &Arc<ComponentPlan>,
        brief: Brief,
        tree: &tree::Tree,
        files: &Tree,
        proposal: Option<&Proposal>,
    ) {
        self.brief = Some(brief);
        let Some(proposal) = proposal.cloned() else { return };
        if proposal.extensions.iter().any(|(key, _)| key == IN_A_COPY) {
            let why = "the agent worked in a copy of the files, which is gone".to_owned();
            self.gate = Some((Gate::left_out(why), BTreeMap::new()));
            return;
        }
        let shown: BTreeMap<String, String> =
            tree.files().map(|(path, text)| (path.to_owned(), text.to_owned())).collect();
        let (shop, plan, files) = (Arc::clone(workshop), Arc::clone(plan), files.clone());
        let asked = blocking(move || {
            let (mut cleaner, mut contents) = (cleaner(&shop, &plan), BTreeMap::new());
            let mut gate = Gate::of(shop.rules(&plan), &files, &shown, &mut cleaner, &mut contents);
            gate.answer = gate.ask(&proposal.remedy, &contents);
            Ok((gate, contents))
        });
        self.gate = asked.await.ok();
    }

    /// What a trial came to.
    pub(super) fn tried(&mut self, trial: Option<Trial>, calls: Vec<Call>) {
        (self.trial, self.evaluators) = (trial, calls);
    }
}

/// Knows the secrets of this host and of this component.
pub(super) fn cleaner(workshop: &Workshop, plan: &ComponentPlan) -> Cleaner {
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .chain(plan.env.clone());
    Cleaner::new(secrets::known(environment, workshop.packages.grants()))
}

/// Keeps it, if there is anything to keep.
pub(super) async fn keep(
    workshop: &Arc<Workshop>,
    plan: &Arc<ComponentPlan>,
    incident: IncidentId,
    attempt: Option<u32>,
    noted: Noted,
) {
    let Noted { notes, brief, gate, trial, evaluators } = noted;
    let mut document = Calls::new(plan.id.clone(), incident, attempt);
    document.calls = notes.take();
    document.calls.extend(evaluators);
    if document.calls.is_empty() {
        return;
    }
    (document.brief, document.trial) = (brief, trial);
    if let Some((gate, contents)) = gate {
        (document.gate, document.contents) = (Some(gate), contents);
    }
    let (shop, component) = (Arc::clone(workshop), Arc::clone(plan));
    let kept = blocking(move || {
        let written = cleaner(&shop, &component).written(document);
        let written = written.ok_or_else(|| "they are too much, or a secret is left in them".to_owned())?;
        Ok(shop.driver.recordings().keep(&written))
    });
    match kept.await {
        // The file is on disk: a fact may name it.
        Ok(Ok(calls)) => {
            workshop.driver.input(Input::CallsRecorded { component: plan.id.clone(), incident, calls })
        }
        Ok(Err(NotKept { why, again: true })) => {
            tracing::debug!(component = %plan.id, %incident, "the calls of an attempt are not kept: {why}")
        }
        Ok(Err(NotKept { why, again: false })) => {
            tracing::warn!(component = %plan.id, %incident, "the calls of an attempt are not kept: {why}")
        }
        Err(why) => {
            tracing::warn!(component = %plan.id, %incident, "the calls of an attempt are not kept: {why}")
        }
    }
}
