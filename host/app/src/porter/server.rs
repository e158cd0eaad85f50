//! The porter's process: one loop that waits for requests and for the ends of what it started.

use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::io::{self, IoSliceMut, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use razar_core::effect::Process;
use razar_runtime::compile::last_note;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use rustix::process::{PidfdFlags, pidfd_open};

use super::{Ask, Listens, MAX_ASK, Seen};
use crate::cli::Wall;
use crate::launcher::process::{self, CHECK_MARKER, SERVICE_MARKER};
use crate::listener::{self, Owner};

/// Compilers at once: the host runs one per core.
const MAX_CHILDREN: usize = 1_024;

/// Something that was started, and who wants to know how it ended.
struct Started {
    child: Child,
    handle: OwnedFd,
    /// None when nobody listens any more.
    socket: Option<UnixStream>,
    /// It goes on when nobody listens any more.
    kept: bool,
}

/// Serves until the host is gone. The requests come over standard input.
pub(crate) fn run(state: &Path, made: &[PathBuf], wall: Wall) -> io::Result<()> {
    let channel = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?;
    rustix::stdio::dup2_stdin(OpenOptions::new().read(true).open("/dev/null")?)?;
    let mut started: Vec<Started> = Vec::new();
    loop {
        let mut fds = vec![PollFd::new(&channel, PollFlags::IN)];
        fds.extend(started.iter().map(|one| PollFd::new(&one.handle, PollFlags::IN)));
        let listeners: Vec<usize> = (0..started.len())
            .filter(|at| started.get(*at).is_some_and(|one| one.socket.is_some()))
            .collect();
        fds.extend(
            started.iter().filter_map(|one| Some(PollFd::new(one.socket.as_ref()?, PollFlags::empty()))),
        );
        if poll(&mut fds, None).is_err() {
            continue;
        }
        let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        drop(fds);
        let asked = ready.first() == Some(&true);
        let gone = listeners.iter().zip(ready.iter().skip(1 + started.len())).filter(|(_, gone)| **gone);
        for (at, _) in gone {
            if let Some(one) = started.get_mut(*at) {
                one.desert();
            }
        }
        started.retain_mut(Started::goes_on);
        if asked {
            match hear(&channel) {
                Ok(Heard::Ask(ask, socket)) => {
                    let children = started.len();
                    started.extend(answer(state, wall, &ask, socket, children));
                }
                // From nobody who is needed.
                Ok(Heard::Nonsense) | Err(rustix::io::Errno::INTR) => {}
                Ok(Heard::End) | Err(_) => break,
            }
        }
    }
    for mut one in started.into_iter().filter(|one| !one.kept) {
        // Nobody waits for it any more.
        let _ = one.child.kill();
        let _ = one.child.wait();
    }
    for dir in made.iter().rev() {
        // Only what is empty goes.
        let _ = fs::remove_dir(dir);
    }
    Ok(())
}

enum Heard {
    Ask(Ask, UnixStream),
    Nonsense,
    /// The host is gone.
    End,
}

fn hear(channel: &OwnedFd) -> rustix::io::Result<Heard> {
    let mut packet = vec![0; MAX_ASK];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut into = [IoSliceMut::new(&mut packet)];
    let heard = recvmsg(channel, &mut into, &mut ancillary, RecvFlags::CMSG_CLOEXEC)?.bytes;
    let socket = ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut sockets) => sockets.next(),
        _ => None,
    });
    if heard == 0 {
        return Ok(Heard::End);
    }
    let ask = serde_json::from_slice(packet.get(..heard).unwrap_or_default());
    Ok(match (ask, socket) {
        (Ok(ask), Some(socket)) => Heard::Ask(ask, socket.into()),
        _ => Heard::Nonsense,
    })
}

fn answer(state: &Path, wall: Wall, ask: &Ask, socket: UnixStream, children: usize) -> Option<Started> {
    let mut complain = socket.try_clone().ok()?;
    let started = match ask {
        Ask::Look { main, listener } => {
            // Whoever asked may be gone.
            let _ = serde_json::to_writer(&mut complain, &look(*main, listener.as_ref()));
            return None;
        }
        Ask::Compile | Ask::Launcher if children >= MAX_CHILDREN => return None,
        Ask::Compile => start(&["compile-plugin", "--wall", wall.as_str()].map(OsStr::new), socket, false),
        Ask::Launcher => start(&["launcher".as_ref(), "--state".as_ref(), state.as_os_str()], socket, true),
    };
    started
        .map_err(|error| {
            // Whoever asked may be gone.
            let _ = write!(complain, "it cannot be started: {error}");
            let _ = complain.write_all(&last_note(ExitStatus::from_raw(1 << 8)));
        })
        .ok()
}

fn look(main: Process, listener: Option<&Listens>) -> Seen {
    if !process::entry(main.pid).is_some_and(|entry| entry.process == main && !entry.zombie) {
        return Seen::Gone;
    }
    let target = listener.and_then(|listens| Some((listens.target.parse().ok()?, &listens.marker)));
    Seen::Alive(target.map_or(Owner::Service, |(target, marker)| listener::owner(&target, main, marker)))
}

fn start(words: &[&OsStr], socket: UnixStream, kept: bool) -> io::Result<Started> {
    let end = || -> io::Result<Stdio> { Ok(OwnedFd::from(socket.try_clone()?).into()) };
    // This very program, even if another one lies in its place by now.
    let mut command = Command::new("/proc/self/exe");
    command.arg0(std::env::args_os().next().unwrap_or_else(|| "razar-host".into())).args(words);
    if kept {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(end()?);
        command.env_remove(SERVICE_MARKER).env_remove(CHECK_MARKER);
    } else {
        command.stdin(end()?).stdout(end()?).stderr(Stdio::null()).env_clear();
    }
    let mut child = command.spawn()?;
    let handle = process::raw(child.id()).ok_or(io::ErrorKind::NotFound.into());
    match handle.and_then(|pid| Ok(pidfd_open(pid, PidfdFlags::empty())?)) {
        Ok(handle) => Ok(Started { child, handle, socket: Some(socket), kept }),
        Err(error) => {
            let _ = child.kill();
            let _ = child.wait();
            Err(error)
        }
    }
}

impl Started {
    /// Nobody listens any more.
    fn desert(&mut self) {
        self.socket = None;
        if !self.kept {
            // It is reaped when its handle says so.
            let _ = self.child.kill();
        }
    }

    /// False when it is over, which the other end is told.
    fn goes_on(&mut self) -> bool {
        match self.child.try_wait() {
            Ok(None) => true,
            Ok(Some(status)) => {
                // Whoever listened may be gone.
                let _ = self.socket.as_ref().map(|mut socket| socket.write_all(&last_note(status)));
                false
            }
            Err(_) => false,
        }
    }
}
