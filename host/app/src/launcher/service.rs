//! The life of one instance: its main process, everything that one started, and how all of them are ended.
//!
//! ```text
//! running ──main process ends──► emptying ──nobody left──► over
//!    └──────stop──► asked ──main process ends──┘
//! ```
//!
//! While *emptying*, what the main process left behind is killed: at once when it ended by itself, after the grace
//! when it was asked to end. So an instance that is reported as over runs nowhere any more.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use razar_core::effect::{ExitStatus, Process};
use razar_core::id::{ComponentId, InstanceId};
use rustix::process::{Signal, kill_process_group};

use super::output::{Pipe, RotatingLog};
use super::process::{self, SERVICE_MARKER, Table, Variable};
use super::wire::{Ending, Running};

/// A good exit this soon that leaves others behind is a daemon that went into the background.
const DAEMONIZING: Duration = Duration::from_secs(30);

/// So long a killed process may take to vanish before it is reported as unkillable.
const KILL_PATIENCE: Duration = Duration::from_secs(10);

/// How often the last ones are looked for; nobody tells us about processes that are not our children.
pub(super) const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// So long an orphan may take to become another program before it is taken for a stranger.
pub(super) const BECOMING: Duration = Duration::from_secs(2);

/// Who waits for the end of an instance: a session and the number of its request.
pub(crate) type Waiter = (u64, u64);

/// One instance.
#[derive(Debug)]
pub(crate) struct Service {
    /// Whose.
    pub(crate) component: ComponentId,
    /// Which.
    pub(crate) instance: InstanceId,
    /// Its main process.
    pub(crate) process: Process,
    /// Tells about the end of a main process that is not our child.
    pub(crate) handle: Option<OwnedFd>,
    /// Where its output comes from; none when it could not be opened again.
    pub(crate) pipe: Option<Pipe>,
    /// Where its output goes.
    pub(crate) log: RotatingLog,
    /// How many processes the kernel had ended in its group before it began.
    pub(crate) starved: u64,
    /// When it began, or was found.
    pub(crate) since: Instant,
    /// Answered when it is over.
    pub(crate) waiters: Vec<Waiter>,
    marker: String,
    asked: Option<Asked>,
    gone: Option<Gone>,
    known: BTreeMap<u32, Process>,
    found: bool,
    unsure: bool,
}

#[derive(Debug)]
struct Asked {
    until: Instant,
    killed: bool,
}

#[derive(Debug)]
struct Gone {
    exit: ExitStatus,
    at: Instant,
    ran: Duration,
    left: u32,
    counted: bool,
    killed: bool,
    /// The last look found nobody.
    empty: bool,
    look: Instant,
}

/// What a look at an instance found.
#[derive(Debug)]
pub(crate) enum Step {
    /// It goes on; [`Service::wake`] says when to look again.
    Wait,
    /// All are gone.
    Over(Ending),
    /// Some do not die.
    Stuck,
}

impl Service {
    /// An instance whose main process lives.
    pub(crate) fn new(
        state: &str,
        component: ComponentId,
        instance: InstanceId,
        process: Process,
        handle: Option<OwnedFd>,
        pipe: Option<Pipe>,
        log: RotatingLog,
    ) -> Self {
        let marker = process::marker(state, &component, instance);
        Self {
            component,
            instance,
            process,
            handle,
            pipe,
            log,
            starved: 0,
            since: Instant::now(),
            waiters: Vec::new(),
            marker,
            asked: None,
            gone: None,
            known: BTreeMap::new(),
            found: false,
            unsure: false,
        }
    }

    /// This launcher found it; it did not start it.
    pub(crate) const fn found(mut self) -> Self {
        self.found = true;
        self
    }

    /// As a listing shows it.
    pub(crate) fn running(&self) -> Running {
        Running {
            component: self.component.clone(),
            instance: self.instance,
            process: self.process,
            adopted: self.found,
        }
    }

    /// Its main process has not ended yet.
    pub(crate) const fn main_lives(&self) -> bool {
        self.gone.is_none()
    }

    /// Asks everybody of this instance to end, and no later than after the grace sees to it.
    pub(crate) fn stop(&mut self, signal: Signal, grace: Duration, table: &Table) {
        let until = Instant::now() + grace;
        match &mut self.asked {
            Some(asked) if asked.until <= until => {}
            Some(asked) => asked.until = until,
            None => self.asked = Some(Asked { until, killed: false }),
        }
        let members = self.members(table);
        self.signal(signal, &members);
    }

    /// The main process has ended.
    pub(crate) fn main_ended(&mut self, exit: ExitStatus) {
        if self.gone.is_some() {
            return;
        }
        let now = Instant::now();
        let ran = now.duration_since(self.since);
        self.gone = Some(Gone {
            exit,
            at: now,
            ran,
            left: 0,
            counted: false,
            killed: false,
            empty: false,
            look: now,
        });
    }

    /// When this instance wants to be looked at, if at all.
    pub(crate) fn wake(&self) -> Option<Instant> {
        match (&self.gone, &self.asked) {
            (Some(gone), _) => Some(gone.look),
            (None, Some(asked)) => Some(if asked.killed { asked.until + KILL_PATIENCE } else { asked.until }),
            (None, None) => None,
        }
    }

    /// Does what is due.
    pub(crate) fn step(&mut self, now: Instant, table: &Table) -> Step {
        let members = self.members(table);
        let grace_over = self.asked.as_ref().is_none_or(|asked| asked.until <= now);
        let Some(gone) = &mut self.gone else {
            return self.step_asked(now, &members);
        };
        if members.is_empty() && self.unsure && now.duration_since(gone.at) < BECOMING {
            gone.look = now + LOOK_AGAIN;
            return Step::Wait;
        }
        // A table is not read in one stroke: who forks and ends meanwhile is missing from it, and so is his child. The
        // next table has the child.
        if members.is_empty() && !gone.empty {
            gone.empty = true;
            gone.look = now;
            return Step::Wait;
        }
        gone.empty = members.is_empty();
        if gone.empty {
            return Step::Over(Ending {
                component: self.component.clone(),
                instance: self.instance,
                process: self.process,
                exit: gone.exit,
                asked: self.asked.is_some(),
                left: gone.left,
                forked_away: self.asked.is_none()
                    && gone.left > 0
                    && gone.exit == ExitStatus::Code(0)
                    && gone.ran < DAEMONIZING,
                begin: self.log.begin(),
            });
        }
        if grace_over {
            if !gone.counted {
                gone.counted = true;
                gone.left = u32::try_from(members.len()).unwrap_or(u32::MAX);
                gone.at = now;
            }
            gone.killed = true;
        }
        gone.look = now + LOOK_AGAIN;
        let (kill, stuck) = (gone.killed, gone.killed && now.duration_since(gone.at) > KILL_PATIENCE);
        if stuck {
            gone.look = now + KILL_PATIENCE;
            return Step::Stuck;
        }
        if kill {
            for member in members {
                process::send(member, Signal::KILL);
            }
        }
        Step::Wait
    }

    fn step_asked(&mut self, now: Instant, members: &[Process]) -> Step {
        match &mut self.asked {
            Some(asked) if asked.until <= now && !asked.killed => {
                asked.killed = true;
                self.signal(Signal::KILL, members);
            }
            Some(asked) if asked.killed && asked.until + KILL_PATIENCE <= now => {
                asked.until = now; // and again after as long
                self.signal(Signal::KILL, members);
                return Step::Stuck;
            }
            _ => {}
        }
        Step::Wait
    }

    /// To the group in one stroke while its number is certain, and to whoever has left the group.
    fn signal(&self, signal: Signal, members: &[Process]) {
        let main = members.contains(&self.process);
        let group = main.then(|| process::raw(self.process.pid)).flatten();
        let group = group.filter(|group| kill_process_group(*group, signal).is_ok());
        for member in members {
            let inside = process::entry(member.pid).is_some_and(|entry| entry.group == self.process.pid);
            if group.is_none() || !inside {
                process::send(*member, signal);
            }
        }
    }

    /// Everybody alive who belongs to this instance: the main process, its group, whoever carries its marker, and all
    /// their descendants; and whoever was one of them before his parent died.
    fn members(&mut self, table: &Table) -> Vec<Process> {
        let me = std::process::id();
        // Another process leading a group of this number means that the number was given away.
        let reused = table.get(&self.process.pid).is_some_and(|entry| entry.process != self.process);
        let mut found: BTreeMap<u32, Process> = BTreeMap::new();
        self.unsure = false;
        for entry in table.values() {
            let pid = entry.process.pid;
            let mut ours = entry.process == self.process
                || (entry.group == self.process.pid && !reused)
                || self.known.get(&pid) == Some(&entry.process);
            // Orphans of our own children come to us; those of adopted ones went to whoever was there.
            if !ours
                && !entry.zombie
                && pid != me
                && (entry.parent == me || (self.found && entry.parent != 2))
            {
                match process::variable(pid, SERVICE_MARKER) {
                    Variable::Is(marker) => ours = marker == self.marker,
                    Variable::Becoming => self.unsure = true,
                    Variable::Unset => {}
                }
            }
            if ours {
                found.insert(pid, entry.process);
            }
        }
        loop {
            let more: Vec<Process> = table
                .values()
                .filter(|entry| found.contains_key(&entry.parent) && !found.contains_key(&entry.process.pid))
                .map(|entry| entry.process)
                .collect();
            if more.is_empty() {
                break;
            }
            found.extend(more.into_iter().map(|process| (process.pid, process)));
        }
        let dead = |pid: &u32| table.get(pid).is_none_or(|entry| entry.zombie);
        found.retain(|pid, _| !dead(pid));
        self.known.clone_from(&found);
        found.into_values().collect()
    }
}
