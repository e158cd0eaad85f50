//! What became of patches, in the files operators look for it: `logs/razar_ai_patches.json`, an array of what agents were asked
//! and what was done, and `logs/patch_history.jsonl`, a line for each time that files were changed. Both are functions of the
//! facts and of the patches that the ledger keeps.
//!
//! | event | in `razar_ai_patches.json` | in `patch_history.jsonl` |
//! |---|---|---|
//! | an agent was asked | `suggestion` or `no_suggestion`, and `patch_attempt` | |
//! | a patch was put in place | `applied`, with the diff | `applied` |
//! | it stayed healthy with it | `held` | `held` |
//! | it was taken back | `reverted` | `reverted` |

use std::collections::{BTreeMap, VecDeque};

use razar_core::effect::{Effect, EffectOutcome};
use razar_core::fact::{Closing, Fact, Recorded};
use razar_core::id::{ComponentId, Digest, IncidentId};
use razar_core::incident::{End, Who};
use razar_core::patch::{Patch, Verdict};
use razar_core::time::Timestamp;
use serde_json::{Value, json};

use super::escape;
use super::stack::Stack;
use crate::moment;

/// The array, below the root of the views.
pub(super) const PATCHES: &str = "logs/razar_ai_patches.json";
/// The lines, below the root of the views.
pub(super) const HISTORY: &str = "logs/patch_history.jsonl";

/// Records of the array that are kept: it is written anew with every one.
pub(super) const KEPT: usize = 200;
/// Longest diff in a record; the whole one is in the ledger.
const MAX_DIFF: usize = 8 << 10;
/// Longest reason in a record.
const MAX_REASON: usize = 2 << 10;

/// Something that became of a patch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PatchEvent {
    /// Whose files it is about.
    pub component: ComponentId,
    /// The incident it is about.
    pub incident: IncidentId,
    /// What it was.
    pub what: PatchStep,
}

/// What became of a patch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PatchStep {
    /// Somebody was asked for one, and the answer was judged.
    Attempted {
        /// Who.
        who: Who,
        /// Which attempt of the incident.
        attempt: u32,
        /// What came of it.
        outcome: Attempt,
    },
    /// It was put in place.
    Applied {
        /// Which: the digest of its manifest.
        manifest: Digest,
    },
    /// The component stayed healthy with it.
    Held {
        /// Which: the digest of its manifest.
        manifest: Digest,
    },
    /// It was taken back.
    Reverted {
        /// Which: the digest of its manifest.
        manifest: Digest,
        /// Why, or on whose word.
        reason: String,
    },
}

/// What came of asking an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Attempt {
    /// It proposed nothing.
    Nothing {
        /// Why, in its words or in those of the error.
        reason: String,
    },
    /// The gate or the trial said no.
    Refused {
        /// Why, with the code of the refusal or the verdict.
        reason: String,
        /// What was tried; none when the gate refused it.
        manifest: Option<Digest>,
    },
    /// It passed its trial.
    Accepted {
        /// Which: the digest of its manifest.
        manifest: Digest,
    },
}

/// A record: its keys are sorted.
type Record = BTreeMap<&'static str, Value>;

/// The array of records.
#[derive(Debug, Default)]
pub(super) struct Patches {
    events: VecDeque<(Timestamp, PatchEvent)>,
    /// What is shown of a patch; it never changes.
    shown: BTreeMap<Digest, Shown>,
    revision: u64,
}

#[derive(Debug, Default)]
struct Shown {
    diff: Option<String>,
    files: Vec<String>,
}

impl Patches {
    /// Takes one event in.
    pub(super) fn fold(&mut self, at: Timestamp, event: PatchEvent) {
        self.events.push_back((at, event));
        // One that was asked for makes two records.
        while self.events.iter().map(|(_, event)| event.records()).sum::<usize>() > KEPT {
            self.events.pop_front();
        }
        self.revision += 1;
    }

    /// Another number whenever the file is another; 0 while there is nothing to show.
    pub(super) const fn revision(&self) -> u64 {
        self.revision
    }

    /// The file: old readers know it as a JSON array with sorted keys. A patch that cannot be read any more is shown without
    /// what was in it.
    pub(super) fn render(&mut self, patch: impl Fn(&Digest) -> Option<Patch>) -> String {
        let Self { events, shown, .. } = self;
        let named: Vec<Digest> = events.iter().filter_map(|(_, event)| event.manifest()).collect();
        shown.retain(|digest, _| named.contains(digest));
        for digest in named {
            shown
                .entry(digest)
                .or_insert_with(|| patch(&digest).map(|patch| Shown::of(&patch)).unwrap_or_default());
        }
        let applied = |(_, event): &(Timestamp, PatchEvent)| match event.what {
            PatchStep::Applied { manifest } => Some((event.incident, manifest)),
            _ => None,
        };
        let applied: Vec<(IncidentId, Digest)> = events.iter().filter_map(applied).collect();
        let records = events.iter().flat_map(|(at, event)| {
            let shown = event.manifest().and_then(|digest| shown.get(&digest));
            event.told(*at, shown, event.is_passed_over(&applied))
        });
        escape::json_file(&records.collect::<Vec<Record>>())
    }
}

impl Shown {
    fn of(patch: &Patch) -> Self {
        let files = patch.manifest().files().iter().map(|file| file.path().to_string()).collect();
        Self { diff: Some(patch.diff(MAX_DIFF)), files }
    }
}

/// The line of one fact, if files were changed or kept by it.
pub(super) fn lines(before: &Stack, recorded: &Recorded, out: &mut String) {
    if let Some(event) = PatchEvent::told_by(before, recorded) {
        history(recorded.at, &event, out);
    }
}

/// The line of one event, if files were changed or kept.
pub(super) fn history(at: Timestamp, event: &PatchEvent, out: &mut String) {
    let Some(word) = event.what.deed() else { return };
    let mut record = event.record(at, word);
    if let PatchStep::Reverted { reason, .. } = &event.what {
        record.insert("reason", bounded(reason));
    }
    out.push_str(&escape::json_line(&record));
    out.push('\n');
}

impl PatchEvent {
    /// What a fact tells of a patch, given the stack as it was before.
    pub(super) fn told_by(before: &Stack, recorded: &Recorded) -> Option<Self> {
        match &recorded.fact {
            Fact::IncidentClosed { incident, component, outcome: Closing::Repaired { manifest } } => {
                Some(Self {
                    component: component.clone(),
                    incident: *incident,
                    what: PatchStep::Held { manifest: *manifest },
                })
            }
            Fact::EffectFinished { id, outcome } => {
                let effect = before.effect(*id)?;
                let component = effect.component().clone();
                let what = match (effect, outcome) {
                    (Effect::Attempt(attempt), EffectOutcome::Attempted { end, .. }) => {
                        PatchStep::Attempted {
                            who: attempt.who.clone(),
                            attempt: attempt.number,
                            outcome: Attempt::of(end),
                        }
                    }
                    (Effect::Apply(apply), EffectOutcome::Changed) => {
                        PatchStep::Applied { manifest: apply.manifest }
                    }
                    (Effect::Revert(revert), EffectOutcome::Changed) => PatchStep::Reverted {
                        manifest: revert.manifest,
                        reason: before.doubt(&component).to_owned(),
                    },
                    _ => return None,
                };
                Some(Self { component, incident: effect.incident()?, what })
            }
            _ => None,
        }
    }

    const fn records(&self) -> usize {
        match self.what {
            PatchStep::Attempted { .. } => 2,
            _ => 1,
        }
    }

    const fn manifest(&self) -> Option<Digest> {
        match &self.what {
            PatchStep::Attempted { outcome: Attempt::Nothing { .. }, .. } => None,
            PatchStep::Attempted { outcome: Attempt::Refused { manifest, .. }, .. } => *manifest,
            PatchStep::Attempted { outcome: Attempt::Accepted { manifest }, .. }
            | PatchStep::Applied { manifest }
            | PatchStep::Held { manifest }
            | PatchStep::Reverted { manifest, .. } => Some(*manifest),
        }
    }

    /// What every record has.
    fn record(&self, at: Timestamp, event: &str) -> Record {
        let mut record: Record = [
            ("component", self.component.as_str().into()),
            ("event", event.into()),
            ("incident", self.incident.0.into()),
            ("timestamp", moment::naive(at).into()),
        ]
        .into();
        record.extend(self.manifest().map(|manifest| ("manifest", manifest.to_string().into())));
        record
    }

    /// Its patch passed its trial, and another one of the incident was put in place.
    fn is_passed_over(&self, applied: &[(IncidentId, Digest)]) -> bool {
        let mut here = applied.iter().filter(|(incident, _)| *incident == self.incident).peekable();
        here.peek().is_some() && here.all(|(_, manifest)| Some(*manifest) != self.manifest())
    }

    fn told(&self, at: Timestamp, shown: Option<&Shown>, passed_over: bool) -> Vec<Record> {
        let files = shown.map(|shown| shown.files.as_slice()).unwrap_or_default();
        match &self.what {
            PatchStep::Attempted { who, attempt, outcome } => {
                let agent = who.to_string();
                let (suggested, success) = outcome.said();
                let mut answer = self.record(at, if suggested { "suggestion" } else { "no_suggestion" });
                answer.insert("name", agent.clone().into());
                if suggested {
                    answer.insert("applied", (success && !passed_over).into());
                }
                let mut tried = self.record(at, "patch_attempt");
                tried.insert("agent", agent.into());
                tried.insert("attempt", (*attempt).into());
                tried.insert("module", json!(files.first()));
                tried.insert("success", success.into());
                if let Attempt::Nothing { reason } | Attempt::Refused { reason, .. } = outcome {
                    tried.insert("reason", bounded(reason));
                }
                vec![answer, tried]
            }
            PatchStep::Applied { .. } => {
                let mut record = self.record(at, "applied");
                record.insert("diff", json!(shown.and_then(|shown| shown.diff.as_ref())));
                record.insert("files", json!(files));
                record.insert("tests", "passed".into());
                vec![record]
            }
            PatchStep::Held { .. } => vec![self.record(at, "held")],
            PatchStep::Reverted { reason, .. } => {
                let mut record = self.record(at, "reverted");
                record.insert("reason", bounded(reason));
                vec![record]
            }
        }
    }
}

impl PatchStep {
    /// The word for what was done to files.
    const fn deed(&self) -> Option<&'static str> {
        match self {
            Self::Attempted { .. } => None,
            Self::Applied { .. } => Some("applied"),
            Self::Held { .. } => Some("held"),
            Self::Reverted { .. } => Some("reverted"),
        }
    }
}

impl Attempt {
    fn of(end: &End) -> Self {
        match end {
            End::Unavailable { why, .. } | End::Failed { why, .. } | End::Declined { why } => {
                Self::Nothing { reason: why.clone() }
            }
            End::Refused { code, why } => Self::Refused { reason: format!("{code}: {why}"), manifest: None },
            End::Tried { verdict: Verdict::Fixed, manifest, .. } => Self::Accepted { manifest: *manifest },
            End::Tried { why, manifest, .. } => {
                Self::Refused { reason: format!("{}: {why}", end.as_str()), manifest: Some(*manifest) }
            }
        }
    }

    /// Whether anything was proposed, and whether it was taken.
    const fn said(&self) -> (bool, bool) {
        match self {
            Self::Nothing { .. } => (false, false),
            Self::Refused { .. } => (true, false),
            Self::Accepted { .. } => (true, true),
        }
    }
}

fn bounded(reason: &str) -> Value {
    let end = reason.floor_char_boundary(MAX_REASON);
    let (kept, rest) = reason.split_at(end);
    if rest.is_empty() { kept.into() } else { format!("{kept}…").into() }
}

#[cfg(test)]
mod tests;
