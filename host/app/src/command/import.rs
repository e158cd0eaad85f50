//! `import`: takes over what the original system left behind, and says what it did with every file.

use razar_ledger::import::{self, ImportError, Report};
use razar_ledger::{Ledger, LedgerError, Views};

use super::{Exit, blocking, complain, say};
use crate::cli::{Import, Output};
use crate::report::{escape, moment};

pub(super) async fn import(arguments: Import) -> Exit {
    blocking(move || {
        let report = match take_over(&arguments) {
            Ok(report) => report,
            Err((exit, message)) => {
                complain(arguments.output, &escape::line(&message));
                return exit;
            }
        };
        match arguments.output {
            Output::Json => say(&serde_json::to_string(&report).unwrap_or_default()),
            Output::Human | Output::Plain => show(&report),
        }
        if report.aside.is_empty() && report.ignored.is_empty() { Exit::Done } else { Exit::Failed }
    })
    .await
}

fn take_over(arguments: &Import) -> Result<Report, (Exit, String)> {
    let state = &arguments.state.state;
    let refused = |error: ImportError| match error {
        ImportError::Own(_) | ImportError::Nothing(_) | ImportError::Source { .. } => {
            (Exit::Usage, error.to_string())
        }
        other => (Exit::Failed, other.to_string()),
    };
    // First, so that a mistyped name leaves no state directory behind.
    let found = import::find(&arguments.dir, state).map_err(refused)?;
    let mut ledger = Ledger::open(state).map_err(|error| match error {
        LedgerError::Held { .. } | LedgerError::Foreign(_) | LedgerError::Newer { .. } => {
            (Exit::Usage, error.to_string())
        }
        other => (Exit::Failed, other.to_string()),
    })?;
    let report = import::import(found, &mut ledger, state, moment::now()).map_err(refused)?;
    // Quarantine files follow from facts like every other view.
    let views = Views::open(&ledger, state).map_err(|error| (Exit::Failed, error.to_string()))?;
    for behind in views.behind() {
        tracing::warn!("{behind}");
    }
    Ok(report)
}

fn show(report: &Report) {
    let tell = |line: String| say(&escape::line(&line));
    for file in &report.files {
        let known = if file.known > 0 { format!(", {} known already", file.known) } else { String::new() };
        let mended = if file.repaired > 0 { format!(", {} repaired", file.repaired) } else { String::new() };
        tell(format!("{}: {} records{known}{mended}", file.source, file.imported));
    }
    for component in &report.quarantined {
        tell(format!("{component}: in quarantine, as it was"));
    }
    for aside in &report.aside {
        tell(format!(
            "set aside: part of {} ({}), kept in {}",
            aside.source,
            aside.why,
            aside.kept.display()
        ));
    }
    for ignored in &report.ignored {
        tell(format!("not read: {} ({})", ignored.source, ignored.why));
    }
    if !report.others.is_empty() {
        tell(format!("no history of the original system, so not read: {}", report.others.join(", ")));
    }
    tell(format!("{} records of {} files are facts now", report.imported(), report.files.len()));
}
