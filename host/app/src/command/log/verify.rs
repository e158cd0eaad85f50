//! `log verify`: the ledger of a state directory, or a bundle of facts, against everything that remembers it.

use std::path::Path;

use razar_core::count::counted;
use razar_ledger::bundle::{self, Refused};
use razar_ledger::key::PublicKey;
use razar_ledger::verify::{Report, Witness};
use serde_json::json;

use super::{Exit, fail, tell, unread};
use crate::cli::{LogVerify, Output};
use crate::command::say;

pub(super) fn verify(arguments: &LogVerify) -> Exit {
    let key = match arguments.key.as_deref().map(PublicKey::read).transpose() {
        Ok(key) => key,
        Err(error) => return unread(arguments.output, error),
    };
    match (&arguments.bundle, key) {
        (Some(file), Some(key)) => verify_bundle(file, &key, arguments.output),
        // The command line does not let this happen.
        (Some(_), None) => {
            fail(arguments.output, Exit::Usage, "a bundle is checked with `--key PUBLIC_KEY_FILE`")
        }
        (None, Some(_)) if arguments.witness.is_none() => fail(
            arguments.output,
            Exit::Usage,
            "`--key` says who signed a bundle or a witness: name one of them too",
        ),
        (None, key) => verify_ledger(arguments, key),
    }
}

fn verify_ledger(arguments: &LogVerify, key: Option<PublicKey>) -> Exit {
    let witness = match &arguments.witness {
        Some(place) => match place.notes() {
            Ok(lines) => Some(Witness { name: place.to_string(), lines, key }),
            Err(message) => return fail(arguments.output, Exit::Usage, message),
        },
        None => None,
    };
    let report = match razar_ledger::verify::verify(&arguments.state.state, witness.as_ref()) {
        Ok(report) => report,
        Err(error) => return unread(arguments.output, error),
    };
    match arguments.output {
        Output::Json => say(&serde_json::to_string(&report).unwrap_or_default()),
        Output::Human | Output::Plain => show(&report),
    }
    if report.intact { Exit::Done } else { Exit::Failed }
}

fn show(report: &Report) {
    let name = report.state.as_deref().unwrap_or("without a name");
    let verdict = if report.intact { "intact" } else { "NOT intact" };
    tell(format!("ledger {name}: {verdict}"));
    match report.head {
        Some(head) => tell(format!("facts: {} verified, the last is {}", report.facts, head.hash)),
        None => tell("facts: none"),
    }
    if let Some(bad) = &report.first_bad {
        tell(format!("first bad fact: {} - {}", bad.seq, bad.what));
    }
    if report.unreadable > 0 {
        tell(format!("facts only another version can read: {}", report.unreadable));
    }
    match report.database.as_slice() {
        [] => tell("database: every page is in order"),
        findings => findings.iter().for_each(|finding| tell(format!("database: {finding}"))),
    }
    for told in &report.anchors {
        tell(format!("{}: {} - {}", told.anchor, told.verdict.as_str(), told.says));
    }
    if report.first_bad.is_some() || !report.database.is_empty() {
        tell(
            "remedy: `razar-host log repair` keeps the intact facts and sets the rest aside; or `razar-host restore`",
        );
    }
}

fn verify_bundle(file: &Path, key: &PublicKey, output: Output) -> Exit {
    let name = file.display();
    let bytes = match bundle::bytes_of(file) {
        Ok(bytes) => bytes,
        Err(error) => return fail(output, Exit::Usage, format!("cannot read `{name}`: {error}")),
    };
    match (bundle::check(&bytes, key), output) {
        (Ok(bundle), Output::Json) => {
            let (facts, recordings) = (bundle.facts.len(), bundle.attached.len());
            let head = bundle.head.checkpoint;
            say(&json!({
                "intact": true, "about": bundle.about, "facts": facts, "recordings": recordings, "head": head,
            })
            .to_string());
            Exit::Done
        }
        (Ok(bundle), _) => {
            let head = &bundle.head.checkpoint;
            let and = match bundle.attached.len() {
                0 => String::new(),
                recordings => format!(" and {}", counted(recordings, "recording")),
            };
            tell(format!(
                "bundle: intact, {} facts{and} about {} of ledger {}, signed when it ended with fact {}",
                bundle.facts.len(),
                bundle.about,
                head.state,
                head.head.seq
            ));
            Exit::Done
        }
        (Err(refused @ Refused::Foreign), output) => {
            fail(output, Exit::Usage, format!("`{name}`: {refused}"))
        }
        (Err(refused), Output::Json) => {
            say(&json!({ "intact": false, "why": refused.to_string() }).to_string());
            Exit::Failed
        }
        (Err(refused), _) => {
            tell(format!("bundle `{name}`: NOT intact - {refused}"));
            Exit::Failed
        }
    }
}
