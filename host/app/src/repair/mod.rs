//! Performs what an incident needs: asks whoever is next, has the gate and a trial judge what is proposed, applies what core
//! decided to apply, and takes it back. It decides nothing: each function consumes the permission that a decision made, and
//! an attempt changes nothing in the world but the bill.
//!
//! ```text
//! attempt   files ─► agent ─► gate ─► trial ─► kept in the ledger ─► how it ended
//! apply     ledger ─► files, all of them or none
//! revert    ledger ─► files, all of them or none
//! ```

mod ask;
mod keep;
mod probes;
mod recall;
mod roster;
mod trials;
mod trouble;
mod versions;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use razar_core::effect::{Apply, Attempt, Authorized, EffectOutcome, ExitStatus, Revert};
use razar_core::id::{ComponentId, Digest, EffectId};
use razar_core::incident::{End, Incident, Spent, Trouble};
use razar_core::patch::{ChangeSet, Patch, Protected, Side, Tree, gate};
use razar_core::plan::ComponentPlan;

use crate::command::Exit;
use crate::drive::{Handle, Kept};
use crate::launcher::{CheckEnd, Launcher};
use crate::packages::Packages;
use crate::sources::{self, Bounds};
use crate::{mend, report};

use keep::Noted;
pub(crate) use probes::keep_probes;
use trials::Tried;
pub(crate) use trials::{Trials, Where};
pub(crate) use versions::keep as keep_versions;

/// Longest text about one attempt that is remembered.
const MAX_WORDS: usize = 2_000;

/// Longest time in which files are changed: a few hundred small ones.
const MENDING: Duration = Duration::from_secs(120);

/// So often taking back is tried before somebody has to look.
const TAKING_BACK: u32 = 3;

/// See the module.
pub(crate) struct Workshop {
    pub(crate) packages: Arc<Packages>,
    pub(crate) driver: Handle,
    pub(crate) launcher: Launcher,
    pub(crate) trials: Trials,
    /// Where components' logs are.
    pub(crate) state: PathBuf,
    /// Files and directories of the host's own, which no patch touches wherever they lie.
    pub(crate) own: Vec<(PathBuf, Protected)>,
    /// The roster file, if there is one.
    pub(crate) roster: Option<PathBuf>,
    /// The newest change to it: they are made one after the other.
    pub(crate) roster_turn: tokio::sync::Mutex<u64>,
}

impl Workshop {
    /// One attempt, to its end.
    pub(crate) async fn attempt(
        self: &Arc<Self>,
        permit: Authorized<Attempt>,
        plan: &Arc<ComponentPlan>,
        incident: &Incident,
    ) -> EffectOutcome {
        let (mut spent, mut noted) = (Spent::default(), Noted::default());
        let tried = self.tried(permit.id(), permit.effect(), plan, incident, &mut spent, &mut noted).await;
        let (shop, plan, id, number) =
            (Arc::clone(self), Arc::clone(plan), incident.id, permit.effect().number);
        // Nothing of a repair waits for it.
        tokio::spawn(async move { keep::keep(&shop, &plan, id, Some(number), noted).await });
        EffectOutcome::Attempted { end: tried.unwrap_or_else(|end| end), spent }
    }

    async fn tried(
        self: &Arc<Self>,
        id: EffectId,
        attempt: &Attempt,
        plan: &Arc<ComponentPlan>,
        incident: &Incident,
        spent: &mut Spent,
        noted: &mut Noted,
    ) -> Result<End, End> {
        let before = self.files(plan).await?;
        let proposal = ask::proposal(self, attempt, plan, incident, &before, spent, noted).await?;
        // What whoever proposes was shown is compared with what is there now.
        let now = self.files(plan).await?;
        let rules = self.rules(plan);
        let changes = gate(&proposal, &now, &rules).map_err(|refusal| End::Refused {
            code: refusal.code().to_owned(),
            why: words(&refusal.to_string()),
        })?;
        let patch = self.kept(&plan.id, &changes, &now, plan).await?;
        let files = digest_of(&now);
        let held = self.trials.hold(id, plan, &changes, files, &self.packages).await;
        let Tried { verdict, why, trial, calls } = held;
        noted.tried(trial, calls);
        let lines = Some(changes.added().saturating_add(changes.removed()));
        Ok(End::Tried { verdict, why: words(&why), manifest: patch, lines })
    }

    /// The component's files as they are.
    async fn files(self: &Arc<Self>, plan: &Arc<ComponentPlan>) -> Result<Tree, End> {
        let (workshop, plan) = (Arc::clone(self), Arc::clone(plan));
        let read = blocking(move || {
            sources::read(Path::new(&plan.workdir), &workshop.rules(&plan), Bounds::DEFAULT)
                .map_err(|error| error.to_string())
        });
        read.await.map_err(failed)
    }

    fn rules(&self, plan: &ComponentPlan) -> razar_core::patch::Rules {
        let mut rules = plan.patch.clone();
        let own: Vec<(&Path, Protected)> =
            self.own.iter().map(|(path, what)| (path.as_path(), *what)).collect();
        sources::protect(&mut rules, Path::new(&plan.workdir), &own);
        rules
    }

    /// Keeps everything that applying and taking back will need, before anything can be applied.
    async fn kept(
        &self,
        component: &ComponentId,
        changes: &ChangeSet,
        tree: &Tree,
        plan: &Arc<ComponentPlan>,
    ) -> Result<Digest, End> {
        let patch = Patch::of(component.clone(), changes, tree).map_err(|refusal| End::Refused {
            code: refusal.code().to_owned(),
            why: words(&refusal.to_string()),
        })?;
        let directory = PathBuf::from(&plan.workdir);
        let remembered = blocking(move || {
            mend::open(&directory)
                .and_then(|top| mend::remember(patch, &top))
                .map_err(|error| error.to_string())
        });
        let patch = remembered.await.map_err(failed)?;
        self.driver.keep(Kept::Patch(patch)).await.map_err(failed)
    }

    /// Makes the changes.
    pub(crate) async fn apply(&self, permit: Authorized<Apply>, plan: &ComponentPlan) -> EffectOutcome {
        let Apply { manifest, .. } = permit.effect();
        self.change(*manifest, plan, Side::After).await
    }

    /// Takes them back. There is nobody to take back what is left of that, so whoever dies of it is followed by another one.
    pub(crate) async fn revert(&self, permit: Authorized<Revert>, plan: &ComponentPlan) -> EffectOutcome {
        let Revert { manifest, .. } = permit.effect();
        let losses = self.launcher.losses();
        let mut outcome = self.change(*manifest, plan, Side::Before).await;
        for _ in 1..TAKING_BACK {
            // What a launcher that was lost had begun, its successor's situation tells.
            let partly = matches!(outcome, EffectOutcome::NotChanged { partly: true, .. });
            if !partly || self.launcher.losses() != losses {
                break;
            }
            outcome = self.change(*manifest, plan, Side::Before).await;
        }
        outcome
    }

    /// Behind its wall the host writes to no component's files: the launcher starts whoever does. Only its own word for it tells
    /// that nothing was changed.
    async fn change(&self, manifest: Digest, plan: &ComponentPlan, side: Side) -> EffectOutcome {
        let mut arguments = vec![
            "mend".to_owned(),
            "--state".to_owned(),
            self.state.display().to_string(),
            "--manifest".to_owned(),
            manifest.to_string(),
            "--directory".to_owned(),
            plan.workdir.clone(),
        ];
        if side == Side::Before {
            arguments.push("--back".to_owned());
        }
        let (error, partly) = match self.launcher.run_own(&arguments, MENDING).await {
            Ok(report) if report.end == CheckEnd::Exited(ExitStatus::Code(0)) => {
                for note in report.output.lines() {
                    tracing::warn!(component = %plan.id, "{}", report::escape::line(note));
                }
                return EffectOutcome::Changed;
            }
            Ok(report) if report.end == CheckEnd::TimedOut => {
                (format!("it took longer than {} s", MENDING.as_secs()), true)
            }
            Ok(report) => {
                let untouched = ExitStatus::Code(i32::from(Exit::Failed as u8));
                let said = match report.output.trim().trim_start_matches("error: ") {
                    "" => format!("whoever changes them ended unexpectedly: {:?}", report.end),
                    said => said.to_owned(),
                };
                (said, report.end != CheckEnd::Exited(untouched))
            }
            Err(error) => (error.to_string(), true),
        };
        EffectOutcome::NotChanged { error: words(&error), partly }
    }
}

/// On a thread that may wait for a disk.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(error.to_string()))
}

/// What names the files of a tree.
fn digest_of(tree: &Tree) -> Digest {
    let lines = tree.iter().filter_map(|(path, _)| Some(format!("{path} {}\n", tree.digest(path)?)));
    Digest::of(lines.collect::<String>().as_bytes())
}

/// An attempt that went wrong here, whoever was asked.
fn failed(why: impl AsRef<str>) -> End {
    End::failed(Trouble::Internal, words(why.as_ref()))
}

/// The beginning of a text.
fn words(text: &str) -> String {
    text.get(..text.floor_char_boundary(MAX_WORDS)).unwrap_or(text).to_owned()
}
