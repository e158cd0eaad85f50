//! One turn after the other. The order inside a turn is the promise: decide, mark as started, commit, tell, answer,
//! perform.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use razar_core::effect::Decided;
use razar_core::fact::{Fact, Recorded};
use razar_core::id::{ComponentId, Digest};
use razar_core::incident::Incident;
use razar_core::plan::ComponentPlan;
use razar_core::supervisor::{Command, Input, Refused, Stage, State, step};
use razar_core::time::Timestamp;
use razar_ledger::{AppendError, Ledger, failpoint};
use tokio::sync::{broadcast, oneshot, watch};

use super::views::ViewWriter;
use super::{BACKLOG, Clock, DriveError, Handle, Held, Kept, Message, NotDone, Question, Snapshot, Watching};

/// Inputs that one commit may cover.
const BATCH: usize = 512;

/// Between two attempts to record what could not be recorded.
const RETRY: Duration = Duration::from_secs(1);

/// Facts must have been recorded for so long before it is said that they can be: on a disk that is almost full every
/// other turn fails.
const CALM: Duration = Duration::from_secs(3);

/// Performs effects, and reports how they ended.
pub(crate) trait Performer {
    /// Begins; the end comes as an input. `plan` is none for a component the configuration no longer names.
    fn perform(&self, decided: Decided, plan: Option<Arc<ComponentPlan>>, incident: Option<Incident>);
}

/// Whether a command was accepted.
type Accepted = Result<(), Refused>;

/// Whoever gave it and waits to hear.
type Asker = oneshot::Sender<Result<(), NotDone>>;

/// Facts cannot be recorded, or could not be a moment ago.
struct Stuck {
    why: String,
    /// When it is over, unless it happens again.
    over: Option<Instant>,
}

/// A turn that is not recorded yet.
struct Turn {
    at: Timestamp,
    facts: Vec<Fact>,
    /// Decided in this turn.
    decided: Vec<Decided>,
    /// Decided and marked as started in this turn: performed once that is recorded.
    started: Vec<Decided>,
    answers: Vec<(Asker, Accepted)>,
}

/// The loop's owner of everything that changes.
pub(crate) struct Driver<P, W> {
    state: State,
    ledger: Ledger,
    views: ViewWriter,
    clock: Clock,
    performer: P,
    watching: W,
    messages: Receiver<Message>,
    facts: broadcast::Sender<Recorded>,
    stage: watch::Sender<Option<Stage>>,
    waiting: VecDeque<Turn>,
    touched: HashSet<ComponentId>,
    stuck: Option<Stuck>,
    held: watch::Sender<Option<String>>,
    lost: bool,
}

impl<P: Performer, W: Watching> Driver<P, W> {
    /// Everything in place, nothing begun: the loop begins with [`Self::run`]. `with` is given the way to this driver,
    /// for whoever performs and asks.
    pub(crate) fn new(
        state: State,
        ledger: Ledger,
        views: ViewWriter,
        clock: Clock,
        with: impl FnOnce(&Handle) -> (P, W),
    ) -> (Self, Handle) {
        let (messages, received) = std::sync::mpsc::channel();
        let (facts, _) = broadcast::channel(BACKLOG);
        let (stage, stage_seen) = watch::channel(state.durable().boot.as_ref().map(|boot| boot.stage));
        let (held, held_seen) = watch::channel(None);
        let recordings = ledger.recordings();
        match recordings.begin(state.durable().kept_calls()) {
            Ok(0) => {}
            Ok(left) => tracing::warn!(
                "facts were lost, so {left} recordings of calls that no fact names are left where they lie, in `{}`: remove them \
                 when nobody needs them any more",
                recordings.dir().display()
            ),
            Err(error) => {
                tracing::warn!(
                    "what is left of recordings that nobody needs could not be cleared away: {error}"
                )
            }
        }
        let handle =
            Handle { messages, facts: facts.clone(), stage: stage_seen, held: held_seen, recordings };
        let (performer, watching) = with(&handle);
        let driver = Self {
            state,
            ledger,
            views,
            clock,
            performer,
            watching,
            messages: received,
            facts,
            stage,
            waiting: VecDeque::new(),
            touched: HashSet::new(),
            stuck: None,
            held,
            lost: false,
        };
        (driver, handle)
    }

    /// Turns until it is told to close. An error means that facts can never be recorded again, or that those recorded
    /// are gone.
    pub(crate) fn run(mut self) -> Result<(), DriveError> {
        loop {
            let patience = self.patience();
            let first = match self.messages.recv_timeout(patience) {
                Ok(message) => message,
                Err(RecvTimeoutError::Timeout) => Message::Input(Input::Tick),
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            };
            let more: Vec<Message> = self.messages.try_iter().take(BATCH).collect();
            if !self.take(std::iter::once(first).chain(more)) {
                self.flush()?;
                self.look_at_ledger();
                self.views.finish();
                return if self.lost { Err(DriveError::Lost) } else { Ok(()) };
            }
            self.flush()?;
            self.look_at_ledger();
            self.ask();
        }
    }

    /// Facts that nobody can read any more are still what this process goes by: what runs goes on, and it is said once.
    fn look_at_ledger(&mut self) {
        let lost = self.ledger.is_displaced();
        match (self.lost, lost) {
            (false, true) => tracing::error!("{}", super::LOST),
            (true, false) => tracing::info!("`razar.db` is back in its place, and complete"),
            _ => {}
        }
        self.lost = lost;
    }

    fn patience(&mut self) -> Duration {
        let wake = self.state.next_wake().map(|wake| self.clock.until(wake));
        let retry = (!self.waiting.is_empty()).then_some(RETRY);
        // An idle stack still shows that its driver lives.
        let over = self.stuck.as_ref().and_then(|stuck| stuck.over);
        let over = over.map(|over| over.saturating_duration_since(Instant::now()));
        wake.into_iter().chain(retry).chain(over).min().unwrap_or(Duration::from_secs(60))
    }

    /// One batch of messages becomes one turn; false when the loop is to end.
    fn take(&mut self, messages: impl Iterator<Item = Message>) -> bool {
        let at = self.clock.now();
        let mut turn =
            Turn { at, facts: Vec::new(), decided: Vec::new(), started: Vec::new(), answers: Vec::new() };
        let mut goes_on = true;
        for message in messages {
            match message {
                Message::Input(input) => {
                    let _ = self.step(&mut turn, input);
                }
                // Not even taken in: whoever asks should not wait for a disk, nor be surprised by it later.
                Message::Command(_, answer) if self.is_held() => {
                    let _ = answer.send(Err(NotDone::Held(self.hold(false))));
                }
                Message::Command(command, answer) => {
                    let outcome = self.command(&mut turn, command);
                    turn.answers.push((answer, outcome));
                }
                // Nobody may wait for the answer any more.
                Message::Keep(what, answer) => drop(answer.send(self.keep(what))),
                Message::Bytes(digest, answer) => {
                    let bytes = self.ledger.blob(&digest).map_err(|error| error.to_string());
                    let bytes =
                        bytes.and_then(|bytes| bytes.ok_or_else(|| format!("`{digest}` is not kept")));
                    let _ = answer.send(bytes);
                }
                Message::Look(answer) => {
                    self.look_at_ledger();
                    let _ = answer.send(self.snapshot());
                }
                Message::Close => goes_on = false,
            }
        }
        if self.state.next_wake().is_some_and(|wake| wake <= at) {
            let _ = self.step(&mut turn, Input::Tick);
        }
        self.mark_started(&mut turn);
        if !turn.facts.is_empty() || !turn.answers.is_empty() {
            self.waiting.push_back(turn);
        }
        goes_on
    }

    fn keep(&mut self, what: Kept) -> Result<Digest, String> {
        let kept = match what {
            Kept::Patch(patch) => self.ledger.keep_patch(&patch),
            Kept::Bytes(bytes) => self.ledger.put_blob(&bytes),
            Kept::All(all) => self.ledger.keep_all(&all),
        };
        kept.map_err(|error| error.to_string())
    }

    fn command(&mut self, turn: &mut Turn, command: Command) -> Accepted {
        self.step(turn, Input::Command(command)).map_or(Ok(()), Err)
    }

    fn step(&mut self, turn: &mut Turn, input: Input) -> Option<Refused> {
        let decision = step(&mut self.state, turn.at, input);
        turn.facts.extend(decision.facts);
        turn.decided.extend(decision.effects);
        self.touched.extend(decision.touched);
        decision.refused
    }

    /// Records every waiting turn, oldest first; what follows from a turn happens only after it is recorded.
    fn flush(&mut self) -> Result<(), AppendError> {
        while let Some(turn) = self.waiting.pop_front() {
            if !turn.facts.is_empty() {
                failpoint::pass("turn.decided");
                match self.ledger.append(turn.at, &turn.facts) {
                    Ok(recorded) => self.tell(recorded),
                    Err(error) if error.is_retriable() => {
                        self.waiting.push_front(turn);
                        self.complain(&error);
                        return Ok(());
                    }
                    Err(error) => return Err(error),
                }
            }
            failpoint::pass("turn.told");
            for (answer, outcome) in turn.answers {
                let _ = answer.send(outcome.map_err(NotDone::Refused));
            }
            failpoint::pass("turn.answered");
            for decided in turn.started {
                let (id, component) = (decided.id(), decided.component());
                // Void, when the disk kept the turn waiting and the world was looked at meanwhile.
                if self.state.is_open(id) {
                    let plan = self.state.plan(component).cloned();
                    let incident = self.state.incident(component).cloned();
                    self.performer.perform(decided, plan, incident);
                }
            }
            failpoint::pass("turn.done");
        }
        self.calm();
        Ok(())
    }

    /// Decided and started are recorded together, because nothing may come between them: a commit waits for the disk, and
    /// a service that is down waits for the commit. A crash after it leaves an effect that is looked for in the world.
    fn mark_started(&mut self, turn: &mut Turn) {
        for one in std::mem::take(&mut turn.decided) {
            let decision = step(&mut self.state, turn.at, Input::EffectStarted { id: one.id() });
            // No fact: what happened later in this turn has made the decision void.
            if !decision.facts.is_empty() {
                turn.facts.extend(decision.facts);
                turn.started.push(one);
            }
        }
    }

    /// Said once, however often it is tried again; whoever waits for an answer gets this one.
    fn complain(&mut self, error: &AppendError) {
        if self.stuck.is_none() {
            tracing::error!(%error, "nothing is started or stopped until facts can be recorded");
        }
        self.stuck = Some(Stuck { why: error.to_string(), over: None });
        let why = Some(error.to_string());
        self.held.send_if_modified(|known| std::mem::replace(known, why.clone()) != why);
        let held = self.hold(true);
        for (answer, outcome) in self.waiting.iter_mut().flat_map(|turn| turn.answers.drain(..)) {
            let answered = outcome.map_err(NotDone::Refused).and_then(|()| Err(held.clone().into()));
            let _ = answer.send(answered);
        }
    }

    /// Everything is recorded; said once that has been so for a while.
    fn calm(&mut self) {
        self.held.send_if_modified(|known| known.take().is_some());
        let Some(stuck) = &mut self.stuck else { return };
        let now = Instant::now();
        if *stuck.over.get_or_insert(now + CALM) <= now {
            self.stuck = None;
            tracing::warn!("facts can be recorded again; what was held back is done");
        }
    }

    /// Between two turns only what cannot be recorded waits.
    fn is_held(&self) -> bool {
        !self.waiting.is_empty()
    }

    fn hold(&self, kept: bool) -> Held {
        Held { why: self.stuck.as_ref().map(|stuck| stuck.why.clone()).unwrap_or_default(), kept }
    }

    fn tell(&mut self, recorded: Vec<Recorded>) {
        let stage = self.state.durable().boot.as_ref().map(|boot| boot.stage);
        self.stage.send_if_modified(|known| std::mem::replace(known, stage) != stage);
        for recorded in &recorded {
            // Nobody may be listening.
            let _ = self.facts.send(recorded.clone());
        }
        if recorded.iter().any(|recorded| matches!(recorded.fact, Fact::CallsRecorded { .. })) {
            self.ledger.recordings().outdate(self.state.durable().old_calls());
        }
        self.views.show(recorded);
    }

    fn ask(&mut self) {
        for component in std::mem::take(&mut self.touched) {
            let Some(plan) = self.state.plan(&component).cloned() else { continue };
            let watches = self.state.watches(&component).into_iter();
            let questions = watches.map(|watch| Question {
                instance: watch.instance,
                process: watch.process,
                phase: watch.phase,
                plan: Arc::clone(&plan),
            });
            self.watching.watch(&component, questions.collect());
        }
    }

    fn snapshot(&self) -> Snapshot {
        Snapshot {
            boot: self.state.durable().boot.clone(),
            components: self.state.summaries().collect(),
            plugins_out: self.state.plugins_out().collect(),
            stuck: self.stuck.as_ref().map(|stuck| stuck.why.clone()),
            lost: self.lost,
        }
    }
}
