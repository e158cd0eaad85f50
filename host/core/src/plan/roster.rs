//! From a roster to the ladder of everybody whose own `repair` names no agents. An agent that is not here, not granted or without a
//! credential is one rung with a reason, never a failed boot; what is written wrong is a problem like that of any other document.

mod name;
pub(super) mod read;
mod rewrite;

use super::build::Overrides;
use super::ladder::{ATTEMPTS, Budget, COOLDOWN, Climbing, Hops, Ladder, RSTAR, Reorder, Rung};
use super::money::{Money, Price};
use super::place::{Place, Problems, quote};
use super::{Plugins, json};
use crate::document::boot::Span;
use crate::document::roster as document;
use crate::fact::Skip;
use crate::grant::Role;
use crate::id::PluginId;
use crate::problem::{Problem, json_cause, json_place};
use crate::time::Millis;

pub use name::plugin_of;
pub use rewrite::{active, with_active};

/// Largest roster.
pub const MAX_ROSTER: usize = 256 * 1024;
/// Most agents of one ladder.
const MAX_AGENTS: usize = 32;
/// Most attempts of one agent in one incident: more is a bill, not a repair.
const MAX_ATTEMPTS: u32 = 20;
/// Longest time that somebody is left alone at first, or waited for.
const MAX_SPAN: Millis = Millis::seconds(24 * 3_600);
/// So many attempts an agent needs before it changes places, unless somebody says otherwise.
const AFTER: u32 = 10;
/// More attempts than this of one class nobody waits for.
const MAX_AFTER: u32 = 10_000;
/// Longest name.
const MAX_NAME: usize = 64;

/// A validated roster.
#[derive(Debug, Clone, PartialEq)]
pub struct Roster {
    /// Its agents and their bounds; attempts are none where the roster leaves them to the component.
    pub agents: Vec<Listed>,
    /// How it is climbed.
    pub rules: Climbing,
    /// What holds nothing up and is probably a mistake.
    pub warnings: Vec<Problem>,
}

/// One agent of a roster.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// As a rung.
    pub rung: Rung,
    /// How often it is asked, if the roster says so.
    pub attempts: Option<u32>,
    /// Where the roster says that its model is; variables are not filled in.
    pub endpoint: Option<String>,
    /// The environment variable that the roster names for its token.
    pub variable: Option<String>,
}

impl Roster {
    /// Reads a roster.
    ///
    /// # Errors
    /// Everything wrong with it.
    pub fn read(
        bytes: &[u8],
        file: &str,
        plugins: &dyn Plugins,
        overrides: &Overrides,
    ) -> Result<Self, Vec<Problem>> {
        let mut problems = Problems::new(file);
        let written = document(bytes, &mut problems);
        let roster = written.map(|written| mean(written, file, plugins, overrides, &mut problems));
        match (roster, problems.into_list()) {
            (Some(roster), problems) if problems.is_empty() => Ok(roster),
            (_, problems) => Err(problems),
        }
    }

    /// The ladder of a component that asks each of them so often, unless the roster says otherwise.
    pub(super) fn ladder(&self, attempts: u32) -> Ladder {
        let rung =
            |listed: &Listed| Rung { attempts: listed.attempts.unwrap_or(attempts), ..listed.rung.clone() };
        Ladder { rungs: self.agents.iter().map(rung).collect(), rules: self.rules }
    }

    /// What it says about an agent.
    pub fn listed(&self, agent: &PluginId) -> Option<&Listed> {
        self.agents.iter().find(|listed| listed.rung.agent == *agent)
    }
}

/// The bounds without a roster.
pub(super) fn rules(overrides: &Overrides) -> Climbing {
    let defaults = Climbing::default();
    Climbing {
        rstar: overrides.rstar_threshold.unwrap_or(defaults.rstar),
        warning: overrides.warning_threshold.unwrap_or(defaults.warning),
        budget: Budget { attempts: overrides.remote_attempts, ..Budget::default() },
        rounds: overrides.long_task,
        tournament: overrides.tournament,
        ..defaults
    }
}

fn document(bytes: &[u8], problems: &mut Problems<'_>) -> Option<document::Roster> {
    let hint = "it is never replaced: mend it, or take it away to have no roster";
    if bytes.len() > MAX_ROSTER {
        let message = format!("is {} bytes; a roster has at most {MAX_ROSTER}", bytes.len());
        problems.add(&Place::Root, message, hint.to_owned());
        return None;
    }
    match json::parse(bytes) {
        Ok(node) => read::roster(&node, problems),
        Err(error) => {
            let message = format!("is not JSON: {}", json_cause(&error));
            problems.add_at(json_place(&error), message, Some(hint.to_owned()));
            None
        }
    }
}

fn mean(
    written: document::Roster,
    file: &str,
    plugins: &dyn Plugins,
    overrides: &Overrides,
    problems: &mut Problems<'_>,
) -> Roster {
    let root = Place::Root;
    let mut rules = Climbing { roster: true, ..rules(overrides) };
    rules.hops = match written.escalation.as_deref() {
        None | Some("ladder") => Hops::Ladder,
        Some("per-hop") => Hops::PerHop,
        Some(other) => {
            let hint = "write `ladder` or `per-hop`".to_owned();
            let message = format!("{} is no way to climb", quote(other));
            problems.add(&Place::Key(&root, "escalation"), message, hint);
            Hops::Ladder
        }
    };
    rules.wait = span(written.wait, rules.wait, &Place::Key(&root, "wait"), problems);
    let budget = written.budget.unwrap_or_default();
    rules.budget = Budget {
        attempts: overrides.remote_attempts.or(budget.attempts),
        time: budget.time.map(|Span(time)| time),
        tokens: budget.tokens,
        money: budget.money.map(|amount| amount.0),
    };
    rules.reorder =
        written.reorder.and_then(|written| reorder(&written, &Place::Key(&root, "reorder"), problems));
    let place = Place::Key(&root, "agents");
    let entries = written.agents.unwrap_or_default();
    if entries.len() > MAX_AGENTS {
        let message = format!("{} agents are more than one ladder has ({MAX_AGENTS})", entries.len());
        problems.add(&place, message, "keep those that help".to_owned());
    }
    let mut roster = Roster { agents: Vec::new(), rules, warnings: Vec::new() };
    for (index, entry) in entries.into_iter().take(MAX_AGENTS).enumerate() {
        let place = Place::Index(&place, index);
        let agent = match entry {
            document::Entry::Name(name) => document::Agent { name: Some(name), ..Default::default() },
            document::Entry::Agent(agent) => *agent,
        };
        if let Some(listed) = listed(agent, &roster, plugins, &place, problems) {
            let (listed, warning) = listed;
            let warning = warning.map(|(message, hint)| Problem {
                file: file.to_owned(),
                place: place.to_string(),
                message,
                hint: Some(hint),
            });
            roster.warnings.extend(warning);
            roster.agents.push(listed);
        }
    }
    if let Some(active) = written.active {
        roster.rules.start = start(&active, &roster, problems);
    }
    if let Some(at) = roster.agents.iter().position(|listed| listed.rung.agent.as_str() == RSTAR)
        && rules.hops == Hops::Ladder
        && at + 1 < roster.agents.len()
    {
        let hint = "put the others before it; they are asked first as things are".to_owned();
        roster.warnings.push(Problem {
            file: file.to_owned(),
            place: format!("agents[{at}]"),
            message: "rStar comes last, and the roster has others after it".to_owned(),
            hint: Some(hint),
        });
    }
    roster
}

/// How far somebody may be moved.
fn reorder(written: &document::Reorder, place: &Place<'_>, problems: &mut Problems<'_>) -> Option<Reorder> {
    let hint = || r#"write "reorder": { "places": 1 }, or leave it out for the order of `agents`"#.to_owned();
    let Some(places) = written.places else {
        if !problems.refused(&Place::Key(place, "places")) {
            problems.add(place, "does not say how far", hint());
        }
        return None;
    };
    let most = MAX_AGENTS - 1;
    let places = usize::try_from(places).unwrap_or(usize::MAX);
    if !(1..=most).contains(&places) {
        problems.add(&Place::Key(place, "places"), format!("must be from 1 to {most}"), hint());
    }
    let after = written.after.unwrap_or(AFTER);
    if !(1..=MAX_AFTER).contains(&after) {
        let hint = format!("leave it out for {AFTER}");
        problems.add(&Place::Key(place, "after"), format!("must be from 1 to {MAX_AFTER}"), hint);
    }
    Some(Reorder { places, after })
}

/// The place of the active agent.
fn start(active: &str, roster: &Roster, problems: &mut Problems<'_>) -> usize {
    let wanted = plugin_of(active);
    let is = |listed: &Listed| {
        listed.rung.name.eq_ignore_ascii_case(active) || Some(&listed.rung.agent) == wanted.as_ref()
    };
    roster.agents.iter().position(is).unwrap_or_else(|| {
        let names: Vec<&str> = roster.agents.iter().map(|listed| listed.rung.name.as_str()).collect();
        let hint = match names.is_empty() {
            true => "take it away: `agents` names nobody".to_owned(),
            false => format!("`agents` names: {}", names.join(", ")),
        };
        let message = format!("{} is not one of the agents", quote(active));
        problems.add(&Place::Key(&Place::Root, "active"), message, hint);
        0
    })
}

/// Something that is probably a mistake, and what to do about it.
type Warning = (String, String);

fn listed(
    written: document::Agent,
    roster: &Roster,
    plugins: &dyn Plugins,
    place: &Place<'_>,
    problems: &mut Problems<'_>,
) -> Option<(Listed, Option<Warning>)> {
    let Some(name) = written.name.filter(|name| !name.trim().is_empty()) else {
        if !problems.refused(&Place::Key(place, "name")) && !problems.refused(place) {
            problems.add(place, "has no name", r#"add "name": "K2 Coder""#.to_owned());
        }
        return None;
    };
    if name.chars().count() > MAX_NAME || name.chars().any(char::is_control) {
        let message =
            format!("{} is no name: at most {MAX_NAME} letters, none of them a control", quote(&name));
        problems.add(&Place::Key(place, "name"), message, None);
        return None;
    }
    let agent = match &written.plugin {
        None => plugin_of(&name),
        Some(plugin) => match plugin.parse::<PluginId>() {
            Ok(plugin) => Some(plugin),
            Err(error) => {
                problems.add(&Place::Key(place, "plugin"), error.to_string(), None);
                return None;
            }
        },
    };
    let Some(agent) = agent else {
        let message = format!("nobody can tell which plugin {} is", quote(&name));
        problems.add(place, message, r#"add "plugin": "agent-…""#.to_owned());
        return None;
    };
    if let Some(other) = roster.listed(&agent) {
        let message = format!("{} and {} are both `{agent}`", quote(&other.rung.name), quote(&name));
        problems.add(place, message, "keep one of them, or say which `plugin` it is".to_owned());
        return None;
    }
    if let Some(attempts) = written.attempts
        && !(1..=MAX_ATTEMPTS).contains(&attempts)
    {
        let hint = "leave it out for the component's own".to_owned();
        problems.add(&Place::Key(place, "attempts"), format!("must be from 1 to {MAX_ATTEMPTS}"), hint);
    }
    let price = written.price.unwrap_or_default();
    let amount = |amount: Option<document::Amount>| amount.map_or(Money(0), |amount| amount.0);
    let auth = written.auth.unwrap_or_default();
    let token = auth.token.or(auth.key).filter(|token| !token.is_empty());
    let variable = token.as_deref().and_then(variable).map(str::to_owned);
    let literal = token.is_some() && variable.is_none();
    let warning = literal.then(|| {
        let message = format!("the token of {} is never used: keys do not belong into a roster", quote(&name));
        let hint = format!(
            "take it out, put it into an environment variable, and grant it in grants.toml: [{agent}] http = [{{ url = \
             \"…\", methods = [\"POST\"], secret = {{ env = \"{}\", header = \"authorization\", format = \"Bearer {{}}\" }} }}]",
            name::variable(&name)
        );
        (message, hint)
    });
    let cooldown = span(written.cooldown, COOLDOWN, &Place::Key(place, "cooldown"), problems);
    let rung = Rung {
        rereads: plugins.rereads(&agent),
        out: out(&agent, plugins),
        agent,
        name,
        attempts: ATTEMPTS,
        cooldown,
        price: Price { input: amount(price.input), output: amount(price.output) },
    };
    let endpoint = written.endpoint.filter(|endpoint| !endpoint.is_empty());
    Some((Listed { rung, attempts: written.attempts, endpoint, variable }, warning))
}

/// Why it cannot be asked, whatever happens.
pub(super) fn out(agent: &PluginId, plugins: &dyn Plugins) -> Option<(Skip, String)> {
    if plugins.names(Role::Agent).contains(agent) {
        return plugins.lacks(agent).map(|why| (Skip::NoCredential, why));
    }
    let why = match plugins.how_to_wake(agent) {
        Some(remedy) => format!("nothing is granted to `{agent}`: {remedy}"),
        None if plugins.is_refused(agent) => {
            format!("`{agent}` cannot be used: `razar-host check` says why")
        }
        None => format!("there is no agent plugin `{agent}`: name its directory with `--plugins DIR`"),
    };
    Some((Skip::NotLoaded, why))
}

/// The name in `${NAME}` or `$NAME`, if it is nothing else.
fn variable(text: &str) -> Option<&str> {
    let name = text.strip_prefix('$')?;
    let name = name.strip_prefix('{').map_or(Some(name), |name| name.strip_suffix('}'))?;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (!name.is_empty() && name.bytes().all(fits)).then_some(name)
}

fn span(written: Option<Span>, default: Millis, place: &Place<'_>, problems: &mut Problems<'_>) -> Millis {
    let Some(Span(span)) = written else { return default };
    if span > MAX_SPAN {
        problems.add(place, format!("is longer than {MAX_SPAN}"), format!("leave it out for {default}"));
    }
    span
}
