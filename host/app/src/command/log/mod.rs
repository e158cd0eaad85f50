//! `log`: one file per command about the ledger. They read what is recorded; only `repair` and the making of a key
//! change anything, and neither while it could disturb a host.

pub(super) mod export;
mod key;
mod repair;
mod tail;
mod verify;

use razar_ledger::LedgerError;

use super::{Exit, blocking, complain, say};
use crate::cli::{Log, Output};
use crate::report::escape;

/// Runs one of them to its end.
pub(super) async fn log(command: Log) -> Exit {
    blocking(move || match command {
        Log::Verify(arguments) => verify::verify(&arguments),
        Log::Repair { state, output } => repair::repair(&state.state, output),
        Log::Tail(arguments) => tail::tail(&arguments),
        Log::Export(arguments) => export::export(&arguments),
        Log::Key { state, output } => key::key(&state.state, output),
    })
    .await
}

/// Says what went wrong, harmless for a terminal.
fn fail(output: Output, exit: Exit, message: impl ToString) -> Exit {
    complain(output, &escape::line(&message.to_string()));
    exit
}

/// Says why a ledger cannot be read.
fn unread(output: Output, error: LedgerError) -> Exit {
    fail(output, Exit::of(&error), error)
}

/// One line of an answer, harmless for a terminal.
fn tell(line: impl AsRef<str>) {
    say(&escape::line(line.as_ref()));
}
