//! What a store carries during one call, and nothing that outlives it: WASI with empty hands, the brokers for what
//! was granted, and the counters of the limits.

use std::sync::Arc;
use std::time::Instant;

use razar_core::grant::EffectiveGrant;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::clocks::WasiClocksView as _;
use wasmtime_wasi::filesystem::WasiFilesystemView as _;
use wasmtime_wasi::sockets::WasiSocketsView as _;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_config::WasiConfigVariables;
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::broker::config;
use crate::broker::files::{FilesError, Mounts, Room, RoomView};
use crate::broker::http::HttpBroker;
use crate::broker::journal::Journal;
use crate::broker::keyvalue::{KeyValueBroker, KeyValueView};
use crate::broker::log::{GuestLog, LogStream};
use crate::broker::tcp::{MeterView, NamesView, TcpBroker};
use crate::limits::{Limiter, count};
use crate::plugin::Shared;
use crate::tape::Tape;
use crate::tape::clock::{self, ClockView};

/// How far a call has come: the same error means different things before and after the guest runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The instance is being made; the guest's start functions run here.
    Instantiating,
    /// The exported function runs, or its result is being read.
    Calling,
}

/// Store data of one call.
pub(crate) struct State {
    wasi: WasiCtx,
    table: ResourceTable,
    http: WasiHttpCtx,
    http_broker: HttpBroker,
    tcp_broker: TcpBroker,
    keyvalue_broker: KeyValueBroker,
    room: Option<Arc<Room>>,
    pub(crate) config: WasiConfigVariables,
    pub(crate) limiter: Limiter,
    pub(crate) log: GuestLog,
    pub(crate) journal: Arc<Journal>,
    pub(crate) stage: Stage,
}

impl State {
    /// The hands of one call: empty, but for what the grant and the mounts put into them.
    pub(crate) fn new(
        plugin: &Shared,
        grant: Arc<EffectiveGrant>,
        mounts: &Mounts,
        deadline: Instant,
        tape: Option<Tape>,
    ) -> Result<Self, FilesError> {
        let limits = &plugin.limits;
        let log = GuestLog::new(limits.stdout.0, limits.log.0);
        let journal = Arc::new(Journal::with(tape));
        let tape = journal.tape();
        let mut wasi = WasiCtx::builder();
        wasi.stdout(log.pipe(LogStream::Stdout))
            .stderr(log.pipe(LogStream::Stderr))
            .max_random_size(limits.random.0);
        config::environment(&grant, &mut wasi, tape);
        if let Some(tape) = tape {
            clock::give(tape, &mut wasi);
        }
        mounts.mount(&mut wasi)?;
        let resolver = Arc::clone(&plugin.egress.resolver);
        let tcp_broker = TcpBroker::new(Arc::clone(&grant), *limits, resolver, Arc::clone(&journal));
        tcp_broker.guard(&mut wasi);
        let mut table = ResourceTable::new();
        table.set_max_capacity(count(limits.handles));
        let config = config::variables(&grant, tape);
        let keyvalue_broker = KeyValueBroker::new(
            plugin.id.clone(),
            Arc::clone(&grant),
            *limits,
            Arc::clone(&plugin.values),
            Arc::clone(&journal),
        );
        let egress = Arc::clone(&plugin.egress);
        Ok(Self {
            wasi: wasi.build(),
            table,
            http: HttpBroker::context(limits),
            http_broker: HttpBroker::new(egress, grant, *limits, deadline.into(), Arc::clone(&journal)),
            tcp_broker,
            keyvalue_broker,
            room: mounts.room(),
            config,
            limiter: Limiter::new(limits),
            log,
            journal,
            stage: Stage::Instantiating,
        })
    }

    /// What name lookup needs.
    pub(crate) fn names(&mut self) -> NamesView<'_> {
        NamesView { broker: &self.tcp_broker, table: &mut self.table }
    }

    /// What counting a connection's bytes needs.
    pub(crate) fn meter(&mut self) -> MeterView<'_> {
        let broker = self.tcp_broker.clone();
        MeterView { sockets: self.sockets(), broker }
    }

    /// What counting what is written needs.
    pub(crate) fn room(&mut self) -> RoomView<'_> {
        let (room, journal) = (self.room.clone(), Arc::clone(&self.journal));
        RoomView { files: self.filesystem(), room, journal }
    }

    /// What timers need.
    pub(crate) fn clock(&mut self) -> ClockView<'_> {
        let tape = self.journal.tape().cloned();
        ClockView { clocks: self.clocks(), tape }
    }

    /// What key-value stores need.
    pub(crate) fn keyvalue(&mut self) -> KeyValueView<'_> {
        KeyValueView { broker: &self.keyvalue_broker, table: &mut self.table }
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.http_broker, table: &mut self.table, ctx: &mut self.http }
    }
}
