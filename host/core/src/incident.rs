//! One failure that agents are asked about, from the last local restart to a fix that held, or to nobody being left to ask.
//!
//! ```text
//!            ┌────────────── not taken, interrupted ─────────────┐
//!            ▼                                                   │
//! opened ─► Open ──asked──► Asking ──passed the trial──► Approved ─► Applying ─► Canary ──held──► closed: repaired
//!            │                                                          │          │ failed
//!            │ nobody is left                                           │          ▼
//!            └──► closed: exhausted            not changed: back to Open       Failed ─► Reverting ─► Open
//! ```
//!
//! In a tournament several are asked side by side. Whoever is heard last ends the round: the smallest changes that passed are taken, and
//! the others are kept for the case that they do not hold.
//!
//! It is part of the fold over facts and must never read a clock, the plan or anything volatile.

mod trouble;

use serde::{Deserialize, Serialize};

use crate::effect::Attempt;
use crate::failure::Failure;
use crate::id::{Digest, EffectId, IncidentId, PluginId};
use crate::patch::Verdict;
use crate::supervisor::BackOff;
use crate::time::{Millis, Timestamp};

pub use crate::ladder::Score;
pub use trouble::{Spent, Trouble};

/// Attempts that are remembered of one incident with their words, the newest.
const TOLD: usize = 20;

/// Who proposes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Who {
    /// An agent.
    Agent(PluginId),
    /// An operator, with this diff.
    Operator(Digest),
    /// The host, which remembers that these changes have repaired such a failure before.
    Memory(Digest),
    /// The host, which has kept this version of the files from a time when the component was well.
    Version(Digest),
    /// The host, with changes that passed their trial in this incident, and were not taken because smaller ones were.
    RunnerUp(Digest),
}

impl Who {
    /// With the name by which the roster knows him, if that is another one.
    pub fn named(&self, name: Option<&str>) -> String {
        name.map_or_else(|| self.to_string(), |name| format!("{self} ({name})"))
    }
}

impl std::fmt::Display for Who {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Agent(agent) => agent.fmt(f),
            Self::Operator(_) => f.write_str("operator"),
            Self::Memory(_) => f.write_str("memory"),
            Self::Version(_) => f.write_str("lastgood"),
            Self::RunnerUp(_) => f.write_str("runner-up"),
        }
    }
}

/// How one attempt ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "end")]
pub enum End {
    /// Whoever was asked cannot be asked: not reachable, not loaded, no credential. It is no attempt at a repair.
    Unavailable {
        /// In words.
        why: String,
        /// What kind of trouble it was.
        #[serde(default, skip_serializing_if = "Trouble::is_unknown")]
        trouble: Trouble,
        /// When a repeat may succeed, counted from the end, if the vendor says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after: Option<Millis>,
    },
    /// The question went wrong: an error, a time limit, an answer that is none.
    Failed {
        /// In words.
        why: String,
        /// What kind of trouble it was.
        #[serde(default, skip_serializing_if = "Trouble::is_unknown")]
        trouble: Trouble,
    },
    /// It says that it has no remedy.
    Declined {
        /// In its words.
        why: String,
    },
    /// The gate does not take what it proposed.
    Refused {
        /// The refusal's stable code.
        code: String,
        /// File, line and words.
        why: String,
    },
    /// It was tried.
    Tried {
        /// The outcome.
        verdict: Verdict,
        /// In words.
        why: String,
        /// What names the changes, which are kept.
        manifest: Digest,
        /// Lines that are new, and lines that go; nothing in facts of earlier versions.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lines: Option<u64>,
    },
}

impl End {
    /// The question went wrong for this reason.
    pub fn failed(trouble: Trouble, why: impl Into<String>) -> Self {
        Self::Failed { why: why.into(), trouble }
    }

    /// What kind of trouble it was to ask, if it was any.
    pub const fn trouble(&self) -> Option<Trouble> {
        match self {
            Self::Unavailable { trouble, .. } | Self::Failed { trouble, .. } => Some(*trouble),
            Self::Declined { .. } | Self::Refused { .. } | Self::Tried { .. } => None,
        }
    }

    /// One word for it.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Unavailable { .. } => "unavailable",
            Self::Failed { .. } => "error",
            Self::Declined { .. } => "declined",
            Self::Refused { .. } => "refused",
            Self::Tried { verdict, .. } => verdict.as_str(),
        }
    }

    /// Why, in words.
    pub fn why(&self) -> &str {
        match self {
            Self::Unavailable { why, .. }
            | Self::Failed { why, .. }
            | Self::Declined { why }
            | Self::Refused { why, .. }
            | Self::Tried { why, .. } => why,
        }
    }

    /// The changes, if there were any to try.
    pub const fn manifest(&self) -> Option<Digest> {
        match self {
            Self::Tried { manifest, .. } => Some(*manifest),
            _ => None,
        }
    }

    /// The changes, if they may be made.
    pub const fn approved(&self) -> Option<Digest> {
        match self {
            Self::Tried { verdict: Verdict::Fixed, manifest, .. } => Some(*manifest),
            _ => None,
        }
    }
}

/// One attempt that is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asking {
    /// Its effect.
    pub effect: EffectId,
    /// Counts from 1.
    pub number: u32,
    /// Who is asked.
    pub who: Who,
    /// The agent's name as the roster spells it, if that is another one.
    pub name: Option<String>,
}

/// Changes that passed their trial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// In which attempt.
    pub number: u32,
    /// Who proposed.
    pub who: Who,
    /// What names the changes.
    pub manifest: Digest,
    /// Lines that are new, and lines that go.
    pub lines: u64,
}

impl Candidate {
    /// The smaller one comes first, then whoever stands lower on the ladder: it was given the lower number.
    const fn rank(&self) -> (u64, u32) {
        (self.lines, self.number)
    }
}

/// One attempt that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempted {
    /// Counts from 1.
    pub number: u32,
    /// Who proposed.
    pub who: Who,
    /// The agent's name as the roster spells it, if that is another one.
    pub name: Option<String>,
    /// When it ended.
    pub at: Timestamp,
    /// How it ended; none if it never did, because the host was killed.
    pub end: Option<End>,
    /// What became of its patch after the trial, if that was not the last word: it was not taken, was not applied, or did not hold.
    pub later: Option<String>,
}

/// What an incident is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To have a failure repaired; the component is down meanwhile.
    Repair,
    /// To try an operator's diff; the component's own life goes on until it is applied.
    Patch(Digest),
    /// To take a patch back because an operator says so.
    Rollback,
}

/// How far an incident is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Somebody is to be asked, or nobody is left.
    Open,
    /// Somebody is being asked, or what was proposed is being tried.
    Asking,
    /// These changes may be made, once nothing of the component runs.
    Approved(Digest),
    /// They are being made.
    Applying(EffectId, Digest),
    /// A crash came while they were being made: some may be.
    Interrupted(Digest),
    /// They are made, and watched.
    Canary(Digest),
    /// They are to be taken back, once nothing of the component runs.
    Failed(Digest),
    /// They are being taken back.
    Reverting(EffectId, Digest),
}

impl Stage {
    /// Files are not what they were, or are about to be something else: it goes on whatever is stopped meanwhile.
    pub const fn holds_patch(self) -> bool {
        matches!(
            self,
            Self::Applying(..)
                | Self::Interrupted(_)
                | Self::Canary(_)
                | Self::Failed(_)
                | Self::Reverting(..)
        )
    }

    /// One word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Asking => "asking",
            Self::Approved(_) => "approved",
            Self::Applying(..) => "applying",
            Self::Interrupted(_) => "interrupted",
            Self::Canary(_) => "canary",
            Self::Failed(_) => "failed",
            Self::Reverting(..) => "reverting",
        }
    }
}

/// What facts say about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incident {
    /// Its number.
    pub id: IncidentId,
    /// When it was opened.
    pub since: Timestamp,
    /// The failure it is about.
    pub failure: Failure,
    /// What it is for.
    pub purpose: Purpose,
    /// How far it is.
    pub stage: Stage,
    /// Attempts that were begun.
    pub begun: u32,
    /// The newest ones that are over, oldest first.
    pub over: Vec<Attempted>,
    /// Who is being asked, or was last; or whose changes were taken.
    pub asked: Option<Who>,
    /// Attempts that are under way, by number.
    pub asking: Vec<Asking>,
    /// What has passed its trial while others are still being heard.
    pub candidates: Vec<Candidate>,
    /// What has passed its trial and was not taken.
    pub spare: Vec<Candidate>,
    /// How often each was asked, whether it can be asked at all, and what it took.
    pub tally: Vec<Tally>,
    /// Versions of the files from times when the component was well, the newest last, as they were known when it was opened.
    pub versions: Vec<(Timestamp, Digest)>,
    /// How agents had done about failures of this class when it was opened.
    pub scores: Vec<(PluginId, Score)>,
    /// Attempts of this round that did not help: neither who could not be asked nor who was interrupted counts.
    pub failed: u32,
    /// How often it went on with a higher agent.
    pub escalations: u32,
    /// The highest agent of the ladder it has gone on to.
    pub highest: Option<PluginId>,
    /// An operator was warned of that.
    pub warned: bool,
    /// Rounds through the ladder, this one included.
    pub round: u32,
    /// When this round begins, unless it is the first.
    pub again: Option<BackOff>,
    /// Who was passed over in this round.
    pub skipped: Vec<PluginId>,
    /// Who is asked next, because an operator says so.
    pub wanted: Option<PluginId>,
    /// Nobody below this one is asked any more, because an operator says so.
    pub floor: Option<PluginId>,
}

/// How often somebody was asked in one incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// Who.
    pub who: Who,
    /// So often in this round.
    pub times: u32,
    /// It cannot be asked in this round.
    pub unavailable: bool,
    /// Tokens read, over all rounds.
    pub input_tokens: u64,
    /// Tokens written.
    pub output_tokens: u64,
    /// Time in its calls.
    pub took: Millis,
}

impl Tally {
    /// Tokens read and written.
    pub const fn tokens(&self) -> u64 {
        self.input_tokens.saturating_add(self.output_tokens)
    }
}

impl Incident {
    pub(crate) const fn new(id: IncidentId, since: Timestamp, failure: Failure, purpose: Purpose) -> Self {
        Self {
            id,
            since,
            failure,
            purpose,
            stage: Stage::Open,
            begun: 0,
            over: Vec::new(),
            asked: None,
            asking: Vec::new(),
            candidates: Vec::new(),
            spare: Vec::new(),
            tally: Vec::new(),
            versions: Vec::new(),
            scores: Vec::new(),
            failed: 0,
            escalations: 0,
            highest: None,
            warned: false,
            round: 1,
            again: None,
            skipped: Vec::new(),
            wanted: None,
            floor: None,
        }
    }

    /// The component is not launched meanwhile.
    pub const fn keeps_down(&self) -> bool {
        match self.stage {
            Stage::Open | Stage::Asking => matches!(self.purpose, Purpose::Repair),
            Stage::Canary(_) => false,
            Stage::Approved(_)
            | Stage::Applying(..)
            | Stage::Interrupted(_)
            | Stage::Failed(_)
            | Stage::Reverting(..) => true,
        }
    }

    /// How often somebody was asked.
    pub fn tally(&self, who: &Who) -> Option<&Tally> {
        self.tally.iter().find(|tally| tally.who == *who)
    }

    /// The agent that proposed these changes, if one did and they passed their trial here.
    pub(crate) fn maker(&self, manifest: Digest) -> Option<&PluginId> {
        self.over.iter().find_map(|attempt| match &attempt.who {
            Who::Agent(agent) if attempt.end.as_ref().and_then(End::approved) == Some(manifest) => {
                Some(agent)
            }
            _ => None,
        })
    }

    /// How far it is, in words.
    pub fn words(&self) -> String {
        let id = self.id;
        let who = self.asked.as_ref().map_or_else(|| "nobody".to_owned(), ToString::to_string);
        match self.stage {
            Stage::Open => format!("incident {id}: the next attempt is being prepared"),
            Stage::Asking => match &self.asking[..] {
                [first, .., last] => {
                    let (first, last) = (first.number, last.number);
                    format!("incident {id}: attempts {first} to {last} are under way side by side")
                }
                [only] => {
                    let who = only.who.named(only.name.as_deref());
                    format!("incident {id}: attempt {}, by {who}, is under way", only.number)
                }
                [] => format!("incident {id}: attempt {} is over", self.begun),
            },
            Stage::Approved(_) | Stage::Applying(..) | Stage::Interrupted(_) => {
                format!("incident {id}: the patch of {who} is being applied")
            }
            Stage::Canary(_) => format!("incident {id}: patched by {who}, watched until the patch has held"),
            Stage::Failed(_) | Stage::Reverting(..) => {
                format!("incident {id}: the patch is being taken back")
            }
        }
    }

    pub(crate) fn begin(&mut self, effect: EffectId, attempt: &Attempt) {
        let Attempt { number, who, name, .. } = attempt;
        self.stage = Stage::Asking;
        self.begun = *number;
        self.asked = Some(who.clone());
        self.again = None;
        self.asking.push(Asking { effect, number: *number, who: who.clone(), name: name.clone() });
        match who {
            Who::Agent(agent) if self.wanted.as_ref() == Some(agent) => self.wanted = None,
            Who::RunnerUp(manifest) => self.spare.retain(|spare| spare.manifest != *manifest),
            _ => {}
        }
        match self.tally.iter_mut().find(|tally| tally.who == *who) {
            Some(tally) => tally.times = tally.times.saturating_add(1),
            None => self.tally.push(Tally {
                who: who.clone(),
                times: 1,
                unavailable: false,
                input_tokens: 0,
                output_tokens: 0,
                took: Millis(0),
            }),
        }
    }

    /// An attempt is over; no end for one that nobody heard the end of.
    pub(crate) fn end(&mut self, effect: EffectId, at: Timestamp, end: Option<End>, spent: &Spent) {
        let Some(place) = self.asking.iter().position(|asking| asking.effect == effect) else { return };
        let Asking { number, who, name, .. } = self.asking.remove(place);
        if let Some(tally) = self.tally.iter_mut().find(|tally| tally.who == who) {
            tally.unavailable |= end.as_ref().is_some_and(ends_round);
            tally.input_tokens = tally.input_tokens.saturating_add(spent.input_tokens);
            tally.output_tokens = tally.output_tokens.saturating_add(spent.output_tokens);
            tally.took = Millis(tally.took.0.saturating_add(spent.took.0));
        }
        // What the host itself proposes moves nobody up the ladder.
        let helps_not = |end: &End| {
            matches!(who, Who::Agent(_))
                && end.approved().is_none()
                && !matches!(end, End::Unavailable { .. })
        };
        if end.as_ref().is_some_and(helps_not) {
            self.failed = self.failed.saturating_add(1);
        }
        if let Some(End::Tried { lines, manifest, .. }) = end.as_ref().filter(|end| end.approved().is_some())
        {
            let (who, manifest, lines) = (who.clone(), *manifest, lines.unwrap_or(u64::MAX));
            self.candidates.push(Candidate { number, who, manifest, lines });
        }
        if self.over.len() == TOLD {
            self.over.remove(0);
        }
        self.over.push(Attempted { number, who, name, at, end, later: None });
        if self.asking.is_empty() {
            self.stage = self.choose();
        }
    }

    /// Everybody is heard: the smallest changes that passed are taken, whatever the order was in which they were heard of.
    fn choose(&mut self) -> Stage {
        let mut passed = std::mem::take(&mut self.candidates);
        passed.sort_by_key(Candidate::rank);
        let mut passed = passed.into_iter();
        let Some(Candidate { number, who, manifest, .. }) = passed.next() else { return Stage::Open };
        self.asked = Some(who);
        for spare in passed {
            if let Some(told) = self.over.iter_mut().rfind(|attempt| attempt.number == spare.number) {
                told.later = Some(format!("was not taken: what attempt {number} proposes is smaller"));
            }
            // The same changes are not tried twice.
            if spare.manifest != manifest {
                self.spare.push(spare);
            }
        }
        Stage::Approved(manifest)
    }

    /// What is tried before anybody is asked again: the smallest changes that passed their trial and were not taken.
    pub(crate) fn runner_up(&self) -> Option<Who> {
        self.spare.iter().min_by_key(|spare| spare.rank()).map(|spare| Who::RunnerUp(spare.manifest))
    }

    /// What became of a patch after its trial: it was none that helped.
    pub(crate) fn later(&mut self, manifest: Digest, what: &str) {
        self.failed = self.failed.saturating_add(1);
        let passed = |attempt: &&mut Attempted| {
            attempt.later.is_none() && attempt.end.as_ref().and_then(End::approved) == Some(manifest)
        };
        if let Some(attempt) = self.over.iter_mut().rfind(passed) {
            attempt.later = Some(what.to_owned());
        }
    }

    /// It goes on with a higher agent.
    pub(crate) fn escalate(&mut self, to: &PluginId, escalations: u32) {
        self.highest = Some(to.clone());
        self.escalations = escalations;
    }

    /// Everybody has their attempts again, from then on.
    pub(crate) fn begin_round(&mut self, round: u32, begins: BackOff) {
        self.round = round;
        self.again = Some(begins);
        self.failed = 0;
        self.skipped.clear();
        self.highest = None;
        self.wanted = None;
        for tally in &mut self.tally {
            tally.times = 0;
            tally.unavailable = false;
        }
    }

    /// An operator wants this agent to be asked next, and nobody below it.
    pub(crate) fn want(&mut self, agent: &PluginId) {
        self.wanted = Some(agent.clone());
        self.floor = Some(agent.clone());
        self.again = None;
    }
}

/// It cannot be asked again in this round; who may be asked again later is told by its record.
const fn ends_round(end: &End) -> bool {
    matches!(
        end,
        End::Unavailable {
            trouble: Trouble::Unknown | Trouble::NotLoaded | Trouble::Denied | Trouble::Unreachable,
            ..
        }
    )
}
