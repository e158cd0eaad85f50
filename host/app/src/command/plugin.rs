//! `plugin list | inspect | add | remove | run`: looking at plugins, pinning one, and asking one once.

mod add;
mod agent;
mod evaluator;
mod likeness;
mod probe;
mod remove;
mod run;
mod store;

use razar_core::grant::{Capability, Role};
use razar_core::id::{Digest, PluginId};
use razar_core::plan::Plugins as _;
use razar_core::trust::{Pin, Signed};
use serde_json::{Value, json};

use super::{Exit, blocking, complain, one_shot_kept, say, show_problems, show_warnings};
use crate::cli;
use crate::packages::{Entry, Packages, roles};
use crate::report::{escape, moment};

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
        cli::Plugin::Add(arguments) => add::add(&arguments).await,
        cli::Plugin::Remove(arguments) => blocking(move || remove::remove(&arguments)).await,
        cli::Plugin::Run(arguments) => run::run(&arguments).await.unwrap_or_else(|exit| exit),
    }
}

async fn load(plugins: &cli::Plugins, output: cli::Output) -> Result<Packages, Exit> {
    if plugins.plugins.is_empty() {
        complain(output, "no plugins: name a directory of packages with `--plugins DIR`");
        return Err(Exit::Usage);
    }
    let runtime = one_shot_kept().map_err(|error| {
        complain(output, &error);
        Exit::Internal
    })?;
    Ok(Packages::load(plugins.sources(), &runtime).await)
}

fn list(packages: &Packages, output: cli::Output) -> Exit {
    let mut rows: Vec<_> = packages.iter().map(|(name, entry)| Row::of(name, entry, true)).collect();
    rows.extend(packages.idle().map(|(name, entry)| Row::of(name, entry, false)));
    rows.sort_by_key(|row| row.name);
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
    granted: bool,
    pin: Option<&'a Pin>,
}

impl<'a> Row<'a> {
    fn of(name: &'a PluginId, entry: &'a Entry, granted: bool) -> Self {
        let manifest = &entry.package.manifest;
        Self {
            name: name.as_str(),
            version: manifest.version.to_string(),
            role: roles(&entry.plugin).into_iter().map(Role::as_str).collect::<Vec<_>>().join(","),
            digest: entry.plugin.inspection().digest,
            description: &manifest.description,
            granted,
            pin: entry.package.pin.as_ref(),
        }
    }

    fn json(&self) -> Value {
        let Self { name, version, role, digest, description, granted, pin } = self;
        json!({
            "name": name, "version": version, "role": role, "description": description, "digest": digest,
            "granted": granted, "pinned": pin.map(|pin| pin.digest),
            "signer": pin.and_then(|pin| pin.signed.as_ref()).map(|signed| &signed.signer),
        })
    }

    /// What is remarkable about it.
    fn remarks(&self) -> String {
        let pinned = self.pin.map(|pin| match &pin.signed {
            Some(signed) => format!(" (pinned, signed by {})", escape::line(&signed.signer)),
            None => " (pinned)".to_owned(),
        });
        let granted = if self.granted { "" } else { " (not granted)" };
        pinned.unwrap_or_default() + granted
    }
}

/// Columns as wide as their widest cell.
fn align(rows: &[Row<'_>]) -> Vec<String> {
    let widest = |cell: fn(&Row<'_>) -> usize| rows.iter().map(cell).max().unwrap_or(0);
    let (name, version) = (widest(|row| row.name.len()), widest(|row| row.version.len()));
    let role = widest(|row| row.role.len());
    let line = |row: &Row<'_>| {
        format!(
            "{:<name$}  {:<version$}  {:<role$}  {}  {}{}",
            row.name,
            row.version,
            row.role,
            short(&row.digest),
            escape::line(row.description),
            row.remarks(),
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
        show_problems(packages.why_idle(name), output);
        show_warnings(packages.warnings(), output);
        if name.parse().is_ok_and(|id| packages.is_refused(&id)) {
            return Exit::Usage;
        }
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
        "pin": entry.package.pin.as_ref().map(pin_json),
        "size_bytes": seen.size,
        "initial_memory_bytes": seen.initial_memory,
        "imports": seen.imports,
        "warnings": seen.warnings.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "roles": roles,
        "granted": rules(entry.grant.lines()),
        "granted_unused": unused,
    })
}

fn pin_json(pin: &Pin) -> Value {
    let signature = |signed: &Signed| {
        json!({
            "signer": signed.signer, "key": signed.key, "comment": signed.comment(),
            "signed_at": signed.at().map(moment::zulu),
        })
    };
    json!({
        "version": pin.version.to_string(), "digest": pin.digest, "from": pin.from, "added": pin.added,
        "downgraded_from": pin.downgraded_from.as_ref().map(ToString::to_string),
        "signature": pin.signed.as_ref().map(signature),
    })
}

/// What a lock says of a package.
fn pin_lines(pin: &Pin) -> Vec<String> {
    let mut lines = vec![pin.digest.to_string(), format!("added {} from {}", pin.added, pin.from)];
    lines.extend(
        pin.downgraded_from.as_ref().map(|before| format!("in the place of {before}, which was wanted")),
    );
    match &pin.signed {
        Some(signed) => {
            lines.push(format!("signed by {}, key {}", signed.signer, signed.key));
            lines.push(format!("who said: {}", signed.comment().unwrap_or_default()));
        }
        None => lines.push("not signed".to_owned()),
    }
    lines.iter().map(|line| escape::line(line)).collect()
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
    if let Some(pin) = &entry.package.pin {
        tell("pinned", json!(pin_lines(pin)));
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let row = |name, version: &str| Row {
            name,
            version: version.to_owned(),
            role: "probe".to_owned(),
            digest: Digest::of(b""),
            description: "says\n more",
            granted: true,
            pin: None,
        };
        let lines = align(&[row("a", "0.1.0"), row("a-name-much-longer-than-sixteen", "10.11.12")]);
        let place = |line: &String| line.find("probe").unwrap();
        assert_eq!(place(&lines[0]), place(&lines[1]), "{lines:#?}");
        assert!(lines.iter().all(|line| line.ends_with("says\\n more")), "{lines:#?}");
    }
}
