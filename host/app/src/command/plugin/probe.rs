//! Asks a probe once, and tells how the component is.

use std::time::Duration;

use razar_core::fact::Phase;
use razar_core::grant::CallScope;
use razar_core::id::ComponentId;
use razar_runtime::contract::{Measurement, Probe, ProbeCall, ProbeTarget};
use razar_runtime::outcome::Outcome;
use serde_json::{Value, json};

use super::super::Exit;
use super::run::Asked;
use crate::cli::PhaseName;
use crate::report::escape;

/// A probe's time where nobody says otherwise: the probe schedule's own.
const TIME: Duration = Duration::from_secs(5);

pub(super) async fn ask(asked: &Asked<'_>, probe: &dyn Probe) -> Result<Exit, Exit> {
    let arguments = asked.arguments;
    let component: ComponentId =
        arguments.component.parse().map_err(|error| asked.usage(&format!("`--component`: {error}")))?;
    // As a boot configuration says it, and as the probe is told.
    let address = arguments.address.as_deref().map(|text| text.strip_prefix("tcp://").unwrap_or(text));
    let target = address.map(str::parse).transpose();
    let target = target.map_err(|error| asked.usage(&format!("`--address`: {error}")))?;
    let log = match &arguments.log_file {
        Some(log) => {
            let log =
                std::path::absolute(log).map_err(|error| asked.usage(&format!("`--log-file`: {error}")))?;
            Some(log.to_string_lossy().into_owned())
        }
        None => None,
    };
    let scope = CallScope { target, log, ..CallScope::default() };
    let phase = match arguments.phase {
        PhaseName::Startup => Phase::Startup,
        PhaseName::Readiness => Phase::Readiness,
        PhaseName::Liveness => Phase::Liveness,
    };
    let target = ProbeTarget { component: &component, address, phase, settings: &arguments.settings };
    let report = probe.check(ProbeCall { target, scope, deadline: asked.time(TIME) }).await;
    let none: &[Measurement] = &[];
    let (word, text, measured, well) = match &report.outcome {
        Outcome::Reply(reply) => (
            reply.health.as_str(),
            reply.summary.clone(),
            reply.measurements.as_slice(),
            reply.health.is_well(),
        ),
        Outcome::Refused(error) => (report.outcome.as_str(), error.message.clone(), none, false),
        Outcome::Failed(failure) => (report.outcome.as_str(), failure.to_string(), none, false),
    };
    let (summary, measurements) = if asked.is_json() {
        let measured = measured.iter().map(|m| (measure_key(&m.name, &m.unit), json!(m.value)));
        (text, Value::Object(measured.collect()))
    } else {
        let measured = measured.iter().map(|m| format!("{} {:.3} {}", m.name, m.value, m.unit));
        (escape::line(&text), json!(measured.collect::<Vec<_>>()))
    };
    let answer = [("outcome", json!(word)), ("summary", json!(summary)), ("measurements", measurements)];
    asked.tell(&answer, &[report]);
    Ok(if well { Exit::Done } else { Exit::Failed })
}

/// The key of a measurement: its name and its unit, `latency_ms`, whatever the plugin has called them.
fn measure_key(name: &str, unit: &str) -> String {
    let plain = |text: &str| {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
        text.chars().map(plain).collect::<String>().trim_matches('_').to_owned()
    };
    let (name, unit) = (plain(name), if unit == "%" { "percent".to_owned() } else { plain(unit) });
    match unit.as_str() {
        "" => name,
        unit if name.strip_suffix(unit).is_some_and(|rest| rest.is_empty() || rest.ends_with('_')) => name,
        unit => format!("{name}_{unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_measurements_say_their_unit() {
        for (name, unit, key) in [
            ("latency", "ms", "latency_ms"),
            ("latency_ms", "ms", "latency_ms"),
            ("Queue depth", "", "queue_depth"),
            ("used", "%", "used_percent"),
            ("rate", "requests/s", "rate_requests_s"),
        ] {
            assert_eq!(measure_key(name, unit), key);
        }
    }
}
