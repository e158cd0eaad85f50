//! What is shown, to the letter.

use razar_core::count::counted;
use razar_core::fact::{Closing, Fact, QuarantineReason, Recorded};
use razar_core::failure::{Failure, FailureClass, FailureKind};
use razar_core::id::IncidentId;
use razar_core::supervisor::{Stage, Status};
use razar_core::time::{Millis, Timestamp};
use tokio::sync::{broadcast, watch};

use super::live::{Form, Report};
use super::summary::{Ending, Left, Outcome, summary};
use super::words::Teller;
use super::{screen, table};
use crate::serve::testing::{component, ended, fake, id, snapshot};
use crate::serve::wire::StatusView;

const NOW: Timestamp = Timestamp(3_400);

fn quarantined() -> Recorded {
    let failure = Failure {
        kind: FailureKind::Exited,
        class: FailureClass::Dependency,
        error: "No module named 'x'\u{1b}[31m".to_owned(),
    };
    let reason = QuarantineReason::RetriesExhausted;
    let fact = Fact::Quarantined { component: id("web"), reason, failure, attempts: 4 };
    Recorded { seq: 2, at: Timestamp(1_795_225_297_007), fact }
}

#[test]
fn the_table_is_aligned_and_harmless() {
    let view = StatusView::from(&snapshot(Stage::Up));
    assert_eq!(
        table::table(&view.components, NOW),
        "COMPONENT  STATE        SINCE  PID  LAUNCHES  REASON\n\
         store      ready        2.4 s  41   1\n\
         web        quarantined  -      -    1         all launches failed: \\u{1b}[2Jgone\\nfake line\n"
    );
}

#[test]
fn the_frame_fits_the_terminal_and_shows_first_what_is_wrong() {
    assert_eq!(
        screen::frame(&snapshot(Stage::Up), NOW, 24, 60),
        [
            "boot 3 · demo · up · 1/2 ready · 2.9 s",
            "+ store ready              2.4 s",
            "x web   quarantined               all launches failed: \\u{…",
        ]
    );
    let mut many = snapshot(Stage::Up);
    many.components = (0..100).map(|n| component(&format!("c{n}"), Status::Ready, None)).collect();
    many.components.push(component("last", Status::Unready, None));
    for rows in 1..40 {
        assert!(screen::frame(&many, NOW, rows, 80).len() <= rows, "{rows}");
    }
    let frame = screen::frame(&many, NOW, 5, 80);
    assert!(frame[1].starts_with("! last"), "{frame:?}");
    assert!(frame.last().unwrap().contains("and 99 more"), "{frame:?}");
}

#[test]
fn the_timeline_speaks_the_words_of_the_mission_log() {
    assert_eq!(
        Teller::default().event(&quarantined()).unwrap().line(),
        "2026-11-21T01:41:37.007+00:00 quarantine web: quarantined - all launches failed: No module named \
         'x'\\u{1b}[31m"
    );
}

#[test]
fn the_summary_says_who_is_missing_why_and_what_helps() {
    // Nothing failed in this run: an earlier host has seen it, and facts remember it.
    let ending = Ending::new(&snapshot(Stage::Up), Outcome::Stopped, Millis(65_000), |_| None);
    assert_eq!(
        summary(&ending),
        "boot 3 for mission `demo`: stopped after 1 min 5 s, booted in 2.5 s; 1 of 2 components had been ready\n  \
           ready        store\n  \
           quarantined  web [dependency]: all launches failed: \\u{1b}[2Jgone\\nfake line\n               \
                        hint: Install missing packages or verify the environment.\n               \
                        `razar-host quarantine release web` lets it out\n"
    );
}

#[test]
fn the_summary_tells_how_it_ended() {
    let mut one = snapshot(Stage::Up);
    one.components.truncate(1);
    one.boot.as_mut().unwrap().took = None;
    let said = |outcome| {
        let ending = Ending::new(&one, outcome, Millis(900), |_| None);
        summary(&ending).lines().next().unwrap().to_owned()
    };
    assert_eq!(
        said(Outcome::Stopped),
        "boot 3 for mission `demo`: stopped after 900 ms; 1 of 1 component had been ready"
    );
    assert_eq!(
        said(Outcome::LeftRunning),
        "boot 3 for mission `demo`: left running after 900 ms; 1 of 1 component ready"
    );
    let class = |_: &str| Some(FailureClass::Logic);
    let ending = Ending::new(&snapshot(Stage::Up), Outcome::Stopped, Millis(0), class);
    assert_eq!(ending.quarantined[0].class, Some("logic"), "what this run saw is newer");
}

#[test]
fn what_was_under_way_in_an_incident_is_told_as_it_ended() {
    let mut busy = snapshot(Stage::Up);
    busy.components = vec![component("shop", Status::Repairing, Some("incident 4: attempt 1 is under way"))];
    for (left, said) in [
        (Left::open(IncidentId(4), &id("shop")), "is open: the next `razar-host run` goes on with it"),
        (
            Left::given_up(IncidentId(4), &id("shop")),
            "was given up with the run: the next `razar-host run` starts shop",
        ),
    ] {
        let mut ending = Ending::new(&busy, Outcome::Stopped, Millis(900), |_| None);
        ending.leave(vec![left]);
        let told = summary(&ending);
        assert!(told.contains(&format!("  incident 4 of shop {said}")), "{told}");
        assert!(told.contains("  repairing    shop\n") && !told.contains("under way"), "{told}");
    }
}

async fn shown(form: Form) -> String {
    let fake = fake(snapshot(Stage::Up));
    let facts = fake.handle.subscribe();
    fake.facts.send(quarantined()).unwrap();
    fake.facts.send(ended(3)).unwrap();
    let (_over, seen) = watch::channel(false);
    let mut out = Vec::new();
    Report::new(&mut out, form).run(fake.handle.clone(), facts, seen).await.unwrap();
    String::from_utf8(out).unwrap()
}

#[tokio::test]
async fn each_form_tells_the_same_and_the_cursor_comes_back() {
    let plain = shown(Form::Plain).await;
    assert!(plain.starts_with("01:41:37 web: quarantined, all launches failed: No module"), "{plain}");
    assert!(plain.contains("\n00:00:09 system: everything has stopped\nboot 3"), "{plain}");
    assert!(!plain.contains('\u{1b}'), "{plain}");
    let json = shown(Form::Json).await;
    let lines: Vec<serde_json::Value> =
        json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3);
    let summary = &lines[2]["summary"];
    assert_eq!((&summary["outcome"], &summary["boot_took_ms"]), (&"stopped".into(), &2_500.into()));
    assert!(summary["lasted_ms"].is_u64(), "{summary}");
    assert_eq!(summary["quarantined"][0]["class"], "dependency");
    let live = shown(Form::Live).await;
    assert!(live.starts_with("\u{1b}[?25l") && live.ends_with("\u{1b}[?25h"), "{live:?}");
}

#[tokio::test]
async fn what_was_missed_is_said() {
    let fake = fake(snapshot(Stage::Up));
    let (facts, behind) = broadcast::channel(1);
    facts.send(quarantined()).unwrap();
    facts.send(ended(3)).unwrap();
    let (_over, seen) = watch::channel(false);
    let mut out = Vec::new();
    Report::new(&mut out, Form::Plain).run(fake.handle.clone(), behind, seen).await.unwrap();
    assert!(String::from_utf8(out).unwrap().contains("1 fact not shown"));
}

/// The last lines when an incident was opened, these facts were missed, and then a driver showed this stage and no incident.
async fn last_lines(stage: Stage, before: &[Fact], missed: &[Fact]) -> String {
    let fake = fake(snapshot(stage));
    let recorded = |fact: &Fact| Recorded { seq: 1, at: NOW, fact: fact.clone() };
    let room = before.len().max(missed.len()).next_power_of_two();
    let (facts, seen) = broadcast::channel(room);
    let tell = |recorded: Recorded| assert!(facts.send(recorded).is_ok());
    before.iter().for_each(|fact| tell(recorded(fact)));
    let (_over, over) = watch::channel(false);
    let mut out = Vec::new();
    let telling = Report::new(&mut out, Form::Plain).run(fake.handle.clone(), seen, over);
    let going_on = async {
        // It has taken what was there, and waits.
        missed.iter().for_each(|fact| tell(recorded(fact)));
        (1..room).for_each(|_| tell(quarantined()));
        tell(ended(9));
    };
    tokio::join!(biased; telling, going_on).0.unwrap();
    let out = String::from_utf8(out).unwrap();
    assert!(out.contains(&format!("… {} not shown", counted(missed.len(), "fact"))), "{out}");
    out
}

#[tokio::test]
async fn what_was_given_up_with_the_run_is_told_also_when_facts_were_missed() {
    let (incident, component) = (IncidentId(4), id("web"));
    let failure = Failure {
        kind: FailureKind::Exited,
        class: FailureClass::Logic,
        error: "exited with code 1".to_owned(),
    };
    let opened =
        Fact::IncidentOpened { incident, component: component.clone(), failure, launches: 1, diff: None };
    let stopping = Fact::ShutdownStarted { reason: "Ctrl-C".to_owned() };
    let withdrawn = Fact::IncidentClosed {
        incident,
        component,
        outcome: Closing::Withdrawn { reason: "stop".to_owned() },
    };
    let other = quarantined().fact;
    let given_up = "incident 4 of web was given up with the run";
    for (stage, before, missed, told) in [
        (
            Stage::Stopping,
            vec![opened.clone(), stopping.clone(), withdrawn.clone()],
            vec![other.clone()],
            true,
        ),
        (Stage::Stopping, vec![opened.clone()], vec![stopping, withdrawn], true),
        (Stage::Up, vec![opened], vec![other], false),
    ] {
        let said = last_lines(stage, &before, &missed).await;
        assert_eq!(said.contains(given_up), told, "{said}");
        assert!(!said.contains("is open"), "{said}");
    }
}
