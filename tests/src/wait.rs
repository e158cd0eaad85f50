//! Waiting for a condition, never for a time. It never decides what is waited for.

use std::time::{Duration, Instant};

/// Generous: the machine may be busy; nothing waits this long when it works.
pub const LIMIT: Duration = Duration::from_secs(60);

/// Between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// The first answer that is something, within the limit.
pub fn first<T>(mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if begun.elapsed() > LIMIT {
            return None;
        }
        std::thread::sleep(LOOK_AGAIN);
    }
}
