//! Performs decided effects through the launcher and reports how they ended. It can do nothing that was not
//! authorized: the permission is consumed by the launcher's client.

use std::path::PathBuf;
use std::sync::Arc;

use razar_core::effect::{Authorized, Decided, EffectOutcome, SetRoster, Start, Stop};
use razar_core::id::EffectId;
use razar_core::incident::Incident;
use razar_core::plan::{ComponentPlan, StopPolicy};
use razar_core::supervisor::{Found, FoundState, Input};
use razar_ledger::failpoint;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::drive::{Handle, Performer};
use crate::evidence;
use crate::launcher::{Event, Launcher, LauncherError, Situation, StartError, StopError};
use crate::repair::Workshop;

/// See the module.
#[derive(Clone)]
pub(crate) struct Hands {
    pub(crate) launcher: Launcher,
    pub(crate) driver: Handle,
    pub(crate) workshop: Option<Arc<Workshop>>,
    pub(crate) runtime: tokio::runtime::Handle,
}

impl Performer for Hands {
    fn perform(&self, decided: Decided, plan: Option<Arc<ComponentPlan>>, incident: Option<Incident>) {
        let hands = self.clone();
        self.runtime.spawn(async move {
            let id = decided.id();
            match (decided, plan) {
                (Decided::Start(start), Some(plan)) => hands.start(start, &plan).await,
                (Decided::Start(start), None) => {
                    let error = "the configuration no longer names it".to_owned();
                    hands.finished(start.id(), EffectOutcome::NotStarted { error, permanent: true });
                }
                (Decided::Stop(stop), plan) => {
                    hands.stop(stop, plan.map_or_else(StopPolicy::default, |plan| plan.stop)).await;
                }
                (Decided::Roster(roster), _) => hands.roster(roster).await,
                (Decided::Attempt(_) | Decided::Apply(_) | Decided::Revert(_), None) => {}
                (mending, Some(plan)) => hands.mend(id, mending, &plan, incident).await,
            }
        });
    }
}

impl Hands {
    async fn start(&self, start: Authorized<Start>, plan: &ComponentPlan) {
        let id = start.id();
        failpoint::pass("effect.starting");
        let answer = self.launcher.start(start, plan).await;
        failpoint::pass("effect.started");
        match answer {
            Ok(process) => self.finished(id, EffectOutcome::Running(process)),
            // The launcher's successor tells what runs.
            Err(StartError::Launcher(LauncherError::Lost)) => {}
            Err(error) if error.says_nothing() => {
                tracing::error!(%error, "it is not known whether a process was started; looking what runs");
                self.look().await;
            }
            Err(error) => {
                let permanent = error.is_permanent();
                self.finished(id, EffectOutcome::NotStarted { error: error.to_string(), permanent });
            }
        }
    }

    async fn stop(&self, stop: Authorized<Stop>, policy: StopPolicy) {
        let id = stop.id();
        failpoint::pass("effect.stopping");
        let answer = self.launcher.stop(stop, policy).await;
        failpoint::pass("effect.stopped");
        match answer {
            Ok(exit) => self.finished(id, EffectOutcome::Ended { exit }),
            Err(StopError::Launcher(LauncherError::Lost)) => {}
            Err(error) => {
                tracing::error!(%error, "a process could not be ended; looking what runs");
                self.look().await;
            }
        }
    }

    async fn roster(&self, roster: Authorized<SetRoster>) {
        let Some(workshop) = &self.workshop else { return };
        let id = roster.id();
        failpoint::pass("effect.mending");
        let outcome = workshop.set_roster(roster).await;
        failpoint::pass("effect.mended");
        self.finished(id, outcome);
    }

    /// Who has no workshop has no configuration either, and nothing of the kind is decided there.
    async fn mend(
        &self,
        id: EffectId,
        decided: Decided,
        plan: &Arc<ComponentPlan>,
        incident: Option<Incident>,
    ) {
        let Some(workshop) = &self.workshop else { return };
        let losses = self.launcher.losses();
        failpoint::pass("effect.mending");
        let outcome = match (decided, incident) {
            (Decided::Attempt(attempt), Some(incident)) => workshop.attempt(attempt, plan, &incident).await,
            (Decided::Apply(apply), _) => workshop.apply(apply, plan).await,
            (Decided::Revert(revert), _) => workshop.revert(revert, plan).await,
            _ => return,
        };
        failpoint::pass("effect.mended");
        // Whoever changes files may still be at it, whatever he was asked by: what is known of the launcher's successor, the
        // open effect among it, is looked at then.
        if matches!(outcome, EffectOutcome::NotChanged { .. }) && self.launcher.losses() != losses {
            return;
        }
        self.finished(id, outcome);
    }

    fn finished(&self, id: EffectId, outcome: EffectOutcome) {
        self.driver.input(Input::EffectFinished { id, outcome });
    }

    async fn look(&self) {
        loop {
            match self.launcher.list().await {
                Ok(situation) => return self.driver.input(Input::Found(found(&situation))),
                // Its successor tells.
                Err(LauncherError::Lost) => return,
                Err(error) => tracing::error!(%error, "the launcher cannot be asked what runs; asking again"),
            }
        }
    }
}

/// What a launcher has, in core's words.
pub(crate) fn found(situation: &Situation) -> Vec<Found> {
    let running = situation.running.iter().map(|running| Found {
        component: running.component.clone(),
        instance: running.instance,
        state: FoundState::Running(running.process),
    });
    let ended = situation.ended.iter().map(|ending| Found {
        component: ending.component.clone(),
        instance: ending.instance,
        state: FoundState::Ended(ending.exit),
    });
    running.chain(ended).collect()
}

/// Turns what the launcher tells unasked into inputs, until the launcher's client ends.
pub(crate) async fn listen(mut events: UnboundedReceiver<Event>, driver: Handle, state: PathBuf) {
    while let Some(event) = events.recv().await {
        match event {
            Event::Ended(ending) => {
                let mut evidence = evidence::last_words(&state, &ending.component, ending.begin).await;
                if ending.forked_away {
                    evidence = format!(
                        "it went into the background and was ended; run it in the foreground, for instance without `--daemon`. {evidence}"
                    );
                } else if ending.left > 0 {
                    tracing::warn!(component = %ending.component, left = ending.left, "processes it had started were ended with it");
                }
                let (component, instance, exit) = (ending.component, ending.instance, ending.exit);
                driver.input(Input::Exited { component, instance, exit, evidence });
            }
            Event::Reconnected(situation) => {
                tracing::warn!("the launcher had died; another one has taken the services over");
                driver.input(Input::Found(found(&situation)));
            }
        }
    }
}
