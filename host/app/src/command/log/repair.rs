//! `log repair`: keeps what is intact, and says what was lost and where the damaged file is now.

use std::path::Path;

use razar_ledger::repair::{Repaired, repair as repair_ledger};
use serde_json::{Value, json};

use super::{Exit, tell, unread};
use crate::cli::Output;
use crate::command::say;

pub(super) fn repair(state: &Path, output: Output) -> Exit {
    let repaired = match repair_ledger(state) {
        Ok(repaired) => repaired,
        Err(error) => return unread(output, error),
    };
    let lost = repaired.as_ref().map_or(0, Repaired::lost);
    match (&repaired, output) {
        (_, Output::Json) => {
            let mut answer = match &repaired {
                Some(repaired) => serde_json::to_value(repaired).unwrap_or_default(),
                None => json!({}),
            };
            if let Value::Object(answer) = &mut answer {
                answer.insert("repaired".to_owned(), repaired.is_some().into());
                answer.insert("lost".to_owned(), lost.into());
            }
            say(&answer.to_string());
        }
        (None, _) => tell("nothing to repair: the ledger is intact"),
        (Some(repaired), _) => show(repaired),
    }
    if lost == 0 { Exit::Done } else { Exit::Failed }
}

fn show(repaired: &Repaired) {
    for damage in &repaired.damage {
        tell(format!("damage: {damage}"));
    }
    tell(format!("kept: {} facts", repaired.kept.seq));
    match (repaired.lost(), repaired.expected) {
        (0, Some(_)) => tell("lost: no fact"),
        (0, None) => tell("lost: nobody knows how many facts there were"),
        (lost, _) => tell(format!("lost: {lost} facts, from {} on", repaired.kept.seq.saturating_add(1))),
    }
    let rest = &repaired.rest;
    tell(format!(
        "also kept: {} stored files, {} one-time ids, {} values of plugins",
        rest.blobs, rest.used_ids, rest.plugin_values
    ));
    for table in &rest.incomplete {
        tell(format!("incomplete: `{table}` could not be read to its end"));
    }
    if !rest.state_id {
        tell("incomplete: the ledger's own name was lost; it has a new one");
    }
    tell(format!("the damaged file: {}", repaired.aside.display()));
}
