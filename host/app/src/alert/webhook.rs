//! Alerts behind a URL, as one POST each. The URL may itself be a secret, so no message repeats more of it than its host.

use std::time::Duration;

use ureq::Agent;

use super::told::Alert;
use super::{Fault, Way};

/// For one alert.
const PATIENCE: Duration = Duration::from_secs(5);

/// See the module.
pub(super) struct Webhook {
    url: String,
    host: String,
    agent: Agent,
}

impl Webhook {
    /// None for what is no URL of a web server.
    pub(super) fn new(url: &str) -> Option<Self> {
        let parsed: ureq::http::Uri = url.parse().ok()?;
        let host = parsed.host().filter(|host| !host.is_empty())?.to_owned();
        if !matches!(parsed.scheme_str(), Some("http" | "https")) {
            return None;
        }
        let config = Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            // A proxy of the environment would be told instead.
            .proxy(None)
            .build();
        Some(Self { url: url.to_owned(), host, agent: config.into() })
    }
}

impl Way for Webhook {
    fn name(&self) -> &'static str {
        "webhook"
    }

    fn send(&mut self, alert: &Alert) -> Result<(), Fault> {
        let Self { url, host, agent } = self;
        let answer = agent.post(url.as_str()).content_type("application/json").send(alert.json());
        let status = answer
            .map_err(|error| {
                Fault::Away(format!("{host}: {}", error.to_string().replace(url.as_str(), host)))
            })?
            .status();
        let said = format!("{host} answered {status}, expected 2xx");
        match status.as_u16() {
            200..=299 => Ok(()),
            // Too early, too often, too slow.
            408 | 425 | 429 | 500.. => Err(Fault::Away(said)),
            _ => Err(Fault::Refused(said)),
        }
    }
}
