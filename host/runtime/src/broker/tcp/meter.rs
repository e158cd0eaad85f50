//! How much one connection may carry. wasmtime hands a guest two plain streams when a connection is made; here they are
//! replaced by streams that count, and fail once the call's limit is passed. More functions are told apart here: what a call with a
//! tape does to connect, what it waits for, and what it is told of a connection's ends.

use std::sync::Arc;

use bytes::Bytes;
use razar_core::grant::Limits;
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi::p2::bindings::sockets::network::{ErrorCode, IpSocketAddress};
use wasmtime_wasi::p2::bindings::sockets::tcp::HostTcpSocket;
use wasmtime_wasi::p2::pipe::{ClosedInputStream, ClosedOutputStream};
use wasmtime_wasi::p2::{
    DynInputStream, DynOutputStream, DynPollable, InputStream, Network, OutputStream, Pollable, StreamError,
    StreamResult, TcpSocket,
};
use wasmtime_wasi::sockets::WasiSocketsCtxView;

use super::{TcpBroker, taped};
use crate::broker::journal::{Journal, Refused};
use crate::tape::Tape;

/// The version wasmtime-wasi 48 links; the linker matches other 0.2 versions to it.
const INTERFACE: &str = "wasi:sockets/tcp@0.2.12";

/// What the function needs of a store's data.
pub struct MeterView<'a> {
    /// wasmtime's own half, with the guest's resources.
    pub sockets: WasiSocketsCtxView<'a>,
    /// The gate of the call.
    pub broker: TcpBroker,
}

/// Which of a connection's addresses.
#[derive(Clone, Copy)]
enum End {
    Remote,
    Local,
}

/// Defines the functions that begin a connection, wait for it, make streams of it and name its ends, over wasmtime's own, which they
/// call.
pub fn add_meter_to_linker<T: Send + 'static>(
    linker: &mut Linker<T>,
    view: fn(&mut T) -> MeterView<'_>,
) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let defined = linker.instance(INTERFACE).and_then(|mut instance| {
        instance.func_wrap(
            "[method]tcp-socket.start-connect",
            move |mut store: StoreContextMut<'_, T>,
                  (socket, network, address): (Resource<TcpSocket>, Resource<Network>, IpSocketAddress)| {
                Ok((start_connect(view(store.data_mut()), socket, network, address)?,))
            },
        )?;
        instance.func_wrap(
            "[method]tcp-socket.subscribe",
            move |mut store: StoreContextMut<'_, T>, (socket,): (Resource<TcpSocket>,)| {
                Ok((pollable(view(store.data_mut()), socket)?,))
            },
        )?;
        instance.func_wrap(
            "[method]tcp-socket.finish-connect",
            move |mut store: StoreContextMut<'_, T>, (socket,): (Resource<TcpSocket>,)| {
                Ok((finish_connect(view(store.data_mut()), socket)?,))
            },
        )?;
        for (name, end) in [("remote", End::Remote), ("local", End::Local)] {
            instance.func_wrap(
                &format!("[method]tcp-socket.{name}-address"),
                move |mut store: StoreContextMut<'_, T>, (socket,): (Resource<TcpSocket>,)| {
                    Ok((address(view(store.data_mut()), socket, end)?,))
                },
            )?;
        }
        Ok(())
    });
    linker.allow_shadowing(false);
    defined
}

pub(super) type Streams = (Resource<DynInputStream>, Resource<DynOutputStream>);

fn finish_connect(
    view: MeterView<'_>,
    socket: Resource<TcpSocket>,
) -> wasmtime::Result<Result<Streams, ErrorCode>> {
    let MeterView { mut sockets, broker } = view;
    let tape = broker.0.journal.tape();
    if let Some((tape, playing)) = tape.and_then(|tape| Some((tape, tape.playing()?))) {
        return taped::finish(&mut sockets, tape, playing, socket);
    }
    let number = socket.rep();
    let (input, output) = match sockets.finish_connect(socket) {
        Ok(streams) => streams,
        Err(error) => {
            let code: ErrorCode = error.downcast()?;
            match tape {
                Some(tape) if code == ErrorCode::WouldBlock => taped::waited(tape, number),
                Some(tape) => drop(taped::made(tape, number, Err(code))),
                None => {}
            }
            return Ok(Err(code));
        }
    };
    let taped = tape.map(|tape| (tape.clone(), taped::made(tape, number, Ok(()))));
    // In place: both stay children of their socket.
    let slot = sockets.table.get_mut(&input)?;
    let inner = std::mem::replace(slot, Box::new(ClosedInputStream));
    *slot = Box::new(Incoming { inner, meter: Meter::incoming(&broker), taped: taped.clone() });
    let slot = sockets.table.get_mut(&output)?;
    let inner = std::mem::replace(slot, Box::new(ClosedOutputStream));
    *slot = Box::new(Outgoing { inner, meter: Meter::outgoing(&broker), taped });
    Ok(Ok((input, output)))
}

fn start_connect(
    view: MeterView<'_>,
    socket: Resource<TcpSocket>,
    network: Resource<Network>,
    address: IpSocketAddress,
) -> wasmtime::Result<Result<(), ErrorCode>> {
    let MeterView { mut sockets, broker } = view;
    let tape = broker.0.journal.tape();
    let number = socket.rep();
    if let Some(playing) = tape.and_then(Tape::playing) {
        return Ok(taped::begin(playing, number, address.into()));
    }
    let result = match sockets.start_connect(socket, network, address) {
        Ok(()) => Ok(()),
        Err(error) => Err(error.downcast()?),
    };
    if let Some(tape) = tape {
        taped::began(tape, number, address.into(), result);
    }
    Ok(result)
}

fn pollable(view: MeterView<'_>, socket: Resource<TcpSocket>) -> wasmtime::Result<Resource<DynPollable>> {
    let MeterView { mut sockets, broker } = view;
    match broker.0.journal.tape().and_then(Tape::playing) {
        None => sockets.subscribe(socket),
        Some(playing) => taped::wait(&mut sockets, playing, socket),
    }
}

fn address(
    view: MeterView<'_>,
    socket: Resource<TcpSocket>,
    end: End,
) -> wasmtime::Result<Result<IpSocketAddress, ErrorCode>> {
    let MeterView { mut sockets, broker } = view;
    let tape = broker.0.journal.tape();
    let number = socket.rep();
    if let Some(playing) = tape.and_then(Tape::playing) {
        let known = taped::ends(playing, number).and_then(|(remote, local)| match end {
            End::Remote => Some(remote),
            End::Local => local,
        });
        return Ok(known.map(Into::into).ok_or(ErrorCode::InvalidState));
    }
    let asked = match end {
        End::Remote => sockets.remote_address(socket),
        End::Local => sockets.local_address(socket),
    };
    let found = match asked {
        Ok(found) => found,
        Err(error) => return Ok(Err(error.downcast()?)),
    };
    if let (Some(tape), End::Local) = (tape, end) {
        taped::local(tape, number, found.into());
    }
    Ok(Ok(found))
}

/// The tape of a connection's call, and its number there.
type Taped = Option<(Tape, usize)>;

/// What is left of one direction.
struct Meter {
    left: u64,
    refused: Refused,
    journal: Arc<Journal>,
}

impl Meter {
    fn incoming(broker: &TcpBroker) -> Self {
        let Limits { response, .. } = broker.0.limits;
        Self::new(response.0, Refused::ResponseBody { limit: response.0 }, broker)
    }

    fn outgoing(broker: &TcpBroker) -> Self {
        let Limits { request, .. } = broker.0.limits;
        Self::new(request.0, Refused::RequestBody { limit: request.0 }, broker)
    }

    fn new(left: u64, refused: Refused, broker: &TcpBroker) -> Self {
        Self { left, refused, journal: Arc::clone(&broker.0.journal) }
    }

    fn spend(&mut self, bytes: usize) -> StreamResult<()> {
        match self.left.checked_sub(bytes as u64) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => {
                self.left = 0;
                self.journal.refuse(self.refused.clone());
                Err(StreamError::LastOperationFailed(wasmtime::Error::msg(self.refused.to_string())))
            }
        }
    }
}

struct Incoming {
    inner: DynInputStream,
    meter: Meter,
    taped: Taped,
}

#[wasmtime_wasi::async_trait]
impl Pollable for Incoming {
    async fn ready(&mut self) {
        self.inner.ready().await;
    }
}

#[wasmtime_wasi::async_trait]
impl InputStream for Incoming {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        // One byte more than may come shows that more comes.
        let most = usize::try_from(self.meter.left.saturating_add(1)).unwrap_or(usize::MAX);
        let read = self.inner.read(size.min(most)).and_then(|bytes| {
            self.meter.spend(bytes.len())?;
            self.meter.journal.received(bytes.len());
            Ok(bytes)
        });
        if let Some((tape, number)) = &self.taped {
            taped::read(tape, *number, &read);
        }
        read
    }

    async fn cancel(&mut self) {
        self.inner.cancel().await;
    }
}

struct Outgoing {
    inner: DynOutputStream,
    meter: Meter,
    taped: Taped,
}

#[wasmtime_wasi::async_trait]
impl Pollable for Outgoing {
    async fn ready(&mut self) {
        self.inner.ready().await;
    }
}

#[wasmtime_wasi::async_trait]
impl OutputStream for Outgoing {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.meter.spend(bytes.len())?;
        self.meter.journal.sent(bytes.len());
        if let Some((tape, number)) = &self.taped {
            taped::sent(tape, *number, &bytes);
        }
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.inner.flush()
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        self.inner.check_write()
    }

    async fn cancel(&mut self) {
        self.inner.cancel().await;
    }
}
