//! How much one plugin may say in a minute, over all its calls.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::LogRecord;

/// How long an empty bucket takes to fill.
const PERIOD: Duration = Duration::from_secs(60);

/// A token bucket of bytes: one per plugin, shared by its calls. Time is an argument.
#[derive(Debug)]
pub struct LogRate {
    per_minute: u64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    left: u64,
    filled: Instant,
}

impl LogRate {
    /// A full bucket.
    pub const fn new(per_minute: u64, now: Instant) -> Self {
        Self { per_minute, state: Mutex::new(State { left: per_minute, filled: now }) }
    }

    /// The part of a record that may be kept; the rest is added to its `dropped`.
    pub fn admit(&self, now: Instant, mut record: LogRecord) -> LogRecord {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let elapsed = now.saturating_duration_since(state.filled);
        let gained = u128::from(self.per_minute) * elapsed.as_millis() / PERIOD.as_millis();
        if gained > 0 {
            state.left =
                u64::try_from(gained).unwrap_or(u64::MAX).saturating_add(state.left).min(self.per_minute);
            state.filled = now;
        }
        let mut dropped = 0_u64;
        record.lines.retain(|line| {
            let cost = line.text.len() as u64 + 1;
            let fits = cost <= state.left;
            if fits {
                state.left -= cost;
            } else {
                dropped = dropped.saturating_add(cost);
                state.left = 0;
            }
            fits
        });
        record.dropped = record.dropped.saturating_add(dropped);
        record
    }
}

#[cfg(test)]
mod tests {
    use super::super::{LogLine, LogStream};
    use super::*;

    fn record(lines: usize) -> LogRecord {
        let line = LogLine { stream: LogStream::Stdout, text: "x".repeat(99) };
        LogRecord { lines: vec![line; lines], dropped: 0 }
    }

    #[test]
    fn a_plugin_may_say_so_much_a_minute_and_no_more() {
        let start = Instant::now();
        let rate = LogRate::new(1000, start);
        for (millis, said, kept) in [(0, 4, 4), (0, 10, 6), (1, 1, 0), (30_000, 10, 5), (600_000, 20, 10)] {
            let record = rate.admit(start + Duration::from_millis(millis), record(said));
            assert_eq!(record.lines.len(), kept, "at {millis} ms");
            assert_eq!(record.dropped, 100 * (said - kept) as u64);
        }
    }
}
