//! Numbers that the environment says. One that is none is told by name and replaced by the default, as operators know
//! it; it never stops a boot.

use std::ffi::OsStr;

use razar_core::time::Millis;

/// Seconds between questions whose interval the configuration does not say.
pub(crate) const PROBE_INTERVAL: &str = "RAZAR_HEALTH_PROBE_INTERVAL";

/// The value of a variable, unless it is empty; what is no value is warned about by name.
pub(crate) fn parse<T>(
    name: &str,
    value: Option<&OsStr>,
    default: &str,
    read: impl FnOnce(&str) -> Option<T>,
) -> (Option<T>, Option<String>) {
    let Some(value) = value.filter(|value| !value.is_empty()) else { return (None, None) };
    match value.to_str().and_then(|text| read(text.trim())) {
        Some(value) => (Some(value), None),
        None => {
            let shown = crate::report::escape::line(&value.to_string_lossy());
            (None, Some(format!("Invalid {name}={shown}; using default {default}")))
        }
    }
}

/// [`PROBE_INTERVAL`]; warned about when it is not a positive number of seconds.
pub(crate) fn probe_interval() -> Option<Millis> {
    let value = std::env::var_os(PROBE_INTERVAL);
    let read = |text: &str| Millis::from_seconds_text(text).ok().filter(|span| span.0 > 0);
    let (interval, warning) = parse(PROBE_INTERVAL, value.as_deref(), "10.0", read);
    if let Some(warning) = warning {
        tracing::warn!("{warning}");
    }
    interval
}

/// Failed attempts after which rStar is asked.
const RSTAR_THRESHOLD: &str = "RAZAR_RSTAR_THRESHOLD";

/// Escalations of an incident after which an operator is warned.
const WARNING_THRESHOLD: &str = "RAZAR_ESCALATION_WARNING_THRESHOLD";

/// [`RSTAR_THRESHOLD`]; none for the default.
pub(crate) fn rstar_threshold() -> Option<u32> {
    threshold(RSTAR_THRESHOLD, "9")
}

/// [`WARNING_THRESHOLD`]; none for the default.
pub(crate) fn warning_threshold() -> Option<u32> {
    threshold(WARNING_THRESHOLD, "3")
}

fn threshold(name: &str, default: &str) -> Option<u32> {
    let value = std::env::var_os(name);
    let (threshold, warning) = parse(name, value.as_deref(), default, never_below_zero);
    if let Some(warning) = warning {
        tracing::warn!("{warning}");
    }
    threshold
}

/// What is negative switches off, as zero does.
fn never_below_zero(text: &str) -> Option<u32> {
    let number: i64 = text.parse().ok()?;
    u32::try_from(number.max(0)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_is_never_below_zero() {
        for (text, expected) in [("9", Some(9)), ("-3", Some(0)), ("0", Some(0)), ("x", None), ("1.5", None)]
        {
            assert_eq!(never_below_zero(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_number_is_named_and_the_default_holds() {
        for (value, expected, warns) in [
            (None, None, false),
            (Some(""), None, false),
            (Some(" 2 "), Some(2), false),
            (Some("two"), None, true),
            (Some("2\u{1b}[0m"), None, true),
        ] {
            let (read, warning) = parse("X", value.map(OsStr::new), "1", |text| text.parse().ok());
            assert_eq!((read, warning.is_some()), (expected, warns), "{value:?}");
            assert!(warning.is_none_or(|text| text.starts_with("Invalid X=") && !text.contains('\u{1b}')));
        }
    }
}
