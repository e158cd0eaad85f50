//! In which order the rungs of a ladder are climbed: that of the roster, or, within bounds that an operator sets, one that follows how
//! the agents have done about such failures. A pure function of the ladder and of counts; whatever it is given, it may never
//!
//! * move an agent further than the operator allows, or change places of two agents of whom one has too few attempts;
//! * put an agent in front of another one whose patches have held more often;
//! * move rStar, or anybody past it: what its threshold says is said about the order that the operator has written;
//! * touch whoever stands before the active agent, where climbing begins.

use std::borrow::Cow;

use super::score::Score;
use crate::id::PluginId;
use crate::plan::{Ladder, Reorder, Rung};

/// The ladder as it is climbed from this rung on, with what is known of the agents.
pub(crate) fn climbed<'a>(ladder: &'a Ladder, start: usize, scores: &[(PluginId, Score)]) -> Cow<'a, Ladder> {
    let order = match ladder.rules.reorder {
        Some(bounds) => order(&ladder.rungs, start, bounds, scores),
        None => (0..ladder.rungs.len()).collect(),
    };
    if order.is_sorted() && ladder.rules.start == start {
        return Cow::Borrowed(ladder);
    }
    let rungs = order.iter().filter_map(|at| ladder.rungs.get(*at)).cloned().collect();
    let mut climbed = Ladder { rungs, rules: ladder.rules };
    climbed.rules.start = start;
    Cow::Owned(climbed)
}

/// The places of the rungs, in the order in which they are climbed.
pub(crate) fn order(
    rungs: &[Rung],
    start: usize,
    bounds: Reorder,
    scores: &[(PluginId, Score)],
) -> Vec<usize> {
    let score = |at: usize| {
        let rung = rungs.get(at).filter(|rung| !rung.is_rstar())?;
        let (_, score) = scores.iter().find(|(agent, _)| *agent == rung.agent)?;
        (score.tried >= bounds.after.max(1)).then_some(*score)
    };
    let mut order: Vec<usize> = (0..rungs.len()).collect();
    // Neighbours change places, never back again: each change puts two agents right for good, so this ends.
    loop {
        let mut changed = false;
        for at in start..order.len().saturating_sub(1) {
            let [first, second] = [at, at + 1].map(|at| order.get(at).copied().unwrap_or(at));
            let (Some(worse), Some(better)) = (score(first), score(second)) else { continue };
            let moved = (at + 1).abs_diff(first).max(second.abs_diff(at));
            if better.is_better_than(worse) && moved <= bounds.places {
                order.swap(at, at + 1);
                changed = true;
            }
        }
        if !changed {
            return order;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn agent(at: usize) -> PluginId {
        format!("agent-{}", ["a", "b", "c", "d", "e", "f"][at]).parse().unwrap()
    }

    fn ladder(count: usize, rstar: Option<usize>) -> Ladder {
        let name =
            |at: usize| if rstar == Some(at) { crate::plan::RSTAR.parse().unwrap() } else { agent(at) };
        Ladder::of((0..count).map(name), 3)
    }

    fn scores(ladder: &Ladder, counts: &[(u32, u32)]) -> Vec<(PluginId, Score)> {
        let score = |(rung, (tried, held)): (&Rung, &(u32, u32))| {
            (rung.agent.clone(), Score { tried: *tried, held: *held.min(tried) })
        };
        ladder.rungs.iter().zip(counts).map(score).collect()
    }

    fn placed(counts: &[(u32, u32)], rstar: Option<usize>, start: usize, places: usize) -> Vec<usize> {
        let ladder = ladder(counts.len(), rstar);
        order(&ladder.rungs, start, Reorder { places, after: 10 }, &scores(&ladder, counts))
    }

    #[test]
    fn whoever_has_helped_more_often_comes_first_within_the_bounds() {
        let counts = [(10, 1), (20, 4), (10, 9), (10, 5)];
        for (places, wanted) in [(1, [1, 0, 2, 3]), (2, [2, 1, 0, 3]), (3, [2, 3, 1, 0])] {
            let order = placed(&counts, None, 0, places);
            assert!(
                order.iter().enumerate().all(|(now, before)| now.abs_diff(*before) <= places),
                "{order:?}"
            );
            if places != 2 {
                assert_eq!(order, wanted, "{places}");
            }
        }
        assert_eq!(placed(&[(10, 0), (9, 9), (10, 10)], None, 0, 9), [0, 1, 2], "one has too few attempts");
        assert_eq!(placed(&[(10, 0), (10, 10), (10, 5)], Some(1), 0, 9), [0, 1, 2], "nobody passes rStar");
        assert_eq!(
            placed(&[(10, 0), (10, 5), (10, 10)], None, 1, 9),
            [0, 2, 1],
            "nobody passes the active one"
        );
        assert_eq!(placed(&[(10, 5), (20, 10)], None, 0, 9), [0, 1], "who is not better stays");
        assert_eq!(placed(&[], None, 0, 9), [] as [usize; 0]);
    }

    #[test]
    fn without_the_setting_nothing_moves() {
        let ladder = ladder(3, None);
        let scores = scores(&ladder, &[(10, 0), (10, 5), (10, 10)]);
        assert!(matches!(climbed(&ladder, 0, &scores), Cow::Borrowed(_)));
        let begun = climbed(&ladder, 2, &scores);
        assert_eq!((begun.rungs.as_slice(), begun.rules.start), (ladder.rungs.as_slice(), 2));
        let reorder = Some(Reorder { places: 2, after: 1 });
        let ladder = Ladder { rules: crate::plan::Climbing { reorder, ..ladder.rules }, ..ladder };
        let agents: Vec<String> =
            climbed(&ladder, 0, &scores).rungs.iter().map(|rung| rung.agent.to_string()).collect();
        assert_eq!(agents, ["agent-c", "agent-b", "agent-a"]);
    }

    proptest! {
        /// Whatever is counted: everybody is there once, nobody moves further than he may, and whoever now comes before somebody that
        /// the operator put before him has enough attempts, as that one has, and is better; rStar and whoever stands before the active
        /// agent stay, and nobody moves past them.
        #[test]
        fn an_order_keeps_to_its_bounds(
            counts in prop::collection::vec((0_u32..40, 0_u32..40), 0..7),
            rstar in 0_usize..12,
            start in 0_usize..7,
            places in 1_usize..7,
            after in 1_u32..20,
        ) {
            let count = counts.len().min(6);
            let ladder = ladder(count, (rstar < count).then_some(rstar));
            let scores = scores(&ladder, &counts[..count]);
            let bounds = Reorder { places, after };
            let found = order(&ladder.rungs, start, bounds, &scores);
            let mut sorted = found.clone();
            sorted.sort_unstable();
            prop_assert_eq!(sorted, (0..count).collect::<Vec<_>>());
            for (now, first) in found.iter().enumerate() {
                prop_assert!(now.abs_diff(*first) <= places, "{found:?}");
                prop_assert!(*first >= start || now == *first, "{found:?}");
                for second in found.iter().skip(now + 1).filter(|second| *second < first) {
                    let [better, worse] = [*first, *second].map(|at| scores[at].1);
                    prop_assert!(better.tried >= after && worse.tried >= after && better.is_better_than(worse));
                    prop_assert!(!ladder.rungs[*first].is_rstar() && !ladder.rungs[*second].is_rstar());
                }
            }
            prop_assert_eq!(order(&ladder.rungs, start, bounds, &scores), found, "it is the same every time");
        }
    }
}
