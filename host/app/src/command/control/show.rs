//! How answers are printed: aligned and harmless for people, one JSON object a line for programs.

use std::io;

use razar_core::id::{ComponentId, PluginId};
use razar_core::time::{Millis, Timestamp};
use serde::Serialize;
use serde_json::json;

use super::{Change, Format, Terminal};
use crate::report::words::Event;
use crate::report::{escape, moment, table};
use crate::serve::wire::{ComponentView, PluginView, StatusView};

impl Terminal<'_> {
    /// Says what went wrong.
    pub(super) fn complain(&mut self, message: &str) -> io::Result<()> {
        if self.format == Format::Json {
            return self.json(&json!({ "level": "error", "message": message }));
        }
        writeln!(self.err, "error: {}", escape::line(message))
    }

    /// Says what should be known beside the answer.
    pub(super) fn note(&mut self, message: &str) -> io::Result<()> {
        if self.format == Format::Json {
            return writeln!(self.err, "{}", json!({ "level": "note", "message": message }));
        }
        writeln!(self.err, "note: {}", escape::line(message))
    }

    fn json(&mut self, value: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut *self.out, value)?;
        self.out.write_all(b"\n")?;
        self.out.flush()
    }
}

/// Everything at a glance.
pub(super) fn status(terminal: &mut Terminal<'_>, status: &StatusView) -> io::Result<()> {
    if terminal.format == Format::Json {
        return terminal.json(status);
    }
    let now = moment::now();
    match &status.boot {
        None => writeln!(terminal.out, "no boot was ever begun here")?,
        Some(boot) => {
            let mission = boot.mission.as_deref().map(escape::line);
            let mission = mission.map(|mission| format!(" for mission `{mission}`")).unwrap_or_default();
            let age = now.since(boot.began());
            writeln!(
                terminal.out,
                "boot {}{mission}: {}, began {} UTC ({} ago)",
                boot.id,
                escape::line(&boot.stage),
                moment::date(boot.began()),
                moment::span(Millis(age.0))
            )?;
        }
    }
    for plugin in &status.plugins {
        let reason = escape::line(&plugin.reason);
        writeln!(terminal.out, "plugin {} is quarantined: {reason}", plugin.plugin)?;
    }
    for layer in status.wall_lacks.iter().flatten() {
        writeln!(
            terminal.out,
            "the host's wall lacks {}: `razar-host doctor` says more",
            escape::line(layer)
        )?;
    }
    write!(terminal.out, "{}", table::table(&status.components, now))
}

/// Who is quarantined.
pub(super) fn quarantine(terminal: &mut Terminal<'_>, status: &StatusView) -> io::Result<()> {
    if terminal.format == Format::Json {
        let quarantined: Vec<_> = status.components.iter().map(Quarantined::from).collect();
        let plugins: Vec<_> = status.plugins.iter().map(QuarantinedPlugin::from).collect();
        return terminal.json(&json!({ "quarantined": quarantined, "plugins": plugins }));
    }
    if status.components.is_empty() && status.plugins.is_empty() {
        return writeln!(terminal.out, "nothing is quarantined");
    }
    for component in &status.components {
        let reason = component.reason.as_deref().map(escape::line).unwrap_or_default();
        let since = component.quarantined_since.map(since).unwrap_or_default();
        writeln!(terminal.out, "{}: {reason}{since}", component.component)?;
    }
    for plugin in &status.plugins {
        let reason = escape::line(&plugin.reason);
        writeln!(terminal.out, "plugin {}: {reason}{}", plugin.plugin, since(plugin.since))?;
    }
    if !status.components.is_empty() {
        writeln!(terminal.out, "`razar-host quarantine release COMPONENT` lets one out, on probation")?;
    }
    if !status.plugins.is_empty() {
        writeln!(
            terminal.out,
            "`razar-host quarantine release --plugin PLUGIN` lets a plugin out, on probation"
        )?;
    }
    Ok(())
}

fn since(moment: u64) -> String {
    let since = Timestamp(moment);
    let age = moment::span(moment::now().since(since));
    format!(" (since {} UTC, {age} ago)", moment::date(since))
}

/// A change to a plugin is recorded.
pub(super) fn plugin_done(terminal: &mut Terminal<'_>, plugin: &PluginId, out: bool) -> io::Result<()> {
    if terminal.format == Format::Json {
        return terminal.json(&json!({ "plugin": plugin, "done": true }));
    }
    let what = match out {
        true => {
            format!(
                "is quarantined and not called; `razar-host quarantine release --plugin {plugin}` lets it out"
            )
        }
        false => "is released, on probation: one misbehaved call puts it back".to_owned(),
    };
    writeln!(terminal.out, "plugin `{plugin}` {what}")
}

/// One that is quarantined, for programs.
#[derive(Serialize)]
struct Quarantined<'a> {
    component: &'a ComponentId,
    /// RFC 3339.
    since: Option<String>,
    reason: Option<&'a str>,
    class: Option<&'a str>,
    /// Launches in this boot.
    launches: u32,
    vital: bool,
}

impl<'a> From<&'a ComponentView> for Quarantined<'a> {
    fn from(component: &'a ComponentView) -> Self {
        Self {
            component: &component.component,
            since: component.quarantined_since.map(|since| moment::zulu(Timestamp(since))),
            reason: component.reason.as_deref(),
            class: component.class.as_deref(),
            launches: component.launches,
            vital: component.vital,
        }
    }
}

/// A plugin that is quarantined, for programs.
#[derive(Serialize)]
struct QuarantinedPlugin<'a> {
    plugin: &'a PluginId,
    /// RFC 3339.
    since: String,
    reason: &'a str,
}

impl<'a> From<&'a PluginView> for QuarantinedPlugin<'a> {
    fn from(out: &'a PluginView) -> Self {
        Self { plugin: &out.plugin, since: moment::zulu(Timestamp(out.since)), reason: &out.reason }
    }
}

/// A change is recorded and under way.
pub(super) fn done(terminal: &mut Terminal<'_>, component: &ComponentId, change: Change) -> io::Result<()> {
    if terminal.format == Format::Json {
        return terminal.json(&json!({ "component": component, "done": true }));
    }
    let what = match change {
        Change::Start => "will be started".to_owned(),
        Change::Stop => {
            format!("is being stopped and stays so; `razar-host start {component}` lets it run again")
        }
        Change::Restart => "is being restarted".to_owned(),
        Change::Quarantine => {
            format!("is quarantined; `razar-host quarantine release {component}` lets it out")
        }
        Change::Release => "is released, on probation: one failure puts it back".to_owned(),
        Change::HandOver => {
            "is handed over: agents are asked in order; `razar-host incident list` says how far it is"
                .to_owned()
        }
        Change::RollBack => "is stopped, its newest patch is taken back, and it is started again".to_owned(),
    };
    writeln!(terminal.out, "`{component}` {what}")
}

/// An agent is asked next.
pub(super) fn escalated(
    terminal: &mut Terminal<'_>,
    component: &ComponentId,
    agent: &PluginId,
) -> io::Result<()> {
    if terminal.format == Format::Json {
        return terminal.json(&json!({ "component": component, "agent": agent, "done": true }));
    }
    writeln!(
        terminal.out,
        "`{agent}` is asked next about `{component}`; `razar-host incident list` says how far it is"
    )
}

/// A diff is kept, and will be tried.
pub(super) fn handed_in(terminal: &mut Terminal<'_>, component: &ComponentId) -> io::Result<()> {
    if terminal.format == Format::Json {
        return terminal.json(&json!({ "component": component, "done": true }));
    }
    writeln!(
        terminal.out,
        "the patch of `{component}` is tried now, and applied if it is good; `razar-host incident list` says how far it is"
    )
}

/// Something happened.
pub(super) fn event(terminal: &mut Terminal<'_>, event: &Event) -> io::Result<()> {
    if terminal.format == Format::Json {
        return terminal.json(event);
    }
    writeln!(terminal.out, "{}", event.line())?;
    terminal.out.flush()
}

/// Everything has stopped.
pub(super) fn stopped(terminal: &mut Terminal<'_>) -> io::Result<()> {
    if terminal.format == Format::Json {
        return terminal.json(&json!({ "done": true }));
    }
    writeln!(terminal.out, "everything has stopped")
}
