//! A driver for tests: the real `Handle`, real messages, and a thread that answers from a script of its own.

use std::path::Path;
use std::sync::mpsc;
use std::thread;

use razar_core::fact::{Fact, Recorded};
use razar_core::failure::FailureClass;
use razar_core::id::{BootId, ComponentId, Digest};
use razar_core::supervisor::{Boot, Command, PluginOut, Refused, Stage, Status, Summary};
use razar_core::time::{Millis, Timestamp};
use razar_ledger::Ledger;
use tokio::sync::{broadcast, watch};

use crate::drive::{Handle, Kept, Message, Snapshot};

/// What the driver of a test was asked.
pub(crate) struct Fake {
    pub(crate) handle: Handle,
    pub(crate) facts: broadcast::Sender<Recorded>,
    pub(crate) stage: watch::Sender<Option<Stage>>,
    /// Why decisions are held back.
    pub(crate) held: watch::Sender<Option<String>>,
    pub(crate) commands: mpsc::Receiver<Command>,
}

/// A driver that shows this snapshot, knows its components, and accepts whatever concerns one of them.
pub(crate) fn fake(snapshot: Snapshot) -> Fake {
    let (messages, received) = mpsc::channel();
    let (facts, _) = broadcast::channel(64);
    let (stage, seen) = watch::channel(snapshot.boot.as_ref().map(|boot| boot.stage));
    let (told, commands) = mpsc::channel();
    let (held, held_seen) = watch::channel(None);
    let handle = Handle::new(messages, facts.clone(), seen, held_seen);
    thread::spawn(move || {
        for message in received {
            match message {
                Message::Look(answer) => drop(answer.send(snapshot.clone())),
                Message::Command(command, answer) => {
                    let known = |id: &ComponentId| snapshot.components.iter().any(|s| s.id == *id);
                    let refused = command.component().filter(|id| !known(id)).cloned();
                    let _ = told.send(command);
                    let refused = refused.map(Refused::UnknownComponent);
                    let _ = answer.send(refused.map_or(Ok(()), |refused| Err(refused.into())));
                }
                // As if it were on disk: its digest is all that anybody gets.
                Message::Keep(Kept::Bytes(bytes), answer) => drop(answer.send(Ok(Digest::of(&bytes)))),
                Message::Input(_) | Message::Keep(..) | Message::Bytes(..) => {}
                Message::Close => return,
            }
        }
    });
    Fake { handle, facts, stage, held, commands }
}

/// A driver that never answers.
pub(crate) fn hanging() -> (Handle, mpsc::Receiver<Message>) {
    let (messages, received) = mpsc::channel();
    let (_, seen) = watch::channel(Some(Stage::Up));
    let (_, held) = watch::channel(None);
    (Handle::new(messages, broadcast::channel(1).0, seen, held), received)
}

pub(crate) fn id(name: &str) -> ComponentId {
    name.parse().unwrap()
}

pub(crate) fn component(name: &str, status: Status, reason: Option<&str>) -> Summary {
    let up = status == Status::Ready;
    Summary {
        id: id(name),
        status,
        reason: reason.map(str::to_owned),
        pid: up.then_some(41),
        since: up.then_some(Timestamp(1_000)),
        launches: 1,
        vital: true,
        class: (status == Status::Quarantined).then_some(FailureClass::Dependency),
        quarantined: (status == Status::Quarantined).then_some(Timestamp(2_000)),
        incident: None,
    }
}

/// One ready, one quarantined by a service that tries to draw on the terminal, and a plugin that does.
pub(crate) fn snapshot(stage: Stage) -> Snapshot {
    Snapshot {
        boot: Some(Boot {
            id: BootId(3),
            since: Timestamp(500),
            mission: Some("demo".to_owned()),
            stage,
            took: Some(Millis(2_500)),
        }),
        components: vec![
            component("store", Status::Ready, None),
            component("web", Status::Quarantined, Some("all launches failed: \u{1b}[2Jgone\nfake line")),
        ],
        plugins_out: vec![PluginOut {
            plugin: "probe-a".parse().unwrap(),
            reason: "misbehaved repeatedly: \u{1b}[2Jgone".to_owned(),
            since: Timestamp(3_000),
        }],
        stuck: None,
        lost: false,
    }
}

pub(crate) fn ended(seq: u64) -> Recorded {
    Recorded { seq, at: Timestamp(9_000), fact: Fact::BootEnded { boot: BootId(3) } }
}

/// Two facts in a ledger of their own: a boot that was stopped.
pub(crate) fn ledger(dir: &Path) -> Ledger {
    let mut ledger = Ledger::open(dir).unwrap();
    let facts = [
        Fact::ShutdownStarted { reason: "test".to_owned() },
        Fact::StopRequested { component: id("web") },
        Fact::BootEnded { boot: BootId(3) },
    ];
    ledger.append(Timestamp(8_000), &facts).unwrap();
    ledger
}
