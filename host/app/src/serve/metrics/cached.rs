//! The two families of the hot path. Their handles are found by name once; after that an observation is a read lock,
//! a look-up and an atomic addition.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec};
use razar_core::fact::Phase;
use razar_core::id::{ComponentId, PluginId};

/// What is counted about probes. The outcome is one of the runtime's closed set of words.
pub(super) struct Probes {
    checks: IntCounterVec,
    durations: HistogramVec,
    known: RwLock<HashMap<(ComponentId, Phase, &'static str), Probe>>,
}

/// What is counted about one component's probe of one phase that ended in one way.
struct Probe {
    checks: IntCounter,
    duration: Histogram,
}

impl Probes {
    pub(super) fn new(checks: IntCounterVec, durations: HistogramVec) -> Self {
        Self { checks, durations, known: RwLock::default() }
    }

    pub(super) fn observe(
        &self,
        component: &ComponentId,
        phase: Phase,
        outcome: &'static str,
        took: Duration,
    ) {
        // Names are shared: a clone allocates nothing.
        let key = (component.clone(), phase, outcome);
        let find = || Probe {
            checks: self.checks.with_label_values(&[component.as_str(), phase.as_str(), outcome]),
            duration: self.durations.with_label_values(&[component.as_str(), phase.as_str()]),
        };
        with(&self.known, key, find, |probe| {
            probe.checks.inc();
            probe.duration.observe(took.as_secs_f64());
        });
    }
}

/// What is counted about calls.
pub(super) struct Calls {
    calls: IntCounterVec,
    known: RwLock<HashMap<(PluginId, &'static str), IntCounter>>,
}

impl Calls {
    pub(super) fn new(calls: IntCounterVec) -> Self {
        Self { calls, known: RwLock::default() }
    }

    pub(super) fn observe(&self, plugin: &PluginId, outcome: &'static str) {
        let find = || self.calls.with_label_values(&[plugin.as_str(), outcome]);
        with(&self.known, (plugin.clone(), outcome), find, IntCounter::inc);
    }
}

/// Uses the handles of a key, found when they are first wanted.
fn with<K: Eq + Hash, V>(known: &RwLock<HashMap<K, V>>, key: K, find: impl FnOnce() -> V, with: impl Fn(&V)) {
    if let Some(handles) = known.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
        return with(handles);
    }
    with(known.write().unwrap_or_else(PoisonError::into_inner).entry(key).or_insert_with(find));
}
