//! `log export` and `incident export`: write a bundle, whole or not at all, and never over another file; or to standard output.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use razar_core::id::ComponentId;
use razar_ledger::LedgerReader;
use razar_ledger::bundle::{self, About, Bundle, ExportError, Exported, LeftOut, Why};
use razar_ledger::key::LedgerKey;
use razar_ledger::recordings::place;
use serde_json::{Value, json};

use super::super::{aside, warn};
use super::{Exit, fail, say, unread};
use crate::cli::{LogExport, Output, State};
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
    let exported = match bundle::export(&reader, about.clone(), &key, moment::now(), *recordings) {
        Ok(exported) => exported,
        Err(error @ (ExportError::TooLarge | ExportError::Nothing(_))) => {
            return fail(output, Exit::Usage, error);
        }
        Err(error) => return fail(output, Exit::Failed, error),
    };
    let Exported { bundle, left_out } = exported;
    let to_stdout = *out == Path::new(STDOUT);
    let written = if to_stdout { print(&bundle) } else { write(out, &bundle) };
    if let Err(error) = written {
        return fail(output, Exit::Failed, format!("cannot write `{}`: {error}", out.display()));
    }
    // What is printed beside a bundle would be a part of it.
    let tell = |line: &str| if to_stdout { aside(line) } else { say(line) };
    let (facts, attached) = (bundle.facts.len(), bundle.attached.len());
    match output {
        Output::Json => {
            let left_out: Vec<Value> = left_out.iter().map(|left| missing(state, left)).collect();
            tell(
                &json!({
                    "file": out.display().to_string(), "facts": facts, "recordings": attached,
                    "left_out": left_out, "key": key.public(),
                })
                .to_string(),
            );
        }
        Output::Human | Output::Plain => {
            for LeftOut { calls, why } in &left_out {
                let place = place(state, calls);
                let remedy = match why {
                    Why::Full => {
                        format!("; it lies in `{}`, and `incident replay` plays it there", place.display())
                    }
                    _ => String::new(),
                };
                warn(output, &format!("left out: the recording {calls}: {why}{remedy}"));
            }
            let and =
                if *recordings { format!(" and {attached} recordings of calls") } else { String::new() };
            let place =
                if to_stdout { "on standard output".to_owned() } else { format!("in {}", out.display()) };
            tell(&format!("{facts} facts{and} about {} are {place}, signed by", bundle.about));
            tell(&key.public().to_string());
        }
    }
    Exit::Done
}

/// The name of standard output where a file is asked for.
const STDOUT: &str = "-";

/// A recording that is not in the bundle, and where it lies, if it does.
fn missing(state: &Path, left: &LeftOut) -> Value {
    let place = Some(place(state, &left.calls)).filter(|place| place.exists());
    json!({ "recording": left.calls, "why": left.why.to_string(), "file": place })
}

fn print(bundle: &Bundle) -> io::Result<()> {
    let bytes = serde_json::to_vec(bundle).map_err(io::Error::from)?;
    let mut out = io::stdout().lock();
    out.write_all(&bytes).and_then(|()| out.flush())
}

/// Readable by its owner alone: what it tells of a component is more than everybody should know.
fn write(path: &Path, bundle: &Bundle) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
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
