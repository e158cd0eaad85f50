//! The newest calls of probes of components that are not well: kept in memory from the first bad answer on, and handed over when an
//! incident opens and when it closes. A component that is well costs a look at a flag and is not recorded.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use razar_core::id::ComponentId;

use super::calls::Call;

/// Calls of one component: what it looked like before somebody was asked.
const CALLS: usize = 8;

/// See the module. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rings(Arc<Mutex<HashMap<ComponentId, Ring>>>);

#[derive(Debug, Default)]
struct Ring {
    /// Its newest answer was a bad one.
    bad: bool,
    /// It has an incident.
    open: bool,
    calls: VecDeque<Call>,
}

impl Rings {
    /// Whether the next call is to be recorded.
    pub(crate) fn wants(&self, component: &ComponentId) -> bool {
        self.lock().get(component).is_some_and(|ring| ring.bad || ring.open)
    }

    /// What came of a call.
    pub(crate) fn answered(&self, component: &ComponentId, healthy: bool, call: Option<Call>) {
        let mut rings = self.lock();
        if healthy && call.is_none() && !rings.contains_key(component) {
            return;
        }
        let ring = rings.entry(component.clone()).or_default();
        ring.bad = !healthy;
        if let Some(call) = call {
            if ring.calls.len() == CALLS {
                ring.calls.pop_front();
            }
            ring.calls.push_back(call);
        }
    }

    /// An incident opens, or closes: what was kept until then.
    pub(crate) fn take(&self, component: &ComponentId, open: bool) -> Vec<Call> {
        let mut rings = self.lock();
        let ring = rings.entry(component.clone()).or_default();
        ring.open = open;
        std::mem::take(&mut ring.calls).into()
    }

    /// Nobody knows any more who has an incident.
    pub(crate) fn close(&self) {
        self.lock().values_mut().for_each(|ring| ring.open = false);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ComponentId, Ring>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use razar_core::fact::Phase;
    use razar_core::grant::{Limits, Role};
    use razar_core::id::Digest;
    use razar_runtime::outcome::{Outcome, PluginFailure};
    use razar_runtime::tape::recording::Recording;

    use super::*;
    use crate::record::calls::Asked;

    fn call(number: u64) -> Call {
        let asked = Asked::Probe { address: None, phase: Phase::Liveness, settings: number.to_string() };
        let whose = ("probe-a".parse().unwrap(), Digest::of(b""), &Limits::defaults(Role::Probe));
        let failed = Outcome::<()>::Failed(PluginFailure::Busy);
        Call::new(whose, Duration::ZERO, asked, Recording::default(), &failed)
    }

    #[test]
    fn only_who_is_not_well_is_recorded_and_only_the_newest_calls_are_kept() {
        let (rings, web): (_, ComponentId) = (Rings::default(), "web".parse().unwrap());
        rings.answered(&web, true, None);
        assert!(!rings.wants(&web));
        rings.answered(&web, false, None);
        for number in 0..20 {
            assert!(rings.wants(&web));
            rings.answered(&web, false, Some(call(number)));
        }
        let kept = rings.take(&web, true);
        assert_eq!((kept.len(), &kept[0]), (CALLS, &call(12)));
        rings.answered(&web, true, Some(call(20)));
        assert!(rings.wants(&web), "as long as its incident is open");
        assert_eq!(rings.take(&web, false), [call(20)]);
        assert!(!rings.wants(&web));
    }
}
