//! What agents were asked, and how long it took, by the names that dashboards and alert rules know. It follows facts: an attempt
//! counts when it is over, and every one after the first of its incident is one retry.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Registry};
use razar_core::effect::{Attempt, Effect, EffectOutcome};
use razar_core::fact::{Fact, Recorded};
use razar_core::id::EffectId;
use razar_core::incident::Who;
use razar_core::plan::BootPlan;
use razar_core::time::Timestamp;

use super::{opts, registered};

/// From an answer out of memory to the longest climb: rules look at half an hour.
const BUCKETS: [f64; 15] =
    [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1_800.0];

/// Attempts that may be under way at once: facts that were missed must not keep memory.
const UNDER_WAY: usize = 1_024;

/// See the module.
pub(super) struct Repairs {
    success: IntCounterVec,
    failure: IntCounterVec,
    retries: IntCounterVec,
    durations: HistogramVec,
    calls: HistogramVec,
    under_way: Mutex<HashMap<EffectId, (Attempt, Timestamp)>>,
}

impl Repairs {
    /// All at zero for every component that agents may be asked about: a rule over a series that is not there is silent.
    pub(super) fn new(registry: &Registry, plan: &BootPlan) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str| {
            registered(registry, IntCounterVec::new(opts(name, help), &["component"]))
        };
        let histogram = |name: &str, help: &str, label: &str| {
            let opts = HistogramOpts::new(name, help).buckets(BUCKETS.to_vec());
            registered(registry, HistogramVec::new(opts, &[label]))
        };
        let repairs = Self {
            success: counter(
                "razar_ai_invocation_success_total",
                "Attempts of agents whose patch passed its trial.",
            )?,
            failure: counter(
                "razar_ai_invocation_failure_total",
                "Attempts of agents that ended without such a patch.",
            )?,
            retries: counter(
                "razar_ai_invocation_retries_total",
                "Attempts of agents after the first of their incident.",
            )?,
            durations: histogram(
                "razar_ai_retry_duration_seconds",
                "How long attempts took, from the question to the verdict.",
                "component",
            )?,
            calls: histogram(
                "razar_agent_call_duration_seconds",
                "How long agents took to answer, over all turns of one attempt.",
                "agent",
            )?,
            under_way: Mutex::default(),
        };
        for component in plan.components.iter().filter(|component| component.repair.is_some()) {
            let id = component.id.as_str().to_ascii_lowercase();
            for counter in [&repairs.success, &repairs.failure, &repairs.retries] {
                counter.with_label_values(&[&id]).inc_by(0);
            }
            let _ = repairs.durations.with_label_values(&[&id]);
        }
        Ok(repairs)
    }

    /// Counts one fact.
    pub(super) fn take(&self, recorded: &Recorded) {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        match &recorded.fact {
            Fact::BootStarted { .. } => under_way.clear(),
            Fact::EffectDecided { id, effect: Effect::Attempt(attempt) }
                if matches!(attempt.who, Who::Agent(_)) && under_way.len() < UNDER_WAY =>
            {
                under_way.insert(*id, (attempt.clone(), recorded.at));
            }
            Fact::EffectUnknown { id } => drop(under_way.remove(id)),
            Fact::EffectFinished { id, outcome: EffectOutcome::Attempted { end, spent } } => {
                let Some((attempt, began)) = under_way.remove(id) else { return };
                let component = attempt.component.as_str().to_ascii_lowercase();
                let counter = if end.approved().is_some() { &self.success } else { &self.failure };
                counter.with_label_values(&[&component]).inc();
                if attempt.number > 1 {
                    self.retries.with_label_values(&[&component]).inc();
                }
                let took = recorded.at.since(began);
                self.durations.with_label_values(&[&component]).observe(took.0 as f64 / 1000.0);
                if spent.turns > 0 {
                    let agent = attempt.name.unwrap_or_else(|| attempt.who.to_string()).to_lowercase();
                    self.calls.with_label_values(&[&agent]).observe(spent.took.0 as f64 / 1000.0);
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use prometheus::{Encoder as _, TextEncoder};
    use razar_core::id::{ComponentId, Digest, IncidentId};
    use razar_core::incident::{End, Spent, Trouble};
    use razar_core::patch::Verdict;
    use razar_core::time::Millis;

    use super::*;

    /// One attempt that took so many seconds.
    fn attempt(number: u32, who: Who, name: Option<&str>, end: End, seconds: u64) -> [Recorded; 2] {
        let id = EffectId(u64::from(number));
        let component: ComponentId = "shop".parse().unwrap();
        let name = name.map(str::to_owned);
        let effect = Effect::Attempt(Attempt { component, incident: IncidentId(1), number, who, name });
        let turns = u32::from(end.trouble().is_none());
        let spent = Spent { took: Millis(seconds * 500), turns, ..Spent::default() };
        let outcome = EffectOutcome::Attempted { end, spent };
        let began = 1_000_000 * u64::from(number);
        [
            Recorded { seq: 1, at: Timestamp(began), fact: Fact::EffectDecided { id, effect } },
            Recorded {
                seq: 2,
                at: Timestamp(began + seconds * 1000),
                fact: Fact::EffectFinished { id, outcome },
            },
        ]
    }

    #[test]
    fn five_attempts_are_four_retries_and_a_long_one_has_a_bucket() {
        let registry = Registry::new();
        let repairs = Repairs::new(&registry, &BootPlan::default()).unwrap();
        let agent = || Who::Agent("agent-k2".parse().unwrap());
        let failed = || End::failed(Trouble::Deadline, "late");
        let fixed = End::Tried {
            verdict: Verdict::Fixed,
            why: String::new(),
            manifest: Digest::of(b""),
            lines: Some(2),
        };
        let declined = || End::Declined { why: String::new() };
        for recorded in [
            attempt(1, agent(), Some("K2 Coder"), declined(), 1),
            attempt(2, agent(), Some("K2 Coder"), declined(), 2),
            attempt(3, agent(), None, failed(), 3),
            attempt(4, agent(), Some("rStar"), declined(), 1_200),
            attempt(5, agent(), Some("rStar"), fixed, 5),
            attempt(6, Who::Operator(Digest::of(b"")), None, declined(), 6),
        ]
        .as_flattened()
        {
            repairs.take(recorded);
        }
        let mut text = Vec::new();
        TextEncoder::new().encode(&registry.gather(), &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        for line in [
            "razar_ai_invocation_success_total{component=\"shop\"} 1",
            "razar_ai_invocation_failure_total{component=\"shop\"} 4",
            "razar_ai_invocation_retries_total{component=\"shop\"} 4",
            "razar_ai_retry_duration_seconds_count{component=\"shop\"} 5",
            "razar_ai_retry_duration_seconds_sum{component=\"shop\"} 1211",
            "razar_ai_retry_duration_seconds_bucket{component=\"shop\",le=\"900\"} 4",
            "razar_ai_retry_duration_seconds_bucket{component=\"shop\",le=\"1800\"} 5",
            "razar_agent_call_duration_seconds_count{agent=\"k2 coder\"} 2",
            "razar_agent_call_duration_seconds_sum{agent=\"rstar\"} 602.5",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert!(!text.contains("agent=\"agent-k2\""), "nobody was called: {text}");
    }
}
