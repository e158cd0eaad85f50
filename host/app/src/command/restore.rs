//! `restore`: a state directory from a backup, or nothing at all.

use razar_ledger::LedgerError;
use razar_ledger::restore::RestoreError;

use super::{Exit, blocking, complain, say};
use crate::cli::{Output, Restore};
use crate::report::escape;

pub(super) async fn restore(arguments: Restore) -> Exit {
    blocking(move || {
        let Restore { file, state, output } = arguments;
        let restored = match razar_ledger::restore::restore(&file, &state.state) {
            Ok(restored) => restored,
            Err(error) => {
                complain(output, &escape::line(&format!("cannot restore `{}`: {error}", file.display())));
                let usage = matches!(
                    error,
                    RestoreError::NotEmpty(_) | RestoreError::Ledger(LedgerError::Held { .. })
                );
                return if usage { Exit::Usage } else { Exit::Failed };
            }
        };
        match output {
            Output::Json => say(&serde_json::to_string(&restored).unwrap_or_default()),
            Output::Human | Output::Plain => say(&escape::line(&format!(
                "{} facts of ledger {} are in {}; it is {}",
                restored.report.facts,
                restored.manifest.state,
                state.state.display(),
                if restored.report.intact {
                    "intact"
                } else {
                    "NOT intact: `razar-host log verify` tells more"
                }
            ))),
        }
        if restored.report.intact { Exit::Done } else { Exit::Failed }
    })
    .await
}
