//! What kind of trouble it was to ask somebody, and what an answer took. Kinds are closed, so that limits, rules and counts can be
//! written for each; words are for people.

use serde::{Deserialize, Serialize};

use crate::time::Millis;

/// What kind of trouble it was: closed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trouble {
    /// Nobody wrote it down: a fact of an earlier version.
    #[default]
    Unknown,
    /// There is no such plugin, or nothing is granted to it.
    NotLoaded,
    /// The credential is missing, wrong or expired.
    NoCredential,
    /// The operator's grants or the vendor do not allow it.
    Denied,
    /// The server has no such model, or nothing at this address.
    NoModel,
    /// What was paid for is used up.
    Quota,
    /// The server asks to be asked less often.
    RateLimited,
    /// The server answers that it cannot answer at this moment.
    Overloaded,
    /// The server does not answer at all.
    Unreachable,
    /// There was no answer in time.
    Deadline,
    /// The server does not take the question: too long, or not understood.
    Rejected,
    /// The answer is none: not readable, or not what the contract says.
    Nonsense,
    /// It only ever wanted to look at more.
    Endless,
    /// The plugin crashed, ended itself or broke its limits.
    Crashed,
    /// There was no free place to run it.
    Busy,
    /// The host was closing.
    Cancelled,
    /// The plugin's or the host's own fault.
    Internal,
}

impl Trouble {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::Unknown,
        Self::NotLoaded,
        Self::NoCredential,
        Self::Denied,
        Self::NoModel,
        Self::Quota,
        Self::RateLimited,
        Self::Overloaded,
        Self::Unreachable,
        Self::Deadline,
        Self::Rejected,
        Self::Nonsense,
        Self::Endless,
        Self::Crashed,
        Self::Busy,
        Self::Cancelled,
        Self::Internal,
    ];

    /// The word in facts, answers and labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::NotLoaded => "not-loaded",
            Self::NoCredential => "no-credential",
            Self::Denied => "denied",
            Self::NoModel => "no-model",
            Self::Quota => "quota",
            Self::RateLimited => "rate-limited",
            Self::Overloaded => "overloaded",
            Self::Unreachable => "unreachable",
            Self::Deadline => "deadline",
            Self::Rejected => "rejected",
            Self::Nonsense => "nonsense",
            Self::Endless => "endless",
            Self::Crashed => "crashed",
            Self::Busy => "busy",
            Self::Cancelled => "cancelled",
            Self::Internal => "internal",
        }
    }

    /// Whether nobody wrote it down.
    pub const fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown)
    }

    /// Nobody was asked: it says nothing about the failure, costs nothing and is no attempt at a repair.
    pub const fn keeps_from_asking(self) -> bool {
        match self {
            Self::NotLoaded
            | Self::NoCredential
            | Self::Denied
            | Self::NoModel
            | Self::Quota
            | Self::RateLimited
            | Self::Overloaded
            | Self::Unreachable
            | Self::Busy
            | Self::Cancelled => true,
            Self::Unknown
            | Self::Deadline
            | Self::Rejected
            | Self::Nonsense
            | Self::Endless
            | Self::Crashed
            | Self::Internal => false,
        }
    }
}

/// What one attempt took, over all turns of the conversation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    /// The model, by its maker's name, as the newest turn said it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Tokens read.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub input_tokens: u64,
    /// Tokens written.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub output_tokens: u64,
    /// Time in the agent's calls, without gate and trial.
    #[serde(default)]
    pub took: Millis,
    /// Calls.
    #[serde(default)]
    pub turns: u32,
}

impl Spent {
    /// Nobody was called.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// Tokens read and written.
    pub const fn tokens(&self) -> u64 {
        self.input_tokens.saturating_add(self.output_tokens)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde asks for")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}
