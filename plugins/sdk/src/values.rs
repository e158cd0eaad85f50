//! What a plugin keeps from call to call: stores of its own over `wasi:keyvalue`, which it requests by name and the operator
//! grants with a quota. Natively a store lives as long as its thread, so that tests do not see each other's values.

#[cfg(not(target_family = "wasm"))]
mod native;
#[cfg(target_family = "wasm")]
mod wasi;

#[cfg(not(target_family = "wasm"))]
use native as kept;
#[cfg(target_family = "wasm")]
use wasi as kept;

use crate::PluginError;

/// One store of the plugin's own.
#[derive(Debug)]
pub struct Store(kept::Store);

impl Store {
    /// Opens a store that `plugin.toml` requests and the operator grants.
    pub fn open(name: &str) -> Result<Self, PluginError> {
        kept::Store::open(name).map(Self)
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Result<Option<Vec<u8>>, PluginError> {
        self.0.get(key)
    }

    /// Keeps a value, in place of an earlier one.
    pub fn set(&self, key: &str, value: &[u8]) -> Result<(), PluginError> {
        self.0.set(key, value)
    }

    /// Forgets a key; one that is not there is forgotten already.
    pub fn delete(&self, key: &str) -> Result<(), PluginError> {
        self.0.delete(key)
    }

    /// Adds to the number under a key, which is zero when there is none, and says the sum. Calls at the same time do not
    /// lose each other's additions.
    pub fn increment(&self, key: &str, delta: u64) -> Result<u64, PluginError> {
        self.0.increment(key, delta)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_keeps_what_it_is_given() {
        let store = Store::open("counts").unwrap();
        assert_eq!(store.get("n").unwrap(), None);
        assert_eq!((store.increment("n", 2).unwrap(), store.increment("n", 3).unwrap()), (2, 5));
        assert_eq!(Store::open("counts").unwrap().get("n").unwrap().as_deref(), Some(&b"5"[..]));
        assert_eq!(Store::open("other").unwrap().get("n").unwrap(), None);
        store.set("n", b"text").unwrap();
        assert!(store.increment("n", 1).is_err());
        store.delete("n").unwrap();
        assert_eq!(store.get("n").unwrap(), None);
    }
}
