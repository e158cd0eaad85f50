//! The role `probe`: its trait, and comfortable ways to make its types.

use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::bindings::probe::exports::razar::plugin::probe::Guest;
pub use crate::bindings::probe::exports::razar::plugin::probe::{Health, Measurement, Phase, Report, Target};
use crate::text::one_line;
use crate::{PluginError, settings};

/// Kept back from a call's time, so that the plugin answers before the host ends it.
const LONGEST_RESERVE: Duration = Duration::from_millis(100);

/// Watches one component. Export it with [`export_probe!`](crate::export_probe).
pub trait Probe {
    /// Looks once. A component that is down is a report, not an error.
    fn check(target: Target) -> Result<Report, PluginError>;
}

impl<T: Probe> Guest for T {
    fn check(target: Target) -> Result<Report, PluginError> {
        <T as Probe>::check(target)
    }
}

impl Target {
    /// A target for tests: phase readiness, one second, no address, no settings.
    pub fn new(component: impl Into<String>) -> Self {
        Self {
            component: component.into(),
            address: None,
            phase: Phase::Readiness,
            timeout_ms: 1_000,
            settings: "{}".to_owned(),
            extensions: Vec::new(),
        }
    }

    /// With an address.
    #[must_use]
    pub fn at(mut self, address: impl Into<String>) -> Self {
        self.address = Some(address.into());
        self
    }

    /// With settings, as JSON.
    #[must_use]
    pub fn with_settings(mut self, settings: impl Into<String>) -> Self {
        self.settings = settings.into();
        self
    }

    /// With this much time.
    #[must_use]
    pub fn within_ms(mut self, milliseconds: u32) -> Self {
        self.timeout_ms = milliseconds;
        self
    }

    /// The time to spend on waiting: the call's time, less a small reserve for the answer.
    pub fn budget(&self) -> Duration {
        let all = Duration::from_millis(self.timeout_ms.into());
        all.saturating_sub((all / 10).min(LONGEST_RESERVE))
    }

    /// The address, or the error to return when there is none.
    pub fn require_address(&self) -> Result<&str, PluginError> {
        self.address.as_deref().ok_or_else(|| PluginError::invalid_input("this probe needs an address"))
    }

    /// The settings as a struct; see [`parse_settings`](crate::parse_settings).
    pub fn parse_settings<T: DeserializeOwned>(&self) -> Result<T, PluginError> {
        settings::parse(&self.settings)
    }
}

impl Report {
    /// All is well.
    pub fn healthy(summary: impl AsRef<str>) -> Self {
        Self::new(Health::Healthy, summary)
    }

    /// It serves, not as well as it should.
    pub fn degraded(summary: impl AsRef<str>) -> Self {
        Self::new(Health::Degraded, summary)
    }

    /// It does not serve.
    pub fn unhealthy(summary: impl AsRef<str>) -> Self {
        Self::new(Health::Unhealthy, summary)
    }

    /// A report; the summary becomes one line without control characters.
    pub fn new(health: Health, summary: impl AsRef<str>) -> Self {
        Self { health, summary: one_line(summary.as_ref()), measurements: Vec::new(), extensions: Vec::new() }
    }

    /// Adds a number.
    #[must_use]
    pub fn measure(mut self, name: &str, value: f64, unit: &str) -> Self {
        self.measurements.push(Measurement { name: name.to_owned(), value, unit: unit.to_owned() });
        self
    }

    /// Adds the latency, in milliseconds.
    #[must_use]
    pub fn latency(self, elapsed: Duration) -> Self {
        self.measure("latency", elapsed.as_secs_f64() * 1_000.0, "ms")
    }
}

impl PartialEq for Health {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Other(a), Self::Other(b)) => a == b,
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reserve_is_a_tenth_and_at_most_100_ms() {
        for (timeout, budget) in [(0, 0), (100, 90), (1_000, 900), (10_000, 9_900)] {
            assert_eq!(Target::new("a").within_ms(timeout).budget(), Duration::from_millis(budget));
        }
    }

    #[test]
    fn a_report_is_built_in_one_expression() {
        let report = Report::unhealthy("down\n\u{7}hard")
            .measure("queue", 3.0, "")
            .latency(Duration::from_micros(1500));
        assert_eq!(report.health, Health::Unhealthy);
        assert_eq!(report.summary, "down hard");
        let measured: Vec<_> =
            report.measurements.iter().map(|m| (m.name.as_str(), m.value, m.unit.as_str())).collect();
        assert_eq!(measured, [("queue", 3.0, ""), ("latency", 1.5, "ms")]);
    }
}
