//! `log key`: the public key of a state directory, made with its private half when there is none.

use std::path::Path;

use razar_ledger::LedgerReader;
use razar_ledger::key::LedgerKey;
use serde_json::json;

use super::{Exit, unread};
use crate::cli::Output;
use crate::command::say;

pub(super) fn key(state: &Path, output: Output) -> Exit {
    // Only a directory that a host has used: nothing is created in a mistyped one.
    if let Err(error) = LedgerReader::open(state) {
        return unread(output, error);
    }
    match LedgerKey::open_or_create(state) {
        Ok(key) => {
            let public = key.public();
            match output {
                Output::Json => say(&json!({ "key": public }).to_string()),
                Output::Human | Output::Plain => say(&public.to_string()),
            }
            Exit::Done
        }
        Err(error) => unread(output, error),
    }
}
