//! `roster`: who repairs, who is left alone and until when, and how well each has done. It reads the roster and the ledger, beside a
//! running host or without one, and changes nothing.

use razar_core::count::counted;
use razar_core::id::PluginId;
use razar_core::incident::Score;
use razar_core::plan::{BootPlan, Overrides, Price, Roster};
use razar_core::supervisor::{AgentOrder, AgentStanding, AgentStatus, Settings, State};
use razar_ledger::agents::{Agents, Deeds};
use razar_ledger::{LedgerError, LedgerReader};
use serde_json::{Map, Value, json};

use super::check::overrides;
use super::{Exit, complain, one_shot_kept, say, show_problems, show_warnings};
use crate::cli::{self, Output};
use crate::packages::Packages;
use crate::report::{escape, moment};
use crate::roster as file;

pub(super) async fn roster(arguments: cli::Roster) -> Exit {
    let output = arguments.output;
    let Some(place) = file::of(&arguments.stack) else {
        complain(
            output,
            "there is no roster: name it with `--roster FILE`, or put `razar_ai_agents.json` beside the boot configuration",
        );
        return Exit::Usage;
    };
    let roster = match read(&arguments, &place, &overrides()).await {
        Ok(roster) => roster,
        Err(exit) => return exit,
    };
    show_warnings(&roster.warnings, output);
    let (state, deeds) = match remembered(&arguments) {
        Ok(remembered) => remembered,
        Err(error) => {
            complain(output, &error.to_string());
            return Exit::of(&error);
        }
    };
    let looked_at = !arguments.plugins.plugins.is_empty();
    let orders = state.orders(&roster);
    for status in state.agents(&roster, moment::now()) {
        let known = deeds.get(&status.agent).map(|agent| &agent.deeds);
        let price = roster.listed(&status.agent).map(|listed| listed.rung.price).unwrap_or_default();
        let deeds: Vec<(&str, &Deeds)> =
            known.into_iter().flatten().map(|(class, deeds)| (*class, deeds)).collect();
        match output {
            Output::Json => say(&told(&status, looked_at, &deeds, price, &orders).to_string()),
            Output::Human | Output::Plain => show(&status, looked_at, &deeds, price),
        }
    }
    if output != Output::Json {
        orders.iter().for_each(|order| say(&escape::line(&in_order(order, &roster))));
    }
    Exit::Done
}

/// Who is asked about failures of one class, in order, and why that is not the roster's order.
fn in_order(order: &AgentOrder, roster: &Roster) -> String {
    let name = |agent| roster.listed(agent).map_or("", |listed| listed.rung.name.as_str());
    let names: Vec<&str> = order.agents.iter().map(name).collect();
    let why = order.ahead.iter().map(|[(first, better), (second, worse)]| {
        let Score { tried, held } = better;
        format!(
            "{} before {}: {held} of {tried} attempts held, {} of {}",
            name(first),
            name(second),
            worse.held,
            worse.tried
        )
    });
    let why: Vec<String> = why.collect();
    let why = if why.is_empty() { "as the roster says".to_owned() } else { why.join("; ") };
    format!("asked about {} failures: {} ({why})", order.class.as_str(), names.join(", "))
}

/// Who is here is looked at only if directories are named: otherwise nobody is called missing.
async fn read(
    arguments: &cli::Roster,
    place: &std::path::Path,
    overrides: &Overrides,
) -> Result<Roster, Exit> {
    let output = arguments.output;
    let packages = if arguments.plugins.plugins.is_empty() {
        Packages::default()
    } else {
        let runtime = one_shot_kept().map_err(|error| {
            complain(output, &error);
            Exit::Internal
        })?;
        let packages = Packages::load(arguments.plugins.sources(), &runtime).await;
        show_problems(packages.problems(), output);
        packages
    };
    let mut roster = file::read(place, &packages, overrides).map_err(|problems| {
        show_problems(&problems, output);
        Exit::Usage
    })?;
    if arguments.plugins.plugins.is_empty() {
        roster.agents.iter_mut().for_each(|listed| listed.rung.out = None);
    }
    Ok(roster)
}

/// What facts say; nothing if there was no host yet, and nobody says that there was one.
fn remembered(arguments: &cli::Roster) -> Result<(State, Agents), LedgerError> {
    let mut deeds = Agents::default();
    let mut facts = Vec::new();
    let reader = match LedgerReader::open(&arguments.state.state) {
        Ok(reader) => Some(reader),
        Err(LedgerError::Absent(dir)) if dir.as_os_str() == cli::STATE => None,
        Err(error) => return Err(error),
    };
    if let Some(reader) = reader {
        for recorded in reader.replay(1)? {
            let recorded = recorded?;
            deeds.apply(&recorded);
            facts.push(recorded);
        }
    }
    Ok((State::replay(&BootPlan::default(), Settings::default(), facts), deeds))
}

/// Whether an agent that facts say nothing against can be asked is known only of plugins that were looked at.
const NOT_LOOKED_AT: &str = "not looked at (no `--plugins`)";

fn show(status: &AgentStatus, looked_at: bool, deeds: &[(&str, &Deeds)], price: Price) {
    let line = |text: String| say(&escape::line(&text));
    let AgentStatus { agent, name, active, standing, asked, .. } = status;
    let active = if *active { ", active" } else { "" };
    let how = match standing {
        AgentStanding::Available if looked_at => "available".to_owned(),
        AgentStanding::Available => NOT_LOOKED_AT.to_owned(),
        AgentStanding::Cooling(until, _, why) => {
            format!("left alone until {} UTC: {why}", moment::date(*until))
        }
        AgentStanding::Out(reason, why) => format!("out ({}): {why}", reason.as_str()),
    };
    line(format!("{name} ({agent}{active}): {how}"));
    match &status.trouble {
        Some((trouble, at, row)) => {
            let when = moment::date(*at);
            line(format!("  asked {asked} times; {} {when} UTC, {row} in a row", trouble.as_str()));
        }
        None if *asked > 0 => {
            line(format!("  asked {}", counted(usize::try_from(*asked).unwrap_or(usize::MAX), "time")))
        }
        None => {}
    }
    for (class, deeds) in deeds {
        let Deeds { held, reverted, refused, failed, unavailable, .. } = deeds;
        let cost = price.of(deeds.input_tokens, deeds.output_tokens);
        line(format!(
            "  {class}: {held} held, {reverted} reverted, {refused} refused, {failed} without a patch, {unavailable} \
             unavailable; {} tokens, cost {cost}, {} on average",
            deeds.input_tokens.saturating_add(deeds.output_tokens),
            moment::span(average(deeds)),
        ));
    }
}

fn average(deeds: &Deeds) -> razar_core::time::Millis {
    razar_core::time::Millis(deeds.took.0.checked_div(deeds.asked).unwrap_or(0))
}

fn told(
    status: &AgentStatus,
    looked_at: bool,
    deeds: &[(&str, &Deeds)],
    price: Price,
    orders: &[AgentOrder],
) -> Value {
    let (standing, reason, why, until) = match &status.standing {
        AgentStanding::Available if !looked_at => ("not-looked-at", None, Some(NOT_LOOKED_AT), None),
        AgentStanding::Available => (status.standing.as_str(), None, None, None),
        AgentStanding::Cooling(until, reason, why) => {
            let until = Some(moment::zulu(*until));
            (status.standing.as_str(), Some(reason.as_str()), Some(why.as_str()), until)
        }
        AgentStanding::Out(reason, why) => {
            (status.standing.as_str(), Some(reason.as_str()), Some(why.as_str()), None)
        }
    };
    let classes: Map<String, Value> = deeds
        .iter()
        .map(|(class, deeds)| {
            let value = json!({
                "asked": deeds.asked, "held": deeds.held, "reverted": deeds.reverted, "refused": deeds.refused,
                "failed": deeds.failed, "unavailable": deeds.unavailable,
                "input_tokens": deeds.input_tokens, "output_tokens": deeds.output_tokens,
                "cost": price.of(deeds.input_tokens, deeds.output_tokens).to_string(),
                "took_ms": deeds.took.0, "average_ms": average(deeds).0,
            });
            ((*class).to_owned(), value)
        })
        .collect();
    json!({
        "agent": status.agent, "name": status.name, "active": status.active,
        "standing": standing, "reason": reason, "why": why, "until": until,
        "asked": status.asked,
        "answered": status.answered.map(moment::zulu),
        "trouble": status.trouble.as_ref().map(|(trouble, at, row)| json!({
            "kind": trouble.as_str(), "at": moment::zulu(*at), "in_a_row": row,
        })),
        "classes": classes,
        "places": places(&status.agent, orders),
    })
}

/// Its place in the order in force for each class of failure, from 1, and whom it has overtaken; nothing if the order is always the roster's.
fn places(agent: &PluginId, orders: &[AgentOrder]) -> Map<String, Value> {
    let place = |order: &AgentOrder| {
        let at = order.agents.iter().position(|known| known == agent)?;
        let overtaken =
            order.ahead.iter().filter(|[(first, _), _]| first == agent).map(|[_, (second, _)]| second);
        let value = json!({ "place": at + 1, "overtook": overtaken.collect::<Vec<_>>() });
        Some((order.class.as_str().to_owned(), value))
    };
    orders.iter().filter_map(place).collect()
}
