//! The other side of every ratio: the same guests on the same wasmtime, tuned the same, with nothing on top. No limits, no
//! grants, no deadline; everything a guest imports is simply there.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Config, Enabled, PoolingAllocationConfig, Store, UpdateDeadline};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView, default_hooks};

mod contract {
    wasmtime::component::bindgen!({
        path: "../../wit/plugin-0.1",
        world: "probe-plugin",
        exports: { default: async },
    });
}

use contract::exports::razar::plugin::probe::{Health, Phase, Target};

/// What a guest holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hands {
    /// Nothing.
    Empty,
    /// The network.
    Network,
}

struct Inside {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    table: ResourceTable,
}

impl WasiView for Inside {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for Inside {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: default_hooks() }
    }
}

/// An engine, tuned as ours is, with its ticker.
pub(crate) struct Engine {
    pub(crate) wasm: wasmtime::Engine,
    linker: Linker<Inside>,
    _ticking: Ticking,
}

impl Engine {
    /// With a pool of so many slots, or on demand.
    pub(crate) fn new(slots: Option<u32>) -> Self {
        let mut config = Config::new();
        config.concurrency_support(false).epoch_interruption(true);
        if let Some(slots) = slots {
            let mut pool = PoolingAllocationConfig::new();
            pool.total_component_instances(slots)
                .total_stacks(slots)
                .total_memories(slots)
                .total_tables(slots * 2)
                .total_core_instances(slots * 4)
                .max_memory_size(64 << 20)
                .linear_memory_keep_resident(2 << 20)
                .table_keep_resident(64 << 10)
                .pagemap_scan(Enabled::No);
            config.allocation_strategy(pool);
        }
        let wasm = wasmtime::Engine::new(&config).unwrap();
        let mut linker = Linker::new(&wasm);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).unwrap();
        wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker).unwrap();
        let ticking = Ticking::start(&wasm);
        Self { wasm, linker, _ticking: ticking }
    }

    /// A probe, compiled now.
    pub(crate) fn compile(&self, wasm: &[u8]) -> Probe {
        self.probe(&Component::new(&self.wasm, wasm).unwrap())
    }

    /// A probe, linked and pre-instantiated.
    pub(crate) fn probe(&self, component: &Component) -> Probe {
        let pre = self.linker.instantiate_pre(component).unwrap();
        Probe { engine: self.wasm.clone(), pre: contract::ProbePluginPre::new(pre).unwrap() }
    }
}

/// A guest, ready.
pub(crate) struct Probe {
    engine: wasmtime::Engine,
    pre: contract::ProbePluginPre<Inside>,
}

impl Probe {
    /// One whole cycle: store, instance, call, drop.
    pub(crate) async fn check(&self, hands: Hands, address: &str) {
        let mut wasi = WasiCtx::builder();
        if hands == Hands::Network {
            wasi.inherit_network().allow_tcp(true).allow_ip_name_lookup(true);
        }
        let inside = Inside { wasi: wasi.build(), http: WasiHttpCtx::new(), table: ResourceTable::new() };
        let mut store = Store::new(&self.engine, inside);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|_| Ok(UpdateDeadline::Yield(1)));
        let instance = self.pre.instantiate_async(&mut store).await.unwrap();
        let target = Target {
            component: "web".to_owned(),
            address: Some(address.to_owned()),
            phase: Phase::Liveness,
            timeout_ms: 5_000,
            settings: "{}".to_owned(),
            extensions: Vec::new(),
        };
        let report = instance.razar_plugin_probe().call_check(&mut store, &target).await.unwrap().unwrap();
        assert!(matches!(report.health, Health::Healthy), "{}", report.summary);
    }
}

/// Epochs advance as ours do.
struct Ticking(Option<(Sender<()>, JoinHandle<()>)>);

impl Ticking {
    fn start(engine: &wasmtime::Engine) -> Self {
        let (stop, stopped) = channel::<()>();
        let engine = engine.clone();
        let thread = std::thread::spawn(move || {
            while stopped.recv_timeout(Duration::from_millis(10)) == Err(RecvTimeoutError::Timeout) {
                engine.increment_epoch();
            }
        });
        Self(Some((stop, thread)))
    }
}

impl Drop for Ticking {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.0.take() {
            drop(stop);
            thread.join().unwrap();
        }
    }
}
