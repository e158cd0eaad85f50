//! Calls on the host's and the launcher's files fail while services crash and operators command. The host neither dies
//! nor acts on what it could not record; when the disk works again, everything is as if it always had.

use razar_tests::faults::Faults;
use razar_tests::scene::Scene;
use razar_tests::wait;
use serde_json::json;

use crate::load::ask;
use crate::long;
use crate::stage::Stage;

const EINTR: i32 = 4;
const EIO: i32 = 5;
const ENOSPC: i32 = 28;
const EROFS: i32 = 30;
const EDQUOT: i32 = 122;

/// A write that does half of what it should.
const HALF: i32 = 0;

/// What fails: a call, a part of a path.
const CALLS: &[(&str, &str)] = &[
    ("write", "/state/razar.db-wal"),
    ("sync", "/state/razar.db-wal"),
    ("write", "/state/logs/razar.log"),
    ("sync", "/state/logs/razar.log"),
    ("open", "/state/logs/boot_orchestrator.log"),
    ("open", "/state/logs/.razar-"),
    ("write", "/state/logs/.razar-"),
    ("sync", "/state/logs/.razar-"),
    ("rename", "/state/logs/razar_state.json"),
    ("sync", "/state/logs"),
    ("rename", "/state/quarantine/"),
    ("unlink", "/state/quarantine/"),
    ("write", "/state/docs/"),
    ("open", "/state/run/"),
    ("write", "/state/run/"),
    ("rename", "/state/run/"),
    ("unlink", "/state/run/"),
    ("write", "/state/logs/services/"),
];

/// Everything that would change a file.
const EVERYTHING: &[&str] = &["open", "write", "sync", "truncate", "rename", "unlink", "mkdir"];

fn every_call_fails(numbers: &[i32], skips: std::ops::Range<u64>) {
    let stage = Stage::new();
    let faults = Faults::new(&stage.places);
    let mut host = stage.scene.begin(faults.on(&mut stage.command()));
    stage.scene.until_booted(1);
    let load = stage.load(0x00dd_5eed);
    let mut failed = 0;
    let mut fail = |rules: &str, times: usize| {
        faults.plan(rules);
        let came = wait::first(|| (faults.done() >= times || host.has_ended()).then_some(()));
        assert!(came.is_some(), "nobody came to: {rules}");
        assert!(!host.has_ended(), "the host did not survive: {rules}{}", stage.scene.story());
        failed += faults.done();
        faults.plan("");
    };
    for (call, part) in CALLS {
        for number in numbers.iter().filter(|number| **number != HALF || *call == "write") {
            for skip in skips.clone() {
                // Twice in a row: also what is done about the first failure fails.
                fail(&format!("{call} {part} {skip} 2 {number}\n"), 2);
            }
        }
    }
    for number in [ENOSPC, EROFS, EDQUOT, EIO] {
        let rule = |call: &&str| format!("{call} /state/ 0 1000000 {number}\n");
        fail(&EVERYTHING.iter().map(rule).collect::<String>(), 40);
    }
    let acknowledged = load.end();
    let story = stage.finish(host, &acknowledged);
    eprintln!("{failed} calls failed: {story}, confirmed {acknowledged:?}");
}

#[test]
fn whatever_call_fails_or_is_interrupted_the_host_goes_on_and_loses_nothing() {
    match long() {
        true => every_call_fails(&[EIO, EINTR, ENOSPC, HALF], 0..4),
        false => every_call_fails(&[EIO, EINTR, HALF], 0..1),
    }
}

#[test]
fn a_host_that_starts_on_a_failing_disk_says_so_or_goes_on_and_the_next_one_finds_everything() {
    let stage = Stage::new();
    let faults = Faults::new(&stage.places);
    let host = stage.run();
    stage.scene.until_booted(1);
    host.kill();
    let store = stage.scene.pid("store");
    let at_start =
        |part: &str| part.contains("razar.db") || part.contains("/logs/razar") || part.contains("/.razar-");
    let cases = CALLS.iter().filter(|(_, part)| at_start(part));
    let mut ended = 0;
    for (call, part) in cases {
        for number in [EIO, ENOSPC] {
            faults.plan(&format!("{call} {part} 0 1000000 {number}\n"));
            let mut host = stage.scene.begin(faults.on(&mut stage.command()));
            let status = json!({ "kind": "status" });
            let came = wait::first(|| {
                let serves = faults.done() > 0 && ask(&stage.scene.state(), &status).is_some();
                (serves || host.has_ended()).then_some(())
            });
            assert!(came.is_some() && faults.done() > 0, "{call} {part} {number}: {}", stage.scene.story());
            if host.has_ended() {
                let said = host.end();
                assert!(matches!(said.code, Some(1..=3)), "{call} {part} {number}: {said:?}");
                assert!(said.out.contains("\"level\":\"error\""), "{call} {part} {number}: {said:?}");
                ended += 1;
            } else {
                host.kill();
            }
            stage.look();
        }
    }
    faults.plan("");
    let host = stage.run();
    stage.settle();
    assert_eq!(stage.scene.pids("store"), [store], "what runs does not care");
    let story = stage.finish(host, &Default::default());
    eprintln!("{ended} hosts ended because of the disk: {story}");
}

#[test]
fn a_file_that_could_not_be_written_is_completed_though_nothing_happens_any_more() {
    let scene = Scene::new();
    scene.stack(&["all"], &[scene.web("good", json!({}))]);
    let faults = Faults::new(&scene.path(""));
    let run = scene.begin(faults.on(&mut scene.run_command(&[])));
    scene.until_booted(1);
    faults.plan(&format!("open /state/logs/razar.log 0 1000000 {EIO}\n"));
    let before = scene.file("logs/razar.log");
    scene.touch("good.crash");
    scene.until("it is started again", || scene.pids("good").len() == 2);
    scene.until("it is ready again", || {
        scene.file("logs/boot_orchestrator.log").matches("started successfully").count() == 2
    });
    scene.until("the host says so", || run.complaints().contains("a file for operators is behind"));
    assert_eq!(scene.file("logs/razar.log"), before, "nothing could be written");
    faults.plan("");
    scene.until_logged("recovery", "good", "success", 1);
    scene.until("the host says that it is over", || run.complaints().contains("up to date again"));
    assert_eq!(run.terminate().code, Some(0));
}
