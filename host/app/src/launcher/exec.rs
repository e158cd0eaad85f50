//! The short-lived step between fork and a service that runs as another user or is held to limits: enters its control
//! groups, takes the limits, that user's groups, group and number, gives up new privileges, then becomes the service. It exists because a parent can
//! give its child a user but, in safe code, none of the rest.
//!
//! Its standard input is the launcher's ear: it says there why it could not, and hands it on to nobody. In a trial's sandbox it
//! is the judge's ear, and also hears that the step got as far as the program.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use razar_core::plan::Limit;
use rustix::fs::{Gid, Uid};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{set_no_new_privs, set_thread_gid, set_thread_groups, set_thread_uid};

use super::user::Account;
use super::wire::Run;

/// The hidden subcommand by which the binary gets here.
pub(crate) const SUBCOMMAND: &str = "launcher-exec";

/// The same inside a trial's sandbox.
pub(crate) const IN_TRIAL: &str = "trial-exec";

/// Said there just before the program begins: whatever comes after it, the sandbox stood.
pub(crate) const BEGINS: char = '+';

/// Said instead of something that stays as it is.
const SAME: &str = "-";

/// What the launcher passes to [`main`] for a program and its arguments.
pub(crate) fn arguments(
    account: Option<&Account>,
    run: &Run,
    control: &[PathBuf],
    program: &str,
) -> Vec<String> {
    let listed = |items: Vec<String>| if items.is_empty() { SAME.to_owned() } else { items.join(",") };
    let number =
        |of: fn(&Account) -> u32| account.map_or_else(|| SAME.to_owned(), |account| of(account).to_string());
    let groups =
        account.map(|account| account.groups.iter().map(u32::to_string).collect()).unwrap_or_default();
    let limits = own(&run.limits).map(|(name, most)| format!("{name}={most}")).collect();
    // At most one for each kind of limit, of which the kernel knows few.
    let control = control.iter().map(|dir| dir.display().to_string()).collect::<Vec<_>>().join("\n");
    let mut all = vec![
        SUBCOMMAND.to_owned(),
        number(|account| account.uid),
        number(|account| account.gid),
        listed(groups),
        listed(limits),
        if control.is_empty() { SAME.to_owned() } else { control },
        run.no_new_privileges.to_string(),
        program.to_owned(),
    ];
    all.extend_from_slice(&run.argv);
    all
}

/// Limits of one process; the others are those of control groups.
fn own(limits: &BTreeMap<String, u64>) -> impl Iterator<Item = (&String, u64)> {
    let shared = |name: &str| Limit::ALL.iter().any(|limit| limit.as_str() == name && limit.is_shared());
    limits.iter().filter(move |(name, _)| !shared(name)).map(|(name, most)| (name, *most))
}

/// Takes limits for this process and for whoever it starts.
pub(crate) fn hold_to(limits: &BTreeMap<String, u64>) -> io::Result<()> {
    own(limits).try_for_each(|(name, most)| lower(name, most))
}

/// Becomes the service; returns only when that failed, having said so. `arguments` are those after the subcommand, which
/// is `name`; none when it is neither of ours.
pub(crate) fn main(name: &str, arguments: &[String]) -> Option<i32> {
    let beginning = match name {
        SUBCOMMAND => String::new(),
        IN_TRIAL => BEGINS.to_string(),
        _ => return None,
    };
    let Ok(ear) = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3) else { return Some(126) };
    let mut ear = std::fs::File::from(ear);
    let error = become_service(arguments, || ear.write_all(beginning.as_bytes()));
    let number = error.raw_os_error().unwrap_or(0);
    // If nobody listens any more, the exit code still says it.
    let _ = ear.write_all(number.to_string().as_bytes());
    Some(126)
}

fn become_service(arguments: &[String], begins: impl FnOnce() -> io::Result<()>) -> io::Error {
    let [uid, gid, groups, limits, control, no_new_privileges, program, name, rest @ ..] = arguments else {
        return io::ErrorKind::InvalidInput.into();
    };
    let mut command = Command::new(program);
    command.arg0(name).args(rest);
    let take = || -> io::Result<()> {
        rustix::stdio::dup2_stdin(std::fs::File::open("/dev/null")?)?;
        for dir in control.lines().filter(|control| *control != SAME) {
            std::fs::write(Path::new(dir).join("cgroup.procs"), "0")?;
        }
        for limit in limits.split(',').filter(|limits| *limits != SAME) {
            let (name, most) = limit.split_once('=').ok_or(io::ErrorKind::InvalidInput)?;
            lower(name, number(most)?)?;
        }
        // One thread: what is set for it is set for the process.
        if uid != SAME {
            let groups = groups.split(',').filter(|groups| *groups != SAME);
            let groups =
                groups.map(|group| number(group).map(Gid::from_raw)).collect::<io::Result<Vec<_>>>()?;
            set_thread_groups(&groups)?;
            set_thread_gid(Gid::from_raw(number(gid)?))?;
            set_thread_uid(Uid::from_raw(number(uid)?))?;
        }
        if no_new_privileges == "true" {
            set_no_new_privs(true)?;
        }
        Ok(())
    };
    match take().and_then(|()| begins()) {
        Ok(()) => command.exec(),
        Err(error) => error,
    }
}

fn number<T: std::str::FromStr>(text: &str) -> io::Result<T> {
    text.parse().map_err(|_| io::ErrorKind::InvalidInput.into())
}

/// One limit, such as `open_files`; never above what there is already.
fn lower(name: &str, most: u64) -> io::Result<()> {
    let limit =
        Limit::ALL.into_iter().find(|limit| limit.as_str() == name).ok_or(io::ErrorKind::InvalidInput)?;
    let resource = match limit {
        Limit::OpenFiles => Resource::Nofile,
        Limit::Processes => Resource::Nproc,
        Limit::AddressSpace => Resource::As,
        Limit::FileSize => Resource::Fsize,
        Limit::CoreDump => Resource::Core,
        Limit::LockedMemory => Resource::Memlock,
        Limit::CpuTime => Resource::Cpu,
        Limit::Memory | Limit::Tasks => return Err(io::ErrorKind::InvalidInput.into()),
    };
    let most = getrlimit(resource).maximum.map_or(most, |maximum| maximum.min(most));
    setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?;
    Ok(())
}
