//! `wasi:logging`, answered by the call's [`GuestLog`].
//!
//! The draft is in use under two names, with and without its version, and with the same single function. Both are
//! defined here; a message costs the guest what it says and can neither fail nor wait.

use wasmtime::StoreContextMut;
use wasmtime::component::Linker;

use super::{GuestLog, LogLevel};

/// The names under which the interface is in use.
pub(crate) const INTERFACES: [&str; 2] = ["wasi:logging/logging@0.1.0-draft", "wasi:logging/logging"];

/// Defines the interface under each of its names.
pub fn add_logging_to_linker<T: Send + 'static>(
    linker: &mut Linker<T>,
    view: fn(&mut T) -> &GuestLog,
) -> wasmtime::Result<()> {
    for interface in INTERFACES {
        linker.instance(interface)?.func_wrap(
            "log",
            move |mut store: StoreContextMut<'_, T>,
                  (level, context, message): (LogLevel, String, String)| {
                view(store.data_mut()).message(level, &context, &message);
                Ok(())
            },
        )?;
    }
    Ok(())
}
