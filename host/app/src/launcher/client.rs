//! The host's end: finds the launcher or starts one, asks it, hears what ended.
//!
//! When the connection breaks (the launcher was killed), what was asked is answered with [`LauncherError::Lost`], the
//! next launcher is found or started, and [`Event::Reconnected`] says what it found: the host looks, it never repeats.
//! Starting and stopping are possible only with the permission for exactly that.

mod link;

use std::collections::BTreeMap;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use razar_core::effect::{Authorized, ExitStatus, Process, Start, Stop};
use razar_core::id::{ComponentId, InstanceId};
use razar_core::plan::{ComponentPlan, StopPolicy};
use razar_core::time::Millis;
use tokio::sync::{mpsc, oneshot};

use super::wire::{
    Answer, Ask, CheckReport, CheckSpec, Ending, MAX_CHECK_OUTPUT, OutputCap, Refusal, Run, Running,
    StartSpec, StopSpec,
};

/// What of the host's own environment services inherit, besides `LC_*`.
const INHERITED: [&str; 7] = ["PATH", "HOME", "LANG", "TZ", "USER", "LOGNAME", "TMPDIR"];

/// How long the launcher may take for something that takes it milliseconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// Said of a component with limits.
const TOO_OLD: &str = "the running launcher is of an older release, which knows no `limits` and no `no_new_privileges`: stop \
                       everything with `razar-host stop`, then start the host again";

/// What the launcher tells unasked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// An instance and everything it started are gone.
    Ended(Ending),
    /// The launcher had died; another one has taken over, or will start afresh.
    Reconnected(Situation),
}

/// What a launcher found or has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Situation {
    /// Alive, or being ended.
    pub(crate) running: Vec<Running>,
    /// The last ending of each component whose end it saw: what happened while no host listened.
    pub(crate) ended: Vec<Ending>,
}

/// Why the launcher could not be asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LauncherError {
    /// It cannot be started.
    #[error("the launcher cannot be started: {0}")]
    NotStarted(String),
    /// It runs and does not answer.
    #[error(
        "the launcher of `{0}` does not answer: see `logs/launcher.log` there; if its process is stopped, `kill -CONT` it"
    )]
    Silent(PathBuf),
    /// A release that speaks differently.
    #[error(
        "the running launcher speaks protocol {theirs}, this host speaks {ours}: stop the services with release {version}, then start this one"
    )]
    Protocol {
        /// Of the launcher.
        theirs: u32,
        /// Ours.
        ours: u32,
        /// Release of the launcher.
        version: String,
    },
    /// The connection broke before the answer: look what runs, then decide again.
    #[error("the launcher died before it answered")]
    Lost,
    /// It said something that makes no sense here.
    #[error("the launcher gave an answer that does not fit the question")]
    Confused,
}

/// Why an instance was not started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    /// The launcher could not be asked.
    #[error(transparent)]
    Launcher(#[from] LauncherError),
    /// The permission is for something else.
    #[error("the permission is for another version of `{0}`: decide again with the current configuration")]
    OtherSpec(String),
    /// The launcher refused; the message has the remedy.
    #[error("{message}")]
    Refused {
        /// For programs.
        why: Refusal,
        /// For people.
        message: String,
    },
}

impl StartError {
    /// Trying again changes nothing.
    pub(crate) const fn is_permanent(&self) -> bool {
        matches!(self, Self::Refused { why: Refusal::Impossible, .. })
    }

    /// It leaves open what runs: somebody has to look before anything is decided on the strength of it.
    pub(crate) const fn says_nothing(&self) -> bool {
        matches!(
            self,
            Self::Launcher(LauncherError::Silent(_) | LauncherError::Confused | LauncherError::Lost)
                | Self::Refused { why: Refusal::OtherAlive | Refusal::AlreadyEnded, .. }
        )
    }
}

/// Why an instance was not ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StopError {
    /// The launcher could not be asked.
    #[error(transparent)]
    Launcher(#[from] LauncherError),
    /// The launcher refused; the message has the remedy.
    #[error("{0}")]
    Refused(String),
}

/// Why a native check gave no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CheckError {
    /// The launcher could not be asked.
    #[error(transparent)]
    Launcher(#[from] LauncherError),
    /// It could not be started; the message has the remedy.
    #[error("{0}")]
    Refused(String),
}

/// Who starts a launcher when there is none.
#[derive(Clone)]
pub(crate) enum Starter {
    /// This process: `exe launcher --state DIR`.
    Own(PathBuf),
    /// Somebody who may; what he returns hears the launcher's complaints, and a note of how it ended if it does.
    Elsewhere(Arc<dyn Fn() -> std::io::Result<UnixStream> + Send + Sync>),
}

impl From<&Path> for Starter {
    fn from(exe: &Path) -> Self {
        Self::Own(exe.to_owned())
    }
}

/// A connection to the launcher of one state directory; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Launcher {
    asks: mpsc::Sender<link::Asked>,
    state: PathBuf,
    id: String,
    /// Whether it can hold a process to limits.
    confines: bool,
    /// How often it was lost.
    losses: Arc<AtomicU64>,
}

impl Launcher {
    /// Connects to the launcher of a state directory, having one started when there is none.
    pub(crate) async fn connect_or_spawn(
        state: &Path,
        starter: impl Into<Starter>,
    ) -> Result<(Self, mpsc::UnboundedReceiver<Event>, Situation), LauncherError> {
        let mut link = link::Link::open(state, &starter.into()).await?;
        let situation = link.situation().await?;
        let (id, confines, losses) = (link.id().to_owned(), link.confines(), link.losses());
        let (asks, asked) = mpsc::channel(64);
        // Unbounded, as the host may be waiting for an answer while events come; there is one per ended process.
        let (tell, events) = mpsc::unbounded_channel();
        tokio::spawn(link::run(link, asked, tell));
        Ok((Self { asks, state: state.to_owned(), id, confines, losses }, events, situation))
    }

    /// Starts what the permission names. Starting an instance that runs answers with its process.
    pub(crate) async fn start(
        &self,
        authorized: Authorized<Start>,
        plan: &ComponentPlan,
    ) -> Result<Process, StartError> {
        let start = authorized.effect();
        if start.component != plan.id || start.spec != plan.spec {
            return Err(StartError::OtherSpec(start.component.to_string()));
        }
        let spec = StartSpec {
            component: start.component.clone(),
            instance: start.instance,
            run: run_of(plan, plan.command.clone()),
            output: OutputCap::default(),
        };
        self.start_now(spec).await
    }

    /// Ends what the permission names, and all it started. An instance that is gone already is ended, unseen.
    pub(crate) async fn stop(
        &self,
        authorized: Authorized<Stop>,
        policy: StopPolicy,
    ) -> Result<ExitStatus, StopError> {
        let instance = authorized.effect().instance;
        self.stop_now(StopSpec { instance, signal: policy.signal, grace_ms: policy.grace.0 }).await
    }

    /// Runs a native probe with the surroundings of its component.
    pub(crate) async fn check(
        &self,
        plan: &ComponentPlan,
        argv: &[String],
        timeout: Millis,
    ) -> Result<CheckReport, CheckError> {
        let run = run_of(plan, argv.to_vec());
        let component = Some(plan.id.clone());
        let (timeout_ms, output_bytes) = (timeout.0, MAX_CHECK_OUTPUT);
        let spec = CheckSpec { component, run, timeout_ms, output_bytes, trial: false };
        self.check_now(spec).await
    }

    /// Runs this very program outside of the host's wall, with all of the host's environment.
    pub(crate) async fn run_own(
        &self,
        arguments: &[String],
        timeout: Duration,
    ) -> Result<CheckReport, CheckError> {
        self.run_this(arguments, timeout, false).await
    }

    /// The same for whoever holds the trial of a patch.
    pub(crate) async fn hold_trial(
        &self,
        arguments: &[String],
        timeout: Duration,
    ) -> Result<CheckReport, CheckError> {
        self.run_this(arguments, timeout, true).await
    }

    async fn run_this(
        &self,
        arguments: &[String],
        timeout: Duration,
        trial: bool,
    ) -> Result<CheckReport, CheckError> {
        let own = std::env::current_exe().map_err(|error| CheckError::Refused(error.to_string()))?;
        let mut argv = vec![own.display().to_string()];
        argv.extend_from_slice(arguments);
        let whole = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        let run = Run {
            argv,
            base_env: whole.collect(),
            env: BTreeMap::new(),
            workdir: "/".to_owned(),
            user: None,
            no_new_privileges: false,
            limits: BTreeMap::new(),
        };
        let timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        let spec = CheckSpec { component: None, run, timeout_ms, output_bytes: MAX_CHECK_OUTPUT, trial };
        self.check_now(spec).await
    }

    /// How often the launcher was lost so far. Who was answered [`LauncherError::Lost`] finds it greater than before he asked,
    /// and an [`Event::Reconnected`] comes for each.
    pub(crate) fn losses(&self) -> u64 {
        self.losses.load(Ordering::SeqCst)
    }

    /// What the processes of an instance carry in their environment.
    pub(crate) fn marker(&self, component: &ComponentId, instance: InstanceId) -> String {
        super::process::marker(&self.id, component, instance)
    }

    /// What runs, and what ended.
    pub(crate) async fn list(&self) -> Result<Situation, LauncherError> {
        match self.ask(Ask::List, PATIENCE).await? {
            Answer::Listed { running, ended } => Ok(Situation { running, ended }),
            _ => Err(LauncherError::Confused),
        }
    }

    /// Ends the launcher if no service is left. True when it ends.
    pub(crate) async fn shutdown_when_idle(&self) -> Result<bool, LauncherError> {
        match self.ask(Ask::Shutdown, PATIENCE).await? {
            Answer::Leaving => Ok(true),
            Answer::Refused { .. } => Ok(false),
            _ => Err(LauncherError::Confused),
        }
    }

    async fn start_now(&self, spec: StartSpec) -> Result<Process, StartError> {
        if spec.run.is_confined() && !self.confines {
            return Err(StartError::Refused { why: Refusal::Impossible, message: TOO_OLD.to_owned() });
        }
        match self.ask(Ask::Start(Box::new(spec)), PATIENCE).await? {
            Answer::Started(process) => Ok(process),
            Answer::Refused { why, message } => Err(StartError::Refused { why, message }),
            _ => Err(LauncherError::Confused.into()),
        }
    }

    async fn stop_now(&self, spec: StopSpec) -> Result<ExitStatus, StopError> {
        let patience = PATIENCE.saturating_add(Duration::from_millis(spec.grace_ms));
        match self.ask(Ask::Stop(spec), patience).await? {
            Answer::Ended(ending) => Ok(ending.exit),
            Answer::NotRunning => Ok(ExitStatus::Unknown),
            Answer::Refused { message, .. } => Err(StopError::Refused(message)),
            _ => Err(LauncherError::Confused.into()),
        }
    }

    async fn check_now(&self, spec: CheckSpec) -> Result<CheckReport, CheckError> {
        if spec.run.is_confined() && !self.confines {
            return Err(CheckError::Refused(TOO_OLD.to_owned()));
        }
        let patience = PATIENCE.saturating_add(Duration::from_millis(spec.timeout_ms));
        match self.ask(Ask::Check(Box::new(spec)), patience).await? {
            Answer::Checked(report) => Ok(report),
            Answer::Refused { message, .. } => Err(CheckError::Refused(message)),
            _ => Err(LauncherError::Confused.into()),
        }
    }

    async fn ask(&self, ask: Ask, patience: Duration) -> Result<Answer, LauncherError> {
        let (answer, answered) = oneshot::channel();
        let asked = async {
            self.asks.send((ask, answer)).await.map_err(|_| LauncherError::Lost)?;
            answered.await.map_err(|_| LauncherError::Lost)
        };
        tokio::time::timeout(patience, asked)
            .await
            .unwrap_or_else(|_| Err(LauncherError::Silent(self.state.clone())))
    }
}

/// A program with the surroundings of a component.
pub(crate) fn run_of(plan: &ComponentPlan, argv: Vec<String>) -> Run {
    let limits = plan.confine.limits.iter();
    Run {
        argv,
        base_env: inherited(),
        env: plan.env.clone(),
        workdir: plan.workdir.clone(),
        user: plan.user.clone(),
        no_new_privileges: plan.confine.no_new_privileges,
        limits: limits.map(|(limit, most)| (limit.as_str().to_owned(), *most)).collect(),
    }
}

/// What a program of this component finds in its environment, before the user it runs as adds to it.
pub(crate) fn environment(plan: &ComponentPlan) -> BTreeMap<String, String> {
    let mut env = inherited();
    env.extend(plan.env.clone());
    env
}

/// The host's own environment, reduced: credentials of the host are none of the services' business.
fn inherited() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| INHERITED.contains(&name.as_str()) || name.starts_with("LC_"))
        .collect()
}

/// For `tests/launcher.rs`, which compiles this module: a test cannot decide, so it has no permissions to spend.
#[cfg(test)]
#[allow(dead_code, reason = "the binary's own tests do not need it")]
pub(crate) mod undecided {
    use super::{
        CheckError, CheckReport, CheckSpec, ExitStatus, Launcher, Process, StartError, StartSpec, StopError,
        StopSpec, inherited,
    };

    pub(crate) async fn start(launcher: &Launcher, mut spec: StartSpec) -> Result<Process, StartError> {
        spec.run.base_env = inherited();
        launcher.start_now(spec).await
    }

    pub(crate) async fn stop(launcher: &Launcher, spec: StopSpec) -> Result<ExitStatus, StopError> {
        launcher.stop_now(spec).await
    }

    pub(crate) async fn check(launcher: &Launcher, mut spec: CheckSpec) -> Result<CheckReport, CheckError> {
        spec.run.base_env = inherited();
        launcher.check_now(spec).await
    }
}
