//! `probe-log`: judges the end of a log file by what it contains and by how long ago it was written. Reads the copy that the
//! host mounts at `/log`, never the file itself, and never shows what it read.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use razar_sdk::{PluginError, Probe, Report, Target};
use serde::Deserialize;

/// Read at a time; a text across two pieces is still found.
const PIECE: usize = 8 * 1024;

/// The host bounds the tail; this is in case it does not.
const MOST: u64 = 4 * 1024 * 1024;

/// The plugin.
pub struct ProbeLog;

razar_sdk::export_probe!(ProbeLog);

/// What the operator may ask for; see `settings.schema.json`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    contains: Option<String>,
    absent: Option<String>,
    max_age_seconds: Option<u64>,
}

/// What the host says about the file.
#[derive(Debug, Deserialize)]
struct Meta {
    size: u64,
    modified_unix_ms: u64,
}

impl Probe for ProbeLog {
    fn check(target: Target) -> Result<Report, PluginError> {
        let settings: Settings = target.parse_settings()?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        let started = Instant::now();
        judge(&settings, Path::new("/log"), now_ms).map(|report| report.latency(started.elapsed()))
    }
}

fn judge(settings: &Settings, folder: &Path, now_ms: u64) -> Result<Report, PluginError> {
    let meta = match fs::read(folder.join("meta.json")) {
        Ok(bytes) => serde_json::from_slice::<Meta>(&bytes)
            .map_err(|_| PluginError::internal("`/log/meta.json` has another form than this plugin knows"))?,
        Err(problem) => return missing(problem.kind()),
    };
    let mut tail = match File::open(folder.join("tail")) {
        Ok(tail) => tail.take(MOST),
        Err(problem) => return missing(problem.kind()),
    };
    let found = search(&mut tail, settings)
        .map_err(|problem| PluginError::internal(format!("cannot read `/log/tail`: {}", problem.kind())))?;
    let age_ms = now_ms.saturating_sub(meta.modified_unix_ms);
    let report = match complaint(settings, found, age_ms) {
        Some(complaint) => Report::unhealthy(complaint),
        None => Report::healthy(format!("written {} s ago", age_ms / 1_000)),
    };
    Ok(report.measure("age", age_ms as f64 / 1_000.0, "s").measure("size", meta.size as f64, "bytes"))
}

fn missing(kind: ErrorKind) -> Result<Report, PluginError> {
    match kind {
        ErrorKind::PermissionDenied => Err(PluginError::denied("the host denied reading the log")),
        _ => Ok(Report::unhealthy("log file is missing")),
    }
}

/// Which of the two texts are there.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Found {
    contains: bool,
    absent: bool,
}

fn search(tail: &mut impl Read, settings: &Settings) -> std::io::Result<Found> {
    let wanted = settings.contains.as_deref().unwrap_or_default().as_bytes();
    let unwanted = settings.absent.as_deref().unwrap_or_default().as_bytes();
    let mut found = Found::default();
    let overlap = wanted.len().max(unwanted.len()).saturating_sub(1);
    let mut window = Vec::with_capacity(PIECE + overlap);
    loop {
        let before = window.len();
        tail.by_ref().take(PIECE as u64).read_to_end(&mut window)?;
        found.contains |= holds(&window, wanted);
        found.absent |= holds(&window, unwanted);
        if window.len() == before
            || (found.contains || wanted.is_empty()) && (found.absent || unwanted.is_empty())
        {
            return Ok(found);
        }
        window.drain(..window.len().saturating_sub(overlap));
    }
}

fn holds(window: &[u8], text: &[u8]) -> bool {
    !text.is_empty() && window.windows(text.len()).any(|part| part == text)
}

fn complaint(settings: &Settings, found: Found, age_ms: u64) -> Option<String> {
    if let Some(text) = &settings.absent
        && found.absent
    {
        return Some(format!("log contains `{text}`"));
    }
    if let Some(text) = settings.contains.as_ref().filter(|text| !text.is_empty())
        && !found.contains
    {
        return Some(format!("log does not contain `{text}`"));
    }
    let most = settings.max_age_seconds?;
    (age_ms > most.saturating_mul(1_000))
        .then(|| format!("log was last written {} s ago, at most {most} s allowed", age_ms / 1_000))
}

#[cfg(test)]
mod tests;
