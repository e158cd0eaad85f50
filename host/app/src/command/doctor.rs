//! `doctor`: what this machine lacks for a host, and what to do about it.

use serde_json::json;

use super::{Exit, say};
use crate::cli::{self, Output};
use crate::doctor::{Finding, examine};
use crate::report::escape;

pub(super) fn doctor(arguments: &cli::Doctor) -> Exit {
    let findings = examine(&arguments.state.state);
    let lacking = |needed: bool| findings.iter().filter(|found| !found.ok && found.needed == needed).count();
    let (needed, useful) = (lacking(true), lacking(false));
    if arguments.output == Output::Json {
        for found in &findings {
            say(&json!(found).to_string());
        }
        say(&json!({ "ok": needed == 0, "missing": needed, "advice": useful }).to_string());
    } else {
        findings.iter().for_each(show);
        say(match (needed, useful) {
            (0, 0) => "this machine has everything",
            (0, _) => "this machine has everything that is needed",
            _ => "something that is needed is missing",
        });
    }
    if needed == 0 { Exit::Done } else { Exit::Failed }
}

fn show(found: &Finding) {
    let word = match (found.ok, found.needed) {
        (true, _) => "ok",
        (false, true) => "missing",
        (false, false) => "advice",
    };
    say(&format!("{word:<8} {:<16} {}", found.check, escape::line(&found.detail)));
    if let Some(remedy) = found.remedy {
        say(&format!("         hint: {remedy}"));
    }
}
