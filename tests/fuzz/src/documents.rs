//! Documents people write: read without a panic, or refused with problems that a terminal survives.

use razar_core::document::{grants as grants_file, lock, plugin, signers as signers_file};
use razar_core::grant::Role;
use razar_core::id::PluginId;
use razar_core::plan::{Context, Overrides, Plugins, SettingsProblem, build, count_components};
use razar_core::problem::Problem;
use serde_json::Value;

/// Longest problem anybody reads; a document must not be able to fill the screen with itself.
const LONGEST: usize = 16 << 10;

/// `plugin.toml`.
pub fn plugin_manifest(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    judge(plugin::parse("plugin.toml", text).map(drop));
}

/// `grants.toml`: whatever is granted can be written down and read again.
pub fn grants(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let read = grants_file::parse("grants.toml", text);
    if let Ok(grants) = &read {
        for (capability, line) in grants.values().flat_map(razar_core::grant::Grant::lines) {
            assert!(!line.contains(['\n', '\r', '\x1b']), "{capability}: {line:?}");
        }
    }
    judge(read.map(drop));
}

/// `plugins.lock`: what is read can be written, and is read as the same.
pub fn plugins_lock(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let read = lock::parse("plugins.lock", text);
    if let Ok(read) = &read {
        let written = lock::render(read).expect("it has a text");
        assert_eq!(lock::parse("plugins.lock", &written).expect("it is one"), *read, "{written}");
    }
    judge(read.map(drop));
}

/// `signers.toml`: whoever is believed may sign something.
pub fn signers(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let read = signers_file::parse("signers.toml", text);
    if let Ok(signers) = &read {
        assert!(signers.signers.values().all(|signer| !signer.plugins.is_empty()), "{signers:?}");
    }
    judge(read.map(drop));
}

/// `boot_config.json`: a plan has the components that were counted, each once.
pub fn boot_config(data: &[u8]) {
    let context = Context {
        file: "boot_config.json",
        directory: "/srv",
        plugins: &Shipped,
        overrides: &Overrides::default(),
        roster: None,
    };
    let plan = build(data, &context);
    if let Ok(plan) = &plan {
        assert_eq!(count_components(data), Some(plan.components.len()));
        let names: std::collections::BTreeSet<_> = plan.components.iter().map(|c| &c.id).collect();
        assert_eq!(names.len(), plan.components.len());
    }
    judge(plan.map(drop));
}

fn judge(read: Result<(), Vec<Problem>>) {
    let Err(problems) = read else { return };
    assert!(!problems.is_empty(), "refused without a reason");
    for problem in problems {
        let text = problem.to_string();
        assert!(text.len() <= LONGEST, "a problem of {} bytes", text.len());
        let odd = text.chars().find(|c| c.is_control() && *c != '\n');
        assert_eq!(odd, None, "{text:?}");
    }
}

/// The shipped probes, which accept any settings.
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

    fn check_settings(&self, _: &PluginId, _: &Value) -> Vec<SettingsProblem> {
        Vec::new()
    }
}
