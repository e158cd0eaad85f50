//! `plugin remove`: what was pinned is so no more. It looks at no configuration: whoever names the plugin is told by `check`.

use std::path::Path;

use razar_core::id::PluginId;
use razar_core::problem::{Problem, nearest};
use serde_json::json;

use super::super::{Exit, complain, say, show_problems};
use super::pin_json;
use super::store::{Store, StoreError};
use crate::cli::{self, Output};
use crate::report::escape;

pub(super) fn remove(arguments: &cli::PluginRemove) -> Exit {
    let output = arguments.output;
    let [dir] = arguments.plugins.as_slice() else {
        complain(output, "where from? name one directory of pinned plugins with `--plugins DIR`");
        return Exit::Usage;
    };
    let name = match arguments.name.parse::<PluginId>() {
        Ok(name) => name,
        Err(error) => {
            complain(output, &error.to_string());
            return Exit::Usage;
        }
    };
    match Store::locked(dir).and_then(|store| taken_away(store, &name, dir, output)) {
        Ok(exit) => exit,
        Err(error) => {
            show_problems(&error.problems(dir), output);
            if matches!(error, StoreError::Unlocked(_)) { Exit::Usage } else { Exit::Failed }
        }
    }
}

fn taken_away(store: Store, name: &PluginId, dir: &Path, output: Output) -> Result<Exit, StoreError> {
    let near = nearest(name.as_str(), store.pinned()).map(str::to_owned);
    let (pin, left) = store.remove(name)?;
    if pin.is_none() && !left {
        let elsewhere = || format!("`razar-host plugin list --plugins {}` lists who is", dir.display());
        show_problems(
            &[Problem {
                file: dir.display().to_string(),
                place: name.to_string(),
                message: "is not pinned here".to_owned(),
                hint: Some(near.map_or_else(elsewhere, |near| format!("did you mean `{near}`?"))),
            }],
            output,
        );
        return Ok(Exit::Usage);
    }
    match output {
        Output::Json => {
            say(&json!({ "plugin": name, "removed": true, "pin": pin.as_ref().map(pin_json) }).to_string());
        }
        Output::Human | Output::Plain => {
            let version = pin.map_or_else(String::new, |pin| format!(" {}", pin.version));
            say(&escape::line(&format!(
                "{name}{version} is gone from {}; `razar-host check` says who names it",
                dir.display()
            )));
        }
    }
    Ok(Exit::Done)
}
