//! Who may repair a component, and how a repair is judged: `repair` of the document, checked against the plugins there are.

use std::collections::BTreeSet;

use super::build::argv;
use super::ladder::{ATTEMPTS, Climbing, Ladder, Rung};
use super::place::{Place, Problems, quote};
use super::{Context, Plugins, roster};
use crate::document::boot::{Repair, Span};
use crate::grant::Role;
use crate::id::PluginId;
use crate::time::Millis;

/// Most attempts of one agent in one incident: more is a bill, not a repair.
const MAX_ATTEMPTS: u32 = 20;
/// Nobody watches a canary for longer than this before it counts as well.
const MAX_CANARY: Millis = Millis::seconds(24 * 3_600);
/// A shadow start holds the incident up for so long.
const MAX_HOLD: Millis = Millis::seconds(600);

/// What happens when local restarts have not helped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepairPlan {
    /// Who is asked; nobody, if it has no rungs.
    pub ladder: Ladder,
    /// The evaluators that judge a patch; all there are, if nobody chose.
    pub evaluators: Option<Vec<PluginId>>,
    /// The component's own tests, run natively in the sealed copy.
    pub tests: Option<TestCommand>,
    /// How long the patched service must stay well in the sealed copy after it became ready.
    pub hold: Millis,
    /// How long it must stay well for real before the incident is closed.
    pub canary: Millis,
    /// The files of the last time it was well are tried when nobody is left to ask.
    pub last_good: bool,
}

impl Default for RepairPlan {
    fn default() -> Self {
        Self {
            ladder: Ladder::default(),
            evaluators: None,
            tests: None,
            hold: Millis::seconds(5),
            canary: Millis::seconds(60),
            last_good: true,
        }
    }
}

/// A test command, pinned by the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestCommand {
    /// Program and arguments, never a shell line.
    pub command: Vec<String>,
    /// One run's time.
    pub timeout: Millis,
}

/// What a component's document says about it.
pub(super) fn repair(
    written: Option<&Repair>,
    context: &Context<'_>,
    place: &Place<'_>,
    problems: &mut Problems<'_>,
) -> Option<RepairPlan> {
    let plugins = context.plugins;
    let defaults = RepairPlan::default();
    let written = written?;
    let place = Place::Key(place, "repair");
    let chosen = |evaluators: &Vec<String>| {
        named(evaluators, Role::Evaluator, plugins, &Place::Key(&place, "evaluators"), problems)
    };
    let evaluators = written.evaluators.as_ref().map(chosen);
    let attempts = written.attempts.unwrap_or(ATTEMPTS);
    if !(1..=MAX_ATTEMPTS).contains(&attempts) {
        let hint = "leave it out for 3; an empty list of `agents` asks nobody".to_owned();
        problems.add(&Place::Key(&place, "attempts"), format!("must be from 1 to {MAX_ATTEMPTS}"), hint);
    }
    let mut ladder = match &written.agents {
        None => context.roster.map(|roster| roster.ladder(attempts)).unwrap_or_default(),
        Some(agents) => {
            let agents = named(agents, Role::Agent, plugins, &Place::Key(&place, "agents"), problems);
            own(agents, attempts, context)
        }
    };
    ladder.rules.tournament |= written.tournament.unwrap_or(false);
    let tests = written.tests.as_ref().and_then(|tests| {
        let place = Place::Key(&place, "tests");
        let Some(command) = tests.command.clone() else {
            if !problems.refused(&Place::Key(&place, "command")) {
                let hint = r#"add "command": ["python3", "-m", "unittest"]"#.to_owned();
                problems.add(&place, "names no command", hint);
            }
            return None;
        };
        let timeout = span(
            tests.timeout,
            Millis::seconds(60),
            (Millis(1), MAX_HOLD),
            &Place::Key(&place, "timeout"),
            problems,
        );
        let command = argv(command, &Place::Key(&place, "command"), problems)?;
        Some(TestCommand { command, timeout })
    });
    let hold =
        span(written.hold, defaults.hold, (Millis(0), MAX_HOLD), &Place::Key(&place, "hold"), problems);
    let canary = span(
        written.canary,
        defaults.canary,
        (Millis(1), MAX_CANARY),
        &Place::Key(&place, "canary"),
        problems,
    );
    let last_good = written.last_good.unwrap_or(defaults.last_good);
    Some(RepairPlan { ladder, evaluators, tests, hold, canary, last_good })
}

/// The ladder of a component that names its agents itself; what the roster says about them holds here, too.
fn own(agents: Vec<PluginId>, attempts: u32, context: &Context<'_>) -> Ladder {
    let rung = |agent: PluginId| {
        let plain = match context.roster.and_then(|roster| roster.listed(&agent)) {
            Some(listed) => listed.rung.clone(),
            None => Rung {
                rereads: context.plugins.rereads(&agent),
                out: roster::out(&agent, context.plugins),
                ..Rung::plain(agent, attempts)
            },
        };
        Rung { attempts, ..plain }
    };
    let given = context.roster.map(|roster| roster.rules);
    let rules = given.unwrap_or_else(|| roster::rules(context.overrides));
    let rules = Climbing { start: 0, roster: false, ..rules };
    Ladder { rungs: agents.into_iter().map(rung).collect(), rules }
}

fn span(
    written: Option<Span>,
    default: Millis,
    (least, most): (Millis, Millis),
    place: &Place<'_>,
    problems: &mut Problems<'_>,
) -> Millis {
    let Some(Span(span)) = written else { return default };
    if span < least || span > most {
        let hint = format!("leave it out for {default}");
        problems.add(place, format!("must be from {least} to {most}"), hint);
    }
    span
}

/// Plugins by name, each once. An evaluator that is not there is a mistake: what it would have refused must not pass. An agent that is not
/// there is one that is never asked.
fn named(
    written: &[String],
    role: Role,
    plugins: &dyn Plugins,
    place: &Place<'_>,
    problems: &mut Problems<'_>,
) -> Vec<PluginId> {
    let known: BTreeSet<PluginId> = plugins.names(role).into_iter().collect();
    let mut found: Vec<PluginId> = Vec::new();
    for (index, name) in written.iter().enumerate() {
        let place = Place::Index(place, index);
        let id = match name.parse::<PluginId>() {
            Ok(id) if found.contains(&id) => {
                problems.add(&place, format!("`{id}` is named twice"), "keep one of them".to_owned());
                continue;
            }
            Ok(id) if known.contains(&id) || plugins.is_refused(&id) => {
                found.push(id);
                continue;
            }
            Ok(id) => Some(id),
            Err(_) => None,
        };
        let (message, hint) = match id.as_ref().and_then(|id| plugins.how_to_wake(id)) {
            Some(remedy) => {
                (format!("the {role} plugin {} is idle: nothing is granted to it", quote(name)), remedy)
            }
            None => {
                let near = problems.nearest(name, known.iter().map(PluginId::as_str));
                let elsewhere =
                    || format!("name a directory with such a plugin: `--plugins DIR`; the word is `{role}`");
                let hint = near.map_or_else(elsewhere, |near| format!("did you mean `{near}`?"));
                (format!("there is no {role} plugin {}", quote(name)), hint)
            }
        };
        match id.filter(|_| role == Role::Agent) {
            Some(id) => {
                problems.warn(&place, format!("{message}; it is not asked"), hint);
                found.push(id);
            }
            None => problems.add(&place, message, hint),
        }
    }
    found
}
