//! What `check` can say about a plan by looking at this machine: programs, directories and users that are not there.
//! It looks only where the launcher would look, and starts nothing.

use std::collections::BTreeSet;
use std::path::Path;

use razar_core::plan::{BootPlan, Check, ComponentPlan};
use razar_core::problem::{Problem, nearest};

use crate::launcher::client::environment;
use crate::launcher::spawn::{SpawnError, check_workdir, resolve};
use crate::launcher::user::{self, UserError};

/// Names looked at for one that was meant: a directory of programs has a few thousand.
const MAX_NAMES: usize = 20_000;

/// Everything this machine lacks, in the order of the document.
pub(crate) fn problems(file: &str, document: &[u8], plan: &BootPlan) -> Vec<Problem> {
    // It has been read once already, so it is JSON; it only says which of two words was used.
    let written: serde_json::Value = serde_json::from_slice(document).unwrap_or_default();
    let mut problems = Vec::new();
    for (index, component) in plan.components.iter().enumerate() {
        let entry = written.get("components").and_then(|list| list.get(index));
        let has = |key: &str| entry.is_some_and(|entry| entry.get(key).is_some());
        let command = if has("command") { "command" } else { "entrypoint" };
        let health = if has("health_check") { "health_check" } else { "health" };
        let mut add = |key: &str, (message, hint)| {
            let place = format!("components[{index}].{key}");
            problems.push(Problem { file: file.to_owned(), place, message, hint });
        };
        if let Err(error) = check_workdir(&component.workdir) {
            // Nothing in it can be found either, so nothing more is said.
            add("workdir", split(&error.to_string()));
            continue;
        }
        if let Some(wrong) = missing(component, &component.command) {
            add(command, wrong);
        }
        for root in component.patch.roots() {
            // A link counts as there: that nothing is patched through it is the gate's to say.
            if std::fs::symlink_metadata(Path::new(&component.workdir).join(root)).is_err() {
                let hint = "correct it, or create it: nothing else may be patched".to_owned();
                add("patch.roots", (format!("there is no `{root}` in `{}`", component.workdir), Some(hint)));
            }
        }
        for (key, argv) in checks(component, health) {
            if let Some(wrong) = missing(component, argv) {
                add(key, wrong);
            }
        }
        // Whether this user may become that one is another question: `check` may be run by anybody.
        if let Some(Err(error @ UserError::Unknown(_))) = component.user.as_deref().map(user::find) {
            add("user", split(&error.to_string()));
        }
    }
    problems
}

/// The native checks, each argument list once.
fn checks<'a>(component: &'a ComponentPlan, general: &'a str) -> Vec<(&'a str, &'a [String])> {
    let mut seen = BTreeSet::new();
    let phases = component.probes.all();
    phases
        .filter_map(|(_, probe)| match &probe.check {
            Check::Command(argv) => seen.insert(argv).then_some((general, argv.as_slice())),
            Check::Plugin { .. } | Check::Process => None,
        })
        .collect()
}

fn missing(component: &ComponentPlan, argv: &[String]) -> Option<(String, Option<String>)> {
    let name = argv.first()?;
    let env = environment(component);
    let path = env.get("PATH").map_or("", String::as_str);
    let error = resolve(name, path, &component.workdir).err()?;
    let (message, remedy) = split(&error.to_string());
    let meant = match &error {
        SpawnError::NotInPath { .. } => {
            near(name, path.split(':').filter(|dir| !dir.is_empty()).map(Path::new), &component.workdir)
        }
        SpawnError::Missing(_) => {
            let (dir, last) = name.rsplit_once('/')?;
            let dir = if dir.is_empty() { "/" } else { dir };
            near(last, [Path::new(dir)].into_iter(), &component.workdir)
                .map(|meant| format!("{}/{meant}", dir.trim_end_matches('/')))
        }
        _ => None,
    };
    Some((message, meant.map(|meant| format!("did you mean `{meant}`?")).or(remedy)))
}

/// A message and its remedy, which follows the last colon.
fn split(error: &str) -> (String, Option<String>) {
    match error.rsplit_once(": ") {
        Some((message, remedy)) => (message.to_owned(), Some(remedy.to_owned())),
        None => (error.to_owned(), None),
    }
}

fn near<'a>(name: &str, dirs: impl Iterator<Item = &'a Path>, workdir: &str) -> Option<String> {
    let names = dirs
        .filter_map(|dir| std::fs::read_dir(Path::new(workdir).join(dir)).ok())
        .flatten()
        .filter_map(|item| item.ok()?.file_name().into_string().ok());
    let names: BTreeSet<String> = names.take(MAX_NAMES).collect();
    nearest(name, names.iter().map(String::as_str)).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use razar_core::grant::Role;
    use razar_core::id::PluginId;
    use razar_core::plan::{Context, Overrides, Plugins, SettingsProblem, build};

    use super::*;

    struct Nothing;

    impl Plugins for Nothing {
        fn names(&self, _: Role) -> Vec<PluginId> {
            Vec::new()
        }
        fn check_settings(&self, _: &PluginId, _: &serde_json::Value) -> Vec<SettingsProblem> {
            Vec::new()
        }
    }

    fn found(dir: &Path, document: &serde_json::Value) -> Vec<(String, String, String)> {
        let document = document.to_string().into_bytes();
        let directory = dir.display().to_string();
        let overrides = Overrides::default();
        let context = Context {
            file: "x.json",
            directory: &directory,
            plugins: &Nothing,
            overrides: &overrides,
            roster: None,
        };
        let plan = build(&document, &context).unwrap();
        let problems = problems("x.json", &document, &plan).into_iter();
        problems.map(|p| (p.place, p.message, p.hint.unwrap_or_default())).collect()
    }

    #[test]
    fn what_this_machine_lacks_is_named_with_what_was_meant() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("bin")).unwrap();
        for (name, mode) in [("bin/serve-pages", 0o755), ("bin/plain", 0o644)] {
            std::fs::write(dir.path().join(name), "#!/bin/sh\n").unwrap();
            let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
            std::fs::set_permissions(dir.path().join(name), mode).unwrap();
        }
        let own = serde_json::json!({ "PATH": dir.path().join("bin") });
        let document = serde_json::json!({ "components": [
            { "id": "fine", "entrypoint": ["serve-pages"], "env": own, "health": "process" },
            { "id": "relative", "entrypoint": "./serve-pages", "workdir": "bin", "health": "process" },
            { "id": "typo", "entrypoint": ["serve-page"], "env": own, "health": "process" },
            { "id": "path", "command": ["bin/serve-pagse"], "health_check": ["bin/serve-pages"] },
            { "id": "absent", "entrypoint": "no-such-program-at-all", "health": "process" },
            { "id": "mode", "entrypoint": "bin/plain", "health": "process" },
            { "id": "asked", "entrypoint": "bin/serve-pages", "health": { "command": ["bin/chekc"] } },
            { "id": "nowhere", "entrypoint": "./x", "workdir": "gone", "health": "process" },
            { "id": "nobody", "entrypoint": "bin/serve-pages", "user": "no-such-user-here", "health": "process" },
            { "id": "roots", "entrypoint": "bin/serve-pages", "health": "process", "patch": { "roots": ["scr"] } },
        ] });
        let found = found(dir.path(), &document);
        let expected = [
            (
                "components[2].entrypoint",
                "was not found in PATH (1 directories",
                "did you mean `serve-pages`?",
            ),
            ("components[3].command", "`bin/serve-pagse` does not exist", "did you mean `bin/serve-pages`?"),
            ("components[4].entrypoint", "was not found in PATH", "install it or write its full path"),
            ("components[5].entrypoint", "is not executable", "`chmod +x bin/plain`"),
            ("components[6].health", "`bin/chekc` does not exist", "correct the path or install it"),
            ("components[7].workdir", "/gone` does not exist", "correct `workdir` or create it"),
            ("components[8].user", "no user `no-such-user-here`", "create the account or correct `user`"),
            (
                "components[9].patch.roots",
                "there is no `scr` in",
                "correct it, or create it: nothing else may be patched",
            ),
        ];
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for ((place, message, hint), (at, says, remedy)) in found.iter().zip(expected) {
            assert!(place == at && message.contains(says) && hint == remedy, "{place}: {message}; {hint}");
        }
    }
}
