//! Taking over what the original system left behind: its logs, its state and history files and its quarantine, in every
//! shape they are found in. The directory is read and never changed.
//!
//! | decision | why |
//! |---|---|
//! | every record becomes one `Imported` fact | history is in the ledger like everything else, so `timeline` tells it |
//! | a record is known by its file and its bytes, and by how often they stand there | importing again adds only what is new, also when a file has grown |
//! | facts are in the order of the records' own times | the files overlap; what has no time comes first |
//! | no other fact is made of them, except for quarantine | nothing may be decided from what another program wrote |
//! | what is in quarantine there is in quarantine here | a component that was known to be bad must not be launched because it moved |
//! | a file that names a moved module (`original_path`) is not | modules are not components |
//! | a file `quarantine/<name>` without an extension is an entry | the original takes it for one |
//! | a long record is kept whole beside the facts, under its digest | a fact is read at every start |
//! | what cannot be repaired is copied to `imported/` below the state directory | nothing is lost, and somebody can look |
//!
//! | file | owns |
//! |---|---|
//! | `sources` | which files are looked at |
//! | `records` | one file, cut into records |
//! | `mend` | JSON that ends too early |
//! | `spans` | where the parts of a JSON text begin and end |
//! | `meaning` | when a record says it was, and whom it is about |

mod meaning;
mod mend;
mod records;
mod sources;
mod spans;

use std::collections::{HashMap, HashSet};
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use razar_core::fact::{Fact, QuarantineReason};
use razar_core::failure::{Failure, FailureClass, FailureKind};
use razar_core::id::{ComponentId, Digest};
use razar_core::time::Timestamp;
use serde::Serialize;

use crate::error::{AppendError, LedgerError};
use crate::ledger::Ledger;
use records::Record;
use sources::Source;

/// Below the state directory: what could not be read.
pub const ASIDE: &str = "imported";

/// Of a record's text in its fact; the rest is kept under the digest.
const MAX_TEXT: usize = 4096;

/// Of an error, as everywhere in the ledger.
const MAX_ERROR: usize = 2000;

/// Records of one import: far more than the original can write without being unusable.
const MAX_RECORDS: usize = 500_000;

/// Bytes of one import: they are held at once, to be put in order.
const MAX_TOTAL: u64 = 512 << 20;

/// Facts in one commit.
const BATCH: usize = 500;

/// Why nothing more was imported; what was stays, and importing again goes on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The directory cannot be read.
    #[error("cannot read `{}`: {source}; name the directory in which the original system kept `logs` and `quarantine`", path.display())]
    Source {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is ours.
    #[error("`{}` is the state directory itself, or in it: name the directory of the original system", .0.display())]
    Own(PathBuf),
    /// Nothing to import.
    #[error("there is nothing of the original system in `{}`: name the directory that holds its `logs` and `quarantine`", .0.display())]
    Nothing(PathBuf),
    /// Too much at once.
    #[error(
        "there are more than {MAX_RECORDS} records or {MAX_TOTAL} bytes: import parts of it, a directory with some of the files each"
    )]
    TooMuch,
    /// What could not be read could not be kept either.
    #[error("cannot keep what could not be read in `{}`: {source}; nothing was recorded", path.display())]
    Aside {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The ledger could not be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The ledger could not be written.
    #[error(transparent)]
    Append(#[from] AppendError),
}

/// What an import did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// What was found in each file.
    pub files: Vec<FileReport>,
    /// Components that are in quarantine because of it.
    pub quarantined: Vec<ComponentId>,
    /// What could not be read, and where it is kept.
    pub aside: Vec<Aside>,
    /// Files that should have been looked into and could not be.
    pub ignored: Vec<Ignored>,
    /// What else lies in `logs`: nothing the original system keeps history in.
    pub others: Vec<String>,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileReport {
    /// Below the imported directory.
    pub source: String,
    /// Records that are facts now.
    pub imported: u64,
    /// Records that had been imported before.
    pub known: u64,
    /// Of all of them, those that had to be repaired.
    pub repaired: u64,
}

/// Something that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Aside {
    /// Which file it stands in.
    pub source: String,
    /// Why.
    pub why: String,
    /// Where its bytes are kept.
    pub kept: PathBuf,
}

/// A file that could not be looked into.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ignored {
    /// Which.
    pub source: String,
    /// Why.
    pub why: String,
}

impl Report {
    /// Records that are facts now.
    pub fn imported(&self) -> u64 {
        self.files.iter().map(|file| file.imported).sum()
    }
}

/// Files of the original system, not looked into yet.
#[derive(Debug)]
pub struct Found {
    sources: Vec<Source>,
    report: Report,
}

/// Looks for what can be imported from `dir`; `state` is where the ledger lives, or will.
pub fn find(dir: &Path, state: &Path) -> Result<Found, ImportError> {
    let mut report = Report::default();
    let failed = |source| ImportError::Source { path: dir.to_owned(), source };
    // The files written by this host are no history of another system.
    let from = dir.canonicalize().map_err(failed)?;
    if state.canonicalize().is_ok_and(|own| from.starts_with(own)) {
        return Err(ImportError::Own(dir.to_owned()));
    }
    let sources = sources::find(dir, &mut report).map_err(failed)?;
    if sources.is_empty() && report.ignored.is_empty() {
        return Err(ImportError::Nothing(dir.to_owned()));
    }
    Ok(Found { sources, report })
}

/// Records what was found and is not recorded yet.
pub fn import(
    found: Found,
    ledger: &mut Ledger,
    state: &Path,
    now: Timestamp,
) -> Result<Report, ImportError> {
    let Found { sources, mut report } = found;
    let mut past = Past::read(ledger)?;
    let mut fresh = Vec::new();
    let mut total = 0;
    for source in &sources {
        let bytes = match source.read() {
            Ok(bytes) => bytes,
            Err(why) => {
                report.ignored.push(Ignored { source: source.name.clone(), why });
                continue;
            }
        };
        total += bytes.len() as u64;
        let found = records::cut(source, &bytes);
        if total > MAX_TOTAL || fresh.len() + found.records.len() > MAX_RECORDS {
            return Err(ImportError::TooMuch);
        }
        for (bytes, why) in found.unreadable {
            let kept = keep(state, &source.name, &bytes)?;
            report.aside.push(Aside { source: source.name.clone(), why, kept });
        }
        let mut file = FileReport { source: source.name.clone(), imported: 0, known: 0, repaired: 0 };
        for record in found.records {
            file.repaired += u64::from(record.repair.is_some());
            if past.knows(&source.name, &record) {
                file.known += 1;
            } else {
                file.imported += 1;
                fresh.push((source, record));
            }
        }
        report.files.push(file);
    }
    // Stable: records of one moment, or of none, stay as they stand.
    fresh.sort_by_key(|(_, record)| record.when);
    for batch in fresh.chunks(BATCH) {
        let mut facts = Vec::new();
        for (source, record) in batch {
            facts.push(fact(ledger, source, record)?);
            if let Some(quarantined) = record.quarantine.as_ref().and_then(|entry| past.quarantine(entry)) {
                report.quarantined.extend(record.component.clone());
                facts.push(quarantined);
            }
        }
        ledger.append(now, &facts)?;
    }
    Ok(report)
}

fn fact(ledger: &mut Ledger, source: &Source, record: &Record) -> Result<Fact, AppendError> {
    let digest = record.digest;
    let whole = String::from_utf8_lossy(&record.bytes);
    if record.bytes.len() > MAX_TEXT || matches!(whole, std::borrow::Cow::Owned(_)) {
        ledger.put_blob(&record.bytes)?;
    }
    Ok(Fact::Imported {
        source: source.name.clone(),
        record: record.number,
        digest,
        text: bounded(&whole, MAX_TEXT),
        when: record.when,
        component: record.component.clone(),
        repair: record.repair.clone(),
    })
}

fn bounded(text: &str, most: usize) -> String {
    let end = (0..=most.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    text.get(..end).unwrap_or_default().to_owned()
}

/// What the ledger says already.
struct Past {
    /// How often a record of a file was imported, less those met again.
    records: HashMap<(String, Digest), u64>,
    quarantined: HashSet<ComponentId>,
}

impl Past {
    fn read(ledger: &Ledger) -> Result<Self, LedgerError> {
        let mut past = Self { records: HashMap::new(), quarantined: HashSet::new() };
        for recorded in ledger.replay(1) {
            match recorded?.fact {
                Fact::Imported { source, digest, .. } => {
                    *past.records.entry((source, digest)).or_default() += 1
                }
                Fact::Quarantined { component, .. } => drop(past.quarantined.insert(component)),
                Fact::Released { component, .. } => drop(past.quarantined.remove(&component)),
                _ => {}
            }
        }
        Ok(past)
    }

    /// Each record that was imported is met once.
    fn knows(&mut self, source: &str, record: &Record) -> bool {
        match self.records.get_mut(&(source.to_owned(), record.digest)) {
            Some(times) if *times > 0 => {
                *times -= 1;
                true
            }
            _ => false,
        }
    }

    /// The fact that follows from an entry, unless the component is in quarantine already.
    fn quarantine(&mut self, entry: &meaning::Entry) -> Option<Fact> {
        if !self.quarantined.insert(entry.component.clone()) {
            return None;
        }
        let error = bounded(&entry.reason, MAX_ERROR);
        let failure = Failure { kind: FailureKind::Operator, class: FailureClass::of(&error), error };
        let reason = QuarantineReason::Imported;
        Some(Fact::Quarantined {
            component: entry.component.clone(),
            reason,
            failure,
            attempts: entry.attempts,
        })
    }
}

/// Keeps bytes that nobody could read, once.
fn keep(state: &Path, source: &str, bytes: &[u8]) -> Result<PathBuf, ImportError> {
    let safe = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '_' };
    let name: String = source.chars().take(100).map(safe).collect();
    let digest = Digest::of(bytes).hex();
    let dir = state.join(ASIDE);
    let path = dir.join(format!("{}.{}", name.trim_start_matches('.'), digest.get(..16).unwrap_or_default()));
    let write = || {
        if path.exists() {
            return Ok(());
        }
        DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
        let temp = dir.join(format!(".{}.tmp", digest.get(..16).unwrap_or_default()));
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temp)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temp, &path)?;
        fs::File::open(&dir)?.sync_all()
    };
    write().map_err(|source| ImportError::Aside { path: path.clone(), source })?;
    Ok(path)
}

#[cfg(test)]
mod tests;
