//! `plugin list | inspect | run`: looking at plugins, and asking one probe once.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use razar_core::fact::Phase;
use razar_core::grant::{CallScope, Capability, Role};
use razar_core::id::{ComponentId, Digest, PluginId};
use razar_core::problem::{json_cause, json_place};
use razar_runtime::Runtime;
use razar_runtime::contract::{ProbeCall, ProbeTarget, Report};
use razar_runtime::outcome::{CallReport, Outcome};
use serde_json::{Value, json};

use super::{Exit, code_cache, complain, one_shot, say, show_problems, show_warnings};
use crate::cli::{self, PhaseName};
use crate::packages::{Entry, Packages, prepare_schemas, roles};
use crate::report::escape;

pub(super) async fn plugin(command: cli::Plugin) -> Exit {
    match command {
        cli::Plugin::List { plugins, output } => match load(&plugins, output).await {
            Ok(packages) => list(&packages, output),
            Err(exit) => exit,
        },
        cli::Plugin::Inspect { name, plugins, output } => match load(&plugins, output).await {
            Ok(packages) => inspect(&packages, &name, output),
            Err(exit) => exit,
        },
        cli::Plugin::Run(arguments) => once(&arguments).await.unwrap_or_else(|exit| exit),
    }
}

async fn load(plugins: &cli::Plugins, output: cli::Output) -> Result<Packages, Exit> {
    if plugins.plugins.is_empty() {
        complain(output, "no plugins: name a directory of packages with `--plugins DIR`");
        return Err(Exit::Usage);
    }
    let runtime = one_shot(None).map_err(|error| {
        complain(output, &error);
        Exit::Internal
    })?;
    Ok(Packages::load(&plugins.plugins, plugins.grants.as_deref(), &runtime).await)
}

fn list(packages: &Packages, output: cli::Output) -> Exit {
    let rows: Vec<_> = packages.iter().map(|(name, entry)| Row::of(name, entry)).collect();
    match output {
        cli::Output::Json => rows.iter().for_each(|row| say(&row.json().to_string())),
        _ => align(&rows).iter().for_each(|line| say(line)),
    }
    show_problems(packages.problems(), output);
    show_warnings(packages.warnings(), output);
    if packages.problems().is_empty() { Exit::Done } else { Exit::Failed }
}

/// One line of the list.
struct Row<'a> {
    name: &'a str,
    version: String,
    role: String,
    digest: Digest,
    description: &'a str,
}

impl<'a> Row<'a> {
    fn of(name: &'a PluginId, entry: &'a Entry) -> Self {
        let manifest = &entry.package.manifest;
        Self {
            name: name.as_str(),
            version: manifest.version.to_string(),
            role: roles(&entry.plugin).into_iter().map(Role::as_str).collect::<Vec<_>>().join(","),
            digest: entry.plugin.inspection().digest,
            description: &manifest.description,
        }
    }

    fn json(&self) -> Value {
        let Self { name, version, role, digest, description } = self;
        json!({
            "name": name, "version": version, "role": role, "description": description, "digest": digest,
        })
    }
}

/// Columns as wide as their widest cell.
fn align(rows: &[Row<'_>]) -> Vec<String> {
    let widest = |cell: fn(&Row<'_>) -> usize| rows.iter().map(cell).max().unwrap_or(0);
    let (name, version) = (widest(|row| row.name.len()), widest(|row| row.version.len()));
    let role = widest(|row| row.role.len());
    let line = |row: &Row<'_>| {
        format!(
            "{:<name$}  {:<version$}  {:<role$}  {}  {}",
            row.name,
            row.version,
            row.role,
            short(&row.digest),
            escape::line(row.description)
        )
    };
    rows.iter().map(line).collect()
}

/// Enough of a digest to tell two apart.
fn short(digest: &Digest) -> String {
    digest.hex().chars().take(12).collect()
}

fn find<'a>(
    packages: &'a Packages,
    name: &str,
    output: cli::Output,
) -> Result<(&'a PluginId, &'a Entry), Exit> {
    let found = packages.iter().find(|(id, _)| id.as_str() == name);
    found.ok_or_else(|| {
        show_problems(packages.problems(), output);
        let known: Vec<&str> = packages.iter().map(|(id, _)| id.as_str()).collect();
        let name = escape::line(name);
        complain(
            output,
            &match known.as_slice() {
                [] => format!("there is no plugin `{name}` that can be used"),
                known => {
                    format!("there is no plugin `{name}` that can be used; there are: {}", known.join(", "))
                }
            },
        );
        Exit::Usage
    })
}

fn inspect(packages: &Packages, name: &str, output: cli::Output) -> Exit {
    let (name, entry) = match find(packages, name, output) {
        Ok(found) => found,
        Err(exit) => return exit,
    };
    match output {
        cli::Output::Json => say(&inspect_json(name, entry).to_string()),
        _ => show(&describe(name, entry), 0),
    }
    Exit::Done
}

/// For programs: the keys are a promise.
fn inspect_json(name: &PluginId, entry: &Entry) -> Value {
    let manifest = &entry.package.manifest;
    let seen = entry.plugin.inspection();
    let rules = |lines: Vec<(Capability, String)>| -> Vec<Value> {
        let rule = |(capability, rule): (Capability, String)| json!({ "capability": capability.to_string(), "rule": rule });
        lines.into_iter().map(rule).collect()
    };
    let roles: Vec<Value> = roles(&entry.plugin)
        .into_iter()
        .map(|role| {
            let may = entry.plugin.grant(role).map(|grant| rules(grant.lines())).unwrap_or_default();
            let limits = entry.plugin.limits(role).map(|limits| limits.measures()).unwrap_or_default();
            let limits: serde_json::Map<String, Value> =
                limits.into_iter().map(|(key, value)| (key, json!(value))).collect();
            json!({ "role": role.as_str(), "may_use": may, "limits": limits })
        })
        .collect();
    let unused = entry.meeting.unused.iter();
    let unused: Vec<Value> = unused
        .map(|unused| json!({ "capability": unused.capability.to_string(), "rule": unused.granted }))
        .collect();
    json!({
        "name": name,
        "version": manifest.version,
        "description": manifest.description,
        "package": entry.package.dir,
        "digest": seen.digest,
        "size_bytes": seen.size,
        "initial_memory_bytes": seen.initial_memory,
        "imports": seen.imports,
        "warnings": seen.warnings.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "roles": roles,
        "granted": rules(entry.grant.lines()),
        "granted_unused": unused,
    })
}

/// What there is to say to people, in the order in which they want it.
type About = Vec<(String, Value)>;

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

/// Tells before it clears up: who waits for the answer does not wait for that.
async fn once(arguments: &cli::PluginRun) -> Result<Exit, Exit> {
    let output = arguments.output;
    let usage = |message: String| {
        complain(output, &message);
        Exit::Usage
    };
    let internal = |message: String| {
        complain(output, &message);
        Exit::Internal
    };
    // Nobody waits for it: whoever needs it first, does.
    let (sender, receiver) = std::sync::mpsc::channel::<Arc<Runtime>>();
    drop(tokio::task::spawn_blocking(move || {
        if let Ok(runtime) = receiver.recv() {
            runtime.prepare();
        }
        prepare_schemas();
    }));
    let runtime = match &arguments.state {
        Some(state) => one_shot(Some(code_cache(state))),
        // A home that cannot be written costs time, nothing else.
        None => one_shot(own_cache()).or_else(|_| one_shot(None)),
    };
    let runtime = runtime.map_err(internal)?;
    // Nobody hears it if there was no thread; then it is made when it is needed.
    let _ = sender.send(Arc::clone(&runtime));
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
    let (name, entry) = find(&packages, &name, output)?;
    let probe = entry.plugin.probe().ok_or_else(|| usage(format!("`{name}` is not a probe")))?;

    let component: ComponentId =
        arguments.component.parse().map_err(|error| usage(format!("`--component`: {error}")))?;
    let settings: Value = serde_json::from_str(&arguments.settings).map_err(|error| {
        let (cause, place) = (json_cause(&error), json_place(&error));
        usage(format!("`--settings` is not JSON: {cause} at {place}"))
    })?;
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
    let grants = grants.map(|file| file.display().to_string());
    Ok(tell(name, &report, grants.as_deref(), output))
}

/// Where one-shots keep compiled plugins when no state directory is named: never where somebody happens to stand.
fn own_cache() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
    Some(base.join("razar-host/plugins"))
}

fn tell(name: &PluginId, report: &CallReport<Report>, grants: Option<&str>, output: cli::Output) -> Exit {
    let (word, text, measured, well) = match &report.outcome {
        Outcome::Reply(reply) => {
            let measured = reply.measurements.iter();
            let measured: Vec<_> = measured.map(|m| (m.name.as_str(), m.value, m.unit.as_str())).collect();
            (reply.health.as_str(), reply.summary.clone(), measured, reply.health.is_well())
        }
        Outcome::Refused(error) => (report.outcome.as_str(), error.message.clone(), Vec::new(), false),
        Outcome::Failed(failure) => (report.outcome.as_str(), failure.to_string(), Vec::new(), false),
    };
    let used = &report.usage;
    let ms = |span: std::time::Duration| span.as_micros() as f64 / 1000.0;
    let used = json!({
        "elapsed_ms": ms(used.wall), "busy_ms": ms(used.busy),
        "memory_bytes": used.memory, "reply_bytes": used.reply,
        "network_bytes": used.network, "requests": used.requests,
    });
    let logged: Vec<&str> = report.log.lines.iter().map(|line| line.text.as_str()).collect();
    if output == cli::Output::Json {
        let denied = report.record.denied().map(|denied| {
            json!({
                "capability": denied.capability().to_string(), "reason": denied.reason().as_str(),
                "subject": denied.subject(), "remedy": denied.remedy(name, grants),
            })
        });
        let measured = measured.iter().map(|(name, value, unit)| (measure_key(name, unit), json!(value)));
        say(&json!({
            "plugin": name,
            "outcome": word,
            "summary": text,
            "measurements": measured.collect::<serde_json::Map<_, _>>(),
            "used": used,
            "denied": denied.collect::<Vec<_>>(),
            "printed": logged,
        })
        .to_string());
    } else {
        let denied =
            report.record.denied().map(|denied| format!("{denied}: {}", denied.remedy(name, grants)));
        let measured = measured.iter().map(|(name, value, unit)| format!("{name} {value:.3} {unit}"));
        let about: About = [
            ("plugin", json!(name)),
            ("outcome", json!(word)),
            ("summary", json!(text.escape_debug().to_string())),
            ("measurements", json!(measured.collect::<Vec<_>>())),
            ("used", used),
            ("denied", json!(denied.collect::<Vec<_>>())),
            ("printed", json!(logged)),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .into();
        show(&about, 0);
    }
    if well { Exit::Done } else { Exit::Failed }
}

/// The key of a measurement: its name and its unit, `latency_ms`, whatever the plugin has called them.
fn measure_key(name: &str, unit: &str) -> String {
    let plain = |text: &str| {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
        text.chars().map(plain).collect::<String>().trim_matches('_').to_owned()
    };
    let (name, unit) = (plain(name), if unit == "%" { "percent".to_owned() } else { plain(unit) });
    match unit.as_str() {
        "" => name,
        unit if name.strip_suffix(unit).is_some_and(|rest| rest.is_empty() || rest.ends_with('_')) => name,
        unit => format!("{name}_{unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_measurements_say_their_unit() {
        for (name, unit, key) in [
            ("latency", "ms", "latency_ms"),
            ("latency_ms", "ms", "latency_ms"),
            ("Queue depth", "", "queue_depth"),
            ("used", "%", "used_percent"),
            ("rate", "requests/s", "rate_requests_s"),
        ] {
            assert_eq!(measure_key(name, unit), key);
        }
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let row = |name, version: &str| Row {
            name,
            version: version.to_owned(),
            role: "probe".to_owned(),
            digest: Digest::of(b""),
            description: "says\n more",
        };
        let lines = align(&[row("a", "0.1.0"), row("a-name-much-longer-than-sixteen", "10.11.12")]);
        let place = |line: &String| line.find("probe").unwrap();
        assert_eq!(place(&lines[0]), place(&lines[1]), "{lines:#?}");
        assert!(lines.iter().all(|line| line.ends_with("says\\n more")), "{lines:#?}");
    }
}
