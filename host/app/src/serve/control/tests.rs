//! Real clients on a real socket, the polite ones and the others.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use razar_core::supervisor::{Command, Stage};

use super::*;
use crate::serve::testing::{Fake, ended, fake, id, ledger, snapshot};
use crate::serve::wire::{Answer, MAX_REQUEST};

struct Rig {
    dir: tempfile::TempDir,
    fake: Fake,
    control: Control,
}

fn rig(limits: Limits) -> Rig {
    let dir = tempfile::tempdir().unwrap();
    let fake = fake(snapshot(Stage::Up));
    let control = Control::serve(fake.handle.clone(), dir.path().to_owned(), Arc::default(), limits).unwrap();
    Rig { dir, fake, control }
}

impl Rig {
    fn connect(&self) -> UnixStream {
        let stream = socket::connect(self.dir.path()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    fn ask(&self, line: &str) -> Vec<Answer> {
        let mut stream = self.connect();
        stream.write_all(line.as_bytes()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        BufReader::new(stream).lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect()
    }
}

fn request(kind: &str) -> String {
    format!("{{\"version\":1,\"request\":{{{kind}}}}}\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_reach_the_driver_and_answers_come_back() {
    let rig = rig(Limits::default());
    let answers = rig.ask(&request("\"kind\":\"status\""));
    let [Answer::Status { status }] = answers.as_slice() else { panic!("{answers:?}") };
    assert_eq!(status.components.len(), 2);
    assert!(status.components[1].is_quarantined());
    for (kind, command) in [
        ("start", Command::Start(id("web"))),
        ("stop", Command::Stop(id("web"))),
        ("restart", Command::Restart(id("web"))),
        ("quarantine", Command::Quarantine(id("web"), None)),
        ("release", Command::Release(id("web"), None)),
    ] {
        let answers = rig.ask(&request(&format!("\"kind\":\"{kind}\",\"component\":\"web\"")));
        assert_eq!(answers, [Answer::Done {}], "{kind}");
        assert_eq!(rig.fake.commands.recv().unwrap(), command);
    }
    let answers = rig.ask(&request("\"kind\":\"stop\",\"component\":\"nobody\""));
    assert!(
        matches!(answers.as_slice(), [Answer::Refused { message, unknown: true }] if message.contains("`nobody`"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nonsense_is_answered_by_name_and_costs_nobody_else_anything() {
    let rig = rig(Limits { request: Duration::from_millis(300), ..Limits::default() });
    let long = format!("{{\"version\":1,\"request\":\"{}\"}}\n", "x".repeat(MAX_REQUEST));
    let note =
        request(&format!("\"kind\":\"release\",\"component\":\"web\",\"note\":\"{}\"", "x".repeat(5_000)));
    for (line, says) in [
        ("garbage\n", "not understood"),
        ("\u{0}\u{1}\n", "not understood"),
        ("{\"version\":9,\"request\":{\"kind\":\"status\"}}\n", "use version 1"),
        (&request("\"kind\":\"grant\""), "not understood"),
        (&request("\"kind\":\"status\",\"extra\":1"), "not understood"),
        (&request("\"kind\":\"stop\",\"component\":\"../etc\""), "not understood"),
        ("{\"version\":1", "ends within its line"),
        (&long, "may have"),
        (&note, "a note may have"),
    ] {
        let answers = rig.ask(line);
        assert!(
            matches!(answers.as_slice(), [Answer::Failed { message, version: 1 }] if message.contains(says)),
            "{says}: {answers:?}"
        );
    }
    // Half a line and then silence: sent away in time.
    let mut slow = rig.connect();
    slow.write_all(b"{\"version\"").unwrap();
    let mut said = String::new();
    slow.read_to_string(&mut said).unwrap();
    assert!(said.contains("did not arrive in time"), "{said}");
    assert_eq!(rig.ask(&request("\"kind\":\"status\"")).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_clients_are_served_and_those_beyond_the_limit_are_told() {
    let rig = rig(Limits { clients: 200, ..Limits::default() });
    let mut clients: Vec<_> = (0..200).map(|_| rig.connect()).collect();
    for client in &mut clients {
        client.write_all(request("\"kind\":\"status\"").as_bytes()).unwrap();
    }
    for client in &clients {
        let mut line = String::new();
        BufReader::new(client).read_line(&mut line).unwrap();
        assert!(line.contains("quarantined"), "{line}");
    }
    let mut said = String::new();
    rig.connect().read_to_string(&mut said).unwrap();
    assert!(said.contains("too many clients"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_never_reads_is_sent_away() {
    let rig = rig(Limits { clients: 1, answer: Duration::from_millis(200), ..Limits::default() });
    let mut deaf = rig.connect();
    let asked = request("\"kind\":\"status\"").repeat(4_000);
    deaf.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    // The server stops reading when nobody takes its answers.
    let _ = deaf.write_all(asked.as_bytes());
    let begun = Instant::now();
    loop {
        let mut other = rig.connect();
        let _ = other.write_all(request("\"kind\":\"status\"").as_bytes());
        let mut line = String::new();
        let _ = BufReader::new(other).read_line(&mut line);
        if line.contains("quarantined") {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{line}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutdown_is_answered_when_everything_has_stopped() {
    let rig = rig(Limits::default());
    let mut stream = rig.connect();
    stream.write_all(request("\"kind\":\"shutdown\",\"reason\":\"test\"").as_bytes()).unwrap();
    assert_eq!(rig.fake.commands.recv().unwrap(), Command::Shutdown("test".to_owned()));
    rig.fake.facts.send(ended(4)).unwrap();
    let lines: Vec<Answer> = BufReader::new(stream)
        .lines()
        .take(2)
        .map(|line| serde_json::from_str(&line.unwrap()).unwrap())
        .collect();
    assert!(matches!(&lines[0], Answer::Event { event } if event.event == "shutdown"), "{lines:?}");
    assert_eq!(lines[1], Answer::Done {});
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_timeline_goes_from_the_past_into_the_present_without_a_gap_or_a_repetition() {
    let rig = rig(Limits::default());
    let _ledger = ledger(rig.dir.path());
    let answers = rig.ask(&request("\"kind\":\"timeline\""));
    assert_eq!(answers.len(), 3, "{answers:?}");
    let mut stream = rig.connect();
    stream.write_all(request("\"kind\":\"timeline\",\"follow\":true").as_bytes()).unwrap();
    let mut lines = BufReader::new(stream).lines();
    let mut next = || serde_json::from_str::<Answer>(&lines.next().unwrap().unwrap()).unwrap();
    let seq = |answer: Answer| match answer {
        Answer::Event { event } => event.seq,
        other => panic!("{other:?}"),
    };
    assert_eq!((seq(next()), seq(next())), (1, 3));
    rig.fake.facts.send(ended(3)).unwrap();
    rig.fake.facts.send(ended(4)).unwrap();
    assert_eq!(seq(next()), 4);
    let closing = tokio::spawn(rig.control.close());
    assert_eq!(next(), Answer::Done {});
    closing.await.unwrap();
    assert!(!socket::path(rig.dir.path()).exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_that_is_held_back_is_answered_with_why() {
    let rig = rig(Limits::default());
    let why = "the disk is full; free space there";
    rig.fake.held.send_replace(Some(why.to_owned()));
    let answers = rig.ask(&request("\"kind\":\"shutdown\",\"reason\":\"x\""));
    let [Answer::Failed { message, .. }] = answers.as_slice() else { panic!("{answers:?}") };
    assert!(message.contains(why) && message.contains("this one is kept"), "{message}");
    assert!(message.contains(&rig.dir.path().display().to_string()), "{message}");
}
