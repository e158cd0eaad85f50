//! The host's clock: wall time at the start, then monotonic. Nobody who sets the machine's clock can make a timer fire
//! early or a back-off last for years.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use razar_core::time::Timestamp;

/// See the module.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    wall: u64,
    begun: Instant,
}

impl Clock {
    /// Reads the wall clock for the only time.
    pub(crate) fn start() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { wall: millis(wall), begun: Instant::now() }
    }

    /// Now.
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp(self.wall.saturating_add(millis(self.begun.elapsed())))
    }

    /// How long until a moment.
    pub(crate) fn until(&self, moment: Timestamp) -> Duration {
        moment.since(self.now()).into()
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
