//! Alerts that are delivered: to files, to a web server that fails at first, to a mail relay; by couriers that die, wait and
//! give up.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use razar_core::fact::{Fact, QuarantineReason};
use razar_core::failure::{Failure, FailureClass, FailureKind};
use razar_core::time::Timestamp;
use razar_ledger::Ledger;
use serde_json::{Value, json};

use super::courier::{Courier, REFUSALS, WAITING, position};
use super::file::Files;
use super::mail::Mail;
use super::told::{Alert, told};
use super::webhook::Webhook;
use super::*;

/// Known to the host, in no shape that a table has.
const SECRET: &str = "c4nary-of-the-grants";

fn quarantined(component: &str) -> Fact {
    let error = format!("login with {SECRET} failed; password=c4nary-by-shape");
    Fact::Quarantined {
        component: component.parse().unwrap(),
        reason: QuarantineReason::RetriesExhausted,
        failure: Failure { kind: FailureKind::Exited, class: FailureClass::External, error },
        attempts: 4,
    }
}

fn courier(way: impl Way, state: &Path) -> Courier {
    let secrets = Arc::new(BTreeSet::from([SECRET.to_owned()]));
    Courier::new(Box::new(way), state, secrets).unwrap().impatient(Duration::from_millis(20))
}

/// A courier at work, woken and ended by the sender.
fn begin(courier: Courier) -> (Sender<()>, JoinHandle<()>) {
    let (wake, woken) = channel();
    (wake, std::thread::spawn(move || courier.run(&woken)))
}

#[track_caller]
fn until(what: &str, condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < Duration::from_secs(60), "waited in vain for: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Takes alerts, or does with them what the test says.
struct Odd<F>(&'static str, F);

impl<F: FnMut(&Alert) -> Result<(), Fault> + Send + 'static> Way for Odd<F> {
    fn name(&self) -> &'static str {
        self.0
    }
    fn send(&mut self, alert: &Alert) -> Result<(), Fault> {
        self.1(alert)
    }
}

fn kept() -> (Sender<Alert>, Receiver<Alert>) {
    channel()
}

/// A web server that answers with these statuses, one after the other and then the last one for ever.
fn web(statuses: &'static [u16]) -> (String, Arc<Mutex<Vec<Value>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook?token=c4nary-of-the-url", listener.local_addr().unwrap());
    let bodies: Arc<Mutex<Vec<Value>>> = Arc::default();
    let seen = Arc::clone(&bodies);
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let mut stream = stream.unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut line, mut length) = (String::new(), 0);
            while reader.read_line(&mut line).unwrap() > 2 {
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                line.clear();
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            seen.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
            let status = statuses.get(number).or(statuses.last()).unwrap();
            let answer = format!("HTTP/1.1 {status} So\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    (url, bodies)
}

#[test]
fn a_web_server_that_fails_twice_gets_every_alert_and_no_secret() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open(dir.path()).unwrap();
    ledger.append(Timestamp(1), &[quarantined("before-it-was-set-up")]).unwrap();
    let (url, bodies) = web(&[503, 429, 204]);
    let (wake, thread) = begin(courier(Webhook::new(&url).unwrap(), dir.path()));
    let at = Timestamp(1_795_225_297_273);
    ledger.append(at, &[quarantined("web"), quarantined("store")]).unwrap();
    wake.send(()).unwrap();
    until("both are taken", || bodies.lock().unwrap().len() == 4);
    drop(wake);
    thread.join().unwrap();

    let bodies = bodies.lock().unwrap();
    let about: Vec<_> = bodies.iter().map(|body| body["context"]["component"].as_str().unwrap()).collect();
    assert_eq!(about, ["web", "web", "web", "store"]);
    let mut body = bodies[0].clone();
    let error = body["context"]["error"].take();
    assert_eq!(
        body,
        json!({
            "message": "Component web quarantined: all launches failed", "severity": "critical",
            "timestamp": 1_795_225_297.273, "timestamp_iso": "2026-11-21T01:41:37Z",
            "context": {
                "component": "web", "error": null, "class": "external", "attempts": 4, "fact": 2,
                "hint": "Check network connectivity and external service status.",
            },
        })
    );
    assert_eq!(error, "login with [redacted-1] failed; password=[redacted-2]");
    assert_eq!(position::load(dir.path(), "webhook"), Some(3));
}

#[test]
fn nothing_that_is_said_about_a_webhook_repeats_its_url() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open(dir.path()).unwrap();
    let recorded = ledger.append(Timestamp(1), &[quarantined("web")]).unwrap();
    let alert = told(&recorded[0]).unwrap();
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (refusing, _) = web(&[404]);
    for url in [format!("http://{gone}/c4nary"), refusing] {
        let fault = Webhook::new(&url).unwrap().send(&alert).unwrap_err();
        assert!(!format!("{fault:?}").contains("c4nary"), "{fault:?}");
        assert_eq!(matches!(fault, Fault::Refused(_)), url.contains("token"), "{fault:?}");
    }
}

/// One conversation with a mail relay: the envelope and the message, or nothing when it is too busy.
fn converse(stream: TcpStream, busy: bool) -> Option<(Vec<String>, String)> {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut writer = stream;
    let mut say = |text: &str| writer.write_all(format!("{text}\r\n").as_bytes()).unwrap();
    if busy {
        say("421 too busy");
        return None;
    }
    say("220 relay.test ESMTP");
    let (mut envelope, mut line) = (Vec::new(), String::new());
    loop {
        line.clear();
        if reader.read_line(&mut line).unwrap() == 0 {
            return None;
        }
        match line.get(..4).unwrap_or_default() {
            "EHLO" => say("250 relay.test"),
            "MAIL" | "RCPT" => {
                envelope.push(line.trim().to_owned());
                say("250 OK");
            }
            "DATA" => {
                say("354 go on");
                let mut message = String::new();
                loop {
                    line.clear();
                    reader.read_line(&mut line).unwrap();
                    if line == ".\r\n" {
                        break;
                    }
                    message.push_str(&line);
                }
                say("250 taken");
                return Some((envelope, message));
            }
            other => panic!("{other}"),
        }
    }
}

#[test]
fn a_mail_relay_that_is_too_busy_at_first_gets_the_alert() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open(dir.path()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let relay = std::thread::spawn(move || {
        let mut streams = listener.incoming();
        assert!(converse(streams.next().unwrap().unwrap(), true).is_none());
        converse(streams.next().unwrap().unwrap(), false).unwrap()
    });
    let (from, to) = ("razar@localhost".parse().unwrap(), "ops@example.com, b@example.com".parse().unwrap());
    let mail = Mail::new(from, to, "127.0.0.1", port).unwrap();
    let (wake, thread) = begin(courier(mail, dir.path()));
    let halted = Fact::BootHalted {
        boot: razar_core::id::BootId(7),
        component: "store".parse().unwrap(),
        reason: format!("no port for {SECRET}\r\n.\r\nQUIT"),
    };
    ledger.append(Timestamp(1_795_225_297_273), &[halted]).unwrap();
    wake.send(()).unwrap();
    let (envelope, message) = relay.join().unwrap();
    drop(wake);
    thread.join().unwrap();

    let recipients = ["RCPT TO:<ops@example.com>", "RCPT TO:<b@example.com>"];
    assert!(envelope[0].starts_with("MAIL FROM:<razar@localhost>"), "{envelope:?}");
    assert_eq!(envelope[1..], recipients);
    for part in [
        "Subject: [RAZAR] CRITICAL alert\r\n",
        "From: razar@localhost\r\n",
        "Message-ID: <razar.1.1795225297273@localhost>\r\n",
        "Boot sequence halted; configuration rolled back to safe defaults\r\n",
        "\"component\": \"store\"",
        "no port for [redacted-1]",
    ] {
        assert!(message.contains(part), "`{part}` is not in {message}");
    }
    assert!(!message.contains("c4nary"), "{message}");
    assert_eq!(position::load(dir.path(), "mail"), Some(1));
}

#[test]
fn a_courier_that_dies_between_delivery_and_note_repeats_one_and_loses_none() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open(dir.path()).unwrap();
    let (told_to, told) = kept();
    let dying = |told_to: Sender<Alert>, after: usize| {
        let mut left = after;
        Odd("webhook", move |alert: &Alert| {
            told_to.send(alert.clone()).unwrap();
            assert!(left > 0, "killed");
            left -= 1;
            Ok(())
        })
    };
    let (wake, thread) = begin(courier(dying(told_to.clone(), 1), dir.path()));
    let facts = ["a", "b", "c"].map(quarantined);
    ledger.append(Timestamp(1), &facts).unwrap();
    wake.send(()).unwrap();
    thread.join().expect_err("it dies of the second");
    // Recorded while nobody was there.
    ledger.append(Timestamp(2), &[quarantined("d")]).unwrap();
    let (wake, thread) = begin(courier(dying(told_to, 9), dir.path()));
    drop(wake);
    thread.join().unwrap();
    let order: Vec<u64> = told.try_iter().map(|alert| alert.fact).collect();
    assert_eq!(order, [1, 2, 2, 3, 4]);
}

#[test]
fn what_waits_is_bounded_and_what_is_refused_again_and_again_is_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open(dir.path()).unwrap();
    let (told_to, told) = kept();
    let mut tries = 0;
    let picky = Odd("mail", move |alert: &Alert| {
        tries += 1;
        told_to.send(alert.clone()).unwrap();
        match tries {
            1 => Err(Fault::Away("not yet".to_owned())),
            _ if tries <= REFUSALS + 1 => Err(Fault::Refused("not this one".to_owned())),
            _ => Ok(()),
        }
    });
    let courier = courier(picky, dir.path());
    let facts: Vec<Fact> = (0..WAITING + 20).map(|number| quarantined(&format!("c-{number}"))).collect();
    ledger.append(Timestamp(1), &facts).unwrap();
    let (wake, thread) = begin(courier);
    let mut order = Vec::new();
    let tried = WAITING + REFUSALS as usize;
    while order.len() < tried {
        order.push(told.recv_timeout(Duration::from_secs(60)).unwrap().fact);
    }
    drop(wake);
    thread.join().unwrap();
    assert_eq!(order[..=REFUSALS as usize], [21; REFUSALS as usize + 1]);
    assert!(order[REFUSALS as usize..].is_sorted() && order.last() == Some(&120), "{order:?}");
}

#[test]
fn files_are_whole_unique_bounded_and_the_operators_own() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open(dir.path()).unwrap();
    let alerts = dir.path().join(DIR);
    let mut way = Files::new(dir.path());
    let recorded = ledger.append(Timestamp(1_000), &[quarantined("a"), quarantined("b")]).unwrap();
    for recorded in recorded.iter().chain(&recorded) {
        way.send(&told(recorded).unwrap()).unwrap();
    }
    let names = || {
        let names = fs::read_dir(&alerts).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    };
    assert_eq!(names(), ["razar_1000.json", "razar_1001.json"], "a repeated one is the same file");
    let text = fs::read_to_string(alerts.join("razar_1000.json")).unwrap();
    assert!(text.starts_with("{\n  \"message\": \"Component a quarantined"), "{text}");

    fs::write(alerts.join("razar_failover.yml"), "somebody's").unwrap();
    for millis in 2_000..2_250 {
        let recorded = ledger.append(Timestamp(millis), &[quarantined("a")]).unwrap();
        way.send(&told(&recorded[0]).unwrap()).unwrap();
    }
    let names = names();
    assert_eq!((names.len(), names[0].as_str()), (201, "razar_2050.json"));
    assert_eq!(names[200], "razar_failover.yml");
}

#[test]
fn only_what_somebody_must_know_is_an_alert() {
    let recorded = |fact| razar_core::fact::Recorded { seq: 1, at: Timestamp(1), fact };
    let by_hand = match quarantined("a") {
        Fact::Quarantined { component, failure, attempts, .. } => {
            Fact::Quarantined { component, reason: QuarantineReason::Operator, failure, attempts }
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(told(&recorded(by_hand)), None);
    assert_eq!(told(&recorded(Fact::Stopped { component: "a".parse().unwrap() })), None);
}
