//! Stores in the memory of one thread.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::PluginError;

thread_local! {
    static VALUES: RefCell<BTreeMap<(String, String), Vec<u8>>> = const { RefCell::new(BTreeMap::new()) };
}

/// Values under this name.
#[derive(Debug)]
pub(super) struct Store(String);

impl Store {
    pub(super) fn open(name: &str) -> Result<Self, PluginError> {
        Ok(Self(name.to_owned()))
    }

    pub(super) fn get(&self, key: &str) -> Result<Option<Vec<u8>>, PluginError> {
        Ok(VALUES.with_borrow(|values| values.get(&self.place(key)).cloned()))
    }

    pub(super) fn set(&self, key: &str, value: &[u8]) -> Result<(), PluginError> {
        VALUES.with_borrow_mut(|values| values.insert(self.place(key), value.to_vec()));
        Ok(())
    }

    pub(super) fn delete(&self, key: &str) -> Result<(), PluginError> {
        VALUES.with_borrow_mut(|values| values.remove(&self.place(key)));
        Ok(())
    }

    pub(super) fn increment(&self, key: &str, delta: u64) -> Result<u64, PluginError> {
        let kept = self.get(key)?.unwrap_or_else(|| b"0".to_vec());
        let number = std::str::from_utf8(&kept).ok().and_then(|text| text.parse::<u64>().ok());
        let sum = number
            .and_then(|number| number.checked_add(delta))
            .ok_or_else(|| PluginError::invalid_input("the value is no number that can be incremented"))?;
        self.set(key, sum.to_string().as_bytes())?;
        Ok(sum)
    }

    fn place(&self, key: &str) -> (String, String) {
        (self.0.clone(), key.to_owned())
    }
}
