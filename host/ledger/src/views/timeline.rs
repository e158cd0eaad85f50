//! What happened, one line an event, for whoever reads the ledger instead of a file.

use std::fmt;

use razar_core::fact::Recorded;
use razar_core::time::Timestamp;

use super::escape;
use super::mission_log::{self, Event};
use super::stack::Stack;
use crate::moment;

/// Tells events from facts, which it must be given from the first one on.
#[derive(Debug, Default)]
pub struct Timeline {
    stack: Stack,
}

/// One event; its text is one line, safe for a terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// What kind.
    pub event: Event,
    /// Whose; `system` when it is about all.
    pub component: String,
    /// How it stands now.
    pub status: &'static str,
    /// In words, as reported.
    pub details: Option<String>,
}

impl Timeline {
    /// The event of one fact, if it is one.
    pub fn tell(&mut self, recorded: &Recorded) -> Option<Entry> {
        let entry =
            mission_log::event(&self.stack, &recorded.fact).map(|(event, component, status, details)| {
                Entry { at: recorded.at, event, component: component.to_owned(), status, details }
            });
        self.stack.apply(recorded);
        entry
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, event, component, status, details } = self;
        write!(f, "{} {} {component}: {status}", moment::zulu(*at), event.as_str())?;
        match details {
            Some(details) => write!(f, " - {}", escape::line(details)),
            None => Ok(()),
        }
    }
}
