//! The loop that shows what happens until everything has stopped: a live table on a terminal, plain lines otherwise,
//! JSON lines for programs. It gives the cursor back however it ends.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};
use std::time::Duration;

use razar_core::count::counted;
use razar_core::fact::{Closing, Fact, Recorded};
use razar_core::failure::FailureClass;
use razar_core::id::IncidentId;
use razar_core::supervisor::Stage;
use razar_core::time::Timestamp;
use serde_json::json;
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::sync::watch;

use super::summary::{Absent, Ending, Left, Outcome, summary};
use super::words::Teller;
use super::{moment, screen};
use crate::drive::{Handle, Snapshot};

/// How often the live table is drawn anew: smooth enough for a clock that shows tenths.
const FRAME: Duration = Duration::from_millis(200);
/// How often the rest only looks, to have something to sum up.
const GLANCE: Duration = Duration::from_secs(1);
/// A driver that waits for the disk must not freeze the view.
const LOOK: Duration = Duration::from_millis(500);

/// How it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// A table that is drawn anew in place, below a log of what happened.
    Live,
    /// `HH:MM:SS component: what happened`.
    Plain,
    /// One JSON object a line: every fact, then the summary.
    Json,
}

/// Shows what happens.
#[derive(Debug)]
pub(crate) struct Report<W: Write> {
    out: W,
    form: Form,
    teller: Teller,
    classes: HashMap<String, FailureClass>,
    /// When this run began.
    began: Timestamp,
    /// Everything has stopped.
    stopped: bool,
    /// Lines of the frame on the screen.
    drawn: usize,
    /// What was seen before everything was stopped.
    last_up: Option<Snapshot>,
    /// Whose failure halted the boot.
    halted: Option<Absent>,
    /// Everything is being stopped.
    stopping: bool,
    /// Incidents that are open, or were until everything was stopped.
    incidents: BTreeMap<IncidentId, Left>,
    /// Facts were missed, and nobody has looked since which of these are open.
    doubtful: bool,
}

impl<W: Write> Report<W> {
    /// Nothing is shown yet.
    pub(crate) fn new(out: W, form: Form) -> Self {
        Self {
            out,
            form,
            teller: Teller::default(),
            classes: HashMap::new(),
            began: moment::now(),
            stopped: false,
            drawn: 0,
            last_up: None,
            halted: None,
            stopping: false,
            incidents: BTreeMap::new(),
            doubtful: false,
        }
    }

    /// Shows facts until everything has stopped or the host is ending, then the summary. An output that is closed ends
    /// the showing, never the host.
    pub(crate) async fn run(
        mut self,
        driver: Handle,
        mut facts: Receiver<Recorded>,
        mut over: watch::Receiver<bool>,
    ) -> io::Result<Ending> {
        if self.form == Form::Live {
            write!(self.out, "\x1b[?25l")?;
        }
        let mut frames = tokio::time::interval(if self.form == Form::Live { FRAME } else { GLANCE });
        frames.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                biased;
                fact = facts.recv() => match fact {
                    Ok(recorded) => {
                        let ended = matches!(recorded.fact, Fact::BootEnded { .. });
                        if settles(&recorded.fact) {
                            self.look(&driver).await;
                        }
                        self.take(&recorded)?;
                        if ended {
                            break;
                        }
                    }
                    Err(RecvError::Lagged(missed)) => {
                        self.missed(missed)?;
                        self.look(&driver).await;
                    }
                    Err(RecvError::Closed) => break,
                },
                // Whatever was there before has been shown: facts come first.
                _ = over.wait_for(|over| *over) => break,
                _ = frames.tick() => {
                    if let Some(snapshot) = self.look(&driver).await && self.form == Form::Live {
                        self.draw(&snapshot)?;
                    }
                }
            }
        }
        self.end()
    }

    /// The newest picture of a stack that is not being stopped is what the summary is about.
    async fn look(&mut self, driver: &Handle) -> Option<Snapshot> {
        let snapshot = tokio::time::timeout(LOOK, driver.look()).await.ok()?.ok()?;
        self.stopped |= snapshot.boot.as_ref().is_some_and(|boot| boot.stage == Stage::Ended);
        if std::mem::take(&mut self.doubtful) {
            self.compare(&snapshot);
        }
        for summary in &snapshot.components {
            if let Some(incident) = summary.incident {
                self.incidents.entry(incident).or_insert_with(|| Left::open(incident, &summary.id));
            }
        }
        let runs = snapshot.boot.as_ref().is_some_and(|boot| boot.stage.launches());
        if runs || self.last_up.is_none() {
            self.last_up = Some(snapshot.clone());
        }
        Some(snapshot)
    }

    /// Those that were closed while facts were missed: with the run, or because they were settled.
    fn compare(&mut self, snapshot: &Snapshot) {
        let is_open =
            |id: &IncidentId| snapshot.components.iter().any(|summary| summary.incident == Some(*id));
        if snapshot.boot.as_ref().is_some_and(|boot| !boot.stage.launches()) {
            let closed = self.incidents.iter_mut().filter(|(id, _)| !is_open(id));
            closed.for_each(|(_, left)| left.give_up());
        } else {
            self.incidents.retain(|id, _| is_open(id));
        }
    }

    fn take(&mut self, recorded: &Recorded) -> io::Result<()> {
        match &recorded.fact {
            Fact::BootStarted { .. } => self.halted = None,
            Fact::BootEnded { .. } => self.stopped = true,
            Fact::ShutdownStarted { .. } => self.stopping = true,
            Fact::IncidentOpened { incident, component, .. }
            | Fact::RollbackRequested { incident, component, .. } => {
                self.incidents.insert(*incident, Left::open(*incident, component));
            }
            Fact::IncidentClosed { incident, component, outcome } => match outcome {
                Closing::Withdrawn { .. } if self.stopping => {
                    self.incidents.insert(*incident, Left::given_up(*incident, component));
                }
                _ => drop(self.incidents.remove(incident)),
            },
            Fact::BootHalted { component, reason, .. } => {
                self.stopping = true;
                let class = self.classes.get(component.as_str()).copied();
                self.halted = Some(Absent::new(component, "failed", Some(reason.clone()), class));
            }
            Fact::Failed { component, failure, .. } | Fact::Quarantined { component, failure, .. } => {
                self.classes.insert(component.to_string(), failure.class);
            }
            _ => {}
        }
        if self.form == Form::Json {
            return self.json(&json!({ "seq": recorded.seq, "at": recorded.at, "fact": recorded.fact }));
        }
        let Some((who, what)) = self.teller.sentence(recorded) else { return Ok(()) };
        self.above(&format!("{} {who}: {what}", moment::clock(recorded.at)))
    }

    fn missed(&mut self, missed: u64) -> io::Result<()> {
        // One of them may have been closed; the next look tells.
        self.doubtful = true;
        if self.form == Form::Json {
            return self.json(&json!({ "missed": missed }));
        }
        self.above(&format!(
            "… {} not shown; `razar-host timeline` has more",
            counted(usize::try_from(missed).unwrap_or(usize::MAX), "fact")
        ))
    }

    fn json(&mut self, value: &serde_json::Value) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, value)?;
        self.out.write_all(b"\n")?;
        self.out.flush()
    }

    /// A line that stays; the frame moves below it.
    fn above(&mut self, line: &str) -> io::Result<()> {
        self.erase()?;
        writeln!(self.out, "{line}")?;
        self.out.flush()
    }

    fn draw(&mut self, snapshot: &Snapshot) -> io::Result<()> {
        let (rows, columns) = console::Term::stdout().size();
        let lines =
            screen::frame(snapshot, moment::now(), usize::from(rows).saturating_sub(1), usize::from(columns));
        self.erase()?;
        for line in &lines {
            writeln!(self.out, "{line}")?;
        }
        self.drawn = lines.len();
        self.out.flush()
    }

    fn erase(&mut self) -> io::Result<()> {
        if self.drawn > 0 {
            write!(self.out, "\x1b[{}A\x1b[J", self.drawn)?;
            self.drawn = 0;
        }
        Ok(())
    }

    fn end(mut self) -> io::Result<Ending> {
        self.erase()?;
        let snapshot = self.last_up.take().unwrap_or_default();
        let classes = std::mem::take(&mut self.classes);
        let outcome = if self.stopped { Outcome::Stopped } else { Outcome::LeftRunning };
        let lasted = moment::now().since(self.began);
        let mut ending = Ending::new(&snapshot, outcome, lasted, |id| classes.get(id).copied());
        ending.leave(std::mem::take(&mut self.incidents).into_values().collect());
        if let Some(halted) = self.halted.take() {
            ending.halt(halted);
        }
        if self.form == Form::Json {
            self.json(&json!({ "summary": ending }))?;
        } else {
            write!(self.out, "{}", summary(&ending))?;
            self.out.flush()?;
        }
        Ok(ending)
    }
}

impl<W: Write> Drop for Report<W> {
    fn drop(&mut self) {
        if self.form == Form::Live {
            // The terminal may be gone; then there is no cursor to give back.
            let _ = self.erase();
            let _ = write!(self.out, "\x1b[?25h");
            let _ = self.out.flush();
        }
    }
}

const fn settles(fact: &Fact) -> bool {
    matches!(fact, Fact::BootCompleted { .. } | Fact::Quarantined { .. } | Fact::PluginQuarantined { .. })
}
