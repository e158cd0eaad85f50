//! `plugin run`: one plugin, once, by hand. Finds it, checks what was typed, and lets its role be asked.

use std::sync::Arc;
use std::time::Duration;

use razar_core::grant::Role;
use razar_core::id::PluginId;
use razar_core::problem::{json_cause, json_place};
use razar_runtime::Runtime;
use razar_runtime::outcome::CallReport;
use serde_json::{Value, json};

use super::super::{Exit, code_cache, complain, one_shot, one_shot_kept, say, show_problems};
use super::{About, agent, evaluator, find, probe, show};
use crate::cli;
use crate::packages::{Packages, Sources, prepare_schemas};

/// The plugin that is asked for; all of them when there is none of that name, to say what there is.
async fn load_for_one(sources: Sources<'_>, runtime: &Arc<Runtime>, name: Option<&str>) -> Packages {
    if let Some(name) = name.and_then(|name| name.parse().ok()) {
        let packages = Packages::load_named(sources, runtime, &name).await;
        if packages.iter().chain(packages.idle()).next().is_some() {
            return packages;
        }
    }
    Packages::load(sources, runtime).await
}

/// Tells before it clears up: who waits for the answer does not wait for that.
pub(super) async fn run(arguments: &cli::PluginRun) -> Result<Exit, Exit> {
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
        None => one_shot_kept(),
    };
    let runtime = runtime.map_err(internal)?;
    // Nobody hears it if there was no thread; then it is made when it is needed.
    let _ = sender.send(Arc::clone(&runtime));
    let grants = arguments.plugins.grants.as_deref();
    let packages = match &arguments.dev {
        Some(dir) => Packages::load_one(dir, grants, &runtime).await,
        None => load_for_one(arguments.plugins.sources(), &runtime, arguments.name.as_deref()).await,
    };
    if arguments.dev.is_some() && !packages.problems().is_empty() {
        show_problems(packages.problems(), arguments.output);
        return Err(Exit::Usage);
    }
    let only = packages.iter().chain(packages.idle()).next().map(|(name, _)| name.to_string());
    let name = arguments.name.clone().or(only.filter(|_| arguments.dev.is_some()));
    let name =
        name.ok_or_else(|| usage("which plugin? `razar-host plugin run NAME --plugins DIR`".to_owned()))?;
    let (name, entry) = find(&packages, &name, output)?;

    let settings: Value = serde_json::from_str(&arguments.settings).map_err(|error| {
        let (cause, place) = (json_cause(&error), json_place(&error));
        usage(format!("`--settings` is not JSON: {cause} at {place}"))
    })?;
    let wrong = entry.check_settings(&settings);
    if let Some(first) = wrong.first() {
        return Err(usage(format!("`--settings` {}: {}", first.pointer, first.message)));
    }
    let asked = Asked { name, output, grants: grants.map(|file| file.display().to_string()), arguments };
    if arguments.tree.is_some() {
        return match entry.plugin.evaluator() {
            Some(evaluator) => evaluator::ask(&asked, evaluator).await,
            None => Err(usage(format!("`{name}` is no evaluator: `--tree` is for evaluators"))),
        };
    }
    match (entry.plugin.probe(), entry.plugin.agent()) {
        (_, Some(agent)) if arguments.failure.is_some() => {
            let editor = entry.plugin.grant(Role::Agent).and_then(|grant| grant.permit_workspace());
            agent::ask(&asked, agent, editor, &packages).await
        }
        (Some(_), _) if arguments.failure.is_some() => Err(usage(format!(
            "`{name}` is a probe: `--failure` is for agents, `--address` and `--log-file` are for probes"
        ))),
        (Some(probe), _) => probe::ask(&asked, probe).await,
        (None, Some(_)) => Err(usage(format!("`{name}` is an agent: say what failed with `--failure FILE`"))),
        (None, None) if entry.plugin.evaluator().is_some() => {
            Err(usage(format!("`{name}` is an evaluator: say what it judges with `--tree DIR`")))
        }
        (None, None) => Err(usage(format!("`{name}` is neither a probe nor an agent nor an evaluator"))),
    }
}

/// Who is asked, and how the answer is wanted.
pub(super) struct Asked<'a> {
    pub(super) name: &'a PluginId,
    pub(super) arguments: &'a cli::PluginRun,
    output: cli::Output,
    grants: Option<String>,
}

impl Asked<'_> {
    /// What was typed is wrong.
    pub(super) fn usage(&self, message: &str) -> Exit {
        complain(self.output, message);
        Exit::Usage
    }

    /// The time for everything.
    pub(super) fn time(&self, default: Duration) -> Duration {
        self.arguments.timeout.map_or(default, Duration::from_millis)
    }

    /// Tells the answer, and after it what its calls used, were denied and printed.
    pub(super) fn tell<T>(&self, answer: &[(&str, Value)], calls: &[CallReport<T>]) {
        let all = || calls.iter();
        let ms = |span: Duration| span.as_micros() as f64 / 1000.0;
        let used = json!({
            "elapsed_ms": ms(all().map(|call| call.usage.wall).sum()),
            "busy_ms": ms(all().map(|call| call.usage.busy).sum()),
            "memory_bytes": all().map(|call| call.usage.memory).max().unwrap_or(0),
            "reply_bytes": all().map(|call| call.usage.reply).sum::<u64>(),
            "network_bytes": all().map(|call| call.usage.network).sum::<u64>(),
            "requests": all().map(|call| call.usage.requests).sum::<u32>(),
        });
        let printed: Vec<&str> =
            all().flat_map(|call| call.log.lines.iter().map(|line| line.text.as_str())).collect();
        let grants = self.grants.as_deref();
        let denied = all().flat_map(|call| call.record.denied());
        let denied: Vec<Value> = if self.output == cli::Output::Json {
            let one = |denied: &razar_core::grant::Denied| {
                json!({
                    "capability": denied.capability().to_string(), "reason": denied.reason().as_str(),
                    "subject": denied.subject(), "remedy": denied.remedy(self.name, grants),
                })
            };
            denied.map(one).collect()
        } else {
            denied.map(|denied| json!(format!("{denied}: {}", denied.remedy(self.name, grants)))).collect()
        };
        let mut about: About = vec![("plugin".to_owned(), json!(self.name))];
        about.extend(answer.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
        about.extend([
            ("used".to_owned(), used),
            ("denied".to_owned(), json!(denied)),
            ("printed".to_owned(), json!(printed)),
        ]);
        if self.output == cli::Output::Json {
            say(&Value::Object(about.into_iter().collect()).to_string());
        } else {
            show(&about, 0);
        }
    }

    /// Whether programs read the answer.
    pub(super) fn is_json(&self) -> bool {
        self.output == cli::Output::Json
    }
}
