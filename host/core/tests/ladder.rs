//! Who is asked, how often, when, and what the roster file says meanwhile.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may panic")]

mod world;

use std::cell::RefCell;
use std::rc::Rc;

use proptest::prelude::*;
use razar_core::effect::{Effect, RosterChange, SetRoster};
use razar_core::fact::{Fact, Skip};
use razar_core::id::{Digest, PluginId};
use razar_core::incident::{End, Trouble};
use razar_core::patch::Verdict;
use razar_core::plan::{ComponentPlan, Hops, Ladder, Money, Price, Reorder, RepairPlan, RestartPolicy, Rung};
use razar_core::supervisor::{Command, Refused, Status};
use razar_core::time::Millis;
use world::{Fate, Files, Script, World, component, id, plan};

/// Long enough for everything to come to rest.
const LONG: u64 = 600_000;

fn agent(name: &str) -> PluginId {
    format!("agent-{name}").parse().unwrap()
}

/// The ladder of a roster that names these, so often each.
fn ladder(names: &[&str], attempts: u32) -> Ladder {
    let rung = |name: &&str| Rung { name: (*name).to_uppercase(), ..Rung::plain(agent(name), attempts) };
    let mut ladder = Ladder { rungs: names.iter().map(rung).collect(), ..Ladder::default() };
    ladder.rules.roster = true;
    ladder
}

fn climbing(name: &str, ladder: Ladder) -> ComponentPlan {
    let restart = RestartPolicy { retries: 0, backoff: Millis(100), ..RestartPolicy::default() };
    let repair = RepairPlan { ladder, canary: Millis(10_000), ..RepairPlan::default() };
    ComponentPlan { restart, repair: Some(repair), ..component(name) }
}

fn broken(components: Vec<ComponentPlan>) -> World {
    World::new(plan(components), |_, _| Script { exits_after: Some(50), ..Script::default() })
}

fn tried(verdict: Verdict, number: u32) -> End {
    End::Tried { verdict, why: String::new(), manifest: Digest::of(&number.to_le_bytes()), lines: None }
}

fn unavailable(trouble: Trouble, retry_after: Option<u64>) -> End {
    End::Unavailable { why: String::new(), trouble, retry_after: retry_after.map(Millis) }
}

/// Who was asked for a component, in order.
fn asked(world: &World, name: &str) -> Vec<String> {
    let who = |fact: &Fact| match fact {
        Fact::EffectDecided { effect: Effect::Attempt(attempt), .. } if attempt.component == id(name) => {
            Some(attempt.who.to_string().trim_start_matches("agent-").to_owned())
        }
        _ => None,
    };
    world.log.iter().filter_map(|recorded| who(&recorded.fact)).collect()
}

fn skips(world: &World) -> Vec<(String, Skip)> {
    let skip = |fact: &Fact| match fact {
        Fact::RungSkipped { name, reason, .. } => Some((name.clone(), *reason)),
        _ => None,
    };
    world.log.iter().filter_map(|recorded| skip(&recorded.fact)).collect()
}

fn escalations(world: &World) -> Vec<String> {
    let told = |fact: &Fact| match fact {
        Fact::Escalated { name, escalations, .. } => Some(format!("{name} {escalations}")),
        Fact::EscalationWarned { escalations, .. } => Some(format!("warned {escalations}")),
        _ => None,
    };
    world.log.iter().filter_map(|recorded| told(&recorded.fact)).collect()
}

/// What was done with the roster file, in order.
fn roster(world: &World) -> Vec<String> {
    let told = |fact: &Fact| match fact {
        Fact::EffectDecided { effect: Effect::Roster(SetRoster { change, .. }), .. } => Some(match change {
            RosterChange::Save => "save".to_owned(),
            RosterChange::Activate(name) => name.clone(),
            RosterChange::Restore(_) => "restore".to_owned(),
        }),
        _ => None,
    };
    world.log.iter().filter_map(|recorded| told(&recorded.fact)).collect()
}

fn closings(world: &World) -> Vec<&'static str> {
    let closing = |fact: &Fact| match fact {
        Fact::IncidentClosed { outcome, .. } => Some(outcome.as_str()),
        _ => None,
    };
    world.log.iter().filter_map(|recorded| closing(&recorded.fact)).collect()
}

#[test]
fn each_has_its_attempts_and_then_the_next_is_asked() {
    let mut world = broken(vec![climbing("a", ladder(&["one", "two", "three"], 2))]);
    world.propose = Box::new(|_, _, _| tried(Verdict::NotFixed, 1));
    world.boot();
    world.run(LONG);
    assert_eq!(asked(&world, "a"), ["one", "one", "two", "two", "three", "three"]);
    assert_eq!(escalations(&world), ["TWO 1", "THREE 2"]);
    assert_eq!(closings(&world), ["exhausted"]);
    assert_eq!(roster(&world), ["save", "TWO", "THREE", "restore"]);
    assert_eq!(world.status("a"), Status::Quarantined);
}

#[test]
fn climbing_begins_at_the_active_agent() {
    let mut climbed = ladder(&["one", "two", "three"], 1);
    climbed.rules.start = 1;
    let mut world = broken(vec![climbing("a", climbed)]);
    world.boot();
    world.run(LONG);
    assert_eq!(asked(&world, "a"), ["two", "three"]);
}

#[test]
fn rstar_comes_last_or_once_enough_attempts_have_failed_or_never() {
    for (threshold, order) in [
        (9, &["one", "one", "two", "two", "rstar", "rstar"][..]),
        (3, &["one", "one", "two", "rstar", "rstar", "two"]),
        (0, &["one", "one", "two", "two"]),
    ] {
        let mut climbed = ladder(&["one", "two", "rstar"], 2);
        climbed.rules.rstar = threshold;
        let mut world = broken(vec![climbing("a", climbed)]);
        world.propose = Box::new(|_, _, _| End::Declined { why: String::new() });
        world.boot();
        world.run(LONG);
        assert_eq!(asked(&world, "a"), order, "{threshold}");
        let disabled = skips(&world).contains(&("RSTAR".to_owned(), Skip::Disabled));
        assert_eq!(disabled, threshold == 0);
    }
}

#[test]
fn the_old_reading_moves_one_hop_with_every_so_many_failures() {
    let per_hop = |threshold: u32, most: Option<u32>| {
        let mut climbed = ladder(&["k2", "airstar", "rstar"], 3);
        climbed.rules.hops = Hops::PerHop;
        climbed.rules.rstar = threshold;
        climbed.rules.budget.attempts = most;
        let mut world = broken(vec![climbing("a", climbed)]);
        world.propose = Box::new(|_, number, _| match number {
            5 => tried(Verdict::Fixed, number),
            _ => End::Declined { why: String::new() },
        });
        world.boot();
        world.run(LONG);
        world
    };
    let world = per_hop(2, Some(5));
    assert_eq!(asked(&world, "a"), ["k2", "k2", "airstar", "airstar", "rstar"]);
    assert_eq!(
        (closings(&world), roster(&world)),
        (vec!["repaired"], ["save", "AIRSTAR", "RSTAR"].map(String::from).to_vec())
    );
    assert_eq!(asked(&per_hop(1, Some(3)), "a"), ["k2", "airstar", "rstar"]);
    assert_eq!(asked(&per_hop(0, None), "a"), ["k2", "k2", "k2"]);
}

#[test]
fn an_operator_is_warned_once_before_the_third_escalation_is_acted_on() {
    let mut world = broken(vec![climbing("a", ladder(&["one", "two", "three", "four", "five"], 1))]);
    world.boot();
    world.run(LONG);
    assert_eq!(escalations(&world), ["TWO 1", "THREE 2", "FOUR 3", "warned 3", "FIVE 4"]);
}

#[test]
fn who_is_in_trouble_is_left_alone_and_who_is_back_is_asked_again() {
    let mut world = broken(vec![climbing("a", ladder(&["one", "two", "three", "four"], 3))]);
    world.propose = Box::new(|_, number, who| match (who, number) {
        ("agent-one", _) => unavailable(Trouble::Unreachable, None),
        ("agent-two", _) => unavailable(Trouble::Quota, None),
        ("agent-three", 3) => unavailable(Trouble::RateLimited, Some(20_000)),
        ("agent-three", _) => tried(Verdict::Fixed, number),
        _ => tried(Verdict::NotFixed, number),
    });
    world.boot();
    world.run(15_000);
    assert_eq!(asked(&world, "a"), ["one", "two", "three", "four", "four", "four"]);
    assert_eq!(skips(&world), [("TWO".to_owned(), Skip::Quota), ("THREE".to_owned(), Skip::CoolingDown)]);
    assert_eq!(world.status("a"), Status::Repairing, "it waits");
    world.run(LONG);
    assert_eq!(asked(&world, "a").last().unwrap(), "three");
    assert_eq!(closings(&world), ["repaired"]);
}

#[test]
fn nobody_waits_for_longer_than_the_operator_wants() {
    let mut climbed = ladder(&["one"], 3);
    climbed.rules.wait = Millis(5_000);
    let mut world = broken(vec![climbing("a", climbed)]);
    world.propose = Box::new(|_, _, _| unavailable(Trouble::RateLimited, Some(6_000)));
    world.boot();
    world.run(3_000);
    assert_eq!((asked(&world, "a").len(), closings(&world)), (1, vec!["exhausted"]));
}

#[test]
fn what_is_wrong_for_good_is_not_asked_again_before_a_restart() {
    let mut world =
        broken(vec![climbing("a", ladder(&["one", "two"], 2)), climbing("b", ladder(&["one", "two"], 2))]);
    world.propose = Box::new(|_, _, who| match who {
        "agent-one" => unavailable(Trouble::NoModel, None),
        _ => tried(Verdict::NotFixed, 1),
    });
    world.boot();
    world.run(LONG);
    let first = ["a", "b"].map(|name| asked(&world, name).iter().filter(|who| *who == "one").count());
    assert!(first.iter().sum::<usize>() <= 2, "asked by each at most once: {first:?}");
    assert!(skips(&world).contains(&("ONE".to_owned(), Skip::OutOfService)));
}

#[test]
fn an_incident_takes_no_more_than_its_budget() {
    let run = |set: &dyn Fn(&mut Ladder)| {
        let mut climbed = ladder(&["one", "two", "three"], 3);
        climbed
            .rungs
            .iter_mut()
            .for_each(|rung| rung.price = Price { input: Money(1_000_000), output: Money(0) });
        set(&mut climbed);
        let mut world = broken(vec![climbing("a", climbed)]);
        world.tokens = 400_000;
        world.boot();
        world.run(LONG);
        assert_eq!(closings(&world), ["exhausted"]);
        asked(&world, "a").len()
    };
    assert_eq!(run(&|_| {}), 9);
    assert_eq!(run(&|ladder| ladder.rules.budget.attempts = Some(4)), 4);
    assert_eq!(run(&|ladder| ladder.rules.budget.tokens = Some(1_000_000)), 3);
    assert_eq!(run(&|ladder| ladder.rules.budget.money = Some(Money(2_000_000))), 5);
    assert_eq!(run(&|ladder| ladder.rules.budget.time = Some(Millis(700))), 3);
}

#[test]
fn a_long_task_climbs_again_and_again_until_something_holds() {
    let mut climbed = ladder(&["one", "two"], 1);
    climbed.rules.rounds = true;
    let mut world = broken(vec![climbing("a", climbed)]);
    world.propose = Box::new(|_, number, _| match number {
        7 => tried(Verdict::Fixed, number),
        _ => tried(Verdict::NotFixed, number),
    });
    world.boot();
    world.run(LONG);
    assert_eq!(asked(&world, "a"), ["one", "two", "one", "two", "one", "two", "one"]);
    let rounds = world.log.iter().filter_map(|recorded| match recorded.fact {
        Fact::RoundBegan { round, until, .. } => Some((round, until.since(recorded.at).0)),
        _ => None,
    });
    assert_eq!(rounds.collect::<Vec<_>>(), [(2, 5_000), (3, 10_000), (4, 20_000)]);
    assert_eq!(closings(&world), ["repaired"]);
}

#[test]
fn a_long_task_that_is_stopped_leaves_the_roster_as_it_was() {
    let mut climbed = ladder(&["one", "two"], 1);
    climbed.rules.rounds = true;
    let mut world = broken(vec![climbing("a", climbed)]);
    world.boot();
    world.run(3_000);
    assert_eq!(asked(&world, "a").len(), 2, "it waits for its next round");
    world.command(Command::Shutdown("Ctrl-C".to_owned()));
    world.run(1_000);
    assert_eq!(roster(&world), ["save", "TWO", "restore"]);
    assert_eq!((closings(&world), world.alive()), (vec!["withdrawn"], 0));
    let ended = |fact: &Fact| matches!(fact, Fact::BootEnded { .. });
    assert!(ended(&world.log.last().unwrap().fact), "the file is right before the boot is over");
}

#[test]
fn a_halted_boot_leaves_the_roster_as_it_was_before() {
    let mut later = climbing("b", ladder(&["one", "two"], 1));
    later.depends_on = vec![id("a")];
    later.vital = true;
    // The boot waits for the repair of what is vital.
    let first = ComponentPlan { vital: true, ..climbing("a", ladder(&["one", "two"], 1)) };
    let never_ready = Script { exits_after: Some(50), ready_after: LONG, ..Script::default() };
    let mut world = World::new(plan(vec![first, later]), move |_, _| never_ready);
    world.propose = Box::new(|component, number, who| match (component.as_str(), who) {
        ("a", "agent-two") => tried(Verdict::Fixed, number),
        _ => tried(Verdict::NotFixed, number),
    });
    let ill = Rc::new(RefCell::new(0));
    let seen = Rc::clone(&ill);
    world.mended = Box::new(move |_| {
        *seen.borrow_mut() += 1;
        Script::default()
    });
    world.boot();
    world.run(LONG);
    assert!(*ill.borrow() > 0, "`a` was repaired");
    let halted = |fact: &Fact| matches!(fact, Fact::BootHalted { .. });
    assert!(world.log.iter().any(|recorded| halted(&recorded.fact)));
    assert_eq!(roster(&world).last().unwrap(), "restore");
    assert_eq!(world.files.get(&id("a")).copied().map(|files| files != Files::Mixed), Some(true));
}

#[test]
fn after_a_crash_the_roster_is_put_back_before_anybody_is_asked() {
    let mut world = broken(vec![climbing("a", ladder(&["one", "two", "three"], 1))]);
    world.boot();
    while asked(&world, "a").len() < 2 {
        assert!(world.turn(world::BEGIN + LONG));
    }
    // The stack is stopped, and the host dies before the file is put right.
    world.command(Command::Shutdown("test".to_owned()));
    world.crash_and_resume();
    world.run(5_000);
    assert_eq!(roster(&world)[..2], ["save", "TWO"]);
    assert_eq!(roster(&world).last().unwrap(), "restore");
    let before = asked(&world, "a").len();
    world.boot();
    world.run(LONG);
    assert_eq!(roster(&world).iter().filter(|what| *what == "save").count(), 2);
    assert_eq!(asked(&world, "a")[before], "one", "it begins where it was before");
}

#[test]
fn a_roster_that_cannot_be_changed_holds_nobody_up() {
    let mut world = broken(vec![climbing("a", ladder(&["one", "two"], 1))]);
    world.roster_is_stuck = true;
    world.boot();
    world.run(LONG);
    assert_eq!((asked(&world, "a").len(), roster(&world)), (2, vec!["save".to_owned()]));
}

#[test]
fn whoever_has_helped_more_often_is_asked_first_if_the_operator_allows_it() {
    for (bounds, later) in
        [(None, &["one", "two", "one", "two"][..]), (Some(1), &["two", "two", "two", "two"])]
    {
        let mut climbed = ladder(&["one", "two", "three"], 1);
        climbed.rules.reorder = bounds.map(|places| Reorder { places, after: 2 });
        let mut world = broken(vec![climbing("a", climbed)]);
        world.propose = Box::new(|_, number, who| match who {
            "agent-two" => tried(Verdict::Fixed, number),
            _ => tried(Verdict::NotFixed, number),
        });
        // What holds for its canary period is not well for ever.
        world.mended = Box::new(|_| Script { ill_after: Some(20_000), ..Script::default() });
        world.boot();
        world.run(40_000);
        world.crash_and_resume();
        world.run(LONG);
        let mut asked = asked(&world, "a");
        asked.retain(|who| who != "memory");
        // The first failure is of another class than the ones that follow, which are counted by themselves.
        assert_eq!(asked[..6], ["one", "two", "one", "two", "one", "two"], "{bounds:?}");
        assert_eq!(&asked[6..10], later, "{bounds:?}");
        assert!(
            !asked.contains(&"three".to_owned()) && closings(&world).iter().all(|how| *how == "repaired")
        );
    }
}

#[test]
fn an_operator_says_who_is_next() {
    let mut world = broken(vec![climbing("a", ladder(&["one", "two", "rstar"], 2)), component("b")]);
    world.propose = Box::new(|_, number, who| match who {
        "agent-rstar" => tried(Verdict::Fixed, number),
        _ => tried(Verdict::NotFixed, number),
    });
    world.boot();
    while asked(&world, "a").is_empty() {
        assert!(world.turn(world::BEGIN + LONG));
    }
    let escalate = |who: &str| Command::Escalate(id("a"), agent(who), Some("now".to_owned()));
    assert!(matches!(world.command(escalate("nobody")), Some(Refused::NotOnLadder(..))));
    let none = world.command(Command::Escalate(id("b"), agent("one"), None));
    assert!(matches!(none, Some(Refused::NoAgents(_))), "{none:?}");
    assert_eq!(world.command(escalate("rstar")), None);
    world.run(LONG);
    assert_eq!(
        (asked(&world, "a"), closings(&world)),
        (vec!["one".to_owned(), "rstar".to_owned()], vec!["repaired"])
    );

    let mut world = broken(vec![climbing("a", ladder(&["one", "two"], 1))]);
    world.boot();
    world.run(LONG);
    assert_eq!(world.status("a"), Status::Quarantined);
    world.propose = Box::new(|_, number, _| tried(Verdict::Fixed, number));
    assert_eq!(world.command(Command::Escalate(id("a"), agent("two"), None)), None);
    world.run(LONG);
    assert_eq!((asked(&world, "a").last().unwrap().as_str(), world.status("a")), ("two", Status::Ready));
}

/// How one attempt ends in a random world.
fn ending(draw: u8, number: u32) -> End {
    match draw % 12 {
        0 => unavailable(Trouble::Unreachable, None),
        1 => unavailable(Trouble::Quota, None),
        2 => unavailable(Trouble::RateLimited, Some(3_000)),
        3 => unavailable(Trouble::NoModel, None),
        4 => End::failed(Trouble::Nonsense, ""),
        5 => End::failed(Trouble::Crashed, ""),
        6 => End::Declined { why: String::new() },
        7 => End::Refused { code: "x".to_owned(), why: String::new() },
        8 => tried(Verdict::Fixed, number),
        _ => tried(Verdict::NotFixed, number),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// Whatever agents do and whenever the host dies: every ladder ends, nobody is asked more often than he may be, and facts
    /// alone give the same counts (which the world looks at after every run).
    #[test]
    fn every_ladder_ends_within_its_budget(
        draws in prop::collection::vec(any::<u8>(), 1..40),
        attempts in 1_u32..4,
        rungs in 1_usize..6,
        threshold in 0_u32..6,
        per_hop in any::<bool>(),
        holds in any::<bool>(),
        crashes in prop::collection::vec(1_usize..60, 0..4),
    ) {
        let names = ["one", "two", "three", "four", "rstar"];
        let mut climbed = ladder(&names[..rungs], attempts);
        climbed.rules.rstar = threshold;
        climbed.rules.hops = if per_hop { Hops::PerHop } else { Hops::Ladder };
        let most = if per_hop && threshold > 0 { threshold } else { attempts };
        let mut world = broken(vec![climbing("a", climbed)]);
        world.propose = Box::new(move |_, number, _| {
            ending(draws[number as usize % draws.len()], number)
        });
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
        prop_assert_eq!(closings(&world).len(), 1, "{:?}", asked(&world, "a"));
        prop_assert!(matches!(world.status("a"), Status::Ready | Status::Quarantined));
        for name in names {
            let times = asked(&world, "a").iter().filter(|who| *who == name).count();
            prop_assert!(times <= most as usize, "{name} was asked {times} times of {most}");
        }
        let file = roster(&world);
        let repaired = closings(&world) == ["repaired"];
        let climbed = file.iter().any(|what| what != "save" && what != "restore");
        prop_assert!(repaired || !climbed || file.last().unwrap() == "restore", "{:?}", file);
    }

    /// What becomes of one component's repairs is nothing to another's: it asks the same agents in the same order.
    #[test]
    fn one_components_failures_never_move_another(
        draws in prop::collection::vec(6_u8..12, 1..20),
        others in prop::collection::vec(6_u8..12, 1..20),
        threshold in 0_u32..6,
    ) {
        let run = |others: Option<Vec<u8>>| {
            let mut climbed = ladder(&["one", "two", "rstar"], 2);
            climbed.rules.rstar = threshold;
            let mut components = vec![climbing("a", climbed.clone())];
            components.extend(others.is_some().then(|| climbing("b", climbed)));
            let mut world = broken(components);
            let (draws, others) = (draws.clone(), others.unwrap_or_default());
            world.propose = Box::new(move |component, number, _| {
                let draws = if component.as_str() == "a" { &draws } else { &others };
                ending(draws[number as usize % draws.len()], number)
            });
            world.boot();
            world.run(LONG);
            asked(&world, "a")
        };
        prop_assert_eq!(run(None), run(Some(others)));
    }
}
