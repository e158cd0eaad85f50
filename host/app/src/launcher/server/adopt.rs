//! Finding the services of a launcher that died: by record where number, start time and the machine's boot agree, by
//! marker where the crash came before the record. What has lost its main process is ended.

use std::collections::BTreeMap;
use std::io;
use std::time::Instant;

use razar_core::effect::{ExitStatus, Process};
use razar_core::grant::LogBegin;
use razar_core::id::{ComponentId, InstanceId};
use rustix::process::Signal;

use super::super::output::{Pipe, RotatingLog};
use super::super::process::{self, CHECK_MARKER, Entry, SERVICE_MARKER, Variable};
use super::super::record::{self, Record};
use super::super::service::{BECOMING, LOOK_AGAIN, Service};
use super::super::wire::OutputCap;
use super::Server;

/// The parent of the kernel's own processes.
const KERNEL: u32 = 2;

/// The living processes, each with its service marker, of one look.
type Born = BTreeMap<u32, (Entry, Variable)>;

/// An instance that may be alive.
struct Found {
    component: ComponentId,
    main: Process,
    output: OutputCap,
    begin: LogBegin,
    lives: bool,
    recorded: bool,
}

impl Server {
    /// Takes over what an earlier launcher of this state directory left.
    pub(super) fn adopt(&mut self) -> io::Result<()> {
        let mut strange = Vec::new();
        let records = record::load_all(&self.place, &mut strange)?;
        for strange in strange {
            self.note(&format!("ignored a record that cannot be read: {strange}"));
        }
        let born = self.all_born();
        let found = self.find(records, &born);
        for (instance, found) in found {
            self.take_over(instance, found);
        }
        let pipes =
            self.services.values().map(|service| self.place.pipe(&service.component, service.instance));
        record::sweep_pipes(&self.place, &pipes.collect())
    }

    /// All processes once they show every service. A launcher that dies while it starts one leaves a child that is
    /// still called like the launcher and has no marker yet: whoever did not wait for it would start the service twice.
    /// What is returned is one look: a moment later one of them may be on its way to another program again.
    fn all_born(&mut self) -> Born {
        let own = process::arguments(std::process::id());
        let until = Instant::now() + BECOMING;
        loop {
            let table = process::table();
            let lives = table.values().filter(|entry| !entry.zombie);
            let born: Born = lives
                .map(|entry| {
                    let pid = entry.process.pid;
                    let like_us = pid != std::process::id() && process::arguments(pid) == own;
                    let marker = match process::variable(pid, SERVICE_MARKER) {
                        _ if like_us => Variable::Becoming,
                        // The kernel's own never become anything.
                        Variable::Becoming if [pid, entry.parent].contains(&KERNEL) => Variable::Unset,
                        marker => marker,
                    };
                    (pid, (*entry, marker))
                })
                .collect();
            let unborn = born.iter().find(|(_, (_, marker))| *marker == Variable::Becoming);
            match unborn.map(|(pid, _)| *pid) {
                None => return born,
                Some(pid) if Instant::now() >= until => {
                    self.note(&format!(
                        "process {pid} may become a service and does not; see its state and wchan"
                    ));
                    return born;
                }
                Some(_) => std::thread::sleep(LOOK_AGAIN),
            }
        }
    }

    fn find(&self, records: Vec<Record>, born: &Born) -> BTreeMap<InstanceId, Found> {
        let mut found: BTreeMap<InstanceId, Found> = BTreeMap::new();
        for record in records {
            let lives = record.machine_boot == self.machine_boot
                && born.get(&record.process.pid).is_some_and(|(entry, _)| entry.process == record.process);
            let Record { component, instance, process: main, output, begin, .. } = record;
            found.insert(instance, Found { component, main, output, begin, lives, recorded: true });
        }
        for (entry, marker) in born.values() {
            let pid = entry.process.pid;
            if process::variable(pid, CHECK_MARKER) == Variable::Is(self.id.clone()) {
                process::send(entry.process, Signal::KILL); // nobody waits for its answer any more
                continue;
            }
            let Variable::Is(marker) = marker else { continue };
            let Some((component, instance)) = process::parse_marker(marker, &self.id) else { continue };
            // The eldest leader of a group is the one that was started; the others are what it started. A record
            // needs no help: if the process it names is dead, no descendant takes its place.
            let leads = entry.group == pid;
            match found.get_mut(&instance) {
                Some(known) if known.recorded || !leads => {}
                Some(known) if known.lives && known.main.start_time <= entry.process.start_time => {}
                Some(known) => (known.main, known.lives) = (entry.process, true),
                None => {
                    let (main, output, begin) = (entry.process, OutputCap::default(), LogBegin::default());
                    let found_one = Found { component, main, output, begin, lives: leads, recorded: false };
                    found.insert(instance, found_one);
                }
            }
        }
        found
    }

    fn take_over(&mut self, instance: InstanceId, found: Found) {
        let Found { component, main, output, begin, lives, .. } = found;
        let handle = lives.then(|| process::open(main)).and_then(Result::ok);
        let pipe = Pipe::open(&self.place.pipe(&component, instance));
        if let Err(error) = &pipe
            && handle.is_some()
        {
            self.note(&format!(
                "the output of `{component}` instance {instance} is lost from here on: {error}; restart it"
            ));
        }
        let log = RotatingLog::resume(self.place.service_log(&component), output, begin);
        let ended = handle.is_none();
        let mut service =
            Service::new(&self.id, component.clone(), instance, main, handle, pipe.ok(), log).found();
        if ended {
            service.main_ended(ExitStatus::Unknown);
            self.note(&format!("`{component}` instance {instance} ended while there was no launcher"));
        } else {
            self.note(&format!("`{component}` instance {instance} found again, process {}", main.pid));
        }
        self.services.insert(instance, service);
        if !ended {
            self.remember(instance);
        }
    }
}
