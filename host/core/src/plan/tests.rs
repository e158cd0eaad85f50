//! What reading a boot configuration promises: both shapes mean the same, every mistake is named at its place with a
//! remedy, and nothing anybody can write makes it panic or slow.

mod document;
mod graph;
mod mistakes;
mod patch;
mod roster;
mod shapes;

use serde_json::Value;

use super::{BootPlan, Context, Overrides, Plugins, SettingsProblem, build};
use crate::grant::Role;
use crate::id::PluginId;
use crate::problem::Problem;

/// The shipped probes; settings are checked for one key only, as a JSON Schema would.
struct Shipped;

impl Plugins for Shipped {
    fn names(&self, role: Role) -> Vec<PluginId> {
        let names: &[&str] = match role {
            Role::Probe => &["probe-http", "probe-log", "probe-tcp"],
            Role::Agent => &["agent-openai"],
            Role::Evaluator => &["evaluator-syntax"],
            Role::Tools => &[],
        };
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    fn check_settings(&self, _: &PluginId, settings: &Value) -> Vec<SettingsProblem> {
        let typing_error = settings.get("stauts").map(|_| SettingsProblem {
            pointer: "/stauts".to_owned(),
            message: "unknown setting `stauts`".to_owned(),
            hint: Some("did you mean `status`?".to_owned()),
        });
        typing_error.into_iter().collect()
    }

    fn how_to_wake(&self, plugin: &PluginId) -> Option<String> {
        (plugin.as_str() == "agent-idle").then(|| "write it below `[agent-idle]`".to_owned())
    }
}

/// A host without plugins.
struct NoPlugins;

impl Plugins for NoPlugins {
    fn names(&self, _: Role) -> Vec<PluginId> {
        Vec::new()
    }

    fn check_settings(&self, _: &PluginId, _: &Value) -> Vec<SettingsProblem> {
        Vec::new()
    }
}

fn context(overrides: &Overrides) -> Context<'_> {
    Context { file: "boot.json", directory: "/srv/stack", plugins: &Shipped, overrides, roster: None }
}

fn read(document: &[u8]) -> Result<BootPlan, Vec<Problem>> {
    build(document, &context(&Overrides::default()))
}

fn plan(document: &Value) -> BootPlan {
    read(document.to_string().as_bytes()).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

fn problems(document: &str) -> Vec<Problem> {
    read(document.as_bytes()).expect_err("accepted")
}
