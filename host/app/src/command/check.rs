//! `check`: everything that `run` would find wrong, and nothing started. Also what `run` does first.

use std::path::{Path, PathBuf};

use razar_core::count::counted;
use razar_core::plan::{
    BootPlan, Context, MAX_DOCUMENT, Overrides, Plugins, Roster, build, count_components,
};
use razar_core::problem::Problem;

use super::{Exit, complain, hints, one_shot_kept, say, show_problems, show_warnings};
use crate::cli::{self, Output};
use crate::packages::Packages;
use crate::{environment, preflight, roster};

/// A configuration that holds.
pub(super) struct Checked {
    pub(super) plan: BootPlan,
    /// The bytes as read: their digest goes into the facts.
    pub(super) document: Vec<u8>,
    /// The roster, if there is one.
    pub(super) roster: Option<Roster>,
}

/// Reads and validates the boot configuration, and the roster, against these plugins.
pub(super) fn read_plan(
    config: &Path,
    roster: Option<&Path>,
    overrides: &Overrides,
    packages: &dyn Plugins,
) -> Result<Checked, Vec<Problem>> {
    let document = read_document(config).map_err(|problem| vec![problem])?;
    let (roster, unread) = match roster.map(|file| roster::read(file, packages, overrides)).transpose() {
        Ok(roster) => (roster, Vec::new()),
        Err(problems) => (None, problems),
    };
    let file = config.display().to_string();
    let directory = absolute_parent(config).map_err(|error| {
        vec![Problem {
            file: file.clone(),
            place: "file".to_owned(),
            message: format!("cannot be located: {error}"),
            hint: None,
        }]
    })?;
    let directory = directory.display().to_string();
    let context =
        Context { file: &file, directory: &directory, plugins: packages, overrides, roster: roster.as_ref() };
    match build(&document, &context) {
        Ok(plan) if unread.is_empty() => Ok(Checked { plan, document, roster }),
        Ok(_) => Err(unread),
        Err(problems) => Err(unread.into_iter().chain(problems).collect()),
    }
}

/// What the environment says instead of the documents.
pub(super) fn overrides() -> Overrides {
    Overrides {
        interval: environment::probe_interval(),
        rstar_threshold: environment::rstar_threshold(),
        warning_threshold: environment::warning_threshold(),
        ..Overrides::default()
    }
}

/// The bytes of a boot configuration, no more than may be read.
pub(super) fn read_document(config: &Path) -> Result<Vec<u8>, Problem> {
    let wrong = |message: String, hint: Option<String>| Problem {
        file: config.display().to_string(),
        place: "file".to_owned(),
        message,
        hint,
    };
    let length = std::fs::metadata(config).map(|meta| meta.len()).unwrap_or(0);
    if length > MAX_DOCUMENT as u64 {
        return Err(wrong(format!("has {length} bytes; at most {MAX_DOCUMENT} are read"), None));
    }
    std::fs::read(config).map_err(|error| {
        let hint = "name the boot configuration with `--config FILE`".to_owned();
        wrong(format!("cannot be read: {error}"), Some(hint))
    })
}

pub(super) fn absolute_parent(file: &Path) -> std::io::Result<PathBuf> {
    let absolute = std::path::absolute(file)?;
    Ok(absolute.parent().map(Path::to_owned).unwrap_or_default())
}

pub(super) async fn check(arguments: cli::Check) -> Exit {
    let output = arguments.output;
    let runtime = match one_shot_kept() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(output, &error);
            return Exit::Internal;
        }
    };
    let packages = Packages::load(arguments.plugins.sources(), &runtime).await;
    let overrides = Overrides { retries: arguments.stack.retries, ..overrides() };
    let roster = roster::of(&arguments.stack);
    let config = &arguments.stack.config;
    let mut problems = packages.problems().to_vec();
    let mut warnings = packages.warnings().to_vec();
    let components = match read_plan(config, roster.as_deref(), &overrides, &packages) {
        Ok(checked) => {
            if let (Some(file), Some(roster)) = (&roster, &checked.roster) {
                warnings.extend(roster.warnings.iter().cloned());
                let file = file.display().to_string();
                warnings.extend(hints::strange(&file, roster, &packages));
                if !arguments.plugins.plugins.is_empty() {
                    warnings.extend(hints::absent(&file, roster, &packages));
                }
            }
            warnings.extend(checked.plan.warnings.iter().cloned());
            let file = config.display().to_string();
            problems.extend(preflight::problems(&file, &checked.document, &checked.plan));
            Some(checked.plan.components.len())
        }
        Err(found) => {
            problems.extend(found);
            read_document(config).ok().and_then(|document| count_components(&document))
        }
    };
    show_problems(&problems, output);
    show_warnings(&warnings, output);
    let plugins = packages.iter().count();
    if output == Output::Json {
        let sum = serde_json::json!({
            "components": components, "plugins": plugins, "problems": problems.len(),
            "warnings": warnings.len(),
        });
        say(&sum.to_string());
    } else if problems.is_empty() {
        let components = counted(components.unwrap_or_default(), "component");
        say(&format!("{components} and {} are in order", counted(plugins, "plugin")));
    } else {
        complain(output, &format!("{}; nothing was started", counted(problems.len(), "problem")));
    }
    if problems.is_empty() { Exit::Done } else { Exit::Usage }
}
