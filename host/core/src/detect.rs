//! Volatile detectors: they turn a stream of probe answers into the few changes worth a fact. They restart empty,
//! so a healthy answer moves a metric, never the log.

use crate::plan::Schedule;

/// Longest window of a K-of-N detector: the bits of one word.
pub const MAX_WINDOW: u32 = 32;

/// K of the last N answers failed: it is unhealthy; so many successes in a row: it is healthy again.
#[derive(Debug, Clone, Default)]
pub struct Detector {
    /// Newest answer in the lowest bit; 1 is a failure.
    failures: u32,
    answers: u32,
    successes: u32,
    unhealthy: bool,
}

impl Detector {
    /// Takes one answer; says the new health if this answer changed it.
    pub fn observe(&mut self, schedule: &Schedule, healthy: bool) -> Option<bool> {
        self.failures = self.failures << 1 | u32::from(!healthy);
        self.answers = self.answers.saturating_add(1);
        self.successes = if healthy { self.successes.saturating_add(1) } else { 0 };
        let failed = self.failed(schedule);
        if !self.unhealthy && failed >= schedule.failures.max(1) {
            self.unhealthy = true;
            return Some(false);
        }
        if self.unhealthy && self.successes >= schedule.successes.max(1) {
            *self = Self { successes: self.successes, answers: self.answers, ..Self::default() };
            return Some(true);
        }
        None
    }

    /// How many of the last N answers failed.
    pub fn failed(&self, schedule: &Schedule) -> u32 {
        let window = schedule.window.clamp(1, MAX_WINDOW);
        (self.failures & (u32::MAX >> (MAX_WINDOW - window))).count_ones()
    }

    /// K of N failed and it has not recovered since.
    pub const fn is_unhealthy(&self) -> bool {
        self.unhealthy
    }

    /// So many successes in a row right now.
    pub const fn streak(&self) -> u32 {
        self.successes
    }

    /// The whole window failed: damping does not hide that.
    pub const fn is_dark(&self, schedule: &Schedule) -> bool {
        self.failures.trailing_ones() >= schedule.window
    }
}

/// Flap damping as Nagios does it: the number of changes among the last 21 answers.
#[derive(Debug, Clone, Default)]
pub struct Flap {
    /// Newest answer in the lowest bit; 1 is healthy.
    answers: u32,
    seen: u32,
}

/// Answers remembered: twenty possible changes.
const MEMORY: u32 = 21;
/// So many changes among them and it flaps: 30 %, as Nagios has it for hosts.
const BEGINS: u32 = 6;
/// So few and it is steady again: 15 %.
const ENDS: u32 = 3;

impl Flap {
    /// Takes one answer; says whether it flaps if this answer changed that.
    pub fn observe(&mut self, healthy: bool, flapping: bool) -> Option<bool> {
        self.answers = self.answers << 1 | u32::from(healthy);
        self.seen = self.seen.saturating_add(1).min(MEMORY);
        match (flapping, self.changes()) {
            (false, changes) if changes >= BEGINS => Some(true),
            (true, changes) if changes <= ENDS && self.seen == MEMORY => Some(false),
            _ => None,
        }
    }

    /// Changes among the remembered answers.
    pub const fn changes(&self) -> u32 {
        let pairs = self.seen.saturating_sub(1);
        if pairs == 0 {
            return 0;
        }
        ((self.answers ^ (self.answers >> 1)) & (u32::MAX >> (32 - pairs))).count_ones()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(failures: u32, window: u32, successes: u32, answers: &str) -> Vec<(usize, bool)> {
        let schedule = Schedule { failures, window, successes, ..Schedule::default() };
        let mut detector = Detector::default();
        let changes = answers.chars().enumerate();
        changes.filter_map(|(i, c)| detector.observe(&schedule, c == '+').map(|now| (i, now))).collect()
    }

    #[test]
    fn k_of_n() {
        for (failures, window, successes, answers, expected) in [
            (3, 3, 1, "+--+--+", vec![]),
            (3, 3, 1, "+---+", vec![(3, false), (4, true)]),
            (2, 4, 1, "-++-", vec![(3, false)]),
            (2, 4, 2, "-+++-", vec![]),
            (1, 1, 3, "-++-+++", vec![(0, false), (6, true)]),
            (32, 32, 1, &"-".repeat(32), vec![(31, false)]),
        ] {
            assert_eq!(
                run(failures, window, successes, answers),
                expected,
                "{failures}/{window}/{successes} {answers}"
            );
        }
    }

    #[test]
    fn recovery_empties_the_window() {
        assert_eq!(run(3, 5, 1, "---+--+"), vec![(2, false), (3, true)]);
    }

    #[test]
    fn flapping_begins_and_ends() {
        let mut flap = Flap::default();
        let mut flapping = false;
        let mut turns = Vec::new();
        for i in 0..60_u32 {
            let healthy = i >= 20 || i % 2 == 0;
            if let Some(now) = flap.observe(healthy, flapping) {
                flapping = now;
                turns.push((i, now));
            }
        }
        assert_eq!(turns, vec![(6, true), (37, false)]);
    }

    #[test]
    fn a_single_outage_is_not_flapping() {
        let mut flap = Flap::default();
        assert!((0..100).all(|i| flap.observe(!(40..60).contains(&i), false).is_none()));
    }
}
