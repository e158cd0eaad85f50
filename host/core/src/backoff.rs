//! How long to wait before the next launch: doubling, bounded, spread by a seed that the caller brings.

use crate::plan::RestartPolicy;
use crate::time::Millis;

/// A small generator for jitter (splitmix64). Deterministic from its seed; not for secrets.
#[derive(Debug, Clone)]
pub struct Jitter(u64);

impl Jitter {
    /// From a seed that the caller brings.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub const fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// The wait after the failure numbered `attempt` of an incident. A component that had been ready is relaunched at
/// once the first time: an outage of a healthy service should not last longer than it must.
pub fn delay(policy: &RestartPolicy, attempt: u32, was_ready: bool, jitter: &mut Jitter) -> Millis {
    let doublings = match (was_ready, attempt) {
        (true, 0 | 1) => return Millis(0),
        (true, attempt) => attempt - 2,
        (false, attempt) => attempt.saturating_sub(1),
    };
    let factor = 1_u64.checked_shl(doublings).unwrap_or(u64::MAX);
    let base = policy.backoff.0.saturating_mul(factor).min(policy.backoff_max.0);
    // Up to a quarter more, so that what failed together does not come back together.
    Millis(base + jitter.draw() % (base / 4 + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_bound_with_at_most_a_quarter_more() {
        let policy = RestartPolicy::default();
        let mut jitter = Jitter::new(7);
        for (attempt, was_ready, base) in [
            (1, true, 0),
            (2, true, 1_000),
            (1, false, 1_000),
            (2, false, 2_000),
            (7, false, 60_000),
            (4_000_000, false, 60_000),
        ] {
            let waits: Vec<u64> =
                (0..100).map(|_| delay(&policy, attempt, was_ready, &mut jitter).0).collect();
            assert!(waits.iter().all(|wait| (base..=base + base / 4).contains(wait)), "{attempt}: {waits:?}");
            assert!(base == 0 || waits.iter().any(|wait| *wait != base), "spread");
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_waits() {
        let draw = |seed| {
            let mut jitter = Jitter::new(seed);
            (0..8).map(|_| jitter.draw()).collect::<Vec<_>>()
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }
}
