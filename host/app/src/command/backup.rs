//! `backup`: one file that holds everything that is remembered, made beside a running host.

use razar_ledger::backup::BackupError;

use super::{Exit, blocking, complain, say};
use crate::cli::{Backup, Output};
use crate::report::escape;

pub(super) async fn backup(arguments: Backup) -> Exit {
    blocking(move || {
        let Backup { file, state, with_keys, output } = arguments;
        let made = match razar_ledger::backup::backup(&state.state, &file, with_keys) {
            Ok(made) => made,
            Err(error) => {
                complain(output, &escape::line(&error.to_string()));
                return match &error {
                    BackupError::Exists(_) => Exit::Usage,
                    BackupError::Ledger(error) => Exit::of(error),
                    _ => Exit::Failed,
                };
            }
        };
        match output {
            Output::Json => say(&serde_json::to_string(&made).unwrap_or_default()),
            Output::Human | Output::Plain => {
                for left_out in &made.left_out {
                    say(&escape::line(&format!("left out: {left_out}")));
                }
                let (files, head) = (made.manifest.files.len(), made.manifest.head);
                say(&escape::line(&format!(
                    "{files} files and {} facts are in {}, read back and compared; the last fact is {}",
                    head.seq,
                    made.file.display(),
                    head.hash
                )));
            }
        }
        Exit::Done
    })
    .await
}
