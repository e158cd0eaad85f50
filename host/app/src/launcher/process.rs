//! What `/proc` says about processes: identity, family, marker. Reads only.
//!
//! A process is a number *and* a start time; every signal to a process that might have been replaced goes through a
//! handle whose start time was compared after it was opened.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use razar_core::effect::Process;
use razar_core::id::{ComponentId, InstanceId};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// Environment variable that marks a service and all it starts: `<state id>:<component>:<instance>`.
pub(crate) const SERVICE_MARKER: &str = "RAZAR_INSTANCE";

/// Environment variable that marks a native check: the state id.
pub(crate) const CHECK_MARKER: &str = "RAZAR_CHECK";

/// One line of the process table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Number and start time.
    pub(crate) process: Process,
    /// Its parent.
    pub(crate) parent: u32,
    /// Its process group.
    pub(crate) group: u32,
    /// Dead, waiting to be seen by its parent.
    pub(crate) zombie: bool,
}

/// All processes by number.
pub(crate) type Table = BTreeMap<u32, Entry>;

/// The process table now.
pub(crate) fn table() -> Table {
    let Ok(dir) = fs::read_dir("/proc") else { return Table::new() };
    dir.filter_map(|item| item.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((pid, entry(pid)?)))
        .collect()
}

/// One line of it.
pub(crate) fn entry(pid: u32) -> Option<Entry> {
    parse_stat(&fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// Fields are counted after the *last* `)`: a program may call itself anything.
fn parse_stat(stat: &[u8]) -> Option<Entry> {
    let close = stat.iter().rposition(|byte| *byte == b')')?;
    let pid =
        std::str::from_utf8(stat.get(..stat.iter().position(|byte| *byte == b' ')?)?).ok()?.parse().ok()?;
    let rest = std::str::from_utf8(stat.get(close + 1..)?).ok()?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    Some(Entry {
        zombie: matches!(*fields.first()?, "Z" | "X"),
        parent: fields.get(1)?.parse().ok()?,
        group: fields.get(2)?.parse().ok()?,
        process: Process { pid, start_time: fields.get(19)?.parse().ok()? },
    })
}

/// What an environment says about one variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Variable {
    /// Its value.
    Is(String),
    /// It is not there, or may not be seen.
    Unset,
    /// The process is just becoming another program: it has neither environment nor arguments yet.
    Becoming,
}

/// Longer than any chain of programs that become each other is at work while somebody looks; the pauses double, because one of
/// them may have been stopped half-way, with arguments and without an environment, for as long as others have its processor.
const LOOKS: u32 = 10;
const FIRST_PAUSE: Duration = Duration::from_micros(50);

/// One variable in a process's environment as it was started.
pub(crate) fn variable(pid: u32, name: &str) -> Variable {
    // More than once, because it may become another program between two looks, and then another one (`setsid sleep`); without
    // arguments it has not become one yet. Who is still without an environment after so many really has none.
    for look in 0..LOOKS {
        let Ok(environ) = fs::read(format!("/proc/{pid}/environ")) else { return Variable::Unset };
        if !environ.is_empty() {
            let value = environ.split(|byte| *byte == 0).find_map(|pair| {
                let value = pair.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
                String::from_utf8(value.to_vec()).ok()
            });
            return value.map_or(Variable::Unset, Variable::Is);
        }
        if fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|arguments| arguments.is_empty()) {
            return Variable::Becoming;
        }
        std::thread::sleep(FIRST_PAUSE * (1 << look));
    }
    Variable::Unset
}

/// What it was started with, its own name aside; the same for all launchers of a state directory, whichever release.
pub(crate) fn arguments(pid: u32) -> Vec<u8> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    line.iter()
        .position(|byte| *byte == 0)
        .map_or(Vec::new(), |end| line.get(end..).unwrap_or_default().to_vec())
}

/// The marker of one instance.
pub(crate) fn marker(state: &str, component: &ComponentId, instance: InstanceId) -> String {
    format!("{state}:{component}:{instance}")
}

/// The instance a marker names, if it is one of this state directory.
pub(crate) fn parse_marker(text: &str, state: &str) -> Option<(ComponentId, InstanceId)> {
    let (component, instance) = text.strip_prefix(state)?.strip_prefix(':')?.rsplit_once(':')?;
    Some((component.parse().ok()?, InstanceId(instance.parse().ok()?)))
}

/// A handle on exactly this process; an error when it is gone or its number belongs to another one now.
pub(crate) fn open(process: Process) -> io::Result<OwnedFd> {
    let gone = || io::Error::from(io::ErrorKind::NotFound);
    let handle = pidfd_open(raw(process.pid).ok_or_else(gone)?, PidfdFlags::empty())?;
    match entry(process.pid) {
        Some(entry) if entry.process == process => Ok(handle),
        _ => Err(gone()),
    }
}

/// A signal to exactly this process, and to no other that has its number now.
pub(crate) fn send(process: Process, signal: Signal) {
    if let Ok(handle) = open(process) {
        // The only failure left is that it has just ended.
        let _ = pidfd_send_signal(handle, signal);
    }
}

/// The number as the kernel's interfaces take it.
pub(crate) fn raw(pid: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(pid).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_cannot_lie_about_itself_with_its_name() {
        let tail = "S 7 8 9 0 -1 1 2 3 4 5 6 7 8 9 20 0 1 0 4242 0 0";
        for name in ["sh", "a b", "x) Z 1 1 1 (y", ")", ""] {
            let entry = parse_stat(format!("31 ({name}) {tail}\n").as_bytes()).unwrap();
            assert_eq!(entry.process, Process { pid: 31, start_time: 4242 }, "{name}");
            assert_eq!((entry.parent, entry.group, entry.zombie), (7, 8, false), "{name}");
        }
        for bad in ["", "31", "31 (x", "31 (x) S 1", "x (y) S"] {
            assert_eq!(parse_stat(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn markers_round_trip_and_stay_in_their_state_directory() {
        let component: ComponentId = "a.b-c".parse().unwrap();
        let text = marker("0123", &component, InstanceId(9));
        assert_eq!(parse_marker(&text, "0123"), Some((component, InstanceId(9))));
        for (text, state) in
            [(text.as_str(), "012"), (&text, "9"), ("0123:a", "0123"), ("0123:../x:1", "0123")]
        {
            assert_eq!(parse_marker(text, state), None, "{text} {state}");
        }
    }

    #[test]
    fn this_process_is_itself_and_no_other() {
        let me = entry(std::process::id()).unwrap().process;
        assert!(open(me).is_ok());
        assert!(open(Process { start_time: me.start_time + 1, ..me }).is_err());
        assert_eq!(table().get(&me.pid).map(|entry| entry.process), Some(me));
    }
}
