//! What each input means for the component it is about. Order and permission to start or stop others are not
//! decided here.

use crate::backoff;
use crate::effect::{Effect, EffectOutcome, ExitStatus};
use crate::fact::{Fact, Phase, QuarantineReason};
use crate::failure::{Failure, FailureClass, FailureKind, Peer};
use crate::id::{ComponentId, Digest, EffectId, InstanceId};

use super::custody::PROBATION;
use super::input::{BootRequest, Command, Found, FoundState, Input, Refused};
use super::{Life, Stage, Turn};

/// Longest text about one failure that is remembered: a traceback's end, not a core dump.
pub(super) const MAX_ERROR: usize = 2_000;

impl Turn<'_> {
    pub(super) fn take(&mut self, input: Input) {
        match input {
            Input::Boot(request) => self.boot(request),
            Input::Found(found) => self.found(&found),
            Input::Tick => self.tick(),
            Input::EffectStarted { id } => {
                if self.state.durable.open_effects.contains_key(&id) {
                    self.record(Fact::EffectStarted { id });
                }
            }
            Input::EffectFinished { id, outcome } => self.effect_finished(id, outcome),
            Input::Exited { component, instance, exit, evidence } => {
                if let Some(at) = self.place(&component) {
                    self.exited(at, instance, exit, &evidence);
                }
            }
            Input::Probed { component, instance, phase, healthy, summary } => {
                if let Some(at) = self.place(&component) {
                    self.behaved(at, instance, phase);
                    self.probed(at, instance, phase, healthy, summary);
                }
            }
            Input::Misbehaved { component, instance, phase, what } => {
                if let Some(at) = self.place(&component) {
                    self.misbehaved(at, instance, phase, what);
                }
            }
            Input::VersionKept { component, instance, version } => {
                if let Some(at) = self.place(&component) {
                    self.version_kept(at, instance, version);
                }
            }
            Input::CallsRecorded { component, incident, calls } => {
                if self.place(&component).is_some() {
                    self.record(Fact::CallsRecorded { incident, component, calls });
                }
            }
            Input::Command(command) => {
                if let Err(refused) = self.command(command) {
                    self.decision.refused = Some(refused);
                }
            }
        }
    }

    fn place(&self, id: &ComponentId) -> Option<usize> {
        self.state.durable.index.get(id).copied()
    }

    fn boot(&mut self, request: BootRequest) {
        let host = self.state.settings.host.clone();
        let BootRequest { ledger, long_task, .. } = request;
        match &self.state.durable.boot {
            Some(boot) if boot.stage != Stage::Ended => {
                let boot = boot.id;
                self.record(Fact::BootResumed { boot, host, ledger, long_task });
            }
            _ => {
                self.withdraw_all("a new boot begins");
                let boot = self.next_boot();
                let planned = self.state.plans.iter().flatten();
                self.record(Fact::BootStarted {
                    boot,
                    mission: request.mission,
                    brief: request.brief,
                    config: request.config.unwrap_or_else(|| Digest::of(b"")),
                    components: planned.map(|plan| plan.id.clone()).collect(),
                    host,
                    ledger,
                    long_task,
                });
                self.state.rebuild();
                self.enforce_failure_limit();
            }
        }
        self.touch_all();
    }

    fn enforce_failure_limit(&mut self) {
        for at in 0..self.state.durable.components.len() {
            let Some(component) = self.component(at) else { continue };
            let count = component.custody.count(self.now);
            if component.is_out() || count < u64::from(self.state.settings.failure_limit.max(1)) {
                continue;
            }
            let failure = component.last_failure.clone().unwrap_or_else(|| Failure {
                kind: FailureKind::Exited,
                class: FailureClass::External,
                error: format!("{count} incidents ended in quarantine"),
            });
            self.quarantine(at, QuarantineReason::FailureLimit, failure);
        }
    }

    /// What is alive after a crash: open effects become unknown, and the world says what really happened.
    fn found(&mut self, found: &[Found]) {
        let open: Vec<(EffectId, Effect)> =
            self.state.durable.open_effects.iter().map(|(id, effect)| (*id, effect.clone())).collect();
        for (id, _) in &open {
            self.record(Fact::EffectUnknown { id: *id });
        }
        let launched = |found: &Found| {
            open.iter().any(|(_, effect)| {
                matches!(effect, Effect::Start(start) if start.instance == found.instance && start.component == found.component)
            })
        };
        for at in 0..self.state.durable.components.len() {
            let Some(component) = self.component(at) else { continue };
            let Life::Up { instance, .. } = component.life else { continue };
            let id = component.id.clone();
            let same = found.iter().find(|f| f.component == id && f.instance == instance);
            match same.map(|f| f.state) {
                Some(FoundState::Running(process)) => {
                    self.record(Fact::Adopted { component: id, instance, process });
                    if let Some(watched) = self.state.volatile.at_mut(at) {
                        watched.adopt_process(self.now);
                    }
                }
                Some(FoundState::Ended(exit)) => self.exited(at, instance, exit, ""),
                None => self.exited(at, instance, ExitStatus::Unknown, ""),
            }
            self.touch(at);
        }
        for stray in found {
            let at = self.state.durable.place(&stray.component);
            self.state.grow();
            let down = self.component(at).is_some_and(|c| c.life == Life::Down);
            match stray.state {
                FoundState::Running(process) if down => {
                    let (component, instance) = (stray.component.clone(), stray.instance);
                    self.record(Fact::Adopted { component, instance, process });
                    if let Some(watched) = self.state.volatile.at_mut(at) {
                        watched.adopt_process(self.now);
                    }
                    if !launched(stray) {
                        self.decide_stop(at);
                    }
                }
                FoundState::Ended(exit) if down && launched(stray) => {
                    let class = FailureClass::of_exit(exit, "", &[]);
                    self.fail(at, Some(stray.instance), FailureKind::Exited, class, &exit.to_string());
                }
                _ => {}
            }
            self.touch(at);
        }
        self.resume_what_was_under_way();
    }

    /// After a crash: what was to be stopped, or runs from an older configuration; and what had failed, was being stopped, and is
    /// gone: nobody will say any more that it has ended.
    fn resume_what_was_under_way(&mut self) {
        let resumes = self.stage().is_some_and(Stage::launches);
        for at in 0..self.state.durable.components.len() {
            let Some(component) = self.component(at) else { continue };
            let planned = self.state.plans.get(at).and_then(Option::as_deref);
            let outdated = planned.is_none_or(|plan| component.spec.is_some_and(|spec| spec != plan.spec));
            let unwanted = component.is_kept_down() || component.unjudged.is_some();
            if matches!(component.life, Life::Up { .. }) && (unwanted || (resumes && outdated)) {
                self.decide_stop(at);
            }
            self.judge(at);
            self.touch(at);
        }
    }

    fn tick(&mut self) {
        let mut due = Vec::new();
        while let Some(at) = self.state.volatile.pop_due(self.now) {
            due.push(at);
        }
        for at in due {
            let Some(component) = self.component(at) else { continue };
            match (component.life, self.state.startup_deadline(at)) {
                (Life::Up { instance, ready: None, .. }, Some((deadline, allowed)))
                    if deadline <= self.now =>
                {
                    let complaint =
                        self.state.volatile.at(at).map(|v| v.complaint.clone()).unwrap_or_default();
                    let said = if complaint.is_empty() { "its probe never answered" } else { &complaint };
                    let error = format!("not ready within {} ms: {said}", allowed.0);
                    let class = FailureClass::of(&error);
                    self.fail(at, Some(instance), FailureKind::StartupDeadline, class, &error);
                }
                (Life::Up { ready: Some(ready), .. }, _)
                    if component.custody.on_probation() && ready + PROBATION <= self.now =>
                {
                    let component = component.id.clone();
                    self.record(Fact::Reinstated { component });
                }
                _ => {}
            }
            self.canary(at);
            self.touch(at);
        }
    }

    fn effect_finished(&mut self, id: EffectId, outcome: EffectOutcome) {
        let Some(effect) = self.state.durable.open_effects.get(&id).cloned() else { return };
        let Some(at) = self.place(effect.component()) else { return };
        self.record(Fact::EffectFinished { id, outcome: outcome.clone() });
        self.touch(at);
        if matches!(effect, Effect::Roster(_)) {
            // Anybody's incident may have waited for it.
            return self.touch_all();
        }
        match outcome {
            EffectOutcome::Running(_) => self.launched(at),
            // The fold has taken it in; what is next follows from where the incident stands.
            EffectOutcome::Attempted { .. } | EffectOutcome::Saved { .. } | EffectOutcome::Changed => {}
            EffectOutcome::NotChanged { error, .. } => self.not_changed(at, &effect, error),
            EffectOutcome::NotStarted { error, permanent } => {
                let kind = if permanent { FailureKind::Unstartable } else { FailureKind::NotStarted };
                // It never ran: what is missing is on this machine, whatever the words are.
                self.fail(at, None, kind, FailureClass::Dependency, &error);
            }
            EffectOutcome::Ended { .. } => {
                let stopping = self.stage().is_some_and(Stage::stops);
                if let Some(component) = self.component(at)
                    && (component.stopped || stopping)
                {
                    let component = component.id.clone();
                    self.record(Fact::Stopped { component });
                }
                self.judge(at);
            }
        }
    }

    fn launched(&mut self, at: usize) {
        let early = self.state.volatile.at_mut(at).and_then(|watched| {
            let early = watched.early_exit.take();
            watched.begin_process();
            early
        });
        let Some(component) = self.component(at) else { return };
        let (out, instance) = (component.is_kept_down(), component.life.instance());
        match early {
            Some((early, exit, evidence)) if Some(early) == instance => {
                self.exited(at, early, exit, &evidence)
            }
            _ if out => self.decide_stop(at),
            _ => {}
        }
    }

    fn exited(&mut self, at: usize, instance: InstanceId, exit: ExitStatus, evidence: &str) {
        let Some(component) = self.component(at) else { return };
        match component.life {
            Life::Up { instance: running, .. } if running == instance => {}
            Life::Launching { instance: coming, .. } if coming == instance => {
                if let Some(watched) = self.state.volatile.at_mut(at) {
                    watched.early_exit = Some((instance, exit, evidence.to_owned()));
                }
                return;
            }
            _ => return,
        }
        let id = component.id.clone();
        let asked = component.is_kept_down() || self.stage().is_some_and(Stage::stops);
        let exited = Fact::Exited { component: id.clone(), instance, exit, asked };
        self.touch(at);
        if asked {
            self.record(exited);
            self.record(Fact::Stopped { component: id });
            return;
        }
        let error = if evidence.is_empty() { exit.to_string() } else { format!("{exit}: {evidence}") };
        let class = self.class_of(at, exit, evidence);
        self.record_failure(at, Some(instance), FailureKind::Exited, class, &error);
        self.record(exited);
        self.judge(at);
    }

    pub(super) fn probed(
        &mut self,
        at: usize,
        instance: InstanceId,
        phase: Phase,
        healthy: bool,
        summary: String,
    ) {
        let (Some(component), Some(Some(plan))) =
            (self.state.durable.components.get(at), self.state.plans.get(at))
        else {
            return;
        };
        let Life::Up { instance: running, ready, .. } = component.life else { return };
        if running != instance {
            return;
        }
        let probes = &plan.probes;
        let Some(schedule) = probes.of(phase).map(|probe| probe.schedule) else { return };
        let has_readiness = probes.readiness.is_some();
        let (flapping, unready, id) = (component.flapping, component.unready, component.id.clone());
        let Some(watched) = self.state.volatile.components.get_mut(at) else { return };
        if healthy {
            if !watched.complaint.is_empty() {
                watched.complaint.clear();
            }
        } else {
            watched.complaint = clip(&summary, MAX_ERROR).to_owned();
        }
        let Some(detector) = watched.detectors.get_mut(phase as usize) else { return };
        let changed = detector.observe(&schedule, healthy);
        let (unhealthy, dark, streak) =
            (detector.is_unhealthy(), detector.is_dark(&schedule), detector.streak());
        if ready.is_none() {
            if streak < schedule.successes.max(1) || phase == Phase::Liveness {
                return;
            }
            watched.started = true;
            if phase == Phase::Readiness || !has_readiness {
                self.ready(at);
            }
            return self.touch(at);
        }
        // One stream per component is watched for flapping: the one that says whether it can be used.
        if has_readiness == (phase == Phase::Readiness) && phase != Phase::Startup {
            let turn = watched.flap.observe(healthy, flapping).map(|now| (now, watched.flap.changes()));
            if let Some((now, changes)) = turn {
                let component = id.clone();
                self.record(match now {
                    true => Fact::FlappingStarted { component, changes },
                    false => Fact::FlappingEnded { component },
                });
                self.touch(at);
            }
        }
        let flapping = self.component(at).is_some_and(|c| c.flapping);
        match phase {
            Phase::Startup => {}
            Phase::Readiness => {
                if unready != unhealthy && (!flapping || dark) {
                    self.health_changed(id, phase, !unhealthy, &summary);
                    self.touch(at);
                }
            }
            // Damping holds K of N back, never a window that failed as a whole.
            Phase::Liveness if unhealthy && (!flapping || dark) => {
                self.health_changed(id, phase, false, &summary);
                let class = FailureClass::of(&summary);
                self.fail(at, Some(instance), FailureKind::Liveness, class, &summary);
            }
            Phase::Liveness => {
                if changed == Some(true) && !flapping {
                    self.health_changed(id, phase, true, &summary);
                }
            }
        }
    }

    fn health_changed(&mut self, component: ComponentId, phase: Phase, healthy: bool, summary: &str) {
        let summary = clip(summary, MAX_ERROR).to_owned();
        self.record(Fact::HealthChanged { component, phase, healthy, summary });
    }

    fn ready(&mut self, at: usize) {
        let Some(component) = self.component(at) else { return };
        let Life::Up { instance, since, .. } = component.life else { return };
        let fact = Fact::Ready { component: component.id.clone(), instance, took: self.now.since(since) };
        self.record(fact);
    }

    /// It failed: remembered, ended if it still runs, judged once it is down.
    pub(super) fn fail(
        &mut self,
        at: usize,
        instance: Option<InstanceId>,
        kind: FailureKind,
        class: FailureClass,
        error: &str,
    ) {
        self.record_failure(at, instance, kind, class, error);
        self.touch(at);
        match self.component(at).map(|component| component.life) {
            Some(Life::Up { .. }) => self.decide_stop(at),
            Some(Life::Down) => self.judge(at),
            _ => {}
        }
    }

    /// Where to look, from how a process ended and what it said; what it depends on may be the reason.
    fn class_of(&self, at: usize, exit: ExitStatus, said: &str) -> FailureClass {
        let plan = self.state.plans.get(at).and_then(Option::as_deref);
        let peers: Vec<Peer<'_>> = plan
            .into_iter()
            .flat_map(|plan| &plan.depends_on)
            .map(|id| {
                (id.as_str(), self.state.plan(id).and_then(|peer| peer.probes.startup.check.authority()))
            })
            .collect();
        FailureClass::of_exit(exit, said, &peers)
    }

    fn record_failure(
        &mut self,
        at: usize,
        instance: Option<InstanceId>,
        kind: FailureKind,
        class: FailureClass,
        error: &str,
    ) {
        let Some(component) = self.component(at) else { return };
        let forgive =
            self.state.plans.get(at).and_then(Option::as_ref).map_or(0, |p| p.restart.forgive_after.0);
        let healthy_for = component.life.ready_since().map_or(0, |ready| self.now.since(ready).0);
        let forgiven = u32::try_from(healthy_for.checked_div(forgive).unwrap_or(0)).unwrap_or(u32::MAX);
        let attempt = component.failures.saturating_sub(forgiven).saturating_add(1);
        let component = component.id.clone();
        let failure = Failure { kind, class, error: clip(error, MAX_ERROR).to_owned() };
        self.record(Fact::Failed { component, instance, attempt, failure });
    }

    /// A failed component is down: launch it again later, or take it out.
    fn judge(&mut self, at: usize) {
        let Some(component) = self.component(at) else { return };
        let Some(unjudged) = component.unjudged.clone() else { return };
        let Some(Some(plan)) = self.state.plans.get(at) else { return };
        if component.life != Life::Down
            || component.is_kept_down()
            || !self.stage().is_some_and(Stage::launches)
        {
            return;
        }
        let (policy, id) = (plan.restart, component.id.clone());
        let attempt = component.failures;
        let hopeless = unjudged.failure.kind == FailureKind::Unstartable;
        let exhausted = (attempt > policy.retries).then_some(QuarantineReason::RetriesExhausted);
        let verdict = match hopeless {
            true => Some(QuarantineReason::Unstartable),
            false => component.custody.after_failure(exhausted),
        };
        self.touch(at);
        let Some(reason) = verdict else {
            let wait = backoff::delay(&policy, attempt, unjudged.was_ready, &mut self.state.volatile.jitter);
            let until = self.now + wait;
            return self.record(Fact::BackingOff { component: id, until, attempt: attempt + 1 });
        };
        if !self.open_incident(at, &unjudged.failure) {
            self.give_up(at, reason, unjudged.failure);
        }
    }

    /// It is not launched any more; if the mission needs it, the boot is over.
    pub(super) fn give_up(&mut self, at: usize, reason: QuarantineReason, failure: Failure) {
        let Some(component) = self.component(at) else { return };
        let (id, error) = (component.id.clone(), failure.error.clone());
        let vital = self.state.plans.get(at).and_then(Option::as_ref).is_some_and(|plan| plan.vital);
        self.quarantine(at, reason, failure);
        if vital
            && let Some(boot) = &self.state.durable.boot
            && boot.stage == Stage::Booting
        {
            let (boot, reason) = (boot.id, format!("vital component `{id}` failed: {error}"));
            self.record(Fact::BootHalted { boot, component: id, reason });
            self.withdraw_all("the boot was halted");
            self.touch_all();
        }
    }

    fn quarantine(&mut self, at: usize, reason: QuarantineReason, failure: Failure) {
        self.withdraw(at, reason.as_str());
        let Some(component) = self.component(at) else { return };
        let (component, attempts) = (component.id.clone(), component.failures);
        self.record(Fact::Quarantined { component, reason, failure, attempts });
        self.touch(at);
    }

    fn command(&mut self, command: Command) -> Result<(), Refused> {
        let stage = self.stage().filter(|stage| *stage != Stage::Ended).ok_or(Refused::NotRunning)?;
        if stage.stops() {
            return Err(Refused::ShuttingDown);
        }
        let at = match command.component() {
            Some(id) => self.place(id).ok_or_else(|| Refused::UnknownComponent(id.clone()))?,
            None => 0,
        };
        let (life, stopped, quarantined, waits) = match self.component(at) {
            Some(c) => (c.life, c.stopped, c.custody.is_out(), c.backing_off.is_some()),
            None => (Life::Down, false, false, false),
        };
        match command {
            Command::QuarantinePlugin(plugin, note) => {
                return self.quarantine_plugin_on_request(plugin, note);
            }
            Command::ReleasePlugin(plugin, note) => return self.release_plugin(plugin, note),
            Command::Shutdown(reason) => {
                self.record(Fact::ShutdownStarted { reason: clip(&reason, MAX_ERROR).to_owned() });
                self.withdraw_all("the stack was stopped");
                self.touch_all();
                return Ok(());
            }
            Command::HandOver(_, note) => return self.hand_over(at, note),
            Command::Patch(_, diff) => return self.patch(at, diff),
            Command::RollBack(_) => return self.roll_back(at),
            Command::Escalate(_, agent, note) => return self.escalate_on_request(at, agent, note),
            Command::Release(id, _) if !quarantined => return Err(Refused::NotQuarantined(id)),
            Command::Start(id) | Command::Stop(id) | Command::Restart(id) | Command::Quarantine(id, _)
                if quarantined =>
            {
                return Err(Refused::Quarantined(id));
            }
            Command::Start(id) if !stopped && !waits => return Err(Refused::NotStopped(id)),
            Command::Stop(id) if stopped => return Err(Refused::AlreadyStopped(id)),
            Command::Start(component) => self.record(Fact::StartRequested { component }),
            Command::Release(component, note) => {
                let note = note.map(|note| clip(&note, MAX_ERROR).to_owned());
                self.record(Fact::Released { component, note });
            }
            Command::Restart(component) => {
                self.record(Fact::RestartRequested { component });
                self.decide_stop(at);
            }
            Command::Stop(component) => {
                self.withdraw(at, "an operator stopped the component");
                self.record(Fact::StopRequested { component: component.clone() });
                match life {
                    Life::Down => self.record(Fact::Stopped { component }),
                    _ => self.decide_stop(at),
                }
            }
            Command::Quarantine(_, note) => {
                let error = note.unwrap_or_else(|| QuarantineReason::Operator.as_str().to_owned());
                let error = clip(&error, MAX_ERROR).to_owned();
                let failure = Failure { kind: FailureKind::Operator, class: FailureClass::External, error };
                self.quarantine(at, QuarantineReason::Operator, failure);
                self.decide_stop(at);
            }
        }
        self.touch(at);
        Ok(())
    }
}

/// The beginning of a text, cut at a character border.
pub(super) fn clip(text: &str, most: usize) -> &str {
    text.get(..text.floor_char_boundary(most)).unwrap_or(text)
}
