//! Which facts are alerts, in the words and the shape operators know. It says nothing that a fact does not.

use razar_core::fact::{Fact, Recorded};
use razar_core::redact::{Kind, Redactor};
use razar_core::time::Timestamp;
use razar_ledger::moment;
use serde::Serialize;
use serde_json::{Map, Value, json};

/// What monitors compare with, word for word.
const HALTED: &str = "Boot sequence halted; configuration rolled back to safe defaults";

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Severity {
    /// Somebody should look.
    Warning,
    /// Somebody has to act.
    Critical,
}

impl Severity {
    /// As a subject says it.
    pub(super) const fn shouted(self) -> &'static str {
        match self {
            Self::Warning => "WARNING",
            Self::Critical => "CRITICAL",
        }
    }
}

/// One alert.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Alert {
    /// The fact it is of.
    pub(super) fact: u64,
    pub(super) at: Timestamp,
    pub(super) severity: Severity,
    pub(super) message: String,
    pub(super) context: Map<String, Value>,
}

/// As it is sent.
#[derive(Serialize)]
struct Payload<'a> {
    message: &'a str,
    severity: Severity,
    timestamp: f64,
    timestamp_iso: String,
    #[serde(skip_serializing_if = "Map::is_empty")]
    context: &'a Map<String, Value>,
}

impl Alert {
    /// The payload, indented.
    pub(super) fn json(&self) -> Vec<u8> {
        let payload = Payload {
            message: &self.message,
            severity: self.severity,
            timestamp: moment::epoch(self.at),
            timestamp_iso: moment::second(self.at),
            context: &self.context,
        };
        // Strings and numbers under string keys always are JSON.
        serde_json::to_vec_pretty(&payload).unwrap_or_default()
    }

    /// For people: what happened, and what is known of it.
    pub(super) fn text(&self) -> String {
        let context = serde_json::to_string_pretty(&self.context).unwrap_or_default();
        format!("{}\n\n{context}\n", self.message)
    }

    /// Without what may not leave this machine.
    pub(super) fn without(mut self, redactor: &mut Redactor) -> Self {
        let mut clean = |text: &str| redactor.redact("alert", Kind::Words, text);
        self.message = clean(&self.message);
        for value in self.context.values_mut() {
            if let Value::String(text) = value {
                *text = clean(text);
            }
        }
        self
    }
}

/// The alert that a fact is, if it is one. What an operator did himself is none.
pub(super) fn told(recorded: &Recorded) -> Option<Alert> {
    let (severity, message, context) = match &recorded.fact {
        Fact::BootHalted { boot, component, reason } => (
            Severity::Critical,
            HALTED.to_owned(),
            json!({ "error": reason, "component": component.as_str(), "boot": boot.to_string() }),
        ),
        Fact::Quarantined { component, reason, failure, attempts } if reason.is_failure() => (
            Severity::Critical,
            format!("Component {component} quarantined: {}", reason.as_str()),
            json!({
                "component": component.as_str(), "error": failure.error, "class": failure.class.as_str(),
                "hint": failure.class.hint(), "attempts": attempts,
            }),
        ),
        Fact::EscalationWarned { incident, component, escalations } => (
            Severity::Warning,
            format!(
                "Component {component} triggered {escalations} escalations during the current boot cycle"
            ),
            json!({
                "component": component.as_str(), "escalations": escalations, "incident": incident.to_string(),
            }),
        ),
        Fact::PluginQuarantined { plugin, reason, failure, .. } if reason.is_failure() => (
            Severity::Warning,
            format!("Plugin {plugin} quarantined: {}", reason.as_str()),
            json!({ "plugin": plugin.as_str(), "error": failure.error }),
        ),
        _ => return None,
    };
    let Value::Object(mut context) = context else { return None };
    context.insert("fact".to_owned(), recorded.seq.into());
    Some(Alert { fact: recorded.seq, at: recorded.at, severity, message, context })
}
