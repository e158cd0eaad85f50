//! What plugins keep from call to call. A plugin sees its own stores only, each within the quota it was granted, so no
//! plugin can fill the disk.
//!
//! Values lie beside the facts, in the database that has the state directory's lock, backup and crash safety already, but
//! on a connection of their own: what a plugin writes waits for no disk, and a fact that waits for it waits for small
//! transactions only. A power cut may take back the last writes; it never tears one.

use std::sync::{Mutex, MutexGuard, PoisonError};

use razar_core::grant::Quota;
use razar_core::id::PluginId;
use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior};

use crate::error::{AppendError, LedgerError};
use crate::failpoint;

/// Between a store's name, which has none, and a key.
const SEPARATOR: char = '/';
/// The character after it: keys of one store lie between the two.
const BEYOND: char = '0';

/// The values of all plugins. Shared by whoever serves them; one operation at a time.
#[derive(Debug)]
pub struct PluginValues(Mutex<Connection>);

/// Why a value was not kept; nothing changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// The store is full.
    #[error("the store is full")]
    Quota,
    /// Not a number that can be incremented by so much.
    #[error("the value cannot be incremented by so much")]
    NotANumber,
    /// The database could not be read or written.
    #[error(transparent)]
    Ledger(#[from] AppendError),
}

impl From<rusqlite::Error> for ValueError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Ledger(error.into())
    }
}

impl PluginValues {
    pub(crate) const fn new(connection: Connection) -> Self {
        Self(Mutex::new(connection))
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The value of a key.
    pub fn get(&self, plugin: &PluginId, store: &str, key: &str) -> Result<Option<Vec<u8>>, LedgerError> {
        Ok(read(&self.lock(), plugin, &path(store, key))?)
    }

    /// Keys in order, `skip` of them left out, at most `most`.
    pub fn keys(
        &self,
        plugin: &PluginId,
        store: &str,
        skip: u64,
        most: usize,
    ) -> Result<Vec<String>, LedgerError> {
        let connection = self.lock();
        let mut keys = connection.prepare_cached(
            "SELECT key FROM plugin_values WHERE plugin = ?1 AND key > ?2 AND key < ?3 ORDER BY key
             LIMIT ?4 OFFSET ?5",
        )?;
        let (from, to) = range(store);
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let rows = keys
            .query_map((plugin.as_str(), &from, to, number(most as u64), number(skip)), |row| {
                row.get::<_, String>(0)
            })?;
        let strip = |key: String| key.get(from.len()..).unwrap_or_default().to_owned();
        Ok(rows.map(|key| key.map(strip)).collect::<Result<_, _>>()?)
    }

    /// Keeps all of these, in place of earlier ones, or none when they do not fit.
    pub fn set(
        &self,
        plugin: &PluginId,
        store: &str,
        quota: &Quota,
        values: &[(String, Vec<u8>)],
    ) -> Result<(), ValueError> {
        let mut connection = self.lock();
        let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for (key, value) in values {
            write(&tx, plugin, &path(store, key), value)?;
        }
        commit(tx, plugin, store, quota)
    }

    /// Forgets keys; those that are not there are forgotten already.
    pub fn delete(&self, plugin: &PluginId, store: &str, keys: &[String]) -> Result<(), AppendError> {
        let mut connection = self.lock();
        let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for key in keys {
            tx.prepare_cached("DELETE FROM plugin_values WHERE plugin = ?1 AND key = ?2")?
                .execute((plugin.as_str(), path(store, key)))?;
        }
        Ok(tx.commit()?)
    }

    /// Puts what `change` makes of a value in its place; nobody else sees or changes it in between. None: it cannot be
    /// changed so.
    pub fn change<T>(
        &self,
        plugin: &PluginId,
        store: &str,
        quota: &Quota,
        key: &str,
        change: impl FnOnce(Option<&[u8]>) -> Option<(Vec<u8>, T)>,
    ) -> Result<T, ValueError> {
        let mut connection = self.lock();
        let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let key = path(store, key);
        let (value, answer) = change(read(&tx, plugin, &key)?.as_deref()).ok_or(ValueError::NotANumber)?;
        write(&tx, plugin, &key, &value)?;
        commit(tx, plugin, store, quota)?;
        Ok(answer)
    }
}

fn path(store: &str, key: &str) -> String {
    format!("{store}{SEPARATOR}{key}")
}

/// All keys of a store lie between these two.
fn range(store: &str) -> (String, String) {
    (format!("{store}{SEPARATOR}"), format!("{store}{BEYOND}"))
}

fn read(connection: &Connection, plugin: &PluginId, key: &str) -> rusqlite::Result<Option<Vec<u8>>> {
    connection
        .prepare_cached("SELECT value FROM plugin_values WHERE plugin = ?1 AND key = ?2")?
        .query_row((plugin.as_str(), key), |row| row.get(0))
        .optional()
}

fn write(tx: &Transaction<'_>, plugin: &PluginId, key: &str, value: &[u8]) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "INSERT INTO plugin_values (plugin, key, value) VALUES (?1, ?2, ?3)
         ON CONFLICT (plugin, key) DO UPDATE SET value = ?3",
    )?
    .execute((plugin.as_str(), key, value))?;
    Ok(())
}

/// Commits if the store is within its quota; a transaction that is not committed is taken back.
fn commit(tx: Transaction<'_>, plugin: &PluginId, store: &str, quota: &Quota) -> Result<(), ValueError> {
    let (from, to) = range(store);
    let (bytes, keys): (i64, i64) = tx
        .prepare_cached(
            "SELECT coalesce(sum(octet_length(key) + octet_length(value)), 0), count(*) FROM plugin_values
             WHERE plugin = ?1 AND key > ?2 AND key < ?3",
        )?
        .query_row((plugin.as_str(), &from, to), |row| Ok((row.get(0)?, row.get(1)?)))?;
    // The store's name in front of each key is the host's own affair.
    let bytes = bytes.saturating_sub(keys.saturating_mul(from.len() as i64));
    if bytes > i64::try_from(quota.bytes.0).unwrap_or(i64::MAX) || keys > i64::from(quota.keys) {
        return Err(ValueError::Quota);
    }
    failpoint::pass("values.committing");
    tx.commit()?;
    failpoint::pass("values.committed");
    Ok(())
}

#[cfg(test)]
mod tests {
    use razar_core::document::units::Bytes;
    use tempfile::TempDir;

    use super::*;
    use crate::ledger::Ledger;

    const QUOTA: Quota = Quota { bytes: Bytes(100), keys: 3, ..Quota::DEFAULT };

    fn one(key: &str, value: &[u8]) -> Vec<(String, Vec<u8>)> {
        vec![(key.to_owned(), value.to_vec())]
    }

    #[test]
    fn a_store_keeps_its_own_values_across_a_restart_and_no_more_than_it_may() {
        let dir = TempDir::new().unwrap();
        let ledger = Ledger::open(dir.path()).unwrap();
        let (p, q) = ("probe-http".parse().unwrap(), "probe-tcp".parse().unwrap());
        let values = ledger.values().unwrap();
        values.set(&p, "a", &QUOTA, &one("k", b"1")).unwrap();
        values.set(&p, "a", &QUOTA, &one("k/l", b"2")).unwrap();
        values.set(&p, "a.b", &QUOTA, &one("k", b"other")).unwrap();
        for full in [one("m", &[0; 97]), [one("m", b""), one("n", b"")].concat(), one("k", &[0; 99])] {
            assert!(matches!(values.set(&p, "a", &QUOTA, &full), Err(ValueError::Quota)));
        }
        assert_eq!(values.keys(&p, "a", 0, 10).unwrap(), ["k", "k/l"]);
        assert_eq!(values.keys(&p, "a", 1, 10).unwrap(), ["k/l"]);
        assert_eq!(values.keys(&p, "a", 0, 1).unwrap(), ["k"]);
        assert_eq!(values.get(&q, "a", "k").unwrap(), None);
        drop((values, ledger));
        let ledger = Ledger::open(dir.path()).unwrap();
        let values = ledger.values().unwrap();
        assert_eq!(values.get(&p, "a", "k").unwrap().unwrap(), b"1");
        // Full to the last byte, and replaced within it.
        values.set(&p, "a", &QUOTA, &one("k", &[0; 95])).unwrap();
        values.delete(&p, "a", &["k".to_owned(), "none".to_owned()]).unwrap();
        assert_eq!(values.keys(&p, "a", 0, 10).unwrap(), ["k/l"]);
        assert_eq!(values.keys(&p, "a.b", 0, 10).unwrap(), ["k"]);
    }

    #[test]
    fn a_change_is_whole_even_when_many_make_it_at_once() {
        let dir = TempDir::new().unwrap();
        let ledger = Ledger::open(dir.path()).unwrap();
        let values = ledger.values().unwrap();
        let plugin: PluginId = "p".parse().unwrap();
        let add = || {
            values.change(&plugin, "a", &QUOTA, "n", |kept| {
                let sum = kept.map_or(0, |kept| kept[0]) + 1;
                Some((vec![sum], sum))
            })
        };
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..25).for_each(|_| assert!(add().is_ok())));
            }
        });
        assert_eq!(values.get(&plugin, "a", "n").unwrap().unwrap(), [100]);
        let never = values.change(&plugin, "a", &QUOTA, "n", |_| None::<(Vec<u8>, ())>);
        assert!(matches!(never, Err(ValueError::NotANumber)));
    }
}
