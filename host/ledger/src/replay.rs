//! Reading facts back: page by page, so that memory does not follow the ledger's size, up to the head that stood when
//! reading began. Every fact is verified; the first one that is wrong is named and nothing after it is returned.

use std::collections::VecDeque;

use razar_core::fact::Recorded;
use razar_core::time::Timestamp;
use rusqlite::Connection;

use crate::chain::Head;
use crate::error::LedgerError;
use crate::meta;

/// Enough to hide the cost of a query, small enough to forget.
const PAGE: i64 = 512;

/// Facts in order.
#[derive(Debug)]
pub struct Replay<'a>(Links<'a>);

impl<'a> Replay<'a> {
    pub(crate) fn new(connection: &'a Connection, from_seq: u64, until: Head) -> Self {
        Self(Links::new(connection, from_seq, until))
    }
}

impl Iterator for Replay<'_> {
    type Item = Result<Recorded, LedgerError>;

    fn next(&mut self) -> Option<Self::Item> {
        let link = match self.0.next()? {
            Ok(link) => link,
            Err(error) => return Some(Err(error)),
        };
        let read = link.read();
        self.0.ended |= read.is_err();
        Some(read)
    }
}

/// One verified fact as it is stored: the words are not looked at, so it may be of a version to come.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    pub(crate) at: Timestamp,
    pub(crate) body: Vec<u8>,
    /// Its position and hash.
    pub(crate) head: Head,
}

impl Link {
    pub(crate) fn read(&self) -> Result<Recorded, LedgerError> {
        let seq = self.head.seq;
        let fact =
            serde_json::from_slice(&self.body).map_err(|source| LedgerError::Unreadable { seq, source })?;
        Ok(Recorded { seq, at: self.at, fact })
    }
}

/// The chain, link by link.
#[derive(Debug)]
pub(crate) struct Links<'a> {
    connection: &'a Connection,
    from: u64,
    until: Head,
    /// The fact before the next one; not known before the first page.
    before: Option<Head>,
    page: VecDeque<Row>,
    ended: bool,
}

#[derive(Debug)]
struct Row {
    seq: u64,
    at: Timestamp,
    body: Vec<u8>,
    hash: [u8; 32],
}

impl<'a> Links<'a> {
    pub(crate) fn new(connection: &'a Connection, from_seq: u64, until: Head) -> Self {
        let from = from_seq.max(1);
        Self { connection, from, until, before: None, page: VecDeque::new(), ended: from > until.seq }
    }

    fn read(&mut self) -> Result<Link, LedgerError> {
        let before = match self.before {
            Some(before) => before,
            None => self.predecessor()?,
        };
        if self.page.is_empty() {
            self.page = self.rows_after(before.seq)?;
        }
        let expected = before.seq.saturating_add(1);
        let row = self
            .page
            .pop_front()
            .filter(|row| row.seq == expected)
            .ok_or(LedgerError::Missing { seq: expected })?;
        let head = before.next(row.at, &row.body);
        if head.hash != row.hash || (head.seq == self.until.seq && head != self.until) {
            return Err(LedgerError::Chain { seq: row.seq });
        }
        self.before = Some(head);
        self.ended = head.seq >= self.until.seq;
        Ok(Link { at: row.at, body: row.body, head })
    }

    fn predecessor(&self) -> Result<Head, LedgerError> {
        let seq = self.from.saturating_sub(1);
        if seq == 0 {
            return Ok(Head::GENESIS);
        }
        meta::head_at(self.connection, seq)
    }

    fn rows_after(&self, seq: u64) -> Result<VecDeque<Row>, LedgerError> {
        // The body is read as bytes: a changed one need not be UTF-8 any more, and must still be named.
        let mut statement = self.connection.prepare_cached(
            "SELECT seq, at, CAST(body AS BLOB), hash FROM facts WHERE seq > ?1 ORDER BY seq LIMIT ?2",
        )?;
        let rows = statement.query_map([seq.cast_signed(), PAGE], |row| {
            let hash: Vec<u8> = row.get(3)?;
            Ok(Row {
                seq: row.get::<_, i64>(0)?.cast_unsigned(),
                at: Timestamp(row.get::<_, i64>(1)?.cast_unsigned()),
                body: row.get(2)?,
                hash: hash.try_into().unwrap_or_default(),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

impl Iterator for Links<'_> {
    type Item = Result<Link, LedgerError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let read = self.read();
        self.ended |= read.is_err();
        Some(read)
    }
}
