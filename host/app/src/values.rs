//! What plugins keep, as the runtime wants it and the ledger has it: the two do not know each other. It decides nothing.

use std::sync::OnceLock;

use razar_core::grant::Quota;
use razar_ledger::values::{PluginValues, ValueError as LedgerValueError};
use razar_runtime::broker::keyvalue::{StoreName, ValueError, ValueStore, incremented};

/// The ledger's values, from the moment the ledger is open. Plugins are loaded before it, and called after it.
#[derive(Debug, Default)]
pub(crate) struct KeptValues(OnceLock<PluginValues>);

impl KeptValues {
    /// From now on these are served; a second call changes nothing.
    pub(crate) fn open(&self, values: PluginValues) {
        let _ = self.0.set(values);
    }

    fn values(&self) -> Result<&PluginValues, ValueError> {
        self.0
            .get()
            .ok_or_else(|| ValueError::Unavailable("the host is still starting; try again".to_owned()))
    }
}

fn unavailable(error: impl std::fmt::Display) -> ValueError {
    tracing::warn!("what plugins keep could not be reached: {error}");
    ValueError::Unavailable("the host could not reach its disk; try again".to_owned())
}

fn refused(quota: &Quota) -> impl FnOnce(LedgerValueError) -> ValueError {
    let (bytes, keys) = (quota.bytes.0, quota.keys);
    move |error| match error {
        LedgerValueError::Quota => ValueError::Quota { bytes, keys },
        LedgerValueError::NotANumber => ValueError::NotANumber,
        other => unavailable(other),
    }
}

impl ValueStore for KeptValues {
    fn get(&self, store: &StoreName, key: &str) -> Result<Option<Vec<u8>>, ValueError> {
        self.values()?.get(&store.plugin, &store.store, key).map_err(unavailable)
    }

    fn keys(&self, store: &StoreName, skip: u64, most: usize) -> Result<Vec<String>, ValueError> {
        self.values()?.keys(&store.plugin, &store.store, skip, most).map_err(unavailable)
    }

    fn set(&self, store: &StoreName, quota: &Quota, values: &[(String, Vec<u8>)]) -> Result<(), ValueError> {
        self.values()?.set(&store.plugin, &store.store, quota, values).map_err(refused(quota))
    }

    fn delete(&self, store: &StoreName, keys: &[String]) -> Result<(), ValueError> {
        self.values()?.delete(&store.plugin, &store.store, keys).map_err(unavailable)
    }

    fn increment(&self, store: &StoreName, quota: &Quota, key: &str, delta: u64) -> Result<u64, ValueError> {
        let add = |kept: Option<&[u8]>| {
            let sum = incremented(kept, delta).ok()?;
            Some((sum.to_string().into_bytes(), sum))
        };
        self.values()?.change(&store.plugin, &store.store, quota, key, add).map_err(refused(quota))
    }
}

#[cfg(test)]
mod tests {
    use razar_ledger::Ledger;

    use super::*;

    #[test]
    fn values_are_the_ledgers_once_it_is_open() {
        let dir = tempfile::tempdir().unwrap();
        let kept = KeptValues::default();
        let store = StoreName { plugin: "p".parse().unwrap(), store: "a".to_owned() };
        let quota = Quota { keys: 2, ..Quota::DEFAULT };
        assert!(matches!(kept.get(&store, "k"), Err(ValueError::Unavailable(_))));
        let ledger = Ledger::open(dir.path()).unwrap();
        kept.open(ledger.values().unwrap());
        assert_eq!(kept.increment(&store, &quota, "n", 2), Ok(2));
        assert_eq!(kept.increment(&store, &quota, "n", 3), Ok(5));
        kept.set(&store, &quota, &[("t".to_owned(), b"text".to_vec())]).unwrap();
        assert_eq!(kept.increment(&store, &quota, "t", 1), Err(ValueError::NotANumber));
        let full = kept.increment(&store, &quota, "m", 1);
        assert_eq!(full, Err(ValueError::Quota { bytes: quota.bytes.0, keys: 2 }));
        kept.delete(&store, &["t".to_owned()]).unwrap();
        assert_eq!(kept.keys(&store, 0, 9).unwrap(), ["n"]);
        assert_eq!(kept.get(&store, "n").unwrap().unwrap(), b"5");
    }
}
