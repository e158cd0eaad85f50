//! One-time ids: a signed intent is accepted once. An id is forgotten when it has expired, because whoever checks it
//! refuses expired ones before asking here.

use razar_core::time::Timestamp;
use rusqlite::{Connection, TransactionBehavior};

use crate::error::AppendError;
use crate::ledger::column;

/// What the ledger says to an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "an id that was used before must be refused"]
pub enum Use {
    /// Never seen; now spent.
    First,
    /// Spent before.
    Again,
}

pub(crate) fn spend(
    connection: &mut Connection,
    id: &str,
    now: Timestamp,
    expires: Timestamp,
) -> Result<Use, AppendError> {
    let (now, expires) = (column("the time", now.0)?, column("the expiry", expires.0)?);
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    tx.prepare_cached("DELETE FROM used_ids WHERE expires < ?1")?.execute([now])?;
    let spent = tx
        .prepare_cached(
            "INSERT INTO used_ids (id, used_at, expires) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
        )?
        .execute((id, now, expires))?;
    tx.commit()?;
    Ok(if spent == 1 { Use::First } else { Use::Again })
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::ledger::Ledger;

    #[test]
    fn an_id_is_used_once_also_across_a_restart_and_forgotten_when_it_has_expired() {
        let dir = TempDir::new().unwrap();
        let mut ledger = Ledger::open(dir.path()).unwrap();
        let (now, expires) = (Timestamp(100), Timestamp(200));
        assert_eq!(ledger.use_once("a", now, expires).unwrap(), Use::First);
        assert_eq!(ledger.use_once("a", now, expires).unwrap(), Use::Again);
        assert_eq!(ledger.use_once("b", now, expires).unwrap(), Use::First);
        drop(ledger);
        let mut ledger = Ledger::open(dir.path()).unwrap();
        assert_eq!(ledger.use_once("a", expires, expires).unwrap(), Use::Again, "valid to its last moment");
        assert_eq!(ledger.use_once("a", Timestamp(201), Timestamp(300)).unwrap(), Use::First);
    }
}
