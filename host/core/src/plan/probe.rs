//! From the written ways of asking for health to a [`ProbePlan`] per phase. Nothing here is guessed from a component's
//! name: what is asked is what is written.

use std::collections::BTreeSet;

use serde_json::Value;

use super::address::{host_and_port, web_address};
use super::build::{Plugins, SettingsProblem, argv, join};
use super::place::{Place, Problems, quote};
use super::{Check, Listener, LogSource, ProbePlan, Probes, Schedule};
use crate::detect::MAX_WINDOW;
use crate::document::boot::{Component, Health, Probe};
use crate::grant::Role;
use crate::id::{ComponentId, PluginId};
use crate::time::Millis;

/// The plugins the short forms mean; they are part of what the host ships with.
const HTTP: &str = "probe-http";
const TCP: &str = "probe-tcp";
const LOG: &str = "probe-log";
/// What operators' logs say when the service is up.
const STARTED: &str = "started";
/// Between questions while a component starts: what waits for it waits at most so much longer than it must.
const STARTUP_INTERVAL: Millis = Millis(250);
/// Shortest interval and deadline: below it asking is a busy loop and no answer is in time.
const MIN_SPAN: Millis = Millis(10);

/// The probes there are, asked for once.
pub(super) struct Probing<'a> {
    plugins: &'a dyn Plugins,
    names: BTreeSet<PluginId>,
    interval: Millis,
}

impl<'a> Probing<'a> {
    pub(super) fn new(plugins: &'a dyn Plugins, interval: Option<Millis>) -> Self {
        let interval = interval.unwrap_or(Schedule::default().interval).max(MIN_SPAN);
        Self { plugins, names: plugins.names(Role::Probe).into_iter().collect(), interval }
    }

    /// When nothing is said about it.
    fn schedule(&self) -> Schedule {
        Schedule { interval: self.interval, ..Schedule::default() }
    }
}

/// The probes of a component; `None` when there are none or one is wrong, which is then reported.
pub(super) fn probes(
    entry: &Component,
    id: Option<&ComponentId>,
    workdir: &str,
    place: &Place<'_>,
    probing: &Probing<'_>,
    problems: &mut Problems<'_>,
) -> Option<Probes> {
    let (health_place, check_place) = (Place::Key(place, "health"), Place::Key(place, "health_check"));
    let phases_place = Place::Key(place, "probes");
    let written = entry.probes.clone().unwrap_or_default();
    let phases = [&written.startup, &written.readiness, &written.liveness];
    let nothing =
        entry.health.is_none() && entry.health_check.is_none() && phases.iter().all(|phase| phase.is_none());
    let refused = [health_place, check_place, phases_place].iter().any(|place| problems.refused(place))
        || ["startup", "readiness", "liveness"]
            .iter()
            .any(|phase| problems.refused(&Place::Key(&phases_place, phase)));
    if nothing {
        if !refused {
            let legacy = (entry.name.is_some() || entry.command.is_some())
                && entry.id.is_none()
                && entry.entrypoint.is_none();
            lacks_a_probe(id, legacy, place, problems);
        }
        return None;
    }
    let mut asked = Asked { workdir, probing, problems, lacking: BTreeSet::new() };
    let general = match (&entry.health, &entry.health_check) {
        (Some(_), Some(_)) => {
            let hint = "keep `health`: they mean the same".to_owned();
            asked.problems.add(place, "has both `health` and `health_check`", hint);
            return None;
        }
        (Some(health), None) => Some(asked.health(health, &health_place)),
        (None, Some(words)) => {
            let command = argv(words.clone(), &check_place, asked.problems).map(Check::Command);
            Some(command.map(|check| ProbePlan { check, schedule: probing.schedule() }))
        }
        (None, None) => None,
    };
    let mut phase = |health: &Option<Health>, name: &str| {
        health.as_ref().map(|health| asked.health(health, &Place::Key(&phases_place, name)))
    };
    let startup = phase(&written.startup, "startup");
    let readiness = phase(&written.readiness, "readiness");
    let liveness = phase(&written.liveness, "liveness");
    asked.problems.lacks(asked.lacking);
    if refused {
        return None;
    }
    // A probe that is written and wrong is `Some(None)`, and makes the whole `None`.
    let (general, startup) = (
        general.map_or(Some(None), |probe| probe.map(Some))?,
        startup.map_or(Some(None), |probe| probe.map(Some))?,
    );
    let (readiness, liveness) = (
        readiness.map_or(Some(None), |probe| probe.map(Some))?,
        liveness.map_or(Some(None), |probe| probe.map(Some))?,
    );
    let startup = match startup {
        Some(startup) => startup,
        None => {
            let mut borrowed = general.clone().or_else(|| liveness.clone()).or_else(|| readiness.clone())?;
            borrowed.schedule.interval = borrowed.schedule.interval.min(STARTUP_INTERVAL);
            borrowed
        }
    };
    // The end of a process is noticed without asking.
    let liveness = liveness.or(general).filter(|probe| probe.check != Check::Process);
    Some(Probes { startup, readiness, liveness })
}

/// The message operators know, with a line that can be pasted; upstream's four names get what upstream asked of them.
fn lacks_a_probe(id: Option<&ComponentId>, legacy: bool, place: &Place<'_>, problems: &mut Problems<'_>) {
    let name = id.map_or("<unnamed>", ComponentId::as_str);
    let line = match name {
        "basic_service" => r#""health": "http://localhost:8000/healthz""#,
        "complex_service" => r#""health": "/var/log/complex_service.log""#,
        "inanna_ai" => {
            r#""health": { "probe": "probe-http", "address": "http://localhost:8000/ready", "settings": { "json": { "pointer": "/status", "equals": "ready" } } }"#
        }
        "crown_llm" => {
            r#""health": { "probe": "probe-http", "address": "http://localhost:8001/ready", "settings": { "json": { "pointer": "/status", "equals": "ready" } } }"#
        }
        _ if legacy => {
            r#""health_check": ["curl", "-fsS", "http://127.0.0.1:8000/healthz"], a command that ends with 0 when it is well, or "health": "process""#
        }
        _ => r#""health": "process""#,
    };
    problems.add(place, format!("Component {name} lacks a health probe"), format!("add {line}"));
}

struct Asked<'a, 'p, 'c> {
    workdir: &'a str,
    probing: &'a Probing<'a>,
    problems: &'p mut Problems<'c>,
    /// What this component wants of a host that has no plugins.
    lacking: BTreeSet<String>,
}

impl Asked<'_, '_, '_> {
    fn health(&mut self, health: &Health, place: &Place<'_>) -> Option<ProbePlan> {
        match health {
            Health::Short(text) => {
                let check = self.short(text, place)?;
                Some(ProbePlan { check, schedule: self.probing.schedule() })
            }
            Health::Probe(probe) => {
                let (schedule, written) = (self.schedule(probe, place), self.listener(probe, place));
                let mut check = self.check(probe, place)?;
                if let Check::Plugin { listener, .. } = &mut check {
                    *listener = written;
                }
                Some(ProbePlan { check, schedule })
            }
        }
    }

    fn listener(&mut self, probe: &Probe, place: &Place<'_>) -> Listener {
        match probe.listener.as_deref() {
            None | Some("own") => Listener::Own,
            Some("any") => Listener::Any,
            Some(other) => {
                let hint = r#"write "own", or "any" when another process holds the socket for it"#.to_owned();
                self.problems.add(
                    &Place::Key(place, "listener"),
                    format!("{} is no listener", quote(other)),
                    hint,
                );
                Listener::Own
            }
        }
    }

    fn short(&mut self, text: &str, place: &Place<'_>) -> Option<Check> {
        if text == "process" {
            return Some(Check::Process);
        }
        if text.contains("://") {
            let address = self.address(text, place)?;
            let plugin = self.plugin_for(text, place)?;
            let plugin = self.plugin(plugin, place)?;
            return self.with_settings(
                plugin,
                Some(address),
                None,
                Value::Object(serde_json::Map::new()),
                place,
            );
        }
        let hint = if host_and_port(text).is_some() {
            format!("for a TCP service write \"tcp://{}\"", text.trim())
        } else if text.contains(['/', '.']) && !text.contains('\0') {
            let plugin = self.plugin(LOG, place)?;
            let log = LogSource::File(join(self.workdir, text));
            return self.with_settings(
                plugin,
                None,
                Some(log),
                serde_json::json!({ "contains": STARTED }),
                place,
            );
        } else if text == "output" {
            r#"write { "probe": "probe-log", "log": "output", "settings": { "contains": "started" } }"#
                .to_owned()
        } else {
            r#"for instance "http://127.0.0.1:8000/healthz", "tcp://127.0.0.1:6379", "/var/log/service.log" or "process""#
                .to_owned()
        };
        self.problems.add(place, format!("{} is neither a URL nor the path of a log", quote(text)), hint);
        None
    }

    fn check(&mut self, probe: &Probe, place: &Place<'_>) -> Option<Check> {
        if let Some(words) = &probe.command {
            let plugin_keys = [
                ("probe", probe.probe.is_some()),
                ("address", probe.address.is_some()),
                ("log", probe.log.is_some()),
                ("settings", probe.settings.is_some()),
                ("listener", probe.listener.is_some()),
            ];
            for (key, _) in plugin_keys.iter().filter(|(_, written)| *written) {
                let hint = format!("remove `{key}`, or remove `command` to ask a plugin");
                self.problems.add(&Place::Key(place, key), format!("a command has no `{key}`"), hint);
            }
            return argv(words.clone(), &Place::Key(place, "command"), self.problems).map(Check::Command);
        }
        let (address_place, log_place) = (Place::Key(place, "address"), Place::Key(place, "log"));
        let name = match (&probe.probe, &probe.address, &probe.log) {
            (Some(name), _, _) => name.as_str(),
            (None, Some(address), _) => self.plugin_for(address, &address_place)?,
            (None, None, Some(_)) => LOG,
            (None, None, None) => {
                let keys = ["probe", "address", "log", "command"];
                if !keys.iter().any(|key| self.problems.refused(&Place::Key(place, key))) {
                    let hint = r#"add "address": "http://127.0.0.1:8000/healthz", or "command": ["./check"]"#
                        .to_owned();
                    self.problems.add(place, "says neither what to ask nor whom", hint);
                }
                return None;
            }
        };
        let plugin = self.plugin(name, &Place::Key(place, "probe"));
        let address = probe.address.as_ref().map(|address| self.address(address, &address_place));
        let log = probe.log.as_ref().map(|log| self.log(log, &log_place));
        let plugin = plugin?;
        let address = address.map_or(Some(None), |address| address.map(Some))?;
        let log = log.map_or(Some(None), |log| log.map(Some))?;
        self.fits(&plugin, address.as_deref(), log.as_ref(), place)?;
        let settings = match &probe.settings {
            Some(settings) => settings.iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
            None if probe.probe.is_none() && plugin.as_str() == LOG => {
                serde_json::json!({ "contains": STARTED })
            }
            None => Value::Object(serde_json::Map::new()),
        };
        self.with_settings(plugin, address, log, settings, &Place::Key(place, "settings"))
    }

    /// What the shipped probes cannot do without.
    fn fits(
        &mut self,
        plugin: &PluginId,
        address: Option<&str>,
        log: Option<&LogSource>,
        place: &Place<'_>,
    ) -> Option<()> {
        let (key, message, hint) = match (plugin.as_str(), address, log) {
            (HTTP, None, _) => (
                "address",
                "`probe-http` needs an `address`",
                r#"add "address": "http://127.0.0.1:8000/healthz""#,
            ),
            (TCP, None, _) => {
                ("address", "`probe-tcp` needs an `address`", r#"add "address": "127.0.0.1:6379""#)
            }
            (LOG, _, None) => ("log", "`probe-log` needs a `log`", r#"add "log": "output""#),
            (HTTP, Some(url), _) if !url.starts_with("http://") && !url.starts_with("https://") => (
                "address",
                "`probe-http` asks `http` and `https` addresses only",
                "begin it with `http://`, or use `probe-tcp`",
            ),
            (TCP, Some(url), _) if url.contains("://") => {
                ("address", "`probe-tcp` connects to a host and a port", r#"write "host:port""#)
            }
            _ => return Some(()),
        };
        let place = Place::Key(place, key);
        if !self.problems.refused(&place) {
            self.problems.add(&place, message, hint.to_owned());
        }
        None
    }

    fn plugin(&mut self, name: &str, place: &Place<'_>) -> Option<PluginId> {
        if let Some(plugin) = self.probing.names.get(name) {
            return Some(plugin.clone());
        }
        if let Some(refused) = name.parse().ok().filter(|id| self.probing.plugins.is_refused(id)) {
            return Some(refused);
        }
        if self.probing.names.is_empty() {
            self.lacking.insert(name.to_owned());
            return None;
        }
        let known = self.probing.names.iter().map(PluginId::as_str);
        let hint = match self.problems.nearest(name, known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => {
                let known: Vec<&str> = self.probing.names.iter().map(PluginId::as_str).take(12).collect();
                format!("there are: {}", known.join(", "))
            }
        };
        self.problems.add(place, format!("there is no probe {}", quote(name)), hint);
        None
    }

    /// The shipped probe for an address.
    fn plugin_for(&mut self, address: &str, place: &Place<'_>) -> Option<&'static str> {
        match address.trim().split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase()).as_deref() {
            Some("http" | "https") => Some(HTTP),
            Some("tcp") | None => Some(TCP),
            Some(other) => {
                let hint =
                    "use `http://`, `https://` or `tcp://`, or name the plugin with `probe`".to_owned();
                self.problems.add(
                    place,
                    format!("no probe is known for `{}` addresses", other.escape_debug()),
                    hint,
                );
                None
            }
        }
    }

    /// A URL in its canonical form, or `host:port`.
    fn address(&mut self, text: &str, place: &Place<'_>) -> Option<String> {
        let text = text.trim();
        let bare = text.strip_prefix("tcp://").or_else(|| (!text.contains("://")).then_some(text));
        let read = match bare {
            Some(bare) => host_and_port(bare).ok_or("is not `host:port`"),
            None => web_address(text),
        };
        match read {
            Ok(address) => Some(address),
            Err(wrong) => {
                let hint =
                    r#"for instance "http://127.0.0.1:8000/healthz" or "tcp://127.0.0.1:6379""#.to_owned();
                self.problems.add(place, format!("{} {wrong}", quote(text)), hint);
                None
            }
        }
    }

    fn log(&mut self, text: &str, place: &Place<'_>) -> Option<LogSource> {
        match text {
            "output" => Some(LogSource::Output),
            path if path.is_empty() || path.contains('\0') || path.ends_with('/') => {
                let hint =
                    r#"write the path of a file, or "output" for what the component prints"#.to_owned();
                self.problems.add(place, format!("{} is not the path of a file", quote(path)), hint);
                None
            }
            path => Some(LogSource::File(join(self.workdir, path))),
        }
    }

    fn with_settings(
        &mut self,
        plugin: PluginId,
        address: Option<String>,
        log: Option<LogSource>,
        settings: Value,
        place: &Place<'_>,
    ) -> Option<Check> {
        let wrong = self.probing.plugins.check_settings(&plugin, &settings);
        for SettingsProblem { pointer, message, hint } in &wrong {
            let keys: Vec<&str> = pointer.split('/').filter(|key| !key.is_empty()).collect();
            let inner = keys.join(".");
            if inner.is_empty() {
                self.problems.add(place, message.as_str(), hint.clone());
            } else {
                self.problems.add(&Place::Key(place, &inner), message.as_str(), hint.clone());
            }
        }
        let (settings, listener) = (settings.to_string(), Listener::default());
        wrong.is_empty().then_some(Check::Plugin { plugin, address, log, settings, listener })
    }

    fn schedule(&mut self, probe: &Probe, place: &Place<'_>) -> Schedule {
        let defaults = self.probing.schedule();
        let mut span = |key: &str, written: Option<crate::document::boot::Span>, default: Millis| {
            let span = written.map_or(default, |span| span.0);
            if span < MIN_SPAN {
                let hint = format!("write for instance \"{key}\": \"{default}\"");
                self.problems.add(&Place::Key(place, key), format!("must be at least {MIN_SPAN}"), hint);
            }
            span
        };
        let interval = span("interval", probe.interval, defaults.interval);
        let timeout = span("timeout", probe.timeout, defaults.timeout);
        let deadline = span("deadline", probe.deadline, defaults.deadline);
        let mut count = |key: &str, written: Option<u32>, default: u32| {
            let count = written.unwrap_or(default);
            if !(1..=MAX_WINDOW).contains(&count) {
                self.problems.add(
                    &Place::Key(place, key),
                    format!("must be from 1 to {MAX_WINDOW}, not {count}"),
                    None,
                );
            }
            count
        };
        let window = count("window", probe.window, probe.failures.unwrap_or(defaults.window));
        let failures = count("failures", probe.failures, defaults.failures.min(window));
        let successes = count("successes", probe.successes, defaults.successes);
        if window < failures && window >= 1 && failures <= MAX_WINDOW {
            let message = format!("a window of {window} answers never has {failures} failures");
            let hint = format!("write \"window\": {failures} or more");
            self.problems.add(&Place::Key(place, "window"), message, hint);
        }
        Schedule { interval, timeout, deadline, failures, window, successes }
    }
}
