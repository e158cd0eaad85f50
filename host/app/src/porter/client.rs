//! The host's end of the porter. It is called before the wall; afterwards there is no other way to have anything started.

use std::io::{self, IoSlice, Read as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use razar_core::effect::Process;
use razar_core::grant::Target;
use razar_runtime::compile::StartsCompiler;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, Shutdown, SocketFlags, SocketType,
    sendmsg, shutdown, socketpair,
};

use super::{Ask, Listens, MAX_ASK, Seen};
use crate::cli::Wall;

/// Longest answer to a question.
const MAX_ANSWER: u64 = 4 << 10;

/// The way to the porter.
#[derive(Debug)]
pub(crate) struct Porter {
    channel: OwnedFd,
}

/// The porter's process, to be sent away at the end.
#[derive(Debug)]
pub(crate) struct Leaving {
    channel: OwnedFd,
    child: Child,
}

impl Porter {
    /// Calls one for this state directory. The directories that were `made` for this host are taken away again when it
    /// ends and has put nothing into them. The `wall` is that of the compilers he starts.
    pub(crate) fn call(state: &Path, made: &[PathBuf], wall: Wall) -> io::Result<(Self, Leaving)> {
        let (channel, his) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        let mut command = Command::new("/proc/self/exe");
        command.arg0(std::env::args_os().next().unwrap_or_else(|| "razar-host".into()));
        command.args(["porter", "--wall", wall.as_str(), "--state"]).arg(state);
        for dir in made {
            command.arg("--made").arg(dir);
        }
        // Ctrl-C is for the host; he is needed until everything has stopped.
        let child =
            command.process_group(0).stdin(his).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let leaving = Leaving { channel: channel.try_clone()?, child };
        Ok((Self { channel }, leaving))
    }

    fn ask(&self, ask: &Ask) -> io::Result<UnixStream> {
        let packet = serde_json::to_vec(ask)?;
        if packet.len() > MAX_ASK {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let (own, his) = UnixStream::pair()?;
        let his = [his.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        ancillary.push(SendAncillaryMessage::ScmRights(&his));
        let gone = |error: rustix::io::Errno| {
            io::Error::other(format!(
                "the host's helper process is gone ({error}): start the host again, it takes the services over"
            ))
        };
        sendmsg(&self.channel, &[IoSlice::new(&packet)], &mut ancillary, SendFlags::NOSIGNAL)
            .map_err(gone)?;
        Ok(own)
    }

    /// Has the launcher of the state directory started; what it complains about can be read.
    pub(crate) fn start_launcher(&self) -> io::Result<UnixStream> {
        self.ask(&Ask::Launcher)
    }

    /// Whether a component's process lives, and who listens at the address that its probe asks. Waits for the answer: not
    /// for a thread that others need.
    pub(crate) fn look(&self, main: Process, listener: Option<(Target, String)>) -> io::Result<Seen> {
        let listener = listener.map(|(target, marker)| Listens { target: target.to_string(), marker });
        let answer = self.ask(&Ask::Look { main, listener })?;
        let mut said = Vec::new();
        answer.take(MAX_ANSWER).read_to_end(&mut said)?;
        Ok(serde_json::from_slice(&said)?)
    }
}

impl StartsCompiler for Porter {
    fn start(&self) -> io::Result<UnixStream> {
        self.ask(&Ask::Compile)
    }
}

impl Leaving {
    /// Sends him away and waits until he has gone.
    pub(crate) fn wait(mut self) {
        // Whatever became of him, he is gone.
        let _ = shutdown(&self.channel, Shutdown::Both);
        let _ = self.child.wait();
    }
}
