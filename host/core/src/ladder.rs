//! Who is asked next about a failure. It looks at who was asked before, and at nothing else.

use crate::id::PluginId;
use crate::incident::{Incident, Purpose, Who};
use crate::plan::RepairPlan;

/// The next one to ask; none when nobody is left. In the order of the plan, each until it has had its attempts.
pub(crate) fn next(
    plan: &RepairPlan,
    incident: &Incident,
    is_out: impl Fn(&PluginId) -> bool,
) -> Option<Who> {
    match incident.purpose {
        Purpose::Repair => {}
        Purpose::Patch(diff) => {
            let operator = Who::Operator(diff);
            return incident.tally(&operator).is_none().then_some(operator);
        }
        Purpose::Rollback => return None,
    }
    let left = |agent: &&PluginId| {
        let tally = incident.tally(&Who::Agent((*agent).clone()));
        !is_out(agent) && tally.is_none_or(|tally| !tally.unavailable && tally.times < plan.attempts)
    };
    plan.agents.iter().find(left).cloned().map(Who::Agent)
}
