//! The document: some calls of one incident, and what is shared between them. One document is one file beside the ledger, named by
//! its digest; it names no other.

use std::collections::BTreeMap;
use std::time::Duration;

use razar_core::fact::Phase;
use razar_core::grant::{LimitField, Limits, LimitsOverride};
use razar_core::id::{ComponentId, Digest, IncidentId, PluginId};
use razar_core::patch::{Evidence, Verdict};
use razar_ledger::recordings::MAX_RECORDING;
use razar_runtime::contract::agent::{Brief, Turn};
use razar_runtime::contract::evaluator;
use razar_runtime::outcome::{Outcome, PluginFailure};
use razar_runtime::tape::recording::{Data, Recording};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::gate::Gate;

/// How it begins to call itself; another one is of another release.
const FORMAT: &str = "razar-host calls v2";

/// Bytes of one document: what is more is left out, call by call.
pub(crate) const MAX_DOCUMENT: usize = MAX_RECORDING;

/// Calls of one document: a conversation has a dozen turns, a trial four looks for each evaluator.
pub(crate) const MAX_CALLS: usize = 100;

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

/// Of a document of another shape, only what it calls itself.
#[derive(Deserialize)]
struct Named {
    format: String,
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
    #[error("it calls itself `{}`, and this release reads `{FORMAT}`: play it with the release that wrote it", .0.escape_debug())]
    Format(String),
    /// It is larger than any.
    #[error("it is larger than any recording, which has at most {} MiB", MAX_DOCUMENT >> 20)]
    TooLarge,
    /// It has more calls than any.
    #[error("it has {0} calls, and a recording has at most {MAX_CALLS}")]
    TooMany(usize),
    /// One of its calls has more in it than any.
    #[error("call {0} of it is more than is ever recorded: {1}")]
    TooMuch(usize, String),
    /// So has what the gate was asked.
    #[error("what the gate was asked is more than is ever recorded: {0}")]
    Gate(String),
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
        let too_much = if self.calls.len() > MAX_CALLS {
            format!("this attempt has more than {MAX_CALLS} calls")
        } else {
            let written = serde_json::to_vec(&self)?;
            if written.len() <= MAX_DOCUMENT {
                return Ok(written);
            }
            format!("the calls of this attempt have more than {} MiB", MAX_DOCUMENT >> 20)
        };
        self.contents.clear();
        self.calls.truncate(MAX_CALLS);
        for call in &mut self.calls {
            call.recording.leave_out(too_much.clone());
        }
        (self.brief, self.gate) = (None, self.gate.map(|_| Gate::left_out(too_much)));
        serde_json::to_vec(&self)
    }

    /// As it was before it was written. It may be a stranger's: it is no more than one of ours could be, and the bytes of a file
    /// are there once, whoever names them.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, BadCalls> {
        if bytes.len() > MAX_DOCUMENT {
            return Err(BadCalls::TooLarge);
        }
        let other = |format: &str| BadCalls::Format(format.chars().take(80).collect());
        let mut read: Self =
            serde_json::from_slice(bytes).map_err(|error| match serde_json::from_slice::<Named>(bytes) {
                Ok(Named { format }) if format != FORMAT => other(&format),
                _ => error.into(),
            })?;
        if read.format != FORMAT {
            return Err(other(&read.format));
        }
        if read.calls.len() > MAX_CALLS {
            return Err(BadCalls::TooMany(read.calls.len()));
        }
        if let Some(gate) = &read.gate {
            gate.check(&read.contents).map_err(BadCalls::Gate)?;
        }
        for (index, call) in read.calls.iter_mut().enumerate() {
            let named = call.recording.mounts.iter().flat_map(|mount| mount.files.values());
            let found: BTreeMap<Digest, Data> =
                named.filter_map(|digest| Some((*digest, read.contents.get(digest)?.clone()))).collect();
            call.recording.contents = found;
            call.recording.check().map_err(|why| BadCalls::TooMuch(index + 1, why))?;
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
        is_of_time(&self.end)
    }
}

/// Whether such an end is that of a call's time, and not the guest's.
pub(crate) fn is_of_time(end: &Value) -> bool {
    let outcome = end.get("outcome").and_then(Value::as_str);
    outcome.is_some_and(|word| ["deadline", "cancelled"].contains(&word))
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

#[cfg(test)]
mod tests {
    use razar_core::grant::Role;
    use razar_runtime::tape::recording::Mount;

    use super::*;

    fn call(files: usize, data: &Data) -> Call {
        let asked = Asked::Probe { address: None, phase: Phase::Liveness, settings: String::new() };
        let whose = ("probe-a".parse().unwrap(), Digest::of(b""), &Limits::defaults(Role::Probe));
        let digest = Digest::of(&data.0);
        let mount = Mount {
            at: "/tree".to_owned(),
            writes: false,
            dirs: Vec::new(),
            files: (0..files).map(|number| (number.to_string(), digest)).collect(),
            links: BTreeMap::new(),
        };
        let recording = Recording {
            mounts: vec![mount],
            contents: [(digest, data.clone())].into(),
            ..Recording::default()
        };
        let failed = Outcome::<()>::Failed(PluginFailure::Busy);
        Call::new(whose, Duration::ZERO, asked, recording, &failed)
    }

    fn document(calls: Vec<Call>) -> Calls {
        Calls { calls, ..Calls::new("web".parse().unwrap(), IncidentId(1), None) }
    }

    #[test]
    fn a_document_comes_back_and_its_bytes_are_there_once() {
        let data = Data(vec![b'x'; 1 << 20].into());
        let before = document(vec![call(2, &data), call(1, &data)]);
        let written = before.clone().write().unwrap();
        assert!(written.len() < 2 << 20, "written once");
        let read = Calls::read(&written).unwrap();
        assert_eq!(read.calls, before.calls);
        let places = read.calls.iter().flat_map(|call| call.recording.contents.values());
        let places: std::collections::BTreeSet<_> = places.map(|data| data.0.as_ptr()).collect();
        assert_eq!(places.len(), 1, "and read once");
    }

    #[test]
    fn more_calls_than_any_document_has_are_neither_written_nor_read() {
        let data = Data::default();
        let many = document(vec![call(0, &data); MAX_CALLS + 1]);
        let written = Calls::read(&many.clone().write().unwrap()).unwrap();
        assert_eq!(written.calls.len(), MAX_CALLS);
        assert!(written.calls.iter().all(|call| call.recording.left_out[0].contains("more than 100 calls")));
        let refused = Calls::read(&serde_json::to_vec(&many).unwrap()).unwrap_err();
        assert!(matches!(refused, BadCalls::TooMany(101)), "{refused}");
    }

    #[test]
    fn a_document_of_another_release_is_refused_by_the_name_of_its_version() {
        let text = String::from_utf8(document(Vec::new()).write().unwrap()).unwrap();
        let older = text.replacen(FORMAT, "razar-host calls v1", 1);
        for text in [older.clone(), older.replacen("\"calls\":[", "\"asked\":[", 1)] {
            let refused = Calls::read(text.as_bytes()).unwrap_err();
            assert!(matches!(&refused, BadCalls::Format(name) if name == "razar-host calls v1"), "{refused}");
            assert!(refused.to_string().contains("the release that wrote it"), "{refused}");
        }
    }

    #[test]
    fn a_strangers_document_is_no_more_than_one_of_ours_could_be() {
        let data = Data(vec![b'x'; 1 << 20].into());
        for (files, why) in [(17, "16 MiB"), (5_000, "4000 files")] {
            let written = document(vec![call(1, &data), call(files, &data)]).write().unwrap();
            let refused = Calls::read(&written).unwrap_err().to_string();
            assert!(refused.contains("call 2 of it") && refused.contains(why), "{refused}");
        }
        let padded = [b" ".repeat(MAX_DOCUMENT), document(Vec::new()).write().unwrap()].concat();
        assert!(matches!(Calls::read(&padded), Err(BadCalls::TooLarge)));
        assert!(matches!(Calls::read(b"{}"), Err(BadCalls::Shape(_))));
    }
}
