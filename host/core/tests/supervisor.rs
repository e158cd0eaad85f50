//! What the supervisor promises, one story each, in virtual time.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs, reason = "tests")]

mod world;

use razar_core::effect::Effect;
use razar_core::fact::{Fact, QuarantineReason};
use razar_core::failure::FailureKind;
use razar_core::plan::Schedule;
use razar_core::supervisor::{Command, Refused, Stage, Status};
use razar_core::time::{Millis, Timestamp};
use world::{Fate, Script, World, asked_by, component, id, plan};

fn started(fact: &Fact) -> Option<&razar_core::id::ComponentId> {
    match fact {
        Fact::EffectDecided { effect: Effect::Start(start), .. } => Some(&start.component),
        _ => None,
    }
}

fn stopped(fact: &Fact) -> Option<&razar_core::id::ComponentId> {
    match fact {
        Fact::EffectDecided { effect: Effect::Stop(stop), .. } => Some(&stop.component),
        _ => None,
    }
}

fn stage(world: &World) -> Stage {
    world.state.durable().boot.as_ref().unwrap().stage
}

fn three_layers() -> Vec<razar_core::plan::ComponentPlan> {
    let mut store = component("store");
    let mut api = component("api");
    let mut worker = component("worker");
    let mut web = component("web");
    (store.layer, api.layer, worker.layer, web.layer) = (0, 1, 1, 2);
    worker.depends_on = vec![id("api")];
    web.depends_on = vec![id("api")];
    vec![web, worker, api, store]
}

#[test]
fn boots_layer_by_layer_and_stops_in_reverse() {
    let mut world = World::new(plan(three_layers()), |_, _| Script { ready_after: 300, ..Script::default() });
    world.boot();
    world.run(20_000);
    assert_eq!(world.order(started), ["store", "api", "worker", "web"]);
    assert_eq!(stage(&world), Stage::Up);
    world.command(Command::Shutdown("test".to_owned()));
    world.run(1_000);
    assert_eq!(world.order(stopped), ["web", "worker", "api", "store"]);
    assert_eq!((stage(&world), world.alive()), (Stage::Ended, 0));
}

#[test]
fn components_of_one_layer_start_together() {
    let names: Vec<String> = (0..50).map(|i| format!("c{i}")).collect();
    let components = names.iter().map(|name| component(name)).collect();
    let mut world = World::new(plan(components), |_, _| Script::default());
    world.boot();
    assert_eq!(world.order(started).len(), 50);
}

#[test]
fn a_crash_of_a_healthy_service_is_relaunched_at_once() {
    let mut world = World::new(plan(vec![component("a")]), |_, launch| Script {
        exits_after: (launch == 1).then_some(3_000),
        ..Script::default()
    });
    world.boot();
    world.run(3_020);
    assert_eq!((world.launches("a"), world.status("a")), (2, Status::Ready));
    assert_eq!(world.story("a"), ["ready", "failed", "exited", "backing_off", "ready"],);
}

/// J16: it is well for a while each time, so it is never given up.
#[test]
fn ten_thousand_restarts_leave_nothing_behind() {
    let mut world = World::new(plan(vec![component("a")]), |_, _| Script {
        exits_after: Some(700_000),
        ..Script::default()
    });
    world.boot();
    let size = |world: &World| format!("{:?}", world.state).len();
    let mut after_ten = 0;
    while world.launches("a") < 10_000 {
        assert_ne!(world.status("a"), Status::Quarantined, "after {} launches", world.launches("a"));
        // What was recorded is the ledger's: only what the host itself remembers is looked at.
        world.log.clear();
        let end = world.now.0 + 1_000_000;
        while world.turn(end) {}
        if after_ten == 0 && world.launches("a") >= 10 {
            after_ten = size(&world);
        }
    }
    // Numbers have more digits by then.
    assert!(size(&world) <= after_ten + after_ten / 10, "{after_ten} bytes, then {}", size(&world));
}

#[test]
fn a_component_that_never_gets_ready_is_quarantined_and_the_rest_carries_on() {
    let mut blocked = component("blocked");
    blocked.depends_on = vec![id("bad")];
    let mut upper = component("upper");
    upper.layer = 1;
    let components = vec![component("bad"), component("good"), blocked, upper];
    let mut world = World::new(plan(components), |id, _| Script {
        ready_after: if id.as_str() == "bad" { u64::MAX } else { 0 },
        ..Script::default()
    });
    world.boot();
    world.run(60_000);
    assert_eq!(world.launches("bad"), 4, "the first launch and three retries");
    let statuses = ["bad", "good", "blocked", "upper"].map(|name| world.status(name));
    assert_eq!(statuses, [Status::Quarantined, Status::Ready, Status::Blocked, Status::Ready]);
    assert_eq!(stage(&world), Stage::Up);
    world.run(600_000);
    assert_eq!(world.launches("bad"), 4, "nothing restarts out of quarantine");
}

#[test]
fn a_command_that_cannot_start_backs_off_and_ends_in_quarantine() {
    let mut world =
        World::new(plan(vec![component("a")]), |_, _| Script { starts: false, ..Script::default() });
    world.boot();
    world.run(60_000);
    assert_eq!((world.launches("a"), world.status("a")), (4, Status::Quarantined));
    let waits = world.log.iter().filter_map(|r| match &r.fact {
        Fact::BackingOff { until, .. } => Some(until.since(r.at).0),
        _ => None,
    });
    let waits: Vec<u64> = waits.collect();
    assert_eq!(waits.len(), 3);
    for (wait, base) in waits.into_iter().zip([1_000, 2_000, 4_000]) {
        assert!((base..=base + base / 4).contains(&wait), "{wait} for {base}");
    }
}

#[test]
fn what_can_never_start_is_tried_once() {
    let script = Script { starts: false, permanent: true, ..Script::default() };
    let mut world = World::new(plan(vec![component("a"), component("b")]), move |id, _| match id.as_str() {
        "a" => script,
        _ => Script::default(),
    });
    world.boot();
    world.run(60_000);
    assert_eq!((world.launches("a"), world.status("a")), (1, Status::Quarantined));
    assert_eq!(world.story("a"), ["failed", "quarantined"]);
    assert_eq!(world.status("b"), Status::Ready);
    let reason = world.log.iter().find_map(|recorded| match &recorded.fact {
        Fact::Quarantined { reason, .. } => Some(*reason),
        _ => None,
    });
    assert_eq!(reason, Some(QuarantineReason::Unstartable));
}

#[test]
fn a_vital_component_that_fails_for_good_halts_the_boot() {
    let mut vital = component("vital");
    vital.vital = true;
    vital.restart.retries = 0;
    let mut later = component("later");
    later.layer = 1;
    let mut world = World::new(plan(vec![component("other"), vital, later]), |id, _| Script {
        exits_after: (id.as_str() == "vital").then_some(10),
        ready_after: 2_000,
        ..Script::default()
    });
    world.boot();
    world.run(60_000);
    assert_eq!((stage(&world), world.alive(), world.launches("later")), (Stage::Ended, 0, 0));
    assert!(
        world
            .log
            .iter()
            .any(|r| matches!(&r.fact, Fact::BootHalted { component, .. } if component.as_str() == "vital"))
    );
}

#[test]
fn liveness_restarts_only_after_k_of_n() {
    let mut world = World::new(plan(vec![component("a")]), |_, launch| Script {
        ill_after: (launch == 1).then_some(10_000),
        ..Script::default()
    });
    world.boot();
    world.run(11_900);
    assert_eq!(world.launches("a"), 1, "two failures are not three");
    world.run(3_000);
    assert_eq!((world.launches("a"), world.status("a")), (2, Status::Ready));
}

#[test]
fn readiness_gates_dependents_and_restarts_nothing() {
    let mut base = component("base");
    base.probes.readiness = Some(base.probes.startup.clone());
    base.probes.liveness = None;
    let mut user = component("user");
    user.depends_on = vec![id("base")];
    let mut world = World::new(plan(vec![base, user]), |id, _| Script {
        ill_after: (id.as_str() == "base").then_some(10_000),
        ..Script::default()
    });
    world.boot();
    world.run(60_000);
    assert_eq!((world.status("base"), world.launches("base")), (Status::Unready, 1));
    assert_eq!(world.status("user"), Status::Ready);
}

#[test]
fn flapping_is_named_damped_and_over_when_it_is_over() {
    let mut flappy = component("flappy");
    if let Some(liveness) = &mut flappy.probes.liveness {
        liveness.schedule = Schedule { failures: 5, window: 10, ..liveness.schedule };
    }
    let mut world =
        World::new(plan(vec![flappy]), |_, _| Script { flaps: Some((5_000, 40_000)), ..Script::default() });
    world.boot();
    world.run(120_000);
    let story = world.story("flappy");
    assert!(story.contains(&"flapping_started".to_owned()), "{story:?}");
    assert_eq!(world.status("flappy"), Status::Ready);
}

#[test]
fn release_is_a_probation_and_one_failure_ends_it() {
    let mut world = World::new(plan(vec![component("a")]), |_, launch| Script {
        ready_after: if launch <= 4 { u64::MAX } else { 0 },
        exits_after: (launch == 5).then_some(8_000),
        ..Script::default()
    });
    world.boot();
    world.run(60_000);
    assert_eq!(world.command(Command::Release(id("a"), None)), None);
    world.run(1_000);
    assert_eq!(world.status("a"), Status::Ready);
    world.run(10_000);
    assert_eq!((world.status("a"), world.launches("a")), (Status::Quarantined, 5));
    let reasons: Vec<_> = world
        .log
        .iter()
        .filter_map(|r| match &r.fact {
            Fact::Quarantined { reason, .. } => Some(*reason),
            _ => None,
        })
        .collect();
    assert_eq!(reasons, [QuarantineReason::RetriesExhausted, QuarantineReason::Probation]);
    world.command(Command::Release(id("a"), None));
    world.run(120_000);
    assert_eq!(world.status("a"), Status::Ready);
    assert!(world.story("a").contains(&"reinstated".to_owned()));
}

#[test]
fn one_taken_out_while_its_launch_fails_is_launched_again_when_it_is_let_out() {
    let mut world = World::new(plan(vec![component("a")]), |_, launch| Script {
        starts: launch > 1,
        ..Script::default()
    });
    world.boot();
    assert_eq!(world.status("a"), Status::Starting);
    world.command(Command::Quarantine(id("a"), None));
    world.run(1_000);
    assert_eq!(world.story("a"), ["quarantined", "failed"]);
    world.command(Command::Release(id("a"), None));
    world.run(1_000);
    assert_eq!((world.status("a"), world.launches("a")), (Status::Ready, 2));
}

#[test]
fn failures_are_forgiven_by_health() {
    let mut steady = component("a");
    steady.restart.forgive_after = Millis::seconds(100);
    let mut world =
        World::new(plan(vec![steady]), |_, _| Script { exits_after: Some(450_000), ..Script::default() });
    world.boot();
    world.run(20 * 460_000);
    assert!(world.launches("a") >= 19, "{}", world.launches("a"));
    assert_ne!(world.status("a"), Status::Quarantined);
}

#[test]
fn operators_stop_start_restart_and_are_refused_with_the_reason() {
    let mut world = World::new(plan(vec![component("a"), component("b")]), |_, _| Script::default());
    assert_eq!(world.command(Command::Stop(id("a"))), Some(Refused::NotRunning));
    world.boot();
    world.run(1_000);
    assert_eq!(world.command(Command::Stop(id("zz"))), Some(Refused::UnknownComponent(id("zz"))));
    assert_eq!(world.command(Command::Start(id("a"))), Some(Refused::NotStopped(id("a"))));
    assert_eq!(world.command(Command::Stop(id("a"))), None);
    world.run(60_000);
    assert_eq!(
        (world.status("a"), world.launches("a"), world.status("b")),
        (Status::Stopped, 1, Status::Ready)
    );
    assert_eq!(world.command(Command::Stop(id("a"))), Some(Refused::AlreadyStopped(id("a"))));
    assert_eq!(world.command(Command::Start(id("a"))), None);
    world.run(1_000);
    assert_eq!(world.command(Command::Restart(id("b"))), None);
    world.run(1_000);
    assert_eq!((world.launches("a"), world.launches("b")), (2, 2));
    assert_eq!(world.command(Command::Quarantine(id("b"), Some("noisy".to_owned()))), None);
    world.run(1_000);
    assert_eq!((world.status("b"), world.alive()), (Status::Quarantined, 1));
    assert_eq!(world.command(Command::Restart(id("b"))), Some(Refused::Quarantined(id("b"))));
    assert_eq!(world.command(Command::Release(id("a"), None)), Some(Refused::NotQuarantined(id("a"))));
    world.command(Command::Shutdown("bye".to_owned()));
    assert_eq!(world.command(Command::Shutdown("bye".to_owned())), Some(Refused::ShuttingDown));
}

#[test]
fn quarantine_outlives_the_boot() {
    let mut world = World::new(plan(vec![component("bad"), component("good")]), |id, _| Script {
        ready_after: if id.as_str() == "bad" { u64::MAX } else { 0 },
        ..Script::default()
    });
    world.boot();
    world.run(60_000);
    world.command(Command::Shutdown("night".to_owned()));
    world.run(1_000);
    world.crash_and_resume();
    world.run(60_000);
    assert_eq!((world.status("bad"), world.launches("bad")), (Status::Quarantined, 4));
    assert_eq!((world.status("good"), world.launches("good")), (Status::Ready, 2));
}

#[test]
fn the_next_host_adopts_what_runs_and_starts_nothing_twice() {
    let mut world = World::new(plan(three_layers()), |_, _| Script::default());
    world.boot();
    world.run(5_000);
    world.crash_and_resume();
    world.run(20_000);
    for name in ["store", "api", "worker", "web"] {
        assert_eq!((world.launches(name), world.status(name)), (1, Status::Ready), "{name}");
        assert!(world.story(name).contains(&"adopted".to_owned()));
    }
}

#[test]
fn whoever_ended_while_it_was_being_stopped_and_no_host_was_there_is_launched_again() {
    for fate in [|_| Fate::Gone, |_| Fate::Ended] {
        let ill = |_: &_, launch| Script { ill_after: (launch == 1).then_some(1_000), ..Script::default() };
        let mut world = World::new(plan(vec![component("a")]), ill);
        world.fate = fate;
        world.boot();
        let is_stop = |fact: &Fact| matches!(fact, Fact::EffectDecided { effect: Effect::Stop(_), .. });
        while !world.log.iter().any(|recorded| is_stop(&recorded.fact)) {
            assert!(world.turn(u64::MAX), "it fails, and is stopped");
        }
        world.crash_and_resume();
        world.run(20_000);
        assert_eq!((world.launches("a"), world.status("a")), (2, Status::Ready), "{:?}", world.story("a"));
    }
}

fn deadline_passed(world: &World) -> Option<u64> {
    world.log.iter().find_map(|recorded| match &recorded.fact {
        Fact::Failed { failure, .. } if failure.kind == FailureKind::StartupDeadline => Some(recorded.at.0),
        _ => None,
    })
}

#[test]
fn the_next_host_gives_no_second_startup_deadline() {
    let never = |_: &_, _| Script { ready_after: u64::MAX, ..Script::default() };
    let mut alone = World::new(plan(vec![component("a")]), never);
    alone.boot();
    alone.run(6_000);
    let mut handed_on = World::new(plan(vec![component("a")]), never);
    handed_on.boot();
    handed_on.run(3_000);
    handed_on.crash_and_resume();
    handed_on.run(3_000);
    assert!(deadline_passed(&alone).is_some());
    assert_eq!(deadline_passed(&handed_on), deadline_passed(&alone));
}

#[test]
fn a_clock_set_back_while_no_host_was_there_keeps_nobody_waiting_for_it() {
    let mut world = World::new(plan(vec![component("late"), component("down")]), |id, launch| Script {
        ready_after: if id.as_str() == "late" { u64::MAX } else { 0 },
        starts: id.as_str() == "late" || launch > 1,
        ..Script::default()
    });
    world.boot();
    world.run(100);
    assert_eq!((world.launches("down"), world.status("down")), (1, Status::BackingOff));
    world.now = razar_core::time::Timestamp(1);
    world.crash_and_resume();
    world.run(100);
    assert_eq!((world.launches("down"), world.status("down")), (2, Status::Ready), "its back-off is over");
    assert_eq!(world.launches("late"), 1);
    world.run(20_000);
    assert!(world.story("late").contains(&"failed".to_owned()), "its deadline is not in the far future");
}

#[test]
fn whoever_became_ready_while_no_host_was_there_is_asked_before_it_is_judged() {
    let mut world =
        World::new(plan(vec![component("a")]), |_, _| Script { ready_after: 4_500, ..Script::default() });
    world.boot();
    world.run(3_000);
    // Nobody is there while it becomes ready and its deadline passes.
    world.now = Timestamp(world.now.0 + 60_000);
    world.crash_and_resume();
    world.run(3_000);
    assert_eq!((world.launches("a"), world.status("a")), (1, Status::Ready));
    assert_eq!(deadline_passed(&world), None);
}

#[test]
fn whoever_is_still_not_ready_then_is_judged_soon() {
    let mut world =
        World::new(plan(vec![component("a")]), |_, _| Script { ready_after: u64::MAX, ..Script::default() });
    world.boot();
    world.run(3_000);
    world.now = Timestamp(world.now.0 + 60_000);
    let back = world.now.0;
    world.crash_and_resume();
    world.run(6_000);
    assert_eq!(deadline_passed(&world), Some(back + 1_500), "one question and one wait, not five seconds");
}

#[test]
fn an_outdated_process_is_replaced_when_its_configuration_changed() {
    let mut world = World::new(plan(vec![component("a"), component("b")]), |_, _| Script::default());
    world.boot();
    world.run(5_000);
    world.plan.components[0].spec = razar_core::id::Digest::of(b"new");
    world.plan.components.remove(1);
    world.crash_and_resume();
    world.run(20_000);
    assert_eq!((world.launches("a"), world.status("a")), (2, Status::Ready));
    assert_eq!(world.alive(), 1, "what the configuration no longer names is stopped");
}

#[test]
fn what_could_not_be_started_is_no_trouble_of_the_network() {
    let mut world =
        World::new(plan(vec![component("a")]), |_, _| Script { starts: false, ..Script::default() });
    world.boot();
    world.run(100);
    let failed = world.log.iter().find_map(|recorded| match &recorded.fact {
        Fact::Failed { failure, .. } => Some(failure.class),
        _ => None,
    });
    assert_eq!(failed, Some(razar_core::failure::FailureClass::Dependency));
}

fn plugin() -> razar_core::id::PluginId {
    "probe-a".parse().unwrap()
}

fn plugin_story(world: &World) -> Vec<&'static str> {
    let told = world.log.iter().filter_map(|recorded| match &recorded.fact {
        Fact::PluginQuarantined { reason, .. } => Some(reason.as_str()),
        Fact::PluginReleased { .. } => Some("released"),
        Fact::PluginReinstated { .. } => Some("reinstated"),
        _ => None,
    });
    told.collect()
}

fn reason(world: &World, name: &str) -> String {
    world.state.summary_of(&id(name)).unwrap().reason.unwrap_or_default()
}

/// Four components asked about by one plugin, which crashes over those whose names begin so while they are this old.
fn choking(over: &'static str, from: u64, to: u64) -> World {
    let components = ["a1", "a2", "a3", "b1"].map(|name| asked_by("probe-a", component(name)));
    World::new(plan(components.into()), move |id, _| Script {
        chokes: id.as_str().starts_with(over).then_some((from, to)),
        ..Script::default()
    })
}

#[test]
fn a_plugin_that_misbehaves_is_quarantined_and_no_component_fails_for_it() {
    let mut world = choking("", 10_000, u64::MAX);
    world.boot();
    world.run(600_000);
    assert_eq!(plugin_story(&world), [QuarantineReason::Misbehaved.as_str()]);
    let out = world.state.plugins_out().next().unwrap();
    assert_eq!((out.plugin, out.reason.as_str()), (plugin(), "misbehaved repeatedly: probe: a trap"));
    for name in ["a1", "a2", "a3", "b1"] {
        assert_eq!((world.launches(name), world.status(name)), (1, Status::Ready), "{name}");
        assert_eq!(world.story(name), ["ready"], "{name}");
        assert_eq!(reason(&world, name), "health unknown: plugin `probe-a` is quarantined: probe: a trap");
        assert!(world.state.watches(&id(name)).is_empty(), "nobody asks it anything");
    }
}

#[test]
fn a_crash_or_two_in_ten_calls_say_nothing() {
    // Two questions each fall into the window.
    let mut world = choking("", 10_000, 11_999);
    world.boot();
    world.run(600_000);
    assert_eq!(plugin_story(&world), [""; 0]);
    assert!(["a1", "b1"].iter().all(|name| world.story(name) == ["ready"]));
}

#[test]
fn one_component_that_chokes_a_plugin_does_not_take_it_from_the_others() {
    let mut world = choking("b", 10_000, u64::MAX);
    world.boot();
    world.run(120_000);
    assert_eq!(plugin_story(&world), [""; 0]);
    let story = world.story("b1");
    assert_eq!(story[..3], ["ready", "health_changed", "failed"], "{story:?}");
    assert!(world.log.iter().any(|recorded| matches!(&recorded.fact,
        Fact::Failed { failure, .. } if failure.kind == FailureKind::Liveness && failure.error == "probe: a trap")));
    assert!(["a1", "a2", "a3"].iter().all(|name| world.story(name) == ["ready"]));
}

#[test]
fn nobody_is_late_while_the_plugin_that_would_say_so_is_out() {
    let mut world = choking("", 0, 120_000);
    world.boot();
    world.run(60_000);
    assert_eq!(plugin_story(&world).len(), 1);
    assert_eq!(
        (world.status("a1"), world.launches("a1")),
        (Status::Starting, 1),
        "the deadline of 5 s is over"
    );
    // On probation one more is enough.
    assert_eq!(world.command(Command::ReleasePlugin(plugin(), None)), None);
    world.run(30_000);
    let reasons = [QuarantineReason::Misbehaved, QuarantineReason::Probation].map(QuarantineReason::as_str);
    assert_eq!(plugin_story(&world), [reasons[0], "released", reasons[1]]);
    world.run(60_000);
    assert_eq!(world.command(Command::ReleasePlugin(plugin(), Some("fixed".to_owned()))), None);
    world.run(30_000);
    assert_eq!((world.status("a1"), world.launches("a1")), (Status::Ready, 1));
    assert_eq!(plugin_story(&world).last(), Some(&"released"), "trusted after a minute, not before");
    world.run(60_000);
    assert_eq!(plugin_story(&world).last(), Some(&"reinstated"));
}

#[test]
fn whoever_is_not_ready_when_a_plugin_is_released_has_its_whole_time() {
    let mut world = World::new(plan(vec![asked_by("probe-a", component("a"))]), |_, _| Script {
        ready_after: u64::MAX,
        ..Script::default()
    });
    world.boot();
    world.run(1_000);
    assert_eq!(world.command(Command::QuarantinePlugin(plugin(), None)), None);
    world.run(60_000);
    let released = world.now.0;
    world.command(Command::ReleasePlugin(plugin(), None));
    world.run(5_500);
    assert_eq!(deadline_passed(&world), Some(released + 5_000));
}

#[test]
fn a_plugins_quarantine_outlives_host_and_boot() {
    let mut world = choking("", 10_000, u64::MAX);
    world.boot();
    world.run(60_000);
    world.crash_and_resume();
    world.run(60_000);
    world.command(Command::Shutdown("night".to_owned()));
    world.run(1_000);
    world.crash_and_resume();
    world.run(60_000);
    assert_eq!((plugin_story(&world).len(), world.state.plugins_out().count()), (1, 1));
    assert_eq!(world.status("a1"), Status::Starting, "nobody says that it is ready");
}

#[test]
fn operators_take_plugins_out_and_are_refused_with_the_reason() {
    let mut world = choking("", u64::MAX, u64::MAX);
    world.boot();
    world.run(10_000);
    let (quarantine, release) = (
        || Command::QuarantinePlugin(plugin(), Some("noisy".to_owned())),
        || Command::ReleasePlugin(plugin(), None),
    );
    assert_eq!(world.command(release()), Some(Refused::PluginNotQuarantined(plugin())));
    let unknown: razar_core::id::PluginId = "probe-z".parse().unwrap();
    let refused = world.command(Command::QuarantinePlugin(unknown.clone(), None));
    assert_eq!(refused, Some(Refused::UnknownPlugin(unknown)));
    assert_eq!(world.command(quarantine()), None);
    assert_eq!(world.command(quarantine()), Some(Refused::PluginQuarantined(plugin())));
    assert_eq!(world.state.plugins_out().next().unwrap().reason, "noisy");
    assert_eq!(world.command(release()), None);
    world.run(61_000);
    assert_eq!(plugin_story(&world).last(), Some(&"reinstated"));
}
