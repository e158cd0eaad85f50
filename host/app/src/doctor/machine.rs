//! The kernel and its tools: each is tried where it can be, and read about only where trying would change something.

use std::fs;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2 as open_beneath};
use rustix::process::{PidfdFlags, Resource, getpid, getrlimit, pidfd_open};

use super::Look;
use crate::launcher::{group, spawn::resolve};

/// The launcher holds two files for each service, and a few.
const OPEN_FILES: u64 = 4_096;

/// Signals to a process that cannot go to another one of the same number.
pub(super) fn process_handles() -> Look {
    match pidfd_open(getpid(), PidfdFlags::empty()) {
        Ok(_) => Ok("there".to_owned()),
        Err(error) => Err((format!("processes have no handles: {error}"), "Linux 5.3 or newer has them")),
    }
}

/// Opening a path without leaving a directory, in one step.
pub(super) fn openat2() -> Look {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match open_beneath(CWD, ".", flags, Mode::empty(), ResolveFlags::BENEATH) {
        Ok(_) => Ok("there".to_owned()),
        Err(error) => Err((
            format!("paths of plugins are opened step by step: {error}"),
            "Linux 5.6 or newer has it; a container may have to be told to allow the call `openat2`",
        )),
    }
}

/// How many files the launcher can open.
pub(super) fn open_files() -> Look {
    match getrlimit(Resource::Nofile).maximum {
        Some(limit) if limit < OPEN_FILES => Err((
            format!("at most {limit}, which is enough for {} services", limit.saturating_sub(64) / 2),
            "raise `LimitNOFILE=` of the unit, or `ulimit -Hn`",
        )),
        Some(limit) => Ok(format!("at most {limit}")),
        None => Ok("without a limit".to_owned()),
    }
}

/// Limits for groups of processes.
pub(super) fn cgroup() -> Look {
    let remedy = "give the unit `Delegate=yes`, `DelegateSubgroup=supervisor` and `ProtectControlGroups=no`; only `limits.memory` and `limits.tasks` need it";
    group::look().map_err(|why| (why, remedy))
}

/// Name spaces for users who are not root.
pub(super) fn user_namespaces() -> Look {
    let setting = |name: &str| {
        let value = fs::read_to_string(format!("/proc/sys/{name}")).ok()?;
        value.trim().parse::<u64>().ok()
    };
    let remedy = "set the kernel's parameter to what distributions have by default (`sysctl`)";
    if !fs::exists("/proc/self/ns/user").unwrap_or(false) {
        return Err(("this kernel has none".to_owned(), "a kernel with `CONFIG_USER_NS` has them"));
    }
    for (name, bad) in [
        ("user/max_user_namespaces", 0),
        ("kernel/unprivileged_userns_clone", 0),
        ("kernel/apparmor_restrict_unprivileged_userns", 1),
    ] {
        if setting(name) == Some(bad) {
            return Err((format!("`{}` is {bad}", name.replace('/', ".")), remedy));
        }
    }
    Ok("allowed".to_owned())
}

/// The tool that sandboxes native programs.
pub(super) fn bubblewrap() -> Look {
    let path = std::env::var("PATH").unwrap_or_default();
    match resolve("bwrap", &path, "/") {
        Ok(file) => Ok(format!("`{}`", file.display())),
        Err(_) => Err(("`bwrap` is not in PATH".to_owned(), "install the package `bubblewrap`")),
    }
}
