//! Killed where they say they are: between any two steps of a transaction, an effect, a file. What brings somebody to a
//! place differs, so each has a nudge.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use razar_tests::process::kill;
use razar_tests::repository;
use razar_tests::scene::Run;
use razar_tests::wait;

use crate::long;
use crate::stage::Stage;

/// What brings somebody there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Nudge {
    /// The load does.
    None,
    /// A host that starts.
    Host,
    /// A host that starts and finds a log that is not its own any more.
    TornLog,
    /// A host that starts without a key.
    NoKey,
    /// A launcher that starts.
    Launcher,
}

/// Who dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    Hosts,
    Launchers,
}

/// Places that hosts come to while they run.
const HOSTS: &[(&str, Nudge)] = &[
    ("facts.begun", Nudge::None),
    ("facts.inserted", Nudge::None),
    ("facts.committing", Nudge::None),
    ("facts.committed", Nudge::None),
    ("turn.decided", Nudge::None),
    ("turn.told", Nudge::None),
    ("turn.answered", Nudge::None),
    ("turn.done", Nudge::None),
    ("effect.starting", Nudge::None),
    ("effect.started", Nudge::None),
    ("effect.stopping", Nudge::None),
    ("effect.stopped", Nudge::None),
    ("values.committing", Nudge::None),
    ("values.committed", Nudge::None),
    ("cursor.storing", Nudge::None),
    ("cursor.stored", Nudge::None),
    ("log.writing", Nudge::None),
    ("log.written", Nudge::None),
    ("log.synced", Nudge::None),
    ("replace.created", Nudge::None),
    ("replace.written", Nudge::None),
    ("replace.synced", Nudge::None),
    ("replace.renamed", Nudge::None),
    ("remove.begun", Nudge::None),
    ("remove.done", Nudge::None),
];

/// Places that hosts come to when they start.
const STARTS: &[(&str, Nudge)] = &[
    ("ledger.held", Nudge::Host),
    ("ledger.made", Nudge::Host),
    ("run.remembered", Nudge::Host),
    ("run.connected", Nudge::Host),
    ("run.serving", Nudge::Host),
    ("socket.bound", Nudge::Host),
    ("blob.putting", Nudge::Host),
    ("blob.put", Nudge::Host),
    ("witness.writing", Nudge::Host),
    ("witness.written", Nudge::Host),
    ("log.cutting", Nudge::TornLog),
    ("log.cut", Nudge::TornLog),
    ("aside.made", Nudge::TornLog),
    ("aside.kept", Nudge::TornLog),
    ("key.written", Nudge::NoKey),
    ("key.linked", Nudge::NoKey),
];

/// Places that launchers come to.
const LAUNCHERS: &[(&str, Nudge)] = &[
    ("launcher.locked", Nudge::Launcher),
    ("launcher.listening", Nudge::Launcher),
    ("launcher.adopted", Nudge::Launcher),
    ("start.asked", Nudge::None),
    ("start.piped", Nudge::None),
    ("start.spawned", Nudge::None),
    ("start.recorded", Nudge::None),
    ("record.begun", Nudge::None),
    ("record.written", Nudge::None),
    ("record.renamed", Nudge::None),
    ("stop.asked", Nudge::None),
    ("stop.signaled", Nudge::None),
    ("end.noticed", Nudge::None),
    ("forget.record", Nudge::None),
    ("end.forgotten", Nudge::None),
    ("end.answered", Nudge::None),
];

/// Places of a repair, `repair` kills there; those that commands come to, `commands` and `pins` kill there; those of a log of several MiB and of a patch that is kept,
/// `host/ledger/tests/killed.rs` kills there; and those of a patch that is put in place or taken back, `host/app/tests/mend.rs`
/// kills there.
const ELSEWHERE: &[&str] = &[
    "effect.mending",
    "effect.mended",
    "recording.begun",
    "recording.synced",
    "recording.named",
    "tables.committing",
    "tables.committed",
    "rotate.renaming",
    "rotate.renamed",
    "repair.begun",
    "repair.aside",
    "repair.filling",
    "repair.written",
    "repair.renaming",
    "repair.renamed",
    "backup.begun",
    "backup.copied",
    "backup.named",
    "restore.begun",
    "restore.unpacked",
    "restore.placed",
    "blobs.keeping",
    "blobs.kept",
    "patch.checked",
    "patch.made",
    "patch.created",
    "patch.written",
    "patch.dressed",
    "patch.synced",
    "patch.staged",
    "patch.swapped",
    "patch.replaced",
    "patch.put",
    "patch.taken",
    "patch.moved",
    "patch.swept",
    "patch.unmade",
    "pin.copied",
    "pin.placed",
    "pin.written",
    "pin.locked",
    "unpin.locked",
];

/// One of them killed at each of these places, so many times.
fn killed_at(whose: Whose, places: &[(&'static str, Nudge)], seed: u64) {
    let rounds = if long() { 10 } else { 1 };
    let stage = Stage::new();
    let mut host = stage.run();
    stage.scene.until_booted(1);
    let load = stage.load(seed);
    let mut kills = 0;
    for round in 0..rounds {
        for (place, nudge) in places {
            // A launcher that starts comes there once; whoever works comes there again and again.
            stage.arm(place, if *nudge == Nudge::None { round } else { 0 });
            host = nudged(&stage, host, *nudge);
            let fired = wait::first(|| stage.has_fired().then_some(()));
            assert!(fired.is_some(), "nobody came to `{place}`{}", stage.scene.story());
            if whose == Whose::Hosts {
                let ended = wait::first(|| host.has_ended().then_some(()));
                assert!(ended.is_some(), "the host survived `{place}`");
                stage.look();
                host = stage.run();
            }
            kills += 1;
        }
    }
    let acknowledged = load.end();
    let story = stage.finish(host, &acknowledged);
    eprintln!("{kills} kills at {} places: {story}, confirmed {acknowledged:?}", places.len());
    let effects = places.iter().any(|(place, _)| place.starts_with("effect.") || place.starts_with("start."));
    assert!(story.unknown > 0 || !effects, "not one effect was left open");
}

fn nudged<'s>(stage: &'s Stage, host: Run<'s>, nudge: Nudge) -> Run<'s> {
    match nudge {
        Nudge::None => return host,
        Nudge::Launcher => {
            let launcher = wait::first(|| stage.scene.launcher());
            kill(launcher.expect("a launcher"));
            return host;
        }
        Nudge::Host | Nudge::TornLog | Nudge::NoKey => {}
    }
    host.kill();
    stage.look();
    if nudge == Nudge::TornLog {
        let log = stage.scene.state().join("logs/razar.log");
        let mut text = fs::read(&log).unwrap();
        text.extend_from_slice(b"{\"written by\": \"somebody else");
        fs::write(log, text).unwrap();
    }
    if nudge == Nudge::NoKey {
        fs::remove_dir_all(stage.scene.state().join("keys")).unwrap();
        // Notes of a key that is gone would contradict those of the next.
        let _ = fs::remove_file(stage.scene.path("witness.jsonl"));
    }
    stage.run()
}

#[test]
fn a_host_killed_between_any_two_steps_of_its_work_loses_nothing() {
    killed_at(Whose::Hosts, HOSTS, 0x51ab_3e77);
}

#[test]
fn a_host_killed_at_any_step_of_its_start_is_followed_by_the_next() {
    killed_at(Whose::Hosts, STARTS, 0x0dd_ba11);
}

#[test]
fn a_launcher_killed_between_any_two_steps_starts_nothing_twice_and_leaves_nothing() {
    killed_at(Whose::Launchers, LAUNCHERS, 0xc0f_fee5);
}

#[test]
fn every_place_there_is_has_its_kill() {
    let mut named = BTreeSet::new();
    let mut dirs = vec![repository().join("host")];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                named.extend(places_in(&path));
            }
        }
    }
    let killed: BTreeSet<String> = [HOSTS, STARTS, LAUNCHERS]
        .concat()
        .into_iter()
        .map(|(place, _)| place)
        .chain(ELSEWHERE.iter().copied())
        .map(str::to_owned)
        .collect();
    assert_eq!(named, killed);
}

fn places_in(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap();
    let calls = text.split("failpoint::pass(\"").skip(1);
    calls.map(|call| call.split('"').next().unwrap().to_owned()).collect()
}
