//! What plugins say, in the host's own log: one line per line of theirs, with its level. The runtime has bounded and escaped
//! it already, with what is added here in mind; what is added says whose it is, so that no line of theirs can be taken for one of the host's.

use razar_core::id::{ComponentId, PluginId};
use razar_runtime::broker::log::{LogLevel, LogRecord, LogStream};
use tracing::{debug, error, info, trace, warn};

/// Says everything one call said.
pub(crate) fn tell(plugin: &PluginId, component: &ComponentId, log: &LogRecord) {
    for line in &log.lines {
        let text = &line.text;
        match line.stream {
            LogStream::Stdout => info!(%plugin, %component, "stdout: {text}"),
            LogStream::Stderr => info!(%plugin, %component, "stderr: {text}"),
            LogStream::Message(level) => match level {
                LogLevel::Trace => trace!(%plugin, %component, "says: {text}"),
                LogLevel::Debug => debug!(%plugin, %component, "says: {text}"),
                LogLevel::Info => info!(%plugin, %component, "says: {text}"),
                LogLevel::Warn => warn!(%plugin, %component, "says: {text}"),
                LogLevel::Error => error!(%plugin, %component, "says: {text}"),
                LogLevel::Critical => error!(%plugin, %component, "says, critical: {text}"),
            },
        }
    }
    if log.dropped > 0 && !log.hushed {
        info!(%plugin, %component, dropped = log.dropped, "it said more than it may: bytes dropped");
    }
}
