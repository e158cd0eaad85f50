//! Quarantine, one machine for whoever can be taken out: a component that fails for good, a plugin that misbehaves.
//!
//! ```text
//! free ──failed for good──► out ──an operator releases──► on probation ──well for long enough──► free
//!                            ▲                                 │
//!                            └───────────one failure───────────┘
//! ```
//!
//! It is part of the fold over facts and must never read a clock, the plan or anything volatile.

use crate::fact::QuarantineReason;
use crate::failure::Failure;
use crate::time::{Millis, Timestamp};

/// Quarantines are forgiven one by one: who failed for good last month is tried again.
const FORGIVE: Millis = Millis::seconds(24 * 3_600);

/// Somebody released is trusted again after being well for so long.
pub(crate) const PROBATION: Millis = Millis::seconds(60);

/// Why somebody is out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantine {
    /// Why.
    pub reason: QuarantineReason,
    /// The failure it is about.
    pub failure: Failure,
    /// Since when.
    pub since: Timestamp,
    /// Launches made before, or calls that went wrong.
    pub attempts: u32,
}

impl Quarantine {
    /// Why, as an operator is told: his own words, when it was he.
    pub fn words(&self) -> String {
        let error = &self.failure.error;
        match self.reason {
            QuarantineReason::Operator => error.clone(),
            reason => format!("{}: {error}", reason.as_str()),
        }
    }
}

/// Where somebody stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Custody {
    quarantine: Option<Quarantine>,
    probation: bool,
    /// Quarantines for a failure here, over all boots, and when the last was.
    exhausted: (u32, Timestamp),
}

impl Custody {
    /// Why it is out, if it is.
    pub const fn quarantine(&self) -> Option<&Quarantine> {
        self.quarantine.as_ref()
    }

    /// It is out.
    pub const fn is_out(&self) -> bool {
        self.quarantine.is_some()
    }

    /// It was let out and is not yet trusted.
    pub const fn on_probation(&self) -> bool {
        self.probation
    }

    /// Quarantines for a failure here, forgiven ones taken off.
    pub(crate) fn count(&self, now: Timestamp) -> u64 {
        let (count, last) = self.exhausted;
        u64::from(count).saturating_sub(now.since(last).0 / FORGIVE.0)
    }

    /// Why a failure takes it out now: on probation any failure does, else only what ends its last chance.
    pub(crate) const fn after_failure(
        &self,
        last_chance: Option<QuarantineReason>,
    ) -> Option<QuarantineReason> {
        if self.probation { Some(QuarantineReason::Probation) } else { last_chance }
    }

    pub(super) fn take(&mut self, quarantine: Quarantine) {
        if quarantine.reason.is_failure() {
            self.exhausted = (self.exhausted.0.saturating_add(1), quarantine.since);
        }
        self.probation = false;
        self.quarantine = Some(quarantine);
    }

    pub(super) fn release(&mut self) {
        self.quarantine = None;
        self.probation = true;
    }

    pub(super) const fn reinstate(&mut self) {
        self.probation = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::{FailureClass, FailureKind};

    fn quarantine(reason: QuarantineReason, since: u64) -> Quarantine {
        let failure =
            Failure { kind: FailureKind::Exited, class: FailureClass::External, error: String::new() };
        Quarantine { reason, failure, since: Timestamp(since), attempts: 1 }
    }

    #[test]
    fn one_failure_on_probation_is_enough_and_none_is_needed_to_stay_free() {
        use QuarantineReason::{Operator, Probation, RetriesExhausted};
        let mut custody = Custody::default();
        assert_eq!(custody.after_failure(None), None);
        assert_eq!(custody.after_failure(Some(RetriesExhausted)), Some(RetriesExhausted));
        custody.take(quarantine(RetriesExhausted, 5));
        assert!(custody.is_out() && !custody.on_probation());
        custody.release();
        assert!(!custody.is_out() && custody.on_probation());
        assert_eq!(custody.after_failure(None), Some(Probation));
        custody.take(quarantine(Probation, 6));
        custody.release();
        custody.reinstate();
        assert_eq!(custody.after_failure(None), None);
        custody.take(quarantine(Operator, 7));
        assert_eq!(custody.count(Timestamp(7)), 2, "an operator's wish is no failure");
        assert_eq!(custody.count(Timestamp(6 + FORGIVE.0)), 1);
        assert_eq!(custody.count(Timestamp(6 + 3 * FORGIVE.0)), 0);
    }
}
