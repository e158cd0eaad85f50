//! Owns the three ways plugins are executed: pooled (`Fast`), on demand (`OnDemand`) and on demand with fuel
//! (`Metered`). An engine and the thread that ticks its epochs are one value: nobody can have an engine whose
//! guests cannot be interrupted. It knows nothing about plugins, grants or calls.
//!
//! Slots: every live instance costs kernel mappings, and the kernel's `vm.max_map_count` runs out long before
//! memory does. So a call takes slots first, and the call beyond the last one waits.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, SemaphorePermit};
use wasmtime::{Config, Enabled, InstanceAllocationStrategy, PoolingAllocationConfig, WasmFeatures};

use crate::guard::{self, Guard};

/// Epoch period: a spinning guest is noticed within one of these, and ticking costs 0.3 % of a core.
pub const TICK: Duration = Duration::from_millis(10);

/// Most slots ever: beyond this the mappings of live instances pass the kernel's default `vm.max_map_count`.
pub const MAX_SLOTS: u32 = 8_000;

/// Guest stack. What remains of [`ASYNC_STACK`] is the host's share of the same fiber stack: an overflow there
/// aborts the process, so it stays at 1.5 MiB.
const WASM_STACK: usize = 512 << 10;
/// Fiber stack of one call.
const ASYNC_STACK: usize = 2 << 20;
/// Slots that stay as the last guest left them, for the next call of the same plugin: more than there are calls at one
/// time on most days. Each holds a third of a megabyte, and a busy minute must not leave a hundred of them behind.
const WARM_SLOTS: u32 = 32;
/// Linear memory below this is cleared with `memset` instead of `madvise`, which two threads cannot do side by side.
const KEEP_RESIDENT: usize = 2 << 20;
const TABLE_KEEP_RESIDENT: usize = 64 << 10;
/// Entries of one table: a C# module in debug mode has 10,000; a hostile one declares four billion.
pub(crate) const TABLE_ELEMENTS: usize = 20_000;
/// Core instances one slot pays for: a Rust plugin has three.
pub(crate) const CORE_INSTANCES_PER_SLOT: u32 = 4;
/// Tables one slot pays for.
pub(crate) const TABLES_PER_SLOT: u32 = 2;
/// Slots one plugin may take per call; one that needs more does not belong in the pool.
const MAX_WEIGHT: u32 = 8;
/// Mappings the process needs besides instances: loaded code, threads, libraries.
const RESERVED_MAPPINGS: u64 = 8_192;
/// Mappings per slot: four when live, two for its stack, one to spare.
const MAPPINGS_PER_SLOT: u64 = 7;

/// How guests of an engine are allocated and metered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EngineKind {
    /// Pooled: for what is called often and is small.
    Fast,
    /// On demand: for one-shots, which should not pay for a pool, and for guests with large memories.
    OnDemand,
    /// On demand with fuel: deterministic, for evaluation.
    Metered,
}

impl EngineKind {
    /// The word in messages and labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fast => "fast",
            Self::OnDemand => "on-demand",
            Self::Metered => "metered",
        }
    }

    /// What its native code is compatible with: pooling does not show in the code, fuel does.
    pub(crate) const fn flavor(self) -> Flavor {
        match self {
            Self::Fast | Self::OnDemand => Flavor::Plain,
            Self::Metered => Flavor::Fuel,
        }
    }
}

/// The two kinds of native code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Flavor {
    /// Epochs only.
    Plain,
    /// Epochs and fuel.
    Fuel,
}

/// How many guests the pool holds, and how large one may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolOptions {
    /// Instances alive at once.
    pub slots: u32,
    /// Largest linear memory in the pool, in bytes; larger plugins run on demand.
    pub max_memory: usize,
}

impl Default for PoolOptions {
    fn default() -> Self {
        Self { slots: MAX_SLOTS, max_memory: 64 << 20 }
    }
}

/// Why an engine could not be made.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The configuration does not fit this machine.
    #[error("cannot make the `{kind}` engine: {reason}")]
    Config {
        /// Which engine.
        kind: &'static str,
        /// In wasmtime's words.
        reason: String,
    },
    /// No thread for the ticker.
    #[error("cannot start the epoch ticker: {0}")]
    Ticker(#[from] std::io::Error),
}

/// The pool could not be made: plugins run on demand, slower. Printed once.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "plugin pool of {slots} slots is not available ({reason}): plugins run on demand, about five times slower per \
     call; raise `vm.max_map_count` or the address-space limit, or ask for fewer slots"
)]
pub struct PoolFallback {
    /// Slots asked for.
    pub slots: u32,
    /// Why not.
    pub reason: String,
}

/// A `wasmtime::Engine` with its ticker and its slots.
pub(crate) struct Engine {
    wasm: wasmtime::Engine,
    kind: EngineKind,
    slots: Semaphore,
    /// Never has a permit: it exists to be closed.
    open: Semaphore,
    slot_count: u32,
    max_memory: usize,
    _ticker: Ticker,
}

impl Engine {
    /// The pooled engine.
    pub(crate) fn pooled(options: PoolOptions) -> Result<Self, EngineError> {
        let slots = options.slots.clamp(1, slots_by_mappings());
        let mut pool = PoolingAllocationConfig::new();
        pool.total_component_instances(slots)
            .total_stacks(slots)
            .total_memories(slots)
            .total_tables(slots.saturating_mul(TABLES_PER_SLOT))
            .total_core_instances(slots.saturating_mul(CORE_INSTANCES_PER_SLOT))
            .max_memories_per_component(MAX_WEIGHT)
            .max_tables_per_component(MAX_WEIGHT * TABLES_PER_SLOT)
            .max_core_instances_per_component(MAX_WEIGHT * CORE_INSTANCES_PER_SLOT)
            .max_tables_per_module(4)
            .table_elements(TABLE_ELEMENTS)
            .max_memory_size(options.max_memory)
            .max_unused_warm_slots(WARM_SLOTS)
            .linear_memory_keep_resident(KEEP_RESIDENT)
            .table_keep_resident(TABLE_KEEP_RESIDENT)
            // 48.0.8 can hand a swapped-out page to the next guest (wasmtime PR 14357).
            .pagemap_scan(Enabled::No);
        let mut config = config(Flavor::Plain);
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
        Self::new(EngineKind::Fast, &config, slots, options.max_memory)
    }

    /// An engine without a pool: `Fast` asks for it when the pool is not available.
    pub(crate) fn on_demand(kind: EngineKind) -> Result<Self, EngineError> {
        Self::new(kind, &config(kind.flavor()), slots_by_mappings(), usize::MAX)
    }

    fn new(kind: EngineKind, config: &Config, slots: u32, max_memory: usize) -> Result<Self, EngineError> {
        let wasm = wasmtime::Engine::new(config)
            .map_err(|error| EngineError::Config { kind: kind.as_str(), reason: format!("{error:#}") })?;
        let ticker = Ticker::start(wasm.clone())?;
        let slot_count = slots;
        let slots = Semaphore::new(usize::try_from(slots).unwrap_or(usize::MAX));
        Ok(Self { wasm, kind, slots, open: Semaphore::new(0), slot_count, max_memory, _ticker: ticker })
    }

    pub(crate) const fn wasm(&self) -> &wasmtime::Engine {
        &self.wasm
    }

    pub(crate) const fn kind(&self) -> EngineKind {
        self.kind
    }

    pub(crate) const fn slot_count(&self) -> u32 {
        self.slot_count
    }

    /// Largest linear memory it can hold.
    pub(crate) const fn max_memory(&self) -> usize {
        self.max_memory
    }

    /// Slots one call of a plugin takes, or nothing when it does not fit this engine.
    pub(crate) fn weight(&self, memories: u32, tables: u32, core_instances: u32) -> Option<u32> {
        let weight = memories
            .max(tables.div_ceil(TABLES_PER_SLOT))
            .max(core_instances.div_ceil(CORE_INSTANCES_PER_SLOT))
            .max(1);
        let most = match self.kind {
            EngineKind::Fast => MAX_WEIGHT,
            EngineKind::OnDemand | EngineKind::Metered => self.slot_count,
        };
        (weight <= most.min(self.slot_count)).then_some(weight)
    }

    /// Takes slots, waiting when there are none. `None` once the engine is closed.
    pub(crate) async fn slots(&self, weight: u32) -> Option<SemaphorePermit<'_>> {
        self.slots.acquire_many(weight).await.ok()
    }

    /// Takes slots only if they are free now.
    pub(crate) fn free_slots(&self, weight: u32) -> Option<SemaphorePermit<'_>> {
        self.slots.try_acquire_many(weight).ok()
    }

    /// Slots nobody holds at this moment.
    pub(crate) fn slots_free(&self) -> usize {
        self.slots.available_permits()
    }

    /// Nobody gets a slot from now on, and who has one is told by [`Engine::closed`].
    pub(crate) fn close(&self) {
        self.slots.close();
        self.open.close();
    }

    /// Ends when the engine is closed.
    pub(crate) async fn closed(&self) {
        // There are no permits, so the only way out is the error that says closed.
        let _ = self.open.acquire().await;
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("kind", &self.kind)
            .field("slots", &self.slot_count)
            .finish_non_exhaustive()
    }
}

/// What every engine shares, here and in the compiler process: the two must agree or the code does not load.
pub(crate) fn config(flavor: Flavor) -> Config {
    let mut config = Config::new();
    config
        .concurrency_support(false)
        .epoch_interruption(true)
        .consume_fuel(flavor == Flavor::Fuel)
        // Half of the code's size: source lines of guests and tables for native debuggers, and nobody reads either here.
        .generate_address_map(false)
        .native_unwind_info(false)
        .max_wasm_stack(WASM_STACK)
        .async_stack_size(ASYNC_STACK);
    if guard::on(Guard::Features) {
        config.wasm_features(forbidden_features(), false);
    }
    config
}

/// What no plugin needs and every advisory list mentions. Several memories in one module are needed, though only by the
/// adapters that the engine writes itself where components are composed: `prescan` refuses them to plugins.
pub(crate) fn forbidden_features() -> WasmFeatures {
    WasmFeatures::MEMORY64
        | WasmFeatures::THREADS
        | WasmFeatures::SHARED_EVERYTHING_THREADS
        | WasmFeatures::RELAXED_SIMD
        | WasmFeatures::GC
        | WasmFeatures::FUNCTION_REFERENCES
        | WasmFeatures::EXCEPTIONS
        | WasmFeatures::LEGACY_EXCEPTIONS
        | WasmFeatures::STACK_SWITCHING
        | WasmFeatures::CUSTOM_PAGE_SIZES
        | WasmFeatures::WIDE_ARITHMETIC
        | WasmFeatures::MEMORY_CONTROL
        | WasmFeatures::CM_ASYNC
        | WasmFeatures::CM_THREADING
        | WasmFeatures::CM_ERROR_CONTEXT
        | WasmFeatures::CM_GC
}

/// Slots the kernel's limit on mappings leaves room for.
fn slots_by_mappings() -> u32 {
    let maps = std::fs::read_to_string("/proc/sys/vm/max_map_count")
        .ok()
        .and_then(|text| text.trim().parse::<u64>().ok())
        .unwrap_or(65_530);
    slots_for(maps)
}

fn slots_for(max_map_count: u64) -> u32 {
    let slots = max_map_count.saturating_sub(RESERVED_MAPPINGS) / MAPPINGS_PER_SLOT;
    u32::try_from(slots).unwrap_or(u32::MAX).clamp(1, MAX_SLOTS)
}

/// The thread that advances an engine's epoch. Joined on drop.
struct Ticker {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    fn start(engine: wasmtime::Engine) -> std::io::Result<Self> {
        let (stop, stopped) = mpsc::channel::<()>();
        let thread = std::thread::Builder::new().name("razar-epoch".into()).spawn(move || {
            let started = Instant::now();
            let mut next = TICK;
            loop {
                let wait = next.saturating_sub(started.elapsed());
                match stopped.recv_timeout(wait) {
                    Err(RecvTimeoutError::Timeout) => engine.increment_epoch(),
                    Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
                }
                // From elapsed time, so that a late wake-up does not delay the ones after it; ticks that were
                // missed (a stopped process, a suspended machine) are skipped, not fired in a burst.
                next = next_tick(started.elapsed());
            }
        })?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

/// The first multiple of [`TICK`] after `elapsed`.
fn next_tick(elapsed: Duration) -> Duration {
    let ticks = elapsed.as_nanos() / TICK.as_nanos();
    TICK.saturating_mul(u32::try_from(ticks).unwrap_or(u32::MAX).saturating_add(1))
}

impl Drop for Ticker {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It can only have ended; a panic in it has been printed where it happened.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::hash::{DefaultHasher, Hash, Hasher};

    use super::*;

    fn hash(engine: &Engine) -> u64 {
        let mut hasher = DefaultHasher::new();
        engine.wasm().precompile_compatibility_hash().hash(&mut hasher);
        hasher.finish()
    }

    #[test]
    fn code_fits_both_engines_without_fuel_and_not_the_one_with() {
        let pooled = Engine::pooled(PoolOptions { slots: 4, ..PoolOptions::default() }).unwrap();
        let on_demand = Engine::on_demand(EngineKind::OnDemand).unwrap();
        let metered = Engine::on_demand(EngineKind::Metered).unwrap();
        assert_eq!(hash(&pooled), hash(&on_demand));
        assert_ne!(hash(&on_demand), hash(&metered));
    }

    #[test]
    fn slots_leave_the_kernel_room_for_mappings() {
        for (maps, slots) in [(65_530, 8_000), (1_000_000, 8_000), (30_000, 3_115), (8_192, 1), (0, 1)] {
            assert_eq!(slots_for(maps), slots, "{maps}");
        }
    }

    #[test]
    fn a_plugin_pays_for_every_memory_table_and_instance() {
        let engine = Engine::pooled(PoolOptions { slots: 16, ..PoolOptions::default() }).unwrap();
        for (needs, weight) in [
            ((0, 0, 0), Some(1)),
            ((1, 2, 3), Some(1)),
            ((2, 1, 3), Some(2)),
            ((1, 5, 3), Some(3)),
            ((1, 1, 9), Some(3)),
            ((9, 1, 1), None),
        ] {
            assert_eq!(engine.weight(needs.0, needs.1, needs.2), weight, "{needs:?}");
        }
    }

    #[test]
    fn ticks_follow_elapsed_time_and_skip_what_was_missed() {
        for (elapsed, next) in [(0, 10), (9, 10), (10, 20), (11, 20), (1_005, 1_010)] {
            assert_eq!(next_tick(Duration::from_millis(elapsed)), Duration::from_millis(next), "{elapsed}");
        }
    }

    #[test]
    fn dropping_an_engine_ends_its_thread_at_once() {
        let engine = Engine::on_demand(EngineKind::OnDemand).unwrap();
        let started = Instant::now();
        drop(engine);
        assert!(started.elapsed() < Duration::from_secs(1));
    }
}
