//! What is rebuilt at every start and never recorded: detectors, timers, counts that make the order cheap. Nothing
//! here may decide what a fact says about the past.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::backoff::Jitter;
use crate::detect::{Detector, Flap};
use crate::effect::ExitStatus;
use crate::id::InstanceId;
use crate::plan::Schedule;
use crate::time::{Millis, Timestamp};

/// See the module.
#[derive(Debug)]
pub(crate) struct Volatile {
    pub(crate) jitter: Jitter,
    pub(crate) components: Vec<Watched>,
    /// Dependents of each component, by place.
    pub(crate) dependents: Vec<Vec<usize>>,
    pub(crate) dependencies: Vec<Vec<usize>>,
    pub(crate) layers: Vec<Layer>,
    /// Layers below this one have been settled once in this boot: they hold nothing back any more.
    pub(crate) open_layers: usize,
    /// Components not yet settled, over all layers.
    pub(crate) unsettled: usize,
    /// Components with a process, over all.
    pub(crate) processes: usize,
    /// Changed in this turn.
    pub(crate) dirty: Vec<usize>,
    timers: BinaryHeap<Reverse<(Timestamp, usize)>>,
}

/// What the counts of one layer are.
#[derive(Debug, Default, Clone)]
pub(crate) struct Layer {
    pub(crate) members: Vec<usize>,
    pub(crate) unsettled: usize,
    pub(crate) processes: usize,
}

/// What is known about one component only as long as this host lives.
#[derive(Debug, Default, Clone)]
pub(crate) struct Watched {
    pub(crate) detectors: [Detector; 3],
    /// How the plugins behaved that were asked about it.
    pub(crate) conduct: [Detector; 3],
    pub(crate) flap: Flap,
    /// The startup probe has passed; the readiness probe may not have yet.
    pub(crate) started: bool,
    /// When this host found it running; none for a process it started itself.
    pub(crate) adopted: Option<Timestamp>,
    /// The newest answer of a probe that was not healthy.
    pub(crate) complaint: String,
    pub(crate) due: Option<Timestamp>,
    /// When its incident may go on, if it waits for somebody.
    pub(crate) waits: Option<Timestamp>,
    pub(crate) settled: bool,
    /// A dependency is out, or waits for one that is.
    pub(crate) blocked: bool,
    /// Ready: others may depend on it.
    pub(crate) available: bool,
    /// Out or blocked: others wait in vain.
    pub(crate) absent: bool,
    pub(crate) has_process: bool,
    /// It ended before the answer to its start came.
    pub(crate) early_exit: Option<(InstanceId, ExitStatus, String)>,
}

impl Watched {
    /// A new process: nothing seen of the old one counts.
    pub(crate) fn begin_process(&mut self) {
        self.detectors = Default::default();
        self.conduct = Default::default();
        self.flap = Flap::default();
        self.started = false;
        self.adopted = None;
        self.complaint.clear();
        self.early_exit = None;
    }

    /// A process that runs already: nothing was seen of it either.
    pub(crate) fn adopt_process(&mut self, now: Timestamp) {
        self.begin_process();
        self.adopted = Some(now);
    }

    /// When a process that is not ready has had its time. It is the time since its launch, whichever host watched it;
    /// but nobody is judged unasked: whose deadline passed while no host was there is asked as often as it takes.
    pub(crate) fn deadline(&self, since: Timestamp, schedule: &Schedule) -> Timestamp {
        let once = schedule.timeout.0.saturating_add(schedule.interval.0);
        let asked = Millis(once.saturating_mul(schedule.successes.max(1).into()).min(schedule.deadline.0));
        match self.adopted {
            None => since + schedule.deadline,
            // It was launched before it was found, also when the machine's clock was set back in between.
            Some(adopted) => (since.min(adopted) + schedule.deadline).max(adopted + asked),
        }
    }
}

impl Volatile {
    pub(crate) const fn new(jitter: Jitter) -> Self {
        Self {
            jitter,
            components: Vec::new(),
            dependents: Vec::new(),
            dependencies: Vec::new(),
            layers: Vec::new(),
            open_layers: 0,
            unsettled: 0,
            processes: 0,
            dirty: Vec::new(),
            timers: BinaryHeap::new(),
        }
    }

    pub(crate) fn at(&self, at: usize) -> Option<&Watched> {
        self.components.get(at)
    }

    pub(crate) fn at_mut(&mut self, at: usize) -> Option<&mut Watched> {
        self.components.get_mut(at)
    }

    /// Sets the one moment at which a component wants to be looked at.
    pub(crate) fn set_due(&mut self, at: usize, due: Option<Timestamp>) {
        let Some(component) = self.components.get_mut(at) else { return };
        if component.due == due {
            return;
        }
        component.due = due;
        if let Some(due) = due {
            self.timers.push(Reverse((due, at)));
        }
        // Moments that were taken back stay in the heap until they pass; never let them outnumber the live ones.
        if self.timers.len() > 64 + 4 * self.components.len() {
            let live = self.components.iter().enumerate();
            self.timers = live.filter_map(|(at, c)| Some(Reverse((c.due?, at)))).collect();
        }
    }

    /// The next moment that still holds.
    pub(crate) fn next_wake(&mut self) -> Option<Timestamp> {
        while let Some(Reverse((due, at))) = self.timers.peek().copied() {
            if self.at(at).is_some_and(|c| c.due == Some(due)) {
                return Some(due);
            }
            self.timers.pop();
        }
        None
    }

    /// Takes one component whose moment has come.
    pub(crate) fn pop_due(&mut self, now: Timestamp) -> Option<usize> {
        if self.next_wake()? > now {
            return None;
        }
        let Reverse((_, at)) = self.timers.pop()?;
        if let Some(component) = self.at_mut(at) {
            component.due = None;
        }
        Some(at)
    }
}
