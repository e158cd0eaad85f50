//! The way in: owns the engines, the code cache and the compiler's turn. Made once per process.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::sync::Semaphore;
use wasmtime::component::Linker;

use crate::broker::files::{FilesError, Scratch};
use crate::broker::http::HttpShared;
use crate::broker::keyvalue::ValueStore;
use crate::compile::Compiler;
use crate::cwasm::{Cache, CacheError};
use crate::engine::{Engine, EngineError, EngineKind, PoolFallback, PoolOptions};
use crate::link::linker;
use crate::state::State;

/// How plugins are run.
pub struct RuntimeOptions {
    /// A pool for what is called often, or nothing for one-shots, which start faster without.
    pub pool: Option<PoolOptions>,
    /// Where native code is kept; nothing is kept without.
    pub cache: Option<PathBuf>,
    /// Who starts the compiler.
    pub compiler: Compiler,
    /// Where copies of logs lie for the length of a call, if there is no file system in memory.
    pub scratch: PathBuf,
    /// How guests' requests leave the host.
    pub egress: HttpShared,
    /// Who keeps what plugins keep from call to call.
    pub values: Arc<dyn ValueStore>,
}

/// Why plugins cannot be run at all.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// No engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// No cache.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

/// Runs plugins.
pub struct Runtime {
    default: Arc<Home>,
    fallback: Option<PoolFallback>,
    /// Engines that only some plugins need, made when the first of them is loaded.
    others: Mutex<Vec<Arc<Home>>>,
    pub(crate) cache: Option<Cache>,
    pub(crate) compiler: Compiler,
    /// Compilers at work at once: one per core, counted when the first is needed.
    compilers: OnceLock<Semaphore>,
    pub(crate) egress: Arc<HttpShared>,
    pub(crate) values: Arc<dyn ValueStore>,
    scratch_dir: PathBuf,
    /// Made for the first plugin that reads files.
    scratch: Mutex<Option<Scratch>>,
}

/// An engine with its linker.
pub(crate) struct Home {
    pub(crate) engine: Arc<Engine>,
    pub(crate) linker: Linker<State>,
}

impl Home {
    fn new(engine: Engine) -> Result<Arc<Self>, EngineError> {
        let kind = engine.kind().as_str();
        let linker = linker(engine.wasm())
            .map_err(|error| EngineError::Config { kind, reason: format!("{error:#}") })?;
        Ok(Arc::new(Self { engine: Arc::new(engine), linker }))
    }
}

impl Runtime {
    /// Opens the cache and makes the engine that most plugins run on.
    pub fn new(options: RuntimeOptions) -> Result<Self, RuntimeError> {
        let cache = options.cache.as_deref().map(Cache::open).transpose()?;
        let (engine, fallback) = match options.pool {
            None => (Engine::on_demand(EngineKind::OnDemand)?, None),
            Some(pool) => match Engine::pooled(pool) {
                Ok(engine) => (engine, None),
                Err(EngineError::Config { reason, .. }) => {
                    let fallback = PoolFallback { slots: pool.slots, reason };
                    (Engine::on_demand(EngineKind::OnDemand)?, Some(fallback))
                }
                Err(other) => return Err(other.into()),
            },
        };
        Ok(Self {
            default: Home::new(engine)?,
            fallback,
            others: Mutex::default(),
            cache,
            compiler: options.compiler,
            compilers: OnceLock::new(),
            egress: Arc::new(options.egress),
            values: options.values,
            scratch_dir: options.scratch,
            scratch: Mutex::default(),
        })
    }

    /// Set when a pool was asked for and could not be had.
    pub const fn pool_fallback(&self) -> Option<&PoolFallback> {
        self.fallback.as_ref()
    }

    /// Instances that may be alive at once on the engine most plugins run on.
    pub fn slots(&self) -> u32 {
        self.default.engine.slot_count()
    }

    /// How many of them nobody holds at this moment.
    pub fn slots_free(&self) -> usize {
        self.default.engine.slots_free()
    }

    /// Ends every call, running or waiting, as cancelled. No call succeeds afterwards.
    pub fn close(&self) {
        self.default.engine.close();
        for home in self.others().iter() {
            home.engine.close();
        }
    }

    pub(crate) fn default_kind(&self) -> EngineKind {
        self.default.engine.kind()
    }

    /// The engine of a kind, made at first use.
    pub(crate) fn home(&self, kind: EngineKind) -> Result<Arc<Home>, EngineError> {
        if self.default_kind() == kind {
            return Ok(Arc::clone(&self.default));
        }
        let mut others = self.others();
        if let Some(home) = others.iter().find(|home| home.engine.kind() == kind) {
            return Ok(Arc::clone(home));
        }
        let home = Home::new(Engine::on_demand(kind)?)?;
        others.push(Arc::clone(&home));
        Ok(home)
    }

    /// Whoever compiles waits for its turn here.
    pub(crate) fn compilers(&self) -> &Semaphore {
        self.compilers.get_or_init(|| {
            Semaphore::new(std::thread::available_parallelism().map_or(1, std::num::NonZero::get))
        })
    }

    /// Where copies of files lie.
    pub(crate) fn scratch(&self) -> Result<Scratch, FilesError> {
        let mut scratch = self.scratch.lock().unwrap_or_else(PoisonError::into_inner);
        match &*scratch {
            Some(scratch) => Ok(scratch.clone()),
            None => Ok(scratch.insert(Scratch::open(&self.scratch_dir)?).clone()),
        }
    }

    fn others(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Home>>> {
        self.others.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runtime").field("engine", &self.default.engine).finish_non_exhaustive()
    }
}
