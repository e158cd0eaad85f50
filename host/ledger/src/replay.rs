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
pub struct Replay<'a> {
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

impl<'a> Replay<'a> {
    pub(crate) fn new(connection: &'a Connection, from_seq: u64, until: Head) -> Self {
        let from = from_seq.max(1);
        Self { connection, from, until, before: None, page: VecDeque::new(), ended: from > until.seq }
    }

    fn read(&mut self) -> Result<Recorded, LedgerError> {
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
        let fact = serde_json::from_slice(&row.body)
            .map_err(|source| LedgerError::Unreadable { seq: row.seq, source })?;
        Ok(Recorded { seq: row.seq, at: row.at, fact })
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

impl Iterator for Replay<'_> {
    type Item = Result<Recorded, LedgerError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let read = self.read();
        self.ended |= read.is_err();
        Some(read)
    }
}
