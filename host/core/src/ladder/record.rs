//! What facts say about one agent over all incidents and components, and how long it is left alone because of that. The facts are
//! counts and moments; limits are given by whoever asks.

use std::collections::BTreeMap;

use super::Score;
use crate::fact::Skip;
use crate::failure::FailureClass;
use crate::incident::{End, Trouble};
use crate::plan::Rung;
use crate::time::{Millis, Timestamp};

/// So many troubles in a row open the breaker.
const BREAKER: u32 = 3;
/// A quota is not asked for again before that, unless the vendor says when.
const QUOTA: Millis = Millis::seconds(3_600);
/// Where doubling ends.
const LONGEST: Millis = Millis::seconds(3_600);

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Record {
    /// How often it was asked.
    pub(crate) asked: u64,
    /// Its newest trouble, if nothing better came after it.
    pub(crate) last: Option<Last>,
    /// Troubles since it last answered.
    pub(crate) row: u32,
    /// When it last answered.
    pub(crate) answered: Option<Timestamp>,
    /// How it has done, by class of failure.
    pub(crate) scores: BTreeMap<FailureClass, Score>,
}

/// One trouble.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Last {
    /// What kind.
    pub(crate) trouble: Trouble,
    /// When.
    pub(crate) at: Timestamp,
    /// When a repeat may succeed, as the vendor says.
    pub(crate) retry_after: Option<Millis>,
}

/// Whether an agent is left alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cooling {
    /// It is not.
    Not,
    /// Until then.
    Until {
        /// When.
        until: Timestamp,
        /// What kind of reason.
        reason: Skip,
        /// In words.
        why: String,
    },
    /// As long as this host runs: what is wrong does not change by itself.
    ForGood {
        /// In words.
        why: String,
    },
}

impl Record {
    /// It was asked, and that has ended.
    pub(crate) fn take(&mut self, at: Timestamp, end: &End) {
        let retry_after = match end {
            End::Unavailable { retry_after, .. } => *retry_after,
            _ => None,
        };
        match end.trouble() {
            None => {
                self.row = 0;
                self.last = None;
                self.answered = Some(at);
            }
            // Nobody knows what it was, or it was the host's own doing.
            Some(Trouble::Unknown | Trouble::Cancelled | Trouble::NotLoaded) => {}
            Some(trouble) => {
                self.row = self.row.saturating_add(1);
                self.last = Some(Last { trouble, at, retry_after });
            }
        }
    }

    /// How long it is left alone. `started` is when this host began.
    pub(crate) fn cooling(&self, rung: &Rung, started: Timestamp, now: Timestamp) -> Cooling {
        let Some(Last { trouble, at, retry_after }) = self.last else { return Cooling::Not };
        let base = rung.cooldown;
        let (span, reason) = match trouble {
            // The file may say something else the next time; asking often would find that out no better.
            Trouble::NoCredential if rung.rereads && at >= started => {
                (doubled(base, self.row.saturating_sub(1)), Skip::NoCredential)
            }
            Trouble::NoCredential | Trouble::NoModel if at >= started => {
                let what =
                    if trouble == Trouble::NoModel { "has no such model" } else { "has no valid credential" };
                return Cooling::ForGood {
                    why: format!("it {what}; not asked again before the host is restarted"),
                };
            }
            Trouble::NoCredential | Trouble::NoModel | Trouble::Denied => return Cooling::Not,
            Trouble::Quota => (retry_after.unwrap_or(QUOTA), Skip::Quota),
            Trouble::RateLimited | Trouble::Overloaded => {
                let wait = doubled(base, self.row.saturating_sub(1));
                (retry_after.map_or(wait, |said| said.min(LONGEST)), Skip::CoolingDown)
            }
            Trouble::Unreachable | Trouble::Busy => {
                (doubled(base, self.row.saturating_sub(1)), Skip::CoolingDown)
            }
            _ if self.row >= BREAKER => (doubled(base, self.row - BREAKER), Skip::CoolingDown),
            _ => return Cooling::Not,
        };
        let until = at + span;
        // Nobody waits for a clock that was set back to come round again.
        if now < at || now >= until {
            return Cooling::Not;
        }
        let times = if self.row == 1 { String::new() } else { format!(", {} times in a row", self.row) };
        Cooling::Until { until, reason, why: format!("{}{times}", trouble.as_str()) }
    }
}

fn doubled(base: Millis, times: u32) -> Millis {
    Millis(base.0.saturating_mul(1 << times.min(16)).min(LONGEST.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: Millis = Millis(1_000);

    fn unavailable(trouble: Trouble, retry_after: Option<u64>) -> End {
        End::Unavailable { why: String::new(), trouble, retry_after: retry_after.map(Millis) }
    }

    fn rung() -> Rung {
        Rung { cooldown: BASE, ..Rung::plain("agent-a".parse().unwrap(), 1) }
    }

    fn until(record: &Record, now: u64) -> Option<u64> {
        match record.cooling(&rung(), Timestamp(0), Timestamp(now)) {
            Cooling::Not => None,
            Cooling::Until { until, .. } => Some(until.0),
            Cooling::ForGood { .. } => Some(u64::MAX),
        }
    }

    #[test]
    fn what_the_vendor_says_is_kept_to() {
        for (end, expected) in [
            (unavailable(Trouble::Quota, None), Some(3_600_010)),
            (unavailable(Trouble::Quota, Some(5_000)), Some(5_010)),
            (unavailable(Trouble::RateLimited, Some(2_000)), Some(2_010)),
            (unavailable(Trouble::Overloaded, None), Some(1_010)),
            (unavailable(Trouble::Unreachable, None), Some(1_010)),
            (unavailable(Trouble::NoModel, None), Some(u64::MAX)),
            (unavailable(Trouble::NoCredential, None), Some(u64::MAX)),
            (unavailable(Trouble::Denied, None), None),
            (unavailable(Trouble::Unknown, None), None),
            (End::failed(Trouble::Nonsense, ""), None),
        ] {
            let mut record = Record::default();
            record.take(Timestamp(10), &end);
            assert_eq!(until(&record, 20), expected, "{end:?}");
        }
    }

    #[test]
    fn trouble_in_a_row_opens_the_breaker_and_an_answer_closes_it() {
        let mut record = Record::default();
        for (at, expected) in [(0, None), (1, None), (2, Some(1_002)), (3, Some(2_003)), (4, Some(4_004))] {
            record.take(Timestamp(at), &End::failed(Trouble::Nonsense, ""));
            assert_eq!(until(&record, at), expected);
        }
        assert_eq!(until(&record, 4_004), None, "it is over");
        assert_eq!(until(&record, 3), None, "the clock was set back");
        record.take(Timestamp(9), &End::Declined { why: String::new() });
        assert_eq!((until(&record, 9), record.row), (None, 0));
    }

    #[test]
    fn what_only_a_restart_changes_lasts_until_then() {
        let mut record = Record::default();
        record.take(Timestamp(10), &unavailable(Trouble::NoModel, None));
        let cooling = |started| record.cooling(&rung(), Timestamp(started), Timestamp(50));
        assert!(matches!(cooling(5), Cooling::ForGood { .. }));
        assert_eq!(cooling(11), Cooling::Not);
    }

    #[test]
    fn a_credential_that_is_read_again_is_asked_for_again() {
        let mut record = Record::default();
        let rereads = Rung { rereads: true, ..rung() };
        let cooling =
            |record: &Record, started, now| record.cooling(&rereads, Timestamp(started), Timestamp(now));
        for (at, until) in [(10, 1_010), (2_000, 4_000)] {
            record.take(Timestamp(at), &unavailable(Trouble::NoCredential, None));
            let found = cooling(&record, 5, at);
            let Cooling::Until { until: found, reason: Skip::NoCredential, .. } = found else {
                panic!("{found:?}");
            };
            assert_eq!(found, Timestamp(until));
        }
        assert_eq!(cooling(&record, 5, 4_000), Cooling::Not);
        assert_eq!(cooling(&record, 2_001, 2_001), Cooling::Not, "a new host asks at once");
        record.take(Timestamp(4_001), &unavailable(Trouble::NoModel, None));
        assert!(matches!(cooling(&record, 5, 9_000), Cooling::ForGood { .. }), "that is in no file");
    }
}
