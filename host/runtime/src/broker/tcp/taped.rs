//! Connections of a call with a tape: what came over them is written down, or comes from the tape without a connection. A played
//! socket is never connected; what the guest does with it is known by the socket's number.

use std::collections::VecDeque;
use std::net::SocketAddr;

use bytes::Bytes;
use wasmtime::component::Resource;
use wasmtime_wasi::p2::bindings::sockets::network::ErrorCode;
use wasmtime_wasi::p2::{
    DynInputStream, DynOutputStream, DynPollable, InputStream, OutputStream, Pollable, StreamError,
    StreamResult, TcpSocket, subscribe,
};
use wasmtime_wasi::sockets::WasiSocketsCtxView;

use super::meter::Streams;
use crate::tape::recording::{Connection, Data, ReadEnd, Sent};
use crate::tape::{Playing, Tape};

/// What a look in vain takes of a tape's room.
const PAUSE: usize = 16;

/// How much a guest may hand over at once.
const PERMIT: usize = 64 * 1024;

const CODES: [ErrorCode; 21] = [
    ErrorCode::Unknown,
    ErrorCode::AccessDenied,
    ErrorCode::NotSupported,
    ErrorCode::InvalidArgument,
    ErrorCode::OutOfMemory,
    ErrorCode::Timeout,
    ErrorCode::ConcurrencyConflict,
    ErrorCode::NotInProgress,
    ErrorCode::WouldBlock,
    ErrorCode::InvalidState,
    ErrorCode::NewSocketLimit,
    ErrorCode::AddressNotBindable,
    ErrorCode::AddressInUse,
    ErrorCode::RemoteUnreachable,
    ErrorCode::ConnectionRefused,
    ErrorCode::ConnectionReset,
    ErrorCode::ConnectionAborted,
    ErrorCode::DatagramTooLarge,
    ErrorCode::NameUnresolvable,
    ErrorCode::TemporaryResolverFailure,
    ErrorCode::PermanentResolverFailure,
];

fn name(code: ErrorCode) -> String {
    format!("{code:?}")
}

fn code(named: &str) -> ErrorCode {
    CODES.into_iter().find(|code| name(*code) == named).unwrap_or(ErrorCode::Unknown)
}

/// Writes down how a connection begins.
pub(super) fn began(tape: &Tape, socket: u32, address: SocketAddr, result: Result<(), ErrorCode>) {
    tape.write(size_of::<Connection>(), |writing| {
        let made = result.err().map(|code| Err(name(code)));
        writing.sockets.insert(socket, writing.recording.connections.len());
        writing.recording.connections.push(Connection {
            address,
            made,
            local: None,
            waits: 0,
            received: Vec::new(),
            end: ReadEnd::Open,
            sent: Sent::default(),
        });
    });
}

/// Writes down that nothing has become of it yet: the guest looks again, and may read a clock in between.
pub(super) fn waited(tape: &Tape, socket: u32) {
    tape.write(PAUSE, |writing| {
        let number = writing.sockets.get(&socket).copied().unwrap_or(usize::MAX);
        if let Some(connection) = writing.recording.connections.get_mut(number) {
            connection.waits = connection.waits.saturating_add(1);
        }
    });
}

/// Writes down what became of it; the connection's number.
pub(super) fn made(tape: &Tape, socket: u32, result: Result<(), ErrorCode>) -> usize {
    let mut number = usize::MAX;
    tape.write(0, |writing| {
        number = writing.sockets.get(&socket).copied().unwrap_or(usize::MAX);
        if let Some(connection) = writing.recording.connections.get_mut(number) {
            connection.made = Some(result.map_err(name));
        }
    });
    number
}

/// Writes down the address that it was made from.
pub(super) fn local(tape: &Tape, socket: u32, address: SocketAddr) {
    tape.write(size_of::<SocketAddr>(), |writing| {
        let number = writing.sockets.get(&socket).copied().unwrap_or(usize::MAX);
        if let Some(connection) = writing.recording.connections.get_mut(number) {
            connection.local = Some(address);
        }
    });
}

/// Both ends of a connection that was made then; the nearer one if anybody had asked for it.
pub(super) fn ends(playing: &Playing, socket: u32) -> Option<(SocketAddr, Option<SocketAddr>)> {
    let (_, then) = connection(playing, socket)?;
    matches!(then.made, Some(Ok(()))).then_some((then.address, then.local))
}

/// Writes down what was read.
pub(super) fn read(tape: &Tape, number: usize, read: &StreamResult<Bytes>) {
    // Also a look in vain: a guest looks again later, and may read a clock in between.
    let bytes = read.as_ref().map_or(0, Bytes::len).max(PAUSE);
    tape.write(bytes, |writing| {
        let Some(connection) = writing.recording.connections.get_mut(number) else { return };
        match read {
            Ok(bytes) => connection.received.push(Data(Bytes::copy_from_slice(bytes))),
            Err(StreamError::Closed) => connection.end = ReadEnd::Closed,
            Err(_) => connection.end = ReadEnd::Broken,
        }
    });
}

/// Writes down what was sent.
pub(super) fn sent(tape: &Tape, number: usize, bytes: &[u8]) {
    tape.write(bytes.len(), |writing| {
        if let Some(connection) = writing.recording.connections.get_mut(number) {
            connection.sent.push(bytes);
        }
    });
}

/// Begins a played connection.
pub(super) fn begin(playing: &Playing, socket: u32, address: SocketAddr) -> Result<(), ErrorCode> {
    let index = {
        let mut at = playing.at();
        at.connections += 1;
        let index = at.connections - 1;
        at.sockets.insert(socket, index);
        index
    };
    match playing.recording.connections.get(index) {
        None => playing.beyond(|| format!("it connects to {address}, which it had not done")),
        Some(then) if then.address != address => {
            let (number, was) = (index + 1, then.address);
            playing.differs(|| format!("connection {number} is to {address} and was to {was}"));
        }
        Some(_) => {}
    }
    Ok(())
}

fn connection(playing: &Playing, socket: u32) -> Option<(usize, &Connection)> {
    let index = *playing.at().sockets.get(&socket)?;
    Some((index, playing.recording.connections.get(index)?))
}

/// Ends the beginning of a played connection.
pub(super) fn finish(
    sockets: &mut WasiSocketsCtxView<'_>,
    tape: &Tape,
    playing: &Playing,
    socket: Resource<TcpSocket>,
) -> wasmtime::Result<Result<Streams, ErrorCode>> {
    let Some((index, then)) = connection(playing, socket.rep()) else {
        return Ok(Err(ErrorCode::NotInProgress));
    };
    {
        let mut at = playing.at();
        let waited = at.waited.entry(index).or_default();
        *waited = waited.saturating_add(1);
        if *waited <= then.waits {
            return Ok(Err(ErrorCode::WouldBlock));
        }
    }
    match &then.made {
        None => return Ok(Err(ErrorCode::WouldBlock)),
        Some(Err(named)) => return Ok(Err(code(named))),
        Some(Ok(())) => {}
    }
    let input = Again { pieces: then.received.iter().cloned().collect(), end: then.end };
    let input: DynInputStream = Box::new(input);
    let output: DynOutputStream = Box::new(Compared { tape: tape.clone(), index, bytes: Vec::new() });
    let input = sockets.table.push_child(input, &socket)?;
    let output = sockets.table.push_child(output, &socket)?;
    Ok(Ok((input, output)))
}

/// What a guest waits for that waits for a played socket.
pub(super) fn wait(
    sockets: &mut WasiSocketsCtxView<'_>,
    playing: &Playing,
    socket: Resource<TcpSocket>,
) -> wasmtime::Result<Resource<DynPollable>> {
    let never = connection(playing, socket.rep()).is_some_and(|(_, then)| then.made.is_none());
    let made = sockets.table.push(Made { never })?;
    subscribe(sockets.table, made)
}

struct Made {
    never: bool,
}

#[wasmtime_wasi::async_trait]
impl Pollable for Made {
    async fn ready(&mut self) {
        if self.never {
            std::future::pending::<()>().await;
        }
    }
}

/// What came over a connection then.
struct Again {
    pieces: VecDeque<Data>,
    end: ReadEnd,
}

#[wasmtime_wasi::async_trait]
impl Pollable for Again {
    async fn ready(&mut self) {
        if self.pieces.is_empty() && self.end == ReadEnd::Open {
            std::future::pending::<()>().await;
        }
    }
}

#[wasmtime_wasi::async_trait]
impl InputStream for Again {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        let Some(piece) = self.pieces.front_mut() else {
            return match self.end {
                ReadEnd::Open => Ok(Bytes::new()),
                ReadEnd::Closed => Err(StreamError::Closed),
                ReadEnd::Broken => {
                    Err(StreamError::LastOperationFailed(wasmtime::Error::msg("the connection broke")))
                }
            };
        };
        let bytes = piece.0.split_to(size.min(piece.0.len()));
        if piece.0.is_empty() {
            self.pieces.pop_front();
        }
        Ok(bytes)
    }
}

/// What goes over a played connection: compared with what went when the guest is done with it, or has said more.
struct Compared {
    tape: Tape,
    index: usize,
    bytes: Vec<u8>,
}

impl Compared {
    fn then(&self) -> Option<(&Playing, &Sent)> {
        let playing = self.tape.playing()?;
        Some((playing, &playing.recording.connections.get(self.index)?.sent))
    }

    fn compare(&self, over: bool) {
        let Some((playing, then)) = self.then() else { return };
        let (length, was, number) = (self.bytes.len() as u64, then.length, self.index + 1);
        let other =
            || format!("it sends something else over connection {number}: {length} bytes, were {was}");
        let begin = usize::try_from(was).ok().and_then(|was| self.bytes.get(..was));
        match begin {
            Some(begin) if !then.is(begin) => playing.differs(other),
            Some(_) if length > was => playing.beyond(other),
            Some(_) => {}
            // Whoever is ended in the middle has said nothing else yet.
            None if over && !playing.timed_out() => playing.differs(other),
            None => {}
        }
    }
}

impl Drop for Compared {
    fn drop(&mut self) {
        if self.tape.playing().is_some_and(|playing| !playing.is_over()) {
            self.compare(true);
        }
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Compared {
    async fn ready(&mut self) {}
}

#[wasmtime_wasi::async_trait]
impl OutputStream for Compared {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.bytes.extend_from_slice(&bytes);
        self.compare(false);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(PERMIT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_comes_back_as_it_was() {
        for known in CODES {
            assert_eq!(code(&name(known)), known);
        }
        assert_eq!(code("of a version to come"), ErrorCode::Unknown);
    }
}
