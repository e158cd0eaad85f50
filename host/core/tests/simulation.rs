//! What holds whatever happens: random stacks, random failures, a crash of the host at any event.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs, reason = "tests")]

#[path = "world/fleet.rs"]
mod fleet;
mod world;

use proptest::prelude::*;
use razar_core::plan::ComponentPlan;
use razar_core::supervisor::{Command, Stage, Status};
use world::{Fate, Script, World, asked_by, component, id, plan};

#[derive(Debug, Clone)]
struct Stack {
    components: Vec<ComponentPlan>,
    scripts: Vec<Vec<Script>>,
}

fn script() -> impl Strategy<Value = Script> {
    (
        prop::bool::weighted(0.9),
        any::<bool>(),
        prop_oneof![3 => 0..3_000_u64, 1 => Just(u64::MAX)],
        prop::option::weighted(0.4, 10..30_000_u64),
        prop::option::weighted(0.2, 1_000..30_000_u64),
        prop::option::weighted(0.2, (1_000..5_000_u64, 5_000..60_000_u64)),
        prop::option::weighted(0.2, (0..5_000_u64, 5_000..60_000_u64)),
    )
        .prop_map(|(starts, permanent, ready_after, exits_after, ill_after, flaps, chokes)| Script {
            starts,
            permanent,
            ready_after,
            exits_after,
            ill_after,
            flaps,
            chokes,
        })
}

fn stack() -> impl Strategy<Value = Stack> {
    let one = (
        0..3_u32,
        prop::bool::weighted(0.1),
        any::<u16>(),
        any::<bool>(),
        prop::collection::vec(script(), 1..5),
    );
    prop::collection::vec(one, 1..12).prop_map(|ones| {
        let mut components: Vec<ComponentPlan> = Vec::new();
        let mut scripts = Vec::new();
        for (i, (layer, vital, dependency, readiness, script)) in ones.into_iter().enumerate() {
            let mut plan = component(&format!("c{i}"));
            plan.layer = layer;
            plan.vital = vital;
            if readiness {
                plan.probes.readiness = Some(plan.probes.startup.clone());
            }
            let lower: Vec<_> = components.iter().filter(|other| other.layer <= layer).collect();
            if dependency % 2 == 0 && !lower.is_empty() {
                plan.depends_on = vec![lower[dependency as usize % lower.len()].id.clone()];
            }
            components.push(match dependency % 3 {
                0 => plan,
                1 => asked_by("probe-a", plan),
                _ => asked_by("probe-b", plan),
            });
            scripts.push(script);
        }
        Stack { components, scripts }
    })
}

fn world(stack: &Stack) -> World {
    let scripts = stack.scripts.clone();
    World::new(plan(stack.components.clone()), move |id, launch| {
        let of: &[Script] = &scripts[id.as_str()[1..].parse::<usize>().unwrap()];
        // After its scripted launches a component behaves: what is stuck then is stuck for good.
        of.get(launch as usize - 1).copied().unwrap_or_default()
    })
}

/// An hour passes, and an operator lets every plugin out until none has to be taken out again.
fn settle(world: &mut World) {
    for _ in 0..100 {
        world.run(3_600_000);
        let out: Vec<_> = world.state.plugins_out().collect();
        if out.is_empty() {
            return;
        }
        for out in out {
            world.command(Command::ReleasePlugin(out.plugin, None));
        }
    }
}

fn is_settled(world: &World) -> bool {
    let settled = [
        Status::Ready,
        Status::Flapping,
        Status::Unready,
        Status::Quarantined,
        Status::Blocked,
        Status::Stopped,
    ];
    world.state.summaries().all(|summary| settled.contains(&summary.status))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Nothing is lost or stuck: every component ends ready, quarantined, blocked by one that is, or stopped.
    #[test]
    fn everything_settles(stack in stack()) {
        let mut world = world(&stack);
        world.boot();
        settle(&mut world);
        prop_assert!(is_settled(&world), "{:?}", world.state.summaries().collect::<Vec<_>>());
        let stage = world.state.durable().boot.as_ref().unwrap().stage;
        prop_assert!(matches!(stage, Stage::Up | Stage::Ended));
        world.command(Command::Shutdown("end".to_owned()));
        world.run(60_000);
        prop_assert_eq!(world.alive(), 0);
    }

    /// A crash after any event: the facts give the same state, the next host adopts what runs and hears of what has ended, or does
    /// not; nothing starts twice.
    #[test]
    fn a_crash_at_any_event_is_survived(stack in stack(), crashes in prop::collection::vec(1..400_usize, 1..6)) {
        let mut world = world(&stack);
        world.fate = Fate::mixed;
        world.boot();
        for events in crashes {
            for _ in 0..events {
                world.turn(u64::MAX);
            }
            world.crash_and_resume();
        }
        settle(&mut world);
        prop_assert!(is_settled(&world), "{:?}", world.state.summaries().collect::<Vec<_>>());
    }

    /// Operators may ask for anything at any time.
    #[test]
    fn commands_at_any_time_leave_nothing_stuck(stack in stack(), commands in prop::collection::vec((0..7_u8, 0..12_usize, 1..200_usize), 0..20)) {
        let mut world = world(&stack);
        world.boot();
        for (kind, which, events) in commands {
            let target = id(&format!("c{}", which % stack.components.len()));
            world.command(match kind {
                0 => Command::Start(target),
                1 => Command::Stop(target),
                2 => Command::Restart(target),
                3 => Command::Quarantine(target, None),
                4 => Command::Release(target, None),
                5 => Command::QuarantinePlugin("probe-a".parse().unwrap(), None),
                _ => Command::ReleasePlugin("probe-a".parse().unwrap(), None),
            });
            for _ in 0..events {
                world.turn(u64::MAX);
            }
        }
        settle(&mut world);
        prop_assert!(is_settled(&world), "{:?}", world.state.summaries().collect::<Vec<_>>());
    }
}

#[test]
fn ten_thousand_components_under_random_failures() {
    let (_, first) = fleet::Fleet::new(10_000, 42).run(1_000_000);
    let (_, again) = fleet::Fleet::new(10_000, 42).run(1_000_000);
    let (_, other) = fleet::Fleet::new(10_000, 43).run(1_000_000);
    assert_eq!(first, again, "deterministic from its seed");
    assert_ne!(first.digest, other.digest);
    assert!(first.quarantines > 100 && first.launches > 10_000, "{first:?}");
}

#[test]
fn a_fleet_replays_to_the_same_state() {
    let mut fleet = fleet::Fleet::new(500, 7);
    fleet.log = Some(Vec::new());
    let (mut fleet, _) = fleet.run(200_000);
    let log = fleet.log.take().unwrap();
    let replayed = razar_core::supervisor::State::replay(&fleet.plan, Default::default(), log);
    assert_eq!(replayed.durable(), fleet.state.durable());
}
