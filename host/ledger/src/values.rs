//! What a plugin keeps from call to call. A plugin sees its own keys only, and no plugin can fill the disk.

use razar_core::id::PluginId;
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior};

use crate::error::{AppendError, LedgerError};

/// Keys and values of one plugin together: enough for counters, cursors and small caches, and a thousand plugins
/// still fit the smallest disk.
pub const MAX_BYTES: usize = 1 << 20;
/// Empty values have a price too.
pub const MAX_KEYS: usize = 1024;

/// The values of one plugin.
#[derive(Debug)]
pub struct PluginValues<'a> {
    connection: &'a mut Connection,
    plugin: &'a PluginId,
}

/// Why a value was not kept; nothing changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// The plugin has used up what it may keep.
    #[error(
        "plugin `{0}` may keep {MAX_BYTES} bytes under {MAX_KEYS} keys and would exceed that: delete a key first"
    )]
    Quota(PluginId),
    /// The ledger could not be written.
    #[error(transparent)]
    Ledger(#[from] AppendError),
}

impl<'a> PluginValues<'a> {
    pub(crate) const fn new(connection: &'a mut Connection, plugin: &'a PluginId) -> Self {
        Self { connection, plugin }
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Result<Option<Vec<u8>>, LedgerError> {
        Ok(self
            .connection
            .prepare_cached("SELECT value FROM plugin_values WHERE plugin = ?1 AND key = ?2")?
            .query_row((self.plugin.as_str(), key), |row| row.get(0))
            .optional()?)
    }

    /// All keys, in order.
    pub fn keys(&self) -> Result<Vec<String>, LedgerError> {
        let mut keys =
            self.connection.prepare_cached("SELECT key FROM plugin_values WHERE plugin = ?1 ORDER BY key")?;
        let rows = keys.query_map([self.plugin.as_str()], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Keeps a value under a key, in place of an earlier one.
    pub fn set(&mut self, key: &str, value: &[u8]) -> Result<(), ValueError> {
        let kept = self.replace(key, value).map_err(AppendError::from)?;
        if kept { Ok(()) } else { Err(ValueError::Quota(self.plugin.clone())) }
    }

    /// Forgets a key; one that is not there is forgotten already.
    pub fn delete(&mut self, key: &str) -> Result<(), AppendError> {
        self.connection
            .prepare_cached("DELETE FROM plugin_values WHERE plugin = ?1 AND key = ?2")?
            .execute((self.plugin.as_str(), key))?;
        Ok(())
    }

    /// Whether it fit; a transaction that is not committed is taken back.
    fn replace(&mut self, key: &str, value: &[u8]) -> rusqlite::Result<bool> {
        let tx = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        tx.prepare_cached(
            "INSERT INTO plugin_values (plugin, key, value) VALUES (?1, ?2, ?3)
             ON CONFLICT (plugin, key) DO UPDATE SET value = ?3",
        )?
        .execute((self.plugin.as_str(), key, value))?;
        let (bytes, keys): (i64, i64) = tx
            .prepare_cached(
                "SELECT sum(octet_length(key) + octet_length(value)), count(*) FROM plugin_values WHERE plugin = ?1",
            )?
            .query_row([self.plugin.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))?;
        if bytes > MAX_BYTES as i64 || keys > MAX_KEYS as i64 {
            return Ok(false);
        }
        tx.commit()?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::ledger::Ledger;

    #[test]
    fn a_plugin_keeps_its_own_values_and_no_more_than_it_may() {
        let dir = TempDir::new().unwrap();
        let mut ledger = Ledger::open(dir.path()).unwrap();
        let (one, other) = ("probe-http".parse().unwrap(), "probe-tcp".parse().unwrap());
        let mut values = ledger.values(&one);
        values.set("b", b"1").unwrap();
        values.set("a", b"").unwrap();
        values.set("b", b"2").unwrap();
        let error = values.set("c", &vec![0; MAX_BYTES]).unwrap_err();
        assert!(matches!(error, ValueError::Quota(_)), "{error}");
        assert_eq!(values.keys().unwrap(), ["a", "b"]);
        assert_eq!(ledger.values(&other).get("b").unwrap(), None);
        drop(ledger);
        let mut ledger = Ledger::open(dir.path()).unwrap();
        let mut values = ledger.values(&one);
        assert_eq!(values.get("b").unwrap().unwrap(), b"2");
        values.delete("b").unwrap();
        values.delete("b").unwrap();
        assert_eq!(values.keys().unwrap(), ["a"]);
        for key in 0..MAX_KEYS - 1 {
            values.set(&key.to_string(), b"").unwrap();
        }
        assert!(values.set("one more", b"").is_err());
        values.set("a", b"replaced").unwrap();
    }
}
