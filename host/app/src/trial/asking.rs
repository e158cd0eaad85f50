//! The component's own probes, asked inside the trial: the same plugins, settings and grants as live, in the judge's network,
//! which is the service's. It asks and never judges.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use razar_core::effect::ExitStatus;
use razar_core::grant::{CallScope, Target};
use razar_core::id::PluginId;
use razar_runtime::contract::{ProbeCall, ProbeTarget};
use razar_runtime::outcome::Outcome;

use super::judge::Engines;
use super::nest::{Nest, NotStarted, Program};
use super::stage::Places;
use super::wire::{Asked, Log, Question, Request};
use crate::ask::nagios;
use crate::launcher::CheckEnd;
use crate::packages::{Packages, Sources};

/// The plugins that a component's probes name.
pub(super) struct Plugins(BTreeMap<PluginId, Packages>);

impl Plugins {
    /// Loads them, and no others.
    pub(super) async fn load(request: &Request, runtime: &Engines) -> Result<Self, String> {
        let mut loaded = BTreeMap::new();
        for asked in &request.probes {
            let Question::Plugin { plugin, .. } = &asked.question else { continue };
            if loaded.contains_key(plugin) {
                continue;
            }
            let sources =
                Sources { dirs: &request.plugins, grants: request.grants.as_deref(), signers: None };
            let packages =
                Packages::load_named(sources, runtime.as_ref().map_err(String::clone)?, plugin).await;
            if packages.probe(plugin).is_none() {
                let why = packages.problems().first().map(|problem| format!(": {}", problem.message));
                return Err(format!("the probe `{plugin}` cannot be used{}", why.unwrap_or_default()));
            }
            loaded.insert(plugin.clone(), packages);
        }
        Ok(Self(loaded))
    }
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) healthy: bool,
    pub(super) summary: String,
}

impl Answer {
    fn unhealthy(summary: impl Into<String>) -> Self {
        Self { healthy: false, summary: summary.into() }
    }
}

/// Whoever asks one service in a trial.
pub(super) struct Asking<'a> {
    pub(super) nest: &'a Nest<'a>,
    pub(super) plugins: &'a Plugins,
    pub(super) places: &'a Places,
    /// Logs that lie elsewhere, and what is written instead.
    pub(super) logs: &'a [(PathBuf, PathBuf)],
}

impl Asking<'_> {
    /// Asks once.
    pub(super) async fn ask(&self, asked: &Asked) -> Answer {
        let timeout = Duration::from(asked.schedule().timeout);
        match &asked.question {
            Question::Process => Answer { healthy: true, summary: "it runs".to_owned() },
            Question::Command(argv) => self.command(argv, timeout).await,
            Question::Plugin { plugin, address, log, settings } => {
                let Some(probe) = self.plugins.0.get(plugin).and_then(|packages| packages.probe(plugin))
                else {
                    return Answer::unhealthy(format!("there is no probe `{plugin}`"));
                };
                let target = ProbeTarget {
                    component: &self.nest.request.component,
                    address: address.as_deref(),
                    phase: asked.phase,
                    settings,
                };
                let scope = CallScope {
                    target: address.as_deref().and_then(|address| address.parse().ok()),
                    log: log.as_ref().map(|log| self.place(log).to_string_lossy().into_owned()),
                    ..CallScope::default()
                };
                let report = probe.check(ProbeCall { target, scope, deadline: timeout }).await;
                match report.outcome {
                    Outcome::Reply(reply) => {
                        Answer { healthy: reply.health.is_well(), summary: reply.summary }
                    }
                    Outcome::Refused(error) => Answer::unhealthy(format!("{plugin}: {}", error.message)),
                    Outcome::Failed(failure) => {
                        Answer::unhealthy(format!("{plugin} gave no answer: {failure}"))
                    }
                }
            }
        }
    }

    /// A native check sees the service's files and its network, from a sandbox of its own.
    async fn command(&self, argv: &[String], timeout: Duration) -> Answer {
        let output = &self.places.check;
        // What an earlier one printed is no answer of this one.
        let _ = std::fs::remove_file(output);
        let program =
            Program { argv, places: self.places, output, logs: self.logs, network: true, runner: None };
        let mut running = match self.nest.start(&program) {
            Ok(running) => running,
            Err(NotStarted::Own(error) | NotStarted::Machine(error)) => return Answer::unhealthy(error),
        };
        let until = Instant::now() + timeout;
        let end = loop {
            match running.ended() {
                Some(status) => {
                    break CheckEnd::Exited(status.code().map_or(ExitStatus::Unknown, ExitStatus::Code));
                }
                None if Instant::now() > until => break CheckEnd::TimedOut,
                None => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        };
        let said = std::fs::read(output).unwrap_or_default();
        let said =
            String::from_utf8_lossy(said.get(..said.len().min(4_096)).unwrap_or_default()).into_owned();
        let (healthy, summary) = nagios(end, &said, timeout);
        Answer { healthy, summary }
    }

    /// Where a log is that the service takes for another file.
    fn place(&self, log: &Log) -> PathBuf {
        let path = match log {
            Log::Output => return self.places.output.clone(),
            Log::File(path) => path,
        };
        if let Some((_, own)) = self.logs.iter().find(|(log, _)| log == path) {
            return own.clone();
        }
        inside(self.nest, self.places, path).unwrap_or_else(|| path.clone())
    }
}

/// Where a path of the service's lies, if it may write there.
fn inside(nest: &Nest<'_>, places: &Places, path: &Path) -> Option<PathBuf> {
    let below = |top: &Path, own: &Path| path.strip_prefix(top).ok().map(|rest| own.join(rest));
    below(&nest.workdir, &places.tree)
        .or_else(|| below(Path::new(&nest.request.run.workdir), &places.tree))
        .or_else(|| below(Path::new("/tmp"), &places.tmp))
        .or_else(|| below(Path::new("/run"), &places.run))
}

/// Files that probes read and that the service would write where it may not: it gets empty ones instead.
pub(super) fn logs(nest: &Nest<'_>, places: &Places) -> Result<Vec<(PathBuf, PathBuf)>, String> {
    let mut logs: Vec<(PathBuf, PathBuf)> = Vec::new();
    for asked in &nest.request.probes {
        let Question::Plugin { log: Some(Log::File(path)), .. } = &asked.question else { continue };
        let known = logs.iter().any(|(log, _)| log == path);
        if known || inside(nest, places, path).is_some() || !path.is_file() {
            continue;
        }
        let own = places.logs.join(logs.len().to_string());
        let made = std::fs::write(&own, "").and_then(|()| {
            use std::os::unix::fs::PermissionsExt as _;
            std::fs::set_permissions(&own, std::fs::Permissions::from_mode(0o666))
        });
        made.map_err(|error| format!("cannot make a log in place of `{}`: {error}", path.display()))?;
        logs.push((path.clone(), own));
    }
    Ok(logs)
}

/// An address that is not found in a network that has loopback alone.
pub(super) fn elsewhere(request: &Request) -> Option<&str> {
    let addresses = request.probes.iter().filter_map(|asked| match &asked.question {
        Question::Plugin { address, .. } => address.as_deref(),
        _ => None,
    });
    addresses.into_iter().find(|address| !is_here(address))
}

fn is_here(address: &str) -> bool {
    let Ok(target) = address.parse::<Target>() else { return false };
    let host = target.host().to_string();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    match host.parse::<IpAddr>() {
        Ok(address) => address.is_loopback() || address.is_unspecified(),
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_found_in_a_network_of_ones_own() {
        for (address, here) in [
            ("http://127.0.0.1:8000/healthz", true),
            ("http://localhost:8000/", true),
            ("127.4.5.6:80", true),
            ("[::1]:80", true),
            ("http://10.0.0.1:8000/", false),
            ("http://example.org/", false),
            ("db.internal:5432", false),
        ] {
            assert_eq!(is_here(address), here, "{address}");
        }
    }
}
