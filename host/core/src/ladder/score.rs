//! How one agent has done about failures of one class, as far as the order of a ladder may follow it: attempts whose worth is known,
//! and those whose patch held. It is part of the fold over facts.

use crate::failure::FailureClass;
use crate::id::{Digest, IncidentId, PluginId};

/// See the module.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Score {
    /// Attempts that are known to have helped or not: who could not be asked, and whose patch was never applied, is none.
    pub tried: u32,
    /// Those whose patch held, and was not taken back since.
    pub held: u32,
}

impl Score {
    /// It is better by the share of its attempts that held.
    pub const fn is_better_than(self, other: Self) -> bool {
        // Counts have 32 bits: a product of two fits into 64.
        self.held as u64 * other.tried as u64 > other.held as u64 * self.tried as u64
    }
}

/// Whose patch it is that is in a component's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Maker {
    /// In which incident it was applied.
    pub(crate) incident: IncidentId,
    /// What names the changes.
    pub(crate) manifest: Digest,
    /// Who proposed them.
    pub(crate) agent: PluginId,
    /// What they are about.
    pub(crate) class: FailureClass,
    /// They have held.
    pub(crate) held: bool,
}
