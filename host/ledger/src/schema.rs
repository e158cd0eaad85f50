//! The database's shape and its version. A file that is damaged, foreign or newer is refused before anything is
//! written to it.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::chain::Head;
use crate::error::LedgerError;
use crate::failpoint;

/// `RAZR`, in the header of every ledger.
const APPLICATION_ID: i64 = 0x5241_5a52;
/// What this version writes; earlier ones are migrated here, later ones refused.
const VERSION: i64 = 1;

/// SQLite's own check reads every page: up to this size it takes about a tenth of a second. Beyond it only the head is
/// checked at open, and replay verifies every fact anyway.
const CHECKED_AT_OPEN: i64 = 64 << 20;

/// How long to wait for an operator's `sqlite3` that is writing.
const BUSY: Duration = Duration::from_secs(2);

const TABLES: &str = "
CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE facts (seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, body TEXT NOT NULL, hash BLOB NOT NULL) STRICT;
CREATE TABLE blobs (digest BLOB PRIMARY KEY, bytes BLOB NOT NULL) STRICT;
CREATE TABLE used_ids (id TEXT PRIMARY KEY, used_at INTEGER NOT NULL, expires INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX used_ids_by_expiry ON used_ids (expires);
CREATE TABLE plugin_values (plugin TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (plugin, key)) STRICT;
CREATE TABLE view_cursors (view TEXT PRIMARY KEY, seq INTEGER NOT NULL, segment INTEGER NOT NULL,
    base_seq INTEGER NOT NULL, length INTEGER NOT NULL) STRICT, WITHOUT ROWID;
";

/// Opens for writing, creating what is not there yet.
pub(crate) fn open_writer(path: &Path) -> Result<Connection, LedgerError> {
    refuse_by_header(path)?;
    let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let failed = || LedgerError::database(path);
    // Until the file is known to be ours, closing must not fold its log into it.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(failed())?;
    if !accepted(&connection, path)? {
        create(&mut connection, path)?;
    }
    check(&connection, path)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false).map_err(failed())?;
    connection.pragma_update(None, "journal_mode", "WAL").map_err(failed())?;
    connection.pragma_update(None, "synchronous", "FULL").map_err(failed())?;
    connection.pragma_update(None, "foreign_keys", true).map_err(failed())?;
    // A burst may grow the log; give the space back when it is folded in.
    connection.pragma_update(None, "journal_size_limit", 16 << 20).map_err(failed())?;
    Ok(connection)
}

/// A second connection of the same process for what may be lost with the power, because it can be computed again
/// or was a plugin's: its commits wait for no disk.
pub(crate) fn open_relaxed(path: &Path) -> Result<Connection, LedgerError> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.pragma_update(None, "synchronous", "NORMAL").map_err(LedgerError::database(path))?;
    Ok(connection)
}

/// Opens for reading beside a running host or without one.
pub(crate) fn open_reader(path: &Path) -> Result<Connection, LedgerError> {
    refuse_by_header(path)?;
    let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let accepted = match accepted(&connection, path) {
        Err(LedgerError::Database(error)) if error.sqlite_error_code() == Some(ErrorCode::CannotOpen) => {
            connection = connect_where_nothing_can_be_written(path)?;
            accepted(&connection, path)?
        }
        accepted => accepted?,
    };
    if accepted { Ok(connection) } else { Err(LedgerError::Absent(path.to_owned())) }
}

/// SQLite wants to make files beside the database, also to read it. Without a write-ahead log nobody uses it, and it is
/// all there is; a disk that the system has made read-only must not keep anybody from looking.
fn connect_where_nothing_can_be_written(path: &Path) -> Result<Connection, LedgerError> {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    if Path::new(&log).exists() {
        return Err(LedgerError::LogBeside(path.to_owned()));
    }
    let mut uri = "file:".to_owned();
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'/' | b'-' | b'.' | b'_' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => {
                uri.push(char::from(*byte))
            }
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(format!("{uri}?immutable=1"), flags).map_err(LedgerError::database(path))
}

fn connect(path: &Path, mode: OpenFlags) -> Result<Connection, LedgerError> {
    let connection = Connection::open_with_flags(path, mode | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .map_err(LedgerError::database(path))?;
    connection.busy_timeout(BUSY).map_err(LedgerError::database(path))?;
    Ok(connection)
}

/// Looks at the first bytes without SQLite, which may write (recover a journal, fold a log) as soon as it reads.
pub(crate) fn refuse_by_header(path: &Path) -> Result<(), LedgerError> {
    const MAGIC: &[u8] = b"SQLite format 3\0";
    let mut header = Vec::with_capacity(100);
    File::open(path)
        .and_then(|file| file.take(100).read_to_end(&mut header))
        .map_err(LedgerError::io("read", path))?;
    if header.is_empty() {
        return Ok(());
    }
    let number = |at: usize| {
        let bytes = header.get(at..at + 4).and_then(|bytes| <[u8; 4]>::try_from(bytes).ok());
        bytes.map(|bytes| i64::from(i32::from_be_bytes(bytes)))
    };
    let (Some(version), Some(application), true) = (number(60), number(68), header.starts_with(MAGIC)) else {
        return Err(LedgerError::Corrupt {
            path: path.to_owned(),
            detail: "it does not begin like a SQLite database".to_owned(),
        });
    };
    refuse(path, application, version)
}

fn refuse(path: &Path, application: i64, version: i64) -> Result<(), LedgerError> {
    if application != APPLICATION_ID && (application, version) != (0, 0) {
        return Err(LedgerError::Foreign(path.to_owned()));
    }
    if version > VERSION {
        return Err(LedgerError::Newer { path: path.to_owned(), found: version, known: VERSION });
    }
    Ok(())
}

/// Whether the database is a ledger of a known version; not so when it is empty, which a crash while creating leaves.
fn accepted(connection: &Connection, path: &Path) -> Result<bool, LedgerError> {
    let pragma = |name| {
        connection
            .pragma_query_value(None, name, |row| row.get::<_, i64>(0))
            .map_err(LedgerError::database(path))
    };
    let (application, version) = (pragma("application_id")?, pragma("user_version")?);
    refuse(path, application, version)?;
    if application == APPLICATION_ID {
        return Ok(true);
    }
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(LedgerError::database(path))?;
    if tables == 0 { Ok(false) } else { Err(LedgerError::Foreign(path.to_owned())) }
}

/// A database that holds nothing yet, not used by anybody: what a repair fills. It keeps a name, or gets a new one.
pub(crate) fn create_with(path: &Path, state_id: Option<&str>) -> Result<Connection, LedgerError> {
    let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    create(&mut connection, path)?;
    if let Some(name) = state_id {
        connection
            .execute("UPDATE meta SET value = ?1 WHERE key = 'state_id'", [name.as_bytes()])
            .map_err(LedgerError::database(path))?;
    }
    Ok(connection)
}

/// All or nothing, before the write-ahead log is switched on, so that the header in the file itself tells the version.
fn create(connection: &mut Connection, path: &Path) -> Result<(), LedgerError> {
    let mut id = [0; 8];
    getrandom::fill(&mut id).map_err(LedgerError::Entropy)?;
    let id = hex::encode(id);
    let make = |connection: &mut Connection| {
        let tx = connection.transaction()?;
        tx.execute_batch(TABLES)?;
        tx.execute("INSERT INTO meta VALUES ('state_id', ?1)", [id.as_bytes()])?;
        tx.execute("INSERT INTO meta VALUES ('head', ?1)", [Head::GENESIS.to_bytes()])?;
        tx.pragma_update(None, "application_id", APPLICATION_ID)?;
        tx.pragma_update(None, "user_version", VERSION)?;
        failpoint::pass("tables.committing");
        tx.commit()
    };
    make(connection).map_err(LedgerError::database(path))?;
    failpoint::pass("tables.committed");
    Ok(())
}

fn check(connection: &Connection, path: &Path) -> Result<(), LedgerError> {
    let failed = || LedgerError::database(path);
    let pragma =
        |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).map_err(failed());
    if pragma("page_count")?.saturating_mul(pragma("page_size")?) > CHECKED_AT_OPEN {
        return Ok(());
    }
    let detail: String =
        connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(failed())?;
    if detail == "ok" { Ok(()) } else { Err(LedgerError::Corrupt { path: path.to_owned(), detail }) }
}
