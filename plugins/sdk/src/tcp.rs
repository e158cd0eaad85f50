//! One bounded TCP connection with one deadline for everything: `std::net` below, the same in a component and natively.

use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// Why a connection does not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TcpError {
    /// This is no address that can be reached.
    Address(&'static str),
    /// The host did not permit the connection.
    Denied,
    /// Nobody listens there.
    Refused,
    /// The name is unknown.
    Unresolved,
    /// No route.
    Unreachable,
    /// It took too long.
    Timeout,
    /// The other side closed the connection.
    Closed,
    /// Something else, named.
    Other(String),
}

impl fmt::Display for TcpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Address(problem) => problem,
            Self::Denied => "connection denied by the host",
            Self::Refused => "connection refused",
            Self::Unresolved => "name not found",
            Self::Unreachable => "address not reachable",
            Self::Timeout => "no answer in time",
            Self::Closed => "connection closed by the other side",
            Self::Other(problem) => problem,
        })
    }
}

impl std::error::Error for TcpError {}

/// An open connection.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    deadline: Instant,
}

impl Connection {
    /// Connects to `address`, which is `host:port` or `tcp://host:port`; a name's addresses are tried in turn.
    pub fn open(address: &str, deadline: Instant) -> Result<Self, TcpError> {
        let address = address.strip_prefix("tcp://").unwrap_or(address).trim_end_matches('/');
        let Some((host, port)) = address.rsplit_once(':') else {
            return Err(TcpError::Address("address must be `host:port` or `tcp://host:port`"));
        };
        if host.is_empty() || !port.parse::<u16>().is_ok_and(|port| port != 0) {
            return Err(TcpError::Address("address must be `host:port` or `tcp://host:port`"));
        }
        let addresses = address.to_socket_addrs().map_err(|problem| match problem.kind() {
            ErrorKind::PermissionDenied => TcpError::Denied,
            _ => TcpError::Unresolved,
        })?;
        let mut last = TcpError::Unresolved;
        for address in addresses {
            match TcpStream::connect_timeout(&address, left(deadline)?).and_then(connected) {
                Ok(stream) => {
                    stream.set_nonblocking(true).map_err(|problem| named(&problem))?;
                    return Ok(Self { stream, deadline });
                }
                Err(problem) => last = named(&problem),
            }
        }
        Err(last)
    }

    /// Sends all of `bytes`.
    pub fn send(&mut self, mut bytes: &[u8]) -> Result<(), TcpError> {
        while !bytes.is_empty() {
            let sent = self.wait_for(|stream| stream.write(bytes))?;
            if sent == 0 {
                return Err(TcpError::Closed);
            }
            bytes = bytes.get(sent..).unwrap_or_default();
        }
        Ok(())
    }

    /// Adds what arrives next to `buffer`, which never grows past `most`. Zero: the other side is done, or the buffer full.
    pub fn receive(&mut self, buffer: &mut Vec<u8>, most: usize) -> Result<usize, TcpError> {
        let mut chunk = [0; 2048];
        let room = most.saturating_sub(buffer.len()).min(chunk.len());
        if room == 0 {
            return Ok(0);
        }
        let (part, _) = chunk.split_at_mut(room);
        let read = self.wait_for(|stream| stream.read(part))?;
        buffer.extend_from_slice(part.get(..read).unwrap_or_default());
        Ok(read)
    }

    /// Repeats `operation` until it does not ask to wait. Socket time limits are not available in every component, so the
    /// pauses are made here; they start below what a loopback answer takes.
    fn wait_for(
        &mut self,
        mut operation: impl FnMut(&mut TcpStream) -> std::io::Result<usize>,
    ) -> Result<usize, TcpError> {
        let mut pause = Duration::from_micros(50);
        loop {
            match operation(&mut self.stream) {
                Ok(count) => return Ok(count),
                Err(problem) if matches!(problem.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Err(problem) => {
                    return Err(match named(&problem) {
                        // In a component a stream that broke does not say how.
                        TcpError::Other(_) => TcpError::Closed,
                        known => known,
                    });
                }
            }
            std::thread::sleep(pause.min(left(self.deadline)?));
            pause = (pause * 2).min(Duration::from_millis(10));
        }
    }
}

/// In a component `connect_timeout` also ends well when the connection was refused; the socket knows better.
fn connected(stream: TcpStream) -> std::io::Result<TcpStream> {
    match stream.take_error()? {
        Some(problem) => Err(problem),
        None => stream.peer_addr().map(|_| stream),
    }
}

fn left(deadline: Instant) -> Result<Duration, TcpError> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(TcpError::Timeout) } else { Ok(left) }
}

fn named(problem: &std::io::Error) -> TcpError {
    match problem.kind() {
        ErrorKind::PermissionDenied => TcpError::Denied,
        ErrorKind::ConnectionRefused => TcpError::Refused,
        ErrorKind::TimedOut | ErrorKind::WouldBlock => TcpError::Timeout,
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => TcpError::Unreachable,
        ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe
        | ErrorKind::UnexpectedEof => TcpError::Closed,
        kind => TcpError::Other(kind.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_address_is_refused() {
        for address in
            ["", "localhost", ":80", "localhost:", "localhost:0", "localhost:70000", "http://localhost"]
        {
            let outcome = Connection::open(address, Instant::now() + Duration::from_secs(1));
            assert!(matches!(outcome, Err(TcpError::Address(_))), "{address:?}: {outcome:?}");
        }
    }

    #[test]
    fn a_silent_server_costs_the_deadline_and_no_more() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let mut connection = Connection::open(&address, Instant::now() + Duration::from_millis(150)).unwrap();
        let started = Instant::now();
        assert_eq!(connection.receive(&mut Vec::new(), 10), Err(TcpError::Timeout));
        assert!(started.elapsed() < Duration::from_secs(10));
    }
}
