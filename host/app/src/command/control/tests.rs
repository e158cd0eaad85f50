//! The commands against a served socket, and against a ledger whose host has gone.

use std::path::Path;
use std::sync::Arc;

use razar_core::supervisor::Stage;

use super::*;
use crate::serve::control::{Control, Limits};
use crate::serve::testing::{ended, fake, ledger, snapshot};

struct Said {
    exit: Exit,
    out: String,
    err: String,
}

fn say(format: Format, run: impl FnOnce(&mut Terminal<'_>) -> io::Result<Exit>) -> Said {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = finish(run(&mut Terminal { out: &mut out, err: &mut err, format }));
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Said { exit, out: text(out), err: text(err) }
}

fn change(state: &Path, change: Change, component: &str) -> Said {
    say(Format::Human, |terminal| try_change(state, change, component, None, terminal))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_host_is_asked() {
    let dir = tempfile::tempdir().unwrap();
    let fake = fake(snapshot(Stage::Up));
    let _control =
        Control::serve(fake.handle.clone(), dir.path().to_owned(), Arc::default(), Limits::default())
            .unwrap();
    let all = say(Format::Human, |terminal| try_status(dir.path(), None, terminal));
    assert_eq!((all.exit, all.err.as_str()), (Exit::Done, ""));
    assert!(
        all.out.starts_with("boot 3 for mission `demo`: up, began 1970-01-01 00:00:00 UTC"),
        "{}",
        all.out
    );
    assert!(all.out.contains("\nweb        quarantined") && !all.out.contains('\u{1b}'), "{}", all.out);
    let one = say(Format::Json, |terminal| try_status(dir.path(), Some("store"), terminal));
    let json: serde_json::Value = serde_json::from_str(&one.out).unwrap();
    assert_eq!(json["components"].as_array().unwrap().len(), 1);
    assert_eq!(json["components"][0]["pid"], 41);
    let nobody = say(Format::Human, |terminal| try_status(dir.path(), Some("nobody"), terminal));
    assert_eq!(nobody.exit, Exit::Usage);
    let list = say(Format::Human, |terminal| try_quarantine_list(dir.path(), terminal));
    assert!(list.out.starts_with("web: all launches failed"), "{}", list.out);
    assert!(list.out.contains("(since 1970-01-01 00:00:02 UTC, "), "{}", list.out);
    let plugin = "\nplugin probe-a: misbehaved repeatedly: ";
    assert!(list.out.contains(plugin) && !list.out.contains('\u{1b}'), "{}", list.out);
    let list = say(Format::Json, |terminal| try_quarantine_list(dir.path(), terminal));
    let json: serde_json::Value = serde_json::from_str(&list.out).unwrap();
    let web = &json["quarantined"][0];
    assert_eq!((&web["component"], &web["since"]), (&"web".into(), &"1970-01-01T00:00:02.000Z".into()));
    assert_eq!((json["quarantined"].as_array().unwrap().len(), &web["class"]), (1, &"dependency".into()));
    let plugin = &json["plugins"][0];
    assert_eq!(
        (&plugin["plugin"], &plugin["since"]),
        (&"probe-a".into(), &"1970-01-01T00:00:03.000Z".into())
    );

    for (plugin, out, exit, says) in [
        ("probe-a", false, Exit::Done, "plugin `probe-a` is released, on probation"),
        ("probe-a", true, Exit::Done, "`razar-host quarantine release --plugin probe-a` lets it out"),
        ("../etc", true, Exit::Usage, "may not contain"),
    ] {
        let said = say(Format::Human, |terminal| try_change_plugin(dir.path(), plugin, out, None, terminal));
        assert_eq!(said.exit, exit, "{plugin}");
        assert!(said.out.contains(says) || said.err.contains(says), "{says}: {} {}", said.out, said.err);
    }
    for (component, kind, exit, says) in [
        ("web", Change::Release, Exit::Done, "on probation"),
        ("web", Change::Stop, Exit::Done, "stays so; `razar-host start web` lets"),
        ("web", Change::Quarantine, Exit::Done, "`razar-host quarantine release web` lets it out"),
        ("nobody", Change::Restart, Exit::Usage, "there is no component `nobody`"),
        ("../etc", Change::Start, Exit::Usage, "may not contain"),
    ] {
        let said = change(dir.path(), kind, component);
        assert_eq!(said.exit, exit, "{component}");
        assert!(said.out.contains(says) || said.err.contains(says), "{says}: {} {}", said.out, said.err);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stop_waits_until_everything_has_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let fake = fake(snapshot(Stage::Up));
    let _control =
        Control::serve(fake.handle.clone(), dir.path().to_owned(), Arc::default(), Limits::default())
            .unwrap();
    let (facts, commands) = (fake.facts, fake.commands);
    let stopping = std::thread::spawn(move || {
        commands.recv().unwrap();
        facts.send(ended(9)).unwrap();
    });
    let said = say(Format::Human, |terminal| try_shutdown(dir.path(), terminal));
    stopping.join().unwrap();
    assert_eq!(said.exit, Exit::Done, "{}", said.err);
    assert!(said.out.ends_with("shutdown system: success\neverything has stopped\n"), "{}", said.out);
}

#[test]
fn without_a_host_looking_reads_the_ledger_and_commands_say_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let empty = say(Format::Human, |terminal| try_status(dir.path(), None, terminal));
    assert_eq!(empty.exit, Exit::Usage);
    assert!(empty.err.starts_with("error: "), "{}", empty.err);
    drop(ledger(dir.path()));
    let seen = say(Format::Human, |terminal| try_status(dir.path(), None, terminal));
    assert_eq!(seen.exit, Exit::Done);
    assert!(seen.err.contains("no host is running here"), "{}", seen.err);
    let told = say(Format::Human, |terminal| try_timeline(dir.path(), None, false, terminal));
    assert_eq!(
        told.out,
        "1970-01-01T00:00:08.000+00:00 shutdown system: started - test\n\
         1970-01-01T00:00:08.000+00:00 shutdown system: success\n"
    );
    for said in [
        change(dir.path(), Change::Restart, "web"),
        say(Format::Human, |terminal| try_shutdown(dir.path(), terminal)),
    ] {
        assert_eq!(said.exit, Exit::Failed);
        assert!(said.err.contains("`razar-host run` starts one"), "{}", said.err);
    }
}

#[test]
fn for_programs_errors_are_objects_too() {
    let dir = tempfile::tempdir().unwrap();
    drop(ledger(dir.path()));
    let nothing = dir.path().join("nothing");
    for (said, exit) in [
        (
            say(Format::Json, |terminal| try_change(dir.path(), Change::Restart, "web", None, terminal)),
            Exit::Failed,
        ),
        (say(Format::Json, |terminal| try_shutdown(dir.path(), terminal)), Exit::Failed),
        (say(Format::Json, |terminal| try_status(&nothing, None, terminal)), Exit::Usage),
    ] {
        assert_eq!((said.exit, said.err.as_str()), (exit, ""));
        let json: serde_json::Value = serde_json::from_str(&said.out).unwrap();
        assert!(json["level"] == "error" && json["message"].is_string(), "{json}");
    }
    let seen = say(Format::Json, |terminal| try_status(dir.path(), None, terminal));
    let note: serde_json::Value = serde_json::from_str(&seen.err).unwrap();
    assert_eq!((seen.exit, &note["level"]), (Exit::Done, &"note".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn looking_at_a_host_that_holds_back_is_no_success() {
    let dir = tempfile::tempdir().unwrap();
    let stuck = Some("the disk is full; free space there".to_owned());
    let fake = fake(crate::drive::Snapshot { stuck, ..snapshot(Stage::Up) });
    let _control =
        Control::serve(fake.handle.clone(), dir.path().to_owned(), Arc::default(), Limits::default())
            .unwrap();
    let seen = say(Format::Human, |terminal| try_status(dir.path(), None, terminal));
    assert_eq!(seen.exit, Exit::Failed);
    assert!(seen.out.contains("store") && seen.err.contains("the disk is full; free space"), "{}", seen.err);
    let seen = say(Format::Json, |terminal| try_status(dir.path(), None, terminal));
    let json: serde_json::Value = serde_json::from_str(&seen.out).unwrap();
    assert_eq!((seen.exit, seen.err.as_str()), (Exit::Failed, ""));
    assert!(json["stuck"].as_str().unwrap().contains("full"), "{json}");
}
