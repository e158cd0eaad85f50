//! Changes to the roster file, as core decided them. The host behind its wall may not write there: the launcher starts whoever does.

use razar_core::effect::{Authorized, EffectOutcome, ExitStatus, RosterChange, SetRoster};
use razar_core::id::Digest;
use serde::Deserialize;

use super::{MENDING, Workshop, words};
use crate::launcher::CheckEnd;

/// What is said of a copy.
#[derive(Deserialize)]
struct Saved {
    copy: Digest,
    active: Option<String>,
}

impl Workshop {
    /// Changes the roster file, one change after the other: one that comes too late changes nothing.
    pub(crate) async fn set_roster(&self, permit: Authorized<SetRoster>) -> EffectOutcome {
        let mut newest = self.roster_turn.lock().await;
        if permit.id().0 < *newest {
            return EffectOutcome::Changed;
        }
        *newest = permit.id().0;
        match self.changed(&permit.effect().change).await {
            Ok(outcome) => outcome,
            Err(error) => EffectOutcome::NotChanged { error: words(&error), partly: false },
        }
    }

    async fn changed(&self, change: &RosterChange) -> Result<EffectOutcome, String> {
        let Some(file) = &self.roster else { return Err("this host has no roster".to_owned()) };
        let mut arguments = vec!["set-roster".to_owned(), "--file".to_owned(), file.display().to_string()];
        match change {
            RosterChange::Save => arguments.push("--save".to_owned()),
            RosterChange::Activate(name) => arguments.push(format!("--activate={name}")),
            RosterChange::Restore(copy) => arguments.push(format!("--restore={copy}")),
        }
        let report = self.launcher.run_own(&arguments, MENDING).await.map_err(|error| error.to_string())?;
        if report.end != CheckEnd::Exited(ExitStatus::Code(0)) {
            return Err(match report.output.trim().trim_start_matches("error: ") {
                "" => format!("whoever changes it ended unexpectedly: {:?}", report.end),
                said => said.to_owned(),
            });
        }
        match change {
            RosterChange::Save => {
                let Saved { copy, active } = serde_json::from_str(report.output.trim())
                    .map_err(|error| format!("whoever copied it said nothing sensible: {error}"))?;
                Ok(EffectOutcome::Saved { copy, active })
            }
            RosterChange::Activate(_) | RosterChange::Restore(_) => Ok(EffectOutcome::Changed),
        }
    }
}
