//! `plugin list | inspect | run`: looking at plugins, and asking one probe once.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use razar_core::fact::Phase;
use razar_core::grant::{CallScope, Capability, Role};
use razar_core::id::{ComponentId, Digest, PluginId};
use razar_runtime::Runtime;
use razar_runtime::contract::{ProbeCall, ProbeTarget, Report};
use razar_runtime::outcome::{CallReport, Outcome};
use serde_json::{Value, json};

use super::{Exit, complain, runtime, say, show_problems};
use crate::cli::{self, PhaseName};
use crate::packages::{Entry, Packages, roles};

pub(super) async fn plugin(command: cli::Plugin) -> Exit {
    match command {
        cli::Plugin::List { plugins, output } => match load(&plugins).await {
            Ok(packages) => list(&packages, output),
            Err(exit) => exit,
        },
        cli::Plugin::Inspect { name, plugins, output } => match load(&plugins).await {
            Ok(packages) => inspect(&packages, &name, output),
            Err(exit) => exit,
        },
        cli::Plugin::Run(arguments) => once(arguments).await,
    }
}

async fn load(plugins: &cli::Plugins) -> Result<Packages, Exit> {
    if plugins.plugins.is_empty() {
        complain("no plugins: name a directory of packages with `--plugins DIR`");
        return Err(Exit::Usage);
    }
    let runtime = runtime(None, None).map_err(|error| {
        complain(&error);
        Exit::Internal
    })?;
    Ok(Packages::load(&plugins.plugins, plugins.grants.as_deref(), &runtime).await)
}

fn list(packages: &Packages, output: cli::Output) -> Exit {
    for (name, entry) in packages.iter() {
        let manifest = &entry.package.manifest;
        let role = roles(&entry.plugin).into_iter().map(Role::as_str).collect::<Vec<_>>().join(",");
        let digest = entry.plugin.inspection().digest;
        match output {
            cli::Output::Json => say(&json!({
                "name": name, "version": manifest.version, "role": role, "description": manifest.description,
                "digest": digest,
            })
            .to_string()),
            _ => say(&format!(
                "{name:<16} {:<8} {role:<8} {}  {}",
                manifest.version,
                short(&digest),
                manifest.description
            )),
        }
    }
    show_problems(packages.problems(), output);
    if packages.problems().is_empty() { Exit::Done } else { Exit::Failed }
}

/// Enough of a digest to tell two apart.
fn short(digest: &Digest) -> String {
    digest.hex().chars().take(12).collect()
}

fn find<'a>(packages: &'a Packages, name: &str) -> Result<(&'a PluginId, &'a Entry), Exit> {
    let found = packages.iter().find(|(id, _)| id.as_str() == name);
    found.ok_or_else(|| {
        show_problems(packages.problems(), cli::Output::Human);
        let known: Vec<&str> = packages.iter().map(|(id, _)| id.as_str()).collect();
        complain(&match known.as_slice() {
            [] => format!("there is no plugin `{name}` that can be used"),
            known => format!("there is no plugin `{name}` that can be used; there are: {}", known.join(", ")),
        });
        Exit::Usage
    })
}

fn inspect(packages: &Packages, name: &str, output: cli::Output) -> Exit {
    let (name, entry) = match find(packages, name) {
        Ok(found) => found,
        Err(exit) => return exit,
    };
    let about = describe(name, entry);
    match output {
        cli::Output::Json => say(&as_json(about)),
        _ => show(&about, 0),
    }
    Exit::Done
}

/// What there is to say, in the order in which a reader wants it.
type About = Vec<(String, Value)>;

fn as_json(about: About) -> String {
    Value::Object(about.into_iter().collect()).to_string()
}

fn describe(name: &PluginId, entry: &Entry) -> About {
    let manifest = &entry.package.manifest;
    let lines = |lines: Vec<(Capability, String)>| -> Vec<String> {
        lines.into_iter().map(|(capability, line)| format!("{capability}: {line}")).collect()
    };
    let mut about = Vec::new();
    let mut tell = |key: &str, value: Value| about.push((key.to_owned(), value));
    tell("name", json!(name));
    tell("version", json!(manifest.version));
    tell("description", json!(manifest.description));
    tell("package", json!(entry.package.dir));
    let seen = entry.plugin.inspection();
    tell("digest", json!(seen.digest));
    tell("bytes", json!(seen.size));
    tell("initial memory", json!(seen.initial_memory));
    tell("imports", json!(seen.imports));
    tell("warnings", json!(seen.warnings.iter().map(ToString::to_string).collect::<Vec<_>>()));
    for role in roles(&entry.plugin) {
        let may = entry.plugin.grant(role).map(|grant| lines(grant.lines())).unwrap_or_default();
        let limits = entry.plugin.limits(role).map(|limits| limits.lines()).unwrap_or_default();
        let limits: Vec<String> =
            limits.into_iter().map(|(field, value)| format!("{field} = {value}")).collect();
        tell(&format!("as {} it may use", role.as_str()), json!(may));
        tell(&format!("as {} it is limited to", role.as_str()), json!(limits));
    }
    tell("granted by the operator", json!(lines(entry.grant.lines())));
    let unused =
        entry.meeting.unused.iter().map(|unused| format!("{}: {}", unused.capability, unused.granted));
    tell("granted and never asked for", json!(unused.collect::<Vec<_>>()));
    about
}

/// Indented lines.
fn show<'a>(about: impl IntoIterator<Item = &'a (String, Value)>, depth: usize) {
    let indent = "  ".repeat(depth);
    for (key, value) in about {
        match value {
            Value::Object(map) => {
                say(&format!("{indent}{key}:"));
                let inner: About = map.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
                show(&inner, depth + 1);
            }
            Value::Array(items) if items.is_empty() => say(&format!("{indent}{key}: none")),
            Value::Array(items) => {
                say(&format!("{indent}{key}:"));
                items
                    .iter()
                    .for_each(|item| say(&format!("{indent}  {}", item.as_str().unwrap_or_default())));
            }
            Value::String(text) => say(&format!("{indent}{key}: {text}")),
            other => say(&format!("{indent}{key}: {other}")),
        }
    }
}

async fn once(arguments: cli::PluginRun) -> Exit {
    match try_once(&arguments).await {
        Ok((name, report)) => tell(&name, &report, arguments.output),
        Err(exit) => exit,
    }
}

/// The plugin that is asked for; all of them when there is none of that name, to say what there is.
async fn load_for_one(
    dirs: &[PathBuf],
    grants: Option<&Path>,
    runtime: &Arc<Runtime>,
    name: Option<&str>,
) -> Packages {
    if let Some(name) = name.and_then(|name| name.parse().ok()) {
        let packages = Packages::load_named(dirs, grants, runtime, &name).await;
        if packages.iter().next().is_some() {
            return packages;
        }
    }
    Packages::load(dirs, grants, runtime).await
}

async fn try_once(arguments: &cli::PluginRun) -> Result<(PluginId, CallReport<Report>), Exit> {
    let usage = |message: String| {
        complain(&message);
        Exit::Usage
    };
    let internal = |message: String| {
        complain(&message);
        Exit::Internal
    };
    std::fs::create_dir_all(&arguments.state.state)
        .map_err(|error| usage(format!("`{}` cannot be made: {error}", arguments.state.state.display())))?;
    let runtime = runtime(Some(&arguments.state.state), None).map_err(internal)?;
    let grants = arguments.plugins.grants.as_deref();
    let packages = match &arguments.dev {
        Some(dir) => Packages::load_one(dir, grants, &runtime).await,
        None => load_for_one(&arguments.plugins.plugins, grants, &runtime, arguments.name.as_deref()).await,
    };
    if arguments.dev.is_some() && !packages.problems().is_empty() {
        show_problems(packages.problems(), arguments.output);
        return Err(Exit::Usage);
    }
    let only = packages.iter().next().map(|(name, _)| name.to_string());
    let name = arguments.name.clone().or(only.filter(|_| arguments.dev.is_some()));
    let name =
        name.ok_or_else(|| usage("which plugin? `razar-host plugin run NAME --plugins DIR`".to_owned()))?;
    let (name, entry) = find(&packages, &name)?;
    let probe = entry.plugin.probe().ok_or_else(|| usage(format!("`{name}` is not a probe")))?;

    let component: ComponentId =
        arguments.component.parse().map_err(|error| usage(format!("`--component`: {error}")))?;
    let settings: Value = serde_json::from_str(&arguments.settings)
        .map_err(|error| usage(format!("`--settings` is not JSON: {error}")))?;
    let wrong = entry.check_settings(&settings);
    if let Some(first) = wrong.first() {
        return Err(usage(format!("`--settings` {}: {}", first.pointer, first.message)));
    }
    // As a boot configuration says it, and as the probe is told.
    let address = arguments.address.as_deref().map(|text| text.strip_prefix("tcp://").unwrap_or(text));
    let target = address.map(str::parse).transpose();
    let target = target.map_err(|error| usage(format!("`--address`: {error}")))?;
    let log = match &arguments.log_file {
        Some(log) => {
            let log = std::path::absolute(log).map_err(|error| usage(format!("`--log-file`: {error}")))?;
            Some(log.to_string_lossy().into_owned())
        }
        None => None,
    };
    let scope = CallScope { target, log, ..CallScope::default() };
    let phase = match arguments.phase {
        PhaseName::Startup => Phase::Startup,
        PhaseName::Readiness => Phase::Readiness,
        PhaseName::Liveness => Phase::Liveness,
    };
    let target = ProbeTarget { component: &component, address, phase, settings: &arguments.settings };
    let deadline = std::time::Duration::from_millis(arguments.timeout);
    let report = probe.check(ProbeCall { target, scope, deadline }).await;
    Ok((name.clone(), report))
}

fn tell(name: &PluginId, report: &CallReport<Report>, output: cli::Output) -> Exit {
    let (word, text, measured, well) = match &report.outcome {
        Outcome::Reply(reply) => {
            let measured: Vec<String> =
                reply.measurements.iter().map(|m| format!("{} {:.3} {}", m.name, m.value, m.unit)).collect();
            (reply.health.as_str(), reply.summary.clone(), measured, reply.health.is_well())
        }
        Outcome::Refused(error) => (report.outcome.as_str(), error.message.clone(), Vec::new(), false),
        Outcome::Failed(failure) => (report.outcome.as_str(), failure.to_string(), Vec::new(), false),
    };
    let text = text.escape_debug().to_string();
    let denied: Vec<String> =
        report.record.denied().map(|denied| format!("{denied}: {}", denied.remedy(name))).collect();
    let used = &report.usage;
    let used = json!({
        "wall_us": used.wall.as_micros() as u64, "busy_us": used.busy.as_micros() as u64,
        "memory_bytes": used.memory, "reply_bytes": used.reply,
        "network_bytes": used.network, "requests": used.requests,
    });
    let logged: Vec<String> = report.log.lines.iter().map(|line| line.text.clone()).collect();
    let about: About = [
        ("plugin", json!(name)),
        ("outcome", json!(word)),
        ("summary", json!(text)),
        ("measurements", json!(measured)),
        ("used", used),
        ("denied", json!(denied)),
        ("printed", json!(logged)),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into();
    match output {
        cli::Output::Json => say(&as_json(about)),
        _ => show(&about, 0),
    }
    if well { Exit::Done } else { Exit::Failed }
}
