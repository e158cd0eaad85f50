//! Agents that are asked side by side: who takes part, whose changes are taken, and what becomes of the others.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may panic")]

mod world;

use proptest::prelude::*;
use razar_core::effect::{Effect, EffectOutcome};
use razar_core::fact::Fact;
use razar_core::id::{Digest, EffectId, PluginId};
use razar_core::incident::{End, Trouble, Who};
use razar_core::patch::Verdict;
use razar_core::plan::{ComponentPlan, Hops, Ladder, Money, Price, RepairPlan, RestartPolicy, Rung};
use razar_core::supervisor::{Command, Status};
use razar_core::time::Millis;
use world::{Fate, Script, World, component, id, plan};

/// Long enough for everything to come to rest.
const LONG: u64 = 600_000;

const NAMES: [&str; 4] = ["one", "two", "three", "rstar"];

fn agent(name: &str) -> PluginId {
    format!("agent-{name}").parse().unwrap()
}

fn ladder(names: &[&str], attempts: u32) -> Ladder {
    let rung = |name: &&str| Rung { name: (*name).to_uppercase(), ..Rung::plain(agent(name), attempts) };
    let mut ladder = Ladder { rungs: names.iter().map(rung).collect(), ..Ladder::default() };
    ladder.rules.roster = true;
    ladder.rules.tournament = true;
    ladder
}

fn broken(ladder: Ladder) -> World {
    let restart = RestartPolicy { retries: 0, backoff: Millis(100), ..RestartPolicy::default() };
    let repair = RepairPlan { ladder, canary: Millis(10_000), ..RepairPlan::default() };
    let component = ComponentPlan { restart, repair: Some(repair), ..component("a") };
    World::new(plan(vec![component]), |_, _| Script { exits_after: Some(50), ..Script::default() })
}

fn patch(number: u32) -> Digest {
    Digest::of(&number.to_le_bytes())
}

/// Passed its trial, with so many lines.
fn passed(number: u32, lines: u64) -> End {
    End::Tried { verdict: Verdict::Fixed, why: String::new(), manifest: patch(number), lines: Some(lines) }
}

fn declined() -> End {
    End::Declined { why: String::new() }
}

/// Who was asked, in order; who was asked at the same moment stands in one list.
fn rounds(world: &World) -> Vec<Vec<String>> {
    let mut rounds: Vec<(u64, Vec<String>)> = Vec::new();
    for recorded in &world.log {
        let Fact::EffectDecided { effect: Effect::Attempt(attempt), .. } = &recorded.fact else { continue };
        let who = attempt.who.to_string().trim_start_matches("agent-").to_owned();
        match rounds.last_mut() {
            Some((at, round)) if *at == recorded.at.0 => round.push(who),
            _ => rounds.push((recorded.at.0, vec![who])),
        }
    }
    rounds.into_iter().map(|(_, round)| round).collect()
}

fn asked(world: &World) -> Vec<String> {
    rounds(world).concat()
}

/// The patches that were applied, in order.
fn applied(world: &World) -> Vec<Digest> {
    let apply = |fact: &Fact| match fact {
        Fact::EffectDecided { effect: Effect::Apply(apply), .. } => Some(apply.manifest),
        _ => None,
    };
    world.log.iter().filter_map(|recorded| apply(&recorded.fact)).collect()
}

fn closing(world: &World) -> &'static str {
    let closings = world.log.iter().filter_map(|recorded| match &recorded.fact {
        Fact::IncidentClosed { outcome, .. } => Some(outcome.as_str()),
        _ => None,
    });
    let closings: Vec<_> = closings.collect();
    assert_eq!(closings.len(), 1, "{closings:?}");
    closings[0]
}

fn told(world: &World, pick: impl Fn(&Fact) -> Option<String>) -> Vec<String> {
    world.log.iter().filter_map(|recorded| pick(&recorded.fact)).collect()
}

fn escalations(world: &World) -> Vec<String> {
    told(world, |fact| match fact {
        Fact::Escalated { name, escalations, .. } => Some(format!("{name} {escalations}")),
        Fact::EscalationWarned { escalations, .. } => Some(format!("warned {escalations}")),
        _ => None,
    })
}

fn activated(world: &World) -> usize {
    use razar_core::effect::{RosterChange, SetRoster};
    let activates = |fact: &Fact| match fact {
        Fact::EffectDecided {
            effect: Effect::Roster(SetRoster { change: RosterChange::Activate(name), .. }),
            ..
        } => Some(name.clone()),
        _ => None,
    };
    told(world, activates).len()
}

#[test]
fn all_are_asked_at_once_and_the_smallest_that_passes_is_taken() {
    let mut world = broken(ladder(&NAMES, 3));
    world.propose = Box::new(|_, number, who| match who {
        "agent-one" => declined(),
        "agent-two" => passed(number, 9),
        _ => passed(number, 4),
    });
    // Whoever is fastest is not whoever is taken.
    world.takes = Box::new(|number| [0, 900, 100, 2_000][number as usize]);
    world.boot();
    world.run(LONG);
    assert_eq!(rounds(&world), [["one", "two", "three"]], "rStar takes no part");
    assert_eq!((applied(&world), closing(&world)), (vec![patch(3)], "repaired"));
    assert_eq!(world.status("a"), Status::Ready);
    assert_eq!((escalations(&world).len(), activated(&world)), (0, 0), "nobody was gone on to");
}

#[test]
fn of_the_same_size_the_lower_one_on_the_ladder_is_taken() {
    let mut world = broken(ladder(&["one", "two"], 1));
    world.propose = Box::new(|_, number, _| passed(number, 5));
    world.takes = Box::new(|number| [0, 2_000, 100][number as usize]);
    world.boot();
    world.run(LONG);
    assert_eq!(applied(&world), [patch(1)]);
}

#[test]
fn what_was_not_taken_is_tried_before_anybody_is_asked_again() {
    let mut world = broken(ladder(&NAMES, 3));
    world.propose = Box::new(|_, number, who| match who {
        "runner-up" => passed(3, 7),
        "agent-three" => passed(number, 7),
        "agent-two" => passed(number, 2),
        _ => declined(),
    });
    world.mended = Box::new(|manifest| {
        let ill_after = (manifest == patch(2)).then_some(1_000);
        Script { ill_after, ..Script::default() }
    });
    world.boot();
    world.run(LONG);
    assert_eq!(rounds(&world), [vec!["one", "two", "three"], vec!["runner-up"]]);
    assert_eq!((applied(&world), closing(&world)), (vec![patch(2), patch(3)], "repaired"));
}

#[test]
fn the_same_changes_of_two_agents_are_tried_once() {
    let mut world = broken(ladder(&["one", "two"], 1));
    world.propose = Box::new(|_, _, _| passed(7, 2));
    world.mended = Box::new(|_| Script { ill_after: Some(1_000), ..Script::default() });
    world.boot();
    world.run(LONG);
    assert_eq!((asked(&world), applied(&world).len()), (vec!["one".to_owned(), "two".to_owned()], 1));
    assert_eq!(closing(&world), "exhausted");
}

#[test]
fn when_nobody_passes_it_goes_on_like_any_ladder() {
    let mut climbed = ladder(&NAMES, 2);
    climbed.rules.warning = 3;
    let mut world = broken(climbed);
    world.propose = Box::new(|_, _, _| declined());
    world.boot();
    world.run(LONG);
    let all = vec!["one", "two", "three"];
    assert_eq!(rounds(&world), [all.clone(), all, vec!["rstar"], vec!["rstar"]]);
    assert_eq!(escalations(&world), ["RSTAR 3", "warned 3"], "as many lie behind it as in a climb");
    assert_eq!((closing(&world), world.status("a")), ("exhausted", Status::Quarantined));
}

#[test]
fn rstar_is_asked_alone_once_enough_attempts_have_failed_or_never() {
    for (threshold, wanted) in [(4, &["rstar", "rstar", "three"][..]), (0, &["three"])] {
        let mut climbed = ladder(&NAMES, 2);
        climbed.rungs[2].attempts = 3;
        climbed.rules.rstar = threshold;
        let mut world = broken(climbed);
        world.propose = Box::new(|_, _, _| declined());
        world.boot();
        world.run(LONG);
        assert_eq!(asked(&world)[6..], *wanted, "{threshold}");
    }
}

#[test]
fn who_is_out_of_reach_is_passed_over_and_who_is_wanted_is_asked_alone() {
    let mut world = broken(ladder(&NAMES, 2));
    world.propose = Box::new(|_, number, who| match (who, number) {
        ("agent-one", _) => {
            End::Unavailable { why: String::new(), trouble: Trouble::Quota, retry_after: None }
        }
        ("agent-rstar", _) => passed(number, 1),
        _ => declined(),
    });
    world.boot();
    while asked(&world).is_empty() {
        assert!(world.turn(world::BEGIN + LONG));
    }
    assert_eq!(world.command(Command::Escalate(id("a"), agent("rstar"), None)), None);
    world.run(LONG);
    assert_eq!(rounds(&world), [vec!["one", "two", "three"], vec!["rstar"]]);
    assert_eq!(closing(&world), "repaired");

    let mut world = broken(ladder(&NAMES, 2));
    world.propose = Box::new(|_, _, who| match who {
        "agent-one" => End::Unavailable { why: String::new(), trouble: Trouble::Quota, retry_after: None },
        _ => declined(),
    });
    world.boot();
    world.run(LONG);
    assert_eq!(rounds(&world)[..2], [vec!["one", "two", "three"], vec!["two", "three"]]);
}

#[test]
fn a_round_asks_no_more_than_the_budget_allows() {
    let run = |set: &dyn Fn(&mut Ladder)| {
        let mut climbed = ladder(&["one", "two", "three"], 3);
        climbed
            .rungs
            .iter_mut()
            .for_each(|rung| rung.price = Price { input: Money(1_000_000), output: Money(0) });
        set(&mut climbed);
        let mut world = broken(climbed);
        world.tokens = 400_000;
        world.propose = Box::new(|_, _, _| declined());
        world.boot();
        world.run(LONG);
        assert_eq!(closing(&world), "exhausted");
        rounds(&world).iter().map(Vec::len).collect::<Vec<_>>()
    };
    assert_eq!(run(&|_| {}), [3, 3, 3]);
    assert_eq!(run(&|ladder| ladder.rules.budget.attempts = Some(2)), [2]);
    assert_eq!(run(&|ladder| ladder.rules.budget.attempts = Some(4)), [3, 1]);
    assert_eq!(run(&|ladder| ladder.rules.budget.tokens = Some(2_000_000)), [3, 2]);
    assert_eq!(run(&|ladder| ladder.rules.budget.money = Some(Money(1_500_000))), [3, 1]);
}

#[test]
fn no_more_than_eight_are_asked_at_once_and_everybody_has_a_turn() {
    let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
    let mut world = broken(ladder(&names, 2));
    world.propose = Box::new(|_, _, _| declined());
    world.boot();
    world.run(LONG);
    let rounds = rounds(&world);
    assert_eq!(rounds.iter().map(Vec::len).collect::<Vec<_>>(), [8, 8, 4]);
    assert_eq!(rounds[1], ["a", "b", "c", "d", "e", "f", "i", "j"]);
}

#[test]
fn the_original_counting_asks_everybody_but_rstar_at_once() {
    let mut climbed = ladder(&NAMES, 3);
    climbed.rules.hops = Hops::PerHop;
    climbed.rules.rstar = 1;
    let mut world = broken(climbed);
    world.propose = Box::new(|_, _, _| declined());
    world.boot();
    world.run(LONG);
    assert_eq!(rounds(&world), [vec!["one", "two", "three"], vec!["rstar"]]);
}

/// How one attempt ends in a random world.
fn ending(draw: u8, number: u32) -> End {
    let unavailable =
        |trouble| End::Unavailable { why: String::new(), trouble, retry_after: Some(Millis(2_000)) };
    match draw % 8 {
        0 => unavailable(Trouble::Quota),
        1 => unavailable(Trouble::RateLimited),
        2 => End::failed(Trouble::Nonsense, ""),
        3 => declined(),
        4 | 5 => passed(number, u64::from(draw / 8)),
        _ => End::Tried {
            verdict: Verdict::NotFixed,
            why: String::new(),
            manifest: patch(number),
            lines: None,
        },
    }
}

/// The attempts that were heard of, by the effect's number.
fn heard(world: &World) -> Vec<(EffectId, End)> {
    let end = |fact: &Fact| match fact {
        Fact::EffectFinished { id, outcome: EffectOutcome::Attempted { end, .. } } => {
            Some((*id, end.clone()))
        }
        _ => None,
    };
    world.log.iter().filter_map(|recorded| end(&recorded.fact)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// Whatever agents do, in whatever order they answer, and whenever the host dies: every tournament ends, nobody is asked more often
    /// than he or the budget may be, there are never two patches in the files, and facts alone give the same counts (which the world looks
    /// at after every run).
    #[test]
    fn every_tournament_ends_within_its_budget(
        draws in prop::collection::vec(any::<u8>(), 1..40),
        takes in prop::collection::vec(1_u64..3_000, 1..20),
        attempts in 1_u32..4,
        rungs in 1_usize..5,
        threshold in 0_u32..6,
        most in prop::option::of(1_u32..9),
        holds in any::<bool>(),
        crashes in prop::collection::vec(1_usize..60, 0..4),
    ) {
        let mut climbed = ladder(&NAMES[..rungs], attempts);
        climbed.rules.rstar = threshold;
        climbed.rules.budget.attempts = most;
        let mut world = broken(climbed);
        world.propose = Box::new(move |_, number, _| ending(draws[number as usize % draws.len()], number));
        world.takes = Box::new(move |number| takes[number as usize % takes.len()]);
        world.mended = Box::new(move |_| Script { ill_after: (!holds).then_some(1_000), ..Script::default() });
        world.fate = Fate::mixed;
        world.boot();
        for turns in crashes {
            for _ in 0..turns {
                world.turn(world::BEGIN + LONG);
            }
            world.crash_and_resume();
        }
        world.run(4 * LONG);
        closing(&world);
        prop_assert!(matches!(world.status("a"), Status::Ready | Status::Quarantined));
        let asked = asked(&world);
        for name in NAMES {
            let times = asked.iter().filter(|who| *who == name).count();
            prop_assert!(times <= attempts as usize, "{name} was asked {times} times of {attempts}");
        }
        let agents = asked.iter().filter(|who| NAMES.contains(&who.as_str())).count();
        prop_assert!(most.is_none_or(|most| agents <= most as usize), "{asked:?}");
        let (mut in_place, mut open) = (0_u32, std::collections::BTreeMap::new());
        for recorded in &world.log {
            match &recorded.fact {
                Fact::EffectDecided { id, effect: effect @ (Effect::Apply(_) | Effect::Revert(_)) } => {
                    open.insert(*id, matches!(effect, Effect::Apply(_)));
                }
                Fact::EffectFinished { id, outcome: EffectOutcome::Changed } => match open.remove(id) {
                    Some(true) => in_place += 1,
                    Some(false) => in_place = in_place.saturating_sub(1),
                    None => {}
                },
                _ => {}
            }
            prop_assert!(in_place <= 1, "two patches are in the files");
        }
    }

    /// The order of the answers and a crash in the middle move nobody: the smallest patch that was heard of is taken, and each attempt
    /// counts once.
    #[test]
    fn whoever_answers_first_wins_nothing_by_it(
        sizes in prop::collection::vec(prop::option::of(0_u64..4), 3),
        takes in prop::collection::vec(1_u64..3_000, 4),
        crash in prop::option::of(0_usize..6),
    ) {
        let mut world = broken(ladder(&["one", "two", "three"], 1));
        let proposed = sizes.clone();
        world.propose = Box::new(move |_, number, _| match proposed.get(number as usize - 1) {
            Some(Some(lines)) => passed(number, *lines),
            _ => declined(),
        });
        world.takes = Box::new(move |number| takes[number as usize % takes.len()]);
        world.boot();
        while asked(&world).is_empty() {
            prop_assert!(world.turn(world::BEGIN + LONG));
        }
        if let Some(answers) = crash {
            while heard(&world).len() < answers.min(3) && applied(&world).is_empty() {
                prop_assert!(world.turn(world::BEGIN + LONG));
            }
            world.crash_and_resume();
        }
        world.run(LONG);
        let heard = heard(&world);
        let best = heard.iter().filter_map(|(id, end)| match end {
            End::Tried { verdict: Verdict::Fixed, manifest, lines, .. } => Some((*lines, *id, *manifest)),
            _ => None,
        });
        let best = best.min_by_key(|(lines, id, _)| (*lines, *id)).map(|(_, _, manifest)| manifest);
        prop_assert_eq!(applied(&world).first().copied(), best);
        prop_assert_eq!(applied(&world).windows(2).filter(|pair| pair[0] != pair[1]).count(), 0);
        prop_assert_eq!(asked(&world), ["one", "two", "three"], "nobody is asked twice");
        if crash.is_none() {
            prop_assert_eq!(heard.len(), 3);
        }
        let closed = closing(&world);
        prop_assert_eq!(closed, if best.is_some() { "repaired" } else { "exhausted" });
        let credited = world.log.iter().filter(|recorded| matches!(
            &recorded.fact,
            Fact::EffectDecided { effect: Effect::Attempt(attempt), .. } if matches!(attempt.who, Who::Agent(_))
        ));
        prop_assert_eq!(credited.count(), 3);
    }
}
