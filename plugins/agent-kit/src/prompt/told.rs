//! What a model is told about a situation, part by part. Each part becomes one fenced block.

use razar_sdk::agent::{Alert, Brief, Failure, FailureClass, Situation};
use razar_sdk::one_line;

use super::{ALERTS, ATTEMPTS, ERROR, HINT, LOG, OFFERS, Part, cut_back, cut_front, sources};
use crate::fence::tame;

/// All of them, in the order a reader wants them.
pub(super) fn parts(brief: &Brief, source_bytes: usize) -> Vec<Part> {
    let mut parts = match &brief.situation {
        Situation::Failure(failure) => of_failure(failure, source_bytes),
        Situation::Alerts(alerts) => vec![of_alerts(alerts)],
    };
    if !brief.actions.is_empty() {
        let one = |action: &razar_sdk::ToolSchema| {
            format!(
                "{}: {} Parameters: {}\n",
                action.name,
                one_line(&action.description),
                action.input_schema
            )
        };
        parts.push(Part::new("actions", brief.actions.iter().take(OFFERS).map(one).collect::<String>()));
    }
    parts
}

fn of_failure(failure: &Failure, source_bytes: usize) -> Vec<Part> {
    let mut about = format!("component: {}\n", one_line(&failure.component));
    if !failure.layer.is_empty() {
        about.push_str(&format!("layer: {}\n", one_line(&failure.layer)));
    }
    about.push_str(&format!("class: {}\nincident: {}\n", class(&failure.class), one_line(&failure.incident)));
    if let Some((_, hint)) = failure.extensions.iter().find(|(key, _)| key == "hint") {
        let (_, hint) = cut_back(&one_line(hint), HINT);
        about.push_str(&format!("usual remedy: {hint}\n"));
    }
    let mut parts = vec![Part::new("failure", tame(&about))];

    let (note, error) = cut_back(&failure.error, ERROR);
    parts.push(Part::new(format!("error{note}"), error));
    if !failure.log_tail.is_empty() {
        let (note, log) = cut_front(&failure.log_tail, LOG);
        parts.push(Part::new(format!("log{note}"), log));
    }
    parts.extend(history(failure));
    if !failure.versions.is_empty() {
        let one = |version: &razar_sdk::agent::Version| {
            let summary = tame(&one_line(&version.summary));
            format!(
                "{}: healthy until {} ms since 1970; {summary}\n",
                one_line(&version.id),
                version.healthy_until_unix_ms
            )
        };
        parts.push(Part::new("versions", failure.versions.iter().take(OFFERS).map(one).collect::<String>()));
    }
    parts.extend(sources::parts(failure, source_bytes));
    parts
}

fn class(class: &FailureClass) -> &str {
    match class {
        FailureClass::Dependency => "dependency: something it needs is missing",
        FailureClass::Logic => "logic: its own code is wrong",
        FailureClass::External => "external: the cause lies outside of this machine",
        FailureClass::Unknown => "unknown",
        FailureClass::Other(word) => word,
    }
}

/// What was tried before, the newest last; refusals word for word, because the next answer must not earn them again.
fn history(failure: &Failure) -> Option<Part> {
    let (attempts, bytes) = ATTEMPTS;
    let left_out = failure.history.len().saturating_sub(attempts);
    let mut text = String::new();
    for attempt in failure.history.iter().skip(left_out) {
        let (note, error) = cut_back(&attempt.error, bytes);
        let (agent, outcome) = (one_line(&attempt.agent), one_line(&attempt.outcome));
        text.push_str(&format!("attempt {} by {agent}: {outcome}{note}\n", attempt.number));
        for line in error.lines() {
            text.push_str(&format!("    {line}\n"));
        }
    }
    let note = if left_out == 0 { String::new() } else { format!(" (without the oldest {left_out})") };
    (!text.is_empty()).then(|| Part::new(format!("earlier attempts{note}"), tame(&text)))
}

fn of_alerts(alerts: &[Alert]) -> Part {
    let (most, bytes) = ALERTS;
    let left_out = alerts.len().saturating_sub(most);
    let mut text = String::new();
    for alert in alerts.iter().skip(left_out) {
        let (note, message) = cut_back(&alert.message, bytes);
        let about =
            alert.component.as_deref().map_or_else(String::new, |name| format!(" about {}", one_line(name)));
        let (severity, kind, id) = (one_line(&alert.severity), one_line(&alert.kind), one_line(&alert.id));
        text.push_str(&format!("{severity} {kind} {id}{about} at {}{note}: {message}\n", alert.at_unix_ms));
    }
    let note = if left_out == 0 { String::new() } else { format!(" (without the oldest {left_out})") };
    Part::new(format!("alerts{note}"), tame(&text))
}
