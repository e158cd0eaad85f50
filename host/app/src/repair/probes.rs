//! Keeps what probes were told of a component that has an incident: the calls before it opened, and those until it closed, of which
//! the last are its canary's. It decides nothing, and a call that is lost is lost.

use std::collections::HashMap;
use std::sync::Arc;

use razar_core::fact::Fact;
use razar_core::id::ComponentId;
use razar_core::plan::{BootPlan, ComponentPlan};
use tokio::sync::broadcast::error::RecvError;

use super::Workshop;
use super::keep::{Noted, keep};
use crate::record::rings::Rings;

/// Until the host ends.
pub(crate) fn keep_probes(
    workshop: Arc<Workshop>,
    rings: Rings,
    plan: &BootPlan,
) -> impl Future<Output = ()> + Send + use<> {
    let plans = plan.components.iter();
    let plans = plans.map(|component| (component.id.clone(), Arc::new(component.clone()))).collect();
    keep_all(workshop, rings, plans)
}

async fn keep_all(workshop: Arc<Workshop>, rings: Rings, plans: HashMap<ComponentId, Arc<ComponentPlan>>) {
    let mut facts = workshop.driver.subscribe();
    loop {
        let (component, incident, open) = match facts.recv().await.map(|recorded| recorded.fact) {
            Ok(Fact::IncidentOpened { component, incident, .. }) => (component, incident, true),
            Ok(Fact::IncidentClosed { component, incident, .. }) => (component, incident, false),
            Ok(_) => continue,
            // Whoever's end was missed would be recorded for ever.
            Err(RecvError::Lagged(_)) => {
                rings.close();
                continue;
            }
            Err(RecvError::Closed) => return,
        };
        let calls = rings.take(&component, open);
        if let Some(plan) = plans.get(&component) {
            let noted = Noted::default();
            calls.into_iter().for_each(|call| noted.notes.push(call));
            keep(&workshop, plan, incident, None, noted).await;
        }
    }
}
