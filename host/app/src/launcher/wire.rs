//! What host and launcher say to each other: JSON, one message a line, over a private Unix socket.
//!
//! The launcher speaks first ([`Message::Hello`]); then requests are answered by number, in any order, and events
//! arrive whenever they happen. A launcher may be older than the host that finds it: within one [`PROTOCOL`] fields
//! and variants are only ever added.

use std::collections::BTreeMap;

use razar_core::effect::{ExitStatus, Process};
use razar_core::grant::LogBegin;
use razar_core::id::{ComponentId, InstanceId};
use serde::{Deserialize, Serialize};

/// Raised when an older peer could misunderstand.
pub(crate) const PROTOCOL: u32 = 1;

/// Longest request: larger than any argument the kernel takes, small enough that a mad peer costs nothing.
pub(crate) const MAX_REQUEST: usize = 1 << 20;

/// Longest message from the launcher: a listing of tens of thousands of services.
pub(crate) const MAX_MESSAGE: usize = 16 << 20;

/// Most bytes of a check's output that are passed on, whatever is asked for.
pub(crate) const MAX_CHECK_OUTPUT: u64 = 64 << 10;

/// A question, numbered by who asks.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Request {
    /// Returned with the answer.
    pub(crate) id: u64,
    /// What is wanted.
    pub(crate) ask: Ask,
}

/// Everything a host may want.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ask {
    /// What runs, and what ended.
    List,
    /// Start one instance, unless it runs already.
    Start(Box<StartSpec>),
    /// End one instance and everything it started.
    Stop(StopSpec),
    /// Run a native probe.
    Check(Box<CheckSpec>),
    /// End the launcher if nothing is left for it to do.
    Shutdown,
}

/// One instance to start.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StartSpec {
    /// Whose.
    pub(crate) component: ComponentId,
    /// Which.
    pub(crate) instance: InstanceId,
    /// What.
    pub(crate) run: Run,
    /// How much of what it prints is kept.
    #[serde(default)]
    pub(crate) output: OutputCap,
}

/// A program and its surroundings.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Run {
    /// Program and arguments; never a shell line.
    pub(crate) argv: Vec<String>,
    /// The host's own environment, reduced to its allow-list.
    pub(crate) base_env: BTreeMap<String, String>,
    /// The component's, which wins.
    pub(crate) env: BTreeMap<String, String>,
    /// Absolute.
    pub(crate) workdir: String,
    /// Name or number; none for the launcher's own.
    pub(crate) user: Option<String>,
    /// It can never gain rights.
    #[serde(default)]
    pub(crate) no_new_privileges: bool,
    /// By name, of what it may have no more than so much.
    #[serde(default)]
    pub(crate) limits: BTreeMap<String, u64>,
}

impl Run {
    /// It is held to something: a launcher that does not know that must not start it.
    pub(crate) fn is_confined(&self) -> bool {
        self.no_new_privileges || !self.limits.is_empty()
    }
}

/// How much of what a service prints is kept: `files` of `bytes` each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OutputCap {
    /// A file is rotated before it grows beyond this.
    pub(crate) bytes: u64,
    /// How many there are at most, the one being written included.
    pub(crate) files: u32,
}

impl Default for OutputCap {
    fn default() -> Self {
        Self { bytes: 10 << 20, files: 5 }
    }
}

/// One instance to end.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct StopSpec {
    /// Which.
    pub(crate) instance: InstanceId,
    /// First signal.
    pub(crate) signal: i32,
    /// Before SIGKILL.
    pub(crate) grace_ms: u64,
}

/// One native probe to run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct CheckSpec {
    /// Whose; hosts of the first release do not say.
    #[serde(default)]
    pub(crate) component: Option<ComponentId>,
    /// What.
    pub(crate) run: Run,
    /// Then its process group is killed.
    pub(crate) timeout_ms: u64,
    /// Output beyond this is thrown away.
    pub(crate) output_bytes: u64,
    /// It holds the trial of a patch: what is left of that goes when it has ended.
    #[serde(default)]
    pub(crate) trial: bool,
}

/// Everything a launcher says.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Message {
    /// First line of every connection.
    Hello(Hello),
    /// The answer to one request.
    Reply {
        /// Its number.
        id: u64,
        /// What came of it.
        answer: Answer,
    },
    /// An instance and everything it started are gone.
    Ended(Ending),
}

/// Who is speaking.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Hello {
    /// [`PROTOCOL`] of the launcher.
    pub(crate) protocol: u32,
    /// Its release.
    pub(crate) version: String,
    /// Of the state directory: first part of every marker.
    pub(crate) state: String,
    /// Its process number.
    pub(crate) pid: u32,
    /// It knows how to hold a process to limits.
    #[serde(default)]
    pub(crate) confines: bool,
}

/// What came of a request.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    /// To `list`.
    Listed {
        /// Alive, or being ended.
        running: Vec<Running>,
        /// The last ending of each component whose end this launcher saw.
        ended: Vec<Ending>,
    },
    /// To `start`: it runs, now or already.
    Started(Process),
    /// To `stop`: it and everything it started are gone.
    Ended(Ending),
    /// To `stop`: there is no such instance.
    NotRunning,
    /// To `check`.
    Checked(CheckReport),
    /// To `shutdown`: the launcher ends now.
    Leaving,
    /// It was not done.
    Refused {
        /// Why, for programs.
        why: Refusal,
        /// Why, for people, with a remedy.
        message: String,
    },
}

/// Why something was not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Refusal {
    /// The operating system refused to start it.
    NotStarted,
    /// It cannot be started, and trying again changes nothing.
    Impossible,
    /// This instance ran and ended; it is never started again.
    AlreadyEnded,
    /// Another instance of the component is alive.
    OtherAlive,
    /// Its processes did not die from SIGKILL.
    Unkillable,
    /// Services are left, so the launcher stays.
    ServicesLeft,
    /// More at the same time than is good for the machine.
    Busy,
    /// The request could not be understood.
    BadRequest,
}

/// An instance that lives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Running {
    /// Whose.
    pub(crate) component: ComponentId,
    /// Which.
    pub(crate) instance: InstanceId,
    /// Its main process.
    pub(crate) process: Process,
    /// Found by this launcher, not started by it: its exit status will be unknown.
    pub(crate) adopted: bool,
}

/// How an instance ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ending {
    /// Whose.
    pub(crate) component: ComponentId,
    /// Which.
    pub(crate) instance: InstanceId,
    /// Its main process.
    pub(crate) process: Process,
    /// How that ended.
    pub(crate) exit: ExitStatus,
    /// Somebody had asked it to.
    pub(crate) asked: bool,
    /// So many processes it had started were still there after it, and were killed.
    pub(crate) left: u32,
    /// It ended at once, content, leaving others behind: a daemon that went into the background.
    pub(crate) forked_away: bool,
    /// Where in the log what it printed begins.
    #[serde(default)]
    pub(crate) begin: LogBegin,
}

/// What a native probe said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CheckReport {
    /// How it ended.
    pub(crate) end: CheckEnd,
    /// What it printed, both streams, as far as it was kept.
    pub(crate) output: String,
    /// More was printed than kept.
    pub(crate) truncated: bool,
    /// From start to end.
    pub(crate) took_ms: u64,
}

/// How a native probe ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CheckEnd {
    /// In time.
    Exited(ExitStatus),
    /// Killed at its time limit, with its whole process group.
    TimedOut,
}
