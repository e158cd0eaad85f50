//! Repair of a damaged ledger: the facts that are still what they were, from the first up to the first that is not, go
//! into a new database; the old one stays beside it under another name, byte for byte. Nothing is ever deleted, and
//! nothing is made up: what cannot be verified is not taken over.
//!
//! ```text
//! razar.db ──link──► razar.db.damaged-<ms>                      the evidence, with its write-ahead log
//!                         │ read by SQLite, then page by page
//!                         ▼
//!                    razar.db.repairing ──verified, renamed──► razar.db
//! ```
//!
//! Until the last rename `razar.db.repairing` exists and nobody opens the directory: an interrupted repair is repeated
//! from the evidence.

mod pages;
mod rest;

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use razar_core::fact::Anchor;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use serde::Serialize;

use crate::anchor::{self, StateFile};
use crate::chain::Head;
use crate::directory::{self, DATABASE, REPAIRING};
use crate::error::LedgerError;
use crate::replay::{Link, Links};
use crate::verify::verify;
use crate::{failpoint, meta, schema};

/// How the name of a damaged database goes on after its own.
const ASIDE: &str = ".damaged-";

pub use rest::Rest;

/// What a repair did.
#[derive(Debug, Clone, Serialize)]
pub struct Repaired {
    /// The last fact that was kept.
    pub kept: Anchor,
    /// The last fact that the damaged ledger, or the state file, says there was; none when nothing says it.
    pub expected: Option<u64>,
    /// What was wrong.
    pub damage: Vec<String>,
    /// Where the damaged database is now.
    pub aside: PathBuf,
    /// What else was taken over.
    pub rest: Rest,
}

impl Repaired {
    /// Facts that are known to be missing from the repaired ledger.
    pub fn lost(&self) -> u64 {
        self.expected.map_or(0, |expected| expected.saturating_sub(self.kept.seq))
    }
}

/// Repairs the ledger of a state directory that no host uses; none when there is nothing to repair.
pub fn repair(dir: &Path) -> Result<Option<Repaired>, LedgerError> {
    let database = directory::database(dir);
    directory::look_for(dir)?;
    let _held = directory::hold(dir)?;
    let mut damage = Vec::new();
    if dir.join(REPAIRING).exists() {
        damage.push("an earlier repair was interrupted".to_owned());
    } else {
        // Another program's, or a later version's, is refused here and not touched.
        let report = verify(dir, None)?;
        damage.extend(report.database);
        damage.extend(report.first_bad.map(|bad| bad.what));
        if damage.is_empty() {
            return Ok(None);
        }
    }
    failpoint::pass("repair.begun");
    let aside = set_aside(dir, &database)?;
    failpoint::pass("repair.aside");
    let source = Source::open(&aside)?;
    let (links, expected) = source.facts(dir)?;
    if links.is_empty() && !source.is_sqlite {
        return Err(LedgerError::Corrupt {
            path: database,
            detail: "not one fact was found in it".to_owned(),
        });
    }
    let kept = links.last().map_or(Head::GENESIS, |link| link.head);
    let rest = source.write(&dir.join(REPAIRING), &links)?;
    failpoint::pass("repair.written");
    drop(source);
    // Their content is in the evidence, under its name; beside the new database they would be applied to it.
    for suffix in ["-wal", "-shm"] {
        remove(&dir.join(format!("{DATABASE}{suffix}")))?;
    }
    remove(&with_suffix(&aside, "-shm"))?;
    sync(dir)?;
    failpoint::pass("repair.renaming");
    let new = dir.join(REPAIRING);
    fs::rename(&new, &database).map_err(LedgerError::io("put the repaired ledger in place", &new))?;
    failpoint::pass("repair.renamed");
    sync(dir)?;
    Ok(Some(Repaired { kept: kept.anchor(), expected, damage, aside, rest }))
}

/// Whether a damaged database lies aside in a state directory, or nobody can say.
pub(crate) fn left_evidence(dir: &Path) -> bool {
    let Ok(entries) = fs::read_dir(dir) else { return true };
    entries.into_iter().any(|entry| entry.is_ok_and(|entry| entry.file_name().to_str().is_some_and(is_aside)))
}

/// Whether a file by this name is a damaged database that was set aside, or its log.
fn is_aside(name: &str) -> bool {
    name.strip_prefix(DATABASE).is_some_and(|rest| rest.starts_with(ASIDE))
}

/// Gives the damaged database a second name; the one a repair that was interrupted gave it, if there is one.
fn set_aside(dir: &Path, database: &Path) -> Result<PathBuf, LedgerError> {
    let failed = |path: &Path| LedgerError::io("set aside", path.to_owned());
    let inode = fs::metadata(database).map_err(failed(database))?.ino();
    for entry in fs::read_dir(dir).map_err(failed(dir))?.flatten() {
        let ours = |name: &str| is_aside(name) && !name.ends_with("-wal") && !name.ends_with("-shm");
        if entry.file_name().to_str().is_some_and(ours)
            && entry.metadata().is_ok_and(|found| found.ino() == inode)
        {
            return Ok(entry.path());
        }
    }
    let mut millis = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    let aside = loop {
        let aside = dir.join(format!("{DATABASE}{ASIDE}{millis}"));
        // The log first: once the database has its second name, the evidence is whole.
        let log = fs::hard_link(dir.join(format!("{DATABASE}-wal")), with_suffix(&aside, "-wal"));
        let linked = match log {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => fs::hard_link(database, &aside),
        };
        match linked {
            Ok(()) => break aside,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => millis += 1,
            Err(error) => return Err(failed(database)(error)),
        }
    };
    sync(dir)?;
    Ok(aside)
}

/// The damaged database.
struct Source {
    path: PathBuf,
    /// None when SQLite cannot read anything of it.
    connection: Option<Connection>,
    is_sqlite: bool,
}

impl Source {
    fn open(path: &Path) -> Result<Self, LedgerError> {
        let is_sqlite = schema::refuse_by_header(path).is_ok();
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).ok().filter(|connection| {
            // The evidence is not written to, not even by folding its log into it.
            is_sqlite && connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).is_ok()
        });
        Ok(Self { path: path.to_owned(), connection, is_sqlite })
    }

    /// The longest chain of facts that can be read in either way, and how long it should be.
    fn facts(&self, dir: &Path) -> Result<(Vec<Link>, Option<u64>), LedgerError> {
        let recorded = self.connection.as_ref().and_then(|connection| meta::head(connection).ok());
        let mut links = self.connection.as_ref().map(readable).unwrap_or_default();
        let reached = links.last().map(|link| link.head);
        if recorded.is_none() || reached != recorded {
            let found = pages::facts(&self.path)
                .map_err(LedgerError::io("read the pages of the damaged ledger", &self.path))?;
            if found.len() > links.len() {
                links = found;
            }
        }
        let claimed = match anchor::state_file(dir) {
            StateFile::Says(claimed) => Some(claimed.seq),
            StateFile::Absent | StateFile::Silent(_) => None,
        };
        Ok((links, recorded.map(|head| head.seq).max(claimed)))
    }

    /// Writes the new database and checks it before anybody relies on it.
    fn write(&self, new: &Path, links: &[Link]) -> Result<Rest, LedgerError> {
        directory::create_private(new)?;
        failpoint::pass("repair.filling");
        // Emptied, not removed: while it is there nobody takes the directory for whole.
        File::options()
            .write(true)
            .open(new)
            .and_then(|file| file.set_len(0))
            .map_err(LedgerError::io("empty", new))?;
        let name = self.state_id()?;
        let mut connection = schema::create_with(new, name.as_deref())?;
        let transaction = connection.transaction()?;
        let mut head = Head::GENESIS;
        {
            let mut insert = transaction
                .prepare("INSERT INTO facts (seq, at, body, hash) VALUES (?1, ?2, CAST(?3 AS TEXT), ?4)")?;
            for link in links {
                head = link.head;
                insert.execute((head.seq.cast_signed(), link.at.0.cast_signed(), &link.body, head.hash))?;
            }
            meta::set_head(&transaction, head)?;
        }
        let mut rest = rest::copy(self.connection.as_ref(), &transaction)?;
        rest.state_id = name.is_some();
        transaction.commit()?;
        let end =
            Links::new(&connection, 1, head).try_fold(Head::GENESIS, |_, link| link.map(|link| link.head))?;
        if end != head {
            return Err(LedgerError::Chain { seq: end.seq.saturating_add(1) });
        }
        connection.close().map_err(|(_, error)| LedgerError::Database(error))?;
        File::open(new).and_then(|file| file.sync_all()).map_err(LedgerError::io("sync", new))?;
        Ok(rest)
    }

    fn state_id(&self) -> Result<Option<String>, LedgerError> {
        let read = self.connection.as_ref().and_then(|connection| meta::state_id(connection).ok());
        match read.filter(|name| meta::is_state_id(name)) {
            Some(name) => Ok(Some(name)),
            None => pages::state_id(&self.path)
                .map_err(LedgerError::io("read the pages of the damaged ledger", &self.path)),
        }
    }
}

/// What SQLite itself can still read.
fn readable(connection: &Connection) -> Vec<Link> {
    let everything = Head { seq: i64::MAX.unsigned_abs(), hash: [0; 32] };
    Links::new(connection, 1, everything).map_while(Result::ok).collect()
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn remove(path: &Path) -> Result<(), LedgerError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(LedgerError::io("remove", path)(error)),
        _ => Ok(()),
    }
}

fn sync(dir: &Path) -> Result<(), LedgerError> {
    let synced: io::Result<()> = File::open(dir).and_then(|dir| dir.sync_all());
    synced.map_err(LedgerError::io("sync", dir))
}

#[cfg(test)]
mod tests;
