//! One conversation with the host: a request, then its answers, each within bounds. It never waits for ever unless it
//! is told to.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use crate::serve::socket;
use crate::serve::wire::{Answer, Envelope, MAX_ANSWER, Request, VERSION};

/// For one answer: a commit that waits for a slow disk, or the longest grace a component may have to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// What came of asking.
#[derive(Debug)]
pub(super) enum Asked {
    /// An answer.
    Answer(Answer),
    /// Nobody listens.
    NoHost,
    /// Whether somebody listens cannot be looked at.
    Barred(String),
    /// Somebody listened, and then?
    Lost(String),
}

/// An open conversation.
#[derive(Debug)]
pub(super) struct Client {
    reader: BufReader<UnixStream>,
}

/// Asks for one thing that has one answer.
pub(super) fn once(state: &Path, request: Request) -> Asked {
    match Client::ask(state, &request) {
        Ok(mut client) => client.next(),
        Err(failed) => failed,
    }
}

fn unreached(state: &Path, error: &io::Error) -> String {
    format!("cannot reach the host at `{}`: {error}", socket::path(state).display())
}

impl Client {
    /// Sends a request.
    pub(super) fn ask(state: &Path, request: &Request) -> Result<Self, Asked> {
        let mut stream = socket::connect(state).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Asked::NoHost,
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Asked::Lost(unreached(state, &error)),
            _ => Asked::Barred(format!(
                "{}; run this as the user whose host it is, or name another directory with `--state DIR`",
                unreached(state, &error)
            )),
        })?;
        Self::send(&mut stream, request)
            .map_err(|error| Asked::Lost(format!("cannot ask the host: {error}")))?;
        Ok(Self { reader: BufReader::new(stream) })
    }

    /// No host is running here.
    pub(super) fn nobody_listens(state: &Path) -> bool {
        socket::connect(state).is_err_and(|error| {
            matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
        })
    }

    fn send(stream: &mut UnixStream, request: &Request) -> io::Result<()> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut line = serde_json::to_vec(&Envelope { version: VERSION, request })?;
        line.push(b'\n');
        match stream.write_all(&line) {
            // The host may have said why it does not listen before it hung up.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => written,
        }
    }

    /// The next answer may take as long as it takes.
    pub(super) fn wait_for_ever(&mut self) {
        // A socket that cannot be told so says when it gives up.
        let _ = self.reader.get_ref().set_read_timeout(None);
    }

    /// The next answer.
    pub(super) fn next(&mut self) -> Asked {
        let mut line = Vec::new();
        let limit = u64::try_from(MAX_ANSWER).unwrap_or(u64::MAX);
        match (&mut self.reader).take(limit).read_until(b'\n', &mut line) {
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                Asked::Lost(format!("the host did not answer within {} s", PATIENCE.as_secs()))
            }
            Err(error) => Asked::Lost(format!("the host hung up: {error}")),
            Ok(_) if line.last() != Some(&b'\n') => {
                Asked::Lost("the host hung up before it answered".to_owned())
            }
            Ok(_) => match serde_json::from_slice(&line) {
                Ok(answer) => Asked::Answer(answer),
                Err(error) => Asked::Lost(format!("the host's answer was not understood: {error}")),
            },
        }
    }
}
