//! Every metric by name. Labels are configured names and closed enums, so their number is bounded by the configuration.
//! Counters follow the facts, gauges are what the driver shows when they are asked for, and the two calls on the hot
//! path allocate nothing.

mod cached;
mod repairs;

use std::sync::Mutex;
use std::time::Duration;

use prometheus::{
    Encoder, Gauge, GaugeVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry,
    TextEncoder,
};
use razar_core::effect::Effect;
use razar_core::fact::{Fact, Phase, Recorded};
use razar_core::id::{ComponentId, PluginId};
use razar_core::plan::BootPlan;
use razar_core::supervisor::Status;
use tokio::sync::broadcast::{Receiver, error::RecvError};

use crate::drive::Snapshot;
use cached::{Calls, Probes};
use repairs::Repairs;

/// From a sandboxed call in memory to the longest deadline a probe usually has.
const BUCKETS: [f64; 14] =
    [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0];

/// All metrics of one host.
pub(crate) struct Metrics {
    registry: Registry,
    up: GaugeVec,
    state: GaugeVec,
    quarantined: GaugeVec,
    plugins_out: GaugeVec,
    launches: IntCounterVec,
    failures: IntCounterVec,
    boot_duration: Gauge,
    stuck: Gauge,
    answering: Gauge,
    facts: IntCounter,
    missed: IntCounter,
    probes: Probes,
    calls: Calls,
    repairs: Repairs,
    /// Gauges are set and read in one piece.
    scrape: Mutex<()>,
}

impl Metrics {
    /// All of them at zero, for the components of a configuration.
    pub(crate) fn new(plan: &BootPlan) -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let build = registered(
            &registry,
            GaugeVec::new(
                opts("razar_build_info", "Always 1; the version of the host is the label."),
                &["version"],
            ),
        )?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1.0);
        let counter =
            |name, help, labels: &[&str]| registered(&registry, IntCounterVec::new(opts(name, help), labels));
        let gauge =
            |name, help, labels: &[&str]| registered(&registry, GaugeVec::new(opts(name, help), labels));
        let single = |name, help| registered(&registry, Gauge::with_opts(opts(name, help)));
        let checks = counter(
            "razar_probe_checks_total",
            "Answers of health probes.",
            &["component", "phase", "outcome"],
        )?;
        let durations = registered(
            &registry,
            HistogramVec::new(
                HistogramOpts::new("razar_probe_duration_seconds", "How long health probes took.")
                    .buckets(BUCKETS.to_vec()),
                &["component", "phase"],
            ),
        )?;
        let calls = counter(
            "razar_plugin_calls_total",
            "Calls into plugins, by how they ended.",
            &["plugin", "outcome"],
        )?;
        let metrics = Self {
            up: gauge("razar_component_up", "1 when the component is ready, else 0.", &["component"])?,
            state: gauge(
                "razar_component_state",
                "1 for the state the component is in.",
                &["component", "state"],
            )?,
            quarantined: gauge(
                "razar_component_quarantined",
                "1 when the component is quarantined, else 0.",
                &["component"],
            )?,
            plugins_out: gauge(
                "razar_plugin_quarantined",
                "1 while the plugin is quarantined and not called; absent otherwise.",
                &["plugin"],
            )?,
            launches: counter(
                "razar_component_launches_total",
                "Launches decided since this host started.",
                &["component"],
            )?,
            failures: counter(
                "razar_component_failures_total",
                "Failures since this host started, by class.",
                &["component", "class"],
            )?,
            boot_duration: single(
                "razar_boot_duration_seconds",
                "How long the newest boot took until every component was settled; 0 before that.",
            )?,
            stuck: single(
                "razar_ledger_stuck",
                "1 while facts cannot be recorded and nothing is acted on, else 0.",
            )?,
            answering: single(
                "razar_driver_answering",
                "1 when the driver answered this scrape in time, else 0.",
            )?,
            facts: registered(
                &registry,
                IntCounter::with_opts(opts(
                    "razar_facts_recorded_total",
                    "Facts recorded since this host started.",
                )),
            )?,
            missed: registered(
                &registry,
                IntCounter::with_opts(opts(
                    "razar_facts_uncounted_total",
                    "Facts recorded too quickly to be counted by component.",
                )),
            )?,
            probes: Probes::new(checks, durations),
            calls: Calls::new(calls),
            repairs: Repairs::new(&registry, plan)?,
            scrape: Mutex::new(()),
            registry,
        };
        // A counter that begins at zero shows its first step to `rate()`.
        for component in &plan.components {
            metrics.launches.with_label_values(&[component.id.as_str()]).inc_by(0);
        }
        Ok(metrics)
    }

    /// A probe answered, or failed to.
    pub(crate) fn observe_probe(
        &self,
        component: &ComponentId,
        phase: Phase,
        outcome: &'static str,
        took: Duration,
    ) {
        self.probes.observe(component, phase, outcome, took);
    }

    /// A call into a plugin ended.
    pub(crate) fn observe_call(&self, plugin: &PluginId, outcome: &'static str) {
        self.calls.observe(plugin, outcome);
    }

    /// Counts facts until the driver is gone.
    pub(crate) async fn follow(&self, mut facts: Receiver<Recorded>) {
        loop {
            match facts.recv().await {
                Ok(recorded) => self.take(&recorded),
                Err(RecvError::Lagged(missed)) => {
                    self.facts.inc_by(missed);
                    self.missed.inc_by(missed);
                }
                Err(RecvError::Closed) => return,
            }
        }
    }

    /// Counts one fact.
    pub(crate) fn take(&self, recorded: &Recorded) {
        self.facts.inc();
        self.repairs.take(recorded);
        match &recorded.fact {
            Fact::BootStarted { .. } => self.boot_duration.set(0.0),
            Fact::BootCompleted { took, .. } => self.boot_duration.set(took.0 as f64 / 1000.0),
            Fact::EffectDecided { effect: Effect::Start(start), .. } => {
                self.launches.with_label_values(&[start.component.as_str()]).inc();
            }
            Fact::Failed { component, failure, .. } => {
                self.failures.with_label_values(&[component.as_str(), failure.class.as_str()]).inc();
            }
            _ => {}
        }
    }

    /// The text of all metrics, with the gauges as the driver shows them; none when it did not answer.
    pub(crate) fn render(&self, snapshot: Option<&Snapshot>) -> Result<Vec<u8>, prometheus::Error> {
        let _one_at_a_time = self.scrape.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        self.answering.set(flag(snapshot.is_some()));
        if let Some(snapshot) = snapshot {
            self.show(snapshot);
        }
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }

    fn show(&self, snapshot: &Snapshot) {
        self.stuck.set(flag(snapshot.stuck.is_some()));
        // A component that is gone from the configuration is gone from here.
        for gauges in [&self.up, &self.state, &self.quarantined, &self.plugins_out] {
            gauges.reset();
        }
        for summary in &snapshot.components {
            let id = summary.id.as_str();
            self.up.with_label_values(&[id]).set(flag(summary.status == Status::Ready));
            self.state.with_label_values(&[id, summary.status.as_str()]).set(1.0);
            self.quarantined.with_label_values(&[id]).set(flag(summary.status == Status::Quarantined));
        }
        for out in &snapshot.plugins_out {
            self.plugins_out.with_label_values(&[out.plugin.as_str()]).set(1.0);
        }
    }
}

fn opts(name: &str, help: &str) -> Opts {
    Opts::new(name, help)
}

fn registered<C: prometheus::core::Collector + Clone + 'static>(
    registry: &Registry,
    collector: Result<C, prometheus::Error>,
) -> Result<C, prometheus::Error> {
    let collector = collector?;
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}

const fn flag(is: bool) -> f64 {
    if is { 1.0 } else { 0.0 }
}
