//! `log export` and `incident export`: write a bundle, whole or not at all, and never over another file.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

use razar_core::id::ComponentId;
use razar_ledger::LedgerReader;
use razar_ledger::bundle::{self, About, Bundle, ExportError};
use razar_ledger::key::LedgerKey;
use serde_json::json;

use super::{Exit, fail, tell, unread};
use crate::cli::{LogExport, Output, State};
use crate::command::say;
use crate::report::moment;

pub(super) fn export(arguments: &LogExport) -> Exit {
    let output = arguments.output;
    let component = match arguments.component.parse::<ComponentId>() {
        Ok(component) => component,
        Err(error) => return fail(output, Exit::Usage, error),
    };
    let about = About { component, from: arguments.from, to: arguments.to };
    let LogExport { out, key, state, .. } = arguments;
    written(&Wanted { about, recordings: false, out, key: key.as_deref(), state, output })
}

/// What is to be in a bundle, and where.
pub(in crate::command) struct Wanted<'a> {
    pub(in crate::command) about: About,
    /// With the recordings of calls.
    pub(in crate::command) recordings: bool,
    pub(in crate::command) out: &'a Path,
    pub(in crate::command) key: Option<&'a Path>,
    pub(in crate::command) state: &'a State,
    pub(in crate::command) output: Output,
}

/// Writes it.
pub(in crate::command) fn written(wanted: &Wanted<'_>) -> Exit {
    let Wanted { about, recordings, out, key, state, output } = wanted;
    let (state, output) = (&state.state, *output);
    let reader = match LedgerReader::open(state) {
        Ok(reader) => reader,
        Err(error) => return unread(output, error),
    };
    let key = match key {
        Some(file) => LedgerKey::read(file),
        None => LedgerKey::open_or_create(state),
    };
    let key = match key {
        Ok(key) => key,
        Err(error) => return unread(output, error),
    };
    let bundle = match bundle::export(&reader, about.clone(), &key, moment::now(), *recordings) {
        Ok(bundle) => bundle,
        Err(error @ (ExportError::TooLarge | ExportError::Nothing(_))) => {
            return fail(output, Exit::Usage, error);
        }
        Err(error) => return fail(output, Exit::Failed, error),
    };
    if let Err(error) = write(out, &bundle) {
        return fail(output, Exit::Failed, format!("cannot write `{}`: {error}", out.display()));
    }
    let (facts, out) = (bundle.facts.len(), out.display().to_string());
    let attached = bundle.attached.len();
    match output {
        Output::Json => {
            say(&json!({ "file": out, "facts": facts, "recordings": attached, "key": key.public() })
                .to_string())
        }
        Output::Human | Output::Plain => {
            let and =
                if *recordings { format!(" and {attached} recordings of calls") } else { String::new() };
            tell(format!("{facts} facts{and} about {} are in {out}, signed by", bundle.about));
            tell(key.public().to_string());
        }
    }
    Exit::Done
}

fn write(path: &Path, bundle: &Bundle) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    let written = serde_json::to_vec(bundle)
        .map_err(io::Error::from)
        .and_then(|bytes| file.write_all(&bytes))
        .and_then(|()| file.sync_all());
    if written.is_err() {
        // Half a bundle proves nothing and would be in the way of the next attempt.
        let _ = fs::remove_file(path);
    }
    written
}
