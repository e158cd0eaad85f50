//! Whose socket answers at an address of this machine: a service is not up because somebody else has its port. Looks
//! only, and says nothing that it cannot prove: other machines, other namespaces and other users' processes are not
//! judged. It runs in the porter's process: the wall hides other processes' files from the host's.

mod sockets;

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

use razar_core::effect::Process;
use razar_core::grant::{Host, Target};
use serde::{Deserialize, Serialize};

use crate::launcher::process::{self, SERVICE_MARKER, Table, Variable};
use sockets::{Socket, listening};

/// Most characters of a program's name that are shown.
const MAX_NAME: usize = 40;

/// What is known about who listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Owner {
    /// A process of the service, or nobody can tell.
    Service,
    /// Certainly somebody else.
    Other(Holder),
}

/// Somebody else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Holder {
    /// This process.
    Process {
        /// Its number.
        pid: u32,
        /// What it calls itself.
        name: String,
    },
    /// A process of this user, which cannot be looked at.
    User(u32),
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process { pid, name } => write!(f, "pid {pid} ({name})"),
            Self::User(user) => write!(f, "a process of user {user}"),
        }
    }
}

/// Who listens at the address that a service's probe asks. `marker` is what the service's processes carry.
pub(crate) fn owner(target: &Target, main: Process, marker: &str) -> Owner {
    let sockets = answering(target, &listening(target.port()));
    let inodes: BTreeSet<u64> = sockets.iter().map(|socket| socket.inode).collect();
    // The main process is nearly always the one that listens, and the rest need not be looked at.
    if inodes.is_empty() || holds(main.pid, &inodes) != Some(false) {
        return Owner::Service;
    }
    let table = process::table();
    let family = family(&table, main, marker);
    if family.iter().any(|pid| *pid != main.pid && holds(*pid, &inodes) != Some(false)) {
        return Owner::Service;
    }
    let holder = table.keys().find(|pid| !family.contains(*pid) && holds(**pid, &inodes) == Some(true));
    if let Some(pid) = holder.copied() {
        if may_be_an_orphan(&table, pid, main) {
            return Owner::Service;
        }
        return Owner::Other(Holder::Process { pid, name: name(pid) });
    }
    // All of the service's own processes could be looked at; who could not is another user's.
    let me = rustix::process::geteuid();
    match sockets.iter().map(|socket| socket.user).find(|user| !me.is_root() && *user != me.as_raw()) {
        Some(user) => Owner::Other(Holder::User(user)),
        None => Owner::Service,
    }
}

/// The sockets that a connection to this target can reach; none when it is not an address of this machine. The more
/// precise address wins, as it does in the kernel.
fn answering(target: &Target, sockets: &[Socket]) -> Vec<Socket> {
    let addresses = match target.host() {
        Host::Address(address) if is_local(*address) => vec![*address],
        Host::Name(name) if name == "localhost" => {
            vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]
        }
        Host::Address(_) | Host::Name(_) => Vec::new(),
    };
    let mut found = Vec::new();
    for address in addresses {
        let at = |wanted: &dyn Fn(IpAddr) -> bool| -> Vec<Socket> {
            sockets.iter().filter(|socket| wanted(socket.address)).copied().collect()
        };
        let exact = at(&|listening| listening.to_canonical() == address);
        let any = |listening: IpAddr| match listening {
            IpAddr::V4(own) => own.is_unspecified() && address.is_ipv4(),
            IpAddr::V6(own) => own.is_unspecified(),
        };
        found.extend(if exact.is_empty() { at(&any) } else { exact });
    }
    found
}

fn is_local(address: IpAddr) -> bool {
    // Only an address of this machine can be bound to.
    address.is_loopback() || UdpSocket::bind((address, 0)).is_ok()
}

/// Whether a process has one of these sockets open; none when it may not be looked at.
fn holds(pid: u32, inodes: &BTreeSet<u64>) -> Option<bool> {
    let dir = match fs::read_dir(format!("/proc/{pid}/fd")) {
        Ok(dir) => dir,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Some(false),
        Err(_) => return None,
    };
    let socket = |item: std::io::Result<fs::DirEntry>| -> Option<u64> {
        let link = fs::read_link(item.ok()?.path()).ok()?;
        link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
    };
    Some(dir.filter_map(socket).any(|inode| inodes.contains(&inode)))
}

/// The service's processes: its group, whoever carries its marker, and all they have started.
fn family(table: &Table, main: Process, marker: &str) -> BTreeSet<u32> {
    let ours = |pid: u32| process::variable(pid, SERVICE_MARKER) == Variable::Is(marker.to_owned());
    let mut family: BTreeSet<u32> = table
        .values()
        .filter(|entry| entry.process == main || entry.group == main.pid || ours(entry.process.pid))
        .map(|entry| entry.process.pid)
        .collect();
    loop {
        let more: Vec<u32> = table
            .values()
            .filter(|entry| family.contains(&entry.parent) && !family.contains(&entry.process.pid))
            .map(|entry| entry.process.pid)
            .collect();
        if more.is_empty() {
            return family;
        }
        family.extend(more);
    }
}

/// An orphan of the service that took its marker off comes to the launcher, as the service did: nobody can tell whose
/// it was.
fn may_be_an_orphan(table: &Table, pid: u32, main: Process) -> bool {
    let parent = |pid: u32| table.get(&pid).map(|entry| entry.parent);
    parent(pid).is_some()
        && parent(pid) == parent(main.pid)
        && !matches!(process::variable(pid, SERVICE_MARKER), Variable::Is(_))
}

fn name(pid: u32) -> String {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    name.trim().chars().take(MAX_NAME).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::process::{Child, Command};

    use super::*;

    fn target(text: &str) -> Target {
        text.parse().unwrap()
    }

    fn socket(address: &str, inode: u64) -> Socket {
        Socket { address: address.parse().unwrap(), user: 0, inode }
    }

    #[test]
    fn the_more_precise_address_answers_and_other_machines_are_not_judged() {
        let sockets = [socket("0.0.0.0", 1), socket("127.0.0.1", 2), socket("::", 3), socket("::1", 4)];
        for (host, wanted) in [
            ("127.0.0.1:80", vec![2]),
            ("127.0.0.2:80", vec![1, 3]),
            ("[::1]:80", vec![4]),
            ("localhost:80", vec![2, 4]),
            ("http://localhost/x", vec![2, 4]),
            ("example.com:80", vec![]),
            ("192.0.2.1:80", vec![]),
        ] {
            let inodes: Vec<u64> = answering(&target(host), &sockets).iter().map(|s| s.inode).collect();
            assert_eq!(inodes, wanted, "{host}");
        }
    }

    struct Sleeper(Child);

    impl Sleeper {
        fn new(marker: &str) -> (Self, Process) {
            let child = Command::new("sleep").arg("600").env(SERVICE_MARKER, marker).spawn().unwrap();
            let process = process::entry(child.id()).unwrap().process;
            (Self(child), process)
        }
    }

    impl Drop for Sleeper {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[test]
    fn a_socket_of_somebody_else_is_told_from_one_of_the_service() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = target(&listener.local_addr().unwrap().to_string());
        let me = process::entry(std::process::id()).unwrap().process;
        assert_eq!(owner(&target, me, "x"), Owner::Service, "this process holds it itself");

        let (_sleeper, stranger) = Sleeper::new("s:other:1");
        let Owner::Other(holder) = owner(&target, stranger, "s:other:1") else { panic!("it holds nothing") };
        let said = holder.to_string();
        assert!(said.starts_with(&format!("pid {} (", std::process::id())), "{said}");
        // Another test may be starting a process, which holds every socket until it becomes its program.
        rustix::net::shutdown(&listener, rustix::net::Shutdown::Both).unwrap();
        drop(listener);
        assert_eq!(
            owner(&target, stranger, "s:other:1"),
            Owner::Service,
            "nobody listens, nobody is accused"
        );
    }
}
