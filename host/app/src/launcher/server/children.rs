//! What children do: print, end, refuse to end.

use std::io::Read;

use razar_core::effect::ExitStatus;
use razar_core::id::InstanceId;
use razar_ledger::failpoint;
use rustix::process::{Pid, WaitId, WaitIdOptions, WaitOptions, WaitStatus, wait, waitid};

use super::super::process;
use super::super::record::{self, Record};
use super::super::wire::{Answer, Ending, Message, Refusal};
use super::Server;
use super::requests::refuse;

impl Server {
    /// Looks at every child before reaping it: while it is not reaped, its number is its own.
    pub(super) fn reap(&mut self) {
        while matches!(self.child_ended.read(&mut self.buffer), Ok(count) if count > 0) {}
        let watched: Vec<u32> = self.checks.iter().map(|check| check.pid).collect();
        for pid in watched {
            let Some(raw) = process::raw(pid) else { continue };
            let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
            if matches!(waitid(WaitId::Pid(raw), look), Ok(Some(_)))
                && let Some(check) = self.checks.iter_mut().find(|check| check.pid == pid)
            {
                check.kill(false); // whoever it left in its group
            }
        }
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            self.reaped(pid, status);
        }
    }

    fn reaped(&mut self, pid: Pid, status: WaitStatus) {
        let Ok(pid) = u32::try_from(pid.as_raw_nonzero().get()) else { return };
        let exit = match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => ExitStatus::Code(code),
            (None, Some(signal)) => ExitStatus::Signal(signal),
            (None, None) => ExitStatus::Unknown,
        };
        if let Some(index) = self.checks.iter().position(|check| check.pid == pid) {
            let check = self.checks.swap_remove(index);
            if check.trial {
                self.sweep_trials();
            }
            let waiter = check.waiter;
            let report = check.report(exit, &mut self.buffer);
            self.reply(waiter, Answer::Checked(report));
        } else if let Some(service) = self
            .services
            .values_mut()
            .find(|service| service.process.pid == pid && service.handle.is_none() && service.main_lives())
        {
            service.main_ended(exit);
        }
    }

    pub(super) fn drain(&mut self, instance: InstanceId) {
        let Some(service) = self.services.get_mut(&instance) else { return };
        if let Some(pipe) = &mut service.pipe {
            pipe.drain(&mut self.buffer, &mut service.log);
        }
        let trouble = service.log.trouble();
        if service.log.rotated() {
            self.remember(instance);
        }
        if let Some(trouble) = trouble {
            self.note(&trouble);
        }
    }

    /// Writes down what the next launcher must know.
    pub(super) fn remember(&mut self, instance: InstanceId) {
        let Some(service) = self.services.get(&instance) else { return };
        let record = Record {
            component: service.component.clone(),
            instance,
            process: service.process,
            machine_boot: self.machine_boot.clone(),
            output: service.log.cap(),
            begin: service.log.begin(),
        };
        if let Err(error) = record.save(&self.place) {
            self.note(&format!(
                "cannot record `{}`: {error}; its marker alone will have to identify it",
                record.component
            ));
        }
    }

    pub(super) fn over(&mut self, instance: InstanceId, mut ending: Ending) {
        let Some(mut service) = self.services.remove(&instance) else { return };
        if let Some(pipe) = &mut service.pipe {
            // A pipe holds 1 MiB; what comes after a few times that is printed by a stranger who holds it open.
            for _ in 0..16 {
                if pipe.drain(&mut self.buffer, &mut service.log) {
                    break;
                }
            }
        }
        if self.groups.starved(&service.component) > service.starved {
            // Where whoever asks why it ended will look.
            service.log.write(
                b"razar-host: its processes reached `limits.memory`, and the kernel ended one of them\n",
            );
        }
        // Its last words may have filled the file.
        ending.begin = service.log.begin();
        if let Some(trouble) = service.log.trouble() {
            self.note(&trouble);
        }
        failpoint::pass("end.noticed");
        record::forget(&self.place, &service.component, instance);
        failpoint::pass("end.forgotten");
        let left =
            if ending.left > 0 { format!(", {} left behind and killed", ending.left) } else { String::new() };
        self.note(&format!("`{}` instance {instance} {}{left}", ending.component, ending.exit));
        self.endings.insert(ending.component.clone(), ending.clone());
        for waiter in service.waiters {
            self.reply(waiter, Answer::Ended(ending.clone()));
        }
        failpoint::pass("end.answered");
        let all: Vec<u64> = self.sessions.keys().copied().collect();
        for session in all {
            self.say(session, &Message::Ended(ending.clone()));
        }
    }

    pub(super) fn stuck(&mut self, instance: InstanceId) {
        let Some(service) = self.services.get_mut(&instance) else { return };
        let message = format!(
            "processes of `{}` instance {instance} do not die from SIGKILL: see the state and wchan of process {} and its children",
            service.component, service.process.pid
        );
        let waiters = std::mem::take(&mut service.waiters);
        self.note(&message);
        for waiter in waiters {
            self.reply(waiter, refuse(Refusal::Unkillable, message.clone()));
        }
    }
}
