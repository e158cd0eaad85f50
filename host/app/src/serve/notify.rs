//! Tells the service manager how it goes: ready when booted, a status line, stopping, and a sign of life as long as the
//! driver answers. Without a manager it does nothing. What others said never becomes a message of its own.

use std::ffi::OsString;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use razar_core::count::counted;
use razar_core::supervisor::{Stage, Status};
use sd_notify::NotifyState;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::drive::{Handle, Snapshot};
use crate::report::{escape, stage_word};

/// How often the status line may change when there is no watchdog to answer more often.
const STATUS_EVERY: Duration = Duration::from_secs(1);
/// A watchdog that is shorter could not be told from a busy machine.
const MIN_WATCHDOG: Duration = Duration::from_millis(20);

/// The way to the service manager.
#[derive(Debug)]
pub(crate) struct Notifier {
    socket: UnixDatagram,
    watchdog: Option<Duration>,
}

impl Notifier {
    /// As the environment says; none without `NOTIFY_SOCKET`, a warning when it cannot be reached.
    pub(crate) fn from_environment(
        variable: impl Fn(&str) -> Option<OsString>,
        pid: u32,
    ) -> Result<Option<Self>, io::Error> {
        let Some(path) = variable("NOTIFY_SOCKET").filter(|path| !path.is_empty()) else { return Ok(None) };
        let address = match path.as_bytes().strip_prefix(b"@") {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(&path)?,
        };
        let socket = UnixDatagram::unbound()?;
        socket.connect_addr(&address)?;
        // A manager that does not read must not hold the host up.
        socket.set_nonblocking(true)?;
        let number = |name| variable(name)?.to_str()?.trim().parse::<u64>().ok();
        let for_us = number("WATCHDOG_PID").is_none_or(|wanted| wanted == u64::from(pid));
        let watchdog = number("WATCHDOG_USEC")
            .filter(|_| for_us)
            .map(Duration::from_micros)
            .filter(|watchdog| *watchdog >= MIN_WATCHDOG);
        Ok(Some(Self { socket, watchdog }))
    }

    /// Tells how it goes until the host is ending.
    pub(crate) async fn run(self, driver: Handle) {
        let mut stages = driver.stage();
        // Half of what is allowed, as the manager's manual asks for.
        let every = self.watchdog.map_or(STATUS_EVERY, |watchdog| (watchdog / 2).min(STATUS_EVERY));
        let mut beat = interval(every);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut told = Told::default();
        loop {
            tokio::select! {
                changed = stages.changed() => if changed.is_err() {
                    return;
                },
                _ = beat.tick() => {}
            }
            let stage = *stages.borrow_and_update();
            self.tell_stage(stage, &mut told);
            // Looking may take as long as is left, no longer: a driver that hangs is what the watchdog is for.
            let Ok(Ok(snapshot)) = timeout(every, driver.look()).await else { continue };
            if self.watchdog.is_some() {
                self.send(&[NotifyState::Watchdog]);
            }
            let status = status(&snapshot);
            if status != told.status {
                self.send(&[NotifyState::Status(&status)]);
                told.status = status;
            }
        }
    }

    fn tell_stage(&self, stage: Option<Stage>, told: &mut Told) {
        match stage {
            Some(Stage::Booting) => told.begun = true,
            Some(Stage::Up) if !told.ready => {
                told.begun = true;
                told.ready = true;
                self.send(&[NotifyState::Ready]);
            }
            // Before a boot the stage is that of the one before.
            Some(stage) if !told.stopping && (stage.stops() || (stage == Stage::Ended && told.begun)) => {
                told.stopping = true;
                self.send(&[NotifyState::Stopping]);
            }
            _ => {}
        }
    }

    fn send(&self, states: &[NotifyState<'_>]) {
        let message: String = states.iter().map(|state| format!("{state}\n")).collect();
        if let Err(error) = self.socket.send(message.as_bytes()) {
            tracing::debug!(%error, "the service manager was not told");
        }
    }
}

#[derive(Default)]
struct Told {
    begun: bool,
    ready: bool,
    stopping: bool,
    status: String,
}

/// One line, harmless: a line end in it would begin another message.
fn status(snapshot: &Snapshot) -> String {
    if let Some(stuck) = &snapshot.stuck {
        return format!("facts cannot be recorded: {}", escape::line(stuck));
    }
    if snapshot.lost {
        return "`razar.db` was removed, moved or replaced: what happens is not remembered".to_owned();
    }
    let Some(boot) = &snapshot.boot else { return "no boot yet".to_owned() };
    let count = |status| snapshot.components.iter().filter(|summary| summary.status == status).count();
    let quarantined = match count(Status::Quarantined) {
        0 => String::new(),
        some => format!(", {some} quarantined"),
    };
    format!(
        "{}: {} of {} ready{quarantined}",
        stage_word(boot.stage),
        count(Status::Ready),
        counted(snapshot.components.len(), "component")
    )
}
