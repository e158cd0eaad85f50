//! One connected host: bytes in, bytes out, both bounded. It can never block the launcher; one that does not read is
//! dropped, and may come back and ask what it missed.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;

use super::wire::{MAX_REQUEST, Message, Request};

/// Bytes that wait for a host that does not read. A listing fits; a host that lets more than this pile up is gone.
const MAX_BACKLOG: usize = 16 << 20;

/// One connection.
#[derive(Debug)]
pub(crate) struct Session {
    stream: UnixStream,
    inbox: Vec<u8>,
    outbox: Vec<u8>,
}

/// Why a connection is given up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionError {
    /// It hung up.
    #[error("it closed the connection")]
    Closed,
    /// It broke.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It sends something else than requests.
    #[error("it sent a request that cannot be read: {0}")]
    Malformed(#[from] serde_json::Error),
    /// It sends without end.
    #[error("it sent a request of more than {MAX_REQUEST} bytes")]
    Oversize,
    /// It does not read.
    #[error("it left more than {MAX_BACKLOG} bytes unread")]
    Unread,
}

impl Session {
    /// A fresh connection.
    pub(crate) fn new(stream: UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self { stream, inbox: Vec::new(), outbox: Vec::new() })
    }

    /// What can be waited for.
    pub(crate) const fn stream(&self) -> &UnixStream {
        &self.stream
    }

    /// Something waits to be sent.
    pub(crate) const fn wants_to_write(&self) -> bool {
        !self.outbox.is_empty()
    }

    /// Reads what is there and returns the complete requests in it.
    pub(crate) fn receive(&mut self, buffer: &mut [u8]) -> Result<Vec<Request>, SessionError> {
        match self.stream.read(buffer) {
            Ok(0) => return Err(SessionError::Closed),
            Ok(count) => self.inbox.extend_from_slice(buffer.get(..count).unwrap_or_default()),
            Err(error) if is_passing(&error) => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        }
        let mut requests = Vec::new();
        if let Some(end) = self.inbox.iter().rposition(|byte| *byte == b'\n') {
            let rest = self.inbox.split_off(end + 1);
            for line in std::mem::replace(&mut self.inbox, rest).split(|byte| *byte == b'\n') {
                if !line.is_empty() {
                    requests.push(serde_json::from_slice(line)?);
                }
            }
        }
        if self.inbox.len() > MAX_REQUEST {
            return Err(SessionError::Oversize);
        }
        Ok(requests)
    }

    /// Says something, now as far as the other end takes it, the rest later.
    pub(crate) fn say(&mut self, message: &Message) -> Result<(), SessionError> {
        serde_json::to_writer(&mut self.outbox, message)?;
        self.outbox.push(b'\n');
        self.flush()?;
        if self.outbox.len() > MAX_BACKLOG { Err(SessionError::Unread) } else { Ok(()) }
    }

    /// Sends what waits, as far as the other end takes it.
    pub(crate) fn flush(&mut self) -> Result<(), SessionError> {
        let mut sent = 0;
        while let Some(rest) = self.outbox.get(sent..).filter(|rest| !rest.is_empty()) {
            match self.stream.write(rest) {
                Ok(0) => return Err(SessionError::Closed),
                Ok(count) => sent += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        self.outbox.drain(..sent);
        Ok(())
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
