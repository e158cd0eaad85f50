//! The document: some calls of one incident, and what is shared between them. One document is one blob of the ledger, named by its
//! digest; it names no other.

use std::collections::BTreeMap;
use std::time::Duration;

use razar_core::fact::Phase;
use razar_core::grant::{LimitField, Limits, LimitsOverride};
use razar_core::id::{ComponentId, Digest, IncidentId, PluginId};
use razar_core::patch::{Evidence, Verdict};
use razar_runtime::contract::agent::{Brief, Turn};
use razar_runtime::contract::evaluator;
use razar_runtime::outcome::{Outcome, PluginFailure};
use razar_runtime::tape::recording::{Data, Recording};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::gate::Gate;

/// How it begins to call itself; another one is of another release.
const FORMAT: &str = "razar-host calls v1";

/// Bytes of one document: what is more is left out, call by call.
pub(crate) const MAX_DOCUMENT: usize = 8 << 20;

/// Some calls of one incident.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Calls {
    format: String,
    pub(crate) component: ComponentId,
    pub(crate) incident: IncidentId,
    /// Which attempt it was, if it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) attempt: Option<u32>,
    /// What an agent was told, the same in all its turns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) brief: Option<Brief>,
    pub(crate) calls: Vec<Call>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) gate: Option<Gate>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) trial: Option<Trial>,
    /// Bytes of files, by their digests: most are in several calls.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) contents: BTreeMap<Digest, Data>,
}

/// One call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Call {
    pub(crate) plugin: PluginId,
    /// Of its code.
    pub(crate) digest: Digest,
    /// What one call could use, in bytes, milliseconds or pieces.
    pub(crate) limits: BTreeMap<String, u64>,
    /// Its time.
    pub(crate) deadline_ms: u64,
    pub(crate) asked: Asked,
    pub(crate) recording: Recording,
    /// Secrets were taken out of what came into it.
    #[serde(default)]
    pub(crate) redacted: bool,
    pub(crate) end: Value,
}

/// What was asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Asked {
    /// Of an agent, besides the brief.
    Agent { turn: Option<Turn>, settings: String },
    /// Of an evaluator. The host's own tests, if it planted some, grow from the seed.
    Evaluator { request: evaluator::Request, seed: u64, planted: Vec<String> },
    /// Of a probe.
    Probe { address: Option<String>, phase: Phase, settings: String },
}

impl Asked {
    /// The plugin's role, in one word.
    pub(crate) const fn role(&self) -> &'static str {
        match self {
            Self::Agent { .. } => "agent",
            Self::Evaluator { .. } => "evaluator",
            Self::Probe { .. } => "probe",
        }
    }
}

/// What a trial came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Trial {
    pub(crate) evidence: Evidence,
    pub(crate) verdict: Verdict,
}

/// Why a document cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadCalls {
    /// It is none.
    #[error("it is no recording: {0}")]
    Shape(#[from] serde_json::Error),
    /// It is of another release.
    #[error("it calls itself `{0}`, and this release reads `{FORMAT}`")]
    Format(String),
}

impl Calls {
    pub(crate) fn new(component: ComponentId, incident: IncidentId, attempt: Option<u32>) -> Self {
        Self {
            format: FORMAT.to_owned(),
            component,
            incident,
            attempt,
            brief: None,
            calls: Vec::new(),
            gate: None,
            trial: None,
            contents: BTreeMap::new(),
        }
    }

    /// As it is kept: files once, and within its bound.
    pub(crate) fn write(mut self) -> Result<Vec<u8>, serde_json::Error> {
        for call in &mut self.calls {
            self.contents.append(&mut call.recording.contents);
        }
        let written = serde_json::to_vec(&self)?;
        if written.len() <= MAX_DOCUMENT {
            return Ok(written);
        }
        self.contents.clear();
        let too_much = format!("the calls of this attempt have more than {} MiB", MAX_DOCUMENT >> 20);
        for call in &mut self.calls {
            call.recording.leave_out(too_much.clone());
        }
        (self.brief, self.gate) = (None, self.gate.map(|_| Gate::left_out(too_much)));
        serde_json::to_vec(&self)
    }

    /// As it was before it was written.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, BadCalls> {
        let mut read: Self = serde_json::from_slice(bytes)?;
        if read.format != FORMAT {
            return Err(BadCalls::Format(read.format.chars().take(80).collect()));
        }
        for call in &mut read.calls {
            let named = call.recording.mounts.iter().flat_map(|mount| mount.files.values());
            let found: BTreeMap<Digest, Data> =
                named.filter_map(|digest| Some((*digest, read.contents.get(digest)?.clone()))).collect();
            call.recording.contents = found;
        }
        Ok(read)
    }
}

impl Call {
    /// One that has ended. What of a deadline is below a millisecond no guest is told.
    pub(crate) fn new<T: Serialize>(
        (plugin, digest, limits): (PluginId, Digest, &Limits),
        deadline: Duration,
        asked: Asked,
        recording: Recording,
        outcome: &Outcome<T>,
    ) -> Self {
        let number = |field: &LimitField| Some((field.as_str().to_owned(), limits.get(*field)?));
        Self {
            plugin,
            digest,
            limits: LimitField::ALL.iter().filter_map(number).collect(),
            deadline_ms: u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX),
            asked,
            recording,
            redacted: false,
            end: ended(outcome),
        }
    }

    /// The limits as an operator would write them.
    pub(crate) fn given(&self) -> LimitsOverride {
        let mut limits = LimitsOverride::default();
        for field in LimitField::ALL {
            if let Some(number) = self.limits.get(field.as_str()) {
                limits.set(*field, *number);
            }
        }
        limits
    }

    /// Whether it had no end but that of its time.
    pub(crate) fn timed_out(&self) -> bool {
        let outcome = self.end.get("outcome").and_then(Value::as_str);
        outcome.is_some_and(|word| ["deadline", "cancelled"].contains(&word))
    }
}

/// How a call ended, as it is compared.
pub(crate) fn ended<T: Serialize>(outcome: &Outcome<T>) -> Value {
    let said = match outcome {
        Outcome::Reply(reply) => serde_json::to_value(reply).unwrap_or_default(),
        Outcome::Refused(error) => json!({
            "kind": error.kind.as_str(),
            "message": error.message,
            "retry_after_ms": error.retry_after.map(|span| u64::try_from(span.as_millis()).unwrap_or(u64::MAX)),
            "extensions": error.extensions,
        }),
        // How long it had, and what the machine ran out of, is the moment's.
        Outcome::Failed(PluginFailure::Deadline(_) | PluginFailure::Cancelled | PluginFailure::Busy) => {
            Value::Null
        }
        Outcome::Failed(failure) => json!(failure.to_string()),
    };
    json!({ "outcome": outcome.as_str(), "said": said })
}
