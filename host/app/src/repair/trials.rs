//! Trials as the host holds them: it writes down what is to be tried, has the launcher start whoever holds it outside of the
//! host's wall, and reads what came of it. What was seen of the files without a patch is kept for the next trial of the same files.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptionsExt as _};
use razar_core::grant::Role;
use razar_core::id::{ComponentId, Digest, EffectId};
use razar_core::patch::{ChangeSet, Verdict};
use razar_core::plan::{ComponentPlan, Plugins as _};
use rustix::fs::OFlags;

use super::ask::WORKSPACES;
use crate::launcher::Launcher;
use crate::packages::Packages;
use crate::record::calls::{Call, Trial};
use crate::trial::start::{Folder, Held, Judged, Setting};
use crate::trial::wire::{Base, MAX_REPORT, Tests};

/// Where trials are held, below the state directory.
const TRIALS: &str = "trials";

/// What is kept of files without a patch: the newest.
const BASES: usize = 16;

/// Where things are that a judge must know of.
#[derive(Debug, Clone)]
pub(crate) struct Where {
    /// The state directory.
    pub(crate) state: PathBuf,
    /// Plugin packages.
    pub(crate) plugins: Vec<PathBuf>,
    /// What they are granted.
    pub(crate) grants: Option<PathBuf>,
    /// Where their compiled code is.
    pub(crate) cache: Option<PathBuf>,
    /// Where the boot configuration lies.
    pub(crate) stack: PathBuf,
}

/// A trial that was held, or was not.
pub(crate) struct Tried {
    pub(crate) verdict: Verdict,
    /// In words.
    pub(crate) why: String,
    /// What the verdict was made of.
    pub(crate) trial: Option<Trial>,
    /// The calls of evaluators.
    pub(crate) calls: Vec<Call>,
}

/// See the module.
pub(crate) struct Trials {
    launcher: Launcher,
    places: Where,
    bases: Mutex<BTreeMap<(String, Digest), Base>>,
    /// The trials of one component are held one after the other: the second one need not judge the files without a patch again.
    turns: Mutex<BTreeMap<ComponentId, Arc<Turn>>>,
}

/// Whoever holds it holds a trial.
type Turn = tokio::sync::Mutex<()>;

impl Trials {
    pub(crate) const fn new(launcher: Launcher, places: Where) -> Self {
        Self { launcher, places, bases: Mutex::new(BTreeMap::new()), turns: Mutex::new(BTreeMap::new()) }
    }

    /// Takes away what trials of a host that was killed, or ends now, have left, and agents' copies. None may be under way.
    pub(crate) fn sweep(state: &Path) {
        for left in [TRIALS, WORKSPACES] {
            if let Err(error) = std::fs::remove_dir_all(state.join(left))
                && error.kind() != std::io::ErrorKind::NotFound
            {
                tracing::warn!("what is left of earlier `{left}` cannot be removed: {error}");
            }
        }
    }

    /// Holds one, named by the attempt that it belongs to.
    pub(crate) async fn hold(
        &self,
        attempt: EffectId,
        plan: &ComponentPlan,
        changes: &ChangeSet,
        files: Digest,
        packages: &Packages,
    ) -> Tried {
        let turn =
            self.turns.lock().ok().map(|mut turns| Arc::clone(turns.entry(plan.id.clone()).or_default()));
        let _turn = match &turn {
            Some(turn) => Some(turn.lock().await),
            None => None,
        };
        let known = (plan.id.to_string(), files);
        let base = self.bases.lock().ok().and_then(|bases| bases.get(&known).cloned());
        match self.held(attempt, plan, changes, base, packages).await {
            Ok((Held { verdict, reason, base, evidence }, calls)) => {
                if let (Some(base), Ok(mut bases)) = (base, self.bases.lock()) {
                    if bases.len() >= BASES {
                        bases.pop_first();
                    }
                    bases.insert(known, base);
                }
                let trial = evidence.map(|evidence| Trial { evidence, verdict });
                Tried { verdict, why: reason, trial, calls }
            }
            Err(why) => Tried {
                verdict: Verdict::Infra,
                why: format!("the trial was not held: {why}"),
                trial: None,
                calls: Vec::new(),
            },
        }
    }

    async fn held(
        &self,
        attempt: EffectId,
        plan: &ComponentPlan,
        changes: &ChangeSet,
        base: Option<Base>,
        packages: &Packages,
    ) -> Result<(Held, Vec<Call>), String> {
        let dir = self.places.state.join(TRIALS).join(attempt.to_string());
        make(&dir)?;
        let held = self.held_in(&dir, plan, changes, base, packages).await;
        let held = held.map(|held| (held, Folder::of(&dir).noted()));
        // What is left of it tells nobody anything.
        let _ = tokio::fs::remove_dir_all(&dir).await;
        held
    }

    async fn held_in(
        &self,
        dir: &Path,
        plan: &ComponentPlan,
        changes: &ChangeSet,
        base: Option<Base>,
        packages: &Packages,
    ) -> Result<Held, String> {
        let places = &self.places;
        let setting = Setting {
            state: &places.state,
            plugins: &places.plugins,
            grants: places.grants.as_deref(),
            cache: places.cache.as_deref(),
            stack: &places.stack,
        };
        let repair = plan.repair.clone().unwrap_or_default();
        let tests = repair.tests.map(|tests| Tests { command: tests.command, timeout_ms: tests.timeout.0 });
        let evaluators = repair.evaluators.unwrap_or_else(|| packages.names(Role::Evaluator));
        let judged = Judged { hold: repair.hold, tests, evaluators };
        let mut request = setting.request(plan, changes, judged, dir)?;
        request.base = base;
        let (ask, held) = Held::FILES;
        let text = serde_json::to_vec(&request).map_err(|error| error.to_string())?;
        tokio::fs::write(dir.join(ask), text).await.map_err(|error| error.to_string())?;
        let words = ["hold-trial".to_owned(), dir.display().to_string()];
        let report = self.launcher.hold_trial(&words, request.patience()).await;
        let report = report.map_err(|error| error.to_string())?;
        read(dir, held)
            .map_err(|why| if report.output.is_empty() { why } else { report.output.trim().to_owned() })
    }
}

/// A directory of this user's alone. One of that name is of a host that was killed.
fn make(dir: &Path) -> Result<(), String> {
    use std::os::unix::fs::DirBuilderExt as _;
    let failed = |error: std::io::Error| format!("cannot make `{}`: {error}", dir.display());
    match std::fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed)
}

/// What came of it, without following a link.
fn read(dir: &Path, name: &str) -> Result<Held, String> {
    let mut options = cap_std::fs::OpenOptions::new();
    options.read(true).custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed());
    let bytes = || -> std::io::Result<Vec<u8>> {
        let file = Dir::open_ambient_dir(dir, ambient_authority())?.open_with(name, &options)?;
        let mut bytes = Vec::new();
        file.take(MAX_REPORT).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = bytes().map_err(|error| format!("whoever held the trial left no report: {error}"))?;
    serde_json::from_slice(&bytes).map_err(|error| format!("the report of the trial cannot be read: {error}"))
}
