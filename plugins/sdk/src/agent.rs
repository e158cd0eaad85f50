//! The role `agent`: its trait, and comfortable ways to make its types.

use std::time::Duration;

use serde::de::DeserializeOwned;

pub use crate::bindings::agent::exports::razar::plugin::agent::*;
use crate::settings;

/// A call's time when the host does not say it.
const TIME: Duration = Duration::from_secs(60);

/// Kept back from a call's time, so that the plugin answers before the host ends it.
const RESERVE: Duration = Duration::from_secs(1);

/// Suggests remedies. Export it with [`export_agent!`](crate::export_agent).
pub trait Agent {
    /// Takes one turn; see `wit/plugin-0.1/agent.wit`.
    fn propose(brief: Brief, turn: Option<Turn>) -> Result<Answer, PluginError>;
}

impl<T: Agent> Guest for T {
    fn propose(brief: Brief, turn: Option<Turn>) -> Result<Answer, PluginError> {
        <T as Agent>::propose(brief, turn)
    }
}

impl Brief {
    /// What the host says under a key of `extensions`.
    pub fn extension(&self, key: &str) -> Option<&str> {
        self.extensions.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
    }

    /// The settings as a struct; see [`parse_settings`](crate::parse_settings).
    pub fn parse_settings<T: DeserializeOwned>(&self) -> Result<T, PluginError> {
        settings::parse(self.extension("settings").unwrap_or_default())
    }

    /// The time to spend on waiting: this turn's time, less a reserve for the answer.
    pub fn budget(&self) -> Duration {
        let all = self
            .extension("timeout-ms")
            .and_then(|text| text.parse().ok())
            .map_or(TIME, Duration::from_millis);
        all.saturating_sub((all / 10).min(RESERVE))
    }
}

impl Answer {
    /// Proposes `remedy` because of `rationale`.
    pub fn propose(remedy: Remedy, rationale: impl Into<String>) -> Self {
        Self::new(Step::Propose(Proposal { remedy, rationale: rationale.into(), extensions: Vec::new() }))
    }

    /// Has no remedy.
    pub fn decline(reason: impl Into<String>) -> Self {
        Self::propose(Remedy::Decline(reason.into()), "")
    }

    /// Wants to know more first.
    pub fn use_tools(pause: Pause) -> Self {
        Self::new(Step::UseTools(pause))
    }

    /// Says what the turn cost.
    #[must_use]
    pub fn with_usage(mut self, usage: Usage) -> Self {
        self.usage = Some(usage);
        self
    }

    fn new(step: Step) -> Self {
        Self { step, usage: None, extensions: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_says_settings_and_time() {
        let mut brief = Brief {
            situation: Situation::Alerts(Vec::new()),
            actions: Vec::new(),
            tools: Vec::new(),
            extensions: Vec::new(),
        };
        assert_eq!(brief.budget(), Duration::from_secs(59));
        assert_eq!(brief.parse_settings::<std::collections::BTreeMap<String, u8>>().unwrap().len(), 0);
        brief.extensions =
            vec![("settings".into(), "{\"a\":1}".into()), ("timeout-ms".into(), "5000".into())];
        assert_eq!(brief.budget(), Duration::from_millis(4_500));
        assert_eq!(brief.parse_settings::<std::collections::BTreeMap<String, u8>>().unwrap()["a"], 1);
    }
}
