//! How a call ended: exactly one of a closed list. Which is which is decided in one place, so that a deadline is
//! never reported as a trap nor exhausted memory as a bug of the host.

use std::fmt;
use std::time::Duration;

use crate::broker::journal::CallRecord;
use crate::broker::log::LogRecord;

/// How a call ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome<T> {
    /// The plugin answered.
    Reply(T),
    /// The plugin says, in the contract's own words, why it cannot answer; or the host says it in its place, when
    /// what the call is about could not be handed over.
    Refused(PluginError),
    /// There is no answer.
    Failed(PluginFailure),
}

impl<T> Outcome<T> {
    /// The word in logs and labels.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Reply(_) => "reply",
            Self::Refused(_) => "plugin-error",
            Self::Failed(failure) => failure.as_str(),
        }
    }

    /// Whether the same call may succeed when it is made again.
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Reply(_) => false,
            Self::Refused(error) => error.kind.is_retriable(),
            Self::Failed(failure) => failure.is_retriable(),
        }
    }
}

/// Why a plugin could not answer, as it says itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginError {
    /// What kind of reason.
    pub kind: PluginErrorKind,
    /// In the plugin's words: data, to be escaped where it is shown.
    pub message: String,
    /// When a repeat may succeed, if the plugin knows.
    pub retry_after: Option<Duration>,
    /// Additive information; unknown keys are ignored.
    pub extensions: Vec<(String, String)>,
}

impl PluginError {
    /// Bytes it takes.
    pub(crate) fn size(&self) -> usize {
        let kind = match &self.kind {
            PluginErrorKind::Other(text) => text.len(),
            _ => 0,
        };
        self.message.len() + kind + extensions_size(&self.extensions)
    }
}

/// Bytes of a record's `extensions`.
pub(crate) fn extensions_size(extensions: &[(String, String)]) -> usize {
    extensions.iter().map(|(key, value)| key.len() + value.len()).sum()
}

/// The reasons of the contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PluginErrorKind {
    /// The call itself is wrong.
    InvalidInput,
    /// What it was asked about does not exist.
    NotFound,
    /// A credential is missing or wrong.
    Unauthenticated,
    /// It was not allowed to do what it needs.
    Denied,
    /// Something it needs does not answer.
    Unavailable,
    /// Something it needs took too long.
    Timeout,
    /// Something it needs asks it to slow down.
    RateLimited,
    /// A budget is used up.
    QuotaExhausted,
    /// It cannot be judged here.
    NotEvaluable,
    /// Its own fault.
    Internal,
    /// A reason this host does not know.
    Other(String),
}

impl PluginErrorKind {
    /// The word in logs and labels: an unknown kind is `other`, so that plugins cannot invent labels.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::InvalidInput => "invalid-input",
            Self::NotFound => "not-found",
            Self::Unauthenticated => "unauthenticated",
            Self::Denied => "denied",
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
            Self::RateLimited => "rate-limited",
            Self::QuotaExhausted => "quota-exhausted",
            Self::NotEvaluable => "not-evaluable",
            Self::Internal => "internal",
            Self::Other(_) => "other",
        }
    }

    /// Whether a repeat may succeed.
    pub const fn is_retriable(&self) -> bool {
        matches!(self, Self::Unavailable | Self::Timeout | Self::RateLimited)
    }
}

/// Why there is no answer: closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PluginFailure {
    /// It called `exit`.
    Exited(ExitCode),
    /// It crashed.
    Trap(String),
    /// The call's time was up, wherever it was spent.
    Deadline(Duration),
    /// The host is closing.
    Cancelled,
    /// No free place to run in.
    Busy,
    /// It asked for more than it may have.
    Memory(LimitHit),
    /// Its instruction budget is used up.
    Fuel,
    /// The answer is too large.
    OversizeReply {
        /// Bytes it may have.
        limit: u64,
    },
    /// The answer is not what the contract says.
    Contract(String),
    /// The host's own fault.
    HostBug(String),
}

/// What a plugin passed to `exit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExitCode(pub i32);

impl PluginFailure {
    /// The word in logs and labels.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Exited(_) => "exited",
            Self::Trap(_) => "trap",
            Self::Deadline(_) => "deadline",
            Self::Cancelled => "cancelled",
            Self::Busy => "busy",
            Self::Memory(_) => "memory",
            Self::Fuel => "fuel",
            Self::OversizeReply { .. } => "oversize-reply",
            Self::Contract(_) => "contract",
            Self::HostBug(_) => "host-bug",
        }
    }

    /// Whether the same call may succeed when it is made again: only what depends on the moment, not on the plugin.
    pub const fn is_retriable(&self) -> bool {
        matches!(self, Self::Deadline(_) | Self::Cancelled | Self::Busy)
    }
}

impl fmt::Display for PluginFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(ExitCode(code)) => {
                write!(f, "the plugin called `exit({code})` instead of answering")
            }
            Self::Trap(reason) => write!(f, "the plugin crashed: {reason}"),
            Self::Deadline(limit) => {
                write!(
                    f,
                    "no answer within {} ms: raise `limits.deadline`, or find out what it waits for",
                    limit.as_millis()
                )
            }
            Self::Cancelled => f.write_str("the host is closing"),
            Self::Busy => f.write_str("no free place to run the plugin: raise the number of slots"),
            Self::Memory(hit) => write!(f, "{hit}"),
            Self::Fuel => f.write_str("the instruction budget is used up: raise `limits.fuel`"),
            Self::OversizeReply { limit } => {
                write!(f, "the answer is larger than {limit} bytes: raise `limits.reply`, or answer less")
            }
            Self::Contract(reason) => write!(f, "the answer breaks the contract: {reason}"),
            Self::HostBug(reason) => write!(f, "the host failed, please report it: {reason}"),
        }
    }
}

impl std::error::Error for PluginFailure {}

/// The limit that a plugin ran into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitHit {
    /// Which.
    pub limit: Limit,
    /// What it asked for.
    pub wanted: u64,
    /// What it may have.
    pub allowed: u64,
}

/// What is limited in a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Bytes of linear memory.
    Memory,
    /// Entries of a table.
    Table,
    /// Instances, memories and tables.
    Instances,
    /// Open resources.
    Handles,
    /// Bytes that cross the border in one host call.
    Hostcall,
    /// Bytes of one message's header.
    Headers,
    /// Bytes of one request for randomness.
    Random,
}

impl fmt::Display for LimitHit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { limit, wanted, allowed } = self;
        match limit {
            Limit::Memory => {
                write!(
                    f,
                    "the plugin asked for {wanted} bytes of memory and may have {allowed}: raise `limits.memory`"
                )
            }
            Limit::Table => {
                write!(
                    f,
                    "the plugin asked for {wanted} table entries and may have {allowed}: raise `limits.table-elements`"
                )
            }
            Limit::Instances => {
                write!(f, "the plugin makes more than {allowed} instances, memories or tables")
            }
            Limit::Handles => {
                write!(f, "the plugin holds more than {allowed} handles: close what is not used")
            }
            Limit::Hostcall => {
                write!(f, "the plugin passed more than {allowed} bytes in one call: raise `limits.hostcall`")
            }
            Limit::Headers => {
                write!(f, "the plugin wrote a header of more than {allowed} bytes: raise `limits.headers`")
            }
            Limit::Random => {
                write!(
                    f,
                    "the plugin asked for more than {allowed} random bytes at once: raise `limits.random`"
                )
            }
        }
    }
}

/// What a call took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// From asking for a place to run to the end.
    pub wall: Duration,
    /// Waiting for a place to run.
    pub queued: Duration,
    /// On a thread: the guest's own time and the host's work for it, without waits.
    pub busy: Duration,
    /// Largest linear memory, in bytes.
    pub memory: u64,
    /// Bytes of the answer.
    pub reply: u64,
    /// Bytes over HTTP bodies and TCP, out and in.
    pub network: u64,
    /// Requests, connections and lookups it made.
    pub requests: u32,
    /// Instructions, on the metered engine.
    pub fuel: Option<u64>,
}

/// Everything the host learned from a call.
#[derive(Debug, Clone, PartialEq)]
pub struct CallReport<T> {
    /// How it ended.
    pub outcome: Outcome<T>,
    /// What it took.
    pub usage: Usage,
    /// What it reached for: requests, names, and what it was refused.
    pub record: CallRecord,
    /// What it printed: escaped, bounded by its log limit.
    pub log: LogRecord,
}
