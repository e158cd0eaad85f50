//! `set-roster`: the hands of a host behind its wall for one file, the roster. It names who is active, keeps a copy of the file beside it
//! and puts that back. Hidden, because who types it changes what nobody has decided to change.

use std::path::Path;

use razar_core::id::Digest;
use serde_json::json;

use super::{Exit, complain, say};
use crate::cli::Output;
use crate::roster;

pub(super) fn set_roster(file: &Path, save: bool, activate: Option<&str>, restore: Option<Digest>) -> Exit {
    let done = match (save, activate, restore) {
        (true, _, _) => roster::save(file)
            .map(|(copy, active)| say(&json!({ "copy": copy, "active": active }).to_string())),
        (_, Some(name), _) => roster::activate(file, name),
        (_, _, Some(copy)) => roster::restore(file, &copy),
        _ => Err("say `--save`, `--activate NAME` or `--restore DIGEST`".to_owned()),
    };
    match done {
        Ok(()) => Exit::Done,
        Err(error) => {
            complain(Output::Human, &error);
            Exit::Failed
        }
    }
}
