//! `probe-odd`: a plugin for tests. It counts its calls in a store of its own, says so in a message that tries to forge a
//! line of the host's log, and crashes when the component's log says so. Never shipped.

use std::fs;

use razar_sdk::log::{self, Level};
use razar_sdk::values::Store;
use razar_sdk::{PluginError, Probe, Report, Target};

/// The plugin.
pub struct ProbeOdd;

razar_sdk::export_probe!(ProbeOdd);

impl Probe for ProbeOdd {
    fn check(_: Target) -> Result<Report, PluginError> {
        let wish = fs::read_to_string("/log/tail").unwrap_or_default();
        assert!(!wish.contains("crash"), "\u{1b}[2Jthe log says so");
        let calls = Store::open("calls")?.increment("all", 1)?;
        log::say(Level::Warn, &format!("call {calls}.\n\u{1b}[2K2026-11-21T00:00:00Z ERROR forged"));
        Ok(Report::healthy(format!("call {calls}")))
    }
}
