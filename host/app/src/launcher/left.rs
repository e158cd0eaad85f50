//! What the trial of a patch leaves when whoever held it was killed: its control groups, and whoever is still in them. A name
//! says who holds a trial, and who is gone cannot come back; the groups of a holder that lives are never touched.

use std::fs;
use std::path::Path;

use razar_core::effect::Process;
use rustix::process::Signal;

use super::group::Groups;
use super::process;

/// Comes first in the names of what belongs to a trial.
const TRIAL: &str = "trial";

/// A name for what this process holds, such as `trial-4711.123456`. There is no hyphen in what follows `trial-`.
pub(crate) fn held_by_me() -> String {
    let pid = std::process::id();
    let me = process::entry(pid).map_or(Process { pid, start_time: 0 }, |entry| entry.process);
    format!("{TRIAL}-{}.{}", me.pid, me.start_time)
}

/// Whether whoever gave this name, with anything behind a hyphen, is gone. False for a name that is no holder's.
pub(crate) fn is_left(name: &str) -> bool {
    let holder = || -> Option<Process> {
        let (holder, _) = name.strip_prefix(TRIAL)?.strip_prefix('-')?.split_once('-')?;
        let (pid, start_time) = holder.split_once('.')?;
        Some(Process { pid: pid.parse().ok()?, start_time: start_time.parse().ok()? })
    };
    holder().is_some_and(|holder| {
        process::entry(holder.pid).is_none_or(|entry| entry.process != holder || entry.zombie)
    })
}

/// Kills whoever is still in the groups of a trial that nobody holds, and removes those nobody is in. True while there are more.
pub(crate) fn sweep() -> bool {
    let groups = Groups::find(TRIAL);
    let mut more = false;
    for dir in groups.made() {
        let name = dir.file_name().unwrap_or_default().to_string_lossy();
        if !name.strip_prefix("razar-").is_some_and(is_left) {
            continue;
        }
        let members = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
        for entry in members.lines().filter_map(|pid| process::entry(pid.parse().ok()?)) {
            // Its number may be another's by now; the handle of that one has another start time.
            if is_in(entry.process.pid, &dir) {
                process::send(entry.process, Signal::KILL);
            }
        }
        // The kernel keeps what somebody is in.
        more |= fs::remove_dir(&dir).is_err() && dir.exists();
    }
    more
}

fn is_in(pid: u32, dir: &Path) -> bool {
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    groups.lines().any(|line| line.rsplit('/').next() == Some(&*name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_somebody_who_is_gone_held_is_left() {
        let mine = held_by_me();
        let begun = mine.rsplit_once('.').unwrap().1;
        for (name, left) in [
            (format!("{mine}-shop+trial"), false),
            (mine.clone(), false),
            (format!("trial-{}.1-shop", std::process::id()), true),
            (format!("trial-4194305.{begun}-a-b"), true),
            ("trial-shop".to_owned(), false),
            ("trial-1.2.3-shop".to_owned(), false),
            (format!("{}-shop", mine.trim_start_matches("trial-")), false),
            ("0123456789abcdef-shop+trial".to_owned(), false),
        ] {
            assert_eq!(is_left(&name), left, "{name}");
        }
    }

    #[test]
    fn whoever_is_left_in_a_group_is_ended_with_it() {
        let component = "shop".parse().unwrap();
        let limits = [("tasks".to_owned(), 100_u64)].into();
        let groups = Groups::find("trial-4194305.1");
        // Where there are no control groups there is nothing to be left in.
        let Ok(dirs) = groups.make(&component, super::super::group::Part::Trial, &limits) else { return };
        let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        fs::write(dirs[0].join("cgroup.procs"), child.id().to_string()).unwrap();
        let until = std::time::Instant::now() + std::time::Duration::from_secs(60);
        // Launchers beside this test may be quicker.
        while dirs[0].exists() && std::time::Instant::now() < until {
            sweep();
            child.try_wait().unwrap();
        }
        assert!(!dirs[0].exists() && child.wait().unwrap().code().is_none());
    }
}
