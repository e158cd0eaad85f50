//! The service itself, started in the inner sandbox with its own entrypoint: it must become ready in the time it has live, and
//! stay well for as long as the trial holds it.

use std::time::{Duration, Instant};

use razar_core::detect::Detector;
use razar_core::fact::Phase;
use razar_core::patch::Seen;
use razar_core::time::Millis;

use super::asking::{Answer, Asking, Plugins, elsewhere, logs};
use super::nest::{Begun, Nest, NotStarted, Program};
use super::stage::Places;
use super::wire::Asked;

/// While it starts it is asked this often at first, then ever more slowly.
const FIRST_WAIT: Duration = Duration::from_millis(10);
/// Questions within the time it is held, however rarely it is asked live.
const QUESTIONS: u32 = 4;

/// What came of one run.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) seen: Seen,
    /// In one line.
    pub(super) summary: String,
    /// The end of what it printed.
    pub(super) output: String,
    pub(super) took: Duration,
}

impl Outcome {
    fn new(seen: Seen, well: String, output: String, began: Instant) -> Self {
        let summary = match &seen {
            Seen::Well => well,
            Seen::Failed(why) => why.clone(),
            Seen::NotEvaluable(why) => format!("cannot be run here: {why}"),
        };
        Self { seen, summary, output, took: began.elapsed() }
    }
}

/// Starts the service of a copy. An error is the machine's, not the service's.
pub(super) async fn service(nest: &Nest<'_>, plugins: &Plugins, places: &Places) -> Result<Outcome, String> {
    let began = Instant::now();
    if let Some(address) = elsewhere(nest.request) {
        let why = format!("its probe asks `{address}`, and a trial's network has loopback alone");
        return Ok(Outcome::new(Seen::NotEvaluable(why), String::new(), String::new(), began));
    }
    let logs = logs(nest, places)?;
    let argv = &nest.request.run.argv;
    let program = Program { argv, places, output: &places.output, logs: &logs, network: true, runner: None };
    let mut running = match nest.start(&program) {
        Ok(running) => running,
        Err(NotStarted::Own(why)) => {
            return Ok(Outcome::new(Seen::Failed(why), String::new(), String::new(), began));
        }
        Err(NotStarted::Machine(why)) => return Err(why),
    };
    let seen = match running.begins().await? {
        Begun::Failed(why) => Seen::Failed(format!("it cannot be started: {why}")),
        _ => {
            let asking = Asking { nest, plugins, places, logs: &logs };
            let asked = asked(&asking, &nest.request.probes, Duration::from_millis(nest.request.hold_ms));
            tokio::select! {
                biased;
                why = nest.watch(&mut running) => Seen::Failed(why),
                seen = asked => seen,
            }
        }
    };
    let output = running.end()?;
    let well = format!("it became ready and stayed well for {}", Millis(nest.request.hold_ms));
    Ok(Outcome::new(seen, well, output, began))
}

/// Asks until it is ready, and from then on until it was held long enough.
async fn asked(asking: &Asking<'_>, probes: &[Asked], hold: Duration) -> Seen {
    let began = Instant::now();
    if let Some(startup) = probes.iter().find(|probe| probe.phase == Phase::Startup) {
        let schedule = startup.schedule();
        loop {
            let Answer { healthy, summary } = asking.ask(startup).await;
            if healthy {
                break;
            }
            if began.elapsed() > Duration::from(schedule.deadline) {
                return Seen::Failed(format!("it was not ready within {}: {summary}", schedule.deadline));
            }
            let wait = (began.elapsed() / 40).max(FIRST_WAIT).min(schedule.interval.into());
            tokio::time::sleep(wait).await;
        }
    }
    let until = Instant::now() + hold;
    let mut held: Vec<Held<'_>> = probes
        .iter()
        .filter(|probe| probe.phase != Phase::Startup || probes.len() == 1)
        .map(|probe| Held::new(probe, hold))
        .collect();
    loop {
        let now = Instant::now();
        for held in held.iter_mut().filter(|held| held.due <= now) {
            if let Answered::Failed(why) = held.ask(asking).await {
                return Seen::Failed(why);
            }
        }
        let next = held.iter().map(|held| held.due).min().unwrap_or(until).min(until);
        if Instant::now() >= until {
            break;
        }
        tokio::time::sleep(next.saturating_duration_since(Instant::now()).max(Duration::from_millis(1)))
            .await;
    }
    // Whoever is well only at first is not well: each is asked once more, when it is due, until it has made up its mind.
    for held in &mut held {
        loop {
            tokio::time::sleep(held.due.saturating_duration_since(Instant::now())).await;
            match held.ask(asking).await {
                Answered::Well => break,
                Answered::Unwell => {}
                Answered::Failed(why) => return Seen::Failed(why),
            }
        }
    }
    Seen::Well
}

/// What an answer makes of a service that is held.
enum Answered {
    Well,
    /// Not often enough to count.
    Unwell,
    /// It is not well, because.
    Failed(String),
}

/// A probe that is asked again and again.
struct Held<'a> {
    probe: &'a Asked,
    detector: Detector,
    interval: Duration,
    due: Instant,
}

impl<'a> Held<'a> {
    fn new(probe: &'a Asked, hold: Duration) -> Self {
        let interval = Duration::from(probe.schedule().interval).min(hold / QUESTIONS).max(FIRST_WAIT);
        Self { probe, detector: Detector::default(), interval, due: Instant::now() }
    }

    /// Asks once. It has failed as soon as so many answers say so as must live.
    async fn ask(&mut self, asking: &Asking<'_>) -> Answered {
        let Answer { healthy, summary } = asking.ask(self.probe).await;
        self.due = Instant::now() + self.interval;
        let phase = self.probe.phase.as_str();
        match self.detector.observe(&self.probe.schedule(), healthy) {
            Some(false) => {
                Answered::Failed(format!("it became ready and then its {phase} probe said: {summary}"))
            }
            _ if healthy => Answered::Well,
            _ => Answered::Unwell,
        }
    }
}
