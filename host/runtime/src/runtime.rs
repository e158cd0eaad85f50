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
    /// What most plugins run on.
    default: EngineKind,
    fallback: Option<PoolFallback>,
    /// One of a kind, made when it is first needed; a pool at once, because it may not be possible.
    homes: Mutex<Vec<Arc<Home>>>,
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

/// An engine with its linker, which is made when it is first needed, or before.
pub(crate) struct Home {
    pub(crate) engine: Arc<Engine>,
    linker: OnceLock<Result<Linker<State>, String>>,
}

impl Home {
    fn new(engine: Engine) -> Arc<Self> {
        Arc::new(Self { engine: Arc::new(engine), linker: OnceLock::new() })
    }

    pub(crate) fn linker(&self) -> Result<&Linker<State>, EngineError> {
        let made =
            self.linker.get_or_init(|| linker(self.engine.wasm()).map_err(|error| format!("{error:#}")));
        let kind = self.engine.kind().as_str();
        made.as_ref().map_err(|reason| EngineError::Config { kind, reason: reason.clone() })
    }
}

impl Runtime {
    /// Opens the cache, and makes the pool if one is asked for.
    pub fn new(options: RuntimeOptions) -> Result<Self, RuntimeError> {
        let cache = options.cache.as_deref().map(Cache::open).transpose()?;
        let (pool, fallback) = match options.pool {
            None => (None, None),
            Some(pool) => match Engine::pooled(pool) {
                Ok(engine) => (Some(Home::new(engine)), None),
                Err(EngineError::Config { reason, .. }) => {
                    (None, Some(PoolFallback { slots: pool.slots, reason }))
                }
                Err(other) => return Err(other.into()),
            },
        };
        Ok(Self {
            default: if pool.is_some() { EngineKind::Fast } else { EngineKind::OnDemand },
            fallback,
            homes: Mutex::new(pool.into_iter().collect()),
            cache,
            compiler: options.compiler,
            compilers: OnceLock::new(),
            egress: Arc::new(options.egress),
            values: options.values,
            scratch_dir: options.scratch,
            scratch: Mutex::default(),
        })
    }

    /// Makes what the first plugin will need, on this thread, while another reads that plugin.
    pub fn prepare(&self) {
        // Whoever needs it is told why there is none.
        let _ = self.home(self.default).map(|home| home.linker().map(drop));
    }

    /// Set when a pool was asked for and could not be had.
    pub const fn pool_fallback(&self) -> Option<&PoolFallback> {
        self.fallback.as_ref()
    }

    /// Instances that may be alive at once on the engine most plugins run on.
    pub fn slots(&self) -> u32 {
        self.home(self.default).map_or(0, |home| home.engine.slot_count())
    }

    /// How many of them nobody holds at this moment.
    pub fn slots_free(&self) -> usize {
        self.home(self.default).map_or(0, |home| home.engine.slots_free())
    }

    /// Ends every call, running or waiting, as cancelled. No call of a plugin that is loaded by now succeeds afterwards.
    pub fn close(&self) {
        for home in self.homes().iter() {
            home.engine.close();
        }
    }

    pub(crate) const fn default_kind(&self) -> EngineKind {
        self.default
    }

    /// The engine of a kind, made at first use.
    pub(crate) fn home(&self, kind: EngineKind) -> Result<Arc<Home>, EngineError> {
        let mut homes = self.homes();
        if let Some(home) = homes.iter().find(|home| home.engine.kind() == kind) {
            return Ok(Arc::clone(home));
        }
        let home = Home::new(Engine::on_demand(kind)?);
        homes.push(Arc::clone(&home));
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

    fn homes(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Home>>> {
        self.homes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runtime").field("default", &self.default).finish_non_exhaustive()
    }
}
