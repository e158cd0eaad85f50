//! What a host asks for, done. Starting is idempotent by instance number; nothing here waits.

use std::time::Duration;

use razar_core::count::counted;
use razar_core::effect::Process;
use razar_ledger::failpoint;
use rustix::process::Signal;

use super::super::group::Part;
use super::super::output::{Pipe, RotatingLog};
use super::super::probe::Check;
use super::super::process::{self, SERVICE_MARKER};
use super::super::record;
use super::super::service::{Service, Waiter};
use super::super::spawn::{SpawnError, spawn};
use super::super::user;
use super::super::wire::{Answer, Ask, Refusal, Request, StartSpec, StopSpec};
use super::{MAX_CHECKS, Server};

impl Server {
    pub(super) fn answer(&mut self, session: u64, request: Request) {
        let waiter = (session, request.id);
        let answer = match request.ask {
            Ask::List => Answer::Listed {
                running: self.services.values().map(Service::running).collect(),
                ended: self.endings.values().cloned().collect(),
            },
            Ask::Start(spec) => self.start(*spec),
            Ask::Stop(spec) => match self.stop(spec, waiter) {
                Some(answer) => answer,
                None => return,
            },
            Ask::Check(_) if self.checks.len() >= MAX_CHECKS => refuse(
                Refusal::Busy,
                format!(
                    "{MAX_CHECKS} native checks run already: shorten their timeouts or lengthen their intervals"
                ),
            ),
            Ask::Check(spec) => match Check::start(&spec, &self.id, &self.groups, waiter, self.limit) {
                Ok(check) => return self.checks.push(check),
                Err(error) => refuse(Refusal::NotStarted, error.to_string()),
            },
            Ask::Shutdown if self.services.is_empty() => {
                self.leaving = true;
                Answer::Leaving
            }
            Ask::Shutdown => {
                let left = counted(self.services.len(), "service");
                refuse(Refusal::ServicesLeft, format!("still running: {left}; stop them first"))
            }
        };
        self.reply(waiter, answer);
    }

    fn start(&mut self, spec: StartSpec) -> Answer {
        if let Some(service) =
            self.services.get(&spec.instance).filter(|service| service.component == spec.component)
        {
            return Answer::Started(service.process);
        }
        if let Some(other) = self.services.values().find(|service| service.component == spec.component) {
            let (component, instance, pid) = (&other.component, other.instance, other.process.pid);
            return refuse(
                Refusal::OtherAlive,
                format!("instance {instance} of `{component}` is alive (process {pid}): stop it first"),
            );
        }
        if self.services.contains_key(&spec.instance) {
            return refuse(
                Refusal::BadRequest,
                format!("instance {} belongs to another component", spec.instance),
            );
        }
        if let Some(ending) =
            self.endings.get(&spec.component).filter(|ending| ending.instance >= spec.instance)
        {
            let (component, instance, exit) = (&spec.component, ending.instance, ending.exit);
            return refuse(
                Refusal::AlreadyEnded,
                format!("instance {instance} of `{component}` {exit}: start a new instance"),
            );
        }
        match self.spawn(&spec) {
            Ok(process) => {
                let (component, instance, pid) = (&spec.component, spec.instance, process.pid);
                self.note(&format!("`{component}` instance {instance} started, process {pid}"));
                Answer::Started(process)
            }
            Err(error) => {
                record::forget(&self.place, &spec.component, spec.instance);
                self.note(&format!("`{}` instance {} not started: {error}", spec.component, spec.instance));
                let why = if error.is_permanent() { Refusal::Impossible } else { Refusal::NotStarted };
                refuse(why, error.to_string())
            }
        }
    }

    fn spawn(&mut self, spec: &StartSpec) -> Result<Process, SpawnError> {
        failpoint::pass("start.asked");
        let account = spec.run.user.as_deref().map(user::find).transpose()?.flatten();
        let control = self.groups.make(&spec.component, Part::Service, &spec.run.limits)?;
        let starved = if control.is_empty() { 0 } else { self.groups.starved(&spec.component) };
        let path = self.place.pipe(&spec.component, spec.instance);
        let unusable = |error| SpawnError::Pipe { path: path.display().to_string(), error };
        let pipe = Pipe::make(&path, account.as_ref().map(|account| (account.uid, account.gid)))
            .map_err(unusable)?;
        let writer = Pipe::writer(&path).map_err(unusable)?;
        let marker = process::marker(&self.id, &spec.component, spec.instance);
        failpoint::pass("start.piped");
        // Before it can print anything: what is in the log by now was printed by others.
        let log = RotatingLog::new(self.place.service_log(&spec.component), spec.output);
        let pid =
            spawn(&spec.run, account.as_ref(), &control, (SERVICE_MARKER, &marker), writer, self.limit)?;
        failpoint::pass("start.spawned");
        // Not reaped yet, so it is in the table even when it has ended already.
        let process = process::entry(pid).map_or(Process { pid, start_time: 0 }, |entry| entry.process);
        let mut service =
            Service::new(&self.id, spec.component.clone(), spec.instance, process, None, Some(pipe), log);
        service.starved = starved;
        self.services.insert(spec.instance, service);
        self.remember(spec.instance);
        failpoint::pass("start.recorded");
        Ok(process)
    }

    fn stop(&mut self, spec: StopSpec, waiter: Waiter) -> Option<Answer> {
        let Some(service) = self.services.get_mut(&spec.instance) else {
            let ending = self.endings.values().find(|ending| ending.instance == spec.instance);
            return Some(ending.map_or(Answer::NotRunning, |ending| Answer::Ended(ending.clone())));
        };
        let Some(signal) = Signal::from_named_raw(spec.signal) else {
            let signal = spec.signal;
            return Some(refuse(
                Refusal::BadRequest,
                format!("{signal} is no signal: use 15 (SIGTERM) or another of 1–31"),
            ));
        };
        failpoint::pass("stop.asked");
        service.waiters.push(waiter);
        service.stop(signal, Duration::from_millis(spec.grace_ms), &process::table());
        failpoint::pass("stop.signaled");
        None
    }
}

pub(super) fn refuse(why: Refusal, message: String) -> Answer {
    Answer::Refused { why, message }
}
