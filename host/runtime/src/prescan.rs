//! Looks at a plugin before anything expensive is done with it: is it a component, and is it of a shape that the
//! compiler can handle in bounded time. It reads structure only; validation happens in the compiler's own process.
//!
//! Compile time is the one step whose cost a plugin's author chooses (a 236 KiB function took 10 s, 100,000 empty
//! functions 16 s), so these limits come first and the child's CPU and memory limits second.

use std::fmt;

use wasmparser::{Encoding, Parser, Payload, TypeRef};

use crate::guard::{self, Guard};
use crate::incident::words;

/// Changes when a limit changes, so that cached code accepted under older limits is looked at again.
pub(crate) const POLICY: u32 = 3;

/// What a plugin may look like. The largest useful things measured are whole interpreters compiled to wasm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScanLimits {
    /// Bytes of the file. CPython as a component has 25 MiB.
    pub bytes: usize,
    /// Functions with a body. Interpreters have 24,000; compile memory grows with each.
    pub functions: u64,
    /// Bytes of one body. Interpreters have 427 kB; register allocation is worse than linear in it.
    pub body: usize,
    /// Locals of one function. Interpreters have 974; 20,000 live ones take the unoptimised compiler 18 s.
    pub locals: u64,
    /// Modules and components inside each other. Tools emit three levels.
    pub depth: u32,
    /// Modules and components altogether. A composed plugin has a dozen.
    pub modules: u32,
    /// Memories of one core module. The engine has more than one, for its own adapters between composed components.
    pub memories: u32,
    /// Core instances that one call creates: each costs time on every call. Python plugins have 65.
    pub core_instances: u32,
    /// Types, imports, exports, globals and the like, altogether.
    pub items: u64,
    /// Bytes of custom sections (names, producers, debug information): read, never used.
    pub custom: usize,
}

impl ScanLimits {
    /// The limits in force.
    pub const DEFAULT: Self = Self {
        bytes: 40 << 20,
        functions: 50_000,
        body: 512 << 10,
        locals: 2_000,
        depth: 8,
        modules: 64,
        memories: 1,
        core_instances: 128,
        items: 500_000,
        custom: 32 << 20,
    };
}

/// What a scan found out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) functions: u64,
    pub(crate) largest_body: usize,
    pub(crate) most_locals: u64,
    pub(crate) core_instances: u32,
    modules: u32,
    items: u64,
    custom: usize,
}

/// Why bytes are not an acceptable plugin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScanError {
    /// Nothing in the file.
    #[error("the file is empty: build the plugin again")]
    Empty,
    /// Not wasm at all.
    #[error(
        "the file is not wasm (it begins with {begins}): point `wasm` in `plugin.toml` at the built component"
    )]
    NotWasm {
        /// The first bytes, readable.
        begins: String,
    },
    /// Text format.
    #[error("the file is wasm text: plugins are binary components; build one with `wasm-tools parse`")]
    Text,
    /// A module for another kind of host.
    #[error(
        "the file is a core module, not a component: build for `wasm32-wasip2`, or wrap it with `wasm-tools \
         component new`"
    )]
    CoreModule,
    /// Native code is only ever loaded from our own cache.
    #[error("the file is native code (`.cwasm`), not a component: plugins are `.wasm` files")]
    Native,
    /// Cut off or damaged.
    #[error("the file is damaged at byte {at}: {reason}")]
    Damaged {
        /// Offset in the file.
        at: usize,
        /// In the parser's words.
        reason: String,
    },
    /// Legal, but beyond a limit.
    #[error(
        "the plugin has {found} {what}, the limit is {limit}: split it, or leave out what it does not use"
    )]
    Beyond {
        /// What there is too much of.
        what: What,
        /// How much there is, or at least how much was counted.
        found: u64,
        /// How much there may be.
        limit: u64,
    },
}

/// What a scan counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// Size of the file.
    Bytes,
    /// Function bodies.
    Functions,
    /// Size of one body.
    BodyBytes,
    /// Locals of one function.
    Locals,
    /// Levels of nesting.
    Depth,
    /// Modules and components.
    Modules,
    /// Memories of a core module.
    Memories,
    /// Core instances.
    CoreInstances,
    /// Declared items.
    Items,
    /// Bytes of custom sections.
    CustomBytes,
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bytes => "bytes",
            Self::Functions => "functions",
            Self::BodyBytes => "bytes in one function",
            Self::Locals => "locals in one function",
            Self::Depth => "levels of nesting",
            Self::Modules => "modules and components",
            Self::Memories => "memories in one module",
            Self::CoreInstances => "core instances",
            Self::Items => "declared items",
            Self::CustomBytes => "bytes of custom sections",
        })
    }
}

fn within(what: What, found: u64, limit: u64) -> Result<(), ScanError> {
    if found <= limit || !guard::on(Guard::Shape) {
        Ok(())
    } else {
        Err(ScanError::Beyond { what, found, limit })
    }
}

fn size(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// Refuses what is not a component or not of a bounded shape.
pub(crate) fn scan(bytes: &[u8], limits: &ScanLimits) -> Result<Shape, ScanError> {
    within(What::Bytes, size(bytes.len()), size(limits.bytes))?;
    kind(bytes)?;
    let mut shape = Shape::default();
    let mut depth = 0_u32;
    let mut first = true;
    let mut memories = 0_u32;
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload.map_err(|error| damaged(&error))?;
        memories = memories.saturating_add(declared_memories(&payload)?);
        within(What::Memories, memories.into(), limits.memories.into())?;
        match payload {
            Payload::Version { encoding, .. } => {
                memories = 0;
                if std::mem::take(&mut first) && encoding == Encoding::Module {
                    return Err(ScanError::CoreModule);
                }
                depth = depth.saturating_add(1);
                shape.modules = shape.modules.saturating_add(1);
                within(What::Depth, depth.into(), limits.depth.into())?;
                within(What::Modules, shape.modules.into(), limits.modules.into())?;
            }
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::CodeSectionStart { count, .. } => {
                shape.functions = shape.functions.saturating_add(count.into());
                within(What::Functions, shape.functions, limits.functions)?;
            }
            Payload::CodeSectionEntry(body) => {
                let bytes = body.range().len();
                within(What::BodyBytes, size(bytes), size(limits.body))?;
                let mut locals = 0_u64;
                for local in body.get_locals_reader().map_err(|error| damaged(&error))? {
                    let (count, _) = local.map_err(|error| damaged(&error))?;
                    locals = locals.saturating_add(count.into());
                }
                within(What::Locals, locals, limits.locals)?;
                shape.largest_body = shape.largest_body.max(bytes);
                shape.most_locals = shape.most_locals.max(locals);
            }
            Payload::CustomSection(section) => {
                shape.custom = shape.custom.saturating_add(section.data().len());
                within(What::CustomBytes, size(shape.custom), size(limits.custom))?;
            }
            Payload::InstanceSection(section) => {
                shape.core_instances = shape.core_instances.saturating_add(section.count());
                within(What::CoreInstances, shape.core_instances.into(), limits.core_instances.into())?;
            }
            other => {
                shape.items = shape.items.saturating_add(items(&other));
                within(What::Items, shape.items, limits.items)?;
            }
        }
    }
    Ok(shape)
}

/// How many memories of a core module a section declares.
fn declared_memories(payload: &Payload<'_>) -> Result<u32, ScanError> {
    match payload {
        Payload::MemorySection(section) => Ok(section.count()),
        Payload::ImportSection(section) => {
            let mut count = 0_u32;
            for import in section.clone().into_imports() {
                let import = import.map_err(|error| damaged(&error))?;
                count = count.saturating_add(u32::from(matches!(import.ty, TypeRef::Memory(_))));
            }
            Ok(count)
        }
        _ => Ok(0),
    }
}

/// How many things a section declares.
fn items(payload: &Payload<'_>) -> u64 {
    u64::from(match payload {
        Payload::TypeSection(section) => section.count(),
        Payload::ImportSection(section) => section.count(),
        Payload::FunctionSection(section) => section.count(),
        Payload::TableSection(section) => section.count(),
        Payload::MemorySection(section) => section.count(),
        Payload::GlobalSection(section) => section.count(),
        Payload::ExportSection(section) => section.count(),
        Payload::ElementSection(section) => section.count(),
        Payload::DataSection(section) => section.count(),
        Payload::CoreTypeSection(section) => section.count(),
        Payload::ComponentInstanceSection(section) => section.count(),
        Payload::ComponentAliasSection(section) => section.count(),
        Payload::ComponentTypeSection(section) => section.count(),
        Payload::ComponentCanonicalSection(section) => section.count(),
        Payload::ComponentImportSection(section) => section.count(),
        Payload::ComponentExportSection(section) => section.count(),
        _ => 0,
    })
}

/// Tells what the bytes are from how they begin.
fn kind(bytes: &[u8]) -> Result<(), ScanError> {
    if bytes.is_empty() {
        return Err(ScanError::Empty);
    }
    if bytes.starts_with(b"\0asm") {
        return Ok(());
    }
    if bytes.starts_with(b"\x7fELF") {
        return Err(ScanError::Native);
    }
    let head = bytes.get(..bytes.len().min(256)).unwrap_or_default();
    if head.trim_ascii_start().starts_with(b"(") || head.starts_with(b";;") {
        return Err(ScanError::Text);
    }
    let begins = head.iter().take(8).map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ");
    Err(ScanError::NotWasm { begins: format!("`{begins}`") })
}

fn damaged(error: &wasmparser::BinaryReaderError) -> ScanError {
    ScanError::Damaged { at: error.offset(), reason: words(error.message()) }
}

#[cfg(test)]
mod tests;
