//! `wasi:sockets/ip-name-lookup`, answered by the call's [`TcpBroker`].
//!
//! wasmtime's own lookup has one switch for all names and a resource nobody else can make, so its three functions are
//! defined here, over it. Should another version of the interface ever be linked beside this one, its switch is off:
//! it answers nothing.

use std::net::IpAddr;

use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource, ResourceTable, ResourceType};
use wasmtime_wasi::p2::bindings::sockets::network::{ErrorCode, IpAddress};
use wasmtime_wasi::p2::{DynPollable, Network, Pollable, subscribe};
use wasmtime_wasi::runtime::{AbortOnDropJoinHandle, spawn};

use super::{LookupError, TcpBroker};

/// The version wasmtime-wasi 48 links; the linker matches other 0.2 versions to it.
const INTERFACE: &str = "wasi:sockets/ip-name-lookup@0.2.12";

/// What the functions need of a store's data.
pub struct NamesView<'a> {
    /// The gate of the call.
    pub broker: &'a TcpBroker,
    /// Where the guest's resources are.
    pub table: &'a mut ResourceTable,
}

/// A lookup a guest has begun.
struct Answers(State);

enum State {
    Asked(AbortOnDropJoinHandle<Result<Vec<IpAddr>, LookupError>>),
    Known(std::vec::IntoIter<IpAddr>),
    Failed(ErrorCode),
}

impl Answers {
    fn settle(&mut self, answer: Result<Vec<IpAddr>, LookupError>) {
        self.0 = match answer {
            Ok(addresses) => State::Known(addresses.into_iter()),
            Err(error) => State::Failed(code(error)),
        };
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Answers {
    async fn ready(&mut self) {
        if let State::Asked(task) = &mut self.0 {
            let answer = task.await;
            self.settle(answer);
        }
    }
}

const fn code(error: LookupError) -> ErrorCode {
    match error {
        LookupError::Denied => ErrorCode::AccessDenied,
        LookupError::Unknown => ErrorCode::NameUnresolvable,
        LookupError::Timeout | LookupError::Quota => ErrorCode::TemporaryResolverFailure,
    }
}

/// Defines the interface, over wasmtime's own when that is linked already.
pub fn add_names_to_linker<T: Send + 'static>(
    linker: &mut Linker<T>,
    view: fn(&mut T) -> NamesView<'_>,
) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let defined = define(linker, view);
    linker.allow_shadowing(false);
    defined
}

fn define<T: Send + 'static>(
    linker: &mut Linker<T>,
    view: fn(&mut T) -> NamesView<'_>,
) -> wasmtime::Result<()> {
    let mut instance = linker.instance(INTERFACE)?;
    let stream = ResourceType::host::<Answers>();
    instance.resource("resolve-address-stream", stream, move |mut store, rep| {
        view(store.data_mut()).table.delete(Resource::<Answers>::new_own(rep))?;
        Ok(())
    })?;
    instance.func_wrap(
        "resolve-addresses",
        move |mut store: StoreContextMut<'_, T>, (network, name): (Resource<Network>, String)| {
            let view = view(store.data_mut());
            view.table.get(&network)?;
            let broker = view.broker.clone();
            let task = spawn(async move { broker.lookup(&name).await });
            Ok((Ok::<_, ErrorCode>(view.table.push(Answers(State::Asked(task)))?),))
        },
    )?;
    instance.func_wrap(
        "[method]resolve-address-stream.resolve-next-address",
        move |mut store: StoreContextMut<'_, T>, (stream,): (Resource<Answers>,)| {
            let answers = view(store.data_mut()).table.get_mut(&stream)?;
            let next: Result<Option<IpAddress>, ErrorCode> = match &mut answers.0 {
                State::Asked(_) => Err(ErrorCode::WouldBlock),
                State::Known(addresses) => Ok(addresses.next().map(IpAddress::from)),
                State::Failed(code) => Err(*code),
            };
            Ok((next,))
        },
    )?;
    instance.func_wrap(
        "[method]resolve-address-stream.subscribe",
        move |mut store: StoreContextMut<'_, T>, (stream,): (Resource<Answers>,)| {
            let pollable: Resource<DynPollable> = subscribe(view(store.data_mut()).table, stream)?;
            Ok((pollable,))
        },
    )
}
