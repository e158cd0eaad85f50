//! Who is given credit for what: how often each agent was asked, and how many of its patches held, by class of failure. Part of the
//! fold over facts; it must never read the plan or anything volatile.

use super::{Durable, PATCHES};
use crate::effect::{Apply, Attempt, Revert};
use crate::failure::FailureClass;
use crate::id::{ComponentId, Digest, IncidentId, PluginId};
use crate::incident::{End, Incident, Who};
use crate::ladder::{Maker, Score};
use crate::time::Timestamp;

impl Durable {
    fn incident(&self, component: &ComponentId) -> Option<&Incident> {
        self.components.get(*self.index.get(component)?)?.incident.as_ref()
    }

    fn score(&mut self, agent: &PluginId, class: FailureClass) -> &mut Score {
        self.agents.entry(agent.clone()).or_default().scores.entry(class).or_default()
    }

    pub(super) fn attempted(&mut self, at: Timestamp, attempt: &Attempt, end: &End) {
        let Who::Agent(agent) = &attempt.who else { return };
        let record = self.agents.entry(agent.clone()).or_default();
        record.asked = record.asked.saturating_add(1);
        record.take(at, end);
        let about = self.incident(&attempt.component).filter(|incident| incident.id == attempt.incident);
        let Some(class) = about.map(|incident| incident.failure.class) else { return };
        // What a patch is worth is known once it is applied.
        if !matches!(end, End::Unavailable { .. }) && end.approved().is_none() {
            let score = self.score(agent, class);
            score.tried = score.tried.saturating_add(1);
        }
    }

    /// An agent's patch is in a component's files.
    pub(super) fn applied(&mut self, apply: &Apply) {
        let Some(incident) = self.incident(&apply.component) else { return };
        let class = incident.failure.class;
        let Some(agent) = incident.maker(apply.manifest).cloned() else { return };
        let score = self.score(&agent, class);
        score.tried = score.tried.saturating_add(1);
        let (incident, manifest) = (apply.incident, apply.manifest);
        let maker = Maker { incident, manifest, agent, class, held: false };
        self.change(&apply.component, |c| {
            c.makers.retain(|known| known.manifest != manifest);
            if c.makers.len() == PATCHES {
                c.makers.remove(0);
            }
            c.makers.push(maker);
        });
    }

    /// It has held.
    pub(super) fn credit(&mut self, component: &ComponentId, incident: IncidentId, manifest: Digest) {
        let mut made = None;
        self.change(component, |c| {
            let mut makers = c.makers.iter_mut();
            if let Some(maker) = makers.find(|made| (made.incident, made.manifest) == (incident, manifest)) {
                maker.held = true;
                made = Some((maker.agent.clone(), maker.class));
            }
        });
        if let Some((agent, class)) = made {
            let score = self.score(&agent, class);
            score.held = score.held.saturating_add(1);
        }
    }

    /// It is taken back, and no more in the files, however long it had held.
    pub(super) fn reverted(&mut self, revert: &Revert) {
        let mut made = Vec::new();
        self.change(&revert.component, |c| {
            made.extend(c.makers.extract_if(.., |maker| maker.manifest == revert.manifest));
        });
        for maker in made.into_iter().filter(|maker| maker.held) {
            let score = self.score(&maker.agent, maker.class);
            score.held = score.held.saturating_sub(1);
        }
    }
}
