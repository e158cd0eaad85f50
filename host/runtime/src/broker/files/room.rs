//! How much room a plugin has left in the directories it may write in. WASI has no quota, so the host counts: before a call
//! what is there, during it what is added, and no more is added than the plugin's limits leave room for.
//!
//! ```text
//! begin ──► the trees are looked at ──► measured ──► call: grow, add ──► dropped
//!              other calls of the plugin go on all the while
//! ```
//!
//! What counts is the length of regular files, each once however many names it has, and the number of names. Lengths, not
//! blocks: a hole counts because it can be filled later without anybody being asked, and an operator finds the same
//! number with `du --apparent-size`. What blocks add to that is bounded by the number of files.
//!
//! All calls of a plugin share one count, because they share its trees. It only grows while calls are under way: a file
//! that was deleted lives on for whoever holds it open, so what was freed is free once every call that was under way
//! then has ended. Three things are not in it: what others write meanwhile (another plugin that is granted the same
//! tree, a service), which the next call's look finds, so that two plugins may fill a tree up to the sum of what each
//! was left; an operation that outlives its dropped call, which the next look finds as well; and what directories and
//! names themselves take, which the number of names bounds.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use razar_core::grant::Limits;

use crate::broker::journal::Refused;

/// How many times something was freed are kept apart; then the last ones wait for the same call.
const KEPT_FREED: usize = 64;

/// Bytes and names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amount {
    /// Lengths of files.
    pub bytes: u64,
    /// Files, directories and links.
    pub names: u64,
}

impl Amount {
    pub(super) const fn bytes(bytes: u64) -> Self {
        Self { bytes, names: 0 }
    }

    const NAME: Self = Self { bytes: 0, names: 1 };

    pub(super) const fn plus(self, other: Self) -> Self {
        Self { bytes: self.bytes.saturating_add(other.bytes), names: self.names.saturating_add(other.names) }
    }

    const fn minus(self, other: Self) -> Self {
        Self { bytes: self.bytes.saturating_sub(other.bytes), names: self.names.saturating_sub(other.names) }
    }
}

/// The count of one plugin. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Trees(Arc<Mutex<Count>>);

#[derive(Debug, Default)]
struct Count {
    /// What was there at the last look, and what was added since.
    held: Amount,
    /// What was freed since calls with these numbers are under way.
    freed: VecDeque<(u64, Amount)>,
    /// Everything that was ever added: what is added while somebody looks is the difference.
    added: Amount,
    /// How often somebody has looked.
    looks: u64,
    /// The next call's number.
    next: u64,
    /// Calls under way.
    calls: BTreeSet<u64>,
}

impl Trees {
    /// A call of the plugin begins, and the trees are about to be looked at.
    pub fn begin(&self, limits: &Limits) -> Look {
        let mut count = self.lock();
        let number = count.next;
        count.next += 1;
        count.calls.insert(number);
        let call = Call { trees: self.clone(), number };
        Look { call, added: count.added, disk: limits.disk.0, files: limits.files }
    }

    fn lock(&self) -> MutexGuard<'_, Count> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Count {
    fn all(&self) -> Amount {
        self.freed.iter().fold(self.held, |sum, (_, freed)| sum.plus(*freed))
    }

    /// Somebody has looked and found this, while so much was added that he may not have seen.
    fn found(&mut self, found: Amount, meanwhile: Amount, looker: u64) {
        let held = found.plus(meanwhile);
        let freed = self.held.minus(held);
        self.held = held;
        self.looks += 1;
        // Whoever looked holds nothing open yet; with nobody else there is nobody who does.
        let holder = self.calls.iter().copied().rfind(|call| *call != looker);
        let Some(holder) = holder.filter(|_| freed != Amount::default()) else { return };
        let full = self.freed.len() >= KEPT_FREED;
        match self.freed.back_mut() {
            Some((last, sum)) if full || *last >= holder => {
                *last = holder.max(*last);
                *sum = sum.plus(freed);
            }
            _ => self.freed.push_back((holder, freed)),
        }
    }

    fn ended(&mut self, call: u64) {
        self.calls.remove(&call);
        let first = self.calls.first().copied().unwrap_or(u64::MAX);
        self.freed.retain(|(holder, _)| *holder >= first);
    }
}

/// A call that is counted as under way until this is dropped.
#[derive(Debug)]
struct Call {
    trees: Trees,
    number: u64,
}

impl Drop for Call {
    fn drop(&mut self) {
        self.trees.lock().ended(self.number);
    }
}

/// The trees are being looked at for a call.
#[derive(Debug)]
pub struct Look {
    call: Call,
    added: Amount,
    disk: u64,
    files: u32,
}

impl Look {
    /// This is what the look found.
    pub fn measured(self, found: Amount) -> Room {
        let Self { call, added, disk, files } = self;
        {
            let mut count = call.trees.lock();
            let meanwhile = count.added.minus(added);
            count.found(found, meanwhile, call.number);
        }
        Room { call, disk, files }
    }
}

/// What one call may add.
#[derive(Debug)]
pub struct Room {
    call: Call,
    disk: u64,
    files: u32,
}

/// Something that was counted before it was done. When it comes to nothing, [`Room::give_back`] takes it off again.
#[derive(Debug)]
pub struct Taken {
    amount: Amount,
    looks: u64,
}

impl Room {
    /// Files become this much longer, together.
    pub fn grow(&self, bytes: u64) -> Result<Taken, Refused> {
        self.take(Amount::bytes(bytes))
    }

    /// One name more.
    pub fn name(&self) -> Result<Taken, Refused> {
        self.take(Amount::NAME)
    }

    fn take(&self, amount: Amount) -> Result<Taken, Refused> {
        let mut count = self.call.trees.lock();
        let then = count.all().plus(amount);
        if amount.bytes > 0 && then.bytes > self.disk {
            return Err(Refused::Disk { limit: self.disk });
        }
        if amount.names > 0 && then.names > u64::from(self.files) {
            return Err(Refused::Files { limit: self.files });
        }
        count.held = count.held.plus(amount);
        count.added = count.added.plus(amount);
        Ok(Taken { amount, looks: count.looks })
    }

    /// It was not done after all. A look in between may or may not have counted it: then it stays, until the next look.
    pub fn give_back(&self, taken: Taken) {
        let mut count = self.call.trees.lock();
        if count.looks == taken.looks {
            count.held = count.held.minus(taken.amount);
        }
    }
}

#[cfg(test)]
mod tests {
    use razar_core::document::units::Bytes;
    use razar_core::grant::Role;

    use super::*;

    fn limits(disk: u64, files: u32) -> Limits {
        Limits { disk: Bytes(disk), files, ..Limits::defaults(Role::Probe) }
    }

    fn found(bytes: u64, names: u64) -> Amount {
        Amount { bytes, names }
    }

    const DISK: Refused = Refused::Disk { limit: 100 };
    const FILES: Refused = Refused::Files { limit: 3 };

    fn refused(taken: Result<Taken, Refused>) -> Option<Refused> {
        taken.err()
    }

    #[test]
    fn a_call_adds_what_is_left_and_not_one_more() {
        let trees = Trees::default();
        let room = trees.begin(&limits(100, 3)).measured(found(60, 1));
        assert_eq!(refused(room.grow(41)), Some(DISK));
        assert_eq!(refused(room.grow(40)), None);
        assert_eq!(refused(room.grow(1)), Some(DISK));
        assert_eq!(refused(room.grow(u64::MAX)), Some(DISK));
        assert_eq!((refused(room.name()), refused(room.name())), (None, None));
        assert_eq!(refused(room.name()), Some(FILES));
        assert_eq!(refused(room.grow(0)), None);
    }

    #[test]
    fn what_is_over_already_stays_usable_and_grows_no_more() {
        let room = Trees::default().begin(&limits(100, 3)).measured(found(1_000, 30));
        assert_eq!(refused(room.grow(0)), None);
        assert_eq!(refused(room.grow(1)), Some(DISK));
        assert_eq!(refused(room.name()), Some(FILES));
    }

    #[test]
    fn what_was_not_done_is_given_back_once() {
        let trees = Trees::default();
        let room = trees.begin(&limits(100, 3)).measured(found(0, 0));
        let taken = room.grow(100).unwrap();
        assert_eq!(refused(room.grow(1)), Some(DISK));
        room.give_back(taken);
        let taken = room.grow(100).unwrap();
        // A look in between may not have seen it: it is not taken off what the look found.
        let other = trees.begin(&limits(100, 3)).measured(found(100, 0));
        room.give_back(taken);
        assert_eq!(refused(other.grow(1)), Some(DISK));
    }

    #[test]
    fn calls_at_one_time_share_what_is_left() {
        let trees = Trees::default();
        let one = trees.begin(&limits(100, 3)).measured(found(0, 0));
        one.grow(60).unwrap();
        // The second look does not see what is still being written, and what is written while it goes on.
        let look = trees.begin(&limits(100, 3));
        one.grow(20).unwrap();
        let other = look.measured(found(0, 0));
        assert_eq!(refused(other.grow(21)), Some(DISK));
        assert_eq!((refused(other.grow(10)), refused(one.grow(10))), (None, None));
        assert_eq!((refused(other.grow(1)), refused(one.grow(1))), (Some(DISK), Some(DISK)));
    }

    #[test]
    fn what_was_freed_is_free_when_nobody_can_hold_it_open() {
        let trees = Trees::default();
        let long = trees.begin(&limits(100, 3)).measured(found(90, 0));
        // It was deleted, and the call that did it may hold it open.
        let next = trees.begin(&limits(100, 3)).measured(found(0, 0));
        assert_eq!(refused(next.grow(11)), Some(DISK));
        drop(long);
        assert_eq!(refused(next.grow(100)), None);
        drop(next);
        // With nobody there, what is found is what counts.
        let alone = trees.begin(&limits(100, 3)).measured(found(0, 0));
        assert_eq!(refused(alone.grow(100)), None);
    }

    #[test]
    fn a_plugin_that_is_always_being_called_gets_its_room_back() {
        let trees = Trees::default();
        let mut before = trees.begin(&limits(100, 3)).measured(found(0, 0));
        for _ in 0..1_000 {
            before.grow(40).unwrap();
            // It wrote and deleted; the next call begins before it ends.
            let after = trees.begin(&limits(100, 3)).measured(found(0, 0));
            assert_eq!(trees.lock().all(), Amount::bytes(40));
            before = after;
            assert_eq!(trees.lock().all(), Amount::default());
        }
    }

    #[test]
    fn a_call_that_never_ends_fills_no_memory() {
        let trees = Trees::default();
        let _forever = trees.begin(&limits(100, 3)).measured(found(0, 0));
        let mut others = Vec::new();
        for _ in 0..1_000 {
            let other = trees.begin(&limits(u64::MAX, 3)).measured(found(0, 0));
            other.grow(1).unwrap();
            others.push(other);
        }
        let count = trees.lock();
        assert!(count.freed.len() <= KEPT_FREED, "{}", count.freed.len());
        assert_eq!(count.all(), Amount::bytes(1_000));
    }
}
