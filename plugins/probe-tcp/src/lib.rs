//! `probe-tcp`: connects to the component, and may send a text and wait for one. Must never show what the other side sent.

use std::time::Instant;

use razar_sdk::tcp::{Connection, TcpError};
use razar_sdk::{PluginError, Probe, Report, Target};
use serde::Deserialize;

/// A banner stands at the beginning; reading more would only cost memory.
const MAX_BANNER: usize = 8 * 1024;

/// The plugin.
pub struct ProbeTcp;

razar_sdk::export_probe!(ProbeTcp);

/// What the operator may ask for; see `settings.schema.json`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    send: Option<String>,
    expect: Option<String>,
}

impl Probe for ProbeTcp {
    fn check(target: Target) -> Result<Report, PluginError> {
        let settings: Settings = target.parse_settings()?;
        let address = target.require_address()?;
        let started = Instant::now();
        let outcome = converse(&settings, address, started + target.budget());
        let elapsed = started.elapsed();
        match outcome {
            Ok(Banner::NotAsked) => {
                Ok(Report::healthy(format!("connected in {} ms", elapsed.as_millis())).latency(elapsed))
            }
            Ok(Banner::Seen) => {
                Ok(Report::healthy(format!("expected answer in {} ms", elapsed.as_millis())).latency(elapsed))
            }
            Ok(Banner::Missing(why)) => Ok(Report::unhealthy(why).latency(elapsed)),
            Err(TcpError::Address(problem)) => Err(PluginError::invalid_input(problem)),
            Err(TcpError::Denied) => {
                Err(PluginError::denied("the host denied the connection; see its log for the grant"))
            }
            Err(problem) => Ok(Report::unhealthy(problem.to_string()).latency(elapsed)),
        }
    }
}

/// What became of the text that was waited for.
enum Banner {
    NotAsked,
    Seen,
    Missing(String),
}

fn converse(settings: &Settings, address: &str, deadline: Instant) -> Result<Banner, TcpError> {
    let mut connection = Connection::open(address, deadline)?;
    if let Some(text) = &settings.send {
        connection.send(text.as_bytes())?;
    }
    let Some(expected) = settings.expect.as_deref().filter(|text| !text.is_empty()) else {
        return Ok(Banner::NotAsked);
    };
    let mut received = Vec::new();
    loop {
        if received.windows(expected.len()).any(|window| window == expected.as_bytes()) {
            return Ok(Banner::Seen);
        }
        match connection.receive(&mut received, MAX_BANNER) {
            Ok(0) | Err(TcpError::Closed) if received.is_empty() => {
                return Ok(Banner::Missing(format!("closed without sending `{expected}`")));
            }
            Ok(0) | Err(TcpError::Closed) => {
                return Ok(Banner::Missing(format!("sent {} bytes without `{expected}`", received.len())));
            }
            Err(TcpError::Timeout) => {
                return Ok(Banner::Missing(format!("did not send `{expected}` in time")));
            }
            Ok(_) => {}
            Err(problem) => return Err(problem),
        }
    }
}

#[cfg(test)]
mod tests;
