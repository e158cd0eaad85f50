//! Messages for the host's log, over `wasi:logging`; natively they go to standard error. The host bounds and escapes them,
//! and makes one line of each.

/// How much attention a message deserves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// For somebody debugging the plugin.
    Debug,
    /// For somebody watching it.
    Info,
    /// Hazardous.
    Warn,
    /// Serious.
    Error,
}

/// Says one thing.
pub fn say(level: Level, message: &str) {
    #[cfg(target_family = "wasm")]
    {
        use crate::bindings::wasi_logging::wasi::logging::logging;
        let level = match level {
            Level::Debug => logging::Level::Debug,
            Level::Info => logging::Level::Info,
            Level::Warn => logging::Level::Warn,
            Level::Error => logging::Level::Error,
        };
        logging::log(level, "", message);
    }
    #[cfg(not(target_family = "wasm"))]
    {
        use std::io::Write as _;
        // Whoever runs a test may have closed it.
        let _ = writeln!(std::io::stderr(), "{level:?}: {}", crate::one_line(message));
    }
}
