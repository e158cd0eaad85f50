//! The seam a fleet would replace: whoever holds a [`FactStore`] can append and read from a position, and may assume
//! neither a file nor a machine.

use razar_core::fact::{Fact, Recorded};
use razar_core::time::Timestamp;

use crate::error::{AppendError, LedgerError};
use crate::ledger::Ledger;

/// Facts in, facts out.
pub trait FactStore {
    /// Records the facts of one turn: all or none.
    fn append(&mut self, at: Timestamp, facts: &[Fact]) -> Result<Vec<Recorded>, AppendError>;

    /// The facts from a position on (the first is 1), oldest first.
    fn read_from(&self, seq: u64) -> Box<dyn Iterator<Item = Result<Recorded, LedgerError>> + '_>;
}

impl FactStore for Ledger {
    fn append(&mut self, at: Timestamp, facts: &[Fact]) -> Result<Vec<Recorded>, AppendError> {
        Self::append(self, at, facts)
    }

    fn read_from(&self, seq: u64) -> Box<dyn Iterator<Item = Result<Recorded, LedgerError>> + '_> {
        Box::new(self.replay(seq))
    }
}
