//! Moments as operators read them, in files and on terminals: several dialects, all of them UTC. It never reads a clock.

use razar_core::time::Timestamp;

/// `2026-11-21 01:41:37,273`: `boot_orchestrator.log`.
pub fn log(at: Timestamp) -> String {
    format(at, "%Y-%m-%d %H:%M:%S,%3f")
}

/// `2026-11-21T01:41:37.273+00:00`: `razar.log`.
pub fn offset(at: Timestamp) -> String {
    format(at, "%Y-%m-%dT%H:%M:%S.%3f+00:00")
}

/// `2026-11-21T01:41:37.273`: rows of `quarantine_log.md`, whose header says UTC.
pub fn naive(at: Timestamp) -> String {
    format(at, "%Y-%m-%dT%H:%M:%S.%3f")
}

/// `2026-11-21T01:41:37.273Z`: everything that is ours.
pub fn zulu(at: Timestamp) -> String {
    format(at, "%Y-%m-%dT%H:%M:%S.%3fZ")
}

/// `2026-11-21T01:41:37Z`: alerts.
pub fn second(at: Timestamp) -> String {
    format(at, "%Y-%m-%dT%H:%M:%SZ")
}

/// `2026-11-21T01:41:37.273000Z`, without a fraction where there is none: records of agents, as Python writes a moment.
pub fn micro(at: Timestamp) -> String {
    if at.0.is_multiple_of(1_000) { second(at) } else { format(at, "%Y-%m-%dT%H:%M:%S.%6fZ") }
}

/// `2026-11-21T00:00:00Z`: the day it is in.
pub(crate) fn day(at: Timestamp) -> String {
    format(at, "%Y-%m-%dT00:00:00Z")
}

/// `2026-11-21T01-41-37Z`: names of files.
pub fn file(at: Timestamp) -> String {
    format(at, "%Y-%m-%dT%H-%M-%SZ")
}

/// `20261121T014137273004`: names of backups, which have microseconds; those beyond the millisecond are given.
pub(crate) fn backup(at: Timestamp, micros: usize) -> String {
    format!("{}{:03}", format(at, "%Y%m%dT%H%M%S%3f"), micros % 1_000)
}

/// `2026-11-21 01:41:37`: tables and summaries.
pub fn date(at: Timestamp) -> String {
    format(at, "%Y-%m-%d %H:%M:%S")
}

/// `01:41:37`: lines of whoever is watching.
pub fn clock(at: Timestamp) -> String {
    format(at, "%H:%M:%S")
}

/// Seconds since the epoch, as `time.time()` gives them.
pub fn epoch(at: Timestamp) -> f64 {
    at.0 as f64 / 1000.0
}

fn format(at: Timestamp, pattern: &str) -> String {
    let moment = i64::try_from(at.0).ok().and_then(|at| jiff::Timestamp::from_millisecond(at).ok());
    moment.unwrap_or(jiff::Timestamp::MAX).strftime(pattern).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_operators_know_them() {
        let at = Timestamp(1_795_225_297_007);
        assert_eq!(log(at), "2026-11-21 01:41:37,007");
        assert_eq!(offset(at), "2026-11-21T01:41:37.007+00:00");
        assert_eq!(naive(at), "2026-11-21T01:41:37.007");
        assert_eq!(zulu(at), "2026-11-21T01:41:37.007Z");
        assert_eq!(second(at), "2026-11-21T01:41:37Z");
        assert_eq!(micro(at), "2026-11-21T01:41:37.007000Z");
        assert_eq!(micro(Timestamp(1_795_225_297_000)), second(at));
        assert_eq!(day(at), "2026-11-21T00:00:00Z");
        assert_eq!(file(at), "2026-11-21T01-41-37Z");
        assert_eq!(backup(at, 31), "20261121T014137007031");
        assert_eq!(date(at), "2026-11-21 01:41:37");
        assert_eq!(clock(at), "01:41:37");
        assert_eq!(epoch(at), 1_795_225_297.007);
        assert_eq!(log(Timestamp(u64::MAX)), "9999-12-30 22:00:00,999", "beyond the calendar is its end");
    }
}
