//! What the ledger says when no host is running. It takes no lock and writes nothing.

use std::collections::HashSet;
use std::path::Path;

use razar_core::fact::{Fact, Recorded};
use razar_core::id::{ComponentId, IncidentId};
use razar_core::plan::BootPlan;
use razar_core::supervisor::{Settings, State, Status, Summary};
use razar_ledger::{LedgerError, LedgerReader};

use crate::drive::Snapshot;
use crate::report::words::{Event, Teller};
use crate::serve::wire::StatusView;

/// What every component was doing when it was last recorded.
pub(super) fn status(state: &Path) -> Result<StatusView, LedgerError> {
    let reader = LedgerReader::open(state)?;
    let mut named = Vec::new();
    let mut wrong = None;
    let facts = reader.replay(1)?.map_while(|fact| fact.map_err(|error| wrong = Some(error)).ok());
    let facts = facts.inspect(|recorded: &Recorded| {
        if let Fact::BootStarted { components, .. } = &recorded.fact {
            named.clone_from(components);
        }
    });
    let replayed = State::replay(&BootPlan::default(), Settings::default(), facts);
    if let Some(error) = wrong {
        return Err(error);
    }
    named.extend(replayed.incidents().map(|(component, _)| component.clone()));
    let mut components = complete(replayed.summaries().collect(), named);
    for (of, incident) in replayed.incidents() {
        let whose = components.iter_mut().filter(|summary| summary.id == *of);
        whose.for_each(|summary| goes_on(summary, incident));
    }
    let plugins_out = replayed.plugins_out().collect();
    let boot = replayed.durable().boot.clone();
    Ok(StatusView::from(&Snapshot { boot, components, plugins_out, stuck: None, lost: false }))
}

/// What was under way when it was recorded is under way no more.
fn goes_on(summary: &mut Summary, incident: IncidentId) {
    summary.incident = Some(incident);
    summary.reason = Some(format!(
        "incident {incident} is open, and no host is running: the next `razar-host run` goes on with it"
    ));
}

/// Without a plan those that are down are not listed; the boot named them, or their incident does.
fn complete(mut components: Vec<Summary>, named: Vec<ComponentId>) -> Vec<Summary> {
    let mut listed: HashSet<ComponentId> = components.iter().map(|summary| summary.id.clone()).collect();
    components.extend(named.into_iter().filter(|id| listed.insert(id.clone())).map(|id| Summary {
        id,
        status: Status::Stopped,
        reason: None,
        pid: None,
        since: None,
        launches: 0,
        vital: false,
        class: None,
        quarantined: None,
        incident: None,
    }));
    components
}

/// What happened, event by event; the inner result is that of the one who is told.
pub(super) fn timeline<E>(
    state: &Path,
    since: Option<u64>,
    mut tell: impl FnMut(&Event) -> Result<(), E>,
) -> Result<Result<(), E>, LedgerError> {
    let reader = LedgerReader::open(state)?;
    let mut teller = Teller::default();
    for recorded in reader.replay(1)? {
        let Some(event) = teller.event(&recorded?) else { continue };
        if since.is_some_and(|since| event.at < since) {
            continue;
        }
        if let Err(error) = tell(&event) {
            return Ok(Err(error));
        }
    }
    Ok(Ok(()))
}
