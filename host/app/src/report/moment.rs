//! The wall clock and spans as people read them. How moments are written is the ledger's business: files and terminals
//! say them the same way.

use std::time::{SystemTime, UNIX_EPOCH};

use razar_core::time::{Millis, Timestamp};
pub(crate) use razar_ledger::moment::{clock, date, offset as full, zulu};

/// The wall clock, for saying how long something has been so. Decisions never rest on it.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// `850 ms`, `2.4 s`, `3 min 20 s`, `5 h 12 min`, `9 d 4 h`.
pub(crate) fn span(span: Millis) -> String {
    let seconds = span.0 / 1000;
    match span.0 {
        0..1_000 => format!("{} ms", span.0),
        1_000..60_000 => format!("{}.{} s", seconds, span.0 % 1000 / 100),
        60_000..3_600_000 => format!("{} min {} s", seconds / 60, seconds % 60),
        3_600_000..86_400_000 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_naturally() {
        for (millis, text) in [
            (0, "0 ms"),
            (999, "999 ms"),
            (2_450, "2.4 s"),
            (200_000, "3 min 20 s"),
            (18_720_000, "5 h 12 min"),
            (792_000_000, "9 d 4 h"),
        ] {
            assert_eq!(span(Millis(millis)), text);
        }
    }
}
