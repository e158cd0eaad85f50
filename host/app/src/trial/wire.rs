//! What a judge is told and what he answers: JSON, in two files of the trial's directory. Both are written by this release
//! and read by this release.

use std::path::PathBuf;
use std::time::Duration;

use razar_core::fact::Phase;
use razar_core::id::{ComponentId, Digest, PluginId};
use razar_core::patch::{ChangeSet, Evidence, Look, Seen};
use razar_core::plan::{Check, ComponentPlan, LogSource, ProbePlan, Schedule};
use razar_core::time::Millis;
use serde::{Deserialize, Serialize};

use crate::launcher::wire::Run;

/// Largest request: every file of a patch, whole, and some room.
pub(crate) const MAX_REQUEST: u64 = 128 << 20;
/// Largest report.
pub(crate) const MAX_REPORT: u64 = 4 << 20;

/// One trial.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Request {
    /// Whose.
    pub(crate) component: ComponentId,
    /// How it is started; its working directory is what is copied.
    pub(crate) run: Run,
    /// How it is asked.
    pub(crate) probes: Vec<Asked>,
    /// The patch.
    pub(crate) changes: Vec<Change>,
    /// What lies around the component.
    pub(crate) around: Around,
    /// The evaluators that judge it besides.
    pub(crate) evaluators: Vec<PluginId>,
    /// Where plugins are.
    pub(crate) plugins: Vec<PathBuf>,
    /// What they are granted.
    pub(crate) grants: Option<PathBuf>,
    /// Where their compiled code is.
    pub(crate) cache: Option<PathBuf>,
    /// The started service must stay well for so long.
    pub(crate) hold_ms: u64,
    /// The component's own tests.
    pub(crate) tests: Option<Tests>,
    /// What a trial may use.
    pub(crate) bounds: Bounds,
    /// What was seen of the files as they are, if that is known already.
    pub(crate) base: Option<Base>,
    /// Control groups that the judge enters before he asks anybody.
    pub(crate) groups: Vec<PathBuf>,
}

/// What of this machine a judged program must not reach, and what it must find.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Around {
    /// Directories and files that are not there: state, grants, plugins, the trial itself.
    pub(crate) hidden: Vec<PathBuf>,
    /// Sockets of programs that run now: a read-only file system does not keep anybody from connecting.
    pub(crate) sockets: Vec<PathBuf>,
    /// Where the stack lies: found again also below a `/tmp` that is otherwise empty.
    pub(crate) stack: PathBuf,
}

/// One probe.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Asked {
    /// Which question it answers.
    pub(crate) phase: Phase,
    /// What is asked.
    pub(crate) question: Question,
    /// Between the end of one answer and the next question.
    interval_ms: u64,
    timeout_ms: u64,
    deadline_ms: u64,
    failures: u32,
    window: u32,
    successes: u32,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Question {
    /// A sandboxed probe.
    Plugin {
        /// Which.
        plugin: PluginId,
        /// Where it may connect.
        address: Option<String>,
        /// Whose tail it may read.
        log: Option<Log>,
        /// Of the probe, as JSON.
        settings: String,
    },
    /// A program with Nagios' exit codes.
    Command(Vec<String>),
    /// Whether it lives.
    Process,
}

/// A log that a probe reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Log {
    /// What the service prints.
    Output,
    /// A file.
    File(PathBuf),
}

/// One file of the patch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Change {
    /// Relative to the working directory.
    pub(crate) path: String,
    /// What it is now; none for a new file.
    pub(crate) before: Option<Digest>,
    /// What it becomes; none for a file that goes.
    pub(crate) after: Option<String>,
}

/// The component's own tests: the operator pins them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tests {
    /// Program and arguments; never a shell line.
    pub(crate) command: Vec<String>,
    /// For one run.
    pub(crate) timeout_ms: u64,
}

/// What a trial may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Bounds {
    /// Bytes of everything that is copied and written, together.
    pub(crate) scratch: u64,
    /// Files and directories, the same.
    pub(crate) entries: u64,
    /// Bytes of memory, what is written included.
    pub(crate) memory: u64,
    /// Processes and threads.
    pub(crate) tasks: u64,
    /// Nobody else holds the memory: the judge looks.
    pub(crate) memory_is_watched: bool,
}

impl Bounds {
    /// A service with its sources and its data, and a judge.
    pub(crate) const DEFAULT: Self =
        Self { scratch: 512 << 20, entries: 100_000, memory: 2 << 30, tasks: 512, memory_is_watched: false };

    /// Bytes that are copied at most: there are two copies at a time, and room to work.
    pub(crate) const fn copied(&self) -> u64 {
        self.scratch / 3
    }
}

/// What was seen of the files as they are. It holds for every patch of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Base {
    /// The started service.
    pub(crate) shadow: Option<Seen>,
    /// Its tests.
    pub(crate) native: Option<Look>,
    /// Tests, build files and the like that running either changed.
    pub(crate) touched: Vec<String>,
}

/// What came of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Report {
    /// What the judges saw.
    pub(crate) evidence: Evidence,
    /// The same for people, in order.
    pub(crate) said: Vec<Said>,
    /// To be passed on to the next trial of the same files.
    pub(crate) base: Base,
    /// What the copy does not have, and why; the first of them.
    pub(crate) left_out: Vec<String>,
    /// How many there are.
    pub(crate) left_out_count: u64,
    /// Making the copies.
    pub(crate) copy_ms: f64,
}

/// One judge about one tree.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Said {
    /// Who.
    pub(crate) judge: String,
    /// With the patch, or without.
    pub(crate) patched: bool,
    /// What, in one line; it may quote what a judged program printed.
    pub(crate) summary: String,
    /// The end of what a judged program printed.
    pub(crate) output: String,
    /// How long it took.
    pub(crate) took_ms: u64,
}

impl Asked {
    /// All probes of a component.
    pub(crate) fn all(plan: &ComponentPlan) -> Vec<Self> {
        plan.probes.all().map(|(phase, probe)| Self::new(phase, probe)).collect()
    }

    fn new(phase: Phase, ProbePlan { check, schedule }: &ProbePlan) -> Self {
        let log = |log: &LogSource| match log {
            LogSource::Output => Log::Output,
            LogSource::File(path) => Log::File(path.into()),
        };
        let question = match check {
            // In a network of its own nobody else can listen.
            Check::Plugin { plugin, address, log: source, settings, listener: _ } => Question::Plugin {
                plugin: plugin.clone(),
                address: address.clone(),
                log: source.as_ref().map(log),
                settings: settings.clone(),
            },
            Check::Command(argv) => Question::Command(argv.clone()),
            Check::Process => Question::Process,
        };
        let Schedule { interval, timeout, deadline, failures, window, successes } = *schedule;
        Self {
            phase,
            question,
            interval_ms: interval.0,
            timeout_ms: timeout.0,
            deadline_ms: deadline.0,
            failures,
            window,
            successes,
        }
    }

    /// When answers count.
    pub(crate) const fn schedule(&self) -> Schedule {
        Schedule {
            interval: Millis(self.interval_ms),
            timeout: Millis(self.timeout_ms),
            deadline: Millis(self.deadline_ms),
            failures: self.failures,
            window: self.window,
            successes: self.successes,
        }
    }
}

impl Change {
    /// Every file of a patch.
    pub(crate) fn all(changes: &ChangeSet) -> Vec<Self> {
        let change = |file: &razar_core::patch::FileChange| Self {
            path: file.path().as_str().to_owned(),
            before: file.before(),
            // The gate takes nothing that is no text.
            after: file.after().map(|bytes| String::from_utf8_lossy(bytes).into_owned()),
        };
        changes.files().iter().map(change).collect()
    }
}

impl Request {
    /// The longest that a judge who works needs.
    pub(crate) fn patience(&self) -> Duration {
        let startup = self.probes.iter().map(|probe| probe.deadline_ms).max().unwrap_or_default();
        let answers: u64 = self.probes.iter().map(|probe| probe.timeout_ms.saturating_mul(2)).sum();
        let tests = self.tests.as_ref().map_or(0, |tests| tests.timeout_ms);
        let run = startup.saturating_add(self.hold_ms).saturating_add(answers);
        // The tests are run once more. Loading plugins, copying, ending what does not want to end.
        let all = run.saturating_mul(2).saturating_add(tests.saturating_mul(3));
        Duration::from_millis(all).saturating_add(Duration::from_secs(120))
    }
}
