//! `docs/quarantine_log.md`: one table row for everything that went into quarantine or came out of it.

use std::fmt::Write as _;

use razar_core::fact::{Fact, Recorded};
use razar_core::id::PluginId;

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
    let manual = |note: &Option<String>| match note {
        Some(note) => format!("manual: {note}"),
        None => "manual".to_owned(),
    };
    let (component, action, details) = match &recorded.fact {
        Fact::Quarantined { component, failure, .. } => {
            (component.to_string(), failure.class.as_str(), failure.class.hint().to_owned())
        }
        Fact::Released { component, note } => (component.to_string(), "reactivated", manual(note)),
        Fact::Reinstated { component } => {
            (component.to_string(), "resolved", "healthy through its probation".to_owned())
        }
        Fact::PluginQuarantined { plugin, reason, .. } => {
            (named(plugin), "plugin", format!("{}; it is not called", reason.as_str()))
        }
        Fact::PluginReleased { plugin, note } => (named(plugin), "reactivated", manual(note)),
        Fact::PluginReinstated { plugin } => {
            (named(plugin), "resolved", "behaved through its probation".to_owned())
        }
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

/// Told apart from a component of the same name.
fn named(plugin: &PluginId) -> String {
    format!("plugin {plugin}")
}
