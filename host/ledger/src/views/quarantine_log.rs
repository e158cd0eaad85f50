//! `docs/quarantine_log.md`: one table row for everything that went into quarantine or came out of it.

use std::fmt::Write as _;

use razar_core::fact::{Fact, Recorded};

use super::{escape, stack::Stack};
use crate::moment;

/// Below the root of the views.
pub(super) const NAME: &str = "docs/quarantine_log.md";
/// As the file that operators have begins.
pub(super) const HEADER: &str = "# Quarantine Log

| Timestamp (UTC) | Component | Action | Details |
|---|---|---|---|
";

/// The row of one fact.
pub(super) fn lines(_: &Stack, recorded: &Recorded, out: &mut String) {
    let (component, action, details) = match &recorded.fact {
        Fact::Quarantined { component, failure, .. } => {
            (component, failure.class.as_str(), failure.class.hint().to_owned())
        }
        Fact::Released { component, note: Some(note) } => {
            (component, "reactivated", format!("manual: {note}"))
        }
        Fact::Released { component, note: None } => (component, "reactivated", "manual".to_owned()),
        Fact::Reinstated { component } => (component, "resolved", "healthy through its probation".to_owned()),
        _ => return,
    };
    // Writing to a string cannot fail.
    let _ = writeln!(
        out,
        "| {} | {component} | {action} | {} |",
        moment::naive(recorded.at),
        escape::cell(&details)
    );
}
