//! Counts what a guest allocates and says no. Remembers the first refusal, because a guest that was refused memory
//! usually crashes for what looks like another reason.

use razar_core::grant::Limits;
use wasmtime::ResourceLimiter;

use crate::outcome::{Limit, LimitHit};

/// A count of this machine's, from a limit: what does not fit means no less than everything there is.
pub(crate) fn count(limit: impl TryInto<usize>) -> usize {
    limit.try_into().unwrap_or(usize::MAX)
}

/// A number for reports.
pub(crate) fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// What one call has allocated.
#[derive(Debug)]
pub(crate) struct Limiter {
    /// Bytes of linear memory, over all memories.
    allowed: usize,
    used: usize,
    peak: usize,
    /// Of the last growth, to take back if the system refuses what this allowed.
    last: usize,
    /// Elements of tables, over all tables.
    table_elements: usize,
    table_used: usize,
    table_last: usize,
    instances: usize,
    memories: usize,
    tables: usize,
    hit: Option<LimitHit>,
}

impl Limiter {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            allowed: count(limits.memory.0),
            used: 0,
            peak: 0,
            last: 0,
            table_elements: count(limits.table_elements),
            table_used: 0,
            table_last: 0,
            instances: count(limits.instances),
            memories: count(limits.memories),
            tables: count(limits.tables),
            hit: None,
        }
    }

    /// Largest use of linear memory, in bytes.
    pub(crate) const fn peak(&self) -> usize {
        self.peak
    }

    /// The first limit that was hit.
    pub(crate) const fn hit(&self) -> Option<LimitHit> {
        self.hit
    }

    fn refuse(&mut self, limit: Limit, wanted: usize, allowed: usize) {
        self.hit.get_or_insert(LimitHit { limit, wanted: number(wanted), allowed: number(allowed) });
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let growth = desired.saturating_sub(current);
        let total = self.used.saturating_add(growth);
        if total > self.allowed {
            self.refuse(Limit::Memory, total, self.allowed);
            return Ok(false);
        }
        self.last = growth;
        self.used = total;
        self.peak = self.peak.max(total);
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        self.used = self.used.saturating_sub(std::mem::take(&mut self.last));
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let growth = desired.saturating_sub(current);
        let total = self.table_used.saturating_add(growth);
        if total > self.table_elements {
            self.refuse(Limit::Table, total, self.table_elements);
            return Ok(false);
        }
        self.table_last = growth;
        self.table_used = total;
        Ok(true)
    }

    fn table_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        self.table_used = self.table_used.saturating_sub(std::mem::take(&mut self.table_last));
        Ok(())
    }

    fn instances(&self) -> usize {
        self.instances
    }

    fn memories(&self) -> usize {
        self.memories
    }

    fn tables(&self) -> usize {
        self.tables
    }
}

#[cfg(test)]
mod tests {
    use razar_core::document::units::Bytes;
    use razar_core::grant::Role;

    use super::*;

    fn limiter() -> Limiter {
        Limiter::new(&Limits { memory: Bytes(100), table_elements: 1_000, ..Limits::defaults(Role::Probe) })
    }

    #[test]
    fn memory_is_counted_over_all_memories() {
        let mut limiter = limiter();
        assert!(limiter.memory_growing(0, 60, None).unwrap());
        assert!(!limiter.memory_growing(0, 50, None).unwrap());
        assert!(limiter.memory_growing(60, 100, None).unwrap());
        assert_eq!(limiter.peak(), 100);
        assert_eq!(limiter.hit(), Some(LimitHit { limit: Limit::Memory, wanted: 110, allowed: 100 }));
    }

    #[test]
    fn a_growth_the_system_refuses_is_taken_back() {
        let mut limiter = limiter();
        assert!(limiter.memory_growing(0, 80, None).unwrap());
        limiter.memory_grow_failed(wasmtime::Error::msg("no memory")).unwrap();
        assert!(limiter.memory_growing(0, 100, None).unwrap());
        assert_eq!(limiter.hit(), None);
    }

    #[test]
    fn tables_are_counted_together() {
        let mut limiter = limiter();
        assert!(limiter.table_growing(0, 600, None).unwrap());
        assert!(limiter.table_growing(0, 300, None).unwrap());
        limiter.table_grow_failed(wasmtime::Error::msg("no memory")).unwrap();
        assert!(limiter.table_growing(600, 1_000, None).unwrap());
        assert_eq!(limiter.hit(), None);
        assert!(!limiter.table_growing(0, 1, None).unwrap());
        assert_eq!(limiter.hit(), Some(LimitHit { limit: Limit::Table, wanted: 1_001, allowed: 1_000 }));
        assert!(!limiter.table_growing(0, usize::MAX, None).unwrap());
    }
}
