//! From bytes to a [`LoadedPlugin`], in this order and no other: hash, scan, cached or compiled code, roles, imports,
//! link, fit. The bytes that are hashed are the bytes that are scanned and compiled: a file is read once.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use razar_core::grant::{Capability, Grant, LimitError, Limits, Request, Role, StandingGrant};
use razar_core::id::{Digest, PluginId};
use tokio::sync::Semaphore;
use wasmtime::component::{Component, InstancePre};

use crate::broker::files::{FilesError, Trees};
use crate::broker::log::LogRate;
use crate::compile::{CompileError, compile};
use crate::contract::Probe;
use crate::contract::agent::Agent;
use crate::contract::evaluator::Evaluator;
use crate::contract::roles::{self, Export};
use crate::contract::since_v0_1::ProbeAdapter;
use crate::contract::since_v0_1::agent::AgentAdapter;
use crate::contract::since_v0_1::evaluator::EvaluatorAdapter;
use crate::cwasm::{CacheError, Entry, Verified};
use crate::engine::{EngineError, EngineKind};
use crate::guard::{self, Guard};
use crate::incident::{Incidents, words};
use crate::limits::{count, number};
use crate::link::{self, UnknownImport};
use crate::plugin::{CodeSource, InRole, Inspection, LoadedPlugin, Shared, Warning};
use crate::prescan::{ScanError, ScanLimits, Shape, scan};
use crate::runtime::{Home, Runtime};
use crate::state::State;

/// What one plugin may fill of the host's log per minute: a busy log reader's screen, and so little that a flood of a
/// gibibyte, which takes a minute or two, leaves no mebibyte on the disk.
const LOG_PER_MINUTE: u64 = 512 << 10;

/// Items of a list that are written out.
const SHOWN: usize = 16;

/// Bytes of a page of linear memory.
const PAGE: u64 = 64 << 10;

/// A plugin's bytes and what it asks for, before anything is believed about it.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its name.
    pub id: PluginId,
    /// What it would like to reach.
    pub request: Request,
    /// The component.
    pub wasm: Bytes,
}

/// Why a plugin is not loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Its shape.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// The compiler.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// No engine to run it.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The cache cannot be read.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// No place for the copies of files it may read.
    #[error(transparent)]
    Scratch(#[from] FilesError),
    /// It is for no role this host knows.
    #[error("the plugin exports no role of this host: expected one of {expected}, found {found}")]
    World {
        /// What would do.
        expected: String,
        /// What there is.
        found: String,
    },
    /// It needs what the host does not have.
    #[error("the plugin imports what this host does not offer: {}", list(.0))]
    Imports(Vec<UnknownImport>),
    /// A known interface, but not as the plugin expects it.
    #[error("the plugin cannot be linked: {0}")]
    Link(String),
    /// A role's functions are not what the contract says.
    #[error("`{export}` is not what the contract says: {reason}")]
    Contract {
        /// Which export.
        export: String,
        /// In wasmtime's words.
        reason: String,
    },
    /// Its limits are outside what is possible.
    #[error("its limits are not possible: {}", list(.0))]
    Limits(Vec<LimitError>),
    /// It cannot even begin within its limits.
    #[error(
        "the plugin begins with {needs} bytes of memory and may have {limit}: raise `limits.memory`, or link it smaller"
    )]
    InitialMemory {
        /// What it declares.
        needs: u64,
        /// What it may have.
        limit: u64,
    },
    /// It declares more than one call may have.
    #[error("the plugin needs {needs} {what} and may have {limit}: raise `limits.{what}`")]
    Declared {
        /// The limit's key.
        what: &'static str,
        /// What it declares.
        needs: u64,
        /// What it may have.
        limit: u64,
    },
    /// No engine has room for one instance of it.
    #[error("one instance needs more memories, tables or instances than the host has slots")]
    TooWide,
    /// The host's own code does not load.
    #[error("the compiled code does not load: {0}")]
    Code(String),
}

/// A plugin may name half a million imports.
fn list<T: std::fmt::Display>(items: &[T]) -> String {
    words(&items.iter().take(SHOWN).map(ToString::to_string).collect::<Vec<_>>().join(", "))
}

/// A component on one engine, linked.
struct Linked {
    home: Arc<Home>,
    pre: InstancePre<State>,
}

impl Runtime {
    /// Loads one plugin with what its operator grants it.
    pub async fn load(&self, source: Source, grant: &Grant) -> Result<LoadedPlugin, LoadError> {
        let digest = Digest::of(&source.wasm);
        let shape = scan(&source.wasm, &ScanLimits::DEFAULT)?;
        let mut first = self.home(self.default_kind())?;
        let mut warnings = Vec::new();
        let (code, from) = self.code(&source.wasm, &digest, &first, &mut warnings).await?;
        let component = match code.load(&first.engine) {
            // The pool refuses what it has no room for; its code runs on demand as well.
            Err(_) if first.engine.kind() == EngineKind::Fast => {
                first = self.home(EngineKind::OnDemand)?;
                runnable(&code, &first)?
            }
            loaded => loaded.map_err(|error| LoadError::Code(words(&format!("{error:#}"))))?,
        };
        let exports = roles::exports(&component);
        let found = roles::roles(&exports);
        if found.is_empty() {
            let found = if exports.is_empty() {
                "nothing".to_owned()
            } else {
                words(&format!("`{}`", exports.join("`, `")))
            };
            return Err(LoadError::World { expected: roles::expected(), found });
        }
        let imports = link::imports(&component);
        let unknown = link::unknown(&imports);
        if !unknown.is_empty() && guard::on(Guard::Imports) {
            return Err(LoadError::Imports(unknown));
        }
        let needs = Needs::of(&component, &shape);
        let mut linked = vec![link_on(&first, &component)?];
        let mut inspection = Inspection {
            id: source.id.clone(),
            digest,
            size: number(source.wasm.len()),
            roles: found.clone(),
            imports,
            initial_memory: needs.initial_memory,
            code: from,
            warnings,
        };
        let mut loaded = Vec::new();
        let mut probe: Option<Box<dyn Probe>> = None;
        let mut agent: Option<Box<dyn Agent>> = None;
        let mut evaluator: Option<Box<dyn Evaluator>> = None;
        for export in &found {
            let limits = Limits::defaults(export.role).with(&grant.limits).map_err(LoadError::Limits)?;
            needs.within(&limits)?;
            let kind = Self::kind_for(&limits, &needs, &first);
            let place = match linked.iter().position(|linked| linked.home.engine.kind() == kind) {
                Some(place) => place,
                None => {
                    let home = self.home(kind)?;
                    let (code, _) = self.code(&source.wasm, &digest, &home, &mut inspection.warnings).await?;
                    linked.push(link_on(&home, &runnable(&code, &home)?)?);
                    linked.len() - 1
                }
            };
            let Some(Linked { home, pre }) = linked.get(place) else { continue };
            let weight = home
                .engine
                .weight(needs.memories, needs.tables, needs.core_instances)
                .ok_or(LoadError::TooWide)?;
            let standing = StandingGrant::new(export.role, &source.request, grant);
            let sees_files = standing.lines().iter().any(|(capability, _)| *capability == Capability::Dir);
            let shared = Arc::new(Shared {
                id: source.id.clone(),
                digest,
                incidents: Incidents::default(),
                engine: Arc::clone(&home.engine),
                weight,
                limits,
                grant: Arc::new(standing),
                turns: Semaphore::new(count(limits.concurrent)),
                log_rate: LogRate::new(LOG_PER_MINUTE, Instant::now()),
                scratch: if sees_files { Some(self.scratch()?) } else { None },
                trees: Trees::default(),
                egress: Arc::clone(&self.egress),
                values: Arc::clone(&self.values),
            });
            match export.role {
                Role::Probe => {
                    let adapter = ProbeAdapter::new(pre.clone(), Arc::clone(&shared));
                    probe = Some(Box::new(adapter.map_err(|error| unlike(export, &error))?));
                }
                Role::Agent => {
                    let adapter = AgentAdapter::new(pre.clone(), Arc::clone(&shared));
                    agent = Some(Box::new(adapter.map_err(|error| unlike(export, &error))?));
                }
                Role::Evaluator => {
                    let adapter = EvaluatorAdapter::new(pre.clone(), Arc::clone(&shared));
                    evaluator = Some(Box::new(adapter.map_err(|error| unlike(export, &error))?));
                }
                Role::Tools => {}
            }
            loaded.push(InRole { role: export.role, shared });
        }
        inspection.warn_about_memory();
        Ok(LoadedPlugin { inspection, roles: loaded, probe, agent, evaluator })
    }

    /// Code for one engine: from the cache when the cache vouches for it, else compiled and kept.
    async fn code(
        &self,
        wasm: &[u8],
        digest: &Digest,
        home: &Home,
        warnings: &mut Vec<Warning>,
    ) -> Result<(Verified, CodeSource), LoadError> {
        if let Some(cache) = &self.cache {
            match cache.get(digest, &home.engine)? {
                Entry::Hit(code) => return Ok((code, CodeSource::Cached)),
                Entry::Miss => {}
                Entry::Foreign => warnings.push(Warning::ForeignCode),
            }
        }
        let code = {
            let _turn = self.compilers().acquire().await;
            compile(&self.compiler, home.engine.kind().flavor(), wasm).await?
        };
        if let Some(cache) = &self.cache
            && let Err(error) = cache.put(digest, &home.engine, &code)
        {
            warnings.push(Warning::NotCached(error.to_string()));
        }
        Ok((code, CodeSource::Compiled))
    }

    /// The engine that a role's limits ask for.
    fn kind_for(limits: &Limits, needs: &Needs, first: &Home) -> EngineKind {
        let fits = limits.memory.0 <= number(first.engine.max_memory())
            && first.engine.weight(needs.memories, needs.tables, needs.core_instances).is_some();
        match (limits.fuel, fits) {
            (Some(_), _) => EngineKind::Metered,
            (None, true) => first.engine.kind(),
            (None, false) => EngineKind::OnDemand,
        }
    }
}

/// A role whose functions are not what the contract says.
fn unlike(export: &Export, error: &wasmtime::Error) -> LoadError {
    LoadError::Contract { export: export.to_string(), reason: words(&format!("{error:#}")) }
}

fn runnable(code: &Verified, home: &Home) -> Result<Component, LoadError> {
    code.load(&home.engine).map_err(|error| LoadError::Code(words(&format!("{error:#}"))))
}

fn link_on(home: &Arc<Home>, component: &Component) -> Result<Linked, LoadError> {
    let pre = home
        .linker()?
        .instantiate_pre(component)
        .map_err(|error| LoadError::Link(words(&format!("{error:#}"))))?;
    Ok(Linked { home: Arc::clone(home), pre })
}

/// What one instance takes.
struct Needs {
    initial_memory: u64,
    table_elements: u64,
    memories: u32,
    tables: u32,
    core_instances: u32,
}

impl Needs {
    fn of(component: &Component, shape: &Shape) -> Self {
        // Nothing is known of a component that instantiates imported modules, and no such import is linked.
        let required = component.resources_required();
        let required = required.as_ref();
        Self {
            // In pages; custom page sizes are off.
            initial_memory: required
                .and_then(|needs| needs.max_initial_memory_size)
                .unwrap_or(0)
                .saturating_mul(PAGE),
            table_elements: required.and_then(|needs| needs.max_initial_table_size).unwrap_or(0),
            memories: required.map_or(0, |needs| needs.num_memories),
            tables: required.map_or(0, |needs| needs.num_tables),
            core_instances: shape.core_instances,
        }
    }

    fn within(&self, limits: &Limits) -> Result<(), LoadError> {
        if self.initial_memory > limits.memory.0 {
            return Err(LoadError::InitialMemory { needs: self.initial_memory, limit: limits.memory.0 });
        }
        let checks = [
            ("table-elements", self.table_elements, u64::from(limits.table_elements)),
            ("memories", self.memories.into(), limits.memories.into()),
            ("tables", self.tables.into(), limits.tables.into()),
            ("instances", self.core_instances.into(), limits.instances.into()),
        ];
        match checks.into_iter().find(|(_, needs, limit)| needs > limit) {
            Some((what, needs, limit)) => Err(LoadError::Declared { what, needs, limit }),
            None => Ok(()),
        }
    }
}
