//! The guest of the hostile cases about the network: its settings say which attack a call is. It says what came of it and
//! never decides whether that is as it should be. It is apart from `probe-hostile` because one guest that imports all of
//! WASI has more core instances than a probe may have.
#![cfg(target_family = "wasm")]
#![allow(clippy::indexing_slicing, reason = "it is meant to misbehave")]

mod net;
mod raw;
mod web;

use razar_sdk::{Health, PluginError, Probe, Report, Target};
use serde::Deserialize;

struct Hostile;

razar_sdk::export_probe!(Hostile);

/// What a call does.
#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
enum Attack {
    /// Tries these with sockets; see `net`.
    Net { steps: Vec<Vec<String>> },
    /// Sends these requests.
    Web { requests: Vec<web::Wish> },
}

impl Probe for Hostile {
    fn check(target: Target) -> Result<Report, PluginError> {
        Ok(match target.parse_settings()? {
            Attack::Net { steps } => net::steps(&steps),
            Attack::Web { requests } => web::send(requests),
        })
    }
}

/// A report in exactly these words.
fn say(summary: &str) -> Report {
    Report {
        health: Health::Healthy,
        summary: summary.to_owned(),
        measurements: Vec::new(),
        extensions: Vec::new(),
    }
}
