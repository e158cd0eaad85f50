//! `monitoring/boot_metrics.prom`: the newest boot for node_exporter's textfile collector. Dashboards and alerts know some of these
//! numbers by names that end in `_total` and are no counters; those have no type here, which is what Prometheus's own rules for
//! names allow, and stand beside a gauge with a name that follows them.

use std::fmt::Write as _;

use super::runs::Run;

/// Below the root of the views.
pub(super) const NAME: &str = "monitoring/boot_metrics.prom";

/// The exposition text of one run.
pub(super) fn render(run: &Run) -> String {
    let count = |number: usize| number as f64;
    let gauges = [
        (
            "razar_boot_first_attempt_successes",
            "razar_boot_first_attempt_success_total",
            "Components of the newest boot that became ready at their first launch.",
            count(run.first_attempt_successes),
        ),
        (
            "razar_boot_retries",
            "razar_boot_retry_total",
            "Launches beyond the first of every component.",
            run.retry_total as f64,
        ),
        (
            "razar_boot_components",
            "razar_boot_component_total",
            "Components of the newest boot.",
            count(run.component_total),
        ),
        (
            "razar_boot_component_successes",
            "razar_boot_component_success_total",
            "Those that became ready.",
            count(run.component_successes),
        ),
        (
            "razar_boot_component_failures",
            "razar_boot_component_failure_total",
            "Those that did not.",
            count(run.component_failures),
        ),
    ];
    let mut text = String::new();
    let mut family = |name: &str, kind: &str, help: &str, value: f64| {
        // Writing to a string cannot fail.
        let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n");
    };
    for (name, known, help, value) in gauges {
        family(known, "untyped", help, value);
        family(name, "gauge", help, value);
    }
    family("razar_boot_total_time_seconds", "gauge", "How long the newest boot took.", run.total_time);
    family("razar_boot_success_rate", "gauge", "Part of its components that became ready.", run.success_rate);
    text
}
