//! What the supervisor promises of repairs, one story each, in virtual time.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs, reason = "tests")]

mod world;

use razar_core::effect::Effect;
use razar_core::fact::{Closing, Fact, QuarantineReason};
use razar_core::id::{Digest, IncidentId, InstanceId};
use razar_core::incident::{End, Trouble};
use razar_core::patch::Verdict;
use razar_core::plan::{ComponentPlan, Ladder, RepairPlan, RestartPolicy};
use razar_core::supervisor::{Command, Durable, Input, Refused, Stage, Status};
use razar_core::time::{Millis, Timestamp};
use world::{Fate, Files, Script, World, component, id, plan};

/// Longer than launches, attempts and a canary take.
const LONG: u64 = 120_000;

/// Launched twice, then two agents are asked, twice each.
fn repaired(name: &str) -> ComponentPlan {
    let mut component = component(name);
    component.restart = RestartPolicy { retries: 1, backoff: Millis(100), ..RestartPolicy::default() };
    component.repair = Some(RepairPlan {
        ladder: Ladder::of(["agent-one".parse().unwrap(), "agent-two".parse().unwrap()], 2),
        canary: Millis(10_000),
        ..RepairPlan::default()
    });
    component
}

fn crashes() -> Script {
    Script { exits_after: Some(50), ready_after: 100, ..Script::default() }
}

fn broken(components: Vec<ComponentPlan>) -> World {
    World::new(plan(components), |id, _| if id.as_str() == "a" { crashes() } else { Script::default() })
}

fn tried(verdict: Verdict, number: u32) -> End {
    End::Tried { verdict, why: format!("{verdict:?}"), manifest: manifest(number), lines: None }
}

fn manifest(number: u32) -> Digest {
    Digest::of(&number.to_be_bytes())
}

fn files(world: &World) -> Files {
    world.files.get(&id("a")).copied().unwrap_or(Files::Original)
}

fn closings(world: &World) -> Vec<Closing> {
    let closing = |fact: &Fact| match fact {
        Fact::IncidentClosed { outcome, .. } => Some(outcome.clone()),
        _ => None,
    };
    world.log.iter().filter_map(|recorded| closing(&recorded.fact)).collect()
}

/// Who was asked, in order.
fn asked(world: &World) -> Vec<String> {
    let who = |fact: &Fact| match fact {
        Fact::EffectDecided { effect: Effect::Attempt(attempt), .. } => Some(attempt.who.to_string()),
        _ => None,
    };
    world.log.iter().filter_map(|recorded| who(&recorded.fact)).collect()
}

#[test]
fn what_passes_the_trial_is_applied_and_closes_the_incident_when_it_has_held() {
    let mut world = broken(vec![repaired("a"), component("b")]);
    world.propose = Box::new(|_, number, _| match number {
        1 => End::Refused { code: "outside".to_owned(), why: "x.py: it is not below `src`".to_owned() },
        2 => tried(Verdict::NotFixed, 2),
        _ => tried(Verdict::Fixed, 3),
    });
    world.boot();
    world.run(3_000);
    assert_eq!((world.status("a"), world.status("b")), (Status::Ready, Status::Ready));
    assert_eq!(files(&world), Files::Patched(manifest(3)));
    assert_eq!(asked(&world), ["agent-one", "agent-one", "agent-two"]);
    assert!(closings(&world).is_empty(), "it is still watched");
    world.run(LONG);
    assert_eq!(closings(&world), [Closing::Repaired { manifest: manifest(3) }]);
    assert_eq!((world.status("a"), world.launches("a")), (Status::Ready, 3));
}

#[test]
fn what_does_not_hold_is_taken_back_and_the_next_is_asked() {
    let mut world = broken(vec![repaired("a")]);
    world.propose = Box::new(|_, number, _| tried(Verdict::Fixed, number));
    world.mended = Box::new(|patch| {
        let ill_after = (patch != manifest(3)).then_some(2_000);
        Script { ill_after, ..Script::default() }
    });
    world.boot();
    world.run(LONG);
    assert_eq!(files(&world), Files::Patched(manifest(3)));
    assert_eq!(closings(&world), [Closing::Repaired { manifest: manifest(3) }]);
    let reverts = |fact: &Fact| matches!(fact, Fact::EffectDecided { effect: Effect::Revert(_), .. });
    assert_eq!(world.log.iter().filter(|recorded| reverts(&recorded.fact)).count(), 2);
}

#[test]
fn when_nobody_is_left_it_is_quarantined_with_its_own_files() {
    let mut world = broken(vec![repaired("a"), component("b")]);
    world.propose = Box::new(|_, number, who| match (who, number) {
        ("agent-one", _) => End::Unavailable {
            why: "no route to host".to_owned(),
            trouble: Trouble::Unreachable,
            retry_after: None,
        },
        (_, 2) => tried(Verdict::Regressed, 2),
        _ => tried(Verdict::Fixed, 3),
    });
    world.mended = Box::new(|_| crashes());
    world.boot();
    world.run(LONG);
    assert_eq!(asked(&world), ["agent-one", "agent-two", "agent-two"], "who cannot be asked is asked once");
    assert_eq!((files(&world), world.status("a")), (Files::Original, Status::Quarantined));
    assert_eq!(closings(&world), [Closing::Exhausted]);
    let durable = world.state.summary_of(&id("a")).unwrap();
    assert!(durable.reason.unwrap().starts_with(QuarantineReason::NotRepaired.as_str()));
}

#[test]
fn the_boot_waits_for_the_repair_of_what_is_vital_and_for_no_other() {
    for vital in [false, true] {
        let mut later = component("b");
        later.layer = 1;
        let mut world = broken(vec![ComponentPlan { vital, ..repaired("a") }, later]);
        world.propose = Box::new(|_, _, _| tried(Verdict::NotFixed, 1));
        world.boot();
        world.run(700);
        assert_eq!((world.status("a"), world.launches("b")), (Status::Repairing, u32::from(!vital)));
        world.run(LONG);
        let stage = world.state.durable().boot.as_ref().unwrap().stage;
        assert_eq!(stage, if vital { Stage::Ended } else { Stage::Up });
    }
}

#[test]
fn stopping_the_stack_ends_questions_and_keeps_a_patch_under_watch() {
    let mut world = broken(vec![repaired("a")]);
    world.propose = Box::new(|_, number, _| tried(Verdict::Fixed, number));
    world.boot();
    world.run(400);
    assert_eq!(world.status("a"), Status::Repairing);
    world.command(Command::Shutdown("test".to_owned()));
    world.run(1_000);
    assert!(matches!(closings(&world)[..], [Closing::Withdrawn { .. }]), "{:?}", closings(&world));
    assert_eq!(files(&world), Files::Original, "an answer that comes too late changes nothing");

    world.boot();
    world.run(2_000);
    assert_eq!((world.status("a"), files(&world)), (Status::Ready, Files::Patched(manifest(1))));
    world.command(Command::Shutdown("test".to_owned()));
    world.run(1_000);
    world.mended = Box::new(|_| crashes());
    world.boot();
    world.run(500);
    assert_eq!(files(&world), Files::Original, "the canary goes on in the next boot");
}

#[test]
fn files_that_cannot_be_changed_back_stop_everything_about_the_component() {
    let mut world = broken(vec![repaired("a")]);
    world.propose = Box::new(|_, number, _| tried(Verdict::Fixed, number));
    world.mended = Box::new(|_| Script { ill_after: Some(1_000), ..Script::default() });
    world.boot();
    world.run(1_500);
    assert_eq!(world.status("a"), Status::Ready);
    world.read_only = true;
    world.run(LONG);
    assert!(matches!(&closings(&world)[..], [Closing::Stuck { error }] if error.contains("read-only")));
    assert_eq!(world.status("a"), Status::Quarantined);

    let mut world = broken(vec![repaired("a")]);
    world.propose = Box::new(|_, number, _| tried(Verdict::Fixed, number));
    world.read_only = true;
    world.boot();
    world.run(LONG);
    assert_eq!((closings(&world), asked(&world).len()), (vec![Closing::Exhausted], 4));
}

#[test]
fn what_was_put_in_place_in_part_is_taken_back_before_anybody_else_is_asked() {
    let mut world = broken(vec![repaired("a")]);
    world.propose = Box::new(|_, number, _| tried(Verdict::Fixed, number));
    world.breaks_off = true;
    world.boot();
    world.run(LONG);
    assert_eq!((closings(&world), asked(&world).len()), (vec![Closing::Exhausted], 4));
    assert_eq!((files(&world), world.status("a")), (Files::Original, Status::Quarantined));
}

#[test]
fn an_operators_patch_is_tried_beside_the_running_component() {
    let patchable = ComponentPlan { repair: Some(RepairPlan::default()), ..component("a") };
    let mut world = World::new(plan(vec![patchable, component("b")]), |_, _| Script::default());
    world.propose = Box::new(|_, number, who| {
        assert_eq!(who, "operator");
        tried(Verdict::Fixed, number)
    });
    world.boot();
    world.run(1_000);
    let diff = Digest::of(b"diff");
    let refused = world.command(Command::Patch(id("b"), diff));
    assert!(matches!(refused, Some(Refused::NotRepairable(_))), "{refused:?}");
    assert_eq!(world.command(Command::Patch(id("a"), diff)), None);
    world.run(200);
    assert_eq!((world.status("a"), world.alive()), (Status::Ready, 2), "nothing is stopped for a trial");
    let busy = world.command(Command::Patch(id("a"), diff));
    assert!(matches!(busy, Some(Refused::InIncident(..))), "{busy:?}");
    world.run(LONG);
    assert_eq!(closings(&world), [Closing::Repaired { manifest: manifest(1) }]);
    assert_eq!((world.launches("a"), files(&world)), (2, Files::Patched(manifest(1))));

    assert_eq!(world.command(Command::RollBack(id("a"))), None);
    world.run(1_000);
    assert_eq!((files(&world), world.status("a")), (Files::Original, Status::Ready));
    assert_eq!(closings(&world).last(), Some(&Closing::RolledBack));
    let none = world.command(Command::RollBack(id("a")));
    assert!(matches!(none, Some(Refused::NotPatched(_))), "{none:?}");
}

#[test]
fn an_operator_hands_over_what_has_failed_and_nothing_else() {
    let mut world = World::new(plan(vec![repaired("a"), component("b")]), |id, _| {
        if id.as_str() == "a" { crashes() } else { Script::default() }
    });
    world.boot();
    world.run(LONG);
    assert_eq!(world.status("a"), Status::Quarantined);
    let refused = world.command(Command::HandOver(id("b"), None));
    assert!(matches!(refused, Some(Refused::NoAgents(_))), "{refused:?}");
    world.propose = Box::new(|_, number, _| tried(Verdict::Fixed, number));
    assert_eq!(world.command(Command::HandOver(id("a"), None)), None);
    world.run(LONG);
    assert_eq!((world.status("a"), closings(&world).len()), (Status::Ready, 2));
    let refused = world.command(Command::HandOver(id("a"), None));
    assert!(matches!(refused, Some(Refused::NotFailed(_))), "{refused:?}");
}

/// The host dies after every single event, in turn: whatever was under way, files end whole and the component runs or is out.
#[test]
fn a_crash_at_any_moment_leaves_whole_files() {
    let story = |crash_after: Option<usize>, fate: fn(InstanceId) -> Fate| {
        let mut world = broken(vec![repaired("a")]);
        world.propose = Box::new(|_, number, _| tried(Verdict::Fixed, number));
        world.mended = Box::new(|patch| {
            let ill_after = (patch == manifest(1)).then_some(1_000);
            Script { ill_after, ..Script::default() }
        });
        world.fate = fate;
        world.boot();
        let mut turns = 0;
        while world.turn(world::BEGIN + 40_000) {
            turns += 1;
            if crash_after == Some(turns) {
                world.crash_and_resume();
            }
        }
        world.run(LONG);
        (turns, files(&world), world.status("a"))
    };
    for fate in [|_| Fate::Runs, |_| Fate::Ended, |_| Fate::Gone] {
        let (turns, ..) = story(None, fate);
        for at in 1..turns {
            let (_, files, status) = story(Some(at), fate);
            assert!(
                matches!(files, Files::Patched(_)) && status == Status::Ready,
                "crash after event {at}, a process {:?}: {files:?} {status:?}",
                fate(InstanceId(1)),
            );
        }
    }
}

/// What was repaired once is broken again: somebody deploys the old files.
fn break_again(world: &mut World) {
    world.files.insert(id("a"), Files::Original);
    world.command(Command::Restart(id("a")));
    world.run(LONG);
}

#[test]
fn what_has_helped_is_tried_before_anybody_is_asked_and_forgotten_when_it_was_taken_back() {
    let mut world = broken(vec![repaired("a")]);
    world.propose = Box::new(|_, _, _| tried(Verdict::Fixed, 7));
    world.boot();
    world.run(LONG);
    assert_eq!((asked(&world), files(&world)), (vec!["agent-one".to_owned()], Files::Patched(manifest(7))));
    world.propose = Box::new(|_, _, who| {
        assert_eq!(who, "memory", "it costs nothing to ask");
        tried(Verdict::Fixed, 7)
    });
    break_again(&mut world);
    assert_eq!((asked(&world).len(), files(&world)), (2, Files::Patched(manifest(7))));
    world.crash_and_resume();
    break_again(&mut world);
    assert_eq!(
        (asked(&world).len(), world.status("a")),
        (3, Status::Ready),
        "it is remembered after a crash"
    );

    world.propose = Box::new(|_, number, who| match who {
        "memory" => tried(Verdict::NotFixed, 7),
        _ => tried(Verdict::Fixed, 10 + number),
    });
    break_again(&mut world);
    assert_eq!(asked(&world)[3..], ["memory", "agent-one"], "who does not help this time is one attempt");
    assert_eq!(world.command(Command::RollBack(id("a"))), None);
    world.run(LONG);
    let asked = asked(&world);
    assert_eq!(asked[5], "memory", "the older fix is still known: {asked:?}");
    assert_eq!(asked[6], "agent-one", "the one that was taken back is not: {asked:?}");
}

#[test]
fn when_nobody_is_left_the_files_of_a_better_time_are_the_last_resort() {
    last_resort(true);
}

#[test]
fn where_older_code_must_not_meet_newer_data_nobody_goes_back() {
    last_resort(false);
}

fn last_resort(last_good: bool) {
    let version = Digest::of(b"version");
    let mut component = repaired("a");
    component.repair.as_mut().unwrap().last_good = last_good;
    let mut world = World::new(plan(vec![component]), |_, _| Script::default());
    world.boot();
    world.run(LONG);
    let ready = world.log.iter().find_map(|recorded| match recorded.fact {
        Fact::Ready { instance, .. } => Some(instance),
        _ => None,
    });
    let instance = ready.unwrap();
    let kept = |instance| Input::VersionKept { component: id("a"), instance, version };
    assert!(world.feed(kept(InstanceId(instance.0 + 1))).is_none());
    let count = |world: &World| {
        world.log.iter().filter(|recorded| matches!(recorded.fact, Fact::VersionKept { .. })).count()
    };
    assert_eq!(count(&world), 0, "it is another process");
    world.feed(kept(instance));
    world.feed(kept(instance));
    assert_eq!(count(&world), 1, "the same files are kept once");

    world.behave = Box::new(|_, _| crashes());
    world.propose = Box::new(|_, number, who| match who {
        "lastgood" => tried(Verdict::Fixed, number),
        _ => End::Declined { why: "no idea".to_owned() },
    });
    world.command(Command::Restart(id("a")));
    world.run(LONG);
    let agents = ["agent-one", "agent-one", "agent-two", "agent-two"];
    if last_good {
        assert_eq!(asked(&world), [&agents[..], &["lastgood"]].concat());
        assert_eq!((world.status("a"), files(&world)), (Status::Ready, Files::Patched(manifest(5))));
    } else {
        assert_eq!(
            (asked(&world), world.status("a")),
            (agents.map(str::to_owned).into(), Status::Quarantined)
        );
    }
}

#[test]
fn the_newest_recordings_are_kept_and_older_ones_forgotten_each_once() {
    let mut durable = Durable::default();
    let record = |durable: &mut Durable, incident: u64, number: u32| {
        let fact = Fact::CallsRecorded {
            incident: IncidentId(incident),
            component: id("a"),
            calls: manifest(number),
        };
        durable.apply(Timestamp(u64::from(number)), &fact);
    };
    // One of each of 300 incidents: those of the newest 250 are kept.
    for number in 0..300 {
        record(&mut durable, u64::from(number), number);
    }
    assert!(durable.kept_calls().eq((50..300).map(manifest)));
    assert!(durable.old_calls().eq((0..50).map(manifest)));
    // Then so many of one incident that there are more than 500 of all.
    for number in 300..700 {
        record(&mut durable, 300, number);
    }
    assert!(durable.kept_calls().eq((200..700).map(manifest)));
    assert!(durable.old_calls().eq((0..200).map(manifest)));
}
