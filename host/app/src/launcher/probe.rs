//! The life of one native check: a child with a time limit whose bounded output and exit status answer one request.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use razar_core::effect::ExitStatus;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Signal, kill_process_group};

use super::group::{Groups, Part};
use super::process::{self, CHECK_MARKER};
use super::service::Waiter;
use super::spawn::{FileLimit, SpawnError, spawn};
use super::user;
use super::wire::{CheckEnd, CheckReport, CheckSpec, MAX_CHECK_OUTPUT};

/// One running check.
#[derive(Debug)]
pub(crate) struct Check {
    /// Who asked.
    pub(crate) waiter: Waiter,
    /// Its process, our child and leader of its group.
    pub(crate) pid: u32,
    /// When it is killed.
    pub(crate) until: Instant,
    /// It holds the trial of a patch.
    pub(crate) trial: bool,
    output: File,
    kept: Vec<u8>,
    keep: usize,
    truncated: bool,
    began: Instant,
    timed_out: bool,
    at_end: bool,
}

impl Check {
    /// Starts it.
    pub(crate) fn start(
        spec: &CheckSpec,
        state: &str,
        groups: &Groups,
        waiter: Waiter,
        limit: FileLimit,
    ) -> Result<Self, SpawnError> {
        let other = |error| SpawnError::Other { command: spec.run.argv.concat(), error };
        let account = spec.run.user.as_deref().map(user::find).transpose()?.flatten();
        let control = match &spec.component {
            Some(component) => groups.make(component, Part::Check, &spec.run.limits)?,
            None => Vec::new(),
        };
        let (reader, writer) = io::pipe().map_err(other)?;
        let output = File::from(OwnedFd::from(reader));
        let flags = fcntl_getfl(&output).map_err(|error| other(error.into()))?;
        fcntl_setfl(&output, flags | OFlags::NONBLOCK).map_err(|error| other(error.into()))?;
        let began = Instant::now();
        let writer = File::from(OwnedFd::from(writer));
        let pid = spawn(&spec.run, account.as_ref(), &control, (CHECK_MARKER, state), writer, limit)?;
        let keep = usize::try_from(spec.output_bytes.min(MAX_CHECK_OUTPUT)).unwrap_or(0);
        Ok(Self {
            waiter,
            pid,
            until: began + Duration::from_millis(spec.timeout_ms),
            trial: spec.trial,
            output,
            kept: Vec::new(),
            keep,
            truncated: false,
            began,
            timed_out: false,
            at_end: false,
        })
    }

    /// What can be waited for.
    pub(crate) const fn file(&self) -> &File {
        &self.output
    }

    /// It has closed its output.
    pub(crate) const fn at_end(&self) -> bool {
        self.at_end
    }

    /// Takes what is there, one turn's worth, and keeps what there is room for. False when there is nothing.
    pub(crate) fn drain(&mut self, buffer: &mut [u8]) -> bool {
        match self.output.read(buffer) {
            Ok(0) => {
                self.at_end = true;
                false
            }
            Ok(count) => {
                let room = self.keep.saturating_sub(self.kept.len());
                self.truncated |= count > room;
                self.kept.extend_from_slice(buffer.get(..count.min(room)).unwrap_or_default());
                true
            }
            Err(_) => false,
        }
    }

    /// Kills it and its group. Only while its process is not reaped: then the group's number is its own.
    pub(crate) fn kill(&mut self, timed_out: bool) {
        self.timed_out |= timed_out;
        if let Some(group) = process::raw(self.pid) {
            // Nobody left to kill is what is wanted.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }

    /// It has ended.
    pub(crate) fn report(mut self, exit: ExitStatus, buffer: &mut [u8]) -> CheckReport {
        // A pipe holds 64 KiB; more than twice that comes from somebody who has left the group and still prints.
        for _ in 0..4 {
            if !self.drain(buffer) {
                break;
            }
        }
        CheckReport {
            end: if self.timed_out { CheckEnd::TimedOut } else { CheckEnd::Exited(exit) },
            output: String::from_utf8_lossy(&self.kept).into_owned(),
            truncated: self.truncated,
            took_ms: u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX),
        }
    }
}
