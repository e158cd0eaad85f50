//! Decides what an error from wasmtime means. wasmtime has types for some ends and only words for others; the words
//! are asserted by tests, so that an upgrade that changes them is noticed.

use std::time::Duration;

use razar_core::grant::Limits;
use wasmtime::component::ResourceTableError;
use wasmtime::{PoolConcurrencyLimitError, Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;
use wasmtime_wasi_http::FieldMapError;

use crate::outcome::{ExitCode, Limit, LimitHit, PluginFailure};
use crate::state::{Stage, State};

/// wasmtime's words when a result does not fit `Store::set_hostcall_fuel`.
const HOSTCALL_FUEL: &str = "fuel allocated for hostcalls has been exhausted";
/// wasmtime's words when a component has more instances, memories or tables than the limiter allows.
const COUNTS: &str = "resource limit exceeded";
/// wasmtime's words when a guest asks for more random bytes than the host's `max_random_size`.
const RANDOM: &str = "requested len";
/// Guest function names shown with a trap.
const FRAMES: usize = 4;
/// Characters of one such name: the guest chooses them.
const NAME: usize = 80;

/// From the most specific to the least.
pub(super) fn classify(
    error: &wasmtime::Error,
    state: &State,
    limits: &Limits,
    time: Duration,
) -> PluginFailure {
    if let Some(I32Exit(code)) = error.downcast_ref() {
        return PluginFailure::Exited(ExitCode(*code));
    }
    if let Some(ResourceTableError::Full) = error.downcast_ref() {
        return more_than(Limit::Handles, limits.handles.into());
    }
    if let Some(FieldMapError::TotalSizeTooBig | FieldMapError::TooManyFields) = error.downcast_ref() {
        return more_than(Limit::Headers, limits.headers.0);
    }
    if error.is::<PoolConcurrencyLimitError>() {
        return PluginFailure::Busy;
    }
    if let Some(hit) = state.limiter.hit() {
        return PluginFailure::Memory(hit);
    }
    let in_guest = error.is::<WasmBacktrace>();
    match error.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => return PluginFailure::Fuel,
        Some(Trap::Interrupt) => return PluginFailure::Deadline(time),
        Some(trap) if in_guest || state.stage == Stage::Instantiating => {
            return trapped(&trap.to_string(), error);
        }
        _ => {}
    }
    let words = format!("{error:#}");
    // Without the frames, whose names the guest chooses.
    let cause = error.root_cause().to_string();
    match state.stage {
        _ if in_guest && cause.contains(HOSTCALL_FUEL) => more_than(Limit::Hostcall, limits.hostcall.0),
        _ if in_guest && cause.starts_with(RANDOM) => more_than(Limit::Random, limits.random.0),
        // An error with guest frames under it came out of a host function: a trap the host chose to raise.
        _ if in_guest => trapped(&cause, error),
        // Without them it is about the answer that was being read.
        Stage::Calling if words.contains(HOSTCALL_FUEL) => {
            PluginFailure::OversizeReply { limit: limits.reply.0 }
        }
        Stage::Calling => PluginFailure::Contract(words),
        Stage::Instantiating if words.contains(COUNTS) => {
            more_than(Limit::Instances, limits.instances.into())
        }
        Stage::Instantiating if out_of_mappings(error) => PluginFailure::Busy,
        Stage::Instantiating => PluginFailure::HostBug(words),
    }
}

/// A limit whose excess nobody has counted.
const fn more_than(limit: Limit, allowed: u64) -> PluginFailure {
    PluginFailure::Memory(LimitHit { limit, wanted: allowed.saturating_add(1), allowed })
}

/// The kernel has no mapping left for another instance.
fn out_of_mappings(error: &wasmtime::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|error| error.kind() == std::io::ErrorKind::OutOfMemory)
            || cause.downcast_ref::<rustix::io::Errno>() == Some(&rustix::io::Errno::NOMEM)
    })
}

/// The reason and where in the guest: names come from the guest, so they are bounded and escaped.
fn trapped(reason: &str, error: &wasmtime::Error) -> PluginFailure {
    let mut text = reason.strip_prefix("wasm trap: ").unwrap_or(reason).to_owned();
    if let Some(trace) = error.downcast_ref::<WasmBacktrace>() {
        let names = trace.frames().iter().filter_map(|frame| frame.func_name()).take(FRAMES);
        for (index, name) in names.enumerate() {
            let name = name.escape_debug().take(NAME).collect::<String>();
            text.push_str(if index == 0 { " in `" } else { " < `" });
            text.push_str(&name);
            text.push('`');
        }
    }
    PluginFailure::Trap(text)
}
