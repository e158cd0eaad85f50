//! What is taken from a component's processes before they begin: rights they could gain, and more of the machine than they
//! were given. It only ever takes.

use std::collections::BTreeMap;

use super::place::{Place, Problems};
use crate::document::boot::{Component, Limits};
use crate::document::units::Bytes;

/// A program and its libraries need some room before they can say anything.
const MIN_ADDRESS_SPACE: Bytes = Bytes::mib(64);
/// The same for what is really used.
const MIN_MEMORY: Bytes = Bytes::mib(4);
/// Standard streams, libraries, and a socket.
const MIN_OPEN_FILES: u64 = 16;

/// What a component's processes may not do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Confinement {
    /// They keep the rights they begin with: no program gives them more.
    pub no_new_privileges: bool,
    /// Limits the kernel holds every one of them to.
    pub limits: BTreeMap<Limit, u64>,
}

impl Confinement {
    /// Nothing is taken.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// Something of which a process may have no more than so much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Limit {
    /// Handles at once.
    OpenFiles,
    /// Processes and threads of its user at once; root has no such limit.
    Processes,
    /// Bytes of address space.
    AddressSpace,
    /// Bytes of a file it writes.
    FileSize,
    /// Bytes of a core dump.
    CoreDump,
    /// Bytes kept from being swapped.
    LockedMemory,
    /// Seconds on a processor; then it is killed.
    CpuTime,
    /// Bytes of memory of all its processes together.
    Memory,
    /// Processes and threads of the component together.
    Tasks,
}

impl Limit {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::OpenFiles,
        Self::Processes,
        Self::AddressSpace,
        Self::FileSize,
        Self::CoreDump,
        Self::LockedMemory,
        Self::CpuTime,
        Self::Memory,
        Self::Tasks,
    ];

    /// It holds all processes of a component together, not each of them.
    pub const fn is_shared(self) -> bool {
        matches!(self, Self::Memory | Self::Tasks)
    }

    /// The key in the document, and the word between host and launcher.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OpenFiles => "open_files",
            Self::Processes => "processes",
            Self::AddressSpace => "address_space",
            Self::FileSize => "file_size",
            Self::CoreDump => "core_dump",
            Self::LockedMemory => "locked_memory",
            Self::CpuTime => "cpu_time",
            Self::Memory => "memory",
            Self::Tasks => "tasks",
        }
    }
}

/// What a component's document says about it.
pub(super) fn confinement(entry: &Component, place: &Place<'_>, problems: &mut Problems<'_>) -> Confinement {
    let place = Place::Key(place, "limits");
    let written = entry.limits.unwrap_or_default();
    let limits = numbers(&written);
    for (limit, least, example) in [
        (Limit::OpenFiles, MIN_OPEN_FILES, "1024"),
        (Limit::Processes, 1, "64"),
        (Limit::AddressSpace, MIN_ADDRESS_SPACE.0, "\"1 GiB\""),
        (Limit::CpuTime, 1, "\"1 h\""),
        (Limit::Memory, MIN_MEMORY.0, "\"512 MiB\""),
        (Limit::Tasks, 1, "64"),
    ] {
        if limits.get(&limit).is_some_and(|most| *most < least) {
            let least = match limit {
                Limit::AddressSpace => MIN_ADDRESS_SPACE.to_string(),
                Limit::Memory => MIN_MEMORY.to_string(),
                Limit::CpuTime => format!("{least} s"),
                _ => least.to_string(),
            };
            let hint = format!("write for instance \"{}\": {example}", limit.as_str());
            problems.add(
                &Place::Key(&place, limit.as_str()),
                format!("must be at least {least}: nothing runs with less"),
                hint,
            );
        }
    }
    Confinement { no_new_privileges: entry.no_new_privileges.unwrap_or(false), limits }
}

fn numbers(written: &Limits) -> BTreeMap<Limit, u64> {
    let number = |limit| match limit {
        Limit::OpenFiles => written.open_files.map(u64::from),
        Limit::Processes => written.processes.map(u64::from),
        Limit::AddressSpace => written.address_space.map(|size| size.0.0),
        Limit::FileSize => written.file_size.map(|size| size.0.0),
        Limit::CoreDump => written.core_dump.map(|size| size.0.0),
        Limit::LockedMemory => written.locked_memory.map(|size| size.0.0),
        // The kernel counts whole seconds; a part of one is one.
        Limit::CpuTime => written.cpu_time.map(|span| span.0.0.div_ceil(1_000)),
        Limit::Memory => written.memory.map(|size| size.0.0),
        Limit::Tasks => written.tasks.map(u64::from),
    };
    Limit::ALL.into_iter().filter_map(|limit| Some((limit, number(limit)?))).collect()
}
