//! Keeps the files of components that are well, so that there is something to go back to: once a process has been ready for its
//! component's canary period without a break, what may be patched of its files is kept as a version. It changes no file, and
//! core decides whether what was kept counts.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use razar_core::fact::{Fact, Phase};
use razar_core::id::{ComponentId, InstanceId};
use razar_core::patch::Version;
use razar_core::plan::{BootPlan, ComponentPlan};
use razar_core::supervisor::Input;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::AbortHandle;

use super::Workshop;
use crate::drive::Kept;

/// Until the host ends.
pub(crate) fn keep(workshop: Arc<Workshop>, plan: &BootPlan) -> impl Future<Output = ()> + Send + use<> {
    let repaired = plan.components.iter().filter(|component| component.repair.is_some());
    let plans = repaired.map(|component| (component.id.clone(), Arc::new(component.clone()))).collect();
    keep_all(workshop, plans)
}

async fn keep_all(workshop: Arc<Workshop>, plans: HashMap<ComponentId, Arc<ComponentPlan>>) {
    let mut facts = workshop.driver.subscribe();
    let mut waiting: HashMap<ComponentId, AbortHandle> = HashMap::new();
    let mut ready: HashMap<ComponentId, InstanceId> = HashMap::new();
    loop {
        let fact = match facts.recv().await {
            Ok(recorded) => recorded.fact,
            // Whoever's break was missed is not kept: core asks whether it is still the same process, and well.
            Err(RecvError::Lagged(_)) => continue,
            Err(RecvError::Closed) => return,
        };
        let (component, begins) = match fact {
            Fact::Ready { component, instance, .. } => {
                ready.insert(component.clone(), instance);
                (component, true)
            }
            Fact::HealthChanged { component, phase: Phase::Readiness, healthy, .. } => (component, healthy),
            // It holds a patch that has held.
            Fact::IncidentClosed { component, .. } => (component, true),
            Fact::Failed { component, .. } | Fact::FlappingStarted { component, .. } => (component, false),
            _ => continue,
        };
        if let Some(task) = waiting.remove(&component) {
            task.abort();
        }
        let (Some(plan), Some(instance)) = (plans.get(&component), ready.get(&component)) else { continue };
        if begins {
            let task = tokio::spawn(kept(Arc::clone(&workshop), Arc::clone(plan), *instance));
            waiting.insert(component, task.abort_handle());
        }
    }
}

/// One component's files, after a while.
async fn kept(workshop: Arc<Workshop>, plan: Arc<ComponentPlan>, instance: InstanceId) {
    let canary = plan.repair.as_ref().map_or(Duration::ZERO, |repair| repair.canary.into());
    tokio::time::sleep(canary).await;
    let component = plan.id.clone();
    match of(&workshop, &plan).await {
        Ok(blobs) => match workshop.driver.keep(Kept::All(blobs)).await {
            Ok(version) => workshop.driver.input(Input::VersionKept { component, instance, version }),
            Err(error) => tracing::warn!(%component, "its files cannot be kept: {error}"),
        },
        Err(why) => tracing::debug!(%component, "its files are not kept: {why}"),
    }
}

async fn of(workshop: &Arc<Workshop>, plan: &Arc<ComponentPlan>) -> Result<Vec<Arc<[u8]>>, String> {
    let tree = workshop.files(plan).await.map_err(|end| end.why().to_owned())?;
    let version = Version::of(&tree, &workshop.rules(plan)).map_err(|why| why.to_string())?;
    Ok(version.blobs(&tree))
}
