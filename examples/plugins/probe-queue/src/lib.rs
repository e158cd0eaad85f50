//! `probe-queue`: a plugin as its author writes it. The component answers `GET` with the number of jobs that wait; more
//! than the operator's `MAX_QUEUE` is unhealthy.

use razar_sdk::http::{self, HttpError, Method, Request};
use razar_sdk::{PluginError, Probe, Report, Target};

/// The plugin.
pub struct ProbeQueue;

razar_sdk::export_probe!(ProbeQueue);

impl Probe for ProbeQueue {
    fn check(target: Target) -> Result<Report, PluginError> {
        let url = target.require_address()?;
        let request = Request { method: Method::Get, url, timeout: target.budget(), max_body: 64 };
        match http::send(&request) {
            Ok(answer) => judge(&answer.body, limit()?),
            Err(HttpError::Denied) => Err(PluginError::denied("the host refused the request")),
            Err(problem) => Ok(Report::unhealthy(problem.to_string())),
        }
    }
}

/// Only what the operator granted is in the environment: nothing of the host's own.
fn limit() -> Result<u32, PluginError> {
    let text = std::env::var("MAX_QUEUE").map_err(|_| PluginError::denied("`MAX_QUEUE` is not granted"))?;
    text.parse().map_err(|_| PluginError::invalid_input("`MAX_QUEUE` is not a number"))
}

fn judge(body: &[u8], limit: u32) -> Result<Report, PluginError> {
    let Some(waiting) = std::str::from_utf8(body).ok().and_then(|text| text.trim().parse::<u32>().ok())
    else {
        return Ok(Report::unhealthy("the component did not answer with a number"));
    };
    let report = match waiting > limit {
        true => Report::unhealthy(format!("{waiting} jobs wait, at most {limit} may")),
        false => Report::healthy(format!("{waiting} jobs wait")),
    };
    Ok(report.measure("queue", f64::from(waiting), "jobs"))
}

#[cfg(test)]
mod tests {
    use razar_sdk::Health;

    use super::*;

    #[test]
    fn the_limit_itself_is_still_well() {
        for (body, health) in
            [("10\n", Health::Healthy), ("11", Health::Unhealthy), ("many", Health::Unhealthy)]
        {
            assert_eq!(judge(body.as_bytes(), 10).unwrap().health, health, "{body:?}");
        }
    }
}
