//! The short-lived step between fork and a service of another user: takes that user's groups, group and number, then
//! becomes the service. It exists because a parent can give its child a user, but not, in safe code, the groups.
//!
//! Its standard input is the launcher's ear: it says there why it could not, and hands it on to nobody.

use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::fs::{Gid, Uid};
use rustix::thread::{set_thread_gid, set_thread_groups, set_thread_uid};

use super::user::Account;

/// The hidden subcommand by which the binary gets here.
pub(crate) const SUBCOMMAND: &str = "launcher-exec";

/// What the launcher passes to [`main`] for a program and its arguments.
pub(crate) fn arguments(account: &Account, program: &str, argv: &[String]) -> Vec<String> {
    let groups: Vec<String> = account.groups.iter().map(u32::to_string).collect();
    let mut all =
        vec![SUBCOMMAND.to_owned(), account.uid.to_string(), account.gid.to_string(), groups.join(",")];
    all.push(program.to_owned());
    all.extend_from_slice(argv);
    all
}

/// Becomes the service; returns only when that failed, having said so. `arguments` are those after the subcommand.
pub(crate) fn main(arguments: &[String]) -> i32 {
    let Ok(ear) = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3) else { return 126 };
    let error = become_service(arguments);
    let number = error.raw_os_error().unwrap_or(0);
    // If nobody listens any more, the exit code still says it.
    let _ = std::fs::File::from(ear).write_all(number.to_string().as_bytes());
    126
}

fn become_service(arguments: &[String]) -> io::Error {
    let [uid, gid, groups, program, name, rest @ ..] = arguments else {
        return io::ErrorKind::InvalidInput.into();
    };
    let take = || -> io::Result<()> {
        let number =
            |text: &str| text.parse::<u32>().map_err(|_| io::Error::from(io::ErrorKind::InvalidInput));
        let groups = groups
            .split(',')
            .map(|group| number(group).map(Gid::from_raw))
            .collect::<io::Result<Vec<_>>>()?;
        rustix::stdio::dup2_stdin(std::fs::File::open("/dev/null")?)?;
        // One thread: what is set for it is set for the process.
        set_thread_groups(&groups)?;
        set_thread_gid(Gid::from_raw(number(gid)?))?;
        set_thread_uid(Uid::from_raw(number(uid)?))?;
        Ok(())
    };
    match take() {
        Ok(()) => Command::new(program).arg0(name).args(rest).exec(),
        Err(error) => error,
    }
}
