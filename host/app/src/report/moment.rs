//! Moments and spans as people read them, in UTC like every file the host writes.

use std::time::{SystemTime, UNIX_EPOCH};

use razar_core::time::{Millis, Timestamp};

/// The wall clock, for saying how long something has been so. Decisions never rest on it.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// `2026-11-21T01:41:37.273+00:00`: as the mission log writes it.
pub(crate) fn full(at: Timestamp) -> String {
    format(at, "%Y-%m-%dT%H:%M:%S.%3f+00:00")
}

/// `01:41:37`.
pub(crate) fn clock(at: Timestamp) -> String {
    format(at, "%H:%M:%S")
}

/// `2026-11-21 01:41:37`.
pub(crate) fn date(at: Timestamp) -> String {
    format(at, "%Y-%m-%d %H:%M:%S")
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

fn format(at: Timestamp, pattern: &str) -> String {
    let moment = i64::try_from(at.0).ok().and_then(|at| jiff::Timestamp::from_millisecond(at).ok());
    moment.unwrap_or(jiff::Timestamp::MAX).strftime(pattern).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_and_spans_read_naturally() {
        let at = Timestamp(1_795_225_297_007);
        assert_eq!(full(at), "2026-11-21T01:41:37.007+00:00");
        assert_eq!(clock(at), "01:41:37");
        assert_eq!(date(at), "2026-11-21 01:41:37");
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
