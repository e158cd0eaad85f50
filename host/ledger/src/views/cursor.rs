//! How far a view has been written. A cursor may be older than its file after a crash, never newer.

use rusqlite::{Connection, OptionalExtension as _};

use crate::failpoint;

/// How far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cursor {
    /// The newest fact it shows.
    pub(super) seq: u64,
    /// Which file of a rotated sequence is being written, from 1.
    pub(super) segment: u64,
    /// The first fact that file can show.
    pub(super) base_seq: u64,
    /// How many bytes of it are ours.
    pub(super) length: u64,
}

impl Cursor {
    /// Nothing written yet.
    pub(super) const START: Self = Self { seq: 0, segment: 1, base_seq: 1, length: 0 };
}

pub(super) fn load(connection: &Connection, view: &str) -> rusqlite::Result<Option<Cursor>> {
    connection
        .prepare_cached("SELECT seq, segment, base_seq, length FROM view_cursors WHERE view = ?1")?
        .query_row([view], |row| {
            let number = |column| row.get::<_, i64>(column).map(i64::cast_unsigned);
            Ok(Cursor { seq: number(0)?, segment: number(1)?, base_seq: number(2)?, length: number(3)? })
        })
        .optional()
}

pub(super) fn store(connection: &Connection, view: &str, cursor: Cursor) -> rusqlite::Result<()> {
    failpoint::pass("cursor.storing");
    connection
        .prepare_cached(
            "INSERT INTO view_cursors (view, seq, segment, base_seq, length) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (view) DO UPDATE SET seq = ?2, segment = ?3, base_seq = ?4, length = ?5",
        )?
        .execute((
            view,
            cursor.seq.cast_signed(),
            cursor.segment.cast_signed(),
            cursor.base_seq.cast_signed(),
            cursor.length.cast_signed(),
        ))?;
    failpoint::pass("cursor.stored");
    Ok(())
}

/// Forgets every cursor: the views are written anew.
pub(super) fn forget(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM view_cursors", []).map(drop)
}
