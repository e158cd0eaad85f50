//! How much of the host's own log one plugin may fill in a minute, over all its calls. What counts is what a line takes
//! there, with the words the host puts around it, so that the promise is one about a disk.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{LogLine, LogRecord};

/// How long an empty bucket takes to fill.
const PERIOD: Duration = Duration::from_secs(60);

/// What the host puts around a line: time, level, the names of plugin and component, which have 64 letters at most, and in
/// JSON the keys of all that.
const AROUND: u64 = 320;

/// A token bucket of bytes: one per plugin, shared by its calls. Time is an argument.
#[derive(Debug)]
pub struct LogRate {
    bucket: u64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    left: u64,
    filled: Instant,
}

impl LogRate {
    /// No minute has more than this, whenever it begins: half of it may come at once, the other half follows evenly.
    pub const fn new(per_minute: u64, now: Instant) -> Self {
        let bucket = per_minute / 2;
        Self { bucket, state: Mutex::new(State { left: bucket, filled: now }) }
    }

    /// The part of a record that may be kept; the rest is added to its `dropped`. That something was dropped takes a line
    /// too, and when there is no room even for that it is not told.
    pub fn admit(&self, now: Instant, mut record: LogRecord) -> LogRecord {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let elapsed = now.saturating_duration_since(state.filled);
        let gained = u128::from(self.bucket) * elapsed.as_millis() / PERIOD.as_millis();
        if gained > 0 {
            state.left =
                u64::try_from(gained).unwrap_or(u64::MAX).saturating_add(state.left).min(self.bucket);
            state.filled = now;
        }
        let mut dropped = 0_u64;
        record.lines.retain(|line| {
            let fits = state.spend(cost(line));
            if !fits {
                dropped = dropped.saturating_add(line.text.len() as u64 + 1);
            }
            fits
        });
        record.dropped = record.dropped.saturating_add(dropped);
        record.hushed = record.dropped > 0 && !state.spend(AROUND);
        record
    }
}

impl State {
    fn spend(&mut self, bytes: u64) -> bool {
        let left = self.left.checked_sub(bytes);
        self.left = left.unwrap_or(self.left);
        left.is_some()
    }
}

/// In JSON a backslash takes two, and escaped text is full of them.
fn cost(line: &LogLine) -> u64 {
    let twice = line.text.bytes().filter(|byte| matches!(byte, b'\\' | b'"')).count();
    (line.text.len() + twice) as u64 + AROUND
}

#[cfg(test)]
mod tests {
    use super::super::{LogLine, LogStream};
    use super::*;

    fn record(lines: usize) -> LogRecord {
        let line = LogLine { stream: LogStream::Stdout, text: "x".repeat(80) };
        LogRecord { lines: vec![line; lines], ..LogRecord::default() }
    }

    #[test]
    fn a_plugin_may_say_so_much_a_minute_and_no_more() {
        let start = Instant::now();
        // A line takes 400.
        let rate = LogRate::new(8_000, start);
        for (millis, said, kept, hushed) in [
            (0, 4, 4, false),
            (0, 10, 6, true),
            (1, 1, 0, true),
            (3_000, 5, 0, true),
            (6_001, 5, 1, true),
            (36_001, 10, 5, true),
            (600_000, 20, 10, true),
            (700_000, 20, 10, true),
        ] {
            let record = rate.admit(start + Duration::from_millis(millis), record(said));
            assert_eq!((record.lines.len(), record.hushed), (kept, hushed), "at {millis} ms");
            assert_eq!(record.dropped, 81 * (said - kept) as u64);
        }
        let record = rate.admit(start + Duration::from_secs(900), LogRecord { dropped: 7, ..record(1) });
        assert_eq!((record.lines.len(), record.dropped, record.hushed), (1, 7, false));
    }

    #[test]
    fn no_minute_has_more_than_a_minutes_worth() {
        let start = Instant::now();
        let rate = LogRate::new(1 << 20, start);
        let mut kept: Vec<(u64, u64)> = Vec::new();
        for second in 0..300 {
            let record = rate.admit(start + Duration::from_secs(second), record(2_000));
            let told = u64::from(!record.hushed && record.dropped > 0) * AROUND;
            kept.push((second, record.lines.iter().map(cost).sum::<u64>() + told));
        }
        for (begin, _) in &kept {
            let minute = kept.iter().filter(|(at, _)| (*begin..*begin + 60).contains(at));
            let sum: u64 = minute.map(|(_, bytes)| bytes).sum();
            assert!(sum <= 1 << 20, "{sum} from {begin} s on");
        }
    }

    #[test]
    fn what_json_doubles_counts_twice() {
        let line = |text: &str| LogLine { stream: LogStream::Stdout, text: text.to_owned() };
        assert_eq!(cost(&line(r"\u{1b}")) - cost(&line("u{1b}")), 2);
        assert_eq!(cost(&line("\"")) - cost(&line("")), 2);
    }
}
