//! `probe-http`: asks the component's URL and judges status, body, one JSON field and latency. Must never follow a redirect
//! and never quote the body in a summary.

use std::time::{Duration, Instant};

use razar_sdk::http::{self, HttpError, Method, Request, Response};
use razar_sdk::{PluginError, Probe, Report, Target};
use serde::Deserialize;
use serde_json::Value;

/// A health answer is small; reading more would only cost memory. What must be found is found in this much.
const MAX_BODY: usize = 64 * 1024;

/// The plugin.
pub struct ProbeHttp;

razar_sdk::export_probe!(ProbeHttp);

/// What the operator may ask for; see `settings.schema.json`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    status: Option<Vec<u16>>,
    contains: Option<String>,
    json: Option<JsonField>,
    max_latency_ms: Option<u32>,
    method: MethodName,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonField {
    pointer: String,
    equals: Value,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "UPPERCASE")]
enum MethodName {
    #[default]
    Get,
    Head,
}

impl Settings {
    fn of(target: &Target) -> Result<Self, PluginError> {
        let settings: Self = target.parse_settings()?;
        let refuse = |problem: &str| Err(PluginError::invalid_input(format!("settings: {problem}")));
        if settings.status.as_ref().is_some_and(Vec::is_empty) {
            return refuse("`status` must name at least one status");
        }
        if settings.method == MethodName::Head && (settings.contains.is_some() || settings.json.is_some()) {
            return refuse("`contains` and `json` need a body; use `method` GET");
        }
        if settings
            .json
            .as_ref()
            .is_some_and(|json| !json.pointer.is_empty() && !json.pointer.starts_with('/'))
        {
            return refuse("`json.pointer` must be empty or begin with `/`");
        }
        Ok(settings)
    }

    fn wants_body(&self) -> bool {
        self.contains.is_some() || self.json.is_some()
    }
}

impl Probe for ProbeHttp {
    fn check(target: Target) -> Result<Report, PluginError> {
        let settings = Settings::of(&target)?;
        let request = Request {
            method: if settings.method == MethodName::Head { Method::Head } else { Method::Get },
            url: target.require_address()?,
            timeout: target.budget(),
            max_body: if settings.wants_body() { MAX_BODY } else { 0 },
        };
        let started = Instant::now();
        let answer = http::send(&request);
        let elapsed = started.elapsed();
        match answer {
            Ok(response) => Ok(judge(&settings, &response, elapsed)),
            Err(HttpError::Url(problem)) => Err(PluginError::invalid_input(problem)),
            Err(HttpError::Denied) => {
                Err(PluginError::denied("the host denied the request; see its log for the grant"))
            }
            Err(problem) => Ok(Report::unhealthy(problem.to_string()).latency(elapsed)),
        }
    }
}

/// The verdict about one answer.
fn judge(settings: &Settings, response: &Response, elapsed: Duration) -> Report {
    let milliseconds = elapsed.as_millis();
    let report = match complaint(settings, response, elapsed) {
        Some(complaint) => Report::unhealthy(complaint),
        None => Report::healthy(format!("status {} in {milliseconds} ms", response.status)),
    };
    report.latency(elapsed).measure("status", f64::from(response.status), "")
}

fn complaint(settings: &Settings, response: &Response, elapsed: Duration) -> Option<String> {
    let status = response.status;
    match &settings.status {
        None if !(200..300).contains(&status) => return Some(format!("status {status}, expected 2xx")),
        Some(accepted) if !accepted.contains(&status) => {
            let accepted = accepted.iter().map(u16::to_string).collect::<Vec<_>>().join(" or ");
            return Some(format!("status {status}, expected {accepted}"));
        }
        _ => {}
    }
    let beyond = if response.truncated { ", looking at its first 64 KiB" } else { "" };
    if let Some(text) = &settings.contains
        && !contains(&response.body, text.as_bytes())
    {
        return Some(format!("body does not contain `{text}`{beyond}"));
    }
    if let Some(json) = &settings.json {
        let Ok(document) = serde_json::from_slice::<Value>(&response.body) else {
            return Some(format!("body is not JSON{beyond}"));
        };
        match document.pointer(&json.pointer) {
            None => return Some(format!("JSON has no `{}`", json.pointer)),
            Some(found) if !same(found, &json.equals) => {
                return Some(format!("JSON `{}` is not {}", json.pointer, json.equals));
            }
            Some(_) => {}
        }
    }
    let ceiling = settings.max_latency_ms.map(|ceiling| Duration::from_millis(ceiling.into()))?;
    (elapsed > ceiling)
        .then(|| format!("took {} ms, at most {} ms allowed", elapsed.as_millis(), ceiling.as_millis()))
}

fn contains(body: &[u8], text: &[u8]) -> bool {
    text.is_empty() || body.windows(text.len()).any(|window| window == text)
}

/// JSON equality, where 1 and 1.0 are the same number.
fn same(found: &Value, wanted: &Value) -> bool {
    found == wanted || matches!((found.as_f64(), wanted.as_f64()), (Some(a), Some(b)) if a == b)
}

#[cfg(test)]
mod tests;
